"""What became of the guide's own defects: found, hidden, repaired, absent, or unknown; and the catalogue's list of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from facts.catalogue import About, GuideDefect, Level, Requirement
from facts.evidence import ObjectRef
from facts.finding import Finding, Holds, Problem
from judge.explain.cause import CAUSES
from judge.guide_defects import Presence, ToldDefect, tell
from judge.verdict import Judged, Verdict
from provision.installing.repairs import REPAIRS
from tests.unit.judge.assertions import catalogue

BOT = GuideDefect("bot", "No bot.", "bot-missing", ("A",), "No tbot joins.", ("B", "C"))
TEMPLATE = GuideDefect("template", "Wrong list.", "template-builds-invalid-pod", ("B",), "No pod.", ("C",))
SELECTOR = GuideDefect("node-selector", "Wrong node.", "node-selector-fits-no-node", ("C", "D"))
TOKEN = ObjectRef("Teleport", "token/x")


def judged(**verdicts: Verdict) -> list[Judged]:
    return [
        Judged(
            Requirement(i, "It holds.", Level.MUST, About.INSTALL, "install", "Guide", "Looking."),
            verdict,
            () if verdict is Verdict.PASS else (f"{i} is not so",),
        )
        for i, verdict in verdicts.items()
    ]


def shows(requirement: str, defect: GuideDefect | None, answer: Holds = Holds.NO) -> Finding:
    """A finding that shows a defect's cause and, unless it says yes, something else besides."""
    shown = (Problem(TOKEN, f"{requirement} shows it", defect.cause),) if defect else ()
    else_ = Problem(TOKEN, "something else is wrong")
    return Finding(
        requirement,
        answer,
        expected="a bot",
        where="Teleport token/x",
        problems=(else_, *shown) if answer is Holds.NO else (),
        unclear=(else_, *shown) if answer is Holds.UNKNOWN else (),
        notes=shown if answer is Holds.YES else (),
        confirmed="it is so" if answer is Holds.YES else "",
        evidence=("ev",),
    )


def told(
    verdicts: Sequence[Judged], findings: Mapping[str, Sequence[Finding]] | None = None, repaired: Sequence[str] = ()
) -> dict[str, ToldDefect]:
    made = tell((BOT, TEMPLATE, SELECTOR), verdicts, lambda i: (findings or {}).get(i, ()), repaired)
    return {each.defect.name: each for each in made}


FAIL, PASS, ERROR = Verdict.FAIL, Verdict.PASS, Verdict.ERROR


def test_a_defect_is_found_where_a_finding_names_its_cause_and_tells_that_alone() -> None:
    found = told(judged(A=FAIL, B=FAIL), {"A": [shows("A", BOT)], "B": [shows("B", None)]})
    assert found["bot"] == ToldDefect(BOT, Presence.FOUND, "A shows it", "Teleport token/x", ("A",))
    assert found["template"].presence is not Presence.FOUND


def test_all_that_shows_it_is_told_once_a_no_before_a_yes() -> None:
    shown = {"C": [shows("C", SELECTOR, Holds.YES)], "D": [shows("D", SELECTOR), shows("D", SELECTOR)]}
    found = told(judged(C=PASS, D=FAIL), shown)["node-selector"]
    assert (found.seen, found.shown_by) == ("D shows it; C shows it", ("C", "D"))


@pytest.mark.parametrize("answer", [Holds.YES, Holds.UNKNOWN])
def test_a_defect_that_does_no_harm_yet_or_cannot_be_judged_is_found_too(answer: Holds) -> None:
    found = told(judged(A=PASS if answer is Holds.YES else ERROR), {"A": [shows("A", BOT, answer)]})
    assert found["bot"].presence is Presence.FOUND


def test_what_cannot_hold_before_another_defect_is_repaired_is_hidden_behind_the_first_one() -> None:
    shown = {"A": [shows("A", BOT)], "B": [shows("B", TEMPLATE)]}
    found = told(judged(A=FAIL, B=FAIL, C=FAIL, D=PASS), shown)
    assert found["node-selector"].presence is Presence.HIDDEN
    assert "the defect `bot` is repaired" in found["node-selector"].seen
    assert told(judged(B=FAIL, C=FAIL), {"B": shown["B"]})["node-selector"].seen.endswith("`template` is repaired")
    passed = told(judged(A=FAIL, C=PASS, D=PASS), {"A": shown["A"]})["node-selector"]
    assert passed.presence is Presence.HIDDEN, "a pass behind it proves nothing"


def test_a_failure_that_shows_no_defect_and_hides_behind_none_says_nothing_of_it() -> None:
    found = told(judged(A=PASS, C=FAIL))
    assert (found["node-selector"].presence, found["node-selector"].seen) == (Presence.UNKNOWN, "C: C is not so")


@pytest.mark.parametrize("verdict", [PASS, Verdict.NOT_APPLICABLE])
def test_where_all_that_catches_it_holds_it_is_absent(verdict: Verdict) -> None:
    assert told(judged(C=verdict, D=PASS))["node-selector"].presence is Presence.ABSENT
    assert told(judged(C=verdict, D=Verdict.NOT_EVALUATED))["node-selector"].presence is Presence.UNKNOWN


def test_what_was_repaired_is_said_so_unless_it_shows_all_the_same() -> None:
    assert told(judged(A=FAIL), repaired=["bot"])["bot"].presence is Presence.REPAIRED
    assert told(judged(A=FAIL), {"A": [shows("A", BOT)]}, ["bot"])["bot"].presence is Presence.FOUND


def test_only_what_the_run_looks_for_is_told() -> None:
    assert list(told(judged(D=PASS))) == ["node-selector"]


# The catalogue.


def test_the_catalogue_names_a_cause_for_every_defect_and_what_stops_something_can_be_repaired() -> None:
    defects = catalogue().guide_defects
    names = [d.name for d in defects]
    assert names == list(dict.fromkeys(names))
    assert [d.cause for d in defects if d.cause not in CAUSES] == []
    assert {d.name for d in defects if d.stops} <= set(REPAIRS) <= set(names)
    assert all(bool(d.stops) == bool(d.hides) for d in defects)
    assert not any(set(d.caught_by) & set(d.hides) for d in defects)
