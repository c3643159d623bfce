"""Judgments about injected workloads: INST-15."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from facts.document import Absent, when
from facts.finding import Finding
from facts.guide import Defect
from facts.kubernetes.objects import Node, Pod
from facts.kubernetes.workloads import Deployment
from judge.findings import concluded, listed

SOCKET_VOLUME = "workload-socket"
SOCKET_MOUNT = "/var/run/secrets/workload-spiffe-uds"
"""Where Istio's agent and Envoy look for the socket; it cannot be configured."""

CSI_DRIVER = "csi.spiffe.io"


def socket_volume_problem(pod: Pod, socket_directory: str) -> str:
    """Why the proxy does not see the node's socket directory where it looks for the socket; empty if it does.

    Args:
        pod: An injected pod.
        socket_directory: Directory on the node in which tbot listens, as discovered from tbot.
    """
    volume = pod.spec.volume(SOCKET_VOLUME)
    if volume is None:
        return f"{pod.ref} has no volume {SOCKET_VOLUME}"
    if volume.source == "hostPath" and volume.path.rstrip("/") != socket_directory.rstrip("/"):
        return f"{pod.ref} mounts {volume.path} of the node, tbot's socket is in {socket_directory}"
    if volume.source == "csi" and volume.driver != CSI_DRIVER:
        return f"{pod.ref} has its {SOCKET_VOLUME} from the CSI driver {volume.driver}, not from {CSI_DRIVER}"
    if volume.source not in ("hostPath", "csi"):
        return f"{pod.ref} has an {volume.source} as {SOCKET_VOLUME}: Istio falls back to its own CA without a word"
    mounts = [m for m in pod.proxy.mounts if m.path.rstrip("/") == SOCKET_MOUNT] if pod.proxy else []
    if not any(m.name == SOCKET_VOLUME and not m.sub_path for m in mounts):
        instead = listed(f"{m.name}{f', sub-path {m.sub_path}' if m.sub_path else ''}" for m in mounts)
        return f"{pod.ref} does not mount {SOCKET_VOLUME} at {SOCKET_MOUNT} of its istio-proxy, but {instead}"
    return ""


def missing_pods(pods: Sequence[Pod], deployment: Deployment | Absent) -> list[str]:
    """Pods that the application's Deployment wants and that are not there; where it has no Deployment, one is enough."""
    if not pods:
        return ["there is no pod; an invalid injected pod shows in its ReplicaSet's events"]
    if isinstance(deployment, Absent) or len(pods) >= deployment.desired:
        return []
    return [f"{deployment.ref} wants {deployment.desired} pods and has {len(pods)}; its ReplicaSet's events say why"]


def some_node_is_selected(
    pods: Sequence[Pod], deployment: Deployment | Absent, nodes: Sequence[Node], where: str, evidence: Sequence[str]
) -> Finding:
    """INST-15: this cluster has a node with the labels that the application's node selector asks for, if it has one.

    It is told from the Deployment, so that it shows even where no pod could be created.
    """
    specs = [pod.spec for pod in pods] if isinstance(deployment, Absent) else [deployment.template.spec]
    wanted = {tuple(sorted(spec.node_selector.items())) for spec in specs if spec.node_selector}
    asked = {labels: listed(f"{key}={value}" for key, value in labels) for labels in wanted}
    problems = [
        f"it wants a node with {asked[labels]}; there are {listed(n.name for n in nodes)}"
        for labels in sorted(wanted)
        if not any(all(n.labels.get(key) == value for key, value in labels) for n in nodes)
    ]
    return concluded(
        "INST-15",
        expected="a node that the node selector of the test application fits",
        problems=problems,
        confirmed=f"a node has {listed(asked.values())}" if wanted else "it has no node selector",
        where=where,
        evidence=(*evidence, *deployment.evidence, *(e for n in nodes for e in n.evidence)),
        remedy="take the nodeSelector out of the pod template, or let it name a node of this cluster",
        guide_defect=Defect.NODE_SELECTOR if problems else None,
    )


def pods_run_with_a_proxy(
    pods: Sequence[Pod], deployment: Deployment | Absent, where: str, evidence: Sequence[str]
) -> Finding:
    """INST-15, first part: as many as are wanted, Ready, with a started istio-proxy in either list of containers."""
    problems = missing_pods(pods, deployment)
    for pod in pods:
        if pod.proxy is None:
            problems.append(f"{pod.ref} has no istio-proxy, neither in containers nor in initContainers")
        elif not (pod.ready and (pod.proxy.ready or pod.proxy.started)):
            waiting = "; ".join(f"{c.name}: {c.reason} {c.message}".strip() for c in pod.containers if c.reason)
            problems.append(f"{pod.ref} is {pod.phase} and not Ready ({waiting or pod.message or 'no reason given'})")
    return concluded(
        "INST-15",
        expected="every pod of the test application Ready, with a started istio-proxy",
        problems=problems,
        confirmed=f"{len(pods)} of {len(pods)} Ready, with istio-proxy",
        where=where,
        evidence=(*evidence, *deployment.evidence),
    )


def pods_use_the_nodes_socket(pods: Sequence[Pod], socket_directory: str, where: str, evidence: Sequence[str]) -> Finding:
    """INST-15, second part: workload-socket is the node's directory, not an emptyDir."""
    problems = [p for pod in pods if (p := socket_volume_problem(pod, socket_directory))]
    return concluded(
        "INST-15",
        expected=f"workload-socket to be the node's directory {socket_directory}",
        problems=problems if pods else ["there is no pod"],
        confirmed=f"{len(pods)} of {len(pods)} mount {socket_directory}",
        where=where,
        evidence=evidence,
    )


SETTLED = timedelta(minutes=10)
"""A proxy that has run for so long since its last restart is stable; a node that was rebooted leaves a count for ever."""


def proxies_are_stable(pods: Sequence[Pod], now: datetime, where: str, evidence: Sequence[str]) -> Finding:
    """INST-15, third part: no proxy has restarted of late.

    Args:
        pods: Of the test application.
        now: UTC time of the judgment.
        where: The test application, as a person names it.
        evidence: Ids of the readings.
    """
    problems = [f"{pod.ref} has no istio-proxy" for pod in pods if pod.proxy is None]
    restarted = [(pod, pod.proxy) for pod in pods if pod.proxy is not None and pod.proxy.restarts]
    for pod, proxy in restarted:
        ended = when(proxy.last_ended, str(pod.ref)) if proxy.last_ended else None
        if ended is None or now - ended < SETTLED:
            ago = f", {(now - ended).total_seconds():.0f} s ago" if ended else ""
            problems.append(
                f"istio-proxy of {pod.ref} restarted {proxy.restarts} times,"
                f" last: {proxy.last_reason or 'no reason kept'}{ago}"
            )
    return concluded(
        "INST-15",
        expected=f"no restart of istio-proxy in the last {SETTLED.total_seconds() / 60:.0f} minutes",
        problems=problems if pods else ["there is no pod"],
        confirmed=f"{sum(proxy.restarts for _pod, proxy in restarted)} restarts, all of them earlier"
        if restarted
        else "0 restarts",
        where=where,
        evidence=evidence,
    )
