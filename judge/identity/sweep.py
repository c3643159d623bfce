"""The sweep over the whole mesh, ID-11: every proxy, gateways included, and every workload that is meant to have one.

A workload is *meant to use* Teleport's authority in any of these cases:

1. Its pod names the injection template in its annotation ``inject.istio.io/templates``.
2. It has a proxy and names no template, and the template is one of the mesh's default ones.
3. It has a proxy, and its namespace carries that annotation, where Istio does not read it.
4. It has a proxy, and another pod of its namespace uses the node's socket.
5. It has no proxy although its namespace injects and it did not opt out, and another pod of its namespace uses the socket.

It *lacks the template* if the node's socket is not mounted in its proxy, or there is no proxy. A pod without a proxy that
Istio is told to leave alone (by the pod, by its namespace, by the injector's ``neverInjectSelector``, or because it is on
the node's own network) is meant to be outside of the mesh: it is left out, with the reason.

Ambient mode knows no issuer but istiod: a workload that is enrolled in it, its waypoints and ztunnel are named and left out.
What asks for the template by name is meant to use Teleport's authority, in ambient mode as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from facts.evidence import ObjectRef, readings
from facts.finding import Finding, OpenPoint, Problem, Remark
from facts.istio.ambient import is_enrolled
from facts.istio.control_planes import ControlPlanes, asks_for, why_istio_refuses, why_it_refuses
from facts.istio.istio_ca import IstioAuthorities
from facts.istio.mesh import Mesh
from facts.kubernetes.objects import Labelled, Pod
from facts.kubernetes.pod_spec import REVISION
from facts.kubernetes.workloads import named_templates
from facts.provider.agents import SocketDirectories
from facts.provider.trust import TrustBundle
from facts.proxies.identity import ProxyIdentity
from facts.proxies.sds_mode import SdsMode
from judge.findings import Claim, problem
from judge.fleet import ASK_ALL, each_of, of_proxies
from judge.identity.proxies import (
    Lifetime,
    ObservedProxies,
    authority_problems,
    cause_of_no_certificate,
    grammar_problems,
    issuer_problems,
    istiod_problems,
    name_problems,
    profile_problems,
    supply_problems,
)
from judge.install.application import cause_of_no_socket, socket_volume_problems


@dataclass(frozen=True, slots=True)
class Lacking:
    """A pod that is meant to use Teleport's authority and lacks the template.

    Attributes:
        why: Reason why it is meant to use Teleport's authority.
        template: Name of the template in its control plane.
        cause: Id of the cause for which it lacks the template; empty where its specification does not tell.
    """

    pod: Pod
    why: str
    template: str
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Outside:
    """What is meant to have Teleport's authority, and what is left out beside that.

    Attributes:
        lacking: The pods that lack the template.
        left_out: The pods that Istio is told to leave alone or runs in ambient mode, and the namespaces that no istiod
            watches, with the reason.
        unwatched: The namespaces that no istiod watches although proxies run there, with what that means.
        evidence: Ids of the readings of Istio and of the namespaces.
        dark: Pods with a proxy that nobody can ask, each with what would settle it.
    """

    lacking: tuple[Lacking, ...] = ()
    left_out: tuple[Remark, ...] = ()
    unwatched: tuple[Problem, ...] = ()
    evidence: tuple[str, ...] = ()
    dark: tuple[OpenPoint, ...] = ()


@dataclass(frozen=True, slots=True)
class Expectation:
    """The expected issuer, trust bundle and longest lifetime for every proxy.

    Attributes:
        bundle: Teleport's authorities.
        istiod: Istiod's own authorities.
        lifetime: The longest that an SVID may live.
    """

    bundle: TrustBundle
    istiod: IstioAuthorities
    lifetime: Lifetime

    @property
    def evidence(self) -> tuple[str, ...]:
        """Ids of all readings."""
        return readings(self.bundle, self.istiod, self.lifetime)


def failures_of(proxy: ProxyIdentity, expectation: Expectation) -> dict[str, list[Problem]]:
    """Problems of one proxy, by the requirement among ID-01 to ID-06 that it fails."""
    bundle, longest = expectation.bundle, expectation.lifetime.longest
    judged: dict[str, list[Problem]] = {
        "ID-01": supply_problems(proxy),
        "ID-02": name_problems(proxy, bundle.trust_domain),
        "ID-03": issuer_problems(proxy, bundle) + istiod_problems(proxy, expectation.istiod),
        "ID-04": profile_problems(proxy, longest),
        "ID-05": grammar_problems(proxy),
        "ID-06": authority_problems(proxy, bundle),
    }
    return {requirement: problems for requirement, problems in judged.items() if problems}


def outside_of_teleport(
    pods: Sequence[Pod], namespaces: Sequence[Labelled], planes: ControlPlanes, named: str, directories: SocketDirectories
) -> Outside:
    """The pods that are meant to use Teleport's authority and lack the template, and what is left out, by these rules.

    Args:
        pods: All pods that run or are to run.
        planes: Istio's control planes.
        named: Expected name of the injection template.
        directories: Directories of the nodes in which tbot listens.
    """
    by_name = {n.name: n for n in namespaces}
    on_socket = {pod.uid: pod for pod in pods if pod.is_injected and not socket_volume_problems(pod, directories)}
    siblings = {pod.namespace: pod.name for pod in reversed(on_socket.values())}
    templates = {mesh.config_map: mesh.socket_template(named) for mesh in planes}
    lacking, left_out = [], []
    for pod in (pod for pod in pods if pod.uid not in on_socket):
        namespace = by_name.get(pod.namespace)
        mesh = planes.of(pod, namespace) if pod.is_injected else planes.injecting(namespace, pod)
        template = templates[mesh.config_map] if mesh is not None else named
        why = _why_meant(pod, namespace, mesh, template, siblings.get(pod.namespace, ""))
        if not why:
            continue
        # A pod that asks for the template and refuses injection contradicts itself.
        refused = why_istio_refuses(pod, namespace, mesh) or ("" if _asks(pod, template) else why_it_refuses(pod))
        if not pod.is_injected and refused:
            left_out.append(Remark(pod.ref, f"Istio is told not to inject it: {refused}"))
        else:
            cause = _cause_of_lacking(pod, mesh, template, directories)
            if cause == "template-not-requested" and namespace is not None and _names(namespace, template):
                cause = "annotation-on-namespace"
            lacking.append(Lacking(pod, why, template, cause))
    unwatched = planes.unwatched(namespaces)
    proxies = Counter(pod.namespace for pod in pods if pod.is_injected)
    return Outside(
        tuple(lacking),
        (
            *of_ambient_mode(pods, namespaces),
            *left_out,
            *(Remark(_namespace(n), UNWATCHED) for n in unwatched if not proxies[n.name]),
        ),
        tuple(
            Problem(_namespace(n), f"{UNWATCHED}, and {proxies[n.name]} proxies run there", evidence=n.evidence)
            for n in unwatched
            if proxies[n.name]
        ),
        readings(planes, *namespaces),
    )


UNWATCHED = "no istiod watches it: its labels fit no discovery selector of the mesh configuration"


def _namespace(of: Labelled) -> ObjectRef:
    return ObjectRef("Namespace", of.name)


def _cause_of_lacking(pod: Pod, mesh: Mesh | None, template: str, directories: SocketDirectories) -> str:
    if not pod.is_injected:
        return ""
    cause = socket_volume_problems(pod, directories)[0].cause
    # A pod that names no template asks for the default templates of the mesh.
    by_default = not named_templates(pod.annotations) and _is_default(template, mesh)
    return "template-without-node-socket" if cause == "template-not-requested" and by_default else cause


def _asks(pod: Pod, template: str) -> bool:
    return template in named_templates(pod.annotations)


def _names(namespace: Labelled, template: str) -> bool:
    return template in named_templates(namespace.annotations)


def _is_default(template: str, mesh: Mesh | None) -> bool:
    return mesh is not None and template in mesh.injector.default_templates


def _why_meant(pod: Pod, namespace: Labelled | None, mesh: Mesh | None, template: str, sibling: str) -> str:
    """The reason why a pod is meant to use Teleport's authority; empty where it is not."""
    if _asks(pod, template):
        return f"it asks for the template {template}"
    if pod.is_waypoint:
        return ""
    if pod.is_injected:
        if not named_templates(pod.annotations) and not pod.is_gateway and _is_default(template, mesh):
            return f"the template {template} is a default template of the mesh"
        if namespace is not None and _names(namespace, template):
            return "its namespace has the annotation, which Istio reads from pods only"
        return f"the pod {sibling} of its namespace uses the node's socket" if sibling else ""
    if sibling and namespace is not None and injects(namespace) and not is_enrolled(pod, namespace):
        return f"its namespace injects, and the pod {sibling} there uses the node's socket"
    return ""


