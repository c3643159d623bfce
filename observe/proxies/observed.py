"""The mesh of an install, as something to read: Istio, tbot, the pods, their proxies, and the gateways."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from facts.document import Absent
from facts.errors import CouldNotTell
from facts.istio.gateway_api import GatewayClass
from facts.istio.gateways import Gateway, gateways_of
from facts.istio.injection import DryRun
from facts.istio.istio_ca import CONFIG_MAP, IstioAuthorities, parse_istio_authorities
from facts.istio.mesh import Mesh
from facts.istio.services import Ingress, Service, ingress_of
from facts.kubernetes.objects import Labelled, Node, Pod
from facts.kubernetes.workloads import CronJob, Deployment
from facts.proxies.identity import Fleet, Normalization, ProxyIdentity, Unread
from facts.proxies.mounts import SocketMount
from facts.proxies.pushes import Pushes
from facts.teleport.tbot import KubeletAddress, Tbot
from observe.mesh import read_mesh
from observe.premises import Premises
from observe.proxies.envoy import read_fleet, read_normalizations, read_pushes
from observe.proxies.mounts import read_socket_mounts
from observe.readings import all_of
from observe.teleport.tbot import read_tbot
from observe.wait import wait_until


class Proxies(Premises):
    """Istio, tbot, pods and proxies.

    Args:
        is_scratch: Whether a namespace is one that a run made for pods of its own, which are no part of the install.
        progress: Told how many proxies were read, and of how many.
        premises: What `Premises` takes.
    """

    def __init__(
        self, *, is_scratch: Callable[[Labelled], bool], progress: Callable[[int, int], None] | None, **premises: Any
    ) -> None:
        super().__init__(**premises)
        self._is_scratch = is_scratch
        self._progress = progress

    # Istio and tbot.

    def mesh(self) -> Mesh:
        """Istio, as it is installed; gateways that a run has had deployed for itself are not among its gateways."""
        self._need("istio")
        return self._once("mesh", self._read_mesh, lambda mesh: mesh.evidence)

    def _read_mesh(self) -> Mesh:
        mesh = read_mesh(self.cluster, self.names)
        # A list of its own: the one that pods are held against must be younger than they are.
        scratch = self._scratch(self.cluster.namespaces())
        return replace(mesh, gateways=tuple(g for g in mesh.gateways if g.namespace not in scratch))

    def injection_template(self) -> str:
        """Name of the injection template that mounts the node's socket."""
        return self.mesh().socket_template(self.names.injection_template)

    def tbot(self) -> Tbot:
        """tbot, as it is installed."""
        self._need("tbot")
        return self._once("tbot", lambda: read_tbot(self.cluster, self.names), lambda tbot: tbot.evidence)

    def kubelet_address(self) -> KubeletAddress:
        """Where tbot dials its kubelet; as the guide's tbot would, where there is none yet to be read."""
        try:
            return self.tbot().kubelet_address
        except CouldNotTell:  # which the requirements on tbot say; a node can be fit for one that is still to come
            return KubeletAddress()

    def socket_directory(self) -> str:
        """Directory on the node in which tbot listens."""
        return self.tbot().socket_on_node.rpartition("/")[0] or self.names.socket_directory

    def socket_name(self) -> str:
        """File name of tbot's socket."""
        return self.tbot().socket_on_node.rpartition("/")[2] or self.names.socket_name

    def dry_run(self, sidecar: str) -> DryRun:
        """Has the API server inject and validate a pod with the guide's templates, without creating it.

        Args:
            sidecar: Value of the pod's annotation ``sidecar.istio.io/nativeSidecar``; empty for none.
        """
        self._need("app")
        return self._once(
            f"dry_run {sidecar}",
            lambda: self.cluster.dry_run_pod(self.names.app_namespace, _pod(self.injection_template(), sidecar)),
            lambda answer: answer.evidence,
        )

    # Pods and proxies.

    def all_pods(self) -> tuple[Pod, ...]:
        """All pods of the cluster, once everything that this run brings up is there: the gateway as well."""
        self._need("istio")
        self._need("app")
        return self._once("pods", self.cluster.pods, lambda pods: all_of(p.evidence for p in pods))

    def namespaces(self) -> tuple[Labelled, ...]:
        """All namespaces."""
        self._need("cluster")
        return self._once("namespaces", self.cluster.namespaces, lambda found: all_of(n.evidence for n in found))

    def _scratch(self, namespaces: Iterable[Labelled]) -> frozenset[str]:
        """Namespaces of runs. They are listed after what may be in them: one that is not there yet holds nothing."""
        return frozenset(n.name for n in namespaces if self._is_scratch(n))

    def living_pods(self) -> tuple[Pod, ...]:
        """Pods of the install that have not ended and are not on their way out; a run's own pods are not among them."""
        pods = self.all_pods()
        scratch = self._scratch(self.namespaces())
        return tuple(p for p in pods if not (p.terminating or p.has_ended or p.namespace in scratch))

    def injected_pods(self) -> tuple[Pod, ...]:
        """Living pods with an istio-proxy, gateways included."""
        return tuple(p for p in self.living_pods() if p.is_injected and p.node)

    def sidecar_pods(self) -> tuple[Pod, ...]:
        """Living pods with a sidecar; gateways are not among them."""
        return tuple(p for p in self.injected_pods() if not p.is_gateway)

    def pods_evidence(self) -> tuple[str, ...]:
        """The reading of all pods: also what shows that there is none of a kind."""
        return all_of(p.evidence for p in self.all_pods())

    def injected_by_node(self) -> Mapping[str, Sequence[Pod]]:
        """Injected pods by node."""
        by_node: dict[str, list[Pod]] = {}
        for pod in self.injected_pods():
            by_node.setdefault(pod.node, []).append(pod)
        return by_node

    def proxy_image(self) -> str:
        """The image of the mesh's proxies."""
        injected = [p.proxy.image for p in self.injected_pods() if p.proxy is not None]
        if injected:
            return injected[0]
        injector = self.mesh().injector
        return f"{injector.hub}/proxyv2:{injector.tag}"

    def app_pods(self) -> tuple[Pod, ...]:
        """Pods of the test application, those that ended or are on their way out excepted."""
        return tuple(
            p
            for p in self.all_pods()
            if p.namespace == self.names.app_namespace
            and p.labels.get("app") == self.names.app
            and not (p.terminating or p.has_ended)
        )

    def app_deployment(self) -> Deployment | Absent:
        """The Deployment of the test application, which says how many pods are wanted."""
        self._need("app")
        names = self.names
        return self._once(
            "app_deployment",
            lambda: self.cluster.deployment(names.app_namespace, names.app),
            lambda found: found.evidence,
        )

    def nodes_for_app(self) -> tuple[Node, ...]:
        """All nodes, where a pod of the test application names labels of one; else nobody has to be asked for them."""
        deployment = self.app_deployment()
        templates = [] if isinstance(deployment, Absent) else [deployment.template.spec]
        selectors = [spec.node_selector for spec in (*templates, *(pod.spec for pod in self.app_pods()))]
        return self.nodes() if any(selectors) else ()

    def app_where(self) -> str:
        """The test application, as a person names it."""
        return f"pods with app={self.names.app} in {self.names.app_namespace}"

    def app_evidence(self) -> tuple[str, ...]:
        """Readings of the test application's pods; of all pods where it has none."""
        return all_of(p.evidence for p in self.app_pods()) or self.pods_evidence()

    def fleet(self) -> Fleet:
        """The identity of every proxy."""
        pods = self.injected_pods()
        return self._once("fleet", lambda: read_fleet(self.cluster, pods, self._progress), lambda fleet: fleet.evidence)

    def sidecar_fleet(self) -> Fleet:
        """The identities of all sidecars."""
        return self._of(self.sidecar_pods())

    def app_fleet(self) -> Fleet:
        """The identities of the test application's proxies."""
        return self._of(self.app_pods())

    def fleet_on_sockets(self) -> Fleet:
        """The identities of the proxies that mount tbot's socket directory: those that are meant to use it."""
        return self._of(self.pods_on_sockets())

    def pods_on_sockets(self) -> tuple[Pod, ...]:
        """Injected pods that mount tbot's socket directory."""
        directory = self.socket_directory().rstrip("/")
        return tuple(
            p
            for p in self.injected_pods()
            if any(v.path.rstrip("/") == directory or v.driver == "csi.spiffe.io" for v in p.volumes)
        )

    def fleet_on_sockets_after(self, seconds: float) -> Fleet:
        """The same proxies as in `fleet_on_sockets`, read once more when so many seconds have passed since then."""
        first, pods = self.fleet_on_sockets(), self.pods_on_sockets()

        def read() -> Fleet:
            due = min((p.read_at for p in first.proxies), default=datetime.now(UTC)) + timedelta(seconds=seconds)
            wait_until(due)
            return read_fleet(self.cluster, pods, self._progress)

        return self._once(f"fleet after {seconds:g} s", read, lambda fleet: fleet.evidence)

    def pushes(self, proxies: Iterable[ProxyIdentity]) -> Mapping[str, Pushes | None]:
        """What the Envoys of some proxies say of what was sent to them, by uid of the pod."""
        wanted = {p.pod.uid for p in proxies}
        pods = [pod for pod in self.pods_on_sockets() if pod.uid in wanted]
        return {pod.uid: read_pushes(self.cluster, pod) for pod in pods}

    def cron_jobs(self) -> tuple[CronJob, ...]:
        """All CronJobs."""
        self._need("app")
        return self._once("cron_jobs", self.cluster.cron_jobs, lambda found: all_of(c.evidence for c in found))

    def socket_mounts(self) -> tuple[SocketMount, ...]:
        """The mount in effect of each pod of `pods_on_sockets`."""
        pods = self.pods_on_sockets()
        return self._once(
            "socket_mounts",
            lambda: read_socket_mounts(self.cluster, pods),
            lambda found: all_of(m.evidence for m in found),
        )

    def istio_authorities(self) -> IstioAuthorities:
        """The authorities of istiod's own CA."""

        def read() -> IstioAuthorities:
            found = self.cluster.config_map(self.mesh().namespace, CONFIG_MAP)
            if isinstance(found, Absent):
                raise CouldNotTell(
                    expected="istiod's own root certificates, which no certificate from Teleport may descend from",
                    seen=str(found),
                    where=str(found.subject),
                    remedy="see whether istiod runs; it keeps that ConfigMap in every namespace",
                )
            return parse_istio_authorities(found)

        return self._once("istio_authorities", read, lambda found: found.evidence)

    def ingress_gateways(self) -> tuple[Gateway, ...]:
        """The mesh's ingress gateways, whatever runs them; none that istiod has deployed for the Gateway API."""
        return tuple(g for g in gateways_of(self.mesh().gateways, self.injected_pods()) if g.is_ingress)

    def ingress(self) -> Ingress | None:
        """The first ingress gateway that takes plain HTTP, with its Service; None where none does."""
        for gateway in self.ingress_gateways():
            found = ingress_of(gateway, self._services(gateway.namespace))
            if found is not None:
                return found
        return None

    def _services(self, namespace: str) -> tuple[Service, ...]:
        return self._once(
            f"services {namespace}",
            lambda: self.cluster.services(namespace),
            lambda found: all_of(s.evidence for s in found),
        )

    def gateway_classes(self) -> tuple[GatewayClass, ...]:
        """The cluster's classes of gateways of the Gateway API; none where it does not know it."""
        if self.gateway_api().document is None:
            return ()
        return self._once("gateway_classes", self.cluster.gateway_classes, lambda found: all_of(c.evidence for c in found))

    def gateway_pods(self, gateway: Gateway) -> tuple[Pod, ...]:
        """The pods of a gateway, on their way out excepted."""
        return tuple(p for p in self.injected_pods() if gateway.has(p))

    def gateway_fleet(self) -> Fleet:
        """The identities of the ingress gateways' proxies."""
        return self._of([pod for gateway in self.ingress_gateways() for pod in self.gateway_pods(gateway)])

    def normalizations(self) -> tuple[Normalization | Unread, ...]:
        """Path normalization in force in every proxy."""
        pods = self.injected_pods()
        return self._once(
            "normalizations",
            lambda: read_normalizations(self.cluster, pods),
            lambda found: all_of(n.evidence for n in found if isinstance(n, Normalization)),
        )

    def _of(self, pods: Iterable[Pod]) -> Fleet:
        uids = {p.uid for p in pods}
        fleet = self.fleet()
        return Fleet(
            tuple(p for p in fleet.proxies if p.pod.uid in uids), tuple(u for u in fleet.unread if u.pod.uid in uids)
        )


def _pod(template: str, sidecar: str) -> dict[str, Any]:
    """A pod as the guide's test application has it."""
    annotations = {"inject.istio.io/templates": f"sidecar,{template}"}
    if sidecar:
        annotations["sidecar.istio.io/nativeSidecar"] = sidecar
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "conformance-dry-run-", "annotations": annotations},
        "spec": {"containers": [{"name": "app", "image": "conformance.invalid/none:none"}]},
    }
