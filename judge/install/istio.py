"""Judgments about Istio's installation: INST-05 to INST-08."""

from __future__ import annotations

import re
from collections.abc import Sequence

from facts.evidence import ObjectRef, readings
from facts.finding import Finding, Problem, Remark
from facts.istio.injection import DryRun
from facts.istio.mesh import Mesh, image_tag
from facts.kubernetes.objects import Condition, Pod
from facts.kubernetes.pod_spec import PROXY
from facts.kubernetes.workloads import DaemonSet, Deployment
from facts.proxies.identity import Normalization, Unread
from facts.teleport.resources import Ping
from judge.findings import Claim, listed, place, problem
from judge.fleet import how_to_read, not_read
from judge.install.application import socket_volume_problems

ISTIOS_CONTAINERS = ("discovery", PROXY, "istio-init", "istio-validation")
"""Containers that run an image of Istio; a gateway's pod may have others."""

ROLLED_OUT = ("NewReplicaSetAvailable", "DeploymentPaused", "DeploymentResumed")
"""Reasons of the condition Progressing under which the rollout has no replica left to wait for."""


def availability_problems(deployments: Sequence[Deployment], mesh: Mesh) -> list[Problem]:
    """Problems of Deployments that are not available at their current generation.

    Args:
        deployments: Deployments of istiod, of gateways, or both.
        mesh: The mesh.
    """
    return [each for deployment in deployments for each in _unavailable(deployment, mesh)]


def _unavailable(deployment: Deployment, mesh: Mesh) -> list[Problem]:
    """A problem unless a Deployment is available at its current generation."""
    cause = "istiod-image-unavailable" if _waits_for_an_image(deployment, mesh) else ""
    if not deployment.is_current:
        return [_unseen(deployment)]
    if deployment.desired == 0:
        return [problem(deployment, "it is scaled to 0", "istiod-scaled-to-zero")]
    if not deployment.is_available:
        why = listed({c.message for c in deployment.conditions if c.status != "True" and c.message}, "no reason given")
        return [problem(deployment, f"{deployment.available} of {deployment.desired} replicas are available ({why})", cause)]
    if deployment.updated < deployment.desired:
        old = deployment.desired - deployment.updated
        return [problem(deployment, f"{old} of {deployment.desired} replicas have an older template", cause)]
    if (stuck := _rolling_out(deployment)) is not None:
        # The new replica counts as updated as soon as it is made; an old one may be the one that is available.
        said = f"{stuck.reason}: {stuck.message}".rstrip(": ")
        return [problem(deployment, f"the replica of the current template is not available yet ({said})", cause)]
    return []


def _unseen(workload: Deployment | DaemonSet) -> Problem:
    return problem(workload, f"its controller has not seen generation {workload.generation} yet")


def _rolling_out(deployment: Deployment) -> Condition | None:
    """The condition Progressing while a rollout waits for a replica."""
    return next((c for c in deployment.conditions if c.type == "Progressing" and c.reason not in ROLLED_OUT), None)


def _waits_for_an_image(workload: Deployment | DaemonSet, mesh: Mesh) -> bool:
    """Tell whether a new istiod, of another version than the one that injects, has not started yet."""
    return (
        isinstance(workload, Deployment)
        and any(
            _release(image_tag(c.image)) != _release(mesh.injector.tag)
            for c in workload.template.spec.containers
            if c.name == "discovery"
        )
        and (not workload.is_available or _rolling_out(workload) is not None)
    )


def _incomplete(daemon_set: DaemonSet) -> list[Problem]:
    """A problem unless a DaemonSet runs its current template on every node that it wants."""
    if not daemon_set.is_current:
        return [_unseen(daemon_set)]
    if daemon_set.desired == 0:
        return [problem(daemon_set, "it is wanted on no node")]
    up = (
        f"it is Ready on {daemon_set.ready} of {daemon_set.desired} nodes, with its current template on {daemon_set.updated}"
    )
    return [] if daemon_set.is_complete else [problem(daemon_set, up)]


def no_istiod(mesh: Mesh) -> list[Problem]:
    """A problem if the mesh has no control plane."""
    here = place(f"Istio in {mesh.namespace}")
    return [] if mesh.istiod else [Problem(here, "there is no istiod", evidence=mesh.evidence)]


def control_plane_is_available(mesh: Mesh) -> Finding:
    """INST-05, first part: istiod and every gateway, a Deployment or a DaemonSet, is available at its current generation.

    A gateway that its owner scaled to 0 is left out: nothing uses it, and nothing of it is wrong.
    """
    idle = [gateway for gateway in mesh.gateways if isinstance(gateway, Deployment) and gateway.is_at_zero]
    deployments = (*mesh.istiod, *(gateway for gateway in mesh.gateways if gateway not in idle))
    expected = "istiod and gateways to be available at their current generation"
    return Claim("INST-05", expected, listed(d.ref for d in deployments), mesh.evidence).judged(
        [
            *no_istiod(mesh),
            *availability_problems([d for d in deployments if isinstance(d, Deployment)], mesh),
            *(each for d in deployments if isinstance(d, DaemonSet) for each in _incomplete(d)),
        ],
        listed(f"{d.name} {d.available}/{d.desired}" for d in deployments),
        left_out=[Remark(gateway.ref, "it is scaled to 0") for gateway in idle],
    )


