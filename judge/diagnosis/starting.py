"""Rules about pods that do not start: what keeps each istio-proxy from its start, told from several readings together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from facts.evidence import readings
from facts.finding import OpenPoint, Problem
from facts.istio.control_planes import ControlPlanes, Injectable, asks_for, why_istio_refuses, why_it_refuses
from facts.kubernetes.objects import Labelled, Pod, condition_holds
from facts.kubernetes.pod_spec import ISTIOS_SOCKET, PROXY, SOCKET_FILE, SOCKET_VOLUME, Volume
from facts.kubernetes.workloads import Deployment
from facts.proxies.identity import ProxyIdentity
from facts.proxies.presence import STARTING, Stage, made_at, start_of, was_reached
from judge.findings import listed, problem
from judge.fleet import cause_of_no_start
from judge.identity.proxies import cause_of_no_configuration
from judge.install.admission import refused_pods
from providers.teleport.facts.tbot import Tbot, Tbots
from providers.teleport.judge.tbot import is_replacing, is_starting

BEGUN = "PodReadyToStartContainers"
"""Condition of a pod whose volumes are mounted and whose sandbox has its network."""


def refused(deployments: Iterable[Deployment], namespaces: Iterable[Labelled], planes: ControlPlanes) -> list[Problem]:
    """Deployments of the mesh whose pods the API server refuses, so that a list of pods does not show them.

    Args:
        namespaces: Namespaces of the install.
        planes: Istio's control planes.
    """
    by_name = {each.name: each for each in namespaces}
    return [
        each
        for deployment in deployments
        if (namespace := by_name.get(deployment.namespace)) is not None and _has_proxies(deployment, namespace, planes)
        for each in refused_pods(deployment)
    ]


def _has_proxies(deployment: Deployment, namespace: Labelled, planes: ControlPlanes) -> bool:
    """Return whether the pods of a Deployment are injected, or have a proxy by its own template."""
    template = deployment.template
    return template.spec.container(PROXY) is not None or is_to_be_injected(template, namespace, planes)


def is_to_be_injected(pod: Injectable, namespace: Labelled, planes: ControlPlanes) -> bool:
    """Tell whether a control plane is asked to inject a pod, or the pods of a template, and nothing refuses that.

    Args:
        pod: The pod, or the template.
        planes: Istio's control planes.
    """
    mesh, asked = planes.injecting(namespace, pod), asks_for(namespace.labels, pod.labels)
    # A control plane that the suite could not read may inject them all the same.
    if mesh is None and not (asked and planes.unread_called(asked)):
        return False
    return not (why_istio_refuses(pod, namespace, mesh) or why_it_refuses(pod))


def held_up(pods: Iterable[Pod], tbots: Tbots, now: datetime) -> list[Problem]:
    """Pods whose proxy should have started and has not, where their own status or their node's tbot tells why.

    Args:
        pods: Injected pods, gateways among them.
        tbots: Every tbot that serves the mesh.
        now: UTC time of the list of pods.
    """
    every = list(pods)
    there = _Directories.of(every)
    down = [pod for pod in every if pod.is_injected and start_of(pod, now).stage is Stage.DOWN]
    return [found for pod in down if (found := _held_up(pod, tbots, there, now)) is not None]


def _held_up(pod: Pod, tbots: Tbots, there: _Directories, now: datetime) -> Problem | None:
    if cause := cause_of_no_start(pod):
        return problem(pod, f"its istio-proxy does not start: {pod.why_not_ready}", cause)
    if not pod.node or tbots.may_be_unread(pod.node, pod.socket_on_node) or _has_tbot(tbots, pod, now):
        return None
    volume, evidence = pod.spec.volume(SOCKET_VOLUME), readings(pod, tbots)
    without = f"node {pod.node} has no Ready tbot for it"
    must_exist = volume is not None and volume.source == "hostPath" and volume.type == "Directory"
    if must_exist and volume is not None and not _has_begun(pod) and not there.mounted_since(pod, volume.path.rstrip("/")):
        said = f"none of its containers has started: it requires the directory {volume.path}, and {without}"
        return Problem(pod.ref, said, "socket-directory-absent", evidence)
    name = pod.proxy.variable(SOCKET_FILE) if pod.proxy is not None else ""
    if name not in ("", ISTIOS_SOCKET) and _has_begun(pod):
        said = f"its istio-proxy waits for the socket {name}, without a fallback to istiod, and {without}"
        return Problem(pod.ref, said, "fail-closed-without-tbot", evidence)
    return None


@dataclass(frozen=True, slots=True)
class _Directories:
    """Directories of the nodes that pods require to exist, and that were there.

    Attributes:
        mounted: By node and path: the pods that require a directory and have mounted it, each with the time of its creation.
    """

    mounted: Mapping[tuple[str, str], Sequence[tuple[datetime, Pod]]]

    @classmethod
    def of(cls, pods: Iterable[Pod]) -> _Directories:
        """Those that the pods which have begun require."""
        mounted: dict[tuple[str, str], list[tuple[datetime, Pod]]] = {}
        for pod in pods:
            if pod.node and _has_begun(pod) and (made := made_at(pod)) is not None:
                for path in _required(pod):
                    mounted.setdefault((pod.node, path), []).append((made, pod))
        return cls(mounted)

    def mounted_since(self, pod: Pod, path: str) -> Pod | None:
        """A pod that was made after another one of its node, and has mounted a directory that both require to exist.

        None where the time of either is missing.
        """
        since, begun = made_at(pod), self.mounted.get((pod.node, path), ())
        return next((other for made, other in begun if since is not None and made > since), None)


SEE_EVENTS = "see what the kubelet says of it: `kubectl -n NAMESPACE describe pod POD`, under Events"
"""The next step where a pod's own status does not tell which of its volumes is missing."""


