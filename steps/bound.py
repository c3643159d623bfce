"""The sentences that only read and judge, each bound to its reading or its check in the table (`checks.table`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest
from pytest_bdd import step, then

from checks import table
from checks.check import Answer, Case, Kept, Needs, Reading
from checks.mtls import Sweeps
from facts.finding import Finding
from observe.install import Install
from settings import Settings
from steps.shared import Conclude


@pytest.fixture
def case(install: Install, settings: Settings, sweeps: Sweeps) -> Case:
    """The install, with what the steps of this scenario have read."""
    return Case(install, settings, sweeps, kept=Kept())


def _with_probes(case: Case, needs: frozenset[Needs], request: pytest.FixtureRequest) -> Case:
    return replace(case, probes=request.getfixturevalue("probes")) if Needs.PROBES in needs else case


def _reads(reading: Reading) -> Callable[..., None]:
    def read(case: Case, request: pytest.FixtureRequest) -> None:
        _with_probes(case, reading.needs, request).of(reading.read)

    return _bound(read, reading.read)


def _concludes(run: Callable[[Case], Answer], needs: frozenset[Needs]) -> Callable[..., None]:
    def concluded(case: Case, request: pytest.FixtureRequest, conclude: Conclude) -> None:
        conclude(*(cast("Finding", each) for each in run(_with_probes(case, needs, request))))

    return _bound(concluded, run)


def _bound(function: Callable[..., None], to: Callable[..., Any]) -> Callable[..., None]:
    """The step function, which says what it is bound to."""
    function.binds = to  # type: ignore[attr-defined]
    return function


for _reading in table.readings():
    for _sentence in _reading.sentences:
        step(_sentence)(_reads(_reading))

for _check in table.checks():
    for _sentence, _run in _check.sentences:
        then(_sentence)(_concludes(_run, _check.needs))
