"""The results of runs of the profile: what their reports say of each row, put together, and kept beside the page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from facts.errors import BadInput
from judge.doctor import ToldRow
from reporting.model import Report, RunFacts
from reporting.writing.document import from_json

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Results:
    """What some runs said, all of one commit and one lab.

    Attributes:
        revision: Git commit of the suite.
        began: UTC, when the first run began.
        ended: UTC, when the last one ended.
        lab: Versions of what was diagnosed, by component.
        rows: The rows, in the order in which they were run.
    """

    revision: str
    began: datetime
    ended: datetime
    lab: Mapping[str, str]
    rows: tuple[ToldRow, ...]

    def of(self, requirement: str, name: str) -> ToldRow | None:
        """Return the result of a row; None where it was not run."""
        return next((row for row in self.rows if (row.requirement, row.name) == (requirement, name)), None)


_ADAPTER = TypeAdapter(Results)


def merged(reports: Iterable[Report]) -> Results:
    """Put the rows of some runs together.

    Of a row that several runs have, a wrong answer counts: a second run does not make it right.

    Raises:
        BadInput: They are of several commits or labs, of files that no commit has, or have no row.
    """
    parts = sorted((each for each in reports if each.diagnoses), key=lambda each: each.started)
    if not parts:
        raise _refused("reports with rows of the matrix", "none", "run the profile diagnosis")
    if len(revisions := {each.revision for each in parts}) > 1:
        raise _refused("reports of one commit", ", ".join(sorted(revisions)), "run all parts on one commit")
    revision = revisions.pop()
    if not revision or revision.endswith("-dirty"):
        raise _refused("reports of a commit", revision or "no commit", "commit what you changed, and run again")
    if len(labs := {tuple(_lab(each.facts).items()) for each in parts}) > 1:
        raise _refused("reports of one lab", "; ".join(sorted(map(str, labs))), "run all parts on one lab")
    rows: dict[tuple[str, str], ToldRow] = {}
    for row in (row for each in parts for row in each.diagnoses):
        key = (row.requirement, row.name)
        if key not in rows or not row.right:
            rows[key] = row
    ended = max(each.ended for each in parts)
    return Results(revision, parts[0].started, ended, dict(labs.pop()), tuple(rows.values()))


def _lab(facts: RunFacts) -> dict[str, str]:
    return {
        "Kubernetes": facts.kubernetes_version or UNKNOWN,
        "Istio": facts.istio_version or UNKNOWN,
        "Teleport": f"{facts.teleport_version or UNKNOWN} ({facts.authority.value})",
        "tbot": facts.tbot_version or UNKNOWN,
    }


def _refused(expected: str, seen: str, remedy: str) -> BadInput:
    return BadInput(expected=expected, seen=seen, where="the reports", remedy=remedy)


def read_reports(files: Sequence[Path]) -> list[Report]:
    """Read reports.

    Raises:
        BadInput: A file cannot be read, or is no report of this version of the suite.
    """
    return [from_json(_text(file), str(file)) for file in files]


def read_results(file: Path) -> Results | None:
    """Read the results that are kept beside the page; None where nothing was run yet.

    Raises:
        BadInput: They cannot be read.
    """
    if not file.exists():
        return None
    try:
        return _ADAPTER.validate_json(_text(file))
    except ValidationError as error:
        raise BadInput(
            expected="the results of runs, as `python -m tests.diagnosis merge` writes them",
            seen=str(error.errors()[0]["msg"]),
            where=str(file),
            remedy="merge the reports again",
        ) from error


def write_results(file: Path, results: Results) -> None:
    """Keep results beside the page."""
    file.write_bytes(_ADAPTER.dump_json(results, indent=1) + b"\n")


def day(moment: datetime) -> str:
    """Return the day of a moment, in UTC."""
    return f"{moment.astimezone(UTC):%Y-%m-%d}"


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(expected="a readable file", seen=str(error), where=str(file), remedy="name another file") from error
