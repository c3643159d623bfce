"""Fixtures that several step modules share: the requirement of a scenario, and how a Then concludes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import pytest

from facts.errors import CouldNotTell
from facts.evidence import Recorder
from facts.finding import Finding, Holds, Violated


class Conclude(Protocol):
    """The end of a Then: records all findings, then fails at the first that does not hold."""

    def __call__(self, *findings: Finding) -> None:
        """Concludes.

        Raises:
            Violated: A finding says no.
            CouldNotTell: A finding says that it could not be determined.
        """


@pytest.fixture
def conclude(recorder: Recorder) -> Conclude:
    """Records findings and fails unless they hold."""

    def concluded(*findings: Finding) -> None:
        for finding in findings:
            recorder.conclude(finding)
        _fail_at_first(findings)

    return concluded


@pytest.fixture
def requirement(request: pytest.FixtureRequest) -> str:
    """Id of the requirement that the scenario is about: some sentences are used for several."""
    return str(request.node.get_closest_marker("requirement").kwargs["id"])


def _fail_at_first(findings: Iterable[Finding]) -> None:
    for finding in findings:
        if finding.holds is Holds.NO:
            raise Violated(finding)
        if finding.holds is Holds.UNKNOWN:
            raise CouldNotTell(expected=finding.expected, seen=finding.seen, where=finding.where, remedy=finding.remedy)
