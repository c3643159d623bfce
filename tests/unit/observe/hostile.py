"""Texts that a tenant writes to harm others, and everything that leaves the suite, where no secret may be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hypothesis import strategies as st

from facts.evidence import Evidence, ObjectRef
from facts.finding import Finding, Holds, Problem
from judge.verdict import Ending
from reporting.assemble import stored
from reporting.collecting.store import Store
from reporting.model import StepState
from reporting.writing.document import to_json
from reporting.writing.html import to_html
from reporting.writing.junit import to_junit
from reporting.writing.last_look import last_look
from reporting.writing.terminal import summary
from tests.unit.facts.canaries import CANARIES
from tests.unit.reporting import sample

MARKERS = ("-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----")
WORST = (
    *MARKERS,
    "password" + "\\" * 40_000,
    'password: \\"',
    '{\\"client_secret\\": \\"',
    '\\", \\"x\\": \\"',
    '"}]}',
    "--token",
    "Bearer ",
    "tbot+proxy+token://",
    "eyJ" + "a" * 40 + ".",
    "\n---\n",
    "\u202e\x1b[2J\x00",
    "\ud800",
)

HOSTILE_TEXTS = st.lists(
    st.one_of(
        st.sampled_from(WORST),
        st.sampled_from([canary.text for canary in CANARIES]),
        st.text(max_size=30),
        st.lists(st.sampled_from(WORST), max_size=3).map(lambda parts: "".join(part[:200] for part in parts)),
    ),
    min_size=1,
    max_size=8,
)


def outputs(evidence: Evidence, finding: Finding, error: Exception) -> Iterator[str]:
    """Everything that leaves the suite, as it is written to files and to the terminal."""
    store = Store()
    store.plan(sample.scenario("A-1", sample.step(StepState.NOT_RUN), ending=Ending.NOT_RUN))
    store.begin_scenario("features/a.feature::S A-1")
    store.begin_step(0)
    store.record(evidence)
    store.conclude(finding)
    store.end_step(StepState.VIOLATED, str(error))
    store.lower("features/a.feature::S A-1", Ending.VIOLATED, str(error))
    store.run_error(str(error))
    yield store.told(str(error))
    made = sample.report(scenarios=store.scenarios, run_evidence=(), evidence=tuple(stored(e) for e in store.evidence))
    made = made.with_run_errors(store.run_errors)
    report, bodies = last_look(made, {e.id: e.body for e in store.evidence}, store.hidden)
    assert report.run_errors == made.run_errors, "a tenant spoils no run"
    assert bodies == {e.id: e.body for e in store.evidence}, "what was judged is what is stored"
    yield from bodies.values()
    yield from (to_json(report), to_html(report, bodies), to_junit(report))
    yield from (text for text, _look in summary(report, Path("reports")))


def quoting(evidence: Evidence, *texts: str) -> Finding:
    """A finding that quotes what was read."""
    subject = ObjectRef("Pod", "hostile", "hostile")
    problems = tuple(Problem(subject, text or "it says nothing", evidence=(evidence.id,)) for text in texts)
    return Finding("A-1", Holds.NO, "no secret", "everything that was read", problems=problems, evidence=(evidence.id,))
