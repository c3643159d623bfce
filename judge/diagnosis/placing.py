"""Rules about what runs where: nodes without tbot, pods that nobody can ask, and workloads for which no sidecar speaks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

from facts.evidence import readings
from facts.finding import OpenPoint, Problem
from facts.istio.ambient import is_enrolled
from facts.istio.control_planes import ControlPlanes, asks_for, why_it_refuses
from facts.kubernetes.objects import Labelled, Node, Pod
from facts.kubernetes.pod_spec import INJECT
from facts.proxies.presence import HELD_AT_MOST, is_in_its_first_time, overstays
from judge.diagnosis.starting import is_to_be_injected
from judge.findings import listed, problem
from judge.identity.sweep import injects
from judge.install.application import NO_NODE_FITS, SEE_NODES, silent_alone, why_no_node_fits
from providers.teleport.facts.tbot import Tbot, Tbots
from providers.teleport.judge.tbot import NOT_ON_NODE, STAYS, Lacking, is_coming, is_replacing, lacking_on

NOTHING_SHOWN = "no taint, node selector or waiting pod shows why"


def without_tbot(
    tbots: Tbots, hosts: Mapping[str, Sequence[Pod]], nodes: Sequence[Node], pods: Sequence[Pod]
) -> list[Problem]:
    """Nodes that host injected pods and no tbot, each with what keeps tbot away, where the API server shows it.

    While a controller of tbot still has pods to make, only those count that something is shown to keep away. A node on
    which it replaces a pod at this moment does not count, nor one that the API server does not list, which INST-13 leaves
    open.

    Args:
        tbots: Every tbot that serves the mesh.
        hosts: Injected pods by node.
        pods: All pods, those that have ended among them.
    """
    known = {node.name: node for node in nodes}
    found = []
    for name in sorted(known.keys() & hosts.keys() if not tbots.unread else ()):
        for lacking in lacking_on(tbots, name, hosts[name]):
            said = _kept_away(lacking, known[name], pods)
            is_shown = said != NOTHING_SHOWN
            if not any(is_replacing(tbot, name) or (is_coming(tbot, name) and not is_shown) for tbot in lacking.tbots):
                found += lacking.problems(f": {said}", NOT_ON_NODE, readings(tbots, known[name]))
    return found


def _kept_away(lacking: Lacking, node: Node, pods: Sequence[Pod]) -> str:
    own = [pod for pod in pods if any(tbot.runs(pod) for tbot in lacking.tbots)]
    evicted = [pod for pod in own if pod.has_ended and pod.node == lacking.node]
    if evicted:
        return f"{evicted[0].ref} there has ended ({evicted[0].message or evicted[0].phase})"
    reasons = [f"{pod.ref} there {STAYS}" for pod in lacking.overstaying]
    reasons += [f"the node is tainted {taint}" for taint in node.taints if not taint.endswith(":PreferNoSchedule")]
    reasons += [reason for tbot in lacking.tbots if (reason := _not_selected(tbot, node))]
    reasons += [f"{pod.ref} is Pending: {pod.why_not_ready}" for pod in own if not pod.node]
    return "; ".join(dict.fromkeys(reasons)) or NOTHING_SHOWN


def _not_selected(tbot: Tbot, node: Node) -> str:
    wanted = tbot.daemon_set.template.spec.node_selector
    missing = [f"{key}={value}" for key, value in wanted.items() if node.labels.get(key) != value]
    return f"{tbot.daemon_set.ref} selects nodes with {listed(missing)}" if missing else ""


SEE_WHAT_HOLDS_IT = (
    "see what holds the pod (`kubectl describe pod`): a finalizer, a volume that does not unmount, or containers that the"
    " kubelet does not end; run again when it is gone"
)
"""Next step where a pod that was deleted is still there."""


def tbots_that_stay(tbots: Tbots, hosts: Mapping[str, Sequence[Pod]]) -> list[OpenPoint]:
    """Pods of tbot that were deleted and do not go away, on nodes whose injected pods lack that tbot.

    Args:
        tbots: Every tbot that serves the mesh.
        hosts: Injected pods by node.
    """
    staying = {
        pod.uid: pod
        for node in sorted(hosts)
        for lacking in lacking_on(tbots, node, hosts[node])
        for pod in lacking.overstaying
    }
    said = f"it {STAYS} on node {{}}; that period ended at {{}}"
    return [
        OpenPoint(problem(pod, said.format(pod.node, pod.due or "an unknown time")), SEE_WHAT_HOLDS_IT)
        for pod in staying.values()
    ]


def out_of_sight(pods: Iterable[Pod], silent: Collection[str], now: datetime) -> list[OpenPoint]:
    """Pods with a proxy that nobody can ask, so that no other rule looks at them.

    They are on a node that is not Ready, or were deleted and do not go away. A node that fails brings about both: after some
    minutes Kubernetes deletes its pods, and they stay until it is back.

    Args:
        pods: All pods of the install.
        silent: Names of the nodes that are not Ready.
        now: UTC time of the list of pods.
    """
    running = [pod for pod in pods if pod.is_injected and not pod.has_ended]
    staying = [pod for pod in running if pod.node not in silent and overstays(pod, now)]
    said = (
        "it was deleted and is still there after its grace period, at {}: nothing of it is judged, and its proxy may run on"
    )
    return [
        *(OpenPoint(each, SEE_NODES) for each in silent_alone((), [pod for pod in running if pod.node in silent])),
        *(OpenPoint(problem(pod, said.format(pod.due or "an unknown time")), SEE_WHAT_HOLDS_IT) for pod in staying),
    ]


HOST_NAME = "kubernetes.io/hostname"
"""Label that a node has of its own, with its name: no pool of nodes can give it to a new one."""

LET_A_NODE_TAKE_IT = (
    "read the scheduler's words: a node must have what the pod asks for (selector, affinity, tolerations, room), or the pod"
    " must ask for less; run again when it has a node"
)
"""Next step where a pod is on no node."""


def without_node(pods: Iterable[Pod], nodes: Sequence[Node] | None, now: datetime) -> list[Problem | OpenPoint]:
    """Pods with a proxy that no node has taken in the time that a proxy has to start, each with the scheduler's words.

    A selector that fits no node is the cause once no new node is to be expected: an autoscaler may be making one.

    Args:
        pods: Living pods of the install.
        nodes: All nodes; None where they cannot be read.
        now: UTC time of the list of pods.
    """
    waiting = [pod for pod in pods if pod.is_injected and not pod.node and not is_in_its_first_time(pod, now)]
    return [_without_node(pod, nodes, now) for pod in waiting]


def _without_node(pod: Pod, nodes: Sequence[Node] | None, now: datetime) -> Problem | OpenPoint:
    said = why_no_node_fits(pod.spec, nodes) if nodes is not None else ""
    if said and (HOST_NAME in pod.spec.node_selector or not is_in_its_first_time(pod, now, HELD_AT_MOST)):
        return Problem(pod.ref, said, NO_NODE_FITS, readings(pod, *(nodes or ())))
    words = "; ".join(c.message or c.reason for c in pod.conditions if c.type == "PodScheduled" and c.status != "True")
    about = problem(pod, f"no node takes it, so that it does not run: {words or 'no scheduler says why'}")
    return OpenPoint(about, LET_A_NODE_TAKE_IT)


INJECT_THEM = (
    "restart the workload (`kubectl -n NAMESPACE rollout restart deployment/NAME`); if its new pod has no istio-proxy"
    f' either, read istiod\'s log. A pod that is to stay outside of the mesh says so with the label {INJECT}: "false"'
)
"""Next step where pods lack the sidecar that they are to have."""


NAME_A_REVISION = (
    "let the label name a revision or tag that is there (`kubectl get mutatingwebhookconfiguration -L"
    " istio.io/rev,istio.io/tag`), and restart the workload (`kubectl -n NAMESPACE rollout restart deployment/NAME`)"
)
"""Next step where pods are to be injected by a revision of Istio that is not there."""


def without_sidecar(pods: Sequence[Pod], namespaces: Iterable[Labelled], planes: ControlPlanes) -> list[OpenPoint]:
    """Pods that are to be injected and have no sidecar, where no other pod of their namespace has one either.

    Injection failed when they were made, or was asked for afterwards, or of a revision that is not there. Beside a pod with
    a sidecar, the judgment on the whole mesh (`judge.identity.sweep`) tells whether another one lacks it.

    Args:
        pods: Living pods of the install.
        namespaces: Namespaces of the install.
        planes: Istio's control planes.
    """
    meshed = {pod.namespace for pod in pods if pod.is_injected}
    by_name = {each.name: each for each in namespaces}
    found = []
    for pod in pods:
        namespace = by_name.get(pod.namespace)
        if namespace is None or pod.is_injected or pod.is_ztunnel or is_enrolled(pod, namespace):
            continue
        by_itself, nobody = not injects(namespace), _asks_nobody(pod, namespace, planes)
        if (by_itself or pod.namespace not in meshed) and (nobody or is_to_be_injected(pod, namespace, planes)):
            whole = f"the namespace {namespace.name} injects, and no pod there has a sidecar"
            asks = nobody or ("it asks for injection itself, and has no sidecar" if by_itself else whole)
            said = f"{asks}: without an istio-proxy it has no identity in the mesh"
            about = Problem(pod.ref, said, evidence=readings(pod, namespace, planes))
            found.append(OpenPoint(about, NAME_A_REVISION if nobody else INJECT_THEM))
    return found


def _asks_nobody(pod: Pod, namespace: Labelled, planes: ControlPlanes) -> str:
    """The statement that the revision which is asked to inject a pod is not there; empty where it is, and where none is."""
    asked = asks_for(namespace.labels, pod.labels)
    is_there = planes.called(asked) is not None or planes.unread_called(asked) is not None
    if not asked or is_there or why_it_refuses(pod):
        return ""
    who = "it" if not injects(namespace) else f"the namespace {namespace.name}"
    return f"{who} asks the revision {asked} of Istio for injection, which no control plane of the cluster has"


def in_ambient_mode(pods: Sequence[Pod], namespaces: Sequence[Labelled]) -> list[Problem]:
    """Workloads that are enrolled in ambient mode, so that ztunnel speaks for them with a certificate of istiod.

    Args:
        pods: All pods that run or are to run.
    """
    by_name = {namespace.name: namespace for namespace in namespaces}
    said = "it is in ambient mode: ztunnel speaks for it, with a certificate of istiod"
    return [problem(pod, said, "ambient-by-design") for pod in pods if is_enrolled(pod, by_name.get(pod.namespace))]
