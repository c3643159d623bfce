"""Judgments about Istio's installation: INST-05 to INST-08."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from facts.evidence import readings
from facts.finding import Finding, Holds, Problem, Remark
from facts.istio.control_planes import ControlPlanes, PodsOfPlanes, named_by
from facts.istio.injection import DryRun
from facts.istio.mesh import Mesh, image_tag
from facts.kubernetes.objects import Condition, Pod
from facts.kubernetes.pod_spec import PROXY
from facts.kubernetes.workloads import DaemonSet, Deployment
from facts.provider.agents import SocketDirectories
from facts.proxies.identity import LeftOut, Normalization, Unread
from judge.findings import Claim, listed, place, problem
from judge.fleet import ASK_ALL, NONE_STAYED, READ_AGAIN, how_to_read, not_asked, not_read, went_away
from judge.install import admission
from judge.install.admission import cause_of_refusal
from judge.install.application import SEE_NODES, socket_volume_problems
from providers.teleport.facts.resources import Ping

ISTIOS_CONTAINERS = ("discovery", PROXY, "istio-init", "istio-validation")
"""Containers that run an image of Istio; a gateway's pod may have others."""

ROLLED_OUT = ("NewReplicaSetAvailable", "DeploymentPaused", "DeploymentResumed")
"""Reasons of the condition Progressing under which the rollout has no replica left to wait for."""


def availability_problems(deployments: Sequence[Deployment], mesh: Mesh) -> list[Problem]:
    """Problems of Deployments that are not available at their current generation.

    Args:
        deployments: Deployments of istiod, of gateways, or both.
    """
    return [each for deployment in deployments for each in _unavailable(deployment, mesh)]


def _unavailable(deployment: Deployment, mesh: Mesh) -> list[Problem]:
    """A problem unless a Deployment is available at its current generation."""
    cause = "istiod-image-unavailable" if _waits_for_an_image(deployment, mesh) else ""
    if not deployment.is_current:
        return [_unseen(deployment)]
    if deployment.is_at_zero:
        # A mesh that takes no traffic from outside needs no gateway; without istiod there is no mesh.
        return [problem(deployment, "it is scaled to 0", "istiod-scaled-to-zero")] if deployment in mesh.istiod else []
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
            release(image_tag(c.image)) != release(mesh.injector.tag)
            for c in workload.template.spec.containers
            if c.name == "discovery"
        )
        and (not workload.is_available or _rolling_out(workload) is not None)
    )


def _incomplete(daemon_set: DaemonSet, silent: Sequence[Pod]) -> list[Problem]:
    """A problem unless a DaemonSet runs its current template on every node that it wants and that is Ready.

    Args:
        silent: Its pods on nodes that are not Ready.
    """
    if not daemon_set.is_current:
        return [_unseen(daemon_set)]
    if daemon_set.desired == 0:
        return [problem(daemon_set, "it is wanted on no node")]
    unready = sum(not pod.ready for pod in silent)
    lacks = daemon_set.desired - daemon_set.ready > unready or daemon_set.desired - daemon_set.updated > len(silent)
    if daemon_set.is_complete or (silent and not lacks):
        return []
    up = (
        f"it is Ready on {daemon_set.ready} of {daemon_set.desired} nodes, with its current template on {daemon_set.updated}"
    )
    return [problem(daemon_set, up)]


def _nowhere_heard(daemon_set: DaemonSet, silent: Sequence[Pod]) -> list[Problem]:
    """An open point where every pod of a DaemonSet is on a node that is not Ready."""
    said = "all its pods are on nodes that are not Ready"
    return [problem(daemon_set, said)] if 0 < daemon_set.desired <= len(silent) else []


def of_each_plane(requirement: str, planes: ControlPlanes, judged: Callable[[Mesh], Finding]) -> tuple[Finding, ...]:
    """A judgment about every control plane; those whose configuration could not be read are unknown.

    Args:
        requirement: Id of the requirement.
        planes: Istio's control planes.
        judged: Judges one of them.
    """
    unread = (Claim(requirement, "", "", planes.evidence).unknown(plane.why) for plane in planes.unread)
    return (*map(judged, planes), *unread)


