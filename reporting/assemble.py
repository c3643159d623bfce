"""Makes the report from what the store kept: folds scenarios into verdicts and verdicts into the result."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from facts.catalogue import GuideDefect, Requirement
from facts.document import decoded
from facts.errors import BadInput, CouldNotTell
from facts.evidence import Evidence
from facts.over_time.timeline import parse_timeline
from facts.redaction import redact
from judge.causes import CAUSES
from judge.guide_defects import tell
from judge.verdict import Ending, Result, Waiver, judge_catalogue
from reporting.collecting.store import Store
from reporting.features.gherkin_files import feature_paths, read_feature
from reporting.model import Report, ScenarioRecord, Scope, StoredCause, StoredEvidence, StoredTimeline


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What was decided before the run.

    Attributes:
        run_id: Name of the run, also of its directory.
        suite_version: Version of the suite.
        started: UTC.
        chosen: Requirements of the chosen profiles, in catalogue order.
        scope: What the result will be a statement about.
        strict: Whether a SHOULD that does not hold fails the run.
        allow_partial: Whether a partial result exits with 0.
        waivers: By requirement id.
        command_line: What was typed.
        features: Directory of the feature files and the catalogue; None if unknown.
        root: What paths in the report are relative to.
        guide_defects: Of the catalogue.
    """

    run_id: str
    suite_version: str
    started: datetime
    chosen: tuple[Requirement, ...]
    scope: Scope
    strict: bool
    allow_partial: bool
    waivers: Mapping[str, Waiver]
    command_line: tuple[str, ...]
    features: Path | None
    root: Path
    guide_defects: tuple[GuideDefect, ...] = ()


def assemble(plan: RunPlan, store: Store) -> Report:
    """Makes the report of a run that is over, however it ended."""
    chosen = {r.id for r in plan.chosen}
    scenarios = [s for s in store.scenarios if chosen.intersection(s.requirements) or s.ending is not Ending.NOT_RUN]
    errors = [*store.run_errors, *_orphans(scenarios)]
    left_out, unreadable = _left_out(plan, {s.id for s in store.scenarios}, chosen)
    scenarios += left_out
    evidence = store.evidence
    timelines, damaged = _timelines(evidence)
    report = Report(
        run_id=plan.run_id,
        suite_version=plan.suite_version,
        started=plan.started,
        ended=datetime.now(UTC),
        headline="",
        result=Result.INCONCLUSIVE,
        exit_code=0,
        strict=plan.strict,
        allow_partial=plan.allow_partial,
        scope=plan.scope,
        judged=(),
        scenarios=tuple(scenarios),
        run_findings=store.run_findings,
        run_evidence=store.run_evidence,
        run_errors=tuple(dict.fromkeys((*errors, *unreadable, *damaged))),
        evidence=tuple(stored(e) for e in evidence),
        timeline=tuple(store.timeline),
        facts=store.facts,
        command_line=tuple(redact(word).text for word in plan.command_line),
        timelines=timelines,
        waivers=tuple(plan.waivers.values()),
        inputs=_inputs(plan),
    )
    judged = judge_catalogue(plan.chosen, report.outcomes(), plan.waivers)
    told = tell(plan.guide_defects, judged, report.findings_of, plan.scope.repairs)
    named = dict.fromkeys(p.cause for f in report.findings for p in (*f.problems, *f.unclear, *f.notes) if p.cause)
    # A misspelt cause would hide a remedy; it is a defect of the suite, and said.
    strange = tuple(
        f"a finding names the cause {cause!r}, which judge/causes.yaml does not have"
        for cause in named
        if cause not in CAUSES
    )
    causes = tuple(described(cause) for cause in named if cause in CAUSES)
    return replace(report, judged=judged, guide_defects=told, causes=causes).with_run_errors(strange)


def described(cause_id: str) -> StoredCause:
    """The form in which the report holds a cause.

    Raises:
        LookupError: No cause has that id.
    """
    cause = CAUSES[cause_id]
    return StoredCause(
        id=cause.id,
        sentence=cause.sentence,
        shown_by=cause.shown_by,
        told_from={other.cause: other.told_by for other in cause.told_from},
        remedy=cause.remedy,
        check=cause.check,
        references=cause.references,
        fixed_in=f"{cause.versions.component} {cause.versions.fixed_in}" if cause.versions else "",
    )


def stored(evidence: Evidence) -> StoredEvidence:
    """How the report lists a reading."""
    return StoredEvidence(
        id=evidence.id,
        question=evidence.question,
        subject=evidence.subject,
        read_at=evidence.read_at,
        sha256=evidence.sha256,
        size=len(evidence.body.encode()),
        file=f"evidence/{evidence.id}.txt",
        parser=evidence.parser,
        redactions=evidence.redactions,
        exit_code=evidence.exit_code,
    )


def _timelines(evidence: Sequence[Evidence]) -> tuple[tuple[StoredTimeline, ...], list[str]]:
    """The timelines among the evidence, and what is to be said of those that cannot be read."""
    found, damaged = [], []
    for each in evidence:
        if each.parser == f"{parse_timeline.__module__}.{parse_timeline.__qualname__}":
            try:
                found.append(StoredTimeline(each.id, parse_timeline(decoded(each.body))))
            except CouldNotTell as error:
                damaged.append(f"{each.question} ({each.id}) cannot be drawn: {error}")
    return tuple(found), damaged


def _orphans(scenarios: Sequence[ScenarioRecord]) -> list[str]:
    """Scenarios that went wrong without any requirement that could say so."""
    return [
        f"{s.id} carries no requirement and ended {s.ending.value}: {s.reason}"
        for s in scenarios
        if not s.requirements and s.ending in (Ending.VIOLATED, Ending.BROKE)
    ]


def _left_out(plan: RunPlan, collected: set[str], chosen: set[str]) -> tuple[list[ScenarioRecord], list[str]]:
    """Scenarios that prove a chosen requirement and were not even collected, because other paths were given.

    Without them a requirement with two scenarios would pass by one of them.
    """
    if plan.features is None:
        return [], []
    missing, unreadable = [], []
    for path in feature_paths(plan.features):
        file = os.path.relpath(path, plan.root)
        try:
            scenarios = read_feature(path)
        except BadInput as error:
            unreadable.append(str(error))
            continue
        missing += [
            ScenarioRecord(
                id=f"{file}::{s.name}",
                name=s.name,
                feature=s.feature,
                rule=s.rule,
                file=file,
                line=s.line,
                requirements=s.values("requirement"),
                profile=next(iter(s.values("profile")), ""),
                safety=", ".join(s.values("safety")),
                ending=Ending.NOT_RUN,
                reason="not collected in this run",
            )
            for s in scenarios
            if chosen.intersection(s.values("requirement")) and not _was_collected(f"{file}::{s.name}", collected)
        ]
    return missing, unreadable


def _was_collected(scenario_id: str, collected: set[str]) -> bool:
    return scenario_id in collected or any(node_id.startswith(f"{scenario_id}[") for node_id in collected)


def _inputs(plan: RunPlan) -> dict[str, str]:
    if plan.features is None:
        return {}
    files = [*plan.features.glob("*.yaml"), *plan.features.glob("*.txt"), *feature_paths(plan.features)]
    return {os.path.relpath(f, plan.root): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}
