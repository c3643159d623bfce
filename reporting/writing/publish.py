"""Writes a run's directory: all of it or nothing, and ``latest`` beside it.

The directory is there from the start of the run, with a report of what the run has concluded so far and a file
``unfinished``. Only such a report is ever replaced. So a run that is killed leaves a report that says so.

A report names much of a cluster, so only its owner can read it, also before the run has ended.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from facts.errors import BadInput
from reporting.model import Report
from reporting.writing.document import to_json
from reporting.writing.html import to_html
from reporting.writing.junit import to_junit
from reporting.writing.last_look import last_look

UNFINISHED = "unfinished"
"""File in the directory of a run that has not ended."""

ROOM = 16 * 2**20
"""Bytes that a report may need; one of a passing run has about three million."""

PRIVATE_DIRECTORY, PRIVATE_FILE = 0o700, 0o600


def must_take_a_report(directory: Path) -> None:
    """Checks before a run that its report can be written after it.

    Args:
        directory: Where runs are kept; made if it is not there.

    Raises:
        OSError: The directory cannot be made or written, or there is no room in it.
    """
    directory.mkdir(mode=PRIVATE_DIRECTORY, parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=directory) as probe:
        probe.write(bytes(ROOM))


def no_place(directory: Path, error: OSError) -> str:
    """A sentence for the user: the report cannot be written to a directory."""
    return (
        f"expected to write the report to {directory}; saw: {error.strerror or error} ({error.filename or directory}). "
        "What to do: free space or rights there, or --reports DIR"
    )


def begin(run_id: str, directory: Path) -> None:
    """Makes the directory of a run, and points ``latest`` to it.

    Args:
        run_id: Name of the run.
        directory: Where runs are kept; it must be there.

    Raises:
        BadInput: Another run has this name.
        OSError: It cannot be made.
    """
    place = directory / run_id
    try:
        place.mkdir(mode=PRIVATE_DIRECTORY)
    except FileExistsError as error:
        raise BadInput(
            expected="a run-id that no other run has",
            seen=f"a report of {run_id}",
            where=str(place),
            remedy="give another --run-id, or leave it out",
        ) from error
    _write(place / UNFINISHED, f"{datetime.now(UTC).isoformat()} process {os.getpid()}\n")
    _point(directory / "latest", run_id)


def publish_so_far(report: Report, bodies: Mapping[str, str], directory: Path, named_secrets: Collection[str] = ()) -> None:
    """Writes what a run has concluded so far to its directory, as `publish` does at its end; nothing is flushed.

    Args:
        report: The report so far.
        bodies: Bodies of its evidence, by id.
        directory: Where runs are kept.
        named_secrets: Values to hide in this run.

    Raises:
        OSError: See `publish`; or the run has ended.
    """
    _report, files = files_of(report, bodies, named_secrets)
    mark = (directory / report.run_id / UNFINISHED).read_text(encoding="utf-8")
    with _replacing(directory, report.run_id) as partial:
        for name, text in (*files.items(), (UNFINISHED, mark)):
            _write(partial / name, text, flush=False)


def publish(
    report: Report, bodies: Mapping[str, str], directory: Path, named_secrets: Collection[str] = ()
) -> tuple[Report, Path]:
    """Writes ``report.json``, ``junit.xml``, ``report.html``, ``evidence/`` and ``SHA256SUMS`` of a run.

    Everything is written and flushed under a hidden name, then renamed: a reader sees a whole report or none.

    Args:
        bodies: Bodies of its evidence, by id.
        directory: Where runs are kept; made if it is not there.
        named_secrets: Values to hide in this run.

    Returns:
        The report as it was written, and its directory.

    Raises:
        OSError: The disk is full or the directory cannot be written; only what the run left unfinished is there then.
    """
    report, files = files_of(report, bodies, named_secrets)
    with _replacing(directory, report.run_id) as partial:
        # Flushing waits for the disk, which flushes many files at once as fast as one.
        with ThreadPoolExecutor(max_workers=16) as pool:
            list(pool.map(_write, (partial / name for name in files), files.values()))
        _flush(partial)
    _flush(directory)
    _point(directory / "latest", report.run_id)
    return report, directory / report.run_id


def files_of(report: Report, bodies: Mapping[str, str], named_secrets: Collection[str]) -> tuple[Report, dict[str, str]]:
    """The report as it is written, and the text of each file by its name."""
    report, bodies = last_look(report, bodies, named_secrets)
    files = {e.file: bodies[e.id] for e in report.evidence}
    files |= {"report.json": to_json(report), "junit.xml": to_junit(report), "report.html": to_html(report, bodies)}
    files["SHA256SUMS"] = "".join(f"{hashlib.sha256(t.encode()).hexdigest()}  {n}\n" for n, t in sorted(files.items()))
    return report, files


@contextmanager
def _replacing(directory: Path, run_id: str) -> Iterator[Path]:
    """A directory to write a run's files to, which then gets the run's name in place of what the run left unfinished."""
    partial, former, final = directory / f".{run_id}.partial", directory / f".{run_id}.former", directory / run_id
    try:
        directory.mkdir(mode=PRIVATE_DIRECTORY, parents=True, exist_ok=True)
        for made in (partial, partial / "evidence"):
            made.mkdir(mode=PRIVATE_DIRECTORY)
        yield partial
        if (final / UNFINISHED).exists():
            final.rename(former)
        try:
            partial.rename(final)
        except BaseException:
            if former.exists():
                former.rename(final)
            raise
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    shutil.rmtree(former, ignore_errors=True)


def _write(path: Path, text: str, *, flush: bool = True) -> None:
    with os.fdopen(
        os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE), "w", encoding="utf-8", newline="\n"
    ) as file:
        file.write(text)
        if flush:
            file.flush()
            os.fsync(file.fileno())


def _flush(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _point(link: Path, target: str) -> None:
    fresh = link.with_name(f".{link.name}.{target}")
    fresh.symlink_to(target, target_is_directory=True)
    try:
        fresh.replace(link)
    except OSError:
        fresh.unlink()
        raise
