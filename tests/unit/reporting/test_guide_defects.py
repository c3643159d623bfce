"""The list of the guide's defects on the page and on the terminal, and what stands behind its first cause."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from facts.catalogue import GuideDefect
from facts.finding import Finding, Problem
from judge.guide_defects import Presence, ToldDefect
from reporting.model import Report, Scope
from reporting.writing.document import from_json, to_json
from reporting.writing.html import to_html
from reporting.writing.terminal import summary
from reporting.writing.words import advice_on, guide_defects_of, hints_of, scope_in_words, unexplained
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


def said_of(of: Report, word: str) -> list[tuple[tuple[str, ...], list[str]]]:
    """The reasons and requirements with a verdict that the list of causes does not explain."""
    return [(reasons, [j.requirement.id for j in several]) for each, reasons, several in unexplained(of) if each == word]


def with_defects(*told: ToldDefect, scope: Scope = AS_GUIDE) -> Report:
    return replace(report(), guide_defects=told, scope=scope)


@pytest.fixture
def a_list() -> Report:
    return with_defects(OTHERS[0], FOUND, *OTHERS[1:])


def lines(told: Report) -> list[str]:
    return [line for line, _ in summary(told, Path("r"))]


def test_the_page_has_one_entry_a_defect(a_list: Report) -> None:
    html = to_html(a_list, BODIES)
    page = Page(html)
    listed = html[html.index('id="guide-defects"') : html.index('class="overview"')]
    assert listed.count("<li") == 4
    words = Page(listed[listed.index("<ol") : listed.index("</ol>") + 5]).text
    for said in (
        f"✕ found template. It patches containers . Shown by A-2 . What to do. See the cause {CAUSE} .",
        "What it stops. No pod can be created. To see what it hides. Run again with --repair bot,template .",
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
    assert said[begin + 3 : begin + 7] == [
        "✕ template            It patches `containers`.",
        f"    A-2: what to do stands under the cause {CAUSE}",
        "    No pod can be created.",
        "    to see what it hides: --repair bot,template",
    ]
    assert [line for line in said[begin:] if line.startswith(("~", "?", "✓"))][:3] == [
        "~ bot                 No bot.",
        "? node-selector       One node.",
        "✓ tbot-tag            It floats.",
    ]
    marks = ["Causes, and what to do", "What else fails, or could not be determined", said[begin]]
    assert sorted(marks, key=said.index) == marks
    assert said[-8].startswith("Certified: no")


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
    assert said_of(a_list, "fail") == [], "its cause explains A-2"
    ((_, reasons, several),) = [each for each in unexplained(a_list) if each[0] == "error"]
    assert [j.requirement.id for j in several] == ["A-3"]
    assert reasons[0].startswith("A-3: ")
    first = (
        "The cause is not known. What would settle it: repair what A-2 shows first (bot-missing), then run the suite again. "
        "No pod can be created.",
    )
    assert hints_of(a_list, several[0]) == advice_on(a_list, several) == first


def test_what_a_cause_explains_is_not_told_again(a_list: Report) -> None:
    def more(finding: Finding) -> Finding:
        return replace(finding, problems=(*finding.problems, Problem(finding.problems[0].subject, "something else")))

    assert said_of(a_list, "fail") == []
    assert said_of(replace(a_list, causes=()), "fail") == [
        (("expected trust domain a; saw trust domain b (looked at ConfigMap x/y)",), ["A-2"])
    ]
    # The same finding has another problem, or another scenario of the same requirement went wrong for another reason.
    steps = tuple(replace(s, findings=tuple(map(more, s.findings))) for s in a_list.scenarios[1].steps)
    problem = replace(a_list, scenarios=(replace(a_list.scenarios[1], steps=steps),))
    other = replace(a_list.scenarios[1], id="other", steps=())
    for twice in (problem, replace(a_list, scenarios=(*a_list.scenarios, other))):
        assert [ids for _, ids in said_of(twice, "fail")] == [["A-2"]]


def test_a_requirement_that_no_step_looked_at_stands_behind_nothing(a_list: Report) -> None:
    assert said_of(a_list, "not-evaluated") == [(("never started",), ["B-4"])]


def test_without_a_list_every_failure_is_its_own() -> None:
    ((reasons, ids),) = said_of(report(), "error")
    assert (reasons, ids) == (("KeyError: 'x'",), ["A-3"])
    assert hints_of(report(), next(j for j in report().judged if j.requirement.id == "A-3")) == ()


def test_the_scope_says_what_was_installed_unless_it_is_the_usual_thing() -> None:
    assert "installed as the guide says, repaired: bot; allowed" in scope_in_words(AS_GUIDE)
    assert "installed as the guide says; allowed" in scope_in_words(replace(AS_GUIDE, repairs=()))
    assert "installed" not in scope_in_words(replace(AS_GUIDE, install="recommended", repairs=()))


def test_the_document_keeps_it(a_list: Report) -> None:
    assert from_json(to_json(a_list)).guide_defects == a_list.guide_defects
