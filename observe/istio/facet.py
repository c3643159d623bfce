"""Istio of an install: the mesh, its injection, its gateways, and istiod's own CA."""

from __future__ import annotations

from dataclasses import dataclass, replace

from facts.document import Absent
from facts.errors import CouldNotTell
from facts.istio.gateway_api import GatewayClass
from facts.istio.gateways import Gateway, gateways_of
from facts.istio.injection import DryRun
from facts.istio.istio_ca import CONFIG_MAP, KEPT, IstioAuthorities, parse_istio_authorities
from facts.istio.mesh import Mesh
from facts.istio.services import Ingress, Service, ingress_of
from facts.kubernetes.objects import Pod
from facts.kubernetes.pod_spec import TEMPLATES
from facts.kubernetes.workloads import Deployment
from facts.proxies.identity import Fleet
from observe.istio.mesh import read_mesh
from observe.kubernetes.facet import ClusterFacet
from observe.proxies.facet import ProxiesFacet
from observe.readings import Key, of_each

MESH: Key[Mesh] = Key("mesh", lambda mesh: mesh.evidence, ("istio",))
DRY_RUN: Key[DryRun] = Key("dry_run", lambda answer: answer.evidence, ("app",))
ISTIO_AUTHORITIES: Key[IstioAuthorities] = Key("istio_authorities", lambda found: found.evidence)
SERVICES: Key[tuple[Service, ...]] = Key("services", of_each)
GATEWAY_CLASSES: Key[tuple[GatewayClass, ...]] = Key("gateway_classes", of_each)


@dataclass(frozen=True, slots=True)
class IstioFacet:
    """Readings of Istio.

    Attributes:
        cluster: The cluster.
        proxies: The proxies, the gateways' among them.
    """

    cluster: ClusterFacet
    proxies: ProxiesFacet

    def mesh(self) -> Mesh:
        """Istio as it is installed, without gateways that istiod deployed for the suite."""
        return self.cluster.once(MESH, self._read_mesh)

    def _read_mesh(self) -> Mesh:
        mesh = read_mesh(self.cluster.reader, self.cluster.names)
        # A list of its own: the cached one must be younger than the pods, and these may not be read yet.
        scratch = self.cluster.scratch_among(self.cluster.reader.namespaces())
        return replace(mesh, gateways=tuple(g for g in mesh.gateways if g.namespace not in scratch))

    def authorities(self) -> IstioAuthorities:
        """The authorities of istiod's own CA."""
        return self.cluster.once(ISTIO_AUTHORITIES, self._read_authorities)

    def _read_authorities(self) -> IstioAuthorities:
        found = self.cluster.reader.config_map(self.mesh().namespace, CONFIG_MAP, KEPT)
        if isinstance(found, Absent):
            raise CouldNotTell(
                expected="istiod's own root certificates, which no certificate from Teleport may descend from",
                seen=str(found),
                where=str(found.subject),
                remedy="see whether istiod runs; it keeps that ConfigMap in every namespace",
            )
        return parse_istio_authorities(found)

    def namespace(self) -> str:
        """Namespace of Istio; the one in the settings where the suite cannot find it."""
        try:
            return self.mesh().namespace
        except CouldNotTell:
            return self.cluster.names.istio_namespace

    # Injection.

    def injection_template(self) -> str:
        """Name of the injection template that mounts the node's socket."""
        return self.mesh().socket_template(self.cluster.names.injection_template)

    def dry_run(self, sidecar: str) -> DryRun:
        """The API server's answer to a dry run of a pod with the guide's templates.

        Args:
            sidecar: Value of the pod's annotation ``sidecar.istio.io/nativeSidecar``; empty for none.
        """
        return self.cluster.once(
            DRY_RUN.narrowed(sidecar),
            lambda: self.cluster.reader.dry_run_pod(
                self.cluster.names.app_namespace, _pod(self.injection_template(), sidecar)
            ),
        )

    def proxy_image(self) -> str:
        """The image of the mesh's proxies."""
        injected = [p.proxy.image for p in self.proxies.pods() if p.proxy is not None]
        if injected:
            return injected[0]
        injector = self.mesh().injector
        return f"{injector.hub}/proxyv2:{injector.tag}"

    # Gateways.

    def ingress_gateways(self) -> tuple[Gateway, ...]:
        """The mesh's ingress gateways with any controller, without those that istiod deployed for the Gateway API.

        One that its owner scaled to 0 is none.
        """
        wanted = (g for g in self.mesh().gateways if not (isinstance(g, Deployment) and g.is_at_zero))
        return tuple(g for g in gateways_of(wanted, self.proxies.pods()) if g.is_ingress)

    def ingress(self) -> Ingress | None:
        """The first ingress gateway that takes plain HTTP, with its Service; None where none does."""
        for gateway in self.ingress_gateways():
            found = ingress_of(gateway, self._services(gateway.namespace))
            if found is not None:
                return found
        return None

    def gateway_pods(self, gateway: Gateway) -> tuple[Pod, ...]:
        """The living pods of a gateway."""
        return tuple(p for p in self.proxies.pods() if gateway.has(p))

    def gateway_fleet(self) -> Fleet:
        """The identities of the ingress gateways' proxies."""
        return self.proxies.fleet_of(pod for gateway in self.ingress_gateways() for pod in self.gateway_pods(gateway))

    def gateway_classes(self) -> tuple[GatewayClass, ...]:
        """The cluster's GatewayClasses; none where it does not know the Gateway API."""
        if self.cluster.gateway_api().document is None:
            return ()
        return self.cluster.once(GATEWAY_CLASSES, self.cluster.reader.gateway_classes)

    def _services(self, namespace: str) -> tuple[Service, ...]:
        return self.cluster.once(SERVICES.narrowed(namespace), lambda: self.cluster.reader.services(namespace))


def _pod(template: str, sidecar: str) -> dict[str, object]:
    """A pod as the guide's test application has it."""
    annotations = {TEMPLATES: f"sidecar,{template}"}
    if sidecar:
        annotations["sidecar.istio.io/nativeSidecar"] = sidecar
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "conformance-dry-run-", "annotations": annotations},
        "spec": {"containers": [{"name": "app", "image": "conformance.invalid/none:none"}]},
    }
