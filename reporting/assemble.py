"""Makes the report from the store: folds scenarios into verdicts, and verdicts into the result."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from facts.catalogue import About, Catalogue, Requirement
from facts.document import decoded
from facts.errors import BadInput, CouldNotTell
from facts.evidence import Evidence
from facts.finding import Finding
from facts.over_time.timeline import parse_timeline
from facts.redaction import hidden_in, redact
from judge.explain.cause import CAUSES
from judge.explain.diagnosis import explained_by, explained_findings
from judge.explain.realms import Realms
from judge.guide_defects import tell
from judge.verdict import Ending, Judged, Result, judge_catalogue, uncounted
from judge.waivers import Waiver
from reporting.collecting.store import Store
from reporting.features.gherkin_files import feature_paths, read_feature
from reporting.model import EXISTING, Report, ScenarioRecord, Scope, StoredEvidence, StoredTimeline


@dataclass(frozen=True, slots=True)
class RunPlan:
    """The decisions that were taken before the run.

    Attributes:
        catalogue: All requirements.
        profiles: Chosen profiles or groups of them.
        allowed_safety: Safety classes that this run allows.
        reports_dir: Directory below which ``<run-id>/`` and ``latest`` are made.
        revision: Git commit of the suite; empty where there is none.
        scope: Cluster kind, context and namespaces; the collector adds the rest.
        command_line: The command as the user typed it.
        strict: Whether a SHOULD that does not hold fails the run.
        allow_partial: Whether a partial result exits with 0.
        waivers: By requirement id.
        features: Directory of the feature files and the catalogue, which shows what a run left out; None if unknown.
        run_id: Name of this run and its directory; made by the collector if empty.
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
    waivers: Mapping[str, Sequence[Waiver]] = field(default_factory=dict)
    features: Path | None = None
    revision: str = ""
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
    """Makes the report of a run that has ended, in whatever way."""
    chosen = {r.id for r in plan.chosen}
    collected = store.scenarios
    scenarios = [s for s in collected if chosen.intersection(s.requirements) or s.ending is not Ending.NOT_RUN]
    errors = [*store.run_errors]
    scenarios += _left_out(plan, {s.id for s in collected}, errors)
    evidence = store.evidence
    timelines = tuple(_timelines(evidence, errors))
    report = Report(
        run_id=plan.run_id,
        suite_version=plan.suite_version,
        revision=plan.revision,
        started=plan.started,
        ended=datetime.now(UTC),
        headline="",
        result=Result.INCONCLUSIVE,
        exit_code=0,
        strict=plan.strict,
        allow_partial=plan.allow_partial,
        scope=replace(plan.scope, unverified=store.unverified, not_judged=store.not_judged, claimed=store.claimed),
        judged=(),
        scenarios=tuple(scenarios),
        run_findings=store.run_findings,
        run_evidence=store.run_evidence,
        run_errors=tuple(dict.fromkeys(errors)),
        evidence=tuple(stored(e) for e in evidence),
        timeline=tuple(store.timeline),
        facts=store.facts,
        command_line=tuple(redact(word).text for word in plan.command_line),
        timelines=timelines,
        handshakes=store.handshakes,
        diagnoses=store.diagnoses,
        waivers=tuple(each for several in plan.waivers.values() for each in several),
        inputs=_inputs(plan),
    )
    outcomes = report.outcomes()
    judged = judge_catalogue(plan.chosen, outcomes, plan.waivers, existing=plan.scope.cluster == EXISTING)
    if report.scope.claimed:
        judged = tuple(replace(j, claimed=_rests_on(PROXY_ANSWERS, report, j)) for j in judged)
    told = tell(plan.catalogue.guide_defects, judged, report.findings_of, plan.scope.repairs)
    named = dict.fromkeys(p.cause for f in report.findings for p in f.stated if p.cause)
    # A misspelt cause would hide a remedy: a defect of the suite, so it becomes a run error.
    strange = uncounted(plan.chosen, outcomes) + tuple(
        f"a judgment names the cause {cause!r}, which judge/explain/causes does not have"
        for cause in named
        if cause not in CAUSES
    )
    causes = tuple(CAUSES[cause] for cause in named if cause in CAUSES)
    above = _explained(report.findings, judged, store.realms)
    report = replace(report, judged=judged, guide_defects=told, causes=causes, explained_by=above).with_run_errors(strange)
    return hidden_in(report, store.hidden)  # a word of the suite's own may be a secret as well, and is no defect of it


def _explained(findings: Iterable[Finding], judged: Iterable[Judged], realms: Realms) -> Mapping[str, tuple[str, ...]]:
    """By the id of a cause that shows only because of others: the ids of these, by what is said of the install alone."""
    of_install = {j.requirement.id: j.requirement for j in judged if j.requirement.about is About.INSTALL}
    told = [f for f in findings if f.requirement in of_install and all(p.cause in CAUSES for p in f.stated if p.cause)]
    return explained_by(explained_findings(told, of_install, realms=realms))


PROXY_ANSWERS = "GET https://"
"""Beginning of the question of each answer of Teleport's proxy, which needs no session."""


def _rests_on(question: str, report: Report, judged: Judged) -> bool:
    """Tell whether a finding about a requirement cites an answer to such a question."""
    asked = {e.id for e in report.evidence if e.question.startswith(question)}
    return any(asked.intersection(f.evidence) for f in report.findings_of(judged.requirement.id))


def stored(evidence: Evidence) -> StoredEvidence:
    """The entry of a reading in the report."""
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


def _timelines(evidence: Sequence[Evidence], damaged: list[str]) -> Iterator[StoredTimeline]:
    """The timelines among the evidence; `damaged` gets a sentence for each that cannot be read."""
    for each in evidence:
        if each.parser == f"{parse_timeline.__module__}.{parse_timeline.__qualname__}":
            try:
                yield StoredTimeline(each.id, parse_timeline(decoded(each.body)))
            except CouldNotTell as error:
                damaged.append(f"{each.question} ({each.id}) cannot be drawn: {error}")


def _left_out(plan: RunPlan, collected: set[str], unreadable: list[str]) -> Iterator[ScenarioRecord]:
    """Scenarios that prove a chosen requirement and were not even collected, because other paths were given.

    Without them a requirement with two scenarios would pass by one of them. `unreadable` gets a sentence for each file that
    cannot be read.
    """
    chosen = {r.id for r in plan.chosen}
    for path in feature_paths(plan.features) if plan.features else ():
        file = os.path.relpath(path, plan.root)
        try:
            scenarios = read_feature(path)
        except BadInput as error:
            unreadable.append(str(error))
            continue
        for s in scenarios:
            if chosen.intersection(s.values("requirement")) and not _was_collected(f"{file}::{s.name}", collected):
                yield ScenarioRecord(
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


def _was_collected(scenario_id: str, collected: set[str]) -> bool:
    return scenario_id in collected or any(node_id.startswith(f"{scenario_id}[") for node_id in collected)


def _inputs(plan: RunPlan) -> dict[str, str]:
    if plan.features is None:
        return {}
    files = [*plan.features.glob("*.yaml"), *plan.features.glob("*.txt"), *feature_paths(plan.features)]
    return {os.path.relpath(f, plan.root): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}
