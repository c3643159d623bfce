"""The guide's own defects in an install: shown, hidden behind another one, repaired, or absent."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from facts.catalogue import GuideDefect
from facts.finding import Finding, Holds, told
from facts.redaction import Own
from judge.verdict import Judged, Verdict


class Presence(StrEnum):
    """The presence of a defect of the guide in the install that was judged."""

    FOUND = "found"
    """A finding shows it."""
    HIDDEN = "hidden"
    """The requirements that catch it can only hold once another defect, which was found, is repaired."""
    UNKNOWN = "unknown"
    """The requirements that catch it have no answer, or failed for another reason."""
    REPAIRED = "repaired"
    """The suite repaired it before this run."""
    ABSENT = "absent"
    """The requirements that catch it hold."""


@dataclass(frozen=True, slots=True)
class ToldDefect:
    """A defect of the guide, and its presence in the install. The remedy is that of its cause.

    Attributes:
        defect: The defect, from the catalogue.
        presence: Its presence.
        seen: Observation that shows it, or the reason why none does.
        where: The thing that was judged where it shows; empty if it does not.
        shown_by: Ids of the requirements whose findings show it.
    """

    defect: Own[GuideDefect]
    presence: Presence
    seen: str
    where: str = ""
    shown_by: Own[tuple[str, ...]] = ()


def tell(
    defects: Sequence[GuideDefect],
    judged: Sequence[Judged],
    findings_of: Callable[[str], Sequence[Finding]],
    repaired: Collection[str] = (),
) -> tuple[ToldDefect, ...]:
    """Tell the presence of each defect that a judged requirement catches, in the order of the catalogue.

    Args:
        defects: Defects in the catalogue.
        judged: The requirements that were judged, with their verdicts.
        findings_of: Findings on a requirement, by its id.
        repaired: Names of the defects that the suite repaired before this run.
    """
    by_id = {j.requirement.id: j for j in judged}
    caught = [d for d in defects if any(i in by_id for i in d.caught_by)]
    shown = {d.name: [f for i in by_id for f in findings_of(i) if f.showing(d.cause)] for d in caught}
    found = [d for d in caught if shown[d.name]]
    return tuple(_found(d, shown[d.name]) if shown[d.name] else _not_found(d, by_id, found, repaired) for d in caught)


def _found(defect: GuideDefect, findings: Sequence[Finding]) -> ToldDefect:
    """A defect that was found, with the problems of its own cause alone."""
    worst_first = sorted(findings, key=lambda f: f.holds is not Holds.NO)
    where = worst_first[0].where
    return ToldDefect(
        defect,
        Presence.FOUND,
        seen=told((p for f in worst_first for p in f.showing(defect.cause)), where),
        where=where,
        shown_by=tuple(dict.fromkeys(f.requirement for f in findings)),
    )


def _not_found(
    defect: GuideDefect, by_id: Mapping[str, Judged], found: Sequence[GuideDefect], repaired: Collection[str]
) -> ToldDefect:
    catching = [by_id[i] for i in defect.caught_by if i in by_id]
    if defect.name in repaired:
        return ToldDefect(defect, Presence.REPAIRED, "the suite repaired it before this run")
    # A pass proves nothing behind another defect: only what exists was judged, such as a gateway where there is no sidecar.
    before = next((d for d in found if any(j.requirement.id in d.hides for j in catching)), None)
    if before is not None:
        return ToldDefect(defect, Presence.HIDDEN, f"it cannot be seen until the defect `{before.name}` is repaired")
    open_ones = [j for j in catching if j.verdict not in (Verdict.PASS, Verdict.NOT_APPLICABLE)]
    if not open_ones:
        return ToldDefect(defect, Presence.ABSENT, f"{_ids(catching)}: {catching[0].verdict.value}")
    said = [reason for j in open_ones for reason in j.reasons]
    return ToldDefect(defect, Presence.UNKNOWN, f"{_ids(open_ones)}: {said[0] if said else open_ones[0].verdict.value}")


def _ids(judged: Sequence[Judged]) -> str:
    return ", ".join(j.requirement.id for j in judged)
