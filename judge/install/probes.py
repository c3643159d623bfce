"""Probe pods as evidence. A probe pod that could not run leaves its question open."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from facts.evidence import ObjectRef, Shown
from facts.finding import Finding, Problem, Remark
from facts.kubernetes.probes import Refused
from judge.findings import Claim, confirmed_of


class OfNode(Shown, Protocol):
    """A fact about one node."""

    @property
    def node(self) -> str:
        """Name of the node."""


def on_node(found: OfNode, said: str, cause: str = "") -> Problem:
    """A problem of the node that a fact is about."""
    return Problem(ObjectRef("Node", found.node), said, cause, found.evidence)


def held_on(found: OfNode, said: str) -> Remark:
    """An observation of the node that a fact is about."""
    return Remark(ObjectRef("Node", found.node), said)


def of_probes(
    claim: Claim, probes: Iterable[object], problems: Sequence[Problem], *, held: Iterable[Remark] = (), confirmed: str = ""
) -> Finding:
    """Judge a claim by probes: one that a policy refused is a problem, any other that did not run leaves the claim open.

    Args:
        claim: The claim.
        probes: Results of the probes, `Refused` among them.
        problems: Problems that the probes found.
        held: Observation of each node; those of nodes with a problem are dropped.
        confirmed: The same in one sentence.
    """
    refused = [p for p in probes if isinstance(p, Refused)]
    said = "the probe pod did not run: {}"
    wrong = [*problems, *(on_node(p, said.format(p.reason)) for p in refused if p.by_policy)]
    return claim.judged(
        wrong,
        confirmed,
        held=confirmed_of(held, wrong),
        unclear=[on_node(p, said.format(p.reason)) for p in refused if not p.by_policy],
        settle="remove what kept the probe pod from running: it needs its image and the rights of INST-02",
    )