def injects(namespace: Labelled) -> bool:
    """A label of the namespace asks a revision of Istio to inject its pods, though another one may refuse it."""
    return bool(asks_for(namespace.labels, {})) or REVISION in namespace.labels


ISTIODS_BY_DESIGN = "in ambient mode istiod certifies it by design"
AMBIENTS_WAYPOINT = f"a waypoint: {ISTIODS_BY_DESIGN}"


def of_ambient_mode(pods: Sequence[Pod], namespaces: Sequence[Labelled]) -> tuple[Remark, ...]:
    """The pods that ambient mode certifies with istiod's CA, each with what it is: enrolled workloads and ztunnel.

    Args:
        pods: All pods that run or are to run.
    """
    by_name = {n.name: n for n in namespaces}
    kinds = (
        (pod, "a ztunnel" if pod.is_ztunnel else "a workload" if is_enrolled(pod, by_name.get(pod.namespace)) else "")
        for pod in pods
    )
    return tuple(Remark(pod.ref, f"{kind}: {ISTIODS_BY_DESIGN}") for pod, kind in kinds if kind)


def mesh_is_teleports(proxies: ObservedProxies, expectation: Expectation, outside: Outside) -> Finding:
    """ID-11: every proxy meets ID-01 to ID-06, and no workload that is meant to use the socket lacks the template.

    Args:
        proxies: All proxies of the mesh, gateways included.
        expectation: The expected authorities and lifetime.
        outside: The pods that lack the template, what is left out, and the pods that nobody can ask: these are left out by
            name, and keep the answer open where there is no other.
    """
    lacking, dark = outside.lacking, [each.about for each in outside.dark]
    claim = Claim(
        "ID-11",
        expected="every proxy of the mesh to have its own identity from Teleport, and no workload to lack the template",
        where=f"{len(proxies.pods)} proxies in {len({p.namespace for p in proxies.pods})} namespaces",
        evidence=(
            *readings(proxies, expectation, outside, *(each.pod for each in lacking)),
            *(reading for each in dark for reading in each.evidence),
        ),
    )
    gone = {each.pod.uid for each in proxies.fleet.left_out}
    without = {each.pod.uid: each for each in lacking if each.pod.uid not in gone}
    pods = proxies.by_uid
    waypoints = [p for p in proxies.fleet.proxies if p.pod.uid not in without and is_ambients(p, pods.get(p.pod.uid))]
    judged = [p for p in proxies.fleet.proxies if p not in waypoints]
    missing = proxies.not_asked
    nobody = (proxies.is_empty or waypoints) and not (judged or proxies.fleet.unread or lacking or missing)
    if nobody and not dark:
        return proxies.not_applicable(claim)
    open_ones = dark if nobody else []
    problems = []
    for proxy in judged:
        if failed := failures_of(proxy, expectation):
            pod = pods.get(proxy.pod.uid)
            first = next(iter(failed.values()))[0]
            said, cause = f"it fails {', '.join(failed)}: {first.said}", first.cause
            if proxy.pod.is_gateway:
                said = f"as a {'waypoint' if pod is not None and pod.is_waypoint else 'gateway'} {said}"
            if (lacks := without.pop(proxy.pod.uid, None)) is not None:
                said, cause = f"{said}; it lacks the template {lacks.template}: {lacks.why}", cause or lacks.cause
            if proxy.sds_mode is SdsMode.ISTIO_CA and pod is not None:
                cause = cause or cause_of_no_socket(pod)
            cause = cause or cause_of_no_certificate(proxy, pod)
            problems.append(problem(proxy, said, cause))
    problems += [
        problem(each.pod, f"it lacks the template {each.template}: {each.why}", each.cause)
        for each in lacking
        if each.pod.uid in without
    ]
    gateways = sum(p.pod.is_gateway for p in judged)
    return of_proxies(
        claim,
        proxies.pods,
        proxies.fleet,
        problems,
        confirmed=f"{len(judged) - gateways} sidecars and {gateways} gateways meet ID-01 to ID-06",
        held=each_of(judged, lambda _proxy: "it meets ID-01 to ID-06"),
        unclear=[*missing, *open_ones],
        settle=ASK_ALL if missing else next((each.settle for each in outside.dark if open_ones), ""),
        left_out=(
            *(Remark(p.ref, AMBIENTS_WAYPOINT) for p in waypoints),
            *(Remark(each.subject, each.said) for each in dark if not open_ones),
            *outside.left_out,
            *proxies.left_out,
        ),
        notes=outside.unwatched,
    )


def is_ambients(proxy: ProxyIdentity, pod: Pod | None) -> bool:
    """Tell whether a proxy is a waypoint on istiod that does not mount the node's socket, as ambient mode has it."""
    return pod is not None and pod.is_waypoint and proxy.sds_mode is SdsMode.ISTIO_CA and bool(cause_of_no_socket(pod))
