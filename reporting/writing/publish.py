"""Writes a run's directory: all of it or nothing, and ``latest`` beside it.

A report names much of a cluster, so only its owner can read it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from reporting.model import Report
from reporting.writing.document import to_json
from reporting.writing.html import to_html
from reporting.writing.junit import to_junit
from reporting.writing.last_look import last_look

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


def publish(
    report: Report, bodies: Mapping[str, str], directory: Path, named_secrets: Collection[str] = ()
) -> tuple[Report, Path]:
    """Writes ``report.json``, ``junit.xml``, ``report.html``, ``evidence/`` and ``SHA256SUMS`` of a run.

    Everything is written and flushed under a hidden name, then renamed: a reader sees a whole report or none.

    Args:
        report: The report.
        bodies: Bodies of its evidence, by id.
        directory: Where runs are kept; made if it is not there.
        named_secrets: Values to hide in this run.

    Returns:
        The report as it was written, and its directory.

    Raises:
        OSError: The disk is full or the directory cannot be written; no file of this run is left then.
    """
    report, bodies = last_look(report, bodies, named_secrets)
    files = {e.file: bodies[e.id] for e in report.evidence}
    files |= {"report.json": to_json(report), "junit.xml": to_junit(report), "report.html": to_html(report, bodies)}
    files["SHA256SUMS"] = "".join(f"{hashlib.sha256(t.encode()).hexdigest()}  {n}\n" for n, t in sorted(files.items()))
    partial, final = directory / f".{report.run_id}.partial", directory / report.run_id
    try:
        directory.mkdir(mode=PRIVATE_DIRECTORY, parents=True, exist_ok=True)
        for made in (partial, partial / "evidence"):
            made.mkdir(mode=PRIVATE_DIRECTORY)
        # Flushing waits for the disk, which flushes many files at once as fast as one.
        with ThreadPoolExecutor(max_workers=16) as pool:
            list(pool.map(_write, (partial / name for name in files), files.values()))
        _flush(partial)
        partial.rename(final)
        _flush(directory)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    _point(directory / "latest", report.run_id)
    return report, final


def _write(path: Path, text: str) -> None:
    with os.fdopen(
        os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE), "w", encoding="utf-8", newline="\n"
    ) as file:
        file.write(text)
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
