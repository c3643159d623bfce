"""MTL-01: wherever proxies of the mesh speak mutual TLS, they use the provider's secrets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from facts.evidence import readings
from facts.finding import Finding, Problem, Remark
from facts.kubernetes.objects import Pod
from facts.kubernetes.redirection import ISTIOS_OWN
from facts.proxies.envoy import CONNECT_TERMINATE, LEAF, ROOT, Validator
from facts.proxies.tls.context import MatchKind, NameMatch, Socket, TlsContext, expects
from facts.proxies.tls.inbound import FilterChain, Listener
from facts.proxies.tls.outbound import Cluster, Destination
from facts.proxies.tls.proxy import ProxyTls
from facts.redaction import hides_a_value, prose
from facts.svid import workload_id
from judge.findings import Claim, listed, of_nothing, problem
from judge.fleet import of_proxies
from judge.identity.sweep import AMBIENTS_WAYPOINT, is_ambients
from judge.install.istio import NO_WORKLOAD
from judge.mtls.ends import Ends, Takes
from judge.mtls.ports import ANY_OTHER, CONFIGURE, named, not_configured, ports_of
from judge.mtls.table import NOTHING_DECLARED, Meant

EXTERNAL = "sds-grpc"
"""The cluster over which Envoy asks the provider's socket for secrets."""

OF_OTHERS = ("kubernetes://", "file-cert:", "file-root:", "builtin://", "configmap://", "invalid://")
"""Beginnings of the names of secrets that users configure for parties outside of the mesh."""

NOTHING_SPEAKS_IT = "no proxy speaks mutual TLS with a peer, and none is meant to"

PROBES_AND_METRICS = frozenset({15021, 15090})
"""Ports of a gateway or waypoint that serve the kubelet and Prometheus; on others of Istio's own, it serves the mesh."""

Defect = tuple[str, str]
"""What a context does, as a clause without a subject, and the id of its cause."""


class Role(StrEnum):
    """The role in which a proxy uses a context; it decides which names the context has to expect."""

    CLIENT = "client"
    """It expects the names of one service. Which ones is judged with the handshakes, and that there are some here."""
    IDLE_CLIENT = "client of a service without endpoints in the mesh"
    """It may expect any name: Istio knows no service account behind the service."""
    SIDECAR = "sidecar"
    """It expects the trust domains of the mesh, by prefix: Istio writes them into each of a sidecar's listeners."""
    ROUTER = "gateway or waypoint"
    """It expects the names that a user wrote into the server of a Gateway, and none where nobody did: Istio adds no prefix,
    and the authorities in ``ROOTCA`` bound the trust domains."""


@dataclass(frozen=True, slots=True)
class TrustDomains:
    """The trust domains whose workloads are peers.

    Attributes:
        names: The provider's own, and the aliases that the mesh accepts.
        evidence: Ids of the readings.
    """

    names: tuple[str, ...]
    evidence: tuple[str, ...]


def secrets_are_the_providers(
    ends: Ends, trust_domains: TrustDomains, meant: Meant = NOTHING_DECLARED, without: Collection[str] = ()
) -> Finding:
    """MTL-01: every TLS context for peers of the mesh uses `default` and `ROOTCA` from the provider's socket.

    It fails as well where a workload takes mutual TLS on none of its ports, because then nothing uses the secrets.

    Args:
        ends: The proxies.
        trust_domains: Those whose workloads are peers.
        meant: What the mesh's owner has declared.
        without: Uids of pods that do not count.
    """
    injected = [pod for pod in ends.mesh.injected if pod.uid not in without]
    waypoints = ambients_waypoints(ends, injected)
    pods = [pod for pod in injected if pod not in waypoints]
    contexts, problems = contexts_of(ends, pods, trust_domains)
    plain = [pod for pod in pods if pod.namespace in meant.plain]
    serving = [pod for pod in pods if not pod.is_gateway and pod.namespace not in meant.plain and ends.is_read(pod)]
    unclear = [each for pod in serving for each in not_configured(ends, pod)]
    problems += [each for pod in serving for each in _unused(ends, pod)]
    claim = Claim(
        "MTL-01",
        "each proxy to use the secrets default and ROOTCA of the external socket for all peers of the mesh, "
        "and to demand a certificate of each",
        f"{contexts} TLS contexts of {len(pods)} proxies",
        (*ends.mesh.all_evidence, *trust_domains.evidence),
    )
    ambients = [Remark(pod.ref, AMBIENTS_WAYPOINT) for pod in waypoints]
    fleet = ends.mesh.fleet_of(pods)
    if not pods and not fleet.left_out:
        return replace(claim.not_applicable(NO_WORKLOAD), left_out=tuple(ambients))
    finding = of_proxies(
        claim,
        pods,
        fleet,
        problems,
        confirmed=f"{contexts} TLS contexts of {len(pods)} proxies use default and ROOTCA of the external socket",
        unclear=unclear,
        settle=CONFIGURE,
        left_out=[*(Remark(pod.ref, "its namespace is declared to take no mutual TLS") for pod in plain), *ambients],
    )
    return finding if contexts else of_nothing(finding, NOTHING_SPEAKS_IT)


