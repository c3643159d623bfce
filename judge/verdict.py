"""The algebra of verdicts: scenarios → requirement → run. Nothing that went wrong can disappear in it.

A requirement passes only if every scenario with its tag ran to its last step, none of its findings is negative, and each
scenario has evidence attached. Everything else lowers the verdict, in the order of `Verdict`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from facts.catalogue import About, Level, Requirement
from facts.finding import Finding, Holds, told
from facts.redaction import Own
from judge.waivers import Waiver, not_accepted


class Verdict(StrEnum):
    """The word for one requirement."""

    PASS = "pass"
    FAIL = "fail"
    ERROR = "error"
    WAIVED = "waived"
    SKIPPED = "skipped"
    NOT_APPLICABLE = "not-applicable"
    NOT_EVALUATED = "not-evaluated"


class Ending(StrEnum):
    """The end of one scenario."""

    COMPLETED = "completed"
    """Ran to its last step and no step raised."""
    VIOLATED = "violated"
    """A step found that the requirement does not hold."""
    BROKE = "broke"
    """Set-up, a step or the clean-up raised something else: the answer is open."""
    NOT_APPLICABLE = "not-applicable"
    """A step found a condition under which the requirement does not apply."""
    SKIPPED_BY_POLICY = "skipped-by-policy"
    """The safety policy of this run did not allow it."""
    SKIPPED_BY_TEST = "skipped-by-test"
    """A step called skip, or a tag did: the answer is open."""
    NOT_RUN = "not-run"
    """Selected, and never started (interruption, an earlier stop)."""


class Result(StrEnum):
    """The word for a whole run."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    PARTIAL = "partial"


class Authority(StrEnum):
    """The issuer of the identities that were judged."""

    TELEPORT = "teleport"
    STAND_IN = "stand-in"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ScenarioOutcome:
    """One scenario, as far as the verdict depends on it.

    Attributes:
        name: Its unique name (node id).
        requirements: Ids from its tags.
        ending: The way it ended.
        evidence: Number of readings attached to its steps.
        findings: Findings of its steps.
        reason: Reason why it did not complete; empty if it did.
        began: It began; one that is NOT_RUN all the same lacked something that the run was not given.
        is_cut_short: Some of its steps never ran.
    """

    name: Own[str]
    requirements: Own[tuple[str, ...]]
    ending: Ending
    evidence: int
    findings: tuple[Finding, ...] = ()
    reason: str = ""
    began: bool = False
    is_cut_short: bool = False

    @property
    def is_missing(self) -> bool:
        """It was deselected, not collected or never started."""
        return self.ending is Ending.NOT_RUN and not self.began


@dataclass(frozen=True, slots=True)
class Judged:
    """A requirement with its verdict.

    Attributes:
        requirement: The requirement.
        verdict: The word.
        reasons: Reasons why it is not a pass, one sentence each; empty for a pass.
        causes: Ids of the causes of its negative findings, each once; where it fails, of those that no waiver accepts.
        premise: It is about the tools and credentials of the person who runs the suite, on a cluster that the suite did not
            make: shown, and not counted.
        claimed: It rests on answers of a Teleport that the run took for the authority only because tbot's own configuration
            names it.
        untried: A scenario with its tag was deselected, not collected or never started. The safety policy is no such reason,
            nor is something that the run was not given.
    """

    requirement: Own[Requirement]
    verdict: Verdict
    reasons: tuple[str, ...] = ()
    causes: Own[tuple[str, ...]] = ()
    premise: bool = False
    claimed: bool = False
    untried: bool = False


