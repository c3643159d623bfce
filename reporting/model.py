"""The report: one typed model from which every file of a run is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field, WrapSerializer

from facts.evidence import ObjectRef
from facts.finding import Finding
from facts.over_time.timeline import Timeline
from facts.redaction import Own
from judge.doctor import ToldRow
from judge.explain.cause import Cause
from judge.guide_defects import ToldDefect
from judge.mtls.told import Handshakes
from judge.verdict import Authority, Ending, Judged, Result, ScenarioOutcome, exit_code, headline, judge_run
from judge.waivers import Waiver

SCHEMA_VERSION = 2

EXISTING = "existing"
"""`Scope.cluster` of a cluster that the suite did not make."""

WrittenFinding = Annotated[Finding, WrapSerializer(lambda finding, dumped: dumped(finding) | {"seen": finding.seen})]
"""A finding. A document has its sentence too, which is made from its parts, so that nothing reads it back."""


class StepState(StrEnum):
    """The end of one step."""

    PASSED = "passed"
    VIOLATED = "violated"
    """The step found that a requirement does not hold."""
    BROKE = "broke"
    """The step could not tell, was undefined, or raised something else."""
    SKIPPED = "skipped"
    NOT_RUN = "not-run"


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One step as it was run.

    Attributes:
        keyword: ``Given``, ``When``, ``Then``, ``And``, ``But`` or ``*``.
        text: The sentence, with the values of its example in it.
        argument: The doc string or table below it; empty without one.
        state: Its end.
        seconds: From its start to its end, including the fixtures that it asked for.
        evidence: Ids of the readings made or used in it.
        findings: Its conclusions.
        error: Why it did not pass; empty if it did.
    """

    keyword: Own[str]
    text: Own[str]
    argument: Own[str] = ""
    state: StepState = StepState.NOT_RUN
    seconds: float = 0.0
    evidence: Own[tuple[str, ...]] = ()
    findings: tuple[WrittenFinding, ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True)
class ScenarioRecord:
    """One scenario as it was run, or not run.

    Attributes:
        id: Node id, ``file::scenario``; give it to pytest to run the scenario again.
        name: Its name, with the values of its example in it.
        feature: Name of its feature.
        rule: Name of its rule; empty without one.
        file: Path of the feature file, relative to the project.
        line: Line of the scenario in it.
        requirements: Ids from its tags, in catalogue order.
        profile: From its tag.
        safety: From its tag; empty without one.
        ending: Its end.
        reason: Why it did not complete; empty if it did.
        started: UTC; None if it never started.
        seconds: Set-up, steps and clean-up.
        steps: In order, Background first; also those that were never reached.
        evidence: Ids of readings made in its set-up or clean-up, outside any step.
        findings: Conclusions drawn there.
    """

    id: Own[str]
    name: Own[str]
    feature: Own[str]
    rule: Own[str]
    file: Own[str]
    line: int
    requirements: Own[tuple[str, ...]]
    profile: Own[str]
    safety: Own[str]
    ending: Ending
    reason: str = ""
    started: datetime | None = None
    seconds: float = 0.0
    steps: tuple[StepRecord, ...] = ()
    evidence: Own[tuple[str, ...]] = ()
    findings: tuple[WrittenFinding, ...] = ()

    @property
    def all_findings(self) -> tuple[Finding, ...]:
        """The conclusions of its steps, its set-up and its clean-up."""
        return (*(f for s in self.steps for f in s.findings), *self.findings)

    @property
    def all_evidence(self) -> tuple[str, ...]:
        """Ids of its readings, each once, in the order of their first use."""
        return tuple(dict.fromkeys((*(e for s in self.steps for e in s.evidence), *self.evidence)))

    def outcome(self) -> ScenarioOutcome:
        """The part of it that the verdict needs."""
        return ScenarioOutcome(
            name=self.id,
            requirements=self.requirements,
            ending=self.ending,
            evidence=len({e for s in self.steps for e in s.evidence}),
            findings=self.all_findings,
            reason=self.reason,
            began=self.started is not None,
            is_cut_short=any(step.state is StepState.NOT_RUN for step in self.steps),
        )


@dataclass(frozen=True, slots=True)
class StoredEvidence:
    """A reading as the report lists it; its body is in a file beside the report.

    Attributes:
        id: Its id.
        question: The command line, API path or URL.
        subject: The object that was read.
        read_at: UTC.
        sha256: Hex digest of the body in UTF-8.
        size: Bytes of the body in UTF-8.
        file: Path of the body, relative to the report.
        parser: Dotted name of the function in ``facts`` that turns the body into facts; empty for supporting evidence.
        redactions: How many secrets were taken out.
        exit_code: Of a command.
    """

    id: Own[str]
    question: str
    subject: ObjectRef
    read_at: datetime
    sha256: Own[str]
    size: int
    file: Own[str]
    parser: Own[str] = ""
    redactions: int = 0
    exit_code: int | None = None


