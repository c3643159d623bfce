"""A report with one of everything, made by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from facts.catalogue import About, Level, Requirement
from facts.evidence import Evidence, ObjectRef, evidence_of
from facts.finding import Finding, Holds, Problem, Remark
from facts.proxies.mounts import parse_mountinfo
from judge.explain.cause import CAUSES, Cause
from judge.verdict import Authority, Ending, Result, judge_catalogue
from judge.waivers import Waiver
from reporting.assemble import stored
from reporting.model import Image, Phase, Report, RunFacts, ScenarioRecord, Scope, StepRecord, StepState

NOW = datetime(2026, 11, 24, 8, 30, tzinfo=UTC)


def requirement(identifier: str, **changes: object) -> Requirement:
    plain = Requirement(
        id=identifier,
        sentence=f"What {identifier} promises <b>holds</b>.",
        level=Level.MUST,
        about=About.INSTALL,
        profile=identifier.split("-", maxsplit=1)[0].lower(),
        source="Guide, Step 2",
        really_known_by="Reading `mesh`.",
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def reading(name: str, body: str = "answer") -> Evidence:
    return evidence_of(
        f"kubectl get {name}",
        ObjectRef("Pod", name, "ns", "uid-1", "7"),
        body,
        read_at=NOW,
        parser=parse_mountinfo,
        exit_code=0,
    )


MESH = ObjectRef("ConfigMap", "y", "x")
CAUSE = "trust-domain-differs"


def finding(requirement_id: str, holds: Holds, evidence: Evidence, cause: str = "", **more: Any) -> Finding:
    """A finding on one ConfigMap, which says `trust domain b`; `more` goes before what is made here."""
    statement = Problem(MESH, "trust domain b", cause, (evidence.id,))
    made: dict[Holds, dict[str, Any]] = {
        Holds.NO: {"problems": (statement,)},
        Holds.UNKNOWN: {"unclear": (statement,), "settle": "ask istiod"},
        Holds.YES: {"held": (Remark(MESH, "trust domain b"),)},
        Holds.NOT_APPLICABLE: {},
    }
    return Finding(
        requirement_id, holds, "trust domain a", "ConfigMap x/y", evidence=(evidence.id,), **{**made[holds], **more}
    )


def scenario(requirement_id: str, *steps: StepRecord, ending: Ending = Ending.COMPLETED, reason: str = "") -> ScenarioRecord:
    return ScenarioRecord(
        id=f"features/a.feature::S {requirement_id}",
        name=f"S {requirement_id}",
        feature="F",
        rule="",
        file="features/a.feature",
        line=4,
        requirements=(requirement_id,),
        profile="a",
        safety="read-only",
        ending=ending,
        reason=reason,
        started=None if ending is Ending.NOT_RUN else NOW,
        seconds=0.25,
        steps=steps,
    )


def step(state: StepState, *findings: Finding, evidence: tuple[Evidence, ...] = (), error: str = "") -> StepRecord:
    return StepRecord("Then", f"it is {state.value}", "", state, 0.125, tuple(e.id for e in evidence), findings, error)


ONE, TWO, LONG = reading("one"), reading("two", '<script>alert(1)</script> "quoted" \x00'), reading("long", "x" * 70_000)
BODIES = {e.id: e.body for e in (ONE, TWO, LONG)}


def in_report(cause: str) -> Cause:
    """A cause as a report has it, without what is for the doctor and for docs/troubleshooting.md alone."""
    return CAUSES[cause].model_copy(
        update={"guide": None, "explains": (), "settled_by": None, "symptoms": (), "lasts_as": None}
    )


def report(**changes: object) -> Report:
    """A failed rehearsal; `changes` replace fields before it is judged."""
    chosen = (
        requirement(
            "A-1", guide_words="`istioctl version` verifies it.", guide_section="Step 0", not_enough="It always succeeds."
        ),
        requirement("A-2"),
        requirement("A-3", level=Level.SHOULD),
        requirement("B-1"),
        requirement("B-2"),
        requirement("B-3", not_applicable_when=("there is no gateway",)),
        requirement("B-4"),
    )
    gateway = "there is no gateway"
    scenarios = (
        scenario(
            "A-1", step(StepState.PASSED, finding("A-1", Holds.YES, ONE, guide_says="It prints 1.30."), evidence=(ONE,))
        ),
        scenario(
            "A-2",
            step(StepState.PASSED, evidence=(ONE, LONG)),
            step(StepState.VIOLATED, finding("A-2", Holds.NO, TWO, CAUSE), evidence=(TWO,), error="A-2: expected …"),
            step(StepState.NOT_RUN),
            ending=Ending.VIOLATED,
            reason="A-2: expected …",
        ),
        scenario(
            "A-3", step(StepState.BROKE, error="KeyError: 'x'"), ending=Ending.BROKE, reason="KeyError: 'x'\n  a.py:1 in f"
        ),
        scenario("B-1", step(StepState.NOT_RUN), ending=Ending.SKIPPED_BY_POLICY, reason="needs --allow disruptive"),
        scenario("B-2", step(StepState.VIOLATED, finding("B-2", Holds.NO, TWO), evidence=(TWO,)), ending=Ending.VIOLATED),
        scenario(
            "B-3", step(StepState.PASSED, finding("B-3", Holds.NOT_APPLICABLE, ONE, condition=gateway), evidence=(ONE,))
        ),
        scenario("B-4", step(StepState.NOT_RUN), ending=Ending.NOT_RUN, reason="never started"),
    )
    waiver = Waiver("B-2", "platform-team", "until release 12")
    unjudged = Report(
        run_id="20261124T083000Z-abcd",
        suite_version="1.2.3",
        started=NOW,
        ended=NOW + timedelta(seconds=75),
        headline="",
        result=Result.INCONCLUSIVE,
        exit_code=0,
        strict=False,
        allow_partial=False,
        scope=Scope(cluster="existing", context="staging", profiles=("core",), safety=("read-only",), keyword="A"),
        judged=(),
        scenarios=scenarios,
        run_findings=(),
        run_evidence=(LONG.id,),
        run_errors=("clean-up of 'cluster' failed: a namespace is left",),
        evidence=tuple(map(stored, (ONE, TWO, LONG))),
        timeline=(
            Phase("kind cluster", NOW, 30.0, True),
            Phase("Istio", NOW + timedelta(seconds=30), 12.5, False, "no image"),
        ),
        facts=RunFacts(
            authority=Authority.STAND_IN,
            istio_version="1.31.0",
            node_versions=("a v1.36.2",),
            images=(Image("tbot", "tbot:18.6.4", "sha256:ab"), Image("istiod", "pilot:1")),
        ),
        command_line=("pytest", "features/", "-k", "A and B"),
        waivers=(waiver,),
        causes=(in_report(CAUSE),),
        inputs={"features/a.feature": "ab" * 32},
    )
    unjudged = replace(unjudged, **changes)  # type: ignore[arg-type]
    return replace(unjudged, judged=judge_catalogue(chosen, unjudged.outcomes(), {"B-2": (waiver,)})).decided()