def judge_requirement(
    requirement: Requirement,
    scenarios: Sequence[ScenarioOutcome],
    waivers: Sequence[Waiver] = (),
    *,
    premise: bool = False,
) -> Judged:
    """Fold the scenarios that carry a requirement's tag into its verdict.

    Args:
        scenarios: All scenarios with its tag that were collected, also those that never ran.
        waivers: Decisions to accept its failure, or that of some subjects. They cover nothing else: where a check broke or
            did not run, the answer is open, and a subject that none of them names still fails. They cover requirements about
            the install alone: a decision does not make the suite right.
        premise: It is a premise of this run, see `Judged`. A premise never fails: where it does not hold, the run lacks
            something, and what depends on that was not evaluated.
    """
    if not scenarios:
        lacking = ("no scenario of this run carries its tag",)
        return Judged(requirement, Verdict.NOT_EVALUATED, lacking, premise=premise, untried=True)
    counting = () if premise or requirement.about is not About.INSTALL else tuple(w for w in waivers if not w.expired)
    answers = [each for s in scenarios for each in _told(requirement, s, counting)]
    reasons = tuple(reason for verdict, reason in answers if verdict is not Verdict.PASS)
    verdicts = {verdict for verdict, _ in answers}
    negative = [f for s in scenarios for f in s.findings if f.requirement == requirement.id and f.holds is Holds.NO]
    # What a waiver accepts is no reason of a failure.
    failing = (not_accepted(f.problems, counting) if Verdict.FAIL in verdicts else f.problems for f in negative)
    causes = tuple(dict.fromkeys(problem.cause for problems in failing for problem in problems if problem.cause))
    if Verdict.FAIL in verdicts and premise:
        verdicts = verdicts - {Verdict.FAIL} | {Verdict.NOT_EVALUATED}
        reasons = (*reasons, NOT_MET)
    for waiver in counting:
        if waiver.covered_in(negative) or (waiver.of_whole_requirement and Verdict.WAIVED in verdicts):
            of_what = "" if waiver.of_whole_requirement else f" for {', '.join(waiver.subjects)}"
            reasons = (*reasons, f"waived by {waiver.owner}{of_what}: {waiver.justification}")
    worst = next(verdict for verdict in _WORST_FIRST if verdict in verdicts)
    return Judged(requirement, worst, reasons, causes, premise, untried=any(s.is_missing for s in scenarios))


CUT_SHORT = "stopped at a waived subject before its other steps judged the rest"
"""The reason of a scenario in which only waived subjects fail, and whose later steps never ran."""

NOT_MET = "a premise of this run is not met: it says nothing about the install, and the result does not count it"
"""The last reason of a premise that does not hold."""

_WORST_FIRST = (
    Verdict.FAIL,
    Verdict.ERROR,
    Verdict.NOT_EVALUATED,
    Verdict.SKIPPED,
    Verdict.WAIVED,
    Verdict.PASS,
    # Only where every scenario says so: one that passed shows that the requirement applies.
    Verdict.NOT_APPLICABLE,
)

_OF_ENDING = {
    Ending.VIOLATED: Verdict.FAIL,
    Ending.BROKE: Verdict.ERROR,
    Ending.SKIPPED_BY_POLICY: Verdict.SKIPPED,
    Ending.SKIPPED_BY_TEST: Verdict.ERROR,
    Ending.NOT_RUN: Verdict.NOT_EVALUATED,
}


def _told(requirement: Requirement, scenario: ScenarioOutcome, waivers: Sequence[Waiver]) -> Iterator[tuple[Verdict, str]]:
    """What one scenario says about one requirement: each verdict with its reason, which is empty for a pass.

    Args:
        waivers: The waivers that count for it.
    """
    mine = [f for f in scenario.findings if f.requirement == requirement.id]
    negative = [f for f in mine if f.holds is Holds.NO]
    unclear = next((f for f in mine if f.holds is Holds.UNKNOWN), None)
    # A negative finding counts however the scenario ended: a later break must not hide what was already seen. Nor does it
    # hide the break, which is what remains where the failure is waived.
    if negative:
        yield from _of_failure(scenario, negative, waivers)
    if unclear is not None:
        yield Verdict.ERROR, f"{scenario.name}: {unclear.compared()}"
    elif not negative or scenario.ending not in (Ending.VIOLATED, Ending.COMPLETED, Ending.NOT_APPLICABLE):
        verdict, reason = _of_ending(requirement, scenario, mine)
        accepted = verdict is Verdict.FAIL and any(waiver.of_whole_requirement for waiver in waivers)
        yield Verdict.WAIVED if accepted else verdict, reason


