"""The guide's own defects in a run: shown, hidden behind another one, repaired, or not there. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from facts.catalogue import GuideDefect
from facts.finding import Finding, Holds, told
from judge.verdict import Judged, Verdict


class Presence(StrEnum):
    """The knowledge of a defect of the guide in the install that was judged."""

    FOUND = "found"
    """A finding shows it."""
    HIDDEN = "hidden"
    """What catches it cannot really hold before another defect, which was found, is mended."""
    UNKNOWN = "unknown"
    """What catches it did not come to an answer, or failed for another reason."""
    REPAIRED = "repaired"
    """It was taken away for this run."""
    ABSENT = "absent"
    """What catches it holds."""


@dataclass(frozen=True, slots=True)
class ToldDefect:
    """A defect of the guide, and what became of it. What to do about it is the remedy of its cause.

    Attributes:
        defect: From the catalogue.
        presence: The word for it.
        seen: What shows it, or why it does not show.
        where: What was judged where it shows; empty if it does not.
        shown_by: Ids of the requirements whose findings show it.
    """

    defect: GuideDefect
    presence: Presence
    seen: str
    where: str = ""
    shown_by: tuple[str, ...] = ()


def tell(
    defects: Sequence[GuideDefect],
    judged: Sequence[Judged],
    findings_of: Callable[[str], Sequence[Finding]],
    repaired: Collection[str] = (),
) -> tuple[ToldDefect, ...]:
    """Tells what became of each defect that a judged requirement catches, in their order.

    Args:
        defects: Of the catalogue.
        judged: The requirements of the run with their verdicts.
        findings_of: What was concluded on a requirement, by its id.
        repaired: Names of the defects that were taken away for this run.
    """
    by_id = {j.requirement.id: j for j in judged}
    caught = [d for d in defects if any(i in by_id for i in d.caught_by)]
    shown = {d.name: [f for i in by_id for f in findings_of(i) if f.showing(d.cause)] for d in caught}
    found = [d for d in caught if shown[d.name]]
    return tuple(_found(d, shown[d.name]) if shown[d.name] else _not_found(d, by_id, found, repaired) for d in caught)


def _found(defect: GuideDefect, findings: Sequence[Finding]) -> ToldDefect:
    """The defect by what its cause shows, and by nothing else that the same findings say."""
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
        return ToldDefect(defect, Presence.REPAIRED, "it was repaired for this run")
    # A pass proves nothing behind another defect: it was had on what there is, such as a gateway where there is no sidecar.
    before = next((d for d in found if any(j.requirement.id in d.hides for j in catching)), None)
    if before is not None:
        return ToldDefect(defect, Presence.HIDDEN, f"it cannot show before the defect `{before.name}` is repaired")
    open_ones = [j for j in catching if j.verdict not in (Verdict.PASS, Verdict.NOT_APPLICABLE)]
    if not open_ones:
        return ToldDefect(defect, Presence.ABSENT, f"{_ids(catching)}: {catching[0].verdict.value}")
    said = [reason for j in open_ones for reason in j.reasons]
    return ToldDefect(defect, Presence.UNKNOWN, f"{_ids(open_ones)}: {said[0] if said else open_ones[0].verdict.value}")


def _ids(judged: Sequence[Judged]) -> str:
    return ", ".join(j.requirement.id for j in judged)
