"""Judgments about Istio's installation: INST-05 to INST-08."""

from __future__ import annotations

from collections.abc import Sequence

from facts.errors import CouldNotTell
from facts.finding import Finding
from facts.guide import Defect
from facts.istio.injection import DryRun
from facts.istio.mesh import Mesh, image_tag
from facts.kubernetes.objects import Pod
from facts.kubernetes.workloads import DaemonSet, Deployment
from facts.proxies.identity import Normalization, Unread
from facts.teleport.resources import Ping
from facts.versions import Tool
from judge.findings import concluded, could_not_tell, listed, not_applicable
from judge.install.application import socket_volume_problem

PROXY = "istio-proxy"
ISTIOS_CONTAINERS = ("discovery", PROXY, "istio-init", "istio-validation")
"""Containers with an image of Istio's; whatever else stands in a gateway's pod is not Istio's business."""

ROLLED_OUT = ("NewReplicaSetAvailable", "DeploymentPaused", "DeploymentResumed")
"""Reasons of the condition Progressing under which no newer replica is still waited for."""


def availability_problems(deployments: Sequence[Deployment]) -> list[str]:
    """Deployments that are not available at their current generation."""
    problems = []
    for deployment in deployments:
        progressing = next((c for c in deployment.conditions if c.type == "Progressing"), None)
        if not deployment.is_current:
            problems.append(f"{deployment.ref}: its controller has not seen generation {deployment.generation} yet")
        elif deployment.desired == 0:
            problems.append(f"{deployment.ref} is scaled to 0")
        elif not deployment.is_available:
            why = listed({c.message for c in deployment.conditions if c.status != "True" and c.message}, "no reason given")
            problems.append(f"{deployment.ref}: {deployment.available} of {deployment.desired} available ({why})")
        elif deployment.updated < deployment.desired:
            old = deployment.desired - deployment.updated
            problems.append(f"{deployment.ref}: {old} of {deployment.desired} replicas are of an older template")
        elif progressing is not None and progressing.reason not in ROLLED_OUT:
            # The new replica counts as updated as soon as it is made; an old one may be what makes it available.
            said = f"{progressing.reason}: {progressing.message}".rstrip(": ")
            problems.append(f"{deployment.ref}: the replica of the current template is not available yet ({said})")
    return problems


def _incomplete(daemon_sets: Sequence[DaemonSet]) -> list[str]:
    """DaemonSets that do not run their current template on every node that they want."""
    problems = []
    for daemon_set in daemon_sets:
        if not daemon_set.is_current:
            problems.append(f"{daemon_set.ref}: its controller has not seen generation {daemon_set.generation} yet")
        elif daemon_set.desired == 0:
            problems.append(f"{daemon_set.ref} is wanted on no node")
        elif not daemon_set.is_complete:
            up = f"ready on {daemon_set.ready} of {daemon_set.desired} nodes"
            problems.append(f"{daemon_set.ref}: {up}, of the current template on {daemon_set.updated}")
    return problems


def control_plane_is_available(mesh: Mesh) -> Finding:
    """INST-05, first part: istiod and every gateway, a Deployment or a DaemonSet, is available at its current generation."""
    deployments = (*mesh.istiod, *mesh.gateways)
    problems = availability_problems([d for d in deployments if isinstance(d, Deployment)])
    problems += _incomplete([d for d in deployments if isinstance(d, DaemonSet)])
    if not mesh.istiod:
        problems.insert(0, f"there is no istiod in {mesh.namespace}")
    return concluded(
        "INST-05",
        expected="istiod and gateways available at their current generation",
        problems=problems,
        confirmed=listed(f"{d.name} {d.available}/{d.desired}" for d in deployments),
        where=listed(d.ref for d in deployments),
        evidence=mesh.evidence,
    )


