"""Causes on the page, the terminal and in JUnit: by subject, each with its remedy, and what is said where none is known."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from facts.catalogue import About
from facts.evidence import ObjectRef
from facts.finding import Finding, Holds, Problem, Remark
from judge.explain.cause import CAUSES
from judge.verdict import Ending, Judged, Verdict, judge_catalogue
from judge.waivers import Waiver
from reporting.model import Report, StepState
from reporting.writing.causes import causes_found, counts_of, indented, numbered, remedy_block, remedy_in_lines
from reporting.writing.html import to_html
from reporting.writing.junit import to_junit
from reporting.writing.terminal import summary
from reporting.writing.words import advice_on, hints_of, reasons_besides_findings, word_of_cause
from tests.unit.reporting.sample import BODIES, CAUSE, LONG, ONE, TWO, finding, report, scenario, step
from tests.unit.reporting.test_writers import Page

OTHER = "bundle-not-delivered"


def pod(number: int) -> ObjectRef:
    return ObjectRef("Pod", f"pod-{number}", "shop")


def told(*findings: Finding, **changes: Any) -> Report:
    """A run with one scenario for each finding, beside the sample's others."""
    words = {Holds.NO: (StepState.VIOLATED, Ending.VIOLATED), Holds.UNKNOWN: (StepState.BROKE, Ending.BROKE)}
    made = []
    for each in findings:
        state, ending = words.get(each.holds, (StepState.PASSED, Ending.COMPLETED))
        made.append(scenario(each.requirement, step(state, each, evidence=(ONE, TWO, LONG)), ending=ending))
    named = {f.requirement for f in findings}
    others = tuple(s for s in report().scenarios if not named.intersection(s.requirements))
    named_causes = dict.fromkeys(p.cause for f in findings for p in (*f.problems, *f.unclear, *f.notes) if p.cause)
    causes = tuple(CAUSES[cause] for cause in dict.fromkeys((CAUSE, *named_causes)))
    return report(scenarios=(*made, *others), causes=causes, **changes)


def test_the_cause_that_explains_others_leads_and_each_says_so() -> None:
    of = told(
        finding("A-3", Holds.NO, ONE, "token-missing"),
        finding("B-4", Holds.NO, TWO, "bot-missing"),
        explained_by={"token-missing": ("bot-missing",)},
    )

    harmful = [each.cause.id for each in causes_found(of) if each.harms]
    assert (harmful[0], harmful[-1]) == ("bot-missing", "token-missing")
    lines = [line for line, _style in summary(of, Path("r"))]
    assert "    It explains token-missing." in lines
    assert "    It shows because of bot-missing: remove that first, then run again." in lines
    assert "It shows because of" in to_html(of, BODIES)


def judged(of: Report, requirement: str) -> Judged:
    return next(j for j in of.judged if j.requirement.id == requirement)


def test_causes_that_break_something_come_first_and_say_what_they_do() -> None:
    unharmed = finding("A-1", Holds.YES, ONE, notes=(Problem(pod(1), "its tag floats", "tbot-version-floating"),))
    of = told(unharmed, finding("A-3", Holds.UNKNOWN, ONE, OTHER), finding("B-4", Holds.NO, TWO, CAUSE))

    assert [(each.cause.id, [(on.does, on.requirement) for on in each.on]) for each in causes_found(of)] == [
        (CAUSE, [("breaks", "A-2"), ("breaks", "B-4")]),
        ("tbot-version-floating", [("seen without harm by", "A-1")]),
        (OTHER, [("leaves open", "A-3")]),
    ]
    page = Page(to_html(of, BODIES))
    breaks = " ".join(f"Breaks {broken} : ConfigMap x/y: trust domain b" for broken in ("A-2", "B-4"))
    assert f"{CAUSES[CAUSE].sentence} {CAUSE} {breaks} What to do." in page.text
    assert page.text.index("Causes, and what to do") < page.text.index("Requirement What must hold")
    assert {f"cause-{c.id}" for c in of.causes} <= set(page.ids)
    assert "    leaves open A-3: ConfigMap x/y: trust domain b" in [line for line, _ in summary(of, Path("r"))]


