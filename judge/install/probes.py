"""Probe pods in findings: a probe that could not run says nothing about what it was to find out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from facts.evidence import ObjectRef
from facts.finding import Finding, Problem, Remark
from facts.kubernetes.probes import Refused
from judge.findings import Claim, confirmed_of


class OfNode(Protocol):
    """Anything that was found on one node."""

    @property
    def node(self) -> str:
        """Name of the node."""

    @property
    def evidence(self) -> tuple[str, ...]:
        """Ids of the readings."""


def on_node(found: OfNode, said: str, cause: str = "") -> Problem:
    """A problem of the node on which something was found."""
    return Problem(ObjectRef("Node", found.node), said, cause, found.evidence)


def held_on(found: OfNode, said: str) -> Remark:
    """What was confirmed of the node on which something was found."""
    return Remark(ObjectRef("Node", found.node), said)


def of_probes(
    claim: Claim, probes: Iterable[object], problems: Sequence[Problem], *, held: Iterable[Remark] = (), confirmed: str = ""
) -> Finding:
    """Judge a claim by probes: what the cluster refused is wrong, what else kept a probe from running leaves it unclear.

    Args:
        claim: The claim.
        probes: What they found, `Refused` among them.
        problems: What is wrong besides.
        held: What is so of each node; of one with a problem it is not confirmed.
        confirmed: The same in one sentence.
    """
    refused = [p for p in probes if isinstance(p, Refused)]
    said = "the probe did not run: {}"
    wrong = [*problems, *(on_node(p, said.format(p.reason)) for p in refused if p.by_policy)]
    return claim.judged(
        wrong,
        confirmed,
        held=confirmed_of(held, wrong),
        unclear=[on_node(p, said.format(p.reason)) for p in refused if not p.by_policy],
        settle="take what is named out of the way: the image must be there to pull, and INST-02 lists the rights",
    )
