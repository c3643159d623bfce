"""MTL-04: the proxies between which Istio's configuration opens a way can complete their handshake."""

from __future__ import annotations

from collections.abc import Collection

from facts.evidence import readings
from facts.finding import Finding, Problem, Remark
from facts.proxies.identity import PodRef
from facts.proxies.sds_mode import SdsMode
from facts.svid import workload_id
from judge.findings import Claim, listed, of_nothing, place
from judge.fleet import of_proxies
from judge.identity.proxies import CAUSES_OF_MODES, FROM_TELEPORT, template_of
from judge.install.application import cause_of_no_socket
from judge.install.istio import NO_WORKLOAD
from judge.mtls.ends import Ends, Takes
from judge.mtls.peers import BY_IDENTITY, Refusal
from judge.mtls.ports import named
from judge.mtls.prediction import Outcome, Side
from judge.mtls.table import NOTHING_DECLARED, TRY_BY_HAND, Meant, Row, Table, counted, nothing_decided

NO_OPEN_WAY = "Istio's configuration leads no proxy to another, namespaces declared closed aside"


def handshakes_complete(ends: Ends, table: Table, meant: Meant = NOTHING_DECLARED, without: Collection[str] = ()) -> Finding:
    """MTL-04: no proxy refuses the identity of another that Istio's configuration leads to it.

    Refusals by policy (plain text against TLS, TLS against plain text) are noted with their cause. Ways that the owner
    declared closed, and those that nothing read decides, are left out by number.

    Args:
        ends: The proxies.
        table: Their ways.
        meant: What the mesh's owner has declared; `table` was made with it.
        without: Uids of pods that do not count; `table` was made without them as well.
    """
    pods = [pod for pod in ends.mesh.injected if pod.uid not in without]
    refused = [row for row in table.rows if row.prediction.outcome is Outcome.REFUSED]
    by_policy = [row for row in refused if not row.is_closed and row.prediction.refusal not in BY_IDENTITY]
    claim = Claim(
        "MTL-04",
        "each proxy to complete its handshakes with the proxies that Istio's configuration leads it to",
        f"{counted(table.ways)} between {len(table.classes)} classes of proxies",
        ends.mesh.all_evidence,
    )
    fleet = ends.mesh.fleet_of(pods)
    if not pods and not fleet.left_out:
        return claim.not_applicable(NO_WORKLOAD)
    is_open = any(not row.is_closed for row in table.rows)
    done = sum(row.ways for row in table.rows if row.prediction.outcome is Outcome.COMPLETED)
    plain = sum(row.ways for row in table.rows if row.prediction.outcome is Outcome.PLAIN)
    finding = of_proxies(
        claim,
        pods,
        fleet,
        [refusal(ends, row) for row in refused_by_identity(table)],
        confirmed=f"the handshake completes on {counted(done)}; plain text goes through on {counted(plain)}",
        notes=[refusal(ends, row) for row in by_policy],
        unclear=[] if is_open else nothing_decided(claim, table),
        settle=TRY_BY_HAND,
        left_out=[*_undecided(table), *_closed(refused), *_misnamed(meant)],
    )
    return finding if is_open else of_nothing(finding, NO_OPEN_WAY)


def _undecided(table: Table) -> list[Remark]:
    subject = place("ways that no reading decides")
    return [Remark(subject, f"{counted(number)} to {kind}") for kind, number in table.unpredictable.items()]


def _closed(refused: Collection[Row]) -> list[Remark]:
    closed = sum(row.ways for row in refused if row.is_closed)
    subject = place("ways between namespaces declared closed")
    return [Remark(subject, f"refused on {counted(closed)}")] if closed else []


def _misnamed(meant: Meant) -> list[Remark]:
    """A misspelt namespace closes no way, which its owner must see."""
    said = f"no pod is in {listed(meant.unknown)}, so that what is declared of it has no effect"
    return [Remark(place("the declarations about the mesh"), said)] if meant.unknown else []


def refused_by_identity(table: Table) -> list[Row]:
    """The rows of a table in which one side refuses the other's identity, and that the owner did not declare closed."""
    return [row for row in table.rows if row.prediction.refusal in BY_IDENTITY and not row.is_closed]


