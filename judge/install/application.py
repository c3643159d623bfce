"""Judgments about injected workloads: INST-15."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from facts.document import Absent, when
from facts.evidence import readings
from facts.finding import Finding, Problem, Remark
from facts.kubernetes.objects import Node, Pod
from facts.kubernetes.pod_spec import SOCKET_MOUNT, SOCKET_VOLUME, PodSpec
from facts.kubernetes.workloads import Deployment, named_templates
from facts.provider.agents import SocketDirectories
from facts.proxies.presence import Stage, restarted_while_starting, start_of
from judge.findings import Claim, listed, place, problem
from judge.fleet import cause_of_no_start
from judge.install.admission import refused_pods

ISTIOS_OWN_TEMPLATES = frozenset(
    {
        "sidecar",
        "gateway",
        "grpc-agent",
        "grpc-simple",
        "waypoint",
        "kube-gateway",
        "agentgateway",
        "agentgateway-waypoint",
    }
)
"""Injection templates that Istio ships; none of them mounts the node's socket."""


def socket_volume_problems(pod: Pod, directories: SocketDirectories) -> list[Problem]:
    """A problem unless the proxy sees the socket directory of its node where it looks for the socket.

    Args:
        pod: An injected pod.
        directories: Directories of the nodes in which tbot listens.
    """
    there = directories.on(pod.node)
    volume = pod.spec.volume(SOCKET_VOLUME)
    if volume is None:
        return [problem(pod, f"it has no volume {SOCKET_VOLUME}", cause_of_no_socket(pod))]
    if volume.source == "hostPath" and volume.path.rstrip("/") not in there:
        said = f"it mounts {volume.path} of the node, and tbot's socket is in {listed(there)}"
        if beside := _elsewhere(volume.path.rstrip("/"), directories):
            return [problem(pod, f"{said}; {beside}")]
        return [problem(pod, said, "socket-path-differs")]
    if volume.source not in ("hostPath", "csi"):
        said = f"it has an {volume.source} as {SOCKET_VOLUME}: Istio silently falls back to its own CA"
        return [problem(pod, said, cause_of_no_socket(pod))]
    mounts = [m for m in pod.proxy.mounts if m.path.rstrip("/") == SOCKET_MOUNT] if pod.proxy else []
    if not any(m.name == SOCKET_VOLUME and not m.sub_path for m in mounts):
        instead = listed((f"{m.name}{f', sub-path {m.sub_path}' if m.sub_path else ''}" for m in mounts), "nothing")
        return [problem(pod, f"its istio-proxy mounts {instead} at {SOCKET_MOUNT}, not the whole of {SOCKET_VOLUME}")]
    return []


def _elsewhere(directory: str, directories: SocketDirectories) -> str:
    """Which other tbot a directory belongs to, in words; empty where it is no tbot's, so that the paths have to agree."""
    if directory in directories.unread:
        return "perhaps a tbot that the suite could not read listens there"
    return "the tbot that listens there has no pod on the node" if directory in directories.everywhere else ""


def cause_of_no_socket(pod: Pod) -> str:
    """Cause for which a pod mounts no socket directory of its node; empty where it does, by hostPath or a CSI driver.

    Either the pod asks only for Istio's own templates, or its template does not mount the node's directory.
    """
    volume = pod.spec.volume(SOCKET_VOLUME)
    if volume is not None and volume.source in ("hostPath", "csi"):
        return ""
    if pod.is_gateway:
        return "gateway-without-socket"
    asked = named_templates(pod.annotations)
    return "template-not-requested" if ISTIOS_OWN_TEMPLATES.issuperset(asked) else "template-without-node-socket"


