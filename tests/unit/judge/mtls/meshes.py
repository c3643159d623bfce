"""Small meshes: each workload is one pod behind one service, and every proxy has a way to every service.

What their Envoys are configured with is built by hand (`tests.unit.facts.tls_dumps`), not captured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from facts.kubernetes.objects import Pod
from facts.proxies.identity import PodRef, ProxyIdentity, Unread
from facts.proxies.tls.inbound import parse_listeners
from facts.proxies.tls.outbound import joined, parse_clusters, parse_endpoints
from facts.proxies.tls.proxy import ProxyTls, TlsOfFleet
from facts.svid import workload_id
from facts.traffic.handshakes import Ended, SeenHandshake
from judge.mtls.ends import Ends, MeshTls
from judge.mtls.table import Row, Table
from tests.unit.facts import tls_dumps as built
from tests.unit.judge import builders as make
from tests.unit.judge.certificates import NOW, TRUST_DOMAIN

PORT = 8080
STRICT = built.virtual_inbound(built.strict(), built.strict(PORT))
PERMISSIVE = built.virtual_inbound(built.permissive(), built.permissive(PORT))
DISABLED = built.virtual_inbound(built.disabled(), built.disabled(PORT))
ROUTER = make.istio_proxy(is_init=False, args=("proxy", "router"))


@dataclass(frozen=True)
class Workload:
    """A workload of one pod.

    Attributes:
        name: Of the pod, its service and its service account.
        namespace: Of all three.
        inbound: Dump of its listeners.
        identity: Makes the identity of its proxy; None leaves the proxy unread.
        configured: Its configuration was read.
        marked: Istio marks its endpoint for mutual TLS.
        clusters: Entries of its clusters dump that differ, by the name of the workload that they lead to.
        more: Further entries of its clusters dump.
        pod: Fields in which its pod differs.
        spec: Fields in which the pod's specification differs.
        istios_name: Istio's name of it, where that is another.
    """

    name: str
    namespace: str = "shop"
    inbound: Any = field(default_factory=lambda: STRICT)
    identity: Any = make.proxy
    configured: bool = True
    marked: bool = True
    clusters: Mapping[str, Any] = field(default_factory=dict)
    more: Sequence[Any] = ()
    pod: Mapping[str, Any] = field(default_factory=dict)
    spec: Mapping[str, Any] = field(default_factory=dict)
    istios_name: str = ""

    @property
    def host(self) -> str:
        return f"{self.name}.{self.namespace}.svc.cluster.local"

    @property
    def account(self) -> str:
        return workload_id(TRUST_DOMAIN, self.namespace, self.name)


def mesh(*workloads: Workload) -> MeshTls:
    pods = [_pod(each, number) for number, each in enumerate(workloads, 1)]
    endpoints = built.dump(
        *(
            built.endpoints(each.host, 80, built.endpoint(pod.ip, PORT, tls=each.marked, workload=_for_istio(each)))
            for each, pod in zip(workloads, pods, strict=True)
        )
    )
    identities: list[ProxyIdentity | Unread] = []
    tls, unread = [], []
    for each, pod in zip(workloads, pods, strict=True):
        if not pod.is_injected:
            continue
        identities.append(make.unread(pod) if each.identity is None else each.identity(pod))
        if not each.configured:
            unread.append(make.unread(pod))
            continue
        clusters = built.dump(*(_cluster(each, other) for other in workloads), *each.more)
        tls.append(
            ProxyTls(
                PodRef.of(pod),
                parse_listeners(each.inbound),
                joined(parse_clusters(clusters), parse_endpoints(endpoints)),
                (f"ev-tls-{pod.name}",),
            )
        )
    return MeshTls(pods, make.fleet(*identities), TlsOfFleet(tuple(tls), tuple(unread)), ("ev-pods",))


def _for_istio(of: Workload) -> str:
    return f"{of.istios_name or of.name};{of.namespace};{of.name};latest;Kubernetes"


def _cluster(of: Workload, to: Workload) -> Any:
    return of.clusters.get(to.name) or built.auto_mutual(to.host, 80, [to.account])


def _pod(of: Workload, number: int) -> Pod:
    told = {"service_account": of.name, "owner": f"ReplicaSet/{of.name}", **of.pod}
    pod = make.pod(of.name, namespace=of.namespace, **told)
    app = make.container("app", tcp_ports=(PORT,))
    containers = tuple(app if each.name == "app" else each for each in pod.containers)
    return replace(pod, ip=f"10.0.0.{number}", spec=replace(pod.spec, **({"containers": containers} | dict(of.spec))))


def ends(*workloads: Workload) -> Ends:
    return Ends(mesh(*workloads))


def between(table: Table, client: str, server: str) -> list[Row]:
    """The rows whose examples have a way from one workload to another; with one client and server a row, all of them."""
    return [row for row in table.rows if any((w.client.name, w.server.name) == (client, server) for w in row.examples)]


def seen(of: Ends, client: str, server: str, ended: Ended = Ended.MUTUAL, port: int = PORT) -> SeenHandshake:
    """An entry of a ledger."""
    refs = {pod.name: pod.ref for pod in of.mesh.pods}
    return SeenHandshake(refs[client], refs[server], port, ended, "200", NOW, (f"ev-{client}-{server}",))
