"""Dump of every finding that the suite's own tests make: what a change of the code's shape must leave byte-identical.

``make findings`` runs the unit tests with this module as a plugin (``-p tests.findings``), which writes each finding as a
line of JSON, and puts the lines of all processes together: sorted, each once. Compare the files of two commits with `diff`.

Property tests are left out, because their examples differ with every change of a test's text. Random ids of readings become
``ev-*``.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from facts.finding import Finding, OpenPoint, Problem

WHERE = "FINDINGS"
"""Environment variable with the directory of the dump."""

_READING = re.compile(r"\bev-[0-9a-f]{16}\b")
_SEEN: set[str] = set()
_ON = [True]


def line_of(finding: Finding | Problem | OpenPoint) -> str:
    """The line of a finding, or of what a rule of the diagnosis says."""
    told = json.dumps({type(finding).__name__: dataclasses.asdict(finding)}, sort_keys=True, ensure_ascii=False, default=str)
    return _READING.sub("ev-*", told)


def _watch(kind: type[Finding] | type[OpenPoint]) -> None:
    made = kind.__init__

    def watched(self: Finding | OpenPoint, *args: object, **named: object) -> None:
        made(self, *args, **named)  # type: ignore[arg-type]
        if _ON[0]:
            _SEEN.add(line_of(self))

    kind.__init__ = watched  # type: ignore[method-assign]


def pytest_configure() -> None:
    """Watches findings from now on."""
    for kind in (Finding, OpenPoint):
        _watch(kind)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Leaves out what property tests make."""
    _ON[0] = not getattr(getattr(item, "function", None), "is_hypothesis_test", False)
    try:
        return (yield)
    finally:
        _ON[0] = False


def pytest_unconfigure() -> None:
    """Writes what this process saw."""
    if not _SEEN:
        return
    directory = Path(os.environ[WHERE])
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"{os.environ.get('PYTEST_XDIST_WORKER', 'main')}.part").write_text("\n".join(_SEEN), encoding="utf-8")


def put_together(directory: Path) -> str:
    """Puts the parts of a dump into one file, and describes it in one line.

    Args:
        directory: The directory of the dump.
    """
    parts = sorted(directory.glob("*.part"))
    lines = sorted({line for part in parts for line in part.read_text(encoding="utf-8").split("\n")})
    whole = "\n".join(lines) + "\n"
    (directory / "findings.jsonl").write_text(whole, encoding="utf-8")
    for part in parts:
        part.unlink()
    digest = hashlib.sha256(whole.encode()).hexdigest()
    return f"{directory / 'findings.jsonl'}: {len(lines)} findings, {len(whole.encode())} bytes, sha256 {digest}"


if __name__ == "__main__":
    print(put_together(Path(sys.argv[1])))
