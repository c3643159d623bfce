"""MTL-06: gateways and waypoints use their identities as sidecars do, towards clients of the mesh and towards its workloads.

A proxy in whose configuration nothing uses mutual TLS asks its socket for no secret, and so holds none. That is a setting of
the mesh, and no defect of the socket.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from facts.evidence import readings
from facts.finding import Finding, Problem, Remark
from facts.kubernetes.objects import Pod
from judge.findings import Claim, of_nothing
from judge.fleet import of_proxies
from judge.identity.sweep import AMBIENTS_WAYPOINT
from judge.mtls.contexts import TrustDomains, ambients_waypoints, contexts_of
from judge.mtls.ends import Ends
from judge.mtls.handshakes import refusal, refused_by_identity
from judge.mtls.table import NOTHING_DECLARED, Meant, Table

NO_GATEWAY_OR_WAYPOINT = "no gateway or waypoint runs in the mesh"
ALL_IDLE = "no gateway or waypoint uses mutual TLS, and none is meant to"


def gateways_use_their_identities(
    ends: Ends, table: Table, trust_domains: TrustDomains, meant: Meant = NOTHING_DECLARED, without: Collection[str] = ()
) -> Finding:
    """MTL-06: each gateway and waypoint uses the provider's secrets, and completes its handshakes at either end of a way.

    Args:
        ends: The proxies.
        table: Their ways.
        trust_domains: Those whose workloads are peers.
        meant: What the mesh's owner has declared.
        without: Uids of pods that do not count; `table` was made without them as well.
    """
    counted = [pod for pod in ends.mesh.injected if pod.uid not in without]
    waypoints = ambients_waypoints(ends, counted)
    injected = [pod for pod in counted if pod not in waypoints]
    gateways = [pod for pod in injected if pod.is_gateway]
    idle = [pod for pod in injected if pod.namespace not in meant.plain and _is_idle(ends, pod, meant)]
    pods = list({pod.uid: pod for pod in (*gateways, *idle)}.values())
    contexts, problems = contexts_of(ends, gateways, trust_domains)
    rows = [row for row in refused_by_identity(table) if row.client.is_gateway or row.server.is_gateway]
    claim = Claim(
        "MTL-06",
        "each gateway and waypoint to use the secrets of the external socket, and to complete its handshakes",
        f"{len(gateways)} gateways and waypoints with {contexts} TLS contexts",
        (*ends.mesh.all_evidence, *trust_domains.evidence),
    )
    ambients = [Remark(pod.ref, AMBIENTS_WAYPOINT) for pod in waypoints]
    # A refusal is one also where an end of the way is a waypoint of ambient mode.
    fleet = ends.mesh.fleet_of(pods, gone=lambda pod: pod.is_gateway)
    if not pods and not rows and not fleet.left_out:
        return replace(claim.not_applicable(NO_GATEWAY_OR_WAYPOINT), left_out=tuple(ambients))
    finding = of_proxies(
        claim,
        pods,
        fleet,
        [*problems, *(refusal(ends, row) for row in rows), *(_idle(ends, pod) for pod in idle)],
        confirmed=f"{contexts} TLS contexts of {len(gateways)} gateways use the secrets, and no peer refuses them",
        left_out=[*unused(ends, gateways, meant), *ambients],
    )
    return finding if contexts else of_nothing(finding, ALL_IDLE)


def unused(ends: Ends, gateways: Iterable[Pod], meant: Meant = NOTHING_DECLARED) -> list[Remark]:
    """Gateways in whose configuration nothing uses mutual TLS, and that reach no workload which is meant to take it.

    Args:
        ends: The proxies.
        gateways: Pods of gateways and waypoints.
        meant: What the mesh's owner has declared.
    """
    return [
        Remark(pod.ref, "nothing in its configuration uses mutual TLS, and it reaches no workload that is meant to take it")
        for pod in gateways
        if pod.uid in ends.tls
        and not ends.tls[pod.uid].asks_for_secrets
        and (pod.namespace in meant.plain or not _is_idle(ends, pod, meant))
    ]


def _is_idle(ends: Ends, pod: Pod, meant: Meant) -> bool:
    """Whether a proxy reaches workloads meant to take mutual TLS, or is one, and nothing in its configuration uses it."""
    proxy = ends.tls.get(pod.uid)
    if proxy is None or proxy.asks_for_secrets:
        return False
    if not pod.is_gateway:
        return any(listener.is_virtual for listener in proxy.listeners)  # without one it has no configuration yet
    reached = (ends.at(endpoint.address) for each in proxy.destinations for endpoint in each.endpoints)
    workloads = [each for each in reached if each is not None and each.is_injected and not each.is_gateway]
    return any(each.namespace not in meant.plain for each in workloads)


def _idle(ends: Ends, pod: Pod) -> Problem:
    said = (
        "no listener and no destination in its configuration uses mutual TLS, so that its Envoy asks for no certificate and"
        " holds none; its socket has nothing to do with it"
    )
    return Problem(pod.ref, said, "no-certificate-asked-for", readings(ends.tls[pod.uid], pod))
