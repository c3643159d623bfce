"""Judgments about Istio's installation: INST-05 to INST-08."""

from __future__ import annotations

import re
from collections.abc import Sequence

from facts.evidence import ObjectRef
from facts.finding import Finding, Problem
from facts.istio.injection import DryRun
from facts.istio.mesh import Mesh, image_tag
from facts.kubernetes.objects import Pod
from facts.kubernetes.workloads import DaemonSet, Deployment
from facts.proxies.identity import Normalization, Unread
from facts.teleport.resources import Ping
from facts.versions import Tool
from judge.findings import Claim, listed, place, problem
from judge.install.application import socket_volume_problems

PROXY = "istio-proxy"
ISTIOS_CONTAINERS = ("discovery", PROXY, "istio-init", "istio-validation")
"""Containers with an image of Istio's; whatever else stands in a gateway's pod is not Istio's business."""

ROLLED_OUT = ("NewReplicaSetAvailable", "DeploymentPaused", "DeploymentResumed")
"""Reasons of the condition Progressing under which no newer replica is still waited for."""


def availability_problems(deployments: Sequence[Deployment], mesh: Mesh) -> list[Problem]:
    """Deployments that are not available at their current generation.

    Args:
        deployments: Of the mesh: istiod, gateways or both.
        mesh: The mesh.
    """
    found = []
    for deployment in deployments:
        cause = "istiod-image-unavailable" if _waits_for_an_image(deployment, mesh) else ""
        progressing = next((c for c in deployment.conditions if c.type == "Progressing"), None)
        if not deployment.is_current:
            found.append(problem(deployment, f"its controller has not seen generation {deployment.generation} yet"))
        elif deployment.desired == 0:
            found.append(problem(deployment, "is scaled to 0", "istiod-scaled-to-zero" if deployment in mesh.istiod else ""))
        elif not deployment.is_available:
            why = listed({c.message for c in deployment.conditions if c.status != "True" and c.message}, "no reason given")
            found.append(problem(deployment, f"{deployment.available} of {deployment.desired} available ({why})", cause))
        elif deployment.updated < deployment.desired:
            old = deployment.desired - deployment.updated
            found.append(problem(deployment, f"{old} of {deployment.desired} replicas are of an older template", cause))
        elif progressing is not None and progressing.reason not in ROLLED_OUT:
            # The new replica counts as updated as soon as it is made; an old one may be what makes it available.
            said = f"{progressing.reason}: {progressing.message}".rstrip(": ")
            found.append(problem(deployment, f"the replica of the current template is not available yet ({said})", cause))
    return found


def _waits_for_an_image(workload: Deployment | DaemonSet, mesh: Mesh) -> bool:
    """Whether a control plane's new template names another version than the one that injects, and nothing of it runs yet."""
    images = [c.image for c in workload.template.spec.containers if c.name == "discovery"]
    if not isinstance(workload, Deployment) or not any(
        _release(image_tag(image)) != _release(mesh.injector.tag) for image in images
    ):
        return False
    progressing = next((c for c in workload.conditions if c.type == "Progressing"), None)
    return not workload.is_available or (progressing is not None and progressing.reason not in ROLLED_OUT)


def _incomplete(daemon_sets: Sequence[DaemonSet]) -> list[Problem]:
    """DaemonSets that do not run their current template on every node that they want."""
    found = []
    for daemon_set in daemon_sets:
        if not daemon_set.is_current:
            found.append(problem(daemon_set, f"its controller has not seen generation {daemon_set.generation} yet"))
        elif daemon_set.desired == 0:
            found.append(problem(daemon_set, "is wanted on no node"))
        elif not daemon_set.is_complete:
            up = f"ready on {daemon_set.ready} of {daemon_set.desired} nodes"
            found.append(problem(daemon_set, f"{up}, of the current template on {daemon_set.updated}"))
    return found


def no_istiod(mesh: Mesh) -> list[Problem]:
    """That the mesh has no control plane, if it has none."""
    here = place(f"Istio in {mesh.namespace}")
    return [] if mesh.istiod else [Problem(here, "there is no istiod", evidence=mesh.evidence)]


def control_plane_is_available(mesh: Mesh) -> Finding:
    """INST-05, first part: istiod and every gateway, a Deployment or a DaemonSet, is available at its current generation."""
    deployments = (*mesh.istiod, *mesh.gateways)
    return Claim(
        "INST-05",
        expected="istiod and gateways available at their current generation",
        where=listed(d.ref for d in deployments),
        evidence=mesh.evidence,
    ).judged(
        [
            *no_istiod(mesh),
            *availability_problems([d for d in deployments if isinstance(d, Deployment)], mesh),
            *_incomplete([d for d in deployments if isinstance(d, DaemonSet)]),
        ],
        listed(f"{d.name} {d.available}/{d.desired}" for d in deployments),
    )