def refused_by_setting(ends: Ends, table: Table) -> list[Problem]:
    """Ways on which one side takes TLS and the other speaks or takes plain text, so that every request on them fails.

    Istio's settings decide that, not an identity, so that MTL-04 only counts them. A port on which a proxy takes nothing
    tells no setting: the proxy may have no configuration yet. A port past the proxy is left to MTL-02: its callers may speak
    for themselves, as a scraper of metrics does.
    """
    refused = [row for row in table.rows if row.prediction.outcome is Outcome.REFUSED and not row.is_closed]
    by_setting = [row for row in refused if row.prediction.refusal not in BY_IDENTITY]
    return [refusal(ends, row) for row in by_setting if row.server.takes not in (Takes.NOTHING, Takes.PAST)]


def refusal(ends: Ends, row: Row) -> Problem:
    """A row that is refused, as a problem of the side that refuses."""
    way, by = row.examples[0], row.prediction.side
    refusing = way.client if by is Side.CLIENT else way.server
    between = f"{row.clients} clients of class {row.client.of}, {row.servers} servers of class {row.server.of}"
    said = (
        f"as the {by} it refuses: {row.prediction.refusal}"
        f" ({counted(row.ways)}: {between}, {named(row.server.port)}; such as {way})"
    )
    both = [fact for pod in (way.client, way.server) for fact in (ends.identities[pod.uid], ends.tls[pod.uid])]
    alike = tuple(pod.ref for pod in row.refusing)
    return Problem(refusing.ref, said, cause_of(ends, row), readings(*both), alike if len(alike) > 1 else ())


def cause_of(ends: Ends, row: Row) -> str:
    """Id of the cause of a refusal; empty where what was read does not tell it."""
    way, prediction = row.examples[0], row.prediction
    refusing, other = (way.client, way.server) if prediction.side is Side.CLIENT else (way.server, way.client)
    match prediction.refusal:
        case Refusal.PLAIN_AGAINST_TLS:
            return "client-sends-plain-text"
        case Refusal.TLS_AGAINST_PLAIN:
            return {Takes.PAST: "port-bypasses-proxy", Takes.NOTHING: ""}.get(row.server.takes, "mutual-tls-disabled")
        case Refusal.AUTHORITY:
            return _of_source(ends, other) or _of_source(ends, refusing) or _of_time(ends, refusing, other)
        case Refusal.NAME:
            return _of_name(ends, row, other)
        case Refusal.NOT_YET:
            return "issuer-clock-off" if ends.identities[other.uid].sds_mode in FROM_TELEPORT else ""
        case Refusal.MISSING:
            # A user's own TLS shows the mesh no certificate, and no filter is to blame.
            return "tls-context-replaced" if way.socket.tls and way.socket.tls.is_of_the_mesh else ""
    return ""


def _of_source(ends: Ends, pod: PodRef) -> str:
    """The cause for which a proxy has its identity from another server than the provider."""
    mode = ends.identities[pod.uid].sds_mode
    return cause_of_no_socket(ends.pods[pod.uid]) if mode is SdsMode.ISTIO_CA else CAUSES_OF_MODES.get(mode, "")


def _of_time(ends: Ends, refusing: PodRef, other: PodRef) -> str:
    """The cause for which two proxies of one trust domain hold what was issued at different times."""
    trusts, shown = ends.classes.of[refusing.uid].peer.holds, ends.classes.of[other.uid].peer
    knows_the_domain = any(domain == shown.trust_domain for domain, _ in trusts.trusted)
    if not (knows_the_domain and shown.anchors):
        return ""
    # Which of them lags, the other's own authorities tell.
    accepts_itself = any(sha256 in shown.anchors for _, sha256 in shown.holds.trusted)
    return "bundle-not-delivered" if accepts_itself else "rotation-not-followed"


def _of_name(ends: Ends, row: Row, other: PodRef) -> str:
    shown = ends.identities[other.uid].spiffe_ids
    domain = (shown[0] if shown else "").removeprefix("spiffe://").partition("/")[0]
    own = workload_id(domain, other.namespace, other.service_account)
    if own not in shown:
        return template_of(shown, other)
    # The name is the pod's own, so the other side expects something else: another trust domain, or names of its own.
    within = f"spiffe://{domain}/"
    if not any(each.text.startswith(within) for each in row.names_expected):
        return "trust-domain-differs"
    return "expected-names-differ" if row.prediction.side is Side.CLIENT else "clients-restricted-by-name"
