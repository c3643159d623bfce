"""What was observed of the install goes on the first page: versions, nodes, images, and who issued the identities."""

from __future__ import annotations

from collections.abc import Sequence

from facts.istio.mesh import Mesh, image_tag
from facts.kubernetes.objects import Node, Pod
from facts.proxies.identity import Fleet
from facts.teleport.resources import BotInstance, Ping
from facts.teleport.tbot import Tbot
from facts.versions import Version
from judge.verdict import Authority
from reporting.collecting.store import Store

STAND_IN = "The identities come from the lab's stand-in for Teleport. This run is a rehearsal: it certifies nothing."


def note_ping(store: Store, ping: Ping) -> None:
    """Who issues the identities: Teleport, unless its proxy says of itself that it is the stand-in."""
    store.note_run_fact("authority", Authority.STAND_IN if ping.stand_in else Authority.TELEPORT)
    store.note_run_fact("authority_detail", STAND_IN if ping.stand_in else f"Teleport cluster {ping.cluster_name}")
    store.note_run_fact("teleport_version", str(ping.server_version))


def note_cluster(store: Store, api_server: str, version: Version | None, nodes: Sequence[Node]) -> None:
    """Kubernetes, by the address and version of its API server and by its kubelets."""
    store.note_run_fact("api_server", api_server)
    if version is not None:
        store.note_run_fact("kubernetes_version", str(version))
    if nodes:
        store.note_run_fact("node_versions", tuple(f"{n.name} {n.kubelet_version}" for n in nodes))


def note_mesh(store: Store, mesh: Mesh) -> None:
    """Istio, by its mesh configuration and istiod's image."""
    store.note_run_fact("trust_domain", mesh.trust_domain)
    versions = sorted({t for t in mesh.image_tags.values() if t})
    if versions:
        store.note_run_fact("istio_version", ", ".join(versions))


def note_tbot(store: Store, tbot: Tbot, instances: Sequence[BotInstance]) -> None:
    """tbot, by the heartbeats of its instances, else by its image's tag."""
    beats = sorted({str(i.version) for i in instances if i.version is not None})
    store.note_run_fact("tbot_version", ", ".join(beats) or image_tag(tbot.image) or "unknown")


def note_fleet(store: Store, fleet: Fleet) -> None:
    """Envoy, by what the proxies say of themselves."""
    versions = sorted({str(p.envoy_version) for p in fleet.proxies})
    if versions:
        store.note_run_fact("envoy_version", ", ".join(versions))


def note_images(store: Store, pods: Sequence[Pod]) -> None:
    """Every image that runs in the pods, with the digest that the runtime resolved it to."""
    for pod in pods:
        for container in pod.containers:
            digest = container.image_id.partition("@")[2] or container.image_id
            store.note_image(container.name, container.image, digest)