def no_istiod(mesh: Mesh) -> list[Problem]:
    """A problem if the mesh has no control plane."""
    return [] if mesh.istiod else [Problem(place(mesh.title), "there is no istiod", evidence=mesh.evidence)]


def control_plane_is_available(mesh: Mesh, silent: Sequence[Pod] = ()) -> Finding:
    """INST-05, first part: istiod and every gateway, a Deployment or a DaemonSet, is available at its current generation.

    A gateway that is scaled to 0 is left out, and so are the pods of a DaemonSet on nodes that are not Ready.

    Args:
        silent: All pods on nodes that are not Ready.
    """
    deployments = (*mesh.istiod, *mesh.gateways)
    on_nodes = [(d, [p for p in silent if d.owns(p)]) for d in mesh.gateways if isinstance(d, DaemonSet)]
    expected = "istiod and gateways to be available at their current generation"
    at_zero = [g for g in mesh.gateways if isinstance(g, Deployment) and g.is_at_zero and g.is_current]
    lost = [pod for _daemon_set, pods in on_nodes for pod in pods]
    unclear = [each for d, pods in on_nodes for each in _nowhere_heard(d, pods)]
    return Claim("INST-05", expected, listed(d.ref for d in deployments), readings(mesh, *lost)).judged(
        [
            *no_istiod(mesh),
            *availability_problems([d for d in deployments if isinstance(d, Deployment)], mesh),
            *(each for d, pods in on_nodes for each in _incomplete(d, pods)),
        ],
        listed(f"{d.name} {d.available}/{d.desired}" for d in deployments),
        unclear=unclear,
        settle=SEE_NODES if unclear else "",
        left_out=[
            *(Remark(gateway.ref, "it is scaled to 0") for gateway in at_zero),
            *(Remark(pod.ref, f"its node {pod.node} is not Ready") for pod in lost),
        ],
    )


def images_are_of_their_istiods(
    pods: PodsOfPlanes, evidence: Sequence[str], lost_gateways: Sequence[Deployment | DaemonSet] = ()
) -> tuple[Finding, ...]:
    """INST-05, second part, for every control plane; and a third part for proxies and gateways that have none.

    Args:
        pods: Injected pods, gateways among them, by their control planes.
        evidence: The list of pods.
        lost_gateways: Gateways of a revision of which there is no control plane.
    """
    of_each = [images_are_of_istiods_version(mesh, its) for mesh, its in pods.of_each]
    lost = [proxies_have_a_control_plane(pods, evidence, lost_gateways)] if pods.orphans or lost_gateways else []
    return (*of_each, *lost)


def images_are_of_istiods_version(mesh: Mesh, pods: Sequence[Pod]) -> Finding:
    """INST-05, second part: the tag of every Istio image is of istiod's own version; a digest alone tells no version.

    Args:
        mesh: The control plane.
        pods: The pods that it injected, gateways among them: an upgrade leaves their proxies as they were until they are
            restarted.
    """
    # The gateway charts write "auto", and the injector puts the image in; the injector's own tag is compared as well.
    images: list[tuple[Deployment | DaemonSet | Pod, str]] = [
        (workload, container.image)
        for workload in (*mesh.istiod, *mesh.gateways)
        for container in workload.template.spec.containers
        if container.name in ISTIOS_CONTAINERS and container.image != "auto"
    ]
    images += [(pod, pod.proxy.image) for pod in pods if pod.proxy is not None]
    version = _version_in_force(mesh)
    expected = f"every Istio image to carry istiod's version {version}"
    claim = Claim("INST-05", expected, mesh.title, readings(mesh, *pods))
    problems = [
        problem(of, f"it runs {image}", "istiod-image-unavailable" if _is_unborn(of, mesh) else "istio-versions-mixed")
        for of, image in images
        if image_tag(image) and release(image_tag(image)) != version
    ]
    if not images:
        problems.append(claim.problem("no workload runs an image of Istio"))
    if release(mesh.injector.tag) != version:
        problems.append(claim.problem(f"the injector puts {mesh.injector.tag} into pods", "istio-versions-mixed"))
    return claim.judged(
        problems,
        f"all {len(images)} images have the version {version}",
        unclear=[problem(of, f"it runs {image}") for of, image in images if not image_tag(image)],
        settle="write the version as a tag before the digest: HUB/NAME:VERSION@sha256:…",
    )


