"""No requirement is without a fault unseen, and the page about the faults says what their definitions say."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from facts.catalogue import Catalogue, parse_catalogue
from provision.faults import FAULTS, Fault
from provision.faults.__main__ import main
from provision.faults.coverage import lint_causes, lint_coverage
from provision.faults.fault import by_name
from provision.faults.page import page
from provision.faults.reach import SAMPLE

ROOT = Path(__file__).resolve().parents[3]
KEYS = ("sentence", "source", "really_known_by")
IDS = ("A-1", "A-2", *sorted(SAMPLE))


def catalogue(*ids: str) -> Catalogue:
    entries = [
        {"id": each, "level": "MUST", "about": "install", "profile": "p", **dict.fromkeys(KEYS, "w.")} for each in ids or IDS
    ]
    return parse_catalogue({"requirements": entries})


def fault(name: str = "f", breaks: tuple[str, ...] = IDS, **changes: Any) -> Fault:
    given = {"description": "It is broken.", "cause": "c", "touches": "it", "undo": "It is mended.", **changes}
    return Fault(name=name, breaks=frozenset(breaks), inject=lambda _scene: nullcontext(), **given)


def lint(tmp_path: Path, listed: str, *faults: Fault) -> list[str]:
    (tmp_path / "without-fault.txt").write_text(listed)
    return list(lint_coverage(tmp_path / "without-fault.txt", catalogue(), faults))


def test_every_requirement_broken_is_nothing_to_say(tmp_path: Path) -> None:
    assert lint(tmp_path, "", fault()) == []
    assert list(lint_coverage(tmp_path / "absent.txt", catalogue(), [fault()])) == []


def test_a_requirement_without_a_fault_is_named_until_it_is_listed(tmp_path: Path) -> None:
    covers = fault(breaks=IDS[1:])
    assert lint(tmp_path, "", covers) == [
        "A-1 is broken by no fault: write one in provision/faults/, to show that it can fail"
    ]
    assert lint(tmp_path, "# a comment\nA-1  # not yet\n", covers) == []
    assert lint(tmp_path, "A-1\n", covers) == ["without-fault.txt: A-1 is listed without a reason: write it behind a #"]


@pytest.mark.parametrize(
    ("listed", "faults", "said"),
    [
        ("A-1 # w\n", [fault()], "A-1 is broken by f; take it off the list"),
        ("B-1 # w\n", [fault()], "B-1 is not in the catalogue"),
        ("A-1 # w\nA-1 # w\n", [fault(breaks=IDS[1:])], "A-1 is listed 2 times"),
        ("", [fault(reach=frozenset({"B-1"}))], "the fault f names B-1, which is not in the catalogue"),
        ("", [fault(blinds=frozenset({"A-1"}))], "the fault f both breaks and blinds A-1"),
        ("", [fault(), fault("g", ())], "the fault g breaks nothing"),
    ],
)
def test_what_is_wrong_is_one_sentence(tmp_path: Path, listed: str, faults: list[Fault], said: str) -> None:
    (line,) = lint(tmp_path, listed, *faults)
    assert said in line


@pytest.mark.parametrize(
    ("listed", "faults", "said"),
    [
        ("d # w\n", [fault(cause="e")], "the fault f names the cause e, which is not in judge/explain/causes"),
        ("", [fault()], "no fault has the cause d: write one in provision/faults/, or list it in causes.txt"),
        ("d # w\nc # w\n", [fault()], "causes.txt: f has the cause c; take it off the list"),
        ("d # w\ne # w\n", [fault()], "causes.txt: e is not in judge/explain/causes"),
        ("d # w\nd # w\n", [fault()], "causes.txt: d is listed 2 times"),
        ("d\n", [fault()], "causes.txt: d is listed without a reason"),
        ("d # w\n", [fault()], ""),
        ("", [fault(further_causes=frozenset({"d"}))], ""),
        ("d # w\n", [fault(further_causes=frozenset({"d"}))], "causes.txt: f has the cause d; take it off the list"),
    ],
)
def test_each_cause_has_a_fault_or_a_reason(tmp_path: Path, listed: str, faults: list[Fault], said: str) -> None:
    (tmp_path / "causes.txt").write_text(listed)
    lines = list(lint_causes(tmp_path / "causes.txt", ("c", "d"), faults))
    assert len(lines) == (0 if not said else 2 if "cause e" in said else 1)
    assert said in "\n".join(lines)


def test_no_two_faults_have_one_name() -> None:
    with pytest.raises(ValueError, match="two faults are called takeover"):
        by_name([fault("takeover"), fault(), fault("takeover", short=True)])


def test_the_package_finds_the_faults_of_all_its_modules() -> None:
    assert {"takeover", "issuers-clock-ahead", "istiod-at-zero", "istioctl-1.27"} <= {*FAULTS}
    short = [each.short for each in FAULTS.values()]
    assert short == sorted(short, reverse=True)
    assert sum(short) == 6


def test_the_page_has_a_row_for_each_requirement_and_a_section_for_each_fault() -> None:
    faults = [fault("first-1.0", ("A-2", "A-1"), blinds=frozenset({"INST-12"})), fault("second", ("A-1",))]
    causes = {"c": "It is wrong.", "d": "It is worse."}
    lines = page(catalogue(), faults, {"INST-03": "nothing can"}, causes, {"d": "not yet"}).splitlines()
    assert "| A-1 | [first-1.0](#first-10), [second](#second) |" in lines
    assert "| INST-01 | – |" in lines
    assert "| INST-03 | nothing can |" in lines
    begin = lines.index("### first-1.0")
    assert lines[begin + 2 : begin + 9] == [
        "It is broken.", "", "- Cause: c. It is wrong.", "- Breaks: A-1, A-2",
        "- Could not be determined meanwhile: INST-12", "- Touches: it", "- Undone: it is mended.",
    ]  # fmt: skip
    assert "| c | [first-1.0](#first-10), [second](#second) |" in lines
    assert "| d | not yet |" in lines


def test_the_repositorys_own_faults_and_page(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    assert main(["lint"]) == 0, capsys.readouterr().out


def test_a_page_that_is_not_current_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "docs").mkdir()
    for name in ("features", "judge"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    assert main(["lint"]) == 1
    assert "docs/faults.md is not current: run make docs" in capsys.readouterr().out
    assert main(["page"]) == 0
    assert main(["lint"]) == 0
    assert main([]) == 4
