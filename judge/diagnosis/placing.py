"""Rules about what runs where: nodes without tbot, pods that nobody can ask, and workloads for which no sidecar speaks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

from facts.evidence import ObjectRef, readings
from facts.finding import OpenPoint, Problem
from facts.istio.ambient import is_enrolled
from facts.kubernetes.objects import Labelled, Node, Pod
from facts.proxies.presence import overstays
from facts.teleport.tbot import Tbot, Tbots
from judge.findings import listed, problem
from judge.install.application import SEE_NODES, silent_alone
from judge.install.tbot import NOT_ON_NODE, is_coming

NOTHING_SHOWN = "no taint, node selector or waiting pod shows why"


def without_tbot(
    tbots: Tbots, hosts: Mapping[str, Sequence[Pod]], nodes: Sequence[Node], pods: Sequence[Pod]
) -> list[Problem]:
    """Nodes that host injected pods and no tbot, each with what keeps tbot away, where the API server shows it.

    While a controller of tbot still has pods to make, only those count that something is shown to keep away.

    Args:
        tbots: Every tbot that serves the mesh.
        hosts: Injected pods by node.
        nodes: All nodes.
        pods: All pods, those that have ended among them.
    """
    known = {node.name: node for node in nodes}
    lacking = [name for name in sorted(hosts) if name not in tbots.nodes and not tbots.unread]
    why = {name: _kept_away(tbots, known.get(name), name, pods) for name in lacking}
    is_on_its_way = any(is_coming(tbot) for tbot in tbots.each)
    return [
        Problem(
            ObjectRef("Node", name),
            f"it hosts {len(hosts[name])} injected pods and no tbot: {said}",
            NOT_ON_NODE,
            readings(tbots, known.get(name)),
        )
        for name, said in why.items()
        if not (is_on_its_way and said == NOTHING_SHOWN)
    ]


def _kept_away(tbots: Tbots, node: Node | None, name: str, pods: Sequence[Pod]) -> str:
    evicted = [p for p in pods if p.has_ended and p.node == name and any(t.runs(p) for t in tbots.each)]
    if evicted:
        return f"{evicted[0].ref} there has ended ({evicted[0].message or evicted[0].phase})"
    if node is None:
        return "the API server does not list the node"
    reasons = [f"the node is tainted {taint}" for taint in node.taints if not taint.endswith(":PreferNoSchedule")]
    reasons += [reason for tbot in tbots.each if (reason := _not_selected(tbot, node))]
    pending = [p for p in pods if not p.node and any(t.runs(p) for t in tbots.each)]
    reasons += [f"{p.ref} is Pending: {p.why_not_ready}" for p in pending]
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


def in_ambient_mode(pods: Sequence[Pod], namespaces: Sequence[Labelled]) -> list[Problem]:
    """Workloads that are enrolled in ambient mode, so that ztunnel speaks for them with a certificate of istiod.

    Args:
        pods: All pods that run or are to run.
        namespaces: All namespaces.
    """
    by_name = {namespace.name: namespace for namespace in namespaces}
    said = "it is in ambient mode: ztunnel speaks for it, with a certificate of istiod"
    return [problem(pod, said, "ambient-by-design") for pod in pods if is_enrolled(pod, by_name.get(pod.namespace))]