def ambients_waypoints(ends: Ends, pods: Iterable[Pod]) -> list[Pod]:
    """The waypoints among some pods that ambient mode certifies with istiod's CA; one that was not read is not told."""
    known = ends.identities
    return [pod for pod in pods if pod.uid in known and is_ambients(known[pod.uid], pod)]


def contexts_of(ends: Ends, pods: Iterable[Pod], trust_domains: TrustDomains) -> tuple[int, list[Problem]]:
    """The number of TLS contexts that some proxies have for peers of the mesh, and what is wrong with them.

    Args:
        ends: The proxies.
        pods: Pods of those to look at; one that was not read has no context.
        trust_domains: Those whose workloads are peers.
    """
    review = _Review(ends, trust_domains.names)
    problems: list[Problem] = []
    contexts = 0
    for pod in pods:
        if (proxy := ends.tls.get(pod.uid)) is not None:
            judged = review.of_proxy(proxy, is_gateway=pod.is_gateway)
            contexts += judged.count
            problems += judged.problems(proxy)
    return contexts, problems


@dataclass(frozen=True, slots=True)
class _Judged:
    """Contexts for peers of the mesh.

    Attributes:
        count: Their number.
        defects: Each defect with its places.
    """

    count: int
    defects: Mapping[Defect, Sequence[str]]

    def problems(self, proxy: ProxyTls) -> list[Problem]:
        """The defects as problems of a proxy."""
        return [
            problem(proxy, f"{len(at)} of its {self.count} TLS contexts for peers {said} (such as {prose(at[0])})", cause)
            for (said, cause), at in self.defects.items()
        ]


def _together(parts: Sequence[_Judged]) -> _Judged:
    defects: dict[Defect, list[str]] = defaultdict(list)
    for part in parts:
        for defect, places in part.defects.items():
            defects[defect] += places
    return _Judged(sum(part.count for part in parts), defects)


class _Review:
    """The contexts of a fleet. What several proxies share is judged once."""

    def __init__(self, ends: Ends, trust_domains: tuple[str, ...]) -> None:
        self._ends = ends
        self._trust_domains = trust_domains
        self._listeners: dict[tuple[int, bool], _Judged] = {}
        self._views: dict[int, _Judged] = {}
        self._destinations: dict[int, _Judged] = {}

    def of_proxy(self, proxy: ProxyTls, *, is_gateway: bool) -> _Judged:
        """The contexts of one proxy."""
        inbound, outbound = (id(proxy.listeners), is_gateway), id(proxy.destinations)
        if inbound not in self._listeners:
            contexts = _of_servers(proxy.listeners, is_gateway=is_gateway)
            role = Role.ROUTER if is_gateway else Role.SIDECAR
            self._listeners[inbound] = self._judged((place, context, role) for place, context in contexts)
        if outbound not in self._views:
            self._views[outbound] = _together([self._of_destination(each) for each in proxy.destinations])
        return _together([self._listeners[inbound], self._views[outbound]])

    def _of_destination(self, destination: Destination) -> _Judged:
        key = id(destination)
        if key not in self._destinations:
            spoken = {id(socket) for socket in self._spoken_to_peers(destination)}
            self._destinations[key] = self._judged(
                (f"cluster {destination.cluster.name}", context, Role.CLIENT if id(socket) in spoken else Role.IDLE_CLIENT)
                for socket, context in _of_clients(destination.cluster)
            )
        return self._destinations[key]

    def _spoken_to_peers(self, destination: Destination) -> Iterator[Socket]:
        """The transports that a client speaks to pods with a proxy."""
        for endpoint in destination.endpoints:
            pod = self._ends.at(endpoint.address)
            if pod is not None and pod.is_injected:
                yield destination.socket_to(endpoint)

    def _judged(self, contexts: Iterable[tuple[str, TlsContext, Role]]) -> _Judged:
        found: dict[Defect, list[str]] = defaultdict(list)
        count = 0
        for place, context, role in contexts:
            count += 1
            for defect in defects(context, self._trust_domains, role):
                found[defect].append(place)
        return _Judged(count, found)


def _of_servers(listeners: Iterable[Listener], *, is_gateway: bool) -> Iterator[tuple[str, TlsContext]]:
    for listener in listeners:
        for chain in listener.all_chains:
            port = chain.port or (0 if listener.is_virtual else listener.port)
            if port in (PROBES_AND_METRICS if is_gateway else ISTIOS_OWN) or chain.socket.tls is None:
                continue
            # In that listener a waypoint ends the tunnels of its clients, which are all of the mesh.
            ends_tunnels = listener.name == CONNECT_TERMINATE
            if ends_tunnels or _is_for_clients_of_the_mesh(chain, chain.socket.tls, is_gateway=is_gateway):
                yield f"listener {listener.name}, {named(port or ANY_OTHER)}", chain.socket.tls