def _version_in_force(mesh: Mesh) -> str:
    """Version of the istiod that runs; the injector's where its image has no tag, has not started, or several differ."""
    running = {
        release(image_tag(container.image))
        for istiod in mesh.istiod
        if not _waits_for_an_image(istiod, mesh)
        for container in istiod.template.spec.containers
        if container.name == "discovery" and image_tag(container.image)
    }
    return running.pop() if len(running) == 1 else release(mesh.injector.tag)


def _is_unborn(of: Deployment | DaemonSet | Pod, mesh: Mesh) -> bool:
    return not isinstance(of, Pod) and _waits_for_an_image(of, mesh)


_VARIANT = re.compile(r"(?:-(?:distroless|debug|fips))+$")


def release(tag: str) -> str:
    """The version in the tag of an image of Istio, without its variant such as ``-distroless``."""
    return _VARIANT.sub("", tag)


def proxies_have_a_control_plane(
    pods: PodsOfPlanes, evidence: Sequence[str], lost_gateways: Sequence[Deployment | DaemonSet] = ()
) -> Finding:
    """INST-05, third part: the control plane that injected a pod, or that a gateway names, is there.

    Args:
        pods: Injected pods by their control planes.
        evidence: The list of pods.
        lost_gateways: Gateways of a revision of which there is no control plane; one that is scaled to 0 is left out.
    """
    there = [mesh for mesh, _its in pods.of_each]
    revisions, proxies = listed(mesh.revision for mesh in there), sum(len(its) for _mesh, its in pods.of_each)
    claim = Claim(
        "INST-05",
        expected="every proxy to belong to a control plane of the cluster",
        where=f"{proxies + len(pods.orphans)} proxies; istiod of {revisions}",
        evidence=(*evidence, *readings(*there, *(orphan.pod for orphan in pods.orphans), *lost_gateways)),
    )
    gone = f"and there is istiod only of {revisions}: nothing configures its proxy until it is started again"
    untold = f"neither it nor its namespace tells which of the revisions {revisions} it belongs to"
    unread = "the suite could not read the configuration of its revision"
    lost = [o for o in pods.orphans if o.revision and not o.is_there]
    at_zero = [g for g in lost_gateways if isinstance(g, Deployment) and g.is_at_zero]
    of_none = f"and there is istiod only of {revisions}: nothing injects and configures its pods"
    return claim.judged(
        [
            *(problem(o.pod, f"it belongs to the revision {o.revision}, {gone}") for o in lost),
            *(
                problem(gateway, f"it is a gateway of the revision {named_by(gateway)}, {of_none}")
                for gateway in lost_gateways
                if gateway not in at_zero
            ),
        ],
        confirmed=f"each of {proxies} proxies has one",
        left_out=[
            Remark(gateway.ref, f"it is scaled to 0; there is no control plane of its revision {named_by(gateway)}")
            for gateway in at_zero
        ],
        unclear=[problem(o.pod, unread if o.is_there else untold) for o in pods.orphans if o not in lost],
        settle="start pods that do not tell their revision again, so that the injector writes it into them",
    )


def trust_domain_problems(mesh: Mesh, ping: Ping) -> list[Problem]:
    """A problem unless the mesh's trust domain is Teleport's cluster name."""
    if mesh.trust_domain == ping.cluster_name:
        return []
    said = f"Istio's trust domain is {mesh.trust_domain}, Teleport's cluster name is {ping.cluster_name}"
    return [Problem(mesh.config_map, said, "trust-domain-differs", readings(mesh.config, ping))]