def without_directory(pods: Iterable[Pod], tbots: Tbots, now: datetime) -> list[Problem | OpenPoint]:
    """Pods of tbot that do not start, and that themselves require the directory of their socket to exist.

    No status names the directory, and the node's network or another volume keeps a pod from its start in the same way. So
    the directory has to be what it waits for: nothing on the node waits without requiring a directory, none that was made
    later has mounted it, and a pod of the mesh waits for the same one, or tbot requires nothing else that may be missing.
    Otherwise the pod is an open point.

    Args:
        pods: Pods of the install.
        tbots: Every tbot that serves the mesh.
        now: UTC time of the list of pods.
    """
    every = list(pods)
    waiting = [pod for pod in every if pod.node and not _has_begun(pod) and _had_its_time(pod, now)]
    failing = {pod.node for pod in waiting if not _required(pod)}
    missed = {(pod.node, path) for pod in waiting if pod.is_injected for path in _required(pod)}
    there = _Directories.of(every)
    found: list[Problem | OpenPoint] = []
    for tbot, pod, path in _lacking(tbots, now):
        if pod.node in failing:
            continue
        if (other := there.mounted_since(pod, path)) is not None:
            mounts = f"{other.ref}, which was made later, has mounted {path} there, so that it waits for something else"
            found.append(_unstarted(pod, mounts, other.evidence))
        elif (pod.node, path) in missed or not (others := _may_be_missing(tbot, pod, path)):
            said = (
                f"{UNSTARTED}: its own volume, of type Directory, requires {path} to exist on node {pod.node}, and does not"
            )
            found.append(problem(pod, f"{said} make it", "socket-directory-not-recreated"))
        else:
            found.append(_unstarted(pod, f"{path} may be missing on node {pod.node}, or what {listed(others)} needs"))
    return found


UNSTARTED = "none of its containers has started"


def _unstarted(pod: Pod, why: str, evidence: Iterable[str] = ()) -> OpenPoint:
    about = problem(pod, f"{UNSTARTED}: {why}")
    return OpenPoint(replace(about, evidence=(*about.evidence, *evidence)), SEE_EVENTS)


