"""The verdict algebra: what went wrong can lower a verdict, never disappear from it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facts.catalogue import About, Level, Requirement
from facts.evidence import ObjectRef
from facts.finding import Finding, Holds, Problem
from judge.verdict import (
    CUT_SHORT,
    NOT_MET,
    Authority,
    Ending,
    Judged,
    Result,
    ScenarioOutcome,
    Verdict,
    exit_code,
    headline,
    judge_catalogue,
    judge_requirement,
    judge_run,
    uncounted,
)
from judge.waivers import Waiver

CONDITION = "no injected pod runs in the mesh"


def requirement(req_id: str = "CHK-9", level: Level = Level.MUST, about: About = About.INSTALL) -> Requirement:
    return Requirement(
        id=req_id,
        sentence="s",
        level=level,
        about=about,
        profile="checklist",
        source="s",
        really_known_by="r",
        not_applicable_when=(CONDITION,),
    )


def finding(holds: Holds, req_id: str = "CHK-9", condition: str = "", cause: str = "") -> Finding:
    if holds is Holds.NOT_APPLICABLE:
        condition = condition or CONDITION
    said = (Problem(ObjectRef("Pod", "p"), "is wrong", cause),)
    return Finding(
        requirement=req_id,
        holds=holds,
        expected="e",
        where="w",
        problems=said if holds is Holds.NO else (),
        unclear=said if holds is Holds.UNKNOWN else (),
        confirmed="c" if holds is Holds.YES else "",
        evidence=("ev-1",),
        condition=condition,
    )


def test_the_words_of_reports() -> None:
    verdicts = ["pass", "fail", "error", "waived", "skipped", "not-applicable", "not-evaluated"]
    assert [each.value for each in Verdict] == verdicts
    assert [each.value for each in Result] == ["pass", "fail", "inconclusive", "partial"]
    assert [each.value for each in Authority] == ["teleport", "stand-in", "unknown"]
    assert [each.value for each in Ending] == [
        "completed", "violated", "broke", "not-applicable", "skipped-by-policy", "skipped-by-test", "not-run",
    ]  # fmt: skip


def scenario(
    ending: Ending = Ending.COMPLETED, *findings: Finding, evidence: int = 1, requirements: tuple[str, ...] = ("CHK-9",)
) -> ScenarioOutcome:
    return ScenarioOutcome("a scenario", requirements, ending, evidence, findings, reason="because")


def test_a_completed_scenario_with_a_finding_and_evidence_passes() -> None:
    judged = judge_requirement(requirement(), [scenario(Ending.COMPLETED, finding(Holds.YES))])
    assert judged.verdict is Verdict.PASS
    assert judged.reasons == ()


def test_no_scenario_means_not_evaluated() -> None:
    assert judge_requirement(requirement(), []).verdict is Verdict.NOT_EVALUATED


@pytest.mark.parametrize(
    ("ending", "verdict"),
    [
        (Ending.VIOLATED, Verdict.FAIL),
        (Ending.BROKE, Verdict.ERROR),
        (Ending.SKIPPED_BY_POLICY, Verdict.SKIPPED),
        (Ending.SKIPPED_BY_TEST, Verdict.ERROR),
        (Ending.NOT_RUN, Verdict.NOT_EVALUATED),
    ],
)
def test_each_ending_has_its_verdict(ending: Ending, verdict: Verdict) -> None:
    judged = judge_requirement(requirement(), [scenario(ending)])
    assert judged.verdict is verdict
    assert "because" in judged.reasons[0]


def test_a_pass_without_a_finding_or_without_evidence_is_an_error() -> None:
    no_finding = judge_requirement(requirement(), [scenario(Ending.COMPLETED)])
    no_evidence = judge_requirement(requirement(), [scenario(Ending.COMPLETED, finding(Holds.YES), evidence=0)])
    assert (no_finding.verdict, no_evidence.verdict) == (Verdict.ERROR, Verdict.ERROR)


def test_a_failure_seen_before_a_break_stays_a_failure() -> None:
    judged = judge_requirement(requirement(), [scenario(Ending.BROKE, finding(Holds.NO))])
    assert judged.verdict is Verdict.FAIL


def test_the_failure_of_another_requirement_says_nothing_of_this_one() -> None:
    both = scenario(Ending.VIOLATED, finding(Holds.NO, "CHK-8"), requirements=("CHK-8", "CHK-9"))
    judged = judge_catalogue([requirement("CHK-8"), requirement("CHK-9")], [both])
    assert [j.verdict for j in judged] == [Verdict.FAIL, Verdict.ERROR]


def test_not_applicable_needs_a_condition_of_the_catalogue() -> None:
    listed = judge_requirement(requirement(), [scenario(Ending.COMPLETED, finding(Holds.NOT_APPLICABLE))])
    unlisted = judge_requirement(
        requirement(), [scenario(Ending.COMPLETED, finding(Holds.NOT_APPLICABLE, condition="I felt like it"))]
    )
    assert (listed.verdict, unlisted.verdict) == (Verdict.NOT_APPLICABLE, Verdict.ERROR)


def test_a_scenario_that_stops_as_not_applicable_says_so_of_what_its_finding_names() -> None:
    stopped = scenario(Ending.NOT_APPLICABLE, finding(Holds.NOT_APPLICABLE))
    assert judge_requirement(requirement(), [stopped]).verdict is Verdict.NOT_APPLICABLE
    passed = scenario(Ending.COMPLETED, finding(Holds.YES))
    assert judge_requirement(requirement(), [stopped, passed]).verdict is Verdict.PASS


@pytest.mark.parametrize(
    "findings",
    [
        (finding(Holds.NOT_APPLICABLE, condition="I felt like it"),),
        (finding(Holds.NOT_APPLICABLE, "CHK-8"),),
        (finding(Holds.YES), finding(Holds.NOT_APPLICABLE)),
        (finding(Holds.YES), finding(Holds.NOT_APPLICABLE, "CHK-8")),
        (),
    ],
)
def test_a_scenario_that_stops_as_not_applicable_proves_nothing_else(findings: tuple[Finding, ...]) -> None:
    assert judge_requirement(requirement(), [scenario(Ending.NOT_APPLICABLE, *findings)]).verdict is Verdict.ERROR


def test_a_failure_seen_before_a_requirement_is_called_not_applicable_stays_a_failure() -> None:
    stopped = scenario(Ending.NOT_APPLICABLE, finding(Holds.NO), finding(Holds.NOT_APPLICABLE))
    assert judge_requirement(requirement(), [stopped]).verdict is Verdict.FAIL


def test_a_clean_up_that_breaks_after_a_requirement_was_called_not_applicable_is_an_error() -> None:
    broke = scenario(Ending.BROKE, finding(Holds.NOT_APPLICABLE))
    assert judge_requirement(requirement(), [broke]).verdict is Verdict.ERROR


def test_a_waiver_covers_a_failure_until_it_expires_and_nothing_else() -> None:
    failed = [scenario(Ending.VIOLATED, finding(Holds.NO))]
    valid = Waiver("CHK-9", "owner", "known")
    expired = Waiver("CHK-9", "owner", "known", expired=True)
    assert judge_requirement(requirement(), failed, [valid]).verdict is Verdict.WAIVED
    assert judge_requirement(requirement(), failed, [expired]).verdict is Verdict.FAIL
    assert judge_requirement(requirement(), [scenario(Ending.BROKE)], [valid]).verdict is Verdict.ERROR


def test_a_claim_without_evidence_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="needs evidence"):
        Finding("CHK-9", Holds.YES, "e", "w")


def test_a_failure_says_what_was_seen_and_has_the_causes_of_its_negative_findings_once() -> None:
    outcomes = [
        scenario(Ending.VIOLATED, finding(Holds.NO, cause="a"), finding(Holds.UNKNOWN, cause="x")),
        scenario(Ending.VIOLATED, finding(Holds.NO, cause="b"), finding(Holds.NO, cause="a")),
        scenario(Ending.VIOLATED, finding(Holds.NO, "CHK-8", cause="y")),
    ]
    judged = judge_requirement(requirement(), outcomes)
    assert judged.causes == ("a", "b")
    assert judged.reasons[0] == "a scenario: expected e; saw Pod p: is wrong (looked at w)"
    assert judge_requirement(requirement(), outcomes, [Waiver("CHK-9", "owner", "known")]).causes == ("a", "b")
    assert judge_requirement(requirement(), [scenario(Ending.COMPLETED, finding(Holds.YES))]).causes == ()
    assert judge_requirement(requirement(), [scenario(Ending.BROKE, finding(Holds.UNKNOWN, cause="a"))]).causes == ()


def judged(verdict: Verdict, level: Level = Level.MUST, about: About = About.INSTALL) -> Judged:
    return Judged(requirement(level=level, about=about), verdict)


@pytest.mark.parametrize(
    ("verdicts", "result", "code"),
    [
        ([Verdict.PASS], Result.PASS, 0),
        ([Verdict.PASS, Verdict.NOT_APPLICABLE], Result.PASS, 0),
        ([Verdict.PASS, Verdict.FAIL, Verdict.ERROR], Result.FAIL, 1),
        ([Verdict.PASS, Verdict.ERROR, Verdict.SKIPPED], Result.INCONCLUSIVE, 6),
        ([Verdict.PASS, Verdict.NOT_EVALUATED], Result.INCONCLUSIVE, 6),
        ([Verdict.PASS, Verdict.SKIPPED], Result.PARTIAL, 7),
        ([Verdict.PASS, Verdict.WAIVED], Result.PARTIAL, 7),
        ([Verdict.NOT_APPLICABLE], Result.INCONCLUSIVE, 6),
        ([], Result.INCONCLUSIVE, 6),
    ],
)
def test_the_run_takes_the_worst(verdicts: list[Verdict], result: Result, code: int) -> None:
    run = judge_run([judged(v) for v in verdicts])
    assert run is result
    assert exit_code(run) == code


def test_a_should_that_fails_is_a_finding_unless_strict() -> None:
    run = [judged(Verdict.PASS), judged(Verdict.FAIL, Level.SHOULD)]
    assert judge_run(run) is Result.PASS
    assert judge_run(run, strict=True) is Result.FAIL


@pytest.mark.parametrize("about", [About.SUITE, About.ISTIO])
@pytest.mark.parametrize("level", Level)
@pytest.mark.parametrize("verdict", [Verdict.FAIL, Verdict.ERROR])
def test_a_self_test_or_a_re_proof_that_fails_makes_the_run_inconclusive(
    about: About, level: Level, verdict: Verdict
) -> None:
    failed = judged(verdict, level, about)
    for others in ([Verdict.PASS], [Verdict.PASS, Verdict.SKIPPED], [Verdict.PASS, Verdict.WAIVED]):
        result = judge_run([failed, *map(judged, others)])
        assert result is Result.INCONCLUSIVE
        assert exit_code(result, allow_partial=True) == 6
    assert judge_run([failed, judged(Verdict.FAIL)]) is Result.FAIL


@pytest.mark.parametrize("about", [About.SUITE, About.ISTIO])
@pytest.mark.parametrize("verdict", [v for v in Verdict if v not in (Verdict.FAIL, Verdict.ERROR)])
def test_a_self_test_that_was_not_tried_says_nothing(about: About, verdict: Verdict) -> None:
    assert judge_run([judged(Verdict.PASS), judged(verdict, about=about)]) is Result.PASS
    assert judge_run([judged(verdict, about=about)]) is Result.INCONCLUSIVE


@pytest.mark.parametrize("about", [About.SUITE, About.ISTIO])
def test_a_chosen_self_test_that_was_left_out_makes_the_run_inconclusive(about: About) -> None:
    chosen = requirement(about=about)
    missing = scenario(Ending.NOT_RUN)
    for scenarios in ([], [missing], [missing, scenario(Ending.SKIPPED_BY_POLICY)], [missing, replace(missing, began=True)]):
        left_out = judge_requirement(chosen, scenarios)
        assert (left_out.verdict, left_out.untried) == (Verdict.NOT_EVALUATED, True)
        assert judge_run([judged(Verdict.PASS), left_out]) is Result.INCONCLUSIVE
        assert judge_run([judged(Verdict.FAIL), left_out]) is Result.FAIL
    for ending in (replace(missing, began=True), scenario(Ending.SKIPPED_BY_POLICY)):
        assert judge_run([judged(Verdict.PASS), judge_requirement(chosen, [ending])]) is Result.PASS


def test_where_no_must_passed_the_run_is_inconclusive_even_if_partial_is_allowed() -> None:
    for verdicts in ([Verdict.SKIPPED], [Verdict.WAIVED], [Verdict.SKIPPED, Verdict.NOT_APPLICABLE]):
        should = judged(Verdict.PASS, Level.SHOULD)
        result = judge_run([*map(judged, verdicts), should])
        assert result is Result.INCONCLUSIVE
        assert exit_code(result, allow_partial=True) == 6


def test_a_premise_is_shown_and_never_counted() -> None:
    met = replace(judged(Verdict.PASS), premise=True)
    for verdict in Verdict:
        premise = replace(judged(verdict), premise=True)
        assert judge_run([judged(Verdict.PASS), premise], strict=True) is Result.PASS
    assert judge_run([met]) is Result.INCONCLUSIVE


def test_a_verdict_is_neither_a_premise_nor_claimed_unless_it_is_said() -> None:
    plain = judge_requirement(requirement(), [])
    assert (plain.premise, plain.claimed) == (False, False)


def test_a_premise_that_does_not_hold_is_not_evaluated_and_names_its_cause() -> None:
    failed = [scenario(Ending.VIOLATED, finding(Holds.NO, cause="tool-version-unsupported"))]
    premise = replace(requirement(), premise=True)
    (told,) = judge_catalogue([premise], failed, existing=True)
    assert (told.verdict, told.premise) == (Verdict.NOT_EVALUATED, True)
    assert told.causes == ("tool-version-unsupported",)
    assert told.reasons == ("a scenario: expected e; saw Pod p: is wrong (looked at w)", NOT_MET)
    waived = judge_catalogue([premise], failed, {"CHK-9": (Waiver("CHK-9", "owner", "known"),)}, existing=True)
    assert waived == (told,)
    (ours,) = judge_catalogue([premise], failed, existing=False)
    assert (ours.verdict, ours.premise) == (Verdict.FAIL, False)
    (other,) = judge_catalogue([requirement()], failed, existing=True)
    assert (other.verdict, other.premise) == (Verdict.FAIL, False)


@pytest.mark.parametrize(
    ("beside", "verdict"),
    [
        (scenario(Ending.BROKE), Verdict.ERROR),
        (scenario(Ending.COMPLETED, finding(Holds.UNKNOWN)), Verdict.ERROR),
        (scenario(Ending.SKIPPED_BY_TEST), Verdict.ERROR),
        (scenario(Ending.COMPLETED), Verdict.ERROR),
        (scenario(Ending.NOT_RUN), Verdict.NOT_EVALUATED),
        (scenario(Ending.SKIPPED_BY_POLICY), Verdict.SKIPPED),
        (scenario(Ending.COMPLETED, finding(Holds.YES)), Verdict.WAIVED),
        (scenario(Ending.NOT_APPLICABLE, finding(Holds.NOT_APPLICABLE)), Verdict.WAIVED),
    ],
)
def test_a_waiver_covers_the_failure_alone_and_not_what_broke_beside_it(beside: ScenarioOutcome, verdict: Verdict) -> None:
    failed, waiver = scenario(Ending.VIOLATED, finding(Holds.NO)), Waiver("CHK-9", "owner", "known")
    assert judge_requirement(requirement(), [failed, beside], [waiver]).verdict is verdict
    assert judge_requirement(requirement(), [failed, beside]).verdict is Verdict.FAIL


@pytest.mark.parametrize("ending", [Ending.BROKE, Ending.SKIPPED_BY_TEST, Ending.NOT_RUN])
def test_a_check_that_broke_after_its_failure_is_not_waived(ending: Ending) -> None:
    broke, waiver = scenario(ending, finding(Holds.NO)), Waiver("CHK-9", "owner", "known")
    told = judge_requirement(requirement(), [broke], [waiver])
    assert told.verdict in (Verdict.ERROR, Verdict.NOT_EVALUATED)
    assert any(reason == "a scenario: because" for reason in told.reasons)
    assert judge_run([judged(Verdict.PASS), told]) is Result.INCONCLUSIVE


def failing(*names: str, unclear: tuple[str, ...] = ()) -> ScenarioOutcome:
    """A scenario that found something wrong about these pods, and could not tell about others."""
    pods, others = (
        [Problem(ObjectRef("Pod", n, "shop"), said) for n in of] for of, said in ((names, "is wrong"), (unclear, "?"))
    )
    found = Finding("CHK-9", Holds.NO, "e", "w", problems=tuple(pods), unclear=tuple(others), evidence=("ev-1",))
    return scenario(Ending.VIOLATED, found)


def accepting(*subjects: str, owner: str = "owner") -> Waiver:
    return Waiver("CHK-9", owner, "known", subjects=subjects)


def test_a_waiver_by_subject_covers_these_subjects_alone() -> None:
    one = accepting("Pod shop/cart-*")
    assert judge_requirement(requirement(), [failing("cart-1", "cart-2")], [one]).verdict is Verdict.WAIVED
    told = judge_requirement(requirement(), [failing("cart-1", "bank-1")], [one])
    assert told.verdict is Verdict.FAIL
    assert told.reasons == (
        "a scenario: expected e; saw Pod shop/bank-1: is wrong (looked at w)",
        "waived by owner for Pod shop/cart-*: known",
    )
    elsewhere = judge_requirement(requirement(), [failing("bank-1")], [one])
    assert elsewhere.verdict is Verdict.FAIL
    assert not any("waived" in reason for reason in elsewhere.reasons), "one that matches nothing covers nothing"


def test_several_waivers_cover_the_subjects_of_all_of_them() -> None:
    several = [accepting("Pod shop/cart-1", owner="a"), accepting("shop/bank-*", "Node *", owner="b")]
    told = judge_requirement(requirement(), [failing("cart-1"), failing("bank-1")], several)
    assert told.verdict is Verdict.WAIVED
    assert told.reasons[2:] == ("waived by a for Pod shop/cart-1: known", "waived by b for shop/bank-*, Node *: known")
    assert judge_requirement(requirement(), [failing("cart-1"), failing("bank-1")], several[:1]).verdict is Verdict.FAIL
    assert judge_requirement(requirement(), [failing("cart-1", "x")], several).verdict is Verdict.FAIL
    expired = [several[0], replace(several[1], expired=True)]
    assert judge_requirement(requirement(), [failing("cart-1"), failing("bank-1")], expired).verdict is Verdict.FAIL


def test_the_second_negative_finding_of_a_scenario_counts_as_well() -> None:
    both = replace(failing("cart-1"), findings=(*failing("cart-1").findings, *failing("bank-1").findings))
    assert judge_requirement(requirement(), [both], [accepting("Pod shop/cart-1")]).verdict is Verdict.FAIL


def test_what_could_not_be_told_of_a_subject_that_no_waiver_names_stays_open() -> None:
    outcomes = [failing("cart-1", unclear=("bank-1",))]
    told = judge_requirement(requirement(), outcomes, [accepting("Pod shop/cart-1")])
    assert told.verdict is Verdict.ERROR
    assert any("saw Pod shop/bank-1: ?" in reason for reason in told.reasons)
    assert judge_requirement(requirement(), outcomes, [accepting("shop/*")]).verdict is Verdict.WAIVED
    assert judge_requirement(requirement(), outcomes, [accepting()]).verdict is Verdict.WAIVED


def test_the_cause_of_a_waived_subject_is_no_cause_of_a_failure() -> None:
    pods = ((ObjectRef("Pod", name, "shop"), cause) for name, cause in (("cart-1", "socket-taken-over"), ("bank-1", "x")))
    problems = tuple(Problem(pod, "is wrong", cause) for pod, cause in pods)
    found = Finding("CHK-9", Holds.NO, "e", "w", problems=problems, evidence=("ev-1",))
    outcomes = [scenario(Ending.VIOLATED, found)]
    assert judge_requirement(requirement(), outcomes).causes == ("socket-taken-over", "x")
    assert judge_requirement(requirement(), outcomes, [accepting("Pod shop/cart-1")]).causes == ("x",)
    assert judge_requirement(requirement(), outcomes, [accepting()]).causes == ("socket-taken-over", "x"), "waived for both"


def test_what_the_steps_after_a_waived_subject_would_have_found_stays_open() -> None:
    cut = replace(failing("cart-1"), is_cut_short=True)
    told = judge_requirement(requirement(), [cut], [accepting("Pod shop/cart-1")])
    assert told.verdict is Verdict.ERROR
    assert f"a scenario: {CUT_SHORT}" in told.reasons
    assert judge_run([judged(Verdict.PASS), told]) is Result.INCONCLUSIVE
    both = [accepting("Pod shop/cart-1"), accepting()]
    assert judge_requirement(requirement(), [cut], both).verdict is Verdict.WAIVED, "one covers the whole requirement"
    assert judge_requirement(requirement(), [cut], [accepting("Pod shop/x")]).verdict is Verdict.FAIL
    broke = replace(cut, ending=Ending.BROKE)
    reasons = judge_requirement(requirement(), [broke], [accepting("Pod shop/cart-1")]).reasons
    assert "a scenario: because" in reasons
    assert f"a scenario: {CUT_SHORT}" not in reasons, "it did not stop there"


def test_a_failure_that_names_no_subject_is_covered_by_a_waiver_of_the_whole_requirement_alone() -> None:
    violated = [scenario(Ending.VIOLATED)]
    assert judge_requirement(requirement(), violated, [accepting()]).verdict is Verdict.WAIVED
    assert judge_requirement(requirement(), violated, [accepting("*")]).verdict is Verdict.FAIL


@pytest.mark.parametrize("about", [About.SUITE, About.ISTIO])
def test_a_waiver_does_not_cover_a_self_test(about: About) -> None:
    failed, waiver = scenario(Ending.VIOLATED, finding(Holds.NO)), Waiver("CHK-9", "owner", "known")
    told = judge_requirement(requirement(about=about), [failed], [waiver])
    assert told.verdict is Verdict.FAIL
    assert judge_run([judged(Verdict.PASS), told]) is Result.INCONCLUSIVE


def test_errors_of_the_run_and_reruns_are_never_a_pass() -> None:
    assert judge_run([judged(Verdict.PASS)], run_errors=["provisioning failed"]) is Result.INCONCLUSIVE
    assert judge_run([judged(Verdict.PASS)], rerun_of_failures=True) is Result.INCONCLUSIVE
    assert judge_run([judged(Verdict.FAIL)], run_errors=["provisioning failed"]) is Result.FAIL


def test_partial_can_be_allowed() -> None:
    assert exit_code(Result.PARTIAL, allow_partial=True) == 0


def test_only_the_real_authority_makes_it_conformant() -> None:
    assert headline(Result.PASS, Authority.TELEPORT) == "Conformant"
    assert headline(Result.PASS, Authority.STAND_IN) == "Rehearsal passed"
    for result in Result:
        for authority in Authority:
            if (result, authority) != (Result.PASS, Authority.TELEPORT):
                assert headline(result, authority) != "Conformant"


endings = st.sampled_from(Ending)
answers = st.lists(st.sampled_from([Holds.YES, Holds.NO, Holds.UNKNOWN]).map(finding), max_size=3).map(tuple)
scenarios = st.lists(
    st.builds(
        ScenarioOutcome,
        name=st.just("s"),
        requirements=st.just(("CHK-9",)),
        ending=endings,
        evidence=st.integers(0, 2),
        findings=answers,
        reason=st.just("r"),
    ),
    max_size=4,
)


@given(scenarios)
def test_a_pass_needs_every_scenario_whole(outcomes: list[ScenarioOutcome]) -> None:
    verdict = judge_requirement(requirement(), outcomes).verdict
    whole = bool(outcomes) and all(
        o.ending is Ending.COMPLETED and o.evidence and o.findings and {f.holds for f in o.findings} == {Holds.YES}
        for o in outcomes
    )
    assert (verdict is Verdict.PASS) == whole


@given(scenarios, scenarios)
def test_more_scenarios_never_turn_a_failure_into_anything_else(
    first: list[ScenarioOutcome], more: list[ScenarioOutcome]
) -> None:
    if judge_requirement(requirement(), first).verdict is Verdict.FAIL:
        assert judge_requirement(requirement(), first + more).verdict is Verdict.FAIL


@given(st.lists(st.tuples(st.sampled_from(Verdict), st.sampled_from(Level), st.sampled_from(About))), st.booleans())
def test_over_an_unverified_line_a_failure_stays_one_and_nothing_is_better_than_inconclusive(
    told: list[tuple[Verdict, Level, About]], strict: bool
) -> None:
    run = [judged(verdict, level, about) for verdict, level, about in told]
    verified = judge_run(run, strict=strict)
    doubtful = judge_run(run, strict=strict, unverified=["Teleport's proxy (--teleport-insecure)"])
    assert doubtful is (Result.FAIL if verified is Result.FAIL else Result.INCONCLUSIVE)


# What no verdict takes up.


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (scenario(Ending.VIOLATED, finding(Holds.NO, "NO-1"), requirements=("NO-1",)), "found something about NO-1"),
        (scenario(Ending.VIOLATED, finding(Holds.NO, "CHK-8"), requirements=("CHK-8",)), "found something about CHK-8"),
        (scenario(Ending.COMPLETED, finding(Holds.YES), finding(Holds.NO, "CHK-8")), "found something about CHK-8"),
        (scenario(Ending.COMPLETED, finding(Holds.YES), finding(Holds.UNKNOWN, "CHK-8")), "found something about CHK-8"),
        (scenario(Ending.COMPLETED, finding(Holds.NO), requirements=()), "tagged with no requirement"),
        (scenario(Ending.VIOLATED, requirements=()), "ended violated, which no verdict of this run takes up: because"),
        (scenario(Ending.BROKE, requirements=("CHK-8",)), "ended broke"),
    ],
    ids=["unknown tag", "other profile", "another's finding", "another's doubt", "no tag", "no finding", "broke"],
)
def test_what_no_verdict_takes_up_is_an_error_of_the_run(outcome: ScenarioOutcome, words: str) -> None:
    (said,) = uncounted([requirement()], [outcome])
    assert words in said
    assert f"a scenario (tagged with {', '.join(outcome.requirements) or 'no requirement'})" in said
    assert judge_run([judged(Verdict.PASS)], run_errors=[said]) is Result.INCONCLUSIVE


def test_what_a_verdict_takes_up_is_no_error_of_the_run() -> None:
    outcomes = [
        scenario(Ending.VIOLATED, finding(Holds.NO)),
        scenario(Ending.BROKE),
        scenario(Ending.COMPLETED, finding(Holds.YES, "CHK-8")),
        scenario(Ending.NOT_RUN, requirements=("CHK-8",)),
        scenario(Ending.SKIPPED_BY_POLICY, requirements=()),
    ]
    assert uncounted([requirement()], outcomes) == ()


IDS = ("CHK-9", "CHK-8", "NO-1")
tagged = st.lists(
    st.builds(
        ScenarioOutcome,
        name=st.just("s"),
        requirements=st.lists(st.sampled_from(IDS), max_size=2, unique=True).map(tuple),
        ending=endings,
        evidence=st.integers(0, 2),
        findings=st.lists(
            st.builds(finding, st.sampled_from([Holds.YES, Holds.NO, Holds.UNKNOWN]), st.sampled_from(IDS)), max_size=3
        ).map(tuple),
        reason=st.just("r"),
    ),
    max_size=4,
)
waivers = st.sampled_from([{}, {"CHK-9": (Waiver("CHK-9", "owner", "known"),)}])
chosen = st.lists(
    st.builds(requirement, st.sampled_from(["CHK-9", "CHK-8"]), st.sampled_from(Level), st.sampled_from(About)),
    max_size=2,
    unique_by=lambda each: each.id,
)


@given(chosen, tagged, waivers)
def test_a_violation_is_never_exit_0_unless_it_is_of_a_should_alone(
    chosen: list[Requirement], outcomes: list[ScenarioOutcome], waivers: dict[str, tuple[Waiver, ...]]
) -> None:
    run = judge_run(judge_catalogue(chosen, outcomes, waivers), run_errors=uncounted(chosen, outcomes))
    shoulds = {r.id for r in chosen if r.level is Level.SHOULD and r.about is About.INSTALL}
    for outcome in outcomes:
        named = {f.requirement for f in outcome.findings if f.holds is Holds.NO}
        if named - shoulds or (outcome.ending is Ending.VIOLATED and not shoulds.issuperset(outcome.requirements)):
            assert run is not Result.PASS
        if named & {r.id for r in chosen} - shoulds and not outcome.requirements:
            assert run in (Result.FAIL, Result.INCONCLUSIVE)


@given(chosen, tagged, waivers, st.booleans())
def test_the_first_of_fail_inconclusive_partial_and_pass_that_applies_is_the_result(
    chosen: list[Requirement], outcomes: list[ScenarioOutcome], waivers: dict[str, tuple[Waiver, ...]], strict: bool
) -> None:
    told = judge_catalogue(chosen, outcomes, waivers)
    counted = [
        j.verdict for j in told if j.requirement.about is About.INSTALL and (strict or j.requirement.level is Level.MUST)
    ]
    proofs = [j.verdict for j in told if j.requirement.about is not About.INSTALL]
    lost = uncounted(chosen, outcomes)
    if Verdict.FAIL in counted:
        expected = Result.FAIL
    elif (
        {Verdict.ERROR, Verdict.NOT_EVALUATED} & {*counted}
        or {Verdict.FAIL, Verdict.ERROR} & {*proofs}
        or any(j.untried for j in told if j.requirement.about is not About.INSTALL)
        or Verdict.PASS not in counted
        or lost
    ):
        expected = Result.INCONCLUSIVE
    elif {Verdict.SKIPPED, Verdict.WAIVED} & {*counted}:
        expected = Result.PARTIAL
    else:
        expected = Result.PASS
    assert judge_run(told, strict=strict, run_errors=lost) is expected


@given(scenarios)
def test_waived_is_only_what_failed_and_was_whole_otherwise(outcomes: list[ScenarioOutcome]) -> None:
    waiver = Waiver("CHK-9", "owner", "known")
    told = judge_requirement(requirement(), outcomes, [waiver]).verdict
    if told is Verdict.WAIVED:
        assert judge_requirement(requirement(), outcomes).verdict is Verdict.FAIL
        assert {o.ending for o in outcomes} <= {Ending.COMPLETED, Ending.VIOLATED, Ending.NOT_APPLICABLE}
        assert not any(f.holds is Holds.UNKNOWN for o in outcomes for f in o.findings)
    assert told is not Verdict.FAIL
