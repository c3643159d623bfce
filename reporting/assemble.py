"""Makes the report from what the store kept: folds scenarios into verdicts and verdicts into the result."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from facts.catalogue import Catalogue, Requirement
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
    """The decisions that were taken before the run.

    Attributes:
        catalogue: All requirements.
        profiles: Chosen profiles or groups of them.
        allowed_safety: Safety classes that this run allows.
        reports_dir: Directory below which ``<run-id>/`` and ``latest`` are made.
        suite_version: Version of the suite.
        scope: Cluster kind, context and namespaces; the collector fills in the rest.
        command_line: The command as the user typed it.
        strict: Whether a SHOULD that does not hold fails the run.
        allow_partial: Whether a partial result exits with 0.
        waivers: By requirement id.
        features: Directory of the feature files and the catalogue, to know what a run left out; None if unknown.
        run_id: Name of the run and of its directory; made by the collector if empty.
        refusal: Why the run cannot start, as a sentence for the user; empty if it can. Such a run ends with pytest's exit
            code for wrong usage before any fixture is set up, and its report says why.
        started: UTC.
        root: Base of the paths in the report.
    """

    catalogue: Catalogue
    profiles: tuple[str, ...]
    allowed_safety: frozenset[str]
    reports_dir: Path
    suite_version: str
    scope: Scope
    command_line: tuple[str, ...]
    strict: bool = False
    allow_partial: bool = False
    waivers: Mapping[str, Waiver] = field(default_factory=dict)
    features: Path | None = None
    run_id: str = ""
    refusal: str = ""
    started: datetime = field(default_factory=partial(datetime.now, UTC))
    root: Path = field(default_factory=Path.cwd)

    @property
    def chosen(self) -> tuple[Requirement, ...]:
        """Requirements of the chosen profiles, in catalogue order.

        Raises:
            BadInput: A profile does not exist.
        """
        return self.catalogue.chosen(self.profiles)


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
    told = tell(plan.catalogue.guide_defects, judged, report.findings_of, plan.scope.repairs)
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