def test_a_cause_that_only_waived_subjects_show_breaks_nothing() -> None:
    problems = (Problem(pod(1), "is wrong", "tbot-version-floating"), Problem(pod(2), "is wrong", OTHER))
    waiver = Waiver("B-4", "o", "j", subjects=(str(pod(1)),))
    of = told(finding("B-4", Holds.NO, ONE, problems=problems))
    of = replace(of, judged=judge_catalogue([j.requirement for j in of.judged], of.outcomes(), {"B-4": (waiver,)}))

    assert judged(of, "B-4").causes == (OTHER,)
    shown = {each.cause.id: each for each in causes_found(of)}
    assert [(on.does, on.requirement) for on in shown["tbot-version-floating"].on] == [("waived in", "B-4")]
    assert not shown["tbot-version-floating"].harms
    assert word_of_cause(of, shown["tbot-version-floating"]) == "waived"
    assert shown[OTHER].harms


def test_a_requirement_that_names_no_cause_says_so_and_points_to_those_that_name_one() -> None:
    of = told(finding("B-4", Holds.NO, ONE))

    assert advice_on(of, (judged(of, "B-4"),)) == (
        "The cause is not known. First remove the causes that break other requirements, then run the suite again: "
        f"{CAUSE} (A-2). What would settle it: read the evidence of this requirement in the report, "
        "the deciding reading first.",
    )
    assert f'<a href="#cause-{CAUSE}">{CAUSE}</a> (<a href="#A-2">A-2</a>). What would' in article(of, "B-4")
    alone = replace(of, judged=tuple(j for j in of.judged if j.requirement.id == "B-4"))
    (said,) = advice_on(alone, alone.judged)
    assert said.startswith("The cause is not known. What would settle it: read the evidence")


def test_one_cause_has_its_remedy_and_nothing_else_is_advised() -> None:
    of, cause = report(), CAUSES[CAUSE]

    assert advice_on(of, (judged(of, "A-2"),)) == ()
    assert hints_of(of, judged(of, "A-2")) == (
        f"Cause: {cause.sentence} ({CAUSE})",
        f"What to do: 1. {cause.remedy[0]}",
        f"2. {cause.remedy[1]}",
        f"3. {cause.remedy[2]}",
        f"Check again: {cause.check}",
    )
    assert "\n".join(hints_of(of, judged(of, "A-2"))) in to_junit(of)


def test_what_could_not_be_determined_says_what_would_settle_it() -> None:
    of = told(finding("B-4", Holds.UNKNOWN, ONE))

    assert advice_on(of, (judged(of, "B-4"),)) == ("What would settle it: ask istiod",)
    assert advice_on(of, (judged(of, "B-1"),)) == ()


def test_a_failure_of_a_self_test_or_of_a_proof_of_istio_is_not_blamed_on_the_install() -> None:
    failed = judged(report(), "A-2")
    for about, words in ((About.SUITE, "the suite is wrong"), (About.ISTIO, "Istio behaves differently")):
        blamed = replace(failed, requirement=replace(failed.requirement, about=about), causes=())
        said, cause = advice_on(report(), (blamed,))
        assert words in said
        assert cause.startswith("The cause is not known.")


def test_reasons_that_findings_tell_by_subject_are_not_told_twice() -> None:
    assert reasons_besides_findings(report(), judged(report(), "A-2")) == ()
    assert reasons_besides_findings(report(), judged(report(), "B-2")) == ("waived by platform-team: until release 12",)
    assert reasons_besides_findings(report(), judged(report(), "B-4")) == ("never started",)


def of_many(wrong: int) -> Finding:
    return finding(
        "A-2",
        Holds.NO,
        ONE,
        problems=(
            *(Problem(pod(i), "has an istiod certificate", CAUSE, (TWO.id, ONE.id)) for i in range(wrong)),
            Problem(pod(90), "has an expired certificate", "", (LONG.id,)),
        ),
        unclear=(Problem(pod(91), "did not answer"),),
        held=tuple(Remark(pod(i), "has a Teleport certificate") for i in range(95, 99)),
        left_out=(Remark(pod(99), "it is being deleted"),),
    )