def trust_domain_is_teleports(mesh: Mesh, ping: Ping, beside: Sequence[Mesh] = ()) -> Finding:
    """INST-06: the mesh's trust domain equals the name that Teleport reports.

    A control plane that lacks it beside one that has it may be a new revision that was installed wrongly, or belong to
    another mesh, which the remedy would break. Nothing tells these apart, so that the problem says both.

    Args:
        mesh: The control plane.
        ping: What Teleport reports.
        beside: The control planes of the cluster that have this trust domain.
    """
    expected = f"the mesh to have the trust domain {ping.cluster_name}, which is Teleport's cluster name"
    problems = trust_domain_problems(mesh, ping)
    if beside:
        others = f"{listed(each.title for each in beside)} has it: if this control plane belongs to another mesh, leave it"
        problems = [replace(each, said=f"{each.said}; {others} as it is") for each in problems]
    return Claim("INST-06", expected, str(mesh.config_map), readings(mesh.config, ping)).judged(problems, mesh.trust_domain)


OF_INJECTION = ("sidecar-injector.istio.io", "failed to run injection template", " is invalid: ")
"""Words of refusals that come before any policy: the injector's webhook failed, or the pod that it built is invalid."""


def acceptance_problems(dry_run: DryRun, control: DryRun | None = None) -> list[Problem]:
    """A problem unless injection builds a pod with exactly one istio-proxy, which the API server accepts.

    Args:
        dry_run: The API server's answer.
        control: Its answer to the same pod without injection; None where it was not asked. See `undecided_acceptance`.
    """
    pod = place(dry_run.where)
    if not dry_run.accepted or dry_run.pod is None:
        return [] if undecided_acceptance(dry_run, control) else [_refused(dry_run)]
    proxies = [c for c in dry_run.pod.containers if c.name == PROXY]
    if not proxies:
        return [Problem(pod, "it has no istio-proxy: istiod injected nothing", evidence=dry_run.evidence)]
    if len(proxies) > 1:
        return [Problem(pod, f"it has {len(proxies)} containers called istio-proxy", evidence=dry_run.evidence)]
    return []


def _refused(dry_run: DryRun) -> Problem:
    said = f"the API server refuses the injected pod: {dry_run.message}"
    return Problem(place(dry_run.where), said, cause_of_refusal(dry_run.message), dry_run.evidence)


ADMIT_THE_POD = (
    "read the API server's words: let the policy admit such a pod in that namespace, or name a namespace in the settings"
    " (`names.app_namespace`) where it does"
)
"""Next step where the API server refuses the suite's pod also without injection."""


def undecided_acceptance(dry_run: DryRun, control: DryRun | None) -> list[Problem]:
    """An open point where the API server refuses the pod also without injection, and its words are not about injection.

    Args:
        dry_run: Its answer to the injected pod.
        control: Its answer to the same pod without injection; None where it was not asked.
    """
    refused = _refused(dry_run)
    of_injection = refused.cause in admission.OF_INJECTION or any(words in dry_run.message for words in OF_INJECTION)
    if dry_run.accepted or control is None or control.accepted or of_injection:
        return []
    said = f"{refused.said}; it refuses the pod also without injection: {control.message}"
    return [Problem(refused.subject, said, evidence=readings(dry_run, control))]


def injected_pod_is_accepted(dry_run: DryRun, native: bool | None = None, *, control: DryRun | None = None) -> Finding:
    """INST-07, first part: accepted by the API server, with exactly one istio-proxy, of the kind that was asked for.

    Args:
        dry_run: The API server's answer.
        native: The pod asked for a native sidecar, or for a classic one; None where it left that to the cluster.
        control: The answer to the same pod without injection; None where it was not asked.
    """
    expected = "the API server to accept an injected pod with exactly one istio-proxy"
    claim = Claim("INST-07", expected, dry_run.where, (*dry_run.evidence, *(control.evidence if control else ())))
    problems = acceptance_problems(dry_run, control)
    if not problems and dry_run.pod is not None and native not in (None, dry_run.pod.native_sidecar):
        kinds = {True: "native", False: "classic"}
        said = f"the pod asked for a {kinds[bool(native)]} sidecar and got a {kinds[dry_run.pod.native_sidecar]} one"
        problems = [claim.problem(said)]
    as_native = " as a native sidecar" if dry_run.pod and dry_run.pod.native_sidecar else ""
    return claim.judged(
        problems,
        f"accepted, with one istio-proxy{as_native}",
        unclear=undecided_acceptance(dry_run, control),
        settle=ADMIT_THE_POD,
    )


