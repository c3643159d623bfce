"""How a Then ends: the finding goes to the recorder, and the step fails unless it holds."""

from __future__ import annotations

from collections.abc import Iterable

from facts.errors import CouldNotTell
from facts.evidence import Recorder
from facts.finding import Finding, Holds, Violated

LOOK = "read the evidence that the report lists with this requirement, and run again"
"""What to try where a finding does not say what would settle it."""


def must_hold(recorder: Recorder, *findings: Finding) -> None:
    """Records all findings, then fails at the first that does not hold.

    Raises:
        Violated: A finding says no.
        CouldNotTell: A finding leaves it open.
    """
    for finding in findings:
        recorder.conclude(finding)
    _fail_at_first(findings)


def _fail_at_first(findings: Iterable[Finding]) -> None:
    for finding in findings:
        if finding.holds is Holds.NO:
            raise Violated(finding)
        if finding.holds is Holds.UNKNOWN:
            raise CouldNotTell(
                expected=finding.expected, seen=finding.seen, where=finding.where, remedy=finding.settle or LOOK
            )
