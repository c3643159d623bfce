"""Versions with a known identity defect, as data: a new defect is a new row, not new code."""

from __future__ import annotations

from dataclasses import dataclass

from facts.versions import Version


@dataclass(frozen=True, slots=True)
class Affected:
    """A range of versions with the defect: at least `since`, before `fixed`.

    A pre-release of `since` may have the defect already, and one of `fixed` may have it still: both count. Any other word
    behind a version names a variant of that release, such as ``1.24.4-distroless``.
    """

    since: Version
    fixed: Version

    def __contains__(self, version: Version) -> bool:
        return self.since <= version.release and version.stands_for < self.fixed


@dataclass(frozen=True, slots=True)
class KnownIssue:
    """A defect that breaks identities.

    Attributes:
        component: ``tbot`` or ``istio``.
        name: Short name for the report.
        ranges: Affected versions.
        symptom: What a user sees.
        references: Where it is written down.
    """

    component: str
    name: str
    ranges: tuple[Affected, ...]
    symptom: str
    references: tuple[str, ...]

    @property
    def fixed_in(self) -> str:
        """The versions to upgrade to, as a person says it."""
        return " or ".join(str(r.fixed) for r in reversed(self.ranges))


def _range(since: str, fixed: str) -> Affected:
    return Affected(Version.parse(since), Version.parse(fixed))


NOT_RENEWED = "SVIDs pushed but not renewed"
"""Name of the defect because of which certificates grow old while everything else looks as it should."""

KNOWN_ISSUES: tuple[KnownIssue, ...] = (
    KnownIssue(
        component="tbot",
        name=NOT_RENEWED,
        # The defect came with federation support in the SDS handler; no release of the v16 line is known to be fixed.
        ranges=(_range("16.0.0", "17.7.14"), _range("18.0.0", "18.6.4")),
        symptom="tbot pushes the old certificate under a fresh version; hours after pod start new connections fail with 503",
        references=("gravitational/teleport#62813", "gravitational/teleport#62829", "gravitational/teleport#62830"),
    ),
    KnownIssue(
        component="tbot",
        name="an expired bot identity never recovers",
        ranges=(_range("16.0.0", "17.7.0"), _range("18.0.0", "18.1.0")),
        symptom="after a long outage each renewal fails until tbot is restarted, which nothing does: its pod stays Running",
        references=("gravitational/teleport#56927", "gravitational/teleport#57060", "gravitational/teleport#57062"),
    ),
    KnownIssue(
        component="tbot",
        name="hangs while Auth's cache is unhealthy",
        ranges=(_range("16.0.0", "17.7.8"), _range("18.0.0", "18.2.10")),
        symptom="tbot waits for the trust bundle without a word, and new pods get no certificate",
        references=("gravitational/teleport#60134", "gravitational/teleport#60182", "gravitational/teleport#60187"),
    ),
    KnownIssue(
        component="istio",
        name="socket file name ignored by the bootstrap",
        ranges=(_range("1.23.0", "1.23.6"), _range("1.24.0", "1.24.4")),
        symptom="WORKLOAD_IDENTITY_SOCKET_FILE is set, Envoy still dials a file called `socket`",
        references=("istio/istio#51979", "istio/istio#55047"),
    ),
)


def known_issues_of(component: str, version: Version) -> tuple[KnownIssue, ...]:
    """The defects that a version of a component has."""
    return tuple(k for k in KNOWN_ISSUES if k.component == component and any(version in r for r in k.ranges))
