"""The list of the guide's defects on the page and on the terminal, and what stands behind its first cause."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from facts.catalogue import GuideDefect
from facts.finding import Finding, Problem
from judge.guide_defects import Presence, ToldDefect
from judge.verdict import Verdict
from reporting.assemble import described
from reporting.model import Report, Scope
from reporting.writing.document import from_json, to_json
from reporting.writing.html import to_html
from reporting.writing.terminal import summary
from reporting.writing.words import advice_on, guide_defects_of, hints_of, scope_in_words, to_mend
from tests.unit.reporting.sample import BODIES, CAUSE, report
from tests.unit.reporting.test_writers import Page

FOUND = ToldDefect(
    GuideDefect("template", "It patches `containers`.", CAUSE, ("A-2",), "No pod can be created.", ("A-3", "B-4")),
    Presence.FOUND, "the API server refuses it\nat length", "Pod x", ("A-2",),
)  # fmt: skip
OTHERS = (
    ToldDefect(
        GuideDefect("bot", "No bot.", "bot-missing", ("A-1",), "No tbot joins."),
        Presence.REPAIRED,
        "it was repaired for this run",
    ),
    ToldDefect(
        GuideDefect("node-selector", "One node.", "node-selector-fits-no-node", ("A-3",)),
        Presence.HIDDEN,
        "behind the defect `template`",
    ),
    ToldDefect(
        GuideDefect("tbot-tag", "It floats.", "tbot-version-floating", ("B-3",)), Presence.ABSENT, "B-3: not-applicable"
    ),
)
AS_GUIDE = Scope("kind", install="as-guide", repairs=("bot",), profiles=("core",), safety=("read-only",))


def with_defects(*told: ToldDefect, scope: Scope = AS_GUIDE) -> Report:
    return replace(report(), guide_defects=told, scope=scope)


@pytest.fixture
def a_list() -> Report:
    return with_defects(OTHERS[0], FOUND, *OTHERS[1:])


def lines(told: Report) -> list[str]:
    return [line for line, _ in summary(told, Path("r"))]


def test_the_page_has_one_entry_a_defect_before_what_does_not_hold(a_list: Report) -> None:
    html = to_html(a_list, BODIES)
    page = Page(html)
    listed = html[html.index('id="guide-defects"') : html.index("What else does not hold")]
    assert listed.count("<li") == 4
    words = Page(listed[listed.index("<ol") : listed.index("</ol>") + 5]).text
    for said in (
        "✕ found template. It patches containers . A-2 : the API server refuses it (Pod x)",
        "What it stops. No pod can be created. What to do.",
        f"What to do. See the cause {CAUSE} . To see what comes after it. --repair bot,template",
        "~ repaired bot. No bot. it was repaired for this run",
        "? hidden node-selector. One node. behind the defect template",
        "✓ absent tbot-tag. It floats. B-3: not-applicable",
    ):
        assert said in words
    assert "at length" not in words
    assert page.open == []
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)


def test_the_terminal_has_it_last_before_the_result(a_list: Report) -> None:
    said = lines(a_list)
    begin = said.index("What the guide gets wrong")
    assert said[begin + 3 : begin + 8] == [
        "× template            It patches `containers`.",
        "    A-2: the API server refuses it",
        "    No pod can be created.",
        f"    what to do: see the cause {CAUSE}",
        "    what comes after it: --repair bot,template",
    ]
    assert [line for line in said[begin:] if line.startswith(("–", "!", "√"))][:3] == [
        "– bot                 No bot.",
        "! node-selector       One node.",
        "√ tbot-tag            It floats.",
    ]
    marks = ["What else could not be determined, and what does not hold", "Causes found, and what to do", said[begin]]
    assert sorted(marks, key=said.index) == marks
    assert begin < said.index(a_list.headline)


@pytest.mark.parametrize("told", [(), OTHERS])
def test_where_none_was_found_there_is_no_list(told: tuple[ToldDefect, ...]) -> None:
    plain = with_defects(*told)
    assert guide_defects_of(plain) == ()
    assert "guide-defects" not in to_html(plain, BODIES)
    assert "What the guide gets wrong" not in lines(plain)


def test_elsewhere_the_list_holds_what_was_found_alone() -> None:
    elsewhere = with_defects(FOUND, *OTHERS, scope=Scope("existing", "staging"))
    assert guide_defects_of(elsewhere) == (FOUND,)


def test_only_where_this_run_installed_the_guide_a_repair_is_offered() -> None:
    elsewhere = with_defects(FOUND, scope=Scope("existing", "staging"))
    assert "--repair" not in to_html(elsewhere, BODIES)
    stops_nothing = replace(FOUND, defect=replace(FOUND.defect, stops="", hides=()))
    assert "--repair" not in "\n".join(lines(with_defects(stops_nothing)))


def test_what_comes_after_a_defect_shows_when_those_before_it_are_gone_too() -> None:
    first = replace(OTHERS[0], presence=Presence.FOUND)
    options = [line for line in lines(with_defects(first, FOUND, scope=replace(AS_GUIDE, repairs=()))) if "--repair" in line]
    assert [option.split()[-1] for option in options] == ["bot", "bot,template"]


def test_what_cannot_hold_before_a_defect_is_repaired_stands_together_behind_the_rest(a_list: Report) -> None:
    defect = replace(FOUND.defect, cause="bot-missing")
    a_list = with_defects(replace(FOUND, defect=defect))
    (own,) = to_mend(a_list, Verdict.FAIL)
    assert [j.requirement.id for j in own[1]] == ["A-2"]
    assert hints_of(a_list, own[1])[0] == f"Cause: {described(CAUSE).sentence} ({CAUSE})"
    ((reasons, several),) = to_mend(a_list, Verdict.ERROR)
    assert [j.requirement.id for j in several] == ["A-3"]
    assert reasons[0].startswith("A-3: ")
    first = ("Repair what A-2 shows first (bot-missing): No pod can be created.",)
    assert hints_of(a_list, several) == advice_on(a_list, several) == first


def test_what_the_list_tells_is_not_told_again(a_list: Report) -> None:
    def showing(told: Report, *requirements: str) -> Report:
        scenarios = tuple(
            replace(s, steps=tuple(replace(step, findings=tuple(map(marked, step.findings))) for step in s.steps))
            if s.requirements[0] in requirements
            else s
            for s in told.scenarios
        )
        return replace(told, scenarios=scenarios)

    def marked(finding: Finding) -> Finding:
        return replace(finding, problems=tuple(replace(p, cause=CAUSE) for p in finding.problems))

    def more(finding: Finding) -> Finding:
        return replace(finding, problems=(*finding.problems, Problem(finding.problems[0].subject, "something else")))

    assert to_mend(showing(a_list, "A-2"), Verdict.FAIL) == []
    assert to_mend(showing(report(), "A-2"), Verdict.FAIL) == to_mend(report(), Verdict.FAIL)
    # The same finding has another problem, or another scenario of the same requirement went wrong for another reason.
    steps = tuple(replace(s, findings=tuple(map(more, s.findings))) for s in a_list.scenarios[1].steps)
    problem = replace(a_list, scenarios=(replace(a_list.scenarios[1], steps=steps),))
    other = replace(a_list.scenarios[1], id="other", steps=())
    scenario = replace(a_list, scenarios=(*showing(a_list, "A-2").scenarios, other))
    for twice in (problem, scenario):
        assert [[j.requirement.id for j in several] for _, several in to_mend(twice, Verdict.FAIL)] == [["A-2"]]


def test_a_requirement_that_no_step_looked_at_stands_behind_nothing(a_list: Report) -> None:
    assert [reasons for reasons, _ in to_mend(a_list, Verdict.NOT_EVALUATED)] == [("never started",)]


def test_without_a_list_every_failure_is_its_own() -> None:
    ((reasons, several),) = to_mend(report(), Verdict.ERROR)
    assert not reasons[0].startswith("A-3: ")
    assert "first" not in "".join(hints_of(report(), several))


def test_the_scope_says_what_was_installed_unless_it_is_the_usual_thing() -> None:
    assert "installed as the guide says, repaired: bot; allowed" in scope_in_words(AS_GUIDE)
    assert "installed as the guide says; allowed" in scope_in_words(replace(AS_GUIDE, repairs=()))
    assert "installed" not in scope_in_words(replace(AS_GUIDE, install="recommended", repairs=()))


def test_the_document_keeps_it(a_list: Report) -> None:
    assert from_json(to_json(a_list)).guide_defects == a_list.guide_defects