def _lacking(tbots: Tbots, now: datetime) -> Iterator[tuple[Tbot, Pod, str]]:
    """Pods of tbot that have not begun in time, each with the directory of its socket, which it requires to exist."""
    for tbot in tbots.each:
        for pod in tbot.pods.values():
            if (path := _required_directory(tbot, pod)) and not _has_begun(pod) and _had_its_time(pod, now):
                yield tbot, pod, path


NEVER_MISSING = ("emptyDir", "downwardAPI")
"""Sources of volumes that the kubelet makes out of nothing but the pod."""

MADE = ("", "DirectoryOrCreate", "FileOrCreate")
"""Types of a hostPath for which nothing has to be there. Source: Kubernetes, hostPath volumes."""


def _may_be_missing(tbot: Tbot, pod: Pod, path: str) -> list[str]:
    """Volumes of a pod of tbot that may keep it from its start as well, beside the directory of its socket.

    Its configuration was read from its ConfigMap. The tokens of a projected volume, and the ConfigMap with the API server's
    authority beside them, are in every namespace.
    """
    return [f"volume {volume.name} ({volume.source})" for volume in pod.spec.volumes if not _is_there(volume, tbot, path)]


def _is_there(volume: Volume, tbot: Tbot, path: str) -> bool:
    if volume.source == "hostPath":
        return volume.type in MADE or volume.path.rstrip("/") == path
    if volume.source == "configMap":
        return volume.config_map == tbot.config_map
    return volume.source in NEVER_MISSING or (volume.source == "projected" and bool(volume.tokens))


def _required_directory(tbot: Tbot, pod: Pod) -> str:
    """Directory of a tbot's socket that its pod requires to exist; empty where its volume makes it."""
    return next((path for path in _required(pod) if path in tbot.directories_of_mesh), "")


def _required(pod: Pod) -> tuple[str, ...]:
    """Directories of the node that a pod requires to exist."""
    return tuple(v.path.rstrip("/") for v in pod.spec.volumes if v.source == "hostPath" and v.type == "Directory")


def _had_its_time(pod: Pod, now: datetime) -> bool:
    made = made_at(pod)
    return not pod.terminating and (made is None or now - made >= STARTING)


def _has_begun(pod: Pod) -> bool:
    """Return whether the kubelet has mounted a pod's volumes; before Kubernetes 1.29 only its containers show it.

    It mounts them before it pulls an image or makes a container, so that a reason of either shows it as well.
    """
    return condition_holds(pod.conditions, BEGUN) or any(map(was_reached, pod.containers))


def _has_tbot(tbots: Tbots, pod: Pod, now: datetime) -> bool:
    """Return whether the tbot of a pod is Ready on its node, or may be in a moment: it is starting or being replaced."""
    serving, node = tbots.serving(pod.node, pod.socket_on_node) or tbots.each, pod.node
    there = [(each, each.pods[node]) for each in serving if node in each.pods]
    if any(own.ready or is_starting(each, own, now) for each, own in there):
        return True
    return any(is_replacing(each, node) for each in serving)


def without_istiod(proxies: Iterable[ProxyIdentity], pods: Iterable[Pod]) -> list[Problem]:
    """Proxies without a configuration, whose agent cannot connect to istiod: nothing in them asks for an identity.

    Args:
        proxies: Proxies of the mesh.
        pods: Their pods.
    """
    known = {pod.uid: pod for pod in pods}
    return [
        Problem(
            proxy.ref,
            f"Envoy has no configuration, and its Istio agent failed {proxy.istiod_failures} times to connect to istiod",
            cause,
            readings(proxy, known[proxy.pod.uid]),
        )
        for proxy in proxies
        if (cause := cause_of_no_configuration(proxy, known.get(proxy.pod.uid)))
    ]