def injected_socket_is_the_nodes(dry_run: DryRun, directories: SocketDirectories) -> Finding:
    """INST-07, second part: the volume workload-socket is the node's directory."""
    expected = f"the volume workload-socket to be the node's directory {directories}"
    claim = Claim("INST-07", expected, dry_run.where, dry_run.evidence)
    problems = (
        [claim.problem("there is no injected pod")]
        if dry_run.pod is None
        else socket_volume_problems(dry_run.pod, directories)
    )
    return claim.judged(problems, f"the volume workload-socket is {directories} of the node")


def other_injectors_have_the_template(planes: ControlPlanes, dry_run: DryRun, named: str) -> tuple[Finding, ...]:
    """INST-07 for the control planes that did not inject the pod of the dry run, of which only the template can be judged.

    Args:
        planes: Istio's control planes.
        dry_run: The API server's answer.
        named: Expected name of the template.
    """
    if planes.only is not None:
        return ()
    injected = planes.of(dry_run.pod) if dry_run.pod is not None else None

    def judged(mesh: Mesh) -> Finding:
        return injector_has_the_template(mesh, mesh.socket_template(named))

    others = replace(planes, planes=tuple(mesh for mesh in planes if mesh is not injected))
    return of_each_plane("INST-07", others, judged)


def injector_has_the_template(mesh: Mesh, template: str) -> Finding:
    """INST-07, for a control plane that does not inject the namespace of the dry runs: its injector has the template.

    Args:
        mesh: The control plane.
        template: Name of its template that is to mount the node's socket.
    """
    expected = f"the injector to have a template {template} that mounts the node's socket"
    claim = Claim("INST-07", expected, mesh.title, readings(mesh.injector))
    missing = no_template(mesh, template)
    not_seen = claim.problem(f"the text of its template {template} does not show the node's socket")
    return claim.judged(
        missing,
        f"it has the template {template}",
        unclear=[] if missing or mesh.mounts_the_nodes_socket(template) else [not_seen],
        settle="name a namespace that this revision injects in the settings (`names.app_namespace`), and run again: the"
        " suite submits pods to that namespace as dry-runs",
    )


def no_template(mesh: Mesh, template: str) -> list[Problem]:
    """A problem unless the injector of a control plane has a template.

    Args:
        mesh: The control plane.
        template: Name of the template.
    """
    if template in mesh.templates:
        return []
    said = f"there is no injection template {template}, only {listed(mesh.templates)}"
    return [Problem(place(mesh.title), said, "template-missing", mesh.evidence)]


NORMALIZED = {
    "NONE": (False, False, "KEEP_UNCHANGED"),
    "BASE": (True, False, "KEEP_UNCHANGED"),
    "DEFAULT": (True, False, "KEEP_UNCHANGED"),
    "MERGE_SLASHES": (True, True, "KEEP_UNCHANGED"),
    "DECODE_AND_MERGE_SLASHES": (True, True, "UNESCAPE_AND_FORWARD"),
}
"""Envoy settings under each of Istio's normalizations: normalize_path, merge_slashes, path_with_escaped_slashes_action."""

SEE_LISTENERS = "see whether istiod has sent those proxies their listeners: istioctl proxy-status"
"""Next step where a sidecar has no inbound HTTP connection manager."""

NO_WORKLOAD = "no injected pod runs in the mesh"
NO_SIDECAR = "no pod with a sidecar runs in the mesh"
ONLY_IDLE_GATEWAYS = "only gateways that take no HTTP run in the mesh"


