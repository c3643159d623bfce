"""Reader of Istio: the mesh configurations, injectors, control planes and gateways of all revisions, and the tags."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from facts.document import Absent
from facts.errors import CouldNotTell
from facts.evidence import readings
from facts.istio.control_planes import ControlPlanes, UnreadPlane, tags_of
from facts.istio.mesh import (
    DEFAULT_REVISION,
    KEPT_OF_INJECTOR,
    KEPT_OF_MESH,
    Mesh,
    of_revision,
    parse_injector,
    parse_mesh_config,
)
from facts.kubernetes.objects import ConfigMap
from facts.kubernetes.pod_spec import REVISION
from facts.kubernetes.workloads import DaemonSet, Deployment
from observe.kubernetes.cluster import Cluster
from settings import Names


def read_control_planes(cluster: Cluster, names: Names) -> ControlPlanes:
    """Reads Istio's control planes in a cluster: istiod of any revision, in any namespace, by the label of its Deployment.

    Args:
        names: Name the namespace of istiod where none runs. Where one revision runs in several namespaces, the one there is
            the one that pods of that revision belong to.

    Raises:
        CouldNotTell: There is no Istio, or the configuration of no istiod can be read; or one revision is in several
            namespaces, and none of them is the one that is named.
    """
    everywhere = cluster.deployments()
    workloads: tuple[Deployment | DaemonSet, ...] = (*everywhere, *cluster.daemon_sets())
    webhooks = cluster.mutating_webhooks()
    istiods: dict[tuple[str, str], list[Deployment]] = {}
    for deployment in everywhere:
        if deployment.labels.get("app") == "istiod":
            where = deployment.namespace, deployment.labels.get(REVISION) or DEFAULT_REVISION
            istiods.setdefault(where, []).append(deployment)
    found = istiods or {(names.istio_namespace, DEFAULT_REVISION): []}
    _must_be_told_apart(found, names.istio_namespace)
    # The default revision in the namespace that is named comes first, then what else is there.
    order = sorted(found, key=lambda of: (of[0] != names.istio_namespace, of[1] != DEFAULT_REVISION, of))
    read = [_read_plane(cluster, *where, tuple(found[where]), workloads) for where in order]
    meshes = tuple(plane for plane in read if isinstance(plane, Mesh))
    unread = tuple(plane for plane in read if isinstance(plane, UnreadPlane))
    if not meshes:
        raise unread[0].why
    planes = ControlPlanes(meshes, tags_of(webhooks), readings(*workloads, *webhooks, *meshes), unread)
    return planes.with_gateways(workload for workload in workloads if workload.template.is_gateway)


def _read_plane(
    cluster: Cluster,
    namespace: str,
    revision: str,
    istiod: tuple[Deployment, ...],
    workloads: tuple[Deployment | DaemonSet, ...],
) -> Mesh | UnreadPlane:
    of_injector = of_revision("istio-sidecar-injector", revision)
    try:
        config = parse_mesh_config(_must_be(cluster.config_map(namespace, of_revision("istio", revision), KEPT_OF_MESH)))
        injector = parse_injector(_must_be(cluster.config_map(namespace, of_injector, KEPT_OF_INJECTOR)))
    except CouldNotTell as error:
        return UnreadPlane(namespace, revision, error)
    return Mesh(namespace, revision, config, injector, istiod, (), readings(*workloads, config, injector))


def _must_be_told_apart(found: Mapping[tuple[str, str], object], named: str) -> None:
    """Refuses a revision that runs in several namespaces, none of which is the one that is named."""
    for revision in {revision for _namespace, revision in found}:
        namespaces = _namespaces_of(revision, found)
        if len(namespaces) > 1 and named not in namespaces:
            raise CouldNotTell(
                expected=f"istiod in {named}, or each revision of it in one namespace alone",
                seen=f"Deployments with app=istiod in {', '.join(namespaces)}, all of the revision {revision}",
                where="all namespaces",
                remedy="name the namespace of the one that is meant in the settings (`names.istio_namespace`)",
            )


def _namespaces_of(revision: str, found: Iterable[tuple[str, str]]) -> list[str]:
    return sorted(namespace for namespace, each in found if each == revision)


def _must_be(found: ConfigMap | Absent) -> ConfigMap:
    if isinstance(found, Absent):
        raise CouldNotTell(
            expected=f"Istio's {found.subject}",
            seen="it does not exist",
            where=str(found.subject),
            remedy="install Istio, or name its namespace in the settings (`names.istio_namespace`)",
        )
    return found