def _of_failure(
    scenario: ScenarioOutcome, negative: Sequence[Finding], waivers: Sequence[Waiver]
) -> Iterator[tuple[Verdict, str]]:
    """What negative findings of a scenario about one requirement say, with the waivers that count for it."""
    failing = [(finding, not_accepted(finding.problems, waivers)) for finding in negative]
    if left := next(((finding, problems) for finding, problems in failing if problems), None):
        finding, problems = left
        accepted = len(finding.problems) - len(problems)
        seen = told((*problems, *finding.unclear), finding.where) if accepted else ""
        yield Verdict.FAIL, f"{scenario.name}: {finding.compared(seen)}"
        return
    yield Verdict.WAIVED, f"{scenario.name}: {negative[0].compared()}"
    # What a waiver does not name may fail as well: that it could not be told is no part of the decision.
    for finding in negative:
        if unclear := not_accepted(finding.unclear, waivers):
            yield Verdict.ERROR, f"{scenario.name}: {finding.compared(told(unclear, finding.where))}"
    # Nor is what the steps after it would have found. Only a waiver of the whole requirement accepts that as well.
    if scenario.ending is Ending.VIOLATED and scenario.is_cut_short and not any(w.of_whole_requirement for w in waivers):
        yield Verdict.ERROR, f"{scenario.name}: {CUT_SHORT}"


def _of_ending(requirement: Requirement, scenario: ScenarioOutcome, mine: Sequence[Finding]) -> tuple[Verdict, str]:
    """What the end of a scenario says about a requirement.

    Args:
        mine: Its findings about the requirement, none of which is unclear, nor negative unless the scenario broke after it.
    """
    if scenario.ending not in (Ending.COMPLETED, Ending.NOT_APPLICABLE):
        # A scenario may prove several requirements; where another one was violated first, no step judged this one.
        named_others = any(f.holds is Holds.NO for f in scenario.findings)
        if scenario.ending is Ending.VIOLATED and named_others:
            return (Verdict.ERROR, f"{scenario.name}: stopped at another requirement's failure before this one was judged")
        return _OF_ENDING[scenario.ending], f"{scenario.name}: {scenario.reason or scenario.ending.value}"
    not_applicable = [f for f in mine if f.holds is Holds.NOT_APPLICABLE]
    if not_applicable:
        unlisted = [f.condition for f in not_applicable if f.condition not in requirement.not_applicable_when]
        if unlisted:
            return (
                Verdict.ERROR,
                f"{scenario.name}: called not-applicable for a condition the catalogue does not list: {unlisted[0]}",
            )
        if len(not_applicable) == len(mine):
            return Verdict.NOT_APPLICABLE, f"{scenario.name}: {not_applicable[0].condition}"
    if scenario.ending is Ending.NOT_APPLICABLE:
        # The steps that did not run might have concluded something else.
        return Verdict.ERROR, f"{scenario.name}: stopped before this requirement was judged: {scenario.reason}"
    if not any(f.holds is Holds.YES for f in mine):
        return Verdict.ERROR, f"{scenario.name}: completed, and no step came to a conclusion about this requirement"
    if scenario.evidence == 0:
        return Verdict.ERROR, f"{scenario.name}: completed without any evidence attached"
    return Verdict.PASS, ""


def judge_catalogue(
    chosen: Iterable[Requirement],
    scenarios: Sequence[ScenarioOutcome],
    waivers: Mapping[str, Sequence[Waiver]] | None = None,
    *,
    existing: bool = False,
) -> tuple[Judged, ...]:
    """Judge every chosen requirement; those without a scenario become *not-evaluated*, never absent.

    Args:
        chosen: The requirements of the chosen profiles.
        scenarios: All scenarios that were collected.
        waivers: By requirement.
        existing: The suite did not make the cluster, so that requirements on tools and credentials are premises.
    """
    waivers = waivers or {}
    by_requirement: dict[str, list[ScenarioOutcome]] = {}
    for scenario in scenarios:
        for requirement_id in dict.fromkeys(scenario.requirements):
            by_requirement.setdefault(requirement_id, []).append(scenario)
    return tuple(
        judge_requirement(r, by_requirement.get(r.id, []), waivers.get(r.id, ()), premise=existing and r.premise)
        for r in chosen
    )