@dataclass(frozen=True, slots=True)
class StoredTimeline:
    """A timeline as the report holds it.

    Attributes:
        evidence: Id of the evidence that it was kept as.
        timeline: Its content.
    """

    evidence: Own[str]
    timeline: Timeline


@dataclass(frozen=True, slots=True)
class Phase:
    """One phase of provisioning.

    Attributes:
        name: E.g. ``kind cluster``.
        started: UTC.
        seconds: How long it took.
        ok: Whether it succeeded.
        message: Why it failed; if it succeeded, what did not become ready all the same.
    """

    name: Own[str]
    started: datetime
    seconds: float
    ok: bool
    message: str = ""


@dataclass(frozen=True, slots=True)
class Image:
    """An image as it was observed running.

    Attributes:
        component: E.g. ``istiod``.
        reference: Name and tag, as the pod has it.
        digest: ``sha256:…`` as the node reports it; empty where unknown.
    """

    component: str
    reference: str
    digest: str = ""


@dataclass(frozen=True, slots=True)
class RunFacts:
    """Observations of the judged install. An empty value means that no step looked; it is printed as unknown.

    Attributes:
        authority: Issuer of the identities.
        authority_detail: In words, e.g. the banner of the stand-in.
        api_server: URL of the Kubernetes API server.
        kubernetes_version: Of the API server.
        node_versions: ``name version`` of each kubelet.
        istio_version: Of istiod.
        envoy_version: Of the sidecars.
        teleport_version: Of the Teleport server.
        tbot_version: As tbot or its heartbeat reports it.
        trust_domain: Of the mesh.
        images: Observed images.
    """

    authority: Authority = Authority.UNKNOWN
    authority_detail: str = ""
    api_server: str = ""
    kubernetes_version: str = ""
    node_versions: tuple[str, ...] = ()
    istio_version: str = ""
    envoy_version: str = ""
    teleport_version: str = ""
    tbot_version: str = ""
    trust_domain: str = ""
    images: tuple[Image, ...] = ()


@dataclass(frozen=True, slots=True)
class Scope:
    """The scope of a result. Always printed beside it.

    Attributes:
        cluster: ``kind`` (made for this run), ``kept`` (made by an earlier one), ``existing``, or ``none`` in a refused run.
        context: Context of the kubeconfig; empty for a cluster made here.
        install: ``recommended`` or ``as-guide``; empty where the suite installed nothing.
        repairs: Names of the guide's defects that the suite repaired in it.
        namespaces: Namespaces that were read; empty means all.
        profiles: Profiles that the user chose.
        safety: Safety classes that the run allows.
        paths: Files, folders and scenarios given to pytest; empty where they include all features.
        keyword: ``-k``.
        markers: ``-m``.
        rerun_of_failures: Whether pytest ran only earlier failures again.
        unverified: Lines of this run on which nobody verified who answers, each with what switched it off.
        not_judged: Parts of the install that the suite could not look at and did not judge, each with the reason.
        left_out: Requirements of ``core`` that the profile ``mesh`` leaves out, each group with what it needs.
        claimed: The Teleport that the run took for the authority only because tbot's own configuration names it; empty
            where the user named it, or the suite made it.
    """

    cluster: Own[str]
    context: str = ""
    install: Own[str] = ""
    repairs: Own[tuple[str, ...]] = ()
    namespaces: tuple[str, ...] = ()
    profiles: Own[tuple[str, ...]] = ()
    safety: Own[tuple[str, ...]] = ()
    paths: tuple[str, ...] = ()
    keyword: str = ""
    markers: str = ""
    rerun_of_failures: bool = False
    unverified: tuple[str, ...] = ()
    not_judged: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    claimed: str = ""

    @property
    def doubtful(self) -> tuple[str, ...]:
        """The unverified lines that leave open whose install was judged: on a cluster that the suite made, it knows."""
        return self.unverified if self.cluster == EXISTING else ()


