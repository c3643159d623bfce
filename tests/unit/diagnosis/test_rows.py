"""The rows of the matrix come from the features, and each mistake in them is told."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest

from judge.doctor import Kind
from provision.faults import FAULTS, Fault
from provision.herrings import HERRINGS
from tests.diagnosis.rows import Chapter, Row, chapters, lint_rows

FEATURES = Path(__file__).parents[3] / "features"

HEALTHY = Row(Kind.HEALTHY, "healthy after DX-1")


def fault(name: str, cause: str) -> Fault:
    return Fault(
        name=name, description="", cause=cause, touches="", undo="", breaks=frozenset(), inject=lambda _scene: nullcontext()
    )


FEW = {name: fault(name, cause) for name, cause in (("a", "x"), ("b", "y"), ("c", "x"))}
ALONE = tuple(Row(Kind.FAULT, name, (name,)) for name in FEW)
PAIRS = tuple(Row(Kind.PAIR, f"{number}", ("a", "b")) for number in range(6))
LOUD = Row(Kind.HERRING, "loud", ("loud",))
SOUND = (*ALONE, *PAIRS, LOUD, HEALTHY)


def wrong(*rows: Row, without: dict[str, str] | None = None) -> list[str]:
    return [*lint_rows([Chapter("DX-1", "t", "p", rows)], FEW, ["loud"], without or {})]


def test_the_suites_own_rows_are_faults_pairs_herrings_and_the_sound_install() -> None:
    found = {chapter.requirement: chapter for chapter in chapters(FEATURES)}
    rows = {row.name: row for chapter in found.values() for row in chapter.rows}
    assert rows["tbot-frozen"] == Row(Kind.FAULT, "tbot-frozen", ("tbot-frozen",))
    pair = ("gateway-without-overlay", "second-socket-without-attestor")
    assert rows[" + ".join(pair)] == Row(Kind.PAIR, " + ".join(pair), pair)
    assert {row.name for row in found["DX-9"].rows if row.kind is Kind.HERRING} == {*HERRINGS}
    assert [row.kind for row in found["DX-6"].rows][-1] is Kind.HEALTHY
    assert "CronJob" in found["DX-6"].prose
    assert {part for row in rows.values() for part in row.parts} <= {*FAULTS, *HERRINGS}


def test_sound_rows_are_sound() -> None:
    assert wrong(*SOUND) == []


@pytest.mark.parametrize(
    ("rows", "without", "said"),
    [
        ((*SOUND, ALONE[0]), {}, "the row a is there 2 times"),
        ((*SOUND, Row(Kind.FAULT, "d", ("d",))), {}, "the row d names d, which is no fault"),
        ((*SOUND, Row(Kind.HERRING, "a b", ("a",))), {}, "the row a b names a, which is no red herring"),
        ((*SOUND, Row(Kind.PAIR, "a + c", ("a", "c"))), {}, "the row a + c does not have two causes"),
        ((*ALONE, *PAIRS[1:], LOUD, HEALTHY), {}, "5 pairs of faults, expected 6 at least"),
        ((*ALONE[1:], *PAIRS, LOUD, HEALTHY), {}, "no feature in 8_diagnosis has a row a: write one, or list it"),
        ((*ALONE, *PAIRS, HEALTHY), {}, "no feature in 8_diagnosis has a row loud: write one, or list it"),
        (SOUND, {"a": "it is old"}, "without-row.txt: a has a row; take it off the list"),
        (SOUND, {"z": "it is old"}, "without-row.txt: there is no fault z"),
        ((*ALONE[1:], *PAIRS, LOUD, HEALTHY), {"a": ""}, "without-row.txt: a is listed without a reason"),
        ((*ALONE, *PAIRS, LOUD), {}, "DX-1: the sound install must be looked at once, at the end"),
    ],
)
def test_each_mistake_is_told(rows: tuple[Row, ...], without: dict[str, str], said: str) -> None:
    (told,) = wrong(*rows, without=without)
    assert told.startswith(said)


def test_a_feature_is_about_one_requirement(tmp_path: Path) -> None:
    (tmp_path / "8_diagnosis").mkdir()
    text = "Feature: F\n  @requirement:DX-1\n  Scenario: A\n    Given it\n  @requirement:DX-2\n  Scenario: B\n    Given it\n"
    (tmp_path / "8_diagnosis" / "a.feature").write_text(text, encoding="utf-8")
    with pytest.raises(LookupError, match=r"DX-1.*DX-2.*; expected one"):
        chapters(tmp_path)
