"""Istio of an install: the mesh, its injection, its gateways, and istiod's own CA."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from facts.document import Absent
from facts.errors import CouldNotTell
from facts.evidence import readings
from facts.istio.control_planes import ControlPlanes, PodsOfPlanes, asks_for
from facts.istio.gateway_api import GatewayClass
from facts.istio.gateways import Gateway, gateways_of
from facts.istio.injection import DryRun
from facts.istio.istio_ca import CONFIG_MAP, KEPT, IstioAuthorities, parse_istio_authorities
from facts.istio.mesh import DEFAULT_REVISION, Mesh
from facts.istio.services import Ingress, Service, ingress_of
from facts.kubernetes.objects import Pod
from facts.kubernetes.pod_spec import INJECT, TEMPLATES
from facts.kubernetes.workloads import Deployment
from facts.proxies.identity import Fleet
from observe.istio.mesh import read_control_planes
from observe.kubernetes.facet import ClusterFacet
from observe.proxies.facet import ProxiesFacet
from observe.readings import Key, of_each

CONTROL_PLANES: Key[ControlPlanes] = Key("control_planes", lambda planes: planes.evidence, ("istio",))
DRY_RUN: Key[DryRun] = Key("dry_run", lambda answer: answer.evidence, ("app",))
CONTROL: Key[DryRun] = Key("control_dry_run", lambda answer: answer.evidence, ("app",))
ISTIO_AUTHORITIES: Key[IstioAuthorities] = Key("istio_authorities", lambda found: found.evidence)
SERVICES: Key[tuple[Service, ...]] = Key("services", of_each)
GATEWAY_CLASSES: Key[tuple[GatewayClass, ...]] = Key("gateway_classes", of_each)


@dataclass(frozen=True, slots=True)
class IstioFacet:
    """Readings of Istio.

    Attributes:
        proxies: The proxies, the gateways' among them.
    """

    cluster: ClusterFacet
    proxies: ProxiesFacet

    def planes(self) -> ControlPlanes:
        """All control planes, without gateways that istiod deployed for the suite."""
        return self.cluster.once(CONTROL_PLANES, self._read_planes)

    def _read_planes(self) -> ControlPlanes:
        planes = read_control_planes(self.cluster.reader, self.cluster.names)
        # A list of its own: the cached one must be younger than the pods, and these may not be read yet.
        return planes.with_gateways_outside(self.cluster.scratch_among(self.cluster.reader.namespaces()))

    def mesh_of_the_application(self) -> Mesh | None:
        """The control plane of the suite's own pods: of several the one that injects the test application's namespace.

        None where there are several, and neither that namespace nor a default revision says which.

        Raises:
            CouldNotTell: The configuration of the one that is meant could not be read.
        """
        planes, app = self.planes(), self.cluster.names.app_namespace
        if planes.only is not None:
            return planes.only
        of_app = [asks_for(namespace.labels, {}) for namespace in self.cluster.namespaces() if namespace.name == app]
        for name in (*of_app, DEFAULT_REVISION):
            if (unread := planes.unread_called(name)) is not None:
                raise unread.why  # another one would answer for it
            if (found := planes.called(name)) is not None:
                return found
        return None

    def mesh(self) -> Mesh:
        """The control plane of the suite's own pods.

        Raises:
            CouldNotTell: There are several, and neither the test application's namespace nor a default revision says which;
                or the configuration of the one that is meant could not be read.
        """
        found, planes, app = self.mesh_of_the_application(), self.planes(), self.cluster.names.app_namespace
        if found is None:
            raise CouldNotTell(
                expected=f"the revision that injects the namespace {app}, or a default one, for the suite's own pods",
                seen=f"neither, and the revisions {', '.join(sorted(plane.revision for plane in planes))}",
                where=f"labels of Namespace {app}, tags of Istio's revisions",
                remedy="name a namespace with the label istio.io/rev in the settings (`names.app_namespace`)",
            )
        return found

    def pods_of_planes(self) -> PodsOfPlanes:
        """The pods with a proxy, by the control plane that injected them."""
        return self.planes().sorted_out(self.proxies.pods(), self.cluster.namespaces())

    def surveyed_pods_of_planes(self) -> PodsOfPlanes:
        """The same, with the pods that went away after the survey had asked them."""
        pods = {pod.uid: pod for pod in (*self.proxies.surveyed_pods(), *self.proxies.pods())}
        return self.planes().sorted_out(pods.values(), self.cluster.namespaces())

    def authorities(self) -> IstioAuthorities:
        """The authorities of the CAs of all istiods."""
        return self.cluster.once(ISTIO_AUTHORITIES, self._read_authorities)

    def _read_authorities(self) -> IstioAuthorities:
        read = [self._authorities_in(namespace) for namespace in self.namespaces()]
        return IstioAuthorities(tuple(dict.fromkeys(a for each in read for a in each.authorities)), readings(*read))

    def _authorities_in(self, namespace: str) -> IstioAuthorities:
        found = self.cluster.reader.config_map(namespace, CONFIG_MAP, KEPT)
        if isinstance(found, Absent):
            raise CouldNotTell(
                expected="istiod's own root certificates, which no certificate from Teleport may descend from",
                seen=str(found),
                where=str(found.subject),
                remedy="see whether istiod runs; it keeps that ConfigMap in every namespace",
            )
        return parse_istio_authorities(found)

    def namespaces(self) -> tuple[str, ...]:
        """Namespaces of Istio; the one in the settings where the suite cannot find it."""
        try:
            return tuple(dict.fromkeys(plane.namespace for plane in self.planes()))
        except CouldNotTell:
            return (self.cluster.names.istio_namespace,)

    def namespace(self) -> str:
        """Namespace of Istio; of several the one in the settings, or the first."""
        return self.namespaces()[0]

    # Injection.

    def injection_template(self) -> str:
        """Name of the injection template that mounts the node's socket."""
        return self.mesh().socket_template(self.cluster.names.injection_template)

    def dry_run(self, sidecar: str) -> DryRun:
        """The API server's answer to a dry run of a pod with the guide's templates.

        Args:
            sidecar: Value of the pod's annotation ``sidecar.istio.io/nativeSidecar``; empty for none.
        """
        annotations = {TEMPLATES: f"sidecar,{self.injection_template()}"}
        if sidecar:
            annotations["sidecar.istio.io/nativeSidecar"] = sidecar
        return self.cluster.once(DRY_RUN.narrowed(sidecar), lambda: self._submitted({"annotations": annotations}))

    def control_of(self, dry_run: DryRun) -> DryRun | None:
        """The API server's answer to the same pod without injection, if it refuses the injected one; None if it does not."""
        if dry_run.accepted:
            return None
        return self.cluster.once(CONTROL, lambda: self._submitted({"labels": {INJECT: "false"}}))

    def _submitted(self, metadata: dict[str, object]) -> DryRun:
        injector = self.mesh().injector
        pod = _pod(metadata, f"{injector.hub}/proxyv2:{injector.tag}")
        return self.cluster.reader.dry_run_pod(self.dry_run_namespace() or self.cluster.names.app_namespace, pod)

    def dry_run_namespace(self) -> str:
        """The namespace of dry runs: the test application's, or another one that `mesh` injects; empty without any."""
        namespaces, mesh = self.cluster.namespaces_of_install(), self.mesh()
        if any(each.name == self.cluster.names.app_namespace for each in namespaces):
            return self.cluster.names.app_namespace
        return next((each.name for each in namespaces if self.planes().injecting(each) is mesh), "")

    def proxy_image(self) -> str:
        """The image of the mesh's proxies."""
        pods = next((pods for plane, pods in self.pods_of_planes().of_each if plane is self.mesh()), ())
        injected = [p.proxy.image for p in pods if p.proxy is not None]
        if injected:
            return injected[0]
        injector = self.mesh().injector
        return f"{injector.hub}/proxyv2:{injector.tag}"

    # Gateways.

    def ingress_gateways(self) -> tuple[Gateway, ...]:
        """The mesh's ingress gateways with any controller, without those that istiod deployed for the Gateway API.

        One that is scaled to 0 takes no traffic, and is none until it is scaled up.
        """
        running = [w for w in self.planes().gateways if not (isinstance(w, Deployment) and w.is_at_zero)]
        return tuple(g for g in gateways_of(running, self.proxies.pods()) if g.is_ingress)

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
        gateways = self.ingress_gateways()
        return self.proxies.fleet_where(lambda pod: any(gateway.has(pod) for gateway in gateways))

    def gateway_classes(self) -> tuple[GatewayClass, ...]:
        """The cluster's GatewayClasses; none where it does not know the Gateway API."""
        if self.cluster.gateway_api().document is None:
            return ()
        return self.cluster.once(GATEWAY_CLASSES, self.cluster.reader.gateway_classes)

    def _services(self, namespace: str) -> tuple[Service, ...]:
        return self.cluster.once(SERVICES.narrowed(namespace), lambda: self.cluster.reader.services(namespace))


def _pod(metadata: Mapping[str, object], image: str) -> dict[str, object]:
    """A pod like the guide's test application, which the usual policies of a cluster admit.

    Args:
        metadata: Labels or annotations about injection.
        image: An image from the registry that the mesh's own images come from.
    """
    quantities = {"cpu": "10m", "memory": "16Mi"}
    container = {
        "name": "app",
        "image": image,
        "resources": {"requests": quantities, "limits": quantities},
        "securityContext": {
            "runAsNonRoot": True,  # without a number: some platforms have their own for each namespace
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "conformance-dry-run-", **metadata},
        "spec": {
            "automountServiceAccountToken": False,
            "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [container],
        },
    }
