"""The register of waivers: who accepted what, until when, and what of it this run needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from facts.catalogue import About
from judge.verdict import Verdict
from judge.waivers import Waiver
from reporting.model import Report

USED, UNUSED, EXPIRED = "in use", "unused", "expired, so without effect"


@dataclass(frozen=True, slots=True)
class Entry:
    """A waiver as this run met it.

    Attributes:
        state: `USED`, `UNUSED` or `EXPIRED`.
        covers: The subjects whose problems it accepts in this run; empty where it is not in use.
        idle: Patterns of subjects of which it accepts no problem in this run; empty where it has expired.
        days_left: Days from the end of the run to the end of its last day; None where its last day is unknown.
    """

    waiver: Waiver
    state: str
    covers: tuple[str, ...]
    idle: tuple[str, ...]
    days_left: int | None

    @property
    def until(self) -> str:
        """Its last day and the days to it, for people."""
        if self.waiver.last_day is None or self.days_left is None:
            return "no last day is known"
        if self.days_left < 0:
            return f"{self.waiver.last_day}, {_days(-self.days_left)} ago"
        return f"{self.waiver.last_day}, {_days(self.days_left)} left"

    @property
    def covered(self) -> str:
        """What it covers, for people."""
        return f"{', '.join(self.covers) or self.without_subjects}{self.matches_nothing}"

    @property
    def without_subjects(self) -> str:
        """What it covers where it covers no subject by name."""
        return "the whole requirement" if self.state == USED else "nothing in this run"

    @property
    def matches_nothing(self) -> str:
        """Its patterns that cover nothing, for people; empty where there is none."""
        return f" (nothing fails in this run that is called {' or '.join(self.idle)})" if self.idle else ""


def _days(number: int) -> str:
    return f"{number} day" if number == 1 else f"{number} days"


def register(report: Report) -> tuple[Entry, ...]:
    """Every waiver of a run, in the order of the settings."""
    return tuple(_entry(report, waiver) for waiver in report.waivers)


def _entry(report: Report, waiver: Waiver) -> Entry:
    judged = next((j for j in report.judged if j.requirement.id == waiver.requirement), None)
    may_count = judged is not None and judged.requirement.about is About.INSTALL and not judged.premise
    findings = report.findings_of(waiver.requirement) if may_count and not waiver.expired else ()
    covers = waiver.covered_in(findings)
    is_used = bool(covers) or (waiver.of_whole_requirement and judged is not None and judged.verdict is Verdict.WAIVED)
    state = EXPIRED if waiver.expired else USED if is_used else UNUSED
    left = (waiver.last_day - report.ended.date()).days if waiver.last_day else None
    return Entry(waiver, state, covers, () if waiver.expired else waiver.idle_in(findings), left)


def lines_of(entries: Sequence[Entry], named: int) -> tuple[tuple[str, str], ...]:
    """Each entry as a line of text, with the word for its look.

    Args:
        entries: The register.
        named: Subjects that a line names.
    """
    return tuple((_WORDS[each.state], _line(each, named)) for each in entries)


_WORDS = {USED: "waived", UNUSED: "noted", EXPIRED: "inconclusive"}


def _line(entry: Entry, named: int) -> str:
    waiver, covers = entry.waiver, entry.covers
    more = f" and {len(covers) - named} more, see report.html#{waiver.requirement}" if len(covers) > named else ""
    by = ", ".join(
        part
        for part in (
            f"owner {waiver.owner}",
            waiver.approver and f"approved by {waiver.approver}",
            waiver.ticket and f"ticket {waiver.ticket}",
        )
        if part
    )
    covered = f"{', '.join(covers[:named]) or entry.without_subjects}{more}{entry.matches_nothing}"
    return f"{waiver.requirement:<8}{entry.state}, until {entry.until}; {by}; covers {covered}: {waiver.justification}"
