"""Rules about what proxies get from tbot: a stream that is dead, and a caller whom Teleport's rules refuse."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from facts.document import Absent
from facts.evidence import readings
from facts.finding import Problem
from facts.kubernetes.objects import Pod
from facts.proxies.identity import ProxyIdentity
from facts.proxies.sds_mode import SdsMode
from facts.teleport.resources import WorkloadIdentity
from facts.teleport.tbot import Tbots
from judge.findings import listed
from judge.identity.streams import lost_directory


def cut_off(proxies: Iterable[ProxyIdentity], pods: Iterable[Pod], tbots: Tbots) -> list[Problem]:
    """Proxies that hold a socket directory which is gone; see `lost_directory`.

    Args:
        proxies: Proxies of the mesh.
        pods: Their pods.
        tbots: Every tbot that serves the mesh.
    """
    known = {pod.uid: pod for pod in pods}
    return [found for proxy in proxies if (found := lost_directory(proxy, known, tbots)) is not None]


def refused_by_rules(proxies: Iterable[ProxyIdentity], identities: Sequence[WorkloadIdentity | Absent]) -> list[Problem]:
    """Proxies that wait for a certificate on a live stream, and whose service account no workload identity lets in.

    Args:
        proxies: Proxies of the mesh.
        identities: The workload identities that tbot issues to the mesh.
    """
    known = [identity for identity in identities if isinstance(identity, WorkloadIdentity)]
    names = listed(identity.name for identity in known)
    return [
        Problem(
            proxy.ref,
            f"it waits for its certificate: the rules of workload_identity {names} refuse the service account"
            f" {proxy.pod.service_account} of {proxy.pod.namespace}",
            "identity-rules-refuse",
            readings(proxy, *known),
        )
        for proxy in proxies
        if known
        and proxy.sds_mode is SdsMode.SILENT
        and proxy.streams.cx_active
        and all(identity.refuses(proxy.pod.namespace, proxy.pod.service_account) for identity in known)
    ]