def images_carry_istiods_version(mesh: Mesh, pods: Sequence[Pod]) -> Finding:
    """INST-05, second part: the tag of every Istio image equals istiod's own version; a digest alone tells no version.

    Args:
        mesh: The mesh.
        pods: Injected pods, gateways among them: an upgrade leaves their proxies as they were until they are restarted.
    """
    version = _istiods_version(mesh)
    expected = f"every Istio image to carry istiod's version {version}"
    claim = Claim("INST-05", expected, f"Istio in {mesh.namespace}", readings(mesh, *pods))
    # The gateway charts write "auto", and the injector puts the image in; the injector's own tag is compared as well.
    images: list[tuple[Deployment | DaemonSet | Pod, str]] = [
        (workload, container.image)
        for workload in (*mesh.istiod, *mesh.gateways)
        for container in workload.template.spec.containers
        if container.name in ISTIOS_CONTAINERS and container.image != "auto"
    ]
    images += [(pod, pod.proxy.image) for pod in pods if pod.proxy is not None]
    others = [(of, image) for of, image in images if image_tag(image) and _release(image_tag(image)) != version]
    mixed = "istio-versions-mixed"
    problems = [
        problem(of, f"it runs {image}", "istiod-image-unavailable" if _is_unborn(of, mesh) else mixed)
        for of, image in others
    ]
    if not images:
        problems.append(claim.problem("no workload runs an image of Istio"))
    if _release(mesh.injector.tag) != version:
        problems.append(claim.problem(f"the injector puts {mesh.injector.tag} into pods", mixed))
    return claim.judged(
        problems,
        f"all {len(images)} images have the version {version}",
        unclear=[problem(of, f"it runs {image}") for of, image in images if not image_tag(image)],
        settle="write the version as a tag before the digest: HUB/NAME:VERSION@sha256:…",
    )


def _istiods_version(mesh: Mesh) -> str:
    """The version of the istiod that runs; the injector's where its image has no tag, or several istiods differ."""
    running = {
        _release(image_tag(container.image))
        for istiod in mesh.istiod
        if not _waits_for_an_image(istiod, mesh)
        for container in istiod.template.spec.containers
        if container.name == "discovery" and image_tag(container.image)
    }
    return running.pop() if len(running) == 1 else _release(mesh.injector.tag)


def _is_unborn(of: Deployment | DaemonSet | Pod, mesh: Mesh) -> bool:
    return not isinstance(of, Pod) and _waits_for_an_image(of, mesh)


def _release(tag: str) -> str:
    return tag.partition("-distroless")[0]


def trust_domain_problems(mesh: Mesh, ping: Ping) -> list[Problem]:
    """A problem unless the mesh's trust domain is Teleport's cluster name."""
    if mesh.trust_domain == ping.cluster_name:
        return []
    said = f"Istio's trust domain is {mesh.trust_domain}, Teleport's cluster name is {ping.cluster_name}"
    return [Problem(_mesh_config(mesh), said, "trust-domain-differs", readings(mesh.config, ping))]


def _mesh_config(mesh: Mesh) -> ObjectRef:
    return ObjectRef("ConfigMap", "istio", mesh.namespace)


def trust_domain_is_teleports(mesh: Mesh, ping: Ping) -> Finding:
    """INST-06: the mesh's trust domain equals the name that Teleport reports."""
    expected = f"the mesh to have the trust domain {ping.cluster_name}, which is Teleport's cluster name"
    return Claim("INST-06", expected, str(_mesh_config(mesh)), readings(mesh.config, ping)).judged(
        trust_domain_problems(mesh, ping), mesh.trust_domain
    )


SECOND_PROXY = 'Duplicate value: "istio-proxy"'
"""Words of the API server's refusal where the template patches the list of containers that does not hold Istio's proxy."""

NO_TEMPLATE = re.compile(r"requested template .{0,253} not found")
"""The injector's words where a pod asks for a template that the injector does not have."""


def acceptance_problems(dry_run: DryRun) -> list[Problem]:
    """A problem unless injection builds a pod with exactly one istio-proxy, which the API server accepts."""
    pod = place(dry_run.where)
    if not dry_run.accepted or dry_run.pod is None:
        missing = "template-missing" if NO_TEMPLATE.search(dry_run.message) else ""
        cause = "template-builds-invalid-pod" if SECOND_PROXY in dry_run.message else missing
        return [Problem(pod, f"the API server refuses the injected pod: {dry_run.message}", cause, dry_run.evidence)]
    proxies = [c for c in dry_run.pod.containers if c.name == PROXY]
    if not proxies:
        return [Problem(pod, "it has no istio-proxy: istiod injected nothing", evidence=dry_run.evidence)]
    if len(proxies) > 1:
        return [Problem(pod, f"it has {len(proxies)} containers called istio-proxy", evidence=dry_run.evidence)]
    return []


