"""Rules about the clocks of nodes, by what their kubelets and their tbots report beside the clock of this machine."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from facts.document import SKEW, when
from facts.errors import CouldNotTell
from facts.evidence import ObjectRef
from facts.finding import OpenPoint, Problem, told
from facts.kubernetes.objects import Node
from providers.teleport.facts.tbot_log import Validity

NODE_CLOCK = "node-clock-off"

REPORTED = timedelta(minutes=15)
"""Time within which the kubelet of a Ready node has reported in any case; by default it does so every 5 minutes, give or
take half of that. Source: Kubernetes, KubeletConfiguration, nodeStatusReportFrequency."""

COMPARE = "compare `date -u` on a node with the same on this machine, and set the one that is wrong"
"""The next step where either clock may be wrong."""


def off(nodes: Iterable[Node], now: datetime) -> list[Problem | OpenPoint]:
    """Nodes whose clock is wrong: their kubelets report at times that lie ahead, or longer back than they can.

    If the clock of this machine is wrong, the reports of all nodes lie as far beside it, give or take the time between two
    of them. So a node is named alone that lies farther from each one that agrees with this machine. Of others it stays open
    which clock is wrong.

    Args:
        now: UTC time of the judgment, by this machine.
    """
    known = [(node, at) for node in nodes if node.ready and (at := _heartbeat(node)) is not None]
    agreeing = [at for _node, at in known if not _how_far(at, now)]
    differing = [
        (Problem(ObjectRef("Node", node.name), said, NODE_CLOCK, node.evidence), at)
        for node, at in known
        if (said := _how_far(at, now))
    ]
    alone = [each for each, at in differing if agreeing and all(abs(at - other) > REPORTED for other in agreeing)]
    if len(alone) == len(differing):
        return [*alone]
    left = [each for each, _at in differing if each not in alone]
    said = f"the clock of this machine may be wrong instead: {told(left)}"
    evidence = tuple(dict.fromkeys(each for problem in left for each in problem.evidence))
    return [*alone, OpenPoint(Problem(ObjectRef("", "the clocks of nodes"), said, evidence=evidence), COMPARE)]


def _heartbeat(node: Node) -> datetime | None:
    try:
        return when(node.heartbeat, node.name) if node.heartbeat else None
    except CouldNotTell:
        return None


def _how_far(reported: datetime, now: datetime) -> str:
    report = f"its kubelet reported at {reported:%F %T} UTC, and here it is {now:%F %T} UTC"
    if reported > now + SKEW:
        return f"its clock is at least {_seconds(reported - now)} ahead: {report}"
    if reported < now - REPORTED:
        return f"its clock is at least {_seconds(now - reported - REPORTED)} behind, though the node is Ready: {report}"
    return ""


def _seconds(time: timedelta) -> str:
    return f"{time.total_seconds():.0f} s"


TRIED_AGAIN = timedelta(minutes=10)
"""Time within which a tbot that does not serve has tried again; the kubelet waits 5 minutes at most before it starts it."""


def misjudges(validity: Validity, now: datetime) -> bool:
    """Tell whether the clock of a node is why a tbot there does not accept a certificate that is valid by this machine's.

    Args:
        validity: What tbot says of its last attempt.
        now: UTC time of the judgment, by this machine.
    """
    if validity.is_over:
        return validity.bound > now + SKEW
    return validity.bound < now - TRIED_AGAIN
