"""Sentences that the terminal, JUnit and the page share."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from facts.catalogue import About, Level
from facts.finding import Holds
from judge.guide_defects import Presence, ToldDefect
from judge.verdict import Authority, Ending, Judged, Verdict, reason_of
from reporting.model import Report, Scope
from reporting.writing.causes import causes_of, in_words, remedy_of, where_else

# Characters that neither XML 1.0 nor HTML can hold, however they are escaped.
_UNPRINTABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def printable(text: str) -> str:
    """The text with control characters, which a log may hold, replaced by a visible sign."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def reasons_of(report: Report, judged: Judged, told_already: Collection[str] = ()) -> tuple[str, ...]:
    """The reasons why a requirement is not a pass; where scenarios give different ones, each with the name of its scenario.

    Args:
        report: The report.
        judged: The requirement.
        told_already: Reasons that the reader has met.
    """
    names = {s.id: s.name for s in report.scenarios_of(judged.requirement.id)}
    told = [
        next(((n, r.removeprefix(f"{i}: ")) for i, n in names.items() if r.startswith(f"{i}: ")), ("", r))
        for r in judged.reasons
    ]
    fresh = [(name, reason) for name, reason in told if reason not in told_already]
    if len(names) == 1 or len({reason for _, reason in told}) == 1:
        return tuple(dict.fromkeys(reason for _, reason in fresh))
    return tuple(f"{name}: {reason}" if name else reason for name, reason in fresh)


def reasons_besides_findings(report: Report, judged: Judged) -> tuple[str, ...]:
    """The reasons why a requirement is not a pass, without what its findings say by subject."""
    findings = report.findings_of(judged.requirement.id)
    return reasons_of(report, judged, {reason_of(f) for f in findings if f.problems or f.unclear})


FINDING = "finding"
"""The word for a SHOULD that fails; where findings fail the run (strict), it is `fail` like any other."""


def word_of(report: Report, judged: Judged) -> str:
    """The word that people read for a requirement's verdict."""
    finding = judged.verdict is Verdict.FAIL and judged.requirement.level is Level.SHOULD and not report.strict
    return FINDING if finding else judged.verdict.value


def to_mend(report: Report, word: str) -> list[tuple[tuple[str, ...], list[Judged]]]:
    """The requirements with a verdict, with its reasons; those that have it for one and the same reason stand together.

    So do, behind the others, those that cannot hold before one and the same defect of the guide is repaired. Those in which
    nothing but defects of the guide shows are left out: the list of the defects tells them.
    """
    groups: dict[tuple[str, ...], list[Judged]] = {}
    behind: dict[str, list[Judged]] = {}
    for judged in report.judged:
        if word_of(report, judged) == word and not _is_told_as_defect(report, judged):
            first = defect_before(report, judged)
            if first is None:
                groups.setdefault(reasons_of(report, judged), []).append(judged)
            else:
                behind.setdefault(first.defect.name, []).append(judged)
    told = [(tuple(f"{j.requirement.id}: {r}" for j in js for r in reasons_of(report, j)[:1]), js) for js in behind.values()]
    return [*groups.items(), *told]


def _is_told_as_defect(report: Report, judged: Judged) -> bool:
    shown = {d.defect.cause for d in report.guide_defects if d.presence is Presence.FOUND}
    closed = (Ending.COMPLETED, Ending.NOT_APPLICABLE)
    open_ones = [s for s in report.scenarios_of(judged.requirement.id) if s.ending not in closed]
    return bool(open_ones) and all(
        any(
            f.requirement == judged.requirement.id
            and f.holds in (Holds.NO, Holds.UNKNOWN)
            and all(p.cause in shown for p in (*f.problems, *f.unclear))
            for f in s.all_findings
        )
        for s in open_ones
    )


def defect_before(report: Report, judged: Judged) -> ToldDefect | None:
    """The found defect of the guide that keeps a requirement from holding until it is repaired, if there is one."""
    if judged.verdict not in (Verdict.FAIL, Verdict.ERROR) or judged.causes:
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


_NOT_THE_INSTALL: Mapping[About, str] = {
    About.SUITE: "This requirement tests the suite itself: the suite is wrong, and the install need not be.",
    About.ISTIO: "This requirement proves again what Istio documents: Istio behaves differently here.",
}


def advice_on(report: Report, several: Sequence[Judged]) -> tuple[str, ...]:
    """Advice on requirements that have the same reasons, besides the remedies of their causes."""
    first = defect_before(report, several[0])
    if first is not None:
        return (f"Repair what {', '.join(first.shown_by)} shows first ({first.defect.cause}): {first.defect.stops}",)
    return tuple(dict.fromkeys(line for judged in several for line in _advice(report, judged)))


def _advice(report: Report, judged: Judged) -> tuple[str, ...]:
    lines = []
    if judged.verdict in (Verdict.FAIL, Verdict.WAIVED):
        if judged.requirement.about in _NOT_THE_INSTALL:
            lines.append(_NOT_THE_INSTALL[judged.requirement.about])
        elif not causes_of(report, (judged,)):
            lines.append(where_else(report, judged))
    open_ones = [f for f in report.findings_of(judged.requirement.id) if f.holds is Holds.UNKNOWN and f.settle]
    lines += [f"What would settle it: {settle}" for settle in dict.fromkeys(f.settle for f in open_ones)]
    return tuple(lines)


def hints_of(report: Report, several: Sequence[Judged]) -> tuple[str, ...]:
    """Causes, remedies and advice for requirements that have the same reasons, complete, as lines of text."""
    named = (line for each in causes_of(report, several) for line in (in_words(each), *remedy_of(each)))
    return (*named, *advice_on(report, several))


def authority_in_words(authority: Authority) -> str:
    """Who issued the identities, and what that means for the result."""
    return {
        Authority.TELEPORT: "Teleport",
        Authority.STAND_IN: "a stand-in for Teleport, so this is a rehearsal and certifies nothing",
        Authority.UNKNOWN: "unknown: the run ended before it asked who issues the identities",
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
