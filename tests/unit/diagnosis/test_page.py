"""The page shows each row as it was answered, what is off the diagonal, and what was not run."""

from __future__ import annotations

from pathlib import Path

import pytest

from facts.doctor.answer import Way
from judge.doctor import Kind, State, told
from tests.diagnosis import __main__ as command
from tests.diagnosis.page import page
from tests.diagnosis.results import Results, merged, write_results
from tests.diagnosis.rows import Chapter, Row
from tests.unit.diagnosis.test_results import COMMIT, report
from tests.unit.judge.test_doctor import FAULT, FROZEN, GATEWAY, HERRING, STALE, look

FROZEN_ROW = Row(Kind.FAULT, FAULT.name, (FAULT.name,))
OTHER_ROW = Row(Kind.FAULT, "gateway-without-overlay", ("gateway-without-overlay",))
CHAPTERS = (
    Chapter("DX-6", "It tells why", "The guide's chapter.", (FROZEN_ROW, OTHER_ROW)),
    Chapter("DX-9", "It blames nothing", "A cluster.", (Row(Kind.HERRING, HERRING.name, (HERRING.name,)),)),
)
CAUSES = {FAULT.name: FROZEN, "gateway-without-overlay": GATEWAY}

SPLIT = told("DX-6", FAULT, [look(way=Way.READER, classes=((FROZEN, STALE),)), look(FROZEN, way=Way.PROBES, seconds=9.25)])
ALARM = told("DX-9", HERRING, [look(GATEWAY)])


def lines(results: Results | None) -> list[str]:
    return page(CHAPTERS, results, CAUSES, "8_diagnosis").splitlines()


def test_without_results_every_row_is_not_run_yet() -> None:
    written = lines(None)
    assert "Of 3 rows, 0 were run, and 0 of these are right." in written
    assert "Off the diagonal: not known yet." in written
    assert f"| {FAULT.name} | {FROZEN} | not run yet |  |  |  |  |  |  |" in written


def test_each_way_has_its_line_and_what_is_wrong_is_off_the_diagonal() -> None:
    written = lines(merged([report(SPLIT, ALARM)]))
    assert f"| {FAULT.name} | {FROZEN} | read-only | nothing |  | † {FROZEN} or {STALE} | 4.0 | 30 | ✓ |" in written
    assert f"|  |  | --allow namespaced, with tctl | {FROZEN} |  |  | 9.2 | 30 | ✓ |" in written
    assert f"| {HERRING.name} | nothing | read-only, with tctl | {GATEWAY} |  |  | 4.0 | 30 | ✗ |" in written
    assert f"| gateway-without-overlay | {GATEWAY} | not run yet |  |  |  |  |  |  |" in written
    assert f"Off the diagonal: {HERRING.name} (DX-9)." in written
    assert "Of 3 rows, 2 were run, and 1 of these are right." in written
    assert any(line.startswith("Run on ") and COMMIT in line and "Istio 1.31.0" in line for line in written)


def test_a_row_whose_fault_has_another_cause_by_now_was_not_run() -> None:
    earlier = told("DX-6", State(Kind.FAULT, FAULT.name, (STALE,)), [look(STALE)])
    written = lines(merged([report(earlier)]))
    assert f"| {FAULT.name} | {FROZEN} | not run yet |  |  |  |  |  |  |" in written
    assert "Off the diagonal: not known yet." in written


def test_what_was_left_open_is_told() -> None:
    silent = told("DX-6", FAULT, [look(open_points=1)])
    assert any("| not determined |" in line for line in lines(merged([report(silent)])))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one feature, and the command in it."""
    features, docs = tmp_path / "features", tmp_path / "docs"
    (features / "8_diagnosis").mkdir(parents=True)
    docs.mkdir()
    rows = "    Examples:\n      | fault |\n      | tbot-frozen |\n"
    text = f"Feature: It tells why\n  @requirement:DX-6\n  Scenario Outline: <fault>\n    Given <fault>\n{rows}"
    (features / "8_diagnosis" / "6.feature").write_text(text, encoding="utf-8")
    for name, path in (("FEATURES", features), ("RESULTS", docs / "diagnosis.json"), ("PAGE", docs / "diagnosis.md")):
        monkeypatch.setattr(command, name, path)
    return tmp_path


def test_the_command_merges_writes_and_checks(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["page"]) == 0
    file = project / "docs" / "diagnosis.md"
    assert "| tbot-frozen | tbot-not-answering | not run yet |" in file.read_text(encoding="utf-8")
    assert command.main(["lint"]) == 1
    said = capsys.readouterr().out
    assert "no feature in 8_diagnosis has a row takeover" in said
    assert "is not current" not in said

    write_results(project / "docs" / "diagnosis.json", merged([report(SPLIT)]))
    assert command.main(["lint"]) == 1
    assert "diagnosis.md is not current: run make docs" in capsys.readouterr().out
    assert command.main(["page"]) == 0
    assert "| tbot-frozen | tbot-not-answering | read-only |" in file.read_text(encoding="utf-8")


@pytest.mark.parametrize("arguments", [[], ["write"], ["merge"], ["page", "report.json"]])
def test_another_command_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(arguments) == 4
    assert capsys.readouterr().err.startswith("usage:")


def test_reports_that_cannot_be_merged_are_refused(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["merge", str(project / "report.json")]) == 4
    assert "expected a readable file" in capsys.readouterr().err
    assert not (project / "docs" / "diagnosis.json").exists()