@dataclass(frozen=True, slots=True)
class Report:
    """A whole run.

    Attributes:
        run_id: Name of this run and its directory.
        suite_version: Version of the suite.
        revision: Git commit of the suite, with ``-dirty`` where files differ from it; empty where there is none.
        started: UTC.
        ended: UTC.
        headline: The words at the top.
        result: The word over the MUSTs about the install.
        exit_code: Exit code of the result alone; pytest's own 2 to 5 take precedence.
        strict: Whether a SHOULD that does not hold fails the run.
        allow_partial: Whether a partial result exits with 0.
        scope: Scope of the result.
        judged: Every requirement of the chosen profiles, in catalogue order.
        scenarios: Every scenario that carries a tag of one of them, also those that were not selected.
        run_findings: Conclusions outside any scenario, such as those after the removal.
        run_evidence: Ids of readings made outside any scenario: shared set-up, provisioning, removal.
        run_errors: Errors outside any requirement.
        evidence: All readings, in the order in which they were made.
        timeline: Phases of provisioning.
        facts: Observations of the install.
        command_line: The command as the user typed it.
        timelines: Timelines of the scenarios that draw one up, in the order in which they ended.
        handshakes: The handshakes between the classes of the mesh's proxies, as predicted; None where the run did not judge
            them.
        diagnoses: The answers of the doctor to each state of the install that the suite made, in their order.
        guide_defects: The guide's own defects that requirements of this run catch, each with whether it was found.
        causes: Every cause that a finding of this run names, so that the report is complete without the suite.
        waivers: The user's waivers, including expired ones.
        inputs: SHA-256 of the catalogue and of each feature file, by its path.
        schema_version: Of this model.
    """

    run_id: Own[str]
    suite_version: Own[str]
    started: datetime
    ended: datetime
    headline: Own[str]
    result: Result
    exit_code: int
    strict: bool
    allow_partial: bool
    scope: Scope
    judged: tuple[Judged, ...]
    scenarios: tuple[ScenarioRecord, ...]
    run_findings: tuple[WrittenFinding, ...]
    run_evidence: Own[tuple[str, ...]]
    run_errors: tuple[str, ...]
    evidence: tuple[StoredEvidence, ...]
    timeline: tuple[Phase, ...]
    facts: RunFacts
    command_line: tuple[str, ...]
    timelines: tuple[StoredTimeline, ...] = ()
    handshakes: Handshakes | None = None
    diagnoses: tuple[ToldRow, ...] = ()
    guide_defects: tuple[ToldDefect, ...] = ()
    causes: tuple[Cause, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    # By the id of a cause that shows only because of others: the ids of these. It orders what people read.
    explained_by: Annotated[Mapping[str, tuple[str, ...]], Field(exclude=True)] = field(default_factory=dict)
    inputs: Own[Mapping[str, str]] = field(default_factory=dict)
    revision: Own[str] = ""
    schema_version: int = SCHEMA_VERSION

    @property
    def authority(self) -> Authority:
        """The issuer of the identities. A Teleport that only tbot's own configuration names is claimed, and not known."""
        named = self.facts.authority
        return Authority.UNKNOWN if self.scope.claimed and named is Authority.TELEPORT else named

    def scenarios_of(self, requirement_id: str) -> tuple[ScenarioRecord, ...]:
        """The scenarios that carry the tag of a requirement."""
        return tuple(s for s in self.scenarios if requirement_id in s.requirements)

    def timelines_of(self, scenario: ScenarioRecord) -> tuple[StoredTimeline, ...]:
        """The timelines of a scenario."""
        own = set(scenario.all_evidence)
        return tuple(t for t in self.timelines if t.evidence in own)

    def findings_of(self, requirement_id: str) -> tuple[Finding, ...]:
        """The conclusions on a requirement, in scenarios and after the run."""
        return tuple(dict.fromkeys(f for f in self.findings if f.requirement == requirement_id))

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All conclusions, in scenarios and after the run."""
        return (*(f for s in self.scenarios for f in s.all_findings), *self.run_findings)

    def outcomes(self) -> tuple[ScenarioOutcome, ...]:
        """The basis of the verdicts: every scenario, and the conclusions outside any, as if they were scenarios."""
        outside = tuple(
            ScenarioOutcome(
                name="after the scenarios",
                requirements=(requirement,),
                ending=Ending.COMPLETED,
                evidence=len({e for f in self.run_findings if f.requirement == requirement for e in f.evidence}),
                findings=tuple(f for f in self.run_findings if f.requirement == requirement),
            )
            for requirement in dict.fromkeys(f.requirement for f in self.run_findings)
        )
        return (*(s.outcome() for s in self.scenarios), *outside)

    def decided(self) -> Report:
        """The same report with result, headline and exit code taken from what it holds."""
        result = judge_run(
            self.judged,
            strict=self.strict,
            run_errors=self.run_errors,
            rerun_of_failures=self.scope.rerun_of_failures,
            unverified=self.scope.doubtful,
        )
        return replace(
            self,
            result=result,
            headline=headline(result, self.authority),
            exit_code=exit_code(result, allow_partial=self.allow_partial),
        )

    def with_run_errors(self, errors: tuple[str, ...]) -> Report:
        """The same report with further run errors, and the result that follows from them."""
        return replace(self, run_errors=(*self.run_errors, *errors)).decided()
