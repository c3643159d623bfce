"""Results of checks, which are what an explanation starts from: of the doctor's checks, or of a requirement's findings."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from facts.catalogue import Level, Requirement
from facts.finding import Finding, Holds, OpenPoint, Problem, told


class Outcome(StrEnum):
    """The answer of one check."""

    HOLDS = "holds"
    PROBLEM = "problem"
    UNKNOWN = "could not tell"
    NOT_APPLICABLE = "not applicable"
    NOT_RUN = "not run"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One check and its answer.

    Attributes:
        section: Part of the install that it is about, such as ``tbot``.
        title: What must be so.
        requirement: Id of the requirement whose judgment it runs; empty for a rule of the diagnosis alone.
        outcome: The answer.
        said: The answer in one sentence.
        problems: What is wrong, by subject.
        unclear: What could not be determined, by subject.
        settle: Next step that would settle what is unclear.
        harms: False for what breaks nothing today: a SHOULD, a risk.
        of_effects: Its problems are about those who feel a defect, such as a proxy that refuses its peer's certificate. The
            object that has the defect is another one.
    """

    section: str
    title: str
    requirement: str
    outcome: Outcome
    said: str
    problems: tuple[Problem, ...] = ()
    unclear: tuple[Problem, ...] = ()
    settle: str = ""
    harms: bool = True
    of_effects: bool = False


NOTHING_FOUND = "nothing found"
"""The answer of a rule of the diagnosis that finds no problem; a rule proves nothing beyond that."""

_WORST_FIRST = (Outcome.PROBLEM, Outcome.UNKNOWN, Outcome.HOLDS, Outcome.NOT_APPLICABLE, Outcome.NOT_RUN)

_OUTCOMES = {
    Holds.YES: Outcome.HOLDS,
    Holds.NO: Outcome.PROBLEM,
    Holds.UNKNOWN: Outcome.UNKNOWN,
    Holds.NOT_APPLICABLE: Outcome.NOT_APPLICABLE,
}


def answered(blank: CheckResult, answers: Sequence[Finding | Problem | OpenPoint]) -> CheckResult:
    """A check with its answer.

    Args:
        blank: The check without one.
        answers: Findings of a judgment; of a rule, the problems and what it could not look at.
    """
    findings = [each for each in answers if isinstance(each, Finding)]
    ruled = [each for each in answers if isinstance(each, Problem)]
    left = [each for each in answers if isinstance(each, OpenPoint)]
    outcomes = [_OUTCOMES[finding.holds] for finding in findings]
    outcomes += [Outcome.PROBLEM for _ in ruled] + [Outcome.UNKNOWN for _ in left]
    outcome = min(outcomes, key=_WORST_FIRST.index, default=Outcome.HOLDS)
    deciding = [finding for finding in findings if _OUTCOMES[finding.holds] is outcome]
    of_rules = (*ruled, *(each.about for each in left))
    said = "; ".join(dict.fromkeys([finding.seen for finding in deciding] + ([told(of_rules)] if of_rules else [])))
    settle = [finding.settle for finding in findings] + [each.settle for each in left]
    return replace(
        blank,
        outcome=outcome,
        said=said or NOTHING_FOUND,
        problems=(*(p for finding in findings for p in finding.problems), *ruled),
        unclear=(*(p for finding in findings for p in finding.unclear), *(each.about for each in left)),
        settle="; ".join(dict.fromkeys(filter(None, settle))),
    )


def as_premise(result: CheckResult, settle: str) -> CheckResult:
    """The result of a premise: one that does not hold is nothing wrong with the install, which could not be read for it.

    Args:
        settle: The next step where it does not hold.
    """
    if result.outcome is not Outcome.PROBLEM:
        return result
    open_ones = tuple(replace(problem, cause="") for problem in result.problems)
    return replace(result, outcome=Outcome.UNKNOWN, problems=(), unclear=(*open_ones, *result.unclear), settle=settle)


OF_EFFECTS = frozenset({"MTL-04"})
"""Requirements whose findings are about those who feel a defect, see `CheckResult`."""


def by_requirement(
    findings: Iterable[Finding],
    requirements: Mapping[str, Requirement],
    of_effects: Collection[str] = OF_EFFECTS,
) -> tuple[CheckResult, ...]:
    """Findings as results: one for each requirement that has some, in the order of the catalogue.

    Args:
        findings: The findings of a run.
        requirements: Of the catalogue, by id.
        of_effects: Ids of the requirements whose findings are about those who feel a defect, see `CheckResult`.
    """
    found: dict[str, list[Finding]] = {}
    for finding in findings:
        found.setdefault(finding.requirement, []).append(finding)
    return tuple(
        _of_requirement(requirement, found[each], is_of_effects=each in of_effects)
        for each, requirement in requirements.items()
        if each in found
    )


def _of_requirement(requirement: Requirement, findings: Sequence[Finding], *, is_of_effects: bool) -> CheckResult:
    blank = CheckResult(
        requirement.profile,
        requirement.sentence,
        requirement.id,
        Outcome.NOT_RUN,
        "",
        harms=requirement.level is Level.MUST,
        of_effects=is_of_effects,
    )
    result = answered(blank, findings)
    return as_premise(result, result.settle) if requirement.premise else result
