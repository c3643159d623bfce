"""How findings on probe pods are put into words: a probe that could not run says nothing about what it was to find out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from facts.errors import CouldNotTell
from facts.finding import Finding
from facts.kubernetes.probes import Refused
from judge.findings import concluded, could_not_tell, listed


def concluded_from(
    requirement: str,
    probes: Sequence[object],
    *,
    expected: str,
    problems: Sequence[str],
    confirmed: str,
    where: str,
    evidence: Iterable[str],
) -> Finding:
    """As `concluded`; but nobody can tell where all that is wrong is that something kept probes from running.

    Args:
        requirement: Id in the catalogue.
        probes: What they found, `Refused` among them.
        expected: What must be so.
        problems: What is not so, refusals by policy among them.
        confirmed: What is so when there is no problem.
        where: What was judged.
        evidence: Ids of the readings.
    """
    kept_out = [p for p in probes if isinstance(p, Refused) and not p.by_policy]
    if kept_out and not problems:
        error = CouldNotTell(
            expected=expected,
            seen=listed(f"{p.node}: the probe did not run: {p.reason}" for p in kept_out),
            where=where,
            remedy="take what is named out of the way: the image must be there to pull, and INST-02 lists the rights",
        )
        return could_not_tell(requirement, error, evidence)
    return concluded(requirement, expected=expected, problems=problems, confirmed=confirmed, where=where, evidence=evidence)


def refusals(probes: Iterable[object], said: str = "the probe did not run") -> list[str]:
    """Probes that the cluster or a node refused, as problems."""
    return [f"{p.node}: {said}: {p.reason}" for p in probes if isinstance(p, Refused) and p.by_policy]