def images_carry_istioctls_version(mesh: Mesh, pods: Sequence[Pod], istioctl: Tool) -> Finding:
    """INST-05, second part: the tag of every Istio image equals istioctl's version; a digest alone tells no version.

    Args:
        mesh: The mesh.
        pods: Injected pods, gateways among them: an upgrade leaves their proxies as they were until they are restarted.
        istioctl: The tool.
    """
    version = str(istioctl.version)
    claim = Claim(
        "INST-05",
        expected=f"every Istio image to carry istioctl's version {version}",
        where=f"Istio in {mesh.namespace}",
        evidence=(*mesh.evidence, *istioctl.evidence, *(e for p in pods for e in p.evidence)),
    )
    # The gateway charts write "auto" and let the injector put the image in; the injector's own tag is compared as well.
    images: list[tuple[Deployment | DaemonSet | Pod, str]] = [
        (workload, container.image)
        for workload in (*mesh.istiod, *mesh.gateways)
        for container in workload.template.spec.containers
        if container.name in ISTIOS_CONTAINERS and container.image != "auto"
    ]
    images += [(pod, pod.proxy.image) for pod in pods if pod.proxy is not None]
    others = [(of, image) for of, image in images if image_tag(image) and _release(image_tag(image)) != version]
    injects = _release(mesh.injector.tag)
    # Where Istio is of one version, it is the tool that is of another.
    running = {_release(image_tag(image)) for of, image in images if image_tag(image) and not _is_unborn(of, mesh)}
    cause = "istio-versions-mixed" if len(running | {injects}) > 1 else "tool-version-unsupported"
    problems = [
        problem(of, f"runs {image}", "istiod-image-unavailable" if _is_unborn(of, mesh) else cause) for of, image in others
    ]
    if not images:
        problems.append(claim.problem("there is no image of Istio"))
    if injects != version:
        problems.append(claim.problem(f"the injector puts {mesh.injector.tag} into pods", cause))
    return claim.judged(
        problems,
        f"all {len(images)} images are {version}",
        unclear=[problem(of, f"runs {image}") for of, image in images if not image_tag(image)],
        settle="name the version as a tag beside the digest: HUB/NAME:VERSION@sha256:…",
    )


def _is_unborn(of: Deployment | DaemonSet | Pod, mesh: Mesh) -> bool:
    return not isinstance(of, Pod) and _waits_for_an_image(of, mesh)


def _release(tag: str) -> str:
    return tag.partition("-distroless")[0]


def trust_domain_problems(mesh: Mesh, ping: Ping) -> list[Problem]:
    """Why the mesh's trust domain is not Teleport's name."""
    if mesh.trust_domain == ping.cluster_name:
        return []
    said = f"Istio's trust domain is {mesh.trust_domain}, Teleport's cluster name is {ping.cluster_name}"
    return [Problem(_mesh_config(mesh), said, "trust-domain-differs", (*mesh.config.evidence, *ping.evidence))]


def _mesh_config(mesh: Mesh) -> ObjectRef:
    return ObjectRef("ConfigMap", "istio", mesh.namespace)


def trust_domain_is_teleports(mesh: Mesh, ping: Ping) -> Finding:
    """INST-06: the mesh's trust domain equals the name that Teleport reports."""
    return Claim(
        "INST-06",
        expected=f"the trust domain {ping.cluster_name}, which is Teleport's cluster name",
        where=str(_mesh_config(mesh)),
        evidence=(*mesh.config.evidence, *ping.evidence),
    ).judged(trust_domain_problems(mesh, ping), mesh.trust_domain)


SECOND_PROXY = 'Duplicate value: "istio-proxy"'
"""In the API server's refusal of a pod with two of them: the template has patched the list in which Istio's proxy is not."""

NO_TEMPLATE = re.compile(r"requested template .* not found")
"""The injector's words where a pod asks for a template that it does not have."""


def acceptance_problems(dry_run: DryRun) -> list[Problem]:
    """Why injection does not build a pod with exactly one istio-proxy."""
    pod = place(dry_run.where)
    if not dry_run.accepted or dry_run.pod is None:
        missing = "template-missing" if NO_TEMPLATE.search(dry_run.message) else ""
        cause = "template-builds-invalid-pod" if SECOND_PROXY in dry_run.message else missing
        return [Problem(pod, f"the API server refuses the injected pod: {dry_run.message}", cause, dry_run.evidence)]
    proxies = [c for c in dry_run.pod.containers if c.name == PROXY]
    if not proxies:
        return [Problem(pod, "accepted without an istio-proxy: it is not injected", evidence=dry_run.evidence)]
    if len(proxies) > 1:
        return [Problem(pod, f"it has {len(proxies)} containers called istio-proxy", evidence=dry_run.evidence)]
    return []


