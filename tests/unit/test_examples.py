"""The committed example reports: what they show, that they are whole, and that they tell nothing of who made them."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from facts.redaction import redact
from tests.lab.examples import EXAMPLES, FAILING, PASSING

AT_MOST = 2**20
"""Bytes of both together, 1 MiB; a checkout carries them."""
OF_A_MACHINE = re.compile(r"(?<![\w.])/(?:root|home|tmp|work|Users)/")


def report(name: str) -> Any:
    """The example's ``report.json``."""
    return json.loads((EXAMPLES / name / "report.json").read_text(encoding="utf-8"))


def files() -> list[Path]:
    """All files of both examples."""
    return [file for file in EXAMPLES.rglob("*") if file.is_file()]


def test_the_passing_one_passes() -> None:
    """Everything of the profile holds, and it says that it is a rehearsal."""
    passing = report(PASSING)
    assert (passing["result"], passing["exit_code"]) == ("pass", 0)
    assert passing["facts"]["authority"] == "stand-in"
    assert {judged["verdict"] for judged in passing["judged"] if judged["requirement"]["level"] == "MUST"} == {"pass"}


def test_the_failing_one_names_the_trust_domain() -> None:
    """It fails, and its causes are the one that was injected."""
    failing = report(FAILING)
    assert (failing["result"], failing["exit_code"]) == ("fail", 1)
    assert [cause["id"] for cause in failing["causes"]] == ["trust-domain-differs"]


@pytest.mark.parametrize("name", [PASSING, FAILING])
def test_the_sums_are_of_its_files(name: str) -> None:
    """Nothing was changed by hand."""
    directory = EXAMPLES / name
    lines = (directory / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    sums = {file: digest for digest, file in (line.split("  ", 1) for line in lines)}
    assert {f: hashlib.sha256((directory / f).read_bytes()).hexdigest() for f in sums} == sums
    assert {str(f.relative_to(directory)) for f in directory.rglob("*") if f.is_file()} == {*sums, "SHA256SUMS"}


def test_they_are_small() -> None:
    """Together they are no more than a checkout can carry."""
    assert 0 < sum(file.stat().st_size for file in files()) <= AT_MOST


def test_nothing_in_them_tells_of_the_machine_or_a_secret() -> None:
    """No path of a person's machine, and nothing that redaction would hide."""
    for file in files():
        text = file.read_text(encoding="utf-8")
        assert OF_A_MACHINE.search(text) is None, file
        if file.suffix == ".txt":
            assert redact(text).count == 0, file
