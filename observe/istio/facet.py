"""Istio of an install: the mesh, its injection, its gateways, and istiod's own CA."""

from __future__ import annotations

from dataclasses import replace

from facts.document import Absent
from facts.errors import CouldNotTell
from facts.istio.gateway_api import GatewayClass
from facts.istio.gateways import Gateway, gateways_of
from facts.istio.injection import DryRun
from facts.istio.istio_ca import CONFIG_MAP, IstioAuthorities, parse_istio_authorities
from facts.istio.mesh import Mesh
from facts.istio.services import Ingress, Service, ingress_of
from facts.kubernetes.objects import Pod
from facts.proxies.identity import Fleet
from observe.istio.mesh import read_mesh
from observe.kubernetes.facet import ClusterFacet
from observe.proxies.facet import ProxiesFacet
from observe.readings import Key, Readings, all_of
from settings import Names

MESH: Key[Mesh] = Key("mesh", lambda mesh: mesh.evidence)
DRY_RUN: Key[DryRun] = Key("dry_run", lambda answer: answer.evidence)
ISTIO_AUTHORITIES: Key[IstioAuthorities] = Key("istio_authorities", lambda found: found.evidence)
SERVICES: Key[tuple[Service, ...]] = Key("services", lambda found: all_of(s.evidence for s in found))
GATEWAY_CLASSES: Key[tuple[GatewayClass, ...]] = Key("gateway_classes", lambda found: all_of(c.evidence for c in found))


class IstioFacet:
    """Readings of Istio.

    Args:
        cluster: The cluster.
        proxies: The proxies, the gateways' among them.
        readings: The cache.
        names: The guide's names, or discovered ones.
    """

    def __init__(self, cluster: ClusterFacet, proxies: ProxiesFacet, readings: Readings, names: Names) -> None:
        self._cluster = cluster
        self._proxies = proxies
        self._readings = readings
        self._names = names

    def mesh(self) -> Mesh:
        """Istio as it is installed; gateways that a run has had deployed for itself are not among its gateways."""
        self._readings.need("istio")
        return self._readings.once(MESH, self._read_mesh)

    def _read_mesh(self) -> Mesh:
        mesh = read_mesh(self._cluster.reader, self._names)
        # A list of its own: the one that pods are held against must be younger than they are.
        scratch = self._cluster.scratch_among(self._cluster.reader.namespaces())
        return replace(mesh, gateways=tuple(g for g in mesh.gateways if g.namespace not in scratch))

    def authorities(self) -> IstioAuthorities:
        """The authorities of istiod's own CA."""
        return self._readings.once(ISTIO_AUTHORITIES, self._read_authorities)

    def _read_authorities(self) -> IstioAuthorities:
        found = self._cluster.reader.config_map(self.mesh().namespace, CONFIG_MAP)
        if isinstance(found, Absent):
            raise CouldNotTell(
                expected="istiod's own root certificates, which no certificate from Teleport may descend from",
                seen=str(found),
                where=str(found.subject),
                remedy="see whether istiod runs; it keeps that ConfigMap in every namespace",
            )
        return parse_istio_authorities(found)

    # Injection.

    def injection_template(self) -> str:
        """Name of the injection template that mounts the node's socket."""
        return self.mesh().socket_template(self._names.injection_template)

    def dry_run(self, sidecar: str) -> DryRun:
        """Has the API server inject and validate a pod with the guide's templates, without creating it.

        Args:
            sidecar: Value of the pod's annotation ``sidecar.istio.io/nativeSidecar``; empty for none.
        """
        self._readings.need("app")
        return self._readings.once(
            DRY_RUN.narrowed(sidecar),
            lambda: self._cluster.reader.dry_run_pod(self._names.app_namespace, _pod(self.injection_template(), sidecar)),
        )

    def proxy_image(self) -> str:
        """The image of the mesh's proxies."""
        injected = [p.proxy.image for p in self._proxies.pods() if p.proxy is not None]
        if injected:
            return injected[0]
        injector = self.mesh().injector
        return f"{injector.hub}/proxyv2:{injector.tag}"

    # Gateways.

    def ingress_gateways(self) -> tuple[Gateway, ...]:
        """The mesh's ingress gateways, whatever runs them; none that istiod has deployed for the Gateway API."""
        return tuple(g for g in gateways_of(self.mesh().gateways, self._proxies.pods()) if g.is_ingress)

    def ingress(self) -> Ingress | None:
        """The first ingress gateway that takes plain HTTP, with its Service; None where none does."""
        for gateway in self.ingress_gateways():
            found = ingress_of(gateway, self._services(gateway.namespace))
            if found is not None:
                return found
        return None

    def gateway_pods(self, gateway: Gateway) -> tuple[Pod, ...]:
        """The pods of a gateway, on their way out excepted."""
        return tuple(p for p in self._proxies.pods() if gateway.has(p))

    def gateway_fleet(self) -> Fleet:
        """The identities of the ingress gateways' proxies."""
        return self._proxies.fleet_of(pod for gateway in self.ingress_gateways() for pod in self.gateway_pods(gateway))

    def gateway_classes(self) -> tuple[GatewayClass, ...]:
        """The cluster's classes of gateways of the Gateway API; none where it does not know it."""
        if self._cluster.gateway_api().document is None:
            return ()
        return self._readings.once(GATEWAY_CLASSES, self._cluster.reader.gateway_classes)

    def _services(self, namespace: str) -> tuple[Service, ...]:
        return self._readings.once(SERVICES.narrowed(namespace), lambda: self._cluster.reader.services(namespace))


def _pod(template: str, sidecar: str) -> dict[str, object]:
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
