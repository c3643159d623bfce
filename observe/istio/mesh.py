"""Reader of Istio: mesh configuration, injector, control plane and gateways."""

from __future__ import annotations

from facts.document import Absent
from facts.errors import CouldNotTell
from facts.evidence import readings
from facts.istio.mesh import KEPT_OF_INJECTOR, KEPT_OF_MESH, Mesh, parse_injector, parse_mesh_config
from facts.kubernetes.objects import ConfigMap
from facts.kubernetes.workloads import DaemonSet, Deployment
from observe.kubernetes.cluster import Cluster
from settings import Names

DEFAULT_REVISION = "default"


def read_mesh(cluster: Cluster, names: Names) -> Mesh:
    """Reads the Istio install of a cluster.

    Args:
        cluster: The cluster.
        names: Name the namespace to look for istiod first; the fallback is any namespace, by the label of its Deployment.
            The revision is found.

    Raises:
        CouldNotTell: There is no Istio, or there are several, or several revisions and none is the default one.
    """
    everywhere = cluster.deployments()
    of_istiod = [d for d in everywhere if d.labels.get("app") == "istiod"]
    namespace = _namespace([d.namespace for d in of_istiod], names.istio_namespace)
    istiod = [d for d in of_istiod if d.namespace == namespace]
    revision = _revision(istiod, namespace)
    suffix = "" if revision == DEFAULT_REVISION else f"-{revision}"
    mesh_map = _must_be(cluster.config_map(namespace, f"istio{suffix}", KEPT_OF_MESH))
    injector_map = _must_be(cluster.config_map(namespace, f"istio-sidecar-injector{suffix}", KEPT_OF_INJECTOR))
    config, injector = parse_mesh_config(mesh_map), parse_injector(injector_map)
    workloads: tuple[Deployment | DaemonSet, ...] = (*everywhere, *cluster.daemon_sets())
    return Mesh(
        namespace=namespace,
        revision=revision,
        config=config,
        injector=injector,
        istiod=tuple(d for d in istiod if d.labels.get("istio.io/rev", DEFAULT_REVISION) == revision),
        gateways=tuple(w for w in workloads if w.template.is_gateway),
        evidence=readings(*workloads, config, injector),
    )


def _namespace(found: list[str], named: str) -> str:
    """The namespace that istiod runs in; the one that the settings name, where no istiod runs."""
    namespaces = sorted(set(found))
    if named in namespaces or not namespaces:
        return named
    if len(namespaces) > 1:
        raise CouldNotTell(
            expected=f"istiod in {named}, or in one namespace alone",
            seen=f"Deployments with app=istiod in {', '.join(namespaces)}",
            where="all namespaces",
            remedy="name the namespace of the one that is meant in the settings (`names.istio_namespace`)",
        )
    return namespaces[0]


def _revision(istiod: list[Deployment], namespace: str) -> str:
    revisions = {d.labels.get("istio.io/rev", DEFAULT_REVISION) for d in istiod}
    if DEFAULT_REVISION in revisions or not revisions:
        return DEFAULT_REVISION
    if len(revisions) > 1:
        raise CouldNotTell(
            expected="one revision of Istio, or one that is the default",
            seen=f"revisions {', '.join(sorted(revisions))}",
            where=f"Deployments with app=istiod in {namespace}",
            remedy="finish the upgrade and remove the old revision, then run again",
        )
    return revisions.pop()


def _must_be(found: ConfigMap | Absent) -> ConfigMap:
    if isinstance(found, Absent):
        raise CouldNotTell(
            expected=f"Istio's {found.subject}",
            seen="it does not exist",
            where=str(found.subject),
            remedy="install Istio, or name its namespace in the settings (`names.istio_namespace`)",
        )
    return found
