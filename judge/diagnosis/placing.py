"""Rules about what runs where: nodes that tbot leaves out, and workloads for which no sidecar speaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from facts.evidence import readings
from facts.finding import Problem
from facts.istio.ambient import is_enrolled
from facts.kubernetes.objects import Labelled, Node, Pod
from facts.teleport.tbot import Tbot, Tbots
from judge.findings import listed, problem
from judge.install.tbot import NOT_ON_NODE, Lacking, is_coming, is_replacing, lacking_on

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
        nodes: All nodes.
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
    reasons = [f"the node is tainted {taint}" for taint in node.taints if not taint.endswith(":PreferNoSchedule")]
    reasons += [reason for tbot in lacking.tbots if (reason := _not_selected(tbot, node))]
    reasons += [f"{pod.ref} is Pending: {pod.why_not_ready}" for pod in own if not pod.node]
    return "; ".join(dict.fromkeys(reasons)) or NOTHING_SHOWN


def _not_selected(tbot: Tbot, node: Node) -> str:
    wanted = tbot.daemon_set.template.spec.node_selector
    missing = [f"{key}={value}" for key, value in wanted.items() if node.labels.get(key) != value]
    return f"{tbot.daemon_set.ref} selects nodes with {listed(missing)}" if missing else ""


def in_ambient_mode(pods: Sequence[Pod], namespaces: Sequence[Labelled]) -> list[Problem]:
    """Workloads that are enrolled in ambient mode, so that ztunnel speaks for them with a certificate of istiod.

    Args:
        pods: All pods that run or are to run.
        namespaces: All namespaces.
    """
    by_name = {namespace.name: namespace for namespace in namespaces}
    said = "it is in ambient mode: ztunnel speaks for it, with a certificate of istiod"
    return [problem(pod, said, "ambient-by-design") for pod in pods if is_enrolled(pod, by_name.get(pod.namespace))]