def missing_pods(
    pods: Sequence[Pod], deployment: Deployment | Absent, where: str, silent: Sequence[Pod] = ()
) -> list[Problem]:
    """A problem if the application's Deployment wants more pods than there are; without a Deployment one pod is enough.

    Args:
        pods: The pods that there are.
        deployment: The Deployment, if there is one.
        where: The application, as people name it.
        silent: Further pods, on nodes that are not Ready.
    """
    if (
        not isinstance(deployment, Absent)
        and len(pods) + len(silent) < deployment.desired
        and (refused := refused_pods(deployment))
    ):
        return refused
    if not (pods or silent):
        said = "it has no pod; the events of its ReplicaSet show whether the injected pod is invalid"
        return [Problem(place(where), said) if isinstance(deployment, Absent) else problem(deployment, said)]
    if isinstance(deployment, Absent) or len(pods) + len(silent) >= deployment.desired:
        return []
    said = (
        f"it wants {deployment.desired} pods and has {len(pods) + len(silent)}; the events of its ReplicaSet give the reason"
    )
    return [problem(deployment, said)]


SEE_NODES = "see why those nodes are not Ready (`kubectl describe node`), and run again when they are"
"""Next step where nothing but pods on nodes that are not Ready is left to judge."""


def silent_alone(pods: Sequence[Pod], silent: Sequence[Pod]) -> list[Problem]:
    """Open points where every pod of the application is on a node that is not Ready: nothing there answers.

    Args:
        pods: The pods on nodes that report.
        silent: The others.
    """
    return [] if pods else [problem(pod, f"its node {pod.node} is not Ready, so nothing of it is judged") for pod in silent]


def some_node_is_selected(
    pods: Sequence[Pod], deployment: Deployment | Absent, nodes: Sequence[Node], where: str, evidence: Sequence[str]
) -> Finding:
    """INST-15: this cluster has a node with the labels that the application's node selector asks for, if it has one.

    The Deployment decides, so that the problem shows even where no pod could be created.
    """
    expected = "the cluster to have a node that fits the node selector of the test application"
    claim = Claim("INST-15", expected, where, (*evidence, *readings(deployment, *nodes)))
    specs = [pod.spec for pod in pods] if isinstance(deployment, Absent) else [deployment.template.spec]
    wanted = {_selected(spec): spec for spec in specs if spec.node_selector}
    subject = place(where) if isinstance(deployment, Absent) else deployment.ref
    problems = [
        Problem(subject, said, NO_NODE_FITS, deployment.evidence)
        for _labels, spec in sorted(wanted.items())
        if (said := why_no_node_fits(spec, nodes))
    ]
    return claim.judged(problems, f"a node has {listed(wanted)}" if wanted else "there is no node selector")


NO_NODE_FITS = "node-selector-fits-no-node"
"""Cause for which a pod runs on no node: its node selector."""


def why_no_node_fits(spec: PodSpec, nodes: Sequence[Node]) -> str:
    """The reason why the node selector of a pod fits no node; empty where it fits one, and where there is none.

    Args:
        spec: The specification of the pod.
    """
    if any(all(node.labels.get(key) == value for key, value in spec.node_selector.items()) for node in nodes):
        return ""
    return (
        f"it wants a node with {_selected(spec)}; none of the nodes has that: {listed(node.name for node in nodes)}"
        if spec.node_selector
        else ""
    )


def _selected(spec: PodSpec) -> str:
    return listed(f"{key}={value}" for key, value in spec.node_selector.items())


def pods_run_with_a_proxy(
    pods: Sequence[Pod],
    deployment: Deployment | Absent,
    now: datetime,
    where: str,
    evidence: Sequence[str],
    *,
    silent: Sequence[Pod] = (),
) -> Finding:
    """INST-15, first part: as many pods as wanted are Ready, with a started istio-proxy in either list of containers.

    An init container of the application that keeps a pod from starting says nothing about the install.

    Args:
        pods: Pods of the test application.
        deployment: Its Deployment, if there is one.
        now: The present time.
        where: The test application, as people name it.
        evidence: Ids of the readings.
        silent: Further pods of it, on nodes that are not Ready; they are named and not judged. Where there is no other, they
            are open points.
    """
    expected = "every pod of the test application to be Ready, with a started istio-proxy"
    claim = Claim("INST-15", expected, where, (*evidence, *readings(deployment, *silent)))
    problems, unclear = missing_pods(pods, deployment, where, silent), silent_alone(pods, silent)
    for pod in pods:
        if pod.proxy is None:
            problems.append(problem(pod, "it has no istio-proxy, either in containers or in initContainers"))
        elif (start := start_of(pod, now)).stage in (Stage.HELD, Stage.HELD_FOR_GOOD):
            unclear.append(problem(pod, f"it is {pod.phase}: {start.said}"))
        elif not (pod.ready and start.stage is Stage.UP):
            waiting = "; ".join(f"{c.name}: {c.reason} {c.message}".strip() for c in pod.containers if c.reason)
            said = f"it is {pod.phase} and not Ready ({waiting or pod.message or 'no reason given'})"
            problems.append(problem(pod, said, cause_of_no_start(pod)))
    confirmed = f"{len(pods)} of {len(pods)} pods are Ready, with istio-proxy"
    return claim.judged(
        problems,
        confirmed,
        unclear=unclear,
        settle="look at the log of that init container, and run again" if pods else SEE_NODES,
        left_out=[Remark(p.ref, f"its node {p.node} is not Ready") for p in silent if pods],
    )


