"""Errors that a person meets. Each says what was expected, what was seen, where, and the next step."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from facts.redaction import redact

WHAT_TO_DO = "What to do"
"""Label of a next step where the cause is known: the remedy."""

WHAT_WOULD_SETTLE_IT = "What would settle it"
"""Label of a next step where the suite could not tell: what would give an answer."""


class ConformanceError(Exception):
    """Something went wrong that a user can act on.

    Attributes:
        expected: The expected state, as a sentence without a full stop.
        seen: The observed state. It often quotes what was read, so secrets are hidden here.
        where: The object, file or address in question, likewise.
        remedy: The next step, as it reads behind the label.
        label: The kind of next step: `WHAT_TO_DO` or `WHAT_WOULD_SETTLE_IT`.
    """

    label: ClassVar[str] = WHAT_TO_DO

    def __init__(self, *, expected: str, seen: str, where: str, remedy: str) -> None:
        self.expected = expected
        self.seen = redact(seen).text
        self.where = redact(where).text
        self.remedy = remedy
        super().__init__(expected, self.seen, self.where, remedy)

    @property
    def compared(self) -> str:
        """Expectation and observation in one clause, without the next step."""
        return f"expected {self.expected}; saw {self.seen} ({self.where})"

    def __str__(self) -> str:
        return f"{self.compared}. {self.label}: {self.remedy}"


class CouldNotTell(ConformanceError):
    """A reading that a verdict needs could not be made, or could not be understood: verdict *error*, never pass or fail."""

    label = WHAT_WOULD_SETTLE_IT


class NotGiven(CouldNotTell):
    """A reading needs something that this run was not given, such as an admin session: verdict *not-evaluated*."""

    label = WHAT_TO_DO


class ProvisioningFailed(ConformanceError):
    """A part of the installation could not be brought up. The run ends as *inconclusive*; the report is still written."""


class BadInput(ConformanceError):
    """The user's own input (settings, context, kubeconfig, options) cannot be used."""


class NotApplicable(Exception):
    """A requirement does not apply here, for a condition that the catalogue lists: verdict *not-applicable*.

    It ends the scenario; the collector records it as a finding.

    Attributes:
        requirement: Id of the requirement, e.g. ``TRF-05``.
        condition: The condition that is met, as the catalogue words it.
        where: The object that was looked at.
        evidence: Ids of the readings that show it, each once.
    """

    def __init__(self, requirement: str, condition: str, *, where: str, evidence: Iterable[str]) -> None:
        self.requirement = requirement
        self.condition = condition
        self.where = where
        self.evidence = tuple(dict.fromkeys(evidence))
        super().__init__(requirement, condition, where)

    def __str__(self) -> str:
        return f"{self.requirement} does not apply: {self.condition} ({self.where})"
