"""Sentences that the terminal and the page share."""

from __future__ import annotations

from judge.verdict import Authority, Judged
from reporting.model import Report, Scope


def remedy_of(report: Report, judged: Judged) -> str:
    """What to do about a requirement: what the finding says, else the catalogue."""
    own = (f.remedy for f in report.findings_of(judged.requirement.id) if f.remedy)
    return next(own, judged.requirement.remedy)


def authority_in_words(authority: Authority) -> str:
    """Who issued the identities, and what that means for the result."""
    return {
        Authority.TELEPORT: "Teleport",
        Authority.STAND_IN: "a stand-in for Teleport, so this is a rehearsal and certifies nothing",
        Authority.UNKNOWN: "unknown, nobody got as far as asking",
    }[authority]


def scope_in_words(scope: Scope) -> str:
    """What the result is a statement about, in one line."""
    made = "kind cluster made for this run"
    cluster = f"existing cluster {scope.context}" if scope.cluster == "existing" else made
    parts = [f"profiles {', '.join(scope.profiles)}", cluster, f"allowed {', '.join(scope.safety)}"]
    if scope.namespaces:
        parts.append(f"namespaces {', '.join(scope.namespaces)}")
    if scope.keyword:
        parts.append(f"only -k {scope.keyword!r}")
    if scope.markers:
        parts.append(f"only -m {scope.markers!r}")
    if scope.rerun_of_failures:
        parts.append("rerun of earlier failures")
    return "; ".join(parts)