def injected_pod_is_accepted(dry_run: DryRun, native: bool | None = None) -> Finding:
    """INST-07, first part: accepted by the API server, with exactly one istio-proxy, of the kind that was asked for.

    Args:
        dry_run: The API server's answer.
        native: Whether the pod asked for a native sidecar; None where it left that to the cluster.
    """
    claim = Claim(
        "INST-07",
        expected="an injected pod that the API server accepts, with exactly one istio-proxy",
        where=dry_run.where,
        evidence=dry_run.evidence,
    )
    problems = acceptance_problems(dry_run)
    if not problems and dry_run.pod is not None and native not in (None, dry_run.pod.native_sidecar):
        kinds = {True: "native", False: "classic"}
        said = f"the pod asked for a {kinds[bool(native)]} sidecar and got a {kinds[dry_run.pod.native_sidecar]} one"
        problems = [claim.problem(said)]
    as_native = " as native sidecar" if dry_run.pod and dry_run.pod.native_sidecar else ""
    return claim.judged(problems, f"accepted, with one istio-proxy{as_native}")


def injected_socket_is_the_nodes(dry_run: DryRun, socket_directory: str) -> Finding:
    """INST-07, second part: workload-socket is the node's directory."""
    claim = Claim(
        "INST-07",
        expected=f"workload-socket to be the node's directory {socket_directory}",
        where=dry_run.where,
        evidence=dry_run.evidence,
    )
    problems = (
        [claim.problem("there is no injected pod to look at")]
        if dry_run.pod is None
        else socket_volume_problems(dry_run.pod, socket_directory)
    )
    return claim.judged(problems, f"workload-socket is {socket_directory} of the node")


NORMALIZED = {
    "NONE": (False, False, "KEEP_UNCHANGED"),
    "BASE": (True, False, "KEEP_UNCHANGED"),
    "DEFAULT": (True, False, "KEEP_UNCHANGED"),
    "MERGE_SLASHES": (True, True, "KEEP_UNCHANGED"),
    "DECODE_AND_MERGE_SLASHES": (True, True, "UNESCAPE_AND_FORWARD"),
}
"""What each of Istio's normalizations sets in Envoy: normalize_path, merge_slashes, path_with_escaped_slashes_action."""

NO_WORKLOAD = "no injected pod runs in the mesh"


def normalization_is_in_force(mesh: Mesh, asked: Sequence[Normalization | Unread], evidence: Sequence[str]) -> Finding:
    """INST-08: each inbound HTTP connection manager of each proxy normalizes paths as the mesh configuration says.

    Args:
        mesh: The mesh.
        asked: Of each injected pod.
        evidence: The list of injected pods.
    """
    proxies = [a for a in asked if isinstance(a, Normalization)]
    unread = [a for a in asked if isinstance(a, Unread)]
    wanted = NORMALIZED.get(mesh.normalization)
    claim = Claim(
        "INST-08",
        expected=f"every proxy to normalize paths as {mesh.normalization} says: {_settings(*wanted)}"
        if wanted
        else f"one of the normalizations {', '.join(NORMALIZED)}",
        where=f"inbound HTTP connection managers of {len(asked)} proxies",
        evidence=[*evidence, *mesh.config.evidence, *(e for p in proxies for e in p.evidence)],
    )
    # A gateway that serves no host has no HTTP listener. A sidecar always has one, so its silence is not an answer.
    silent = [p for p in proxies if not p.settings and not p.pod.is_gateway]
    if not silent and not unread and not any(p.settings for p in proxies):
        return claim.not_applicable(NO_WORKLOAD)
    if wanted is None:
        said = f"pathNormalization.normalization is {mesh.normalization}"
        unclear = [Problem(_mesh_config(mesh), said, evidence=mesh.config.evidence)]
        return claim.judged(unclear=unclear, settle="set one of those; istiod takes no other word")
    problems = [
        Problem(
            p.pod.ref,
            f"has {_settings(s.normalize_path, s.merge_slashes, s.escaped_slashes)}",
            "proxy-older-than-mesh-config",
            p.evidence,
        )
        for p in proxies
        for s in p.settings
        if (s.normalize_path, s.merge_slashes, s.escaped_slashes) != wanted
    ]
    return claim.judged(
        problems,
        f"all do as {mesh.normalization} says",
        unclear=[
            *(Problem(u.pod.ref, f"could not be read: {u.why.seen}") for u in unread),
            *(Problem(p.pod.ref, "has no HTTP connection manager", evidence=p.evidence) for p in silent),
        ],
        settle=unread[0].why.remedy
        if unread
        else "see whether those proxies got their listeners from istiod: istioctl proxy-status",
    )


def _settings(normalize_path: bool, merge_slashes: bool, escaped_slashes: str) -> str:
    return f"normalize_path {normalize_path}, merge_slashes {merge_slashes}, {escaped_slashes}"