def normalizations_are_in_force(
    pods: PodsOfPlanes, asked: Sequence[Normalization | Unread | LeftOut], evidence: Sequence[str]
) -> tuple[Finding, ...]:
    """INST-08 for every control plane that has proxies, and for proxies that have none.

    Args:
        pods: Injected pods by their control planes, with those that went away after they were asked.
        asked: Settings of each pod's proxy.
        evidence: The list of injected pods.
    """
    gone = [a for a in asked if isinstance(a, LeftOut)]
    left = {a.pod.uid for a in gone}
    stayed = {a.pod.uid: a for a in asked if not isinstance(a, LeftOut)}
    found = [
        normalization_is_in_force(
            mesh, [stayed[pod.uid] for pod in its if pod.uid in stayed], evidence, not_asked(its, asked)
        )
        for mesh, its in pods.of_each
        if any(pod.uid not in left for pod in its)
    ]
    orphans = [orphan.pod for orphan in pods.orphans if orphan.pod.uid not in left]
    if orphans:
        where = f"inbound HTTP connection managers of {len(orphans)} proxies"
        claim = Claim("INST-08", "every proxy to normalize paths as its mesh configuration demands", where, evidence)
        unclear = [problem(pod, "the suite knows no mesh configuration for it") for pod in orphans]
        found.append(claim.judged(unclear=unclear, settle="see INST-05, which says why"))
    # A control plane whose proxies have nothing to show does not count where others have.
    telling = [finding for finding in found if finding.holds is not Holds.NOT_APPLICABLE]
    if not telling:
        return (normalization_is_in_force(pods.of_each[0][0], asked, evidence),)
    # Those that went away say nothing about any control plane; the first finding names them.
    first, *others = telling
    left_out, shown = (*first.left_out, *went_away(gone)), tuple(dict.fromkeys((*first.evidence, *readings(*gone))))
    return (replace(first, left_out=left_out, evidence=shown), *others)


def normalization_is_in_force(
    mesh: Mesh,
    asked: Sequence[Normalization | Unread | LeftOut],
    evidence: Sequence[str],
    missing: Sequence[Problem] = (),
) -> Finding:
    """INST-08: each inbound HTTP connection manager of each proxy normalizes paths as its mesh configuration says.

    Args:
        mesh: The control plane.
        asked: Settings of the proxy of each pod that it injected.
        evidence: The list of injected pods.
        missing: Open points of further pods that it injected, which were not asked.
    """
    proxies = [a for a in asked if isinstance(a, Normalization)]
    unread = [a for a in asked if isinstance(a, Unread)]
    gone = [a for a in asked if isinstance(a, LeftOut)]
    wanted = NORMALIZED.get(mesh.normalization)
    claim = Claim(
        "INST-08",
        expected=f"every proxy to normalize paths as {mesh.normalization} demands: {_settings(*wanted)}"
        if wanted
        else f"the mesh to use one of the normalizations {', '.join(NORMALIZED)}",
        where=f"inbound HTTP connection managers of {len(asked)} proxies{mesh.mark}",
        evidence=(*evidence, *readings(mesh.config, *proxies, *gone, *missing)),
    )
    # A gateway that serves no host has no HTTP listener. A sidecar always has one, so one that shows none is unclear.
    silent = [p for p in proxies if not p.settings and not p.pod.is_gateway]
    if not (silent or unread or missing) and not any(p.settings for p in proxies):
        if gone:
            return claim.judged(unclear=[claim.problem(NONE_STAYED)], settle=READ_AGAIN, left_out=went_away(gone))
        return claim.not_applicable(ONLY_IDLE_GATEWAYS if asked else NO_WORKLOAD)
    if wanted is None:
        said = f"pathNormalization.normalization is {mesh.normalization}"
        unclear = [Problem(mesh.config_map, said, evidence=mesh.config.evidence)]
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
            *missing,
            *not_read(unread),
            *(Problem(p.pod.ref, "it has no inbound HTTP connection manager", evidence=p.evidence) for p in silent),
        ],
        settle=how_to_read(unread, ASK_ALL if missing else SEE_LISTENERS),
        left_out=went_away(gone),
    )


def _settings(normalize_path: bool, merge_slashes: bool, escaped_slashes: str) -> str:
    return f"normalize_path {normalize_path}, merge_slashes {merge_slashes}, {escaped_slashes}"