def article(of: Report, requirement: str) -> str:
    html = to_html(of, BODIES)
    start = html.index(f'aria-labelledby="{requirement}"')
    return html[start : html.index("</article>", start)]


def test_a_finding_is_told_by_subject_with_cause_and_readings_decisive_first() -> None:
    html = article(told(of_many(2)), "A-2")
    (row,) = re.findall(r"<tr>(?:(?!</tr>).)*istiod certificate.*?</tr>", html, re.DOTALL)

    assert re.findall(r'href="#([^"]+)"', row) == [TWO.id, ONE.id, TWO.id, ONE.id, f"cause-{CAUSE}"]
    for words in ("has an expired certificate not known", "did not answer not known", f"shown by {LONG.question}"):
        assert words in Page(f"<p>{html}").text


def test_many_subjects_of_which_the_same_is_said_are_folded_and_all_there() -> None:
    html = article(told(of_many(40)), "A-2")

    assert "<summary>40 subjects</summary>" in html
    assert all(f"Pod shop/pod-{i} " in html for i in range(40))
    assert html.count("has an istiod certificate") == 1, "neither the reason nor the sentence tells it again"


def test_a_recommendation_that_does_not_hold_is_never_red() -> None:
    html = to_html(told(finding("A-3", Holds.NO, ONE, CAUSE)), BODIES)

    assert '<article class="unsure" aria-labelledby="A-3"' in html


def test_beside_the_guides_words_what_is_listed_by_subject_is_not_told_again() -> None:
    html = article(told(finding("A-1", Holds.NO, ONE, CAUSE)), "A-1")

    assert "The guide's words" in html
    assert html.count("trust domain b") == 1


def test_what_held_and_what_was_left_out_is_counted_and_folded() -> None:
    assert counts_of(of_many(2)) == "7 read, 4 held, 3 wrong, 1 could not be read, 1 left out"
    html = article(told(of_many(2)), "A-2")
    assert "ConfigMap x/y: 7 read, 4 held, 3 wrong, 1 could not be read, 1 left out</summary>" in html
    assert "it is being deleted" in html


def test_a_page_with_all_of_it_is_well_formed() -> None:
    of = told(of_many(40), finding("A-3", Holds.UNKNOWN, ONE, OTHER), finding("B-4", Holds.NO, TWO))
    page = Page(to_html(of, BODIES))

    assert page.open == []
    assert sorted(set(page.ids)) == sorted(page.ids)
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    assert judged(of, "A-3").verdict is Verdict.ERROR


KUBELET = CAUSES["kubelet-unreachable"]


def test_steps_have_numbers() -> None:
    assert numbered(["Look.", "Mend."]) == ("1. Look.", "2. Mend.")
    assert [*indented(["a"], 4)] == ["    a"]


def test_a_block_has_a_heading_and_numbers_a_single_step_too() -> None:
    cause = KUBELET.model_copy(update={"remedy": ("Mend.",)})
    assert [*remedy_block(cause)] == ["What to do:", "  1. Mend.", f"Check again: {cause.check}"]
    assert [*remedy_block(cause, ["Make sure.", "Mend."])][1:3] == ["  1. Make sure.", "  2. Mend."]


@pytest.mark.parametrize(("steps", "said"), [(("Mend.",), ["Mend."]), (("Look.", "Mend."), ["1. Look.", "2. Mend."])])
def test_lines_begin_with_the_first_step(steps: tuple[str, ...], said: list[str]) -> None:
    cause = KUBELET.model_copy(update={"remedy": steps})
    assert (
        remedy_in_lines(cause)
        == remedy_in_lines(KUBELET, steps)
        == (f"What to do: {said[0]}", *said[1:], f"Check again: {KUBELET.check}")
    )