def pods_use_the_nodes_socket(
    pods: Sequence[Pod], directories: SocketDirectories, where: str, evidence: Sequence[str], *, silent: Sequence[Pod] = ()
) -> Finding:
    """INST-15, second part: the volume workload-socket is the node's directory, not an emptyDir.

    Args:
        pods: Pods of the test application.
        directories: Directories on the nodes in which tbot listens.
        where: The test application, as people name it.
        evidence: Ids of the readings.
        silent: Further pods of it, on nodes that are not Ready.
    """
    claim = Claim("INST-15", f"the volume workload-socket to be the node's directory {directories}", where, evidence)
    problems = [each for pod in pods for each in socket_volume_problems(pod, directories)]
    mounted = listed(directory for pod in pods for directory in directories.on(pod.node))
    unclear = silent_alone(pods, silent)
    return claim.judged(
        problems if pods or silent else [claim.problem("there is no pod")],
        f"{len(pods)} of {len(pods)} pods mount {mounted}",
        unclear=unclear,
        settle=SEE_NODES if unclear else "",
    )


SETTLED = timedelta(minutes=10)
"""A proxy that has run for so long since its last restart is stable; the count that a reboot leaves never goes away."""


def proxies_are_stable(
    pods: Sequence[Pod], now: datetime, where: str, evidence: Sequence[str], *, silent: Sequence[Pod] = ()
) -> Finding:
    """INST-15, third part: no proxy has restarted recently, after its pod had started.

    Where many pods start at once on a small cluster, proxies may restart until their turn comes; that is a note.

    Args:
        pods: Pods of the test application.
        now: UTC time of the judgment.
        where: The test application, as people name it.
        evidence: Ids of the readings.
        silent: Further pods of it, on nodes that are not Ready.
    """
    claim = Claim(
        "INST-15",
        f"no istio-proxy to have restarted in the last {SETTLED.total_seconds() / 60:.0f} minutes",
        where,
        evidence,
    )
    problems, notes = [problem(pod, "it has no istio-proxy") for pod in pods if pod.proxy is None], []
    restarted = [(pod, pod.proxy) for pod in pods if pod.proxy is not None and pod.proxy.restarts]
    for pod, proxy in restarted:
        ended = when(proxy.last_ended, str(pod.ref)) if proxy.last_ended else None
        if ended is None or now - ended < SETTLED:
            ago = f", {(now - ended).total_seconds():.0f} s ago" if ended else ""
            why = proxy.last_reason or "no reason kept"
            said = f"its istio-proxy restarted {proxy.restarts} times, last: {why}{ago}"
            if restarted_while_starting(pod):
                notes.append(problem(pod, f"{said}, while the pod was starting"))
            else:
                problems.append(problem(pod, said))
    unclear = silent_alone(pods, silent)
    earlier = sum(proxy.restarts for _pod, proxy in restarted)
    return claim.judged(
        problems if pods or silent else [claim.problem("there is no pod")],
        f"{earlier} restarts, all of them earlier or while the pod was starting" if restarted else "0 restarts",
        unclear=unclear,
        notes=notes,
        settle=SEE_NODES if unclear else "",
    )
