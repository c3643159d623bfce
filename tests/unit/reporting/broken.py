"""A report of a mesh in which much is wrong: real requirements and causes, unknowns, defects of the guide and a timeline."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml

from facts.catalogue import parse_catalogue
from facts.evidence import Evidence, ObjectRef, evidence_of
from facts.finding import Finding, Holds, Problem, Remark
from facts.measure import Measure
from facts.over_time.timeline import parse_timeline
from facts.proxies.envoy import parse_secrets
from facts.proxies.sds_mode import SdsMode
from judge.explain.cause import CAUSES
from judge.guide_defects import tell
from judge.verdict import Authority, Ending, judge_catalogue
from judge.waivers import Waiver
from reporting.assemble import stored
from reporting.collecting.policy import SAFETY_CLASSES
from reporting.model import Report, RunFacts, ScenarioRecord, Scope, StepRecord, StepState, StoredTimeline
from tests.unit.reporting import sample
from tests.unit.reporting.timelines import outage

CATALOGUE = parse_catalogue(yaml.safe_load((Path(__file__).parents[3] / "features/catalogue.yaml").read_text("utf-8")))
CHOSEN = CATALOGUE.chosen(("core",))
PODS = tuple(ObjectRef("Pod", f"checkout-7d9f6c5b48-{i:02}", "shop") for i in range(14))
GATEWAYS = tuple(ObjectRef("Pod", f"istio-ingressgateway-6b8d9c-{i:02}", "istio-system") for i in range(13))
ROLE = ObjectRef("role", "istio-workload-identity-issuer")
TBOT = ObjectRef("DaemonSet", "tbot", "teleport-system")
NODE = ObjectRef("Node", "node-2")
TIMELINE = outage()
DRAWN = evidence_of(
    f"timeline of {TIMELINE.title}",
    ObjectRef("Timeline", TIMELINE.title),
    json.dumps(TIMELINE.as_document()),
    read_at=TIMELINE.ended,
    parser=parse_timeline,
)
READINGS = {
    name: evidence_of(question, subject, f"{name}: as it was answered\n" * 4, read_at=sample.NOW, parser=parse_secrets)
    for name, question, subject in (
        ("certs", f"GET /certs of {GATEWAYS[0]} by port-forward", GATEWAYS[0]),
        ("mounts", f"cat /proc/self/mountinfo in {PODS[0]}", PODS[0]),
        ("mesh", "GET /api/v1/namespaces/istio-system/configmaps/istio", ObjectRef("ConfigMap", "istio", "istio-system")),
        ("role", "tctl get role/istio-workload-identity-issuer", ROLE),
        ("tbot", "GET /apis/apps/v1/namespaces/teleport-system/daemonsets/tbot", TBOT),
        ("probe", "log of Pod conformance/directory-node-2", NODE),
        ("calls", "ledger of Pod conformance/alpha", ObjectRef("Pod", "alpha", "conformance")),
    )
}
BODIES = {e.id: e.body for e in (*READINGS.values(), DRAWN)}


def _found(requirement: str, holds: Holds, reading: str, expected: str, where: str, **more: Any) -> Finding:
    return Finding(requirement, holds, expected, where, evidence=(READINGS[reading].id,), **more)


def _wrong(reading: str, said: str, cause: str, *subjects: ObjectRef) -> tuple[Problem, ...]:
    return tuple(Problem(subject, said, cause, (READINGS[reading].id,)) for subject in subjects)


TOO_WIDE = "it matches more than the identity: *: *"
FOUND = (
    _found(
        "INST-11", Holds.NO, "role", "the role to select labels of the identity, each by its one value", str(ROLE),
        problems=_wrong("role", TOO_WIDE, "role-too-wide", ROLE),
    ),
    _found(
        "CHK-3", Holds.NO, "role", "a role that grants the workload identity and nothing wider", "tctl get role",
        problems=_wrong("role", TOO_WIDE, "role-too-wide", ROLE),
        guide_says="The role exists.",
    ),
    _found(
        "INST-16", Holds.YES, "tbot", "no component to have a version with a known identity defect", str(TBOT),
        confirmed="tbot 18.6.4 (heartbeats of 2 instances)",
        notes=_wrong("tbot", "its tag floats", "tbot-version-floating", ObjectRef("Image", "tbot-distroless:18")),
    ),
    _found(
        "ID-08", Holds.UNKNOWN, "probe",
        "no proxy to be able to write to /run/spire/sockets on its node, or to own the socket there",
        "/run/spire/sockets on nodes node-1, node-2",
        unclear=_wrong("probe", "the probe pod did not run: ImagePullBackOff", "", NODE),
        settle="find out why the probe pod did not run with the mount of a workload (INST-04)",
    ),
    _found(
        "ID-11", Holds.NO, "certs",
        "every proxy of the mesh to have its own identity from Teleport, and no workload to lack the template",
        "27 proxies in 2 namespaces",
        problems=_wrong(
            "certs", f"as a gateway it fails ID-01, ID-03, ID-06: {SdsMode.ISTIO_CA.told}",
            "gateway-without-socket", *GATEWAYS[:12],
        ),
        unclear=_wrong("certs", "the suite could not read it: the port-forward ended after 10 s", "", GATEWAYS[12]),
        held=tuple(Remark(pod, "it meets ID-01 to ID-06") for pod in PODS),
    ),
    _found(
        "ID-12", Holds.NO, "mounts", "each proxy to mount the directory of its socket read-only in effect",
        "/var/run/secrets/workload-spiffe-uds in 14 proxies",
        problems=_wrong("mounts", "its proxy mounts the directory writable", "mount-writable", *PODS[:3]),
    ),
    _found(
        "NEG-07", Holds.NO, "tbot", "tbot and every proxy to use one socket name other than `socket`",
        f"{TBOT} and 14 proxies on its sockets",
        problems=_wrong(
            "tbot", "its socket is called `socket`: a proxy that starts without it falls back to istiod and becomes Ready",
            "socket-name-default", TBOT,
        ),
        guide_says="the guide calls it `socket`",
    ),
    _found(
        "TRF-05", Holds.NO, "calls", "each of 3 requests through the gateway to arrive under the gateway's own identity",
        f"{GATEWAYS[0]} to Pod conformance/beta",
        problems=_wrong("calls", "3 of 3 requests failed: 503 UF", "gateway-without-socket", GATEWAYS[0]),
    ),
    _found(
        "ROT-03", Holds.NO, "calls", "every request to be answered", "Pod conformance/alpha to Pod conformance/beta",
        problems=_wrong("calls", "3 of 480 requests failed: 503 UF", "", ObjectRef("Pod", "alpha", "conformance")),
        measures=(Measure("failed requests", 3, at_most=0),),
    ),
)  # fmt: skip
BY_REQUIREMENT = {f.requirement: f for f in FOUND}
NOT_APPLICABLE = next(r for r in CHOSEN if r.not_applicable_when and r.id not in BY_REQUIREMENT)
ENDS = {
    Holds.NO: (StepState.VIOLATED, Ending.VIOLATED),
    Holds.UNKNOWN: (StepState.BROKE, Ending.BROKE),
    Holds.YES: (StepState.PASSED, Ending.COMPLETED),
}
NOT_GIVEN = (
    "expected the audit events of Teleport; saw no source of them (setting audit_events)."
    " What to do: give a file of JSON lines with --audit-events"
)
BROKE = "expected an answer of the API server; saw HTTP 500 (https://10.0.0.1:6443). What would settle it: ask again"


def _scenario(requirement: str, steps: tuple[StepRecord, ...], ending: Ending, reason: str = "") -> ScenarioRecord:
    made = sample.scenario(requirement, *steps, ending=ending, reason=reason)
    promised = CATALOGUE[requirement]
    return replace(made, name=promised.sentence, feature=f"The {promised.profile} of the mesh", profile=promised.profile)


def _proven(requirement: str) -> ScenarioRecord:
    given = StepRecord("Given", "the mesh as it is", "", StepState.PASSED, 0.4)
    ids = (READINGS["mesh"].id,)
    match requirement:
        case found if finding := BY_REQUIREMENT.get(found):
            state, ending = ENDS[finding.holds]
            more = (DRAWN.id,) if requirement == "ROT-03" else ()
            then = replace(sample.step(state, finding), evidence=(*finding.evidence, *more))
            return _scenario(requirement, (given, then), ending)
        case "ID-10":
            return _scenario(requirement, (given,), Ending.NOT_RUN, NOT_GIVEN)
        case "INST-02" | "ROT-05":
            return _scenario(requirement, (replace(given, state=StepState.BROKE, error=BROKE),), Ending.BROKE, BROKE)
    condition = NOT_APPLICABLE.not_applicable_when[0] if requirement == NOT_APPLICABLE.id else ""
    holds = Holds.NOT_APPLICABLE if condition else Holds.YES
    confirmed = "" if condition else "14 of 14 proxies hold it"
    finding = _found(requirement, holds, "mesh", "it to hold", "the mesh", condition=condition, confirmed=confirmed)
    return _scenario(
        requirement,
        (given, replace(sample.step(StepState.PASSED, finding), evidence=ids)),
        Ending.COMPLETED,
    )


def report() -> Report:
    """A failed certification of an existing mesh that allows everything; every kind of verdict but *skipped* is in it."""
    waivers = {"ID-12": (Waiver("ID-12", "platform-team", "until release 12"),)}
    evidence: tuple[Evidence, ...] = (*READINGS.values(), DRAWN)
    made = replace(
        sample.report(),
        scope=Scope(cluster="existing", context="staging", profiles=("core",), safety=SAFETY_CLASSES),
        scenarios=tuple(_proven(r.id) for r in CHOSEN),
        run_evidence=(),
        run_errors=(),
        evidence=tuple(map(stored, evidence)),
        timelines=(StoredTimeline(DRAWN.id, TIMELINE),),
        facts=RunFacts(authority=Authority.TELEPORT, authority_detail="Teleport cluster teleport.example.com"),
        causes=tuple(CAUSES[c] for c in dict.fromkeys(p.cause for f in FOUND for p in (*f.problems, *f.notes)) if c),
        command_line=("pytest", "features/", "--cluster", "existing", "--context", "staging", "--allow", "disruptive"),
        waivers=waivers["ID-12"],
        ended=sample.NOW + timedelta(minutes=4, seconds=12),
    )
    judged = judge_catalogue(CHOSEN, made.outcomes(), waivers)
    defects = tell(CATALOGUE.guide_defects, judged, made.findings_of)
    return replace(made, judged=judged, guide_defects=defects).decided()
