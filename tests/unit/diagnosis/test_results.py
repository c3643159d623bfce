"""Reports of several runs become one set of results, unless they do not belong together."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from facts.errors import BadInput
from judge.doctor import Kind, ToldRow, told
from judge.verdict import Authority
from reporting.model import Report, RunFacts
from reporting.writing.document import to_json
from tests.diagnosis.results import day, merged, read_reports, read_results, write_results
from tests.unit.judge.test_doctor import FAULT, FROZEN, GATEWAY, look
from tests.unit.reporting.sample import report as sample

COMMIT = "8571c54ad28ffa762f8ab5bf44752d892c4d473f"
LAB = RunFacts(authority=Authority.STAND_IN, kubernetes_version="1.34.0", istio_version="1.31.0", teleport_version="18.6.4")
RIGHT, WRONG = told("DX-6", FAULT, [look(FROZEN)]), told("DX-6", FAULT, [look(GATEWAY)])
HEALTHY = ToldRow("DX-6", Kind.HEALTHY, "healthy after DX-6", (), RIGHT.looks[:0], right=True)


def report(*rows: ToldRow, later: int = 0, **changes: object) -> Report:
    """A report with these rows."""
    first = sample()
    moved = {"started": first.started + timedelta(days=later), "ended": first.ended + timedelta(days=later)}
    return sample(**{"diagnoses": rows, "revision": COMMIT, "facts": LAB} | moved | changes)


def test_parts_of_one_commit_and_lab_are_put_together() -> None:
    results = merged([report(HEALTHY, later=1), report(RIGHT), report()])
    assert [row.name for row in results.rows] == ["tbot-frozen", "healthy after DX-6"]
    assert (results.revision, results.ended - results.began > timedelta(days=1)) == (COMMIT, True)
    assert results.lab == {
        "Kubernetes": "1.34.0", "Istio": "1.31.0", "Teleport": "18.6.4 (stand-in)", "tbot": "unknown",
    }  # fmt: skip
    assert results.of("DX-6", "tbot-frozen") == RIGHT
    assert results.of("DX-5", "tbot-frozen") is None


@pytest.mark.parametrize("rows", [(RIGHT, WRONG), (WRONG, RIGHT)])
def test_a_second_run_of_a_row_does_not_make_it_right(rows: tuple[ToldRow, ...]) -> None:
    results = merged([report(row, later=number) for number, row in enumerate(rows)])
    assert results.rows == (WRONG,)


@pytest.mark.parametrize(
    ("reports", "words"),
    [
        ([report()], "saw none"),
        ([report(RIGHT), report(HEALTHY, revision="0" * 40)], "expected reports of one commit"),
        ([report(RIGHT, revision=f"{COMMIT}-dirty")], "-dirty .*commit what you changed"),
        ([report(RIGHT, revision="")], "saw no commit"),
        ([report(RIGHT), report(HEALTHY, facts=RunFacts(istio_version="1.30.0"))], "expected reports of one lab"),
    ],
)
def test_what_does_not_belong_together_is_refused(reports: list[Report], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        merged(reports)


def test_results_are_kept_and_read_again(tmp_path: Path) -> None:
    file, written = tmp_path / "report.json", tmp_path / "diagnosis.json"
    file.write_text(to_json(report(RIGHT)), encoding="utf-8")
    results = merged(read_reports([file]))
    assert results.rows == (RIGHT,)
    write_results(written, results)
    assert read_results(written) == results
    assert read_results(tmp_path / "none.json") is None
    written.write_text("{}", encoding="utf-8")
    with pytest.raises(BadInput, match="merge the reports again"):
        read_results(written)
    with pytest.raises(BadInput, match="a readable file"):
        read_reports([tmp_path / "none.json"])


def test_a_day_is_that_of_utc() -> None:
    assert day(sample().started) == f"{sample().started:%Y-%m-%d}"
