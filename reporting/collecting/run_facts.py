"""The facts of the install on the report's first page: versions, nodes, images, and the issuer of the identities."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from facts.istio.control_planes import ControlPlanes
from facts.istio.mesh import image_tag
from facts.kubernetes.objects import Node, Pod
from facts.provider.agents import Agent
from facts.proxies.identity import Fleet
from facts.versions import Version
from judge.verdict import Authority
from providers.teleport.facts.resources import BotInstance, Ping
from reporting.model import Image, RunFacts

STAND_IN = "The identities come from the lab's stand-in for Teleport. This run is a rehearsal: it certifies nothing."


def run_facts(
    api_server: str,
    *,
    ping: Ping | None = None,
    version: Version | None = None,
    nodes: tuple[Node, ...] = (),
    planes: ControlPlanes | None = None,
    tbot: Agent | None = None,
    instances: tuple[BotInstance, ...] = (),
    fleet: Fleet | None = None,
    pods: tuple[Pod, ...] = (),
) -> RunFacts:
    """Facts of the install, from the readings that were made; what was not read stays empty.

    Args:
        api_server: URL of the Kubernetes API server.
        ping: Answer of Teleport's proxy; it says of itself if it is the stand-in.
        version: Of the API server.
        nodes: For the versions of their kubelets.
        planes: For their trust domains and the tags of istiod's images.
        tbot: For its image's tag, where no heartbeat has its version.
        instances: Heartbeats of tbot's instances.
        fleet: The proxies, each of which reports its version of Envoy.
        pods: For their images, with the digest that the runtime resolved each to.
    """
    stand_in = ping is not None and ping.stand_in
    authority = Authority.UNKNOWN if ping is None else Authority.STAND_IN if stand_in else Authority.TELEPORT
    images = {(c.name, c.image): Image(c.name, c.image, c.image_id.rpartition("@")[2]) for p in pods for c in p.containers}
    return RunFacts(
        authority=authority,
        authority_detail=STAND_IN if stand_in else f"Teleport cluster {ping.cluster_name}" if ping else "",
        api_server=api_server,
        kubernetes_version=str(version or ""),
        node_versions=tuple(f"{n.name} {n.kubelet_version}" for n in nodes),
        istio_version=_each(tag for plane in planes or () for tag in plane.image_tags.values()),
        envoy_version=_each(p.envoy_version for p in fleet.proxies) if fleet else "",
        teleport_version=str(ping.server_version) if ping else "",
        tbot_version=(_each(i.version for i in instances) or image_tag(tbot.image) or "unknown") if tbot else "",
        trust_domain=_each(plane.trust_domain for plane in planes or ()),
        images=tuple(images.values()),
    )


def silent_parts(nodes: tuple[Node, ...], pods: tuple[Pod, ...]) -> tuple[str, ...]:
    """Nodes that are not Ready, each with its pods: the parts of an install that the suite cannot look at, in words."""
    by_node = Counter(pod.node for pod in pods)
    return tuple(f"node {n.name} is not Ready, with its {by_node[n.name]} pods" for n in nodes if not n.ready)


def _each(versions: Iterable[Version | str | None]) -> str:
    return ", ".join(sorted({str(v) for v in versions if v}))
