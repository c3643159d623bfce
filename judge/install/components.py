"""Judgment about the releases of tbot and Istio: INST-16."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from facts.document import when
from facts.errors import CouldNotTell
from facts.evidence import ObjectRef, readings
from facts.finding import Finding, Problem
from facts.istio.control_planes import ControlPlanes
from facts.istio.mesh import image_tag
from facts.kubernetes.objects import Pod
from facts.provider.agents import Agent, Agents
from facts.versions import Version
from judge.explain.cause import causes_of_release
from judge.findings import Claim, listed
from providers.teleport.facts.resources import BotInstance


@dataclass(frozen=True, slots=True)
class Component:
    """A component, with its version as far as it is known.

    Attributes:
        name: ``tbot`` or ``istio``.
        where: The objects that run it.
        version: Exact version; None where only a floating tag is known.
        said: Source that tells the version, or fails to.
        evidence: Ids of the readings.
    """

    name: str
    where: tuple[ObjectRef, ...]
    version: Version | None
    said: str
    evidence: tuple[str, ...]


def tbot_components(tbot: Agent, instances: Sequence[BotInstance] | None) -> list[Component]:
    """The versions of tbot that run: each pod's by the exact tag of its image, by its heartbeat, or by both.

    A pod whose version neither tells is a component without one: under a floating tag two nodes may run two versions.

    Args:
        tbot: The installed tbot.
        instances: Instances of its bot; None without an admin session.
    """
    evidence = [*tbot.evidence]
    told: dict[tuple[Version | None, str], list[ObjectRef]] = {}
    # Beside a digest a tag is only a name: there the heartbeat alone tells the version.
    if not tbot.pods or exact_version(tbot.image) is not None:
        told[exact_version(tbot.image), f"image {tbot.image}"] = [tbot.daemon_set.ref]
    for pod in tbot.pods.values():
        runs = pod.spec.container(tbot.container.name)
        image = runs.image if runs else tbot.image
        version, beats = exact_version(image), heartbeats_of(pod, instances or (), host_network=tbot.host_network)
        if version is not None or not beats:
            told.setdefault((version, f"image {image}"), []).append(pod.ref)
        for beat in beats:
            told.setdefault((beat.version, "heartbeat"), []).append(pod.ref)
            evidence += beat.evidence
    return _components("tbot", told, evidence)


def of_tbots(tbots: Agents, instances: Sequence[BotInstance] | None) -> list[Component]:
    """The versions of every tbot that serves the mesh; see `tbot_components`."""
    return [component for tbot in tbots.each for component in tbot_components(tbot, instances)]


def heartbeats_of(pod: Pod, instances: Iterable[BotInstance], *, host_network: bool) -> list[BotInstance]:
    """Bot instances that may be the tbot of a pod: the pod's latest, or all those of its node since the pod was created."""
    own = [i for i in instances if i.version is not None and i.hostname == pod.name]
    if own:
        return [max(own, key=lambda i: i.last_heartbeat or datetime.min.replace(tzinfo=UTC))]
    if not host_network:
        return []
    # The host name is the node's: Teleport remembers instances of earlier pods there, and another tbot may run beside it.
    began = when(pod.created_at, str(pod.ref))
    return [i for i in instances if i.version and i.hostname == pod.node and (i.last_heartbeat or began) > began]


def istio_components(planes: ControlPlanes, pods: Sequence[Pod]) -> list[Component]:
    """The versions of Istio that run: istiod's and that of each injected pod's proxy, by the tags of their images.

    Args:
        planes: Istio's control planes.
        pods: Injected pods, gateways among them.
    """
    istiods = [istiod for plane in planes for istiod in plane.istiod]
    images = [(d.ref, c.image) for d in istiods for c in d.template.spec.containers if c.name == "discovery"]
    images += [(p.ref, p.proxy.image) for p in pods if p.proxy is not None]
    told: dict[tuple[Version | None, str], list[ObjectRef]] = {}
    for where, image in images:
        told.setdefault((exact_version(image), f"image {image}"), []).append(where)
    return _components("istio", told, readings(planes, *pods))


def _components(
    name: str, told: Mapping[tuple[Version | None, str], Sequence[ObjectRef]], evidence: Iterable[str]
) -> list[Component]:
    ids = tuple(dict.fromkeys(evidence))
    return [Component(name, tuple(where), version, said, ids) for (version, said), where in told.items()]


def exact_version(image: str) -> Version | None:
    """The version in an image's tag; None if the tag floats (``18``, ``18.6``), is missing, or stands beside a digest."""
    tag = "" if "@" in image else image_tag(image)
    if not re.match(r"v?\d+\.\d+\.\d+", tag):
        return None
    try:
        return Version.parse(tag)
    except CouldNotTell:
        return None


def no_known_defect(components: Sequence[Component], tbot_image: str = "") -> Finding:
    """INST-16: no version has a known identity defect; an unknown version is unclear, not a pass.

    Args:
        components: The components with their versions.
        tbot_image: Image in tbot's DaemonSet. A tag that floats breaks nothing while heartbeats tell sound versions, but the
            next node that pulls it may get another one.
    """
    expected = "no component to have a version with a known identity defect"
    claim = Claim("INST-16", expected, listed(ref for c in components for ref in c.where), readings(*components))
    # A tag and a heartbeat may both tell the version of one pod, which is one problem.
    running: dict[tuple[str, Version], dict[ObjectRef, None]] = {}
    for component in components:
        if component.version is not None:
            running.setdefault((component.name, component.version), {}).update(dict.fromkeys(component.where))
    problems = [
        Problem(ref, f"{name} {version}: {cause.clause} ({listed(cause.references)})", cause.id, tuple(claim.evidence))
        for (name, version), refs in running.items()
        for cause in causes_of_release(name, version)
        for ref in refs
    ]
    floats = bool(tbot_image) and "@" not in tbot_image and exact_version(tbot_image) is None
    note = Problem(ObjectRef("Image", tbot_image), "its tag floats", "tbot-version-floating")
    told = listed(f"{c.name} {c.version} ({c.said})" for c in components)
    return claim.judged(
        problems,
        f"the tag of {tbot_image} floats; {told}" if floats else told,
        unclear=[
            Problem(ref, f"the version of {c.name} is unknown: {c.said}", evidence=c.evidence)
            for c in components
            if c.version is None
            for ref in c.where
        ],
        notes=[note] if floats else [],
        settle="pin the exact version, or supply an admin session so that the suite can read heartbeats",
    )