def uncounted(chosen: Iterable[Requirement], scenarios: Iterable[ScenarioOutcome]) -> tuple[str, ...]:
    """Return what went wrong in scenarios and is in no verdict, one sentence each.

    A tag may be missing or misspelt, or name a requirement of another profile, and a step may conclude about a requirement
    that its scenario does not name. No verdict shows that, so that it counts as an error of the run.

    Args:
        chosen: The requirements that are judged.
        scenarios: All scenarios that were collected.
    """
    judged = {requirement.id for requirement in chosen}
    said = []
    for scenario in scenarios:
        counted = judged.intersection(scenario.requirements)
        tags = ", ".join(scenario.requirements) or "no requirement"
        stray = [f for f in scenario.findings if f.holds in (Holds.NO, Holds.UNKNOWN) and f.requirement not in counted]
        said += [
            f"{scenario.name} (tagged with {tags}) found something about {f.requirement}, which no verdict of this run"
            f" takes up: {f.compared()}"
            for f in stray
        ]
        if not counted and not stray and scenario.ending in (Ending.VIOLATED, Ending.BROKE):
            said.append(
                f"{scenario.name} (tagged with {tags}) ended {scenario.ending.value}, which no verdict of this run takes up:"
                f" {scenario.reason}"
            )
    return tuple(said)


def judge_run(
    judged: Iterable[Judged],
    *,
    strict: bool = False,
    run_errors: Sequence[str] = (),
    rerun_of_failures: bool = False,
    unverified: Sequence[str] = (),
) -> Result:
    """The result over the MUSTs about the install (and the SHOULDs, if strict): fail, inconclusive, partial or pass.

    The first of them that applies is the result. Self-tests of the suite and re-proofs of Istio lower a result to
    inconclusive and never hide a fail: a suite that does not recognise a broken pod certifies nothing.

    Args:
        judged: Every chosen requirement with its verdict.
        strict: Findings (a SHOULD that fails) fail the run.
        run_errors: Errors outside any requirement: provisioning, an interruption, a leak.
        rerun_of_failures: Only earlier failures were run again; such a run proves nothing about the rest.
        unverified: Lines to the judged install on which nobody verified who answers. What came over them may be
            anybody's, so that nothing better than inconclusive can be said.
    """
    all_judged = tuple(judged)
    verdicts = {j.verdict for j in all_judged if _counts(j, strict=strict)}
    if Verdict.FAIL in verdicts:
        return Result.FAIL
    if verdicts & {Verdict.ERROR, Verdict.NOT_EVALUATED} or run_errors or rerun_of_failures or unverified:
        return Result.INCONCLUSIVE
    if any(is_failed_proof(j) for j in all_judged) or Verdict.PASS not in verdicts:
        return Result.INCONCLUSIVE
    return Result.PARTIAL if verdicts & {Verdict.SKIPPED, Verdict.WAIVED} else Result.PASS


def _counts(judged: Judged, *, strict: bool) -> bool:
    requirement = judged.requirement
    return requirement.about is About.INSTALL and not judged.premise and (requirement.level is Level.MUST or strict)


def is_failed_proof(judged: Judged) -> bool:
    """Return whether a chosen self-test of the suite or re-proof of Istio did not come out right, or was left untried.

    One that this run may not try says nothing: the safety policy forbids it, or the run was not given what it needs.
    """
    bad = judged.untried or judged.verdict in (Verdict.FAIL, Verdict.ERROR)
    return judged.requirement.about is not About.INSTALL and bad


def exit_code(result: Result, *, allow_partial: bool = False) -> int:
    """The process's exit code; 2 to 5 stay pytest's own (interrupted, internal error, usage, nothing collected)."""
    return {Result.PASS: 0, Result.FAIL: 1, Result.INCONCLUSIVE: 6, Result.PARTIAL: 0 if allow_partial else 7}[result]


def headline(result: Result, authority: Authority) -> str:
    """The words on top of the page. *Conformant* needs a real Teleport."""
    if result is Result.PASS:
        return {
            Authority.TELEPORT: "Conformant",
            Authority.STAND_IN: "Rehearsal passed",
            Authority.UNKNOWN: "Passed, authority unknown",
        }[authority]
    words = {Result.FAIL: "Not conformant", Result.INCONCLUSIVE: "Inconclusive", Result.PARTIAL: "Partial"}[result]
    return words if authority is Authority.TELEPORT else f"{words} (rehearsal)" if authority is Authority.STAND_IN else words
