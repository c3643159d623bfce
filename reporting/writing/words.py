"""Sentences that the terminal and the page share."""

from __future__ import annotations

import re
from collections.abc import Sequence

from facts.catalogue import Level
from facts.finding import Holds
from judge.guide_defects import Presence, ToldDefect
from judge.verdict import Authority, Ending, Judged, Verdict
from reporting.model import Report, Scope

# Characters that neither XML 1.0 nor HTML can hold, however they are escaped.
_UNPRINTABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def printable(text: str) -> str:
    """The text with control characters, which a log may hold, replaced by a visible sign."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def remedy_of(report: Report, judged: Judged) -> str:
    """What to do about a requirement: what a finding says, else the catalogue; nothing where nobody knows what is wrong."""
    own = next((f.remedy for f in report.findings_of(judged.requirement.id) if f.remedy), "")
    return own or (judged.requirement.remedy if judged.verdict in (Verdict.FAIL, Verdict.WAIVED) else "")


def reasons_of(report: Report, judged: Judged) -> tuple[str, ...]:
    """Why a requirement is not a pass; if its scenarios give different reasons, each with the name of its scenario."""
    names = {s.id: s.name for s in report.scenarios_of(judged.requirement.id)}
    told = [
        next(((n, r.removeprefix(f"{i}: ")) for i, n in names.items() if r.startswith(f"{i}: ")), ("", r))
        for r in judged.reasons
    ]
    if len(names) == 1 or len({reason for _, reason in told}) == 1:
        return tuple(dict.fromkeys(reason for _, reason in told))
    return tuple(f"{name}: {reason}" if name else reason for name, reason in told)


FINDING = "finding"
"""The word for a SHOULD that fails; where findings fail the run (strict), it is `fail` like any other."""


def word_of(report: Report, judged: Judged) -> str:
    """The word that people read for a requirement's verdict."""
    finding = judged.verdict is Verdict.FAIL and judged.requirement.level is Level.SHOULD and not report.strict
    return FINDING if finding else judged.verdict.value


def to_mend(report: Report, word: str) -> list[tuple[tuple[str, ...], list[Judged]]]:
    """The requirements with a verdict, with its reasons; those that have it for one and the same reason stand together.

    So do, behind the others, those that cannot hold before one and the same defect of the guide is mended. Those in which
    nothing but defects of the guide shows are left out: the list of the defects tells them.
    """
    groups: dict[tuple[str, ...], list[Judged]] = {}
    behind: dict[str, list[Judged]] = {}
    for judged in report.judged:
        if word_of(report, judged) == word and not _is_told_as_defect(report, judged):
            first = first_cause(report, judged)
            if first is None:
                groups.setdefault(reasons_of(report, judged), []).append(judged)
            else:
                behind.setdefault(first.defect.name, []).append(judged)
    told = [(tuple(f"{j.requirement.id}: {r}" for j in js for r in reasons_of(report, j)[:1]), js) for js in behind.values()]
    return [*groups.items(), *told]


def _is_told_as_defect(report: Report, judged: Judged) -> bool:
    shown = {d.defect.name for d in report.guide_defects if d.presence is Presence.FOUND}
    closed = (Ending.COMPLETED, Ending.NOT_APPLICABLE)
    open_ones = [s for s in report.scenarios_of(judged.requirement.id) if s.ending not in closed]
    return bool(open_ones) and all(
        any(
            f.requirement == judged.requirement.id and f.guide_defect in shown and f.holds is not Holds.YES
            for f in s.all_findings
        )
        for s in open_ones
    )


def first_cause(report: Report, judged: Judged) -> ToldDefect | None:
    """The defect of the guide that was found, and without whose mending a requirement cannot hold; None if there is none."""
    if judged.verdict not in (Verdict.FAIL, Verdict.ERROR):
        return None
    if any(judged.requirement.id in told.shown_by for told in report.guide_defects):
        return None
    found = (told for told in report.guide_defects if told.presence is Presence.FOUND)
    return next((told for told in found if judged.requirement.id in told.defect.hides), None)


def guide_defects_of(report: Report) -> tuple[ToldDefect, ...]:
    """What the guide gets wrong, as a list to be read: all of it where the guide was installed, else what was found of it.

    Empty where none of it was found.
    """
    found = tuple(told for told in report.guide_defects if told.presence is Presence.FOUND)
    return report.guide_defects if found and report.scope.install == "as-guide" else found


def way_on(report: Report, told: ToldDefect) -> str:
    """The option that shows what a defect hides, where this run has installed the guide.

    It takes the defect away, those that were found before it, and what was taken away already.
    """
    stopping = [t for t in report.guide_defects if t.defect.stops and t.presence is Presence.FOUND]
    if report.scope.install != "as-guide" or told not in stopping:
        return ""
    names = [t.defect.name for t in stopping[: stopping.index(told) + 1]]
    return f"--repair {','.join((*report.scope.repairs, *names))}"


def hints_of(report: Report, reasons: Sequence[str], several: Sequence[Judged]) -> tuple[str, ...]:
    """What to do about requirements that have the same reasons; nothing if the reasons say it themselves."""
    first = first_cause(report, several[0])
    if first is not None:
        return (f"mend {', '.join(first.shown_by)} first: {first.defect.stops}",)
    if any("Try: " in reason for reason in reasons):
        return ()
    return tuple(dict.fromkeys(hint for judged in several if (hint := remedy_of(report, judged))))


def authority_in_words(authority: Authority) -> str:
    """Who issued the identities, and what that means for the result."""
    return {
        Authority.TELEPORT: "Teleport",
        Authority.STAND_IN: "a stand-in for Teleport, so this is a rehearsal and certifies nothing",
        Authority.UNKNOWN: "unknown, nobody got as far as asking",
    }[authority]


def scope_in_words(scope: Scope) -> str:
    """What the result is a statement about, in one line."""
    clusters = {
        "kind": "kind cluster made for this run",
        "kept": "kind cluster kept from an earlier run",
        "none": "no cluster",
    }
    cluster = clusters.get(scope.cluster, f"existing cluster {scope.context}")
    parts = [f"profiles {', '.join(scope.profiles)}", cluster, f"allowed {', '.join(scope.safety)}"]
    if scope.install == "as-guide" or scope.repairs:
        how = "as the guide says" if scope.install == "as-guide" else "as recommended"
        parts.insert(2, f"installed {how}{', repaired: ' if scope.repairs else ''}{', '.join(scope.repairs)}")
    if scope.namespaces:
        parts.append(f"namespaces {', '.join(scope.namespaces)}")
    if scope.paths:
        parts.append(f"only {', '.join(scope.paths)}")
    if scope.keyword:
        parts.append(f"only -k {scope.keyword!r}")
    if scope.markers:
        parts.append(f"only -m {scope.markers!r}")
    if scope.rerun_of_failures:
        parts.append("rerun of earlier failures")
    return "; ".join(parts)