def injected_pod_is_accepted(dry_run: DryRun, native: bool | None = None) -> Finding:
    """INST-07, first part: accepted by the API server, with exactly one istio-proxy, of the kind that was asked for.

    Args:
        dry_run: The API server's answer.
        native: The pod asked for a native sidecar, or for a classic one; None where it left that to the cluster.
    """
    expected = "the API server to accept an injected pod with exactly one istio-proxy"
    claim = Claim("INST-07", expected, dry_run.where, dry_run.evidence)
    problems = acceptance_problems(dry_run)
    if not problems and dry_run.pod is not None and native not in (None, dry_run.pod.native_sidecar):
        kinds = {True: "native", False: "classic"}
        said = f"the pod asked for a {kinds[bool(native)]} sidecar and got a {kinds[dry_run.pod.native_sidecar]} one"
        problems = [claim.problem(said)]
    as_native = " as a native sidecar" if dry_run.pod and dry_run.pod.native_sidecar else ""
    return claim.judged(problems, f"accepted, with one istio-proxy{as_native}")


def injected_socket_is_the_nodes(dry_run: DryRun, socket_directory: str) -> Finding:
    """INST-07, second part: the volume workload-socket is the node's directory."""
    expected = f"the volume workload-socket to be the node's directory {socket_directory}"
    claim = Claim("INST-07", expected, dry_run.where, dry_run.evidence)
    problems = (
        [claim.problem("there is no injected pod")]
        if dry_run.pod is None
        else socket_volume_problems(dry_run.pod, socket_directory)
    )
    return claim.judged(problems, f"the volume workload-socket is {socket_directory} of the node")


NORMALIZED = {
    "NONE": (False, False, "KEEP_UNCHANGED"),
    "BASE": (True, False, "KEEP_UNCHANGED"),
    "DEFAULT": (True, False, "KEEP_UNCHANGED"),
    "MERGE_SLASHES": (True, True, "KEEP_UNCHANGED"),
    "DECODE_AND_MERGE_SLASHES": (True, True, "UNESCAPE_AND_FORWARD"),
}
"""Envoy settings under each of Istio's normalizations: normalize_path, merge_slashes, path_with_escaped_slashes_action."""

NO_WORKLOAD = "no injected pod runs in the mesh"
NO_SIDECAR = "no pod with a sidecar runs in the mesh"
ONLY_IDLE_GATEWAYS = "only gateways that take no HTTP run in the mesh"


def normalization_is_in_force(mesh: Mesh, asked: Sequence[Normalization | Unread], evidence: Sequence[str]) -> Finding:
    """INST-08: each inbound HTTP connection manager of each proxy normalizes paths as the mesh configuration says.

    Args:
        mesh: The mesh.
        asked: Settings of each injected pod's proxy.
        evidence: The list of injected pods.
    """
    proxies = [a for a in asked if isinstance(a, Normalization)]
    unread = [a for a in asked if isinstance(a, Unread)]
    wanted = NORMALIZED.get(mesh.normalization)
    claim = Claim(
        "INST-08",
        expected=f"every proxy to normalize paths as {mesh.normalization} demands: {_settings(*wanted)}"
        if wanted
        else f"the mesh to use one of the normalizations {', '.join(NORMALIZED)}",
        where=f"inbound HTTP connection managers of {len(asked)} proxies",
        evidence=(*evidence, *readings(mesh.config, *proxies)),
    )
    # A gateway that serves no host has no HTTP listener. A sidecar always has one, so one that shows none is unclear.
    silent = [p for p in proxies if not p.settings and not p.pod.is_gateway]
    if not silent and not unread and not any(p.settings for p in proxies):
        return claim.not_applicable(ONLY_IDLE_GATEWAYS if asked else NO_WORKLOAD)
    if wanted is None:
        said = f"pathNormalization.normalization is {mesh.normalization}"
        unclear = [Problem(_mesh_config(mesh), said, evidence=mesh.config.evidence)]
        return claim.judged(unclear=unclear, settle="set one of those; istiod accepts no other value")
    problems = [
        Problem(
            p.pod.ref,
            f"it has {_settings(s.normalize_path, s.merge_slashes, s.escaped_slashes)}",
            "proxy-older-than-mesh-config",
            p.evidence,
        )
        for p in proxies
        for s in p.settings
        if (s.normalize_path, s.merge_slashes, s.escaped_slashes) != wanted
    ]
    return claim.judged(
        problems,
        f"all proxies do as {mesh.normalization} demands",
        unclear=[
            *not_read(unread),
            *(Problem(p.pod.ref, "it has no inbound HTTP connection manager", evidence=p.evidence) for p in silent),
        ],
        settle=how_to_read(unread, "see whether istiod has sent those proxies their listeners: istioctl proxy-status"),
    )


def _settings(normalize_path: bool, merge_slashes: bool, escaped_slashes: str) -> str:
    return f"normalize_path {normalize_path}, merge_slashes {merge_slashes}, {escaped_slashes}"