def images_carry_istioctls_version(mesh: Mesh, pods: Sequence[Pod], istioctl: Tool) -> Finding:
    """INST-05, second part: the tag of every Istio image equals istioctl's version; a digest alone tells no version.

    Args:
        mesh: The mesh.
        pods: Injected pods, gateways among them: an upgrade leaves their proxies as they were until they are restarted.
        istioctl: The tool.
    """
    # The gateway charts write "auto" and let the injector put the image in; the injector's own tag is compared as well.
    images = [
        (d.ref, c.image)
        for d in (*mesh.istiod, *mesh.gateways)
        for c in d.template.spec.containers
        if c.name in ISTIOS_CONTAINERS and c.image != "auto"
    ]
    images += [(p.ref, p.proxy.image) for p in pods if p.proxy is not None]
    version = str(istioctl.version)
    problems = [f"{r} runs {i}" for r, i in images if image_tag(i) and image_tag(i).partition("-distroless")[0] != version]
    if not images:
        problems.append(f"there is no image of Istio in {mesh.namespace}")
    if mesh.injector.tag.partition("-distroless")[0] != version:
        problems.append(f"the injector puts {mesh.injector.tag} into pods")
    expected, where = f"every Istio image to carry istioctl's version {version}", f"Istio in {mesh.namespace}"
    evidence = (*mesh.evidence, *istioctl.evidence, *(e for p in pods for e in p.evidence))
    untagged = [(r, i) for r, i in images if not image_tag(i)]
    if untagged and not problems:
        error = CouldNotTell(
            expected=expected,
            seen=listed(f"{r} runs {i}" for r, i in untagged),
            where=where,
            remedy="name the version as a tag beside the digest: HUB/NAME:VERSION@sha256:…",
        )
        return could_not_tell("INST-05", error, evidence)
    return concluded(
        "INST-05",
        expected=expected,
        problems=problems,
        confirmed=f"all {len(images)} images are {version}",
        where=where,
        evidence=evidence,
        remedy=f"run `istioctl install` with istioctl of the version wanted; this one is {version}",
    )


def trust_domain_problems(mesh: Mesh, ping: Ping) -> list[str]:
    """Why the mesh's trust domain is not Teleport's name."""
    if mesh.trust_domain == ping.cluster_name:
        return []
    return [f"Istio's trust domain is {mesh.trust_domain}, Teleport's cluster name is {ping.cluster_name}"]


def trust_domain_is_teleports(mesh: Mesh, ping: Ping) -> Finding:
    """INST-06: the mesh's trust domain equals the name that Teleport reports."""
    return concluded(
        "INST-06",
        expected=f"the trust domain {ping.cluster_name}, which is Teleport's cluster name",
        problems=trust_domain_problems(mesh, ping),
        confirmed=mesh.trust_domain,
        where=f"ConfigMap {mesh.namespace}/istio, key mesh",
        evidence=(*mesh.config.evidence, *ping.evidence),
        remedy=f"set meshConfig.trustDomain to {ping.cluster_name}, install again, restart the injected workloads",
    )


SECOND_PROXY = 'Duplicate value: "istio-proxy"'
"""In the API server's refusal of a pod with two of them: the template has patched the list in which Istio's proxy is not."""


def acceptance_problems(dry_run: DryRun) -> list[str]:
    """Why injection does not build a pod with exactly one istio-proxy."""
    if not dry_run.accepted or dry_run.pod is None:
        return [f"the API server refuses the injected pod: {dry_run.message}"]
    proxies = [c for c in dry_run.pod.containers if c.name == PROXY]
    if not proxies:
        return ["the pod was accepted without an istio-proxy: it is not injected"]
    return [] if len(proxies) == 1 else [f"the pod has {len(proxies)} containers called istio-proxy"]


def injected_pod_is_accepted(dry_run: DryRun, native: bool | None = None) -> Finding:
    """INST-07, first part: accepted by the API server, with exactly one istio-proxy, of the kind that was asked for.

    Args:
        dry_run: The API server's answer.
        native: Whether the pod asked for a native sidecar; None where it left that to the cluster.
    """
    problems = acceptance_problems(dry_run)
    if not problems and dry_run.pod is not None and native not in (None, dry_run.pod.native_sidecar):
        kinds = {True: "native", False: "classic"}
        problems = [f"the pod asked for a {kinds[bool(native)]} sidecar and got a {kinds[dry_run.pod.native_sidecar]} one"]
    return concluded(
        "INST-07",
        expected="an injected pod that the API server accepts, with exactly one istio-proxy",
        problems=problems,
        confirmed="accepted, with one istio-proxy"
        + (" as native sidecar" if dry_run.pod and dry_run.pod.native_sidecar else ""),
        where=dry_run.where,
        evidence=dry_run.evidence,
        guide_defect=Defect.TEMPLATE if not dry_run.accepted and SECOND_PROXY in dry_run.message else None,
    )


