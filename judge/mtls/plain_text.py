"""Plain text in the mesh: MTL-02 for what ports take, MTL-03 for what proxies send."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping

from facts.errors import CouldNotTell
from facts.evidence import ObjectRef, readings
from facts.finding import Finding, Problem, Remark
from facts.kubernetes.objects import Pod
from facts.proxies.tls.context import Layer
from judge.findings import Claim, of_nothing, place
from judge.fleet import of_proxies
from judge.install.istio import NO_WORKLOAD
from judge.mtls.ends import Ends, Takes
from judge.mtls.ports import CONFIGURE, named, not_configured, ports_of, takes_without_identity
from judge.mtls.table import NOTHING_DECLARED, TRY_BY_HAND, Meant, Row, Table, counted, nothing_decided

CAUSES: Mapping[Takes, str] = {
    Takes.BOTH: "plain-text-accepted",
    Takes.PLAIN: "mutual-tls-disabled",
    Takes.PAST: "port-bypasses-proxy",
}
"""Causes for which plain text gets into a port, by what the port takes."""

ALL_PLAIN = "every workload is declared to take no mutual TLS"
NO_OPEN_WAY_TO_A_WORKLOAD = (
    "Istio's configuration leads no proxy to a workload of the mesh, namespaces declared closed aside"
)

_SAID: Mapping[Takes, str] = {
    Takes.BOTH: "takes plain text beside TLS",
    Takes.ONE_SIDED: "takes TLS without asking the client for an identity",
    Takes.PLAIN: "takes plain text only",
    Takes.PAST: "is not redirected to the proxy",
}


def no_port_takes_plain_text(ends: Ends, meant: Meant = NOTHING_DECLARED, without: Collection[str] = ()) -> Finding:
    """MTL-02: no inbound port of an injected workload takes plain text. Gateways serve clients outside of the mesh.

    A port that takes TLS with a certificate of the user's own and asks clients for none is named as well: for its callers'
    identities it is as good as plain text.

    Args:
        ends: The proxies.
        meant: What the mesh's owner has declared.
        without: Uids of pods that do not count.
    """
    pods = [pod for pod in ends.mesh.injected if not pod.is_gateway and pod.uid not in without]
    plain = [pod for pod in pods if pod.namespace in meant.plain]
    judged = [pod for pod in pods if pod.namespace not in meant.plain]
    read = [pod for pod in judged if ends.is_read(pod)]
    by_workload: dict[tuple[ObjectRef, int, Takes], list[Pod]] = defaultdict(list)
    for pod in read:
        for port, takes in takes_without_identity(ends, pod).items():
            by_workload[workload_of(pod), port, takes].append(pod)
    problems = [
        Problem(
            workload,
            f"{named(port)} {_SAID[takes]} ({_why_past(ends, alike[0]) if takes is Takes.PAST else ''}{_counted(alike)})",
            CAUSES.get(takes, ""),
            readings(ends.tls[alike[0].uid], alike[0]),
        )
        for (workload, port, takes), alike in by_workload.items()
    ]
    claim = Claim(
        "MTL-02", "no inbound port of an injected workload to take plain text", f"{len(judged)} pods", ends.mesh.all_evidence
    )
    fleet = ends.mesh.fleet_of(judged, gone=lambda pod: not pod.is_gateway and pod.namespace not in meant.plain)
    if not judged and not fleet.left_out:
        return claim.not_applicable(ALL_PLAIN if plain else NO_WORKLOAD)
    damaged = [each for pod in read for each in _damaged(ends, pod)]
    unconfigured = [each for pod in read for each in not_configured(ends, pod)]
    ports = sum(len(ports_of(ends, pod)) for pod in read)
    return of_proxies(
        claim,
        judged,
        fleet,
        problems,
        confirmed=f"{ports} ports of {len(read)} pods take TLS only",
        unclear=[*damaged, *unconfigured],
        settle="read by hand the settings that the report names" if damaged else CONFIGURE,
        left_out=[Remark(pod.ref, "its namespace is declared to take no mutual TLS") for pod in plain],
    )


def workload_of(pod: Pod) -> ObjectRef:
    """The controller of a pod as a subject; the pod itself where it has none."""
    kind, _, name = pod.owner.partition("/")
    return ObjectRef(kind, name, pod.namespace) if name else pod.ref


def _counted(pods: list[Pod]) -> str:
    return f"pod {pods[0].name}" if len(pods) == 1 else f"{len(pods)} pods, such as {pods[0].name}"


def _why_past(ends: Ends, pod: Pod) -> str:
    redirection = ends.redirection(pod)
    return "" if isinstance(redirection, CouldNotTell) else f"{redirection.said}; "


def _damaged(ends: Ends, pod: Pod) -> list[Problem]:
    redirection = ends.redirection(pod)
    if not isinstance(redirection, CouldNotTell):
        return []
    said = f"the suite could not tell which ports go past its proxy: expected {redirection.expected}; saw {redirection.seen}"
    return [Problem(pod.ref, said, evidence=pod.evidence)]


def nothing_is_sent_in_plain_text(ends: Ends, table: Table, without: Collection[str] = ()) -> Finding:
    """MTL-03: no proxy sends plain text to a workload of the mesh.

    Gateways do not count as servers, as with MTL-02: they serve clients without an identity, and Istio does not mark their
    endpoints for mutual TLS.

    Args:
        ends: The proxies.
        table: Their ways; those that the owner declared closed do not count.
        without: Uids of pods that do not count; `table` was made without them as well.
    """
    pods = [pod for pod in ends.mesh.injected if pod.uid not in without]
    plain = [row for row in table.rows if row.client.speaks is Layer.PLAIN]
    rows = [row for row in plain if not row.server.is_gateway]
    by_service: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if not row.is_closed:
            for service in row.services:
                by_service[service].append(row)
    problems = [
        Problem(service_ref(service), said, cause, evidence)
        for service, sending in by_service.items()
        for said, cause, evidence in (_sent(ends, service, row) for row in sending)
    ]
    is_open = any(not row.is_closed and not row.server.is_gateway for row in table.rows)
    closed = sum(row.ways for row in rows if row.is_closed)
    to_gateways = sum(row.ways for row in plain if row.server.is_gateway)
    left_out = [
        Remark(place(name), f"plain text on {counted(number)}")
        for name, number in (
            ("ways between namespaces declared closed", closed),
            ("ways to gateways, which serve clients without an identity", to_gateways),
        )
        if number
    ]
    claim = Claim(
        "MTL-03",
        "no proxy to send plain text to a workload of the mesh",
        f"{counted(table.ways)} between {len(pods)} proxies",
        ends.mesh.all_evidence,
    )
    fleet = ends.mesh.fleet_of(pods)
    if not pods and not fleet.left_out:
        return claim.not_applicable(NO_WORKLOAD)
    finding = of_proxies(
        claim,
        pods,
        fleet,
        problems,
        confirmed=f"TLS alone is spoken to workloads of the mesh ({counted(table.ways - closed - to_gateways)})",
        unclear=[] if is_open else nothing_decided(claim, table),
        settle=TRY_BY_HAND,
        left_out=left_out,
    )
    return finding if is_open else of_nothing(finding, NO_OPEN_WAY_TO_A_WORKLOAD)


def _sent(ends: Ends, service: str, row: Row) -> tuple[str, str, tuple[str, ...]]:
    way = next((each for each in row.examples if f"{each.host}:{each.port}" == service), row.examples[0])
    outcome = "" if row.prediction.side is None else f", which {row.prediction}"
    said = (
        f"plain text goes to {named(row.server.port)} of its pods{outcome}; the port takes {row.server.takes}"
        f" ({counted(row.services[service])}, such as {way.client} to {way.server})"
    )
    # Where the server takes TLS, it is the client that does not speak it.
    cause = CAUSES.get(row.server.takes, "") if row.server.takes in (Takes.PLAIN, Takes.PAST) else "client-sends-plain-text"
    return said, cause, readings(ends.tls[way.client.uid], ends.tls[way.server.uid])


def service_ref(service: str) -> ObjectRef:
    """A service ``HOST:PORT`` as a subject: the Kubernetes Service that Istio names so, or the host alone."""
    host = service.rpartition(":")[0]
    name, _, rest = host.partition(".")
    namespace, _, suffix = rest.partition(".")
    return ObjectRef("Service", name, namespace) if suffix.startswith("svc.") else place(host)
