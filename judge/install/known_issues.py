"""Known identity defects of releases: the causes with versions. A new defect is a new entry in ``causes.yaml``."""

from __future__ import annotations

from dataclasses import dataclass

from facts.versions import Version
from judge.causes import CAUSES, Cause, Releases


@dataclass(frozen=True, slots=True)
class KnownIssue:
    """A cause that is a defect of releases.

    Attributes:
        cause: The cause.
        releases: Those that have it.
    """

    cause: Cause
    releases: Releases

    @property
    def component(self) -> str:
        """``tbot`` or ``istio``."""
        return self.releases.component

    @property
    def name(self) -> str:
        """The id of the cause."""
        return self.cause.id

    @property
    def symptom(self) -> str:
        """The sentence of the cause, to stand inside another one."""
        sentence = self.cause.sentence.rstrip(".")
        return sentence[:1].lower() + sentence[1:]

    @property
    def references(self) -> tuple[str, ...]:
        """Where the defect is written down."""
        return self.cause.references

    @property
    def fixed_in(self) -> str:
        """The versions to upgrade to, newest line first."""
        return self.releases.fixed_in


NOT_RENEWED = CAUSES["tbot-pushes-without-renewing"].id
"""The defect because of which certificates grow old while everything else looks as it should."""

KNOWN_ISSUES: tuple[KnownIssue, ...] = tuple(
    KnownIssue(cause, cause.versions) for cause in CAUSES.values() if cause.versions is not None
)


def known_issues_of(component: str, version: Version) -> tuple[KnownIssue, ...]:
    """The defects that a version of a component has."""
    return tuple(issue for issue in KNOWN_ISSUES if issue.component == component and version in issue.releases)
