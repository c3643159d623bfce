"""The page of a large mesh: a browser opens it, whatever the number of its pods."""

from __future__ import annotations

from dataclasses import replace

import pytest

from facts.evidence import Evidence, ObjectRef, evidence_of
from facts.finding import Finding, Holds, Problem, Remark
from facts.proxies import envoy
from observe.proxies.envoy import PARSERS
from reporting.assemble import stored
from reporting.model import Report, StepState
from reporting.writing.html import to_html
from tests.data import text
from tests.unit.reporting import sample

MOST = 4_000_000
"""Characters of the page of a mesh of 80 pods."""
REQUIREMENTS = 7
"""Requirements about each proxy."""
READINGS = {
    envoy.ACTIVE_SECRETS: "active_secrets.json",
    envoy.BOOTSTRAP: "bootstrap.json",
    envoy.SDS_HOSTS: "sds_hosts.json",
    envoy.SERVER: "server.json",
    envoy.AGENT_METRICS: "agent_metrics.txt",
    envoy.INBOUND_LISTENERS: "inbound_listeners.json",
}
"""What is asked of each proxy, with a captured answer."""


def mesh_of(size: int, *, failing: bool) -> tuple[Report, dict[str, str]]:
    """A report of scenarios that each look at every pod, with the bodies of its readings."""
    pods = [ObjectRef("Pod", f"checkout-7d9f6c5b48-{number:03}", "shop", f"uid-{number}") for number in range(size)]
    answers = {path: text(f"healthy/{name}") for path, name in READINGS.items()}
    read: dict[ObjectRef, list[Evidence]] = {
        pod: [
            evidence_of(f"GET {path} of {pod}", pod, answer, read_at=sample.NOW, parser=PARSERS[path])
            for path, answer in answers.items()
        ]
        for pod in pods
    }
    every = tuple(evidence for of_pod in read.values() for evidence in of_pod)
    found = Finding(
        "A-1",
        Holds.NO if failing else Holds.YES,
        "each proxy to carry its own name",
        f"{size} sidecars",
        problems=tuple(Problem(p, f"it carries {p.name}", "", tuple(e.id for e in read[p])) for p in pods if failing),
        held=tuple(Remark(pod, f"it carries {pod.name}") for pod in pods if not failing),
        evidence=tuple(evidence.id for evidence in every),
    )
    scenarios = tuple(
        replace(
            sample.scenario("A-1", sample.step(StepState.PASSED, found, evidence=every)), id=f"features/a.feature::S {n}"
        )
        for n in range(REQUIREMENTS)
    )
    made = sample.report()
    report = replace(
        made,
        scenarios=(*made.scenarios, *scenarios),
        evidence=(*made.evidence, *(stored(evidence) for evidence in every)),
    )
    return report, sample.BODIES | {evidence.id: evidence.body for evidence in every}


@pytest.mark.parametrize("failing", [False, True])
def test_the_page_of_a_mesh_of_80_pods_is_small(*, failing: bool) -> None:
    assert len(to_html(*mesh_of(80, failing=failing))) < MOST
