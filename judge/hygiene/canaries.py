"""Judgment about secrets in the suite's own outputs: HYG-04."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from facts.evidence import ObjectRef, readings
from facts.finding import Finding, Problem
from facts.kubernetes.objects import Pod
from facts.secret_forms import Canary
from judge.findings import Claim

REACHED = "canary-reached-an-output"


def no_canary_in_outputs(canaries: Sequence[Canary], read: Sequence[Pod], outputs: Mapping[str, str]) -> Finding:
    """HYG-04: no part of a planted canary is in any output of the run.

    Args:
        read: The pods that hold them, as the suite read them after they were planted; without any the search proves nothing.
        outputs: Every output of the run by its name.
    """
    claim = Claim(
        "HYG-04",
        "no part of any canary in an output of the suite",
        f"{len(outputs)} outputs of this run",
        readings(*read),
    )
    problems = [
        Problem(ObjectRef("Output", name), f"it has a part of the canary {canary.form!r}", REACHED, readings(*read))
        for name, text in outputs.items()
        for canary in canaries
        if canary.left_in(text)
    ]
    unclear = []
    if not (canaries and read):
        unclear.append(claim.problem("the suite read no pod that holds a canary, so that the search proves nothing"))
    if not outputs:
        unclear.append(claim.problem("there is no output to search"))
    return claim.judged(
        problems,
        f"none of {len(canaries)} canaries in {len(outputs)} outputs",
        unclear=unclear,
        settle="run again with --allow namespaced",
    )