def _of_clients(cluster: Cluster) -> Iterator[tuple[Socket, TlsContext]]:
    for match in cluster.matches:
        # Istio's own match for peers is the one that goes by their tlsMode.
        if match.socket.tls and (any(key == "tlsMode" for key, _ in match.labels) or match.socket.tls.is_of_the_mesh):
            yield match.socket, match.socket.tls
    if cluster.socket.tls and cluster.socket.tls.is_of_the_mesh:
        yield cluster.socket, cluster.socket.tls


def _is_for_clients_of_the_mesh(chain: FilterChain, context: TlsContext, *, is_gateway: bool) -> bool:
    """A sidecar serves its peers on every port, unless a user gave the port a certificate of its own; a gateway does not."""
    if chain.is_for_the_mesh or context.certificate == LEAF or context.validation == ROOT:
        return True
    return not is_gateway and not context.certificate.startswith(OF_OTHERS)


def defects(context: TlsContext, trust_domains: Collection[str], role: Role) -> list[Defect]:
    """What is wrong with a context for peers of the mesh.

    Args:
        trust_domains: Trust domains whose workloads are peers.
        role: The role in which the proxy uses it.
    """
    found: list[Defect] = []
    if context.certificate != LEAF:
        instead = f"present {context.certificate} instead of the secret {LEAF}" if context.certificate else "present nothing"
        found.append((instead, "tls-context-replaced"))
    is_client = role in (Role.CLIENT, Role.IDLE_CLIENT)
    has_own = context.inline.validator is not Validator.NONE
    if context.validation != ROOT:
        own = "authorities of their own" if has_own else "nothing"
        by = f"the secret {context.validation}" if context.validation else own
        checks_nothing = is_client and not (context.validation or has_own)
        cause = "server-not-verified" if checks_nothing else "foreign-authority-trusted"
        found.append((f"validate peers with {by} instead of the secret {ROOT}", cause))
    elif has_own:
        found.append((f"have authorities of their own beside the secret {ROOT}", "foreign-authority-trusted"))
    if context.accepts_invalid:
        cause = "server-not-verified" if is_client else "foreign-authority-trusted"
        found.append(("accept certificates that do not verify", cause))
    if context.sources and context.sources != {EXTERNAL}:
        said = f"ask {listed(context.sources)} for their secrets, not the external socket ({EXTERNAL})"
        found.append((said, "tls-context-replaced"))
    if role is Role.CLIENT and any(expects(context.names, [stranger_of(domain)]) for domain in trust_domains):
        found.append(("accept a server of any name", "server-not-verified"))
    if not is_client:
        if not context.demands_certificate:
            found.append(("let clients in without a certificate", "client-certificate-not-required"))
        found += _of_names(context.names, trust_domains, role)
    return found


def stranger_of(trust_domain: str) -> str:
    """The SPIFFE ID of a workload that no service has: Kubernetes allows no such names."""
    return workload_id(trust_domain, "-", "-")


def _of_names(names: Sequence[NameMatch], trust_domains: Collection[str], role: Role) -> list[Defect]:
    is_bounded_by_names = role is Role.SIDECAR
    if not names and is_bounded_by_names:
        return [("accept a client of any name", "tls-context-replaced")]
    within = tuple(f"spiffe://{domain}/" for domain in trust_domains)
    beyond = [n for n in names if not (n.kind in (MatchKind.EXACT, MatchKind.PREFIX) and n.text.startswith(within))]
    missing = [prefix for prefix in within[:1] if is_bounded_by_names and not any(n.text == prefix for n in names)]
    names_told = listed(beyond)
    if any(not hides_a_value(n.text) for n in beyond):  # one that could be compared decides; the others are only told
        names_told = prose(names_told)
    said = [f"accept clients by {names_told}, beyond {listed(within)}"] if beyond else []
    said += [f"do not accept clients by the prefix {prefix}" for prefix in missing]
    # Names of a whole trust domain are Istio's; one that is narrower somebody wrote, to let in certain clients alone.
    is_narrower = not beyond and not any(n.text in within for n in names)
    return [(each, "clients-restricted-by-name" if is_narrower else "trust-domain-differs") for each in said]


def _unused(ends: Ends, pod: Pod) -> list[Problem]:
    """A problem if a workload takes mutual TLS on none of its ports.

    One whose ports nobody knows and of which none is redirected to the proxy, such as a Job, is a client alone.
    """
    if not_configured(ends, pod):
        return []
    taken = {port: ends.takes(pod, port) for port in ports_of(ends, pod)}
    if any(each in (Takes.TLS, Takes.BOTH, Takes.UNTOLD) for each in taken.values()) or taken == {ANY_OTHER: Takes.PAST}:
        return []
    # A port past the proxy is its pod's own setting; what the proxy takes in plain text alone, a policy decides.
    causes = {Takes.PAST: "port-bypasses-proxy", Takes.PLAIN: "mutual-tls-disabled"}
    cause = causes.get(max(taken.values(), key=lambda takes: takes is Takes.PLAIN), "")
    said = f"it takes mutual TLS on none of its {len(taken)} ports, so that no client has to show an identity"
    return [Problem(pod.ref, said, cause, readings(ends.tls[pod.uid], pod))]