def injected_socket_is_the_nodes(dry_run: DryRun, socket_directory: str) -> Finding:
    """INST-07, second part: workload-socket is the node's directory."""
    if dry_run.pod is None:
        problems = ["there is no injected pod to look at"]
    else:
        problem = socket_volume_problem(dry_run.pod, socket_directory)
        problems = [problem] if problem else []
    return concluded(
        "INST-07",
        expected=f"workload-socket to be the node's directory {socket_directory}",
        problems=problems,
        confirmed=f"workload-socket is {socket_directory} of the node",
        where=dry_run.where,
        evidence=dry_run.evidence,
    )


NORMALIZED = {
    "NONE": (False, False, "KEEP_UNCHANGED"),
    "BASE": (True, False, "KEEP_UNCHANGED"),
    "DEFAULT": (True, False, "KEEP_UNCHANGED"),
    "MERGE_SLASHES": (True, True, "KEEP_UNCHANGED"),
    "DECODE_AND_MERGE_SLASHES": (True, True, "UNESCAPE_AND_FORWARD"),
}
"""What each of Istio's normalizations sets in Envoy: normalize_path, merge_slashes, path_with_escaped_slashes_action."""

NO_WORKLOAD = "no injected workload runs in the mesh"


def normalization_is_in_force(mesh: Mesh, asked: Sequence[Normalization | Unread], evidence: Sequence[str]) -> Finding:
    """INST-08: each inbound HTTP connection manager of each proxy normalizes paths as the mesh configuration says.

    Args:
        mesh: The mesh.
        asked: Of each injected pod.
        evidence: The list of injected pods.
    """
    where = f"inbound HTTP connection managers of {len(asked)} proxies"
    proxies = [a for a in asked if isinstance(a, Normalization)]
    unread = [a for a in asked if isinstance(a, Unread)]
    read = [*evidence, *mesh.config.evidence, *(e for p in proxies for e in p.evidence)]
    # A gateway that serves no host has no HTTP listener. A sidecar always has one, so its silence is not an answer.
    silent = [p for p in proxies if not p.settings and not p.pod.is_gateway]
    if not silent and not unread and not any(p.settings for p in proxies):
        return not_applicable("INST-08", NO_WORKLOAD, where=where, evidence=read)
    if mesh.normalization not in NORMALIZED:
        error = CouldNotTell(
            expected=f"one of the normalizations {', '.join(NORMALIZED)}",
            seen=mesh.normalization,
            where=f"ConfigMap {mesh.namespace}/istio, key mesh, pathNormalization.normalization",
            remedy="set one of those; istiod takes no other word",
        )
        return could_not_tell("INST-08", error, read)
    wanted = NORMALIZED[mesh.normalization]
    expected = f"every proxy to normalize paths as {mesh.normalization} says: {_settings(*wanted)}"
    problems = [
        f"{p.pod} has {_settings(s.normalize_path, s.merge_slashes, s.escaped_slashes)}"
        for p in proxies
        for s in p.settings
        if (s.normalize_path, s.merge_slashes, s.escaped_slashes) != wanted
    ]
    if unread and not problems:
        error = CouldNotTell(
            expected=expected,
            seen="; ".join(f"{u.pod} could not be read: {u.why.seen}" for u in unread),
            where=where,
            remedy=unread[0].why.remedy,
        )
        return could_not_tell("INST-08", error, read)
    if silent and not problems:
        error = CouldNotTell(
            expected=expected,
            seen=f"no HTTP connection manager in {listed(p.pod for p in silent)}",
            where=where,
            remedy="see whether those proxies got their listeners from istiod: istioctl proxy-status",
        )
        return could_not_tell("INST-08", error, read)
    return concluded(
        "INST-08",
        expected=expected,
        problems=problems,
        confirmed=f"all do as {mesh.normalization} says",
        where=where,
        evidence=read,
    )


def _settings(normalize_path: bool, merge_slashes: bool, escaped_slashes: str) -> str:
    return f"normalize_path {normalize_path}, merge_slashes {merge_slashes}, {escaped_slashes}"
