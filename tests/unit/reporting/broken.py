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
from judge.causes import CAUSES
from judge.guide_defects import tell
from judge.verdict import Authority, Ending, Waiver, judge_catalogue
from reporting.assemble import stored
from reporting.model import Report, RunFacts, ScenarioRecord, Scope, StepRecord, StepState, StoredTimeline
from tests.unit.reporting import sample
from tests.unit.reporting.timelines import outage

CATALOGUE = parse_catalogue(yaml.safe_load((Path(__file__).parents[3] / "features/catalogue.yaml").read_text("utf-8")))
CHOSEN = CATALOGUE.chosen(("core",))
PODS = tuple(ObjectRef("Pod", f"checkout-7d9f6c5b48-{i:02}", "shop") for i in range(14))
GATEWAY = ObjectRef("Deployment", "istio-ingressgateway", "istio-system")
TBOT = ObjectRef("DaemonSet", "tbot", "teleport-system")
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
        ("certs", "GET /certs of Pod shop/checkout-7d9f6c5b48-00 by port-forward", PODS[0]),
        ("mesh", "GET /api/v1/namespaces/istio-system/configmaps/istio", ObjectRef("ConfigMap", "istio", "istio-system")),
        ("gateway", "GET /apis/apps/v1/namespaces/istio-system/deployments/istio-ingressgateway", GATEWAY),
        ("tbot", "GET /apis/apps/v1/namespaces/teleport-system/daemonsets/tbot", TBOT),
        ("calls", "calls of Pod conformance/client, 40 requests", ObjectRef("Pod", "client", "conformance")),
    )
}
BODIES = {e.id: e.body for e in (*READINGS.values(), DRAWN)}


def _found(requirement: str, holds: Holds, reading: str, expected: str, where: str, **more: Any) -> Finding:
    return Finding(requirement, holds, expected, where, evidence=(READINGS[reading].id,), **more)


def _wrong(reading: str, said: str, cause: str, *subjects: ObjectRef) -> tuple[Problem, ...]:
    return tuple(Problem(subject, said, cause, (READINGS[reading].id,)) for subject in subjects)


FOUND = (
    _found(
        "INST-06", Holds.NO, "mesh", "the trust domain teleport.example.com", "ConfigMap istio-system/istio",
        problems=_wrong("mesh", "`meshConfig.trustDomain` is cluster.local", "trust-domain-differs",
                        ObjectRef("ConfigMap", "istio", "istio-system")),
    ),
    _found(
        "INST-16", Holds.NO, "tbot", "tbot 18.6.4 or later under a fixed tag", "DaemonSet teleport-system/tbot",
        problems=_wrong("tbot", "runs tbot-distroless:18, a floating tag", "tbot-version-floating", TBOT),
    ),
    _found(
        "ID-02", Holds.NO, "certs", "a certificate of Teleport's SPIFFE authority in every proxy", "15 proxies",
        problems=(
            *_wrong("certs", "its certificate was issued by O=cluster.local", "template-not-requested", *PODS[:12]),
            *_wrong("certs", "its certificate was issued by O=cluster.local", "gateway-without-socket", GATEWAY),
        ),
        unclear=_wrong("certs", "the port-forward ended after 10 s without an answer", "", PODS[12]),
        held=(Remark(PODS[13], "its certificate was issued by Teleport"),),
        left_out=(Remark(ObjectRef("Pod", "migrate-x2", "shop"), "it is being deleted"),),
        guide_says="`istioctl proxy-config secret` prints ACTIVE for every pod.",
    ),
    _found(
        "TRF-01", Holds.NO, "calls", "every request to be answered", "client to server, 40 requests",
        problems=(Problem(ObjectRef("Pod", "client", "conformance"), "40 of 40 requests failed: 503 UF", "",
                          (READINGS["calls"].id,)),),
        measures=(Measure("failed requests", 40, at_most=0),),
    ),
    _found(
        "TRF-05", Holds.NO, "gateway", "a socket of tbot in the gateway", "Deployment istio-system/istio-ingressgateway",
        problems=_wrong("gateway", "mounts no socket directory", "gateway-without-socket", GATEWAY),
    ),
    _found(
        "ID-12", Holds.NO, "certs", "read-only mounts of the socket directory", "15 pods",
        problems=_wrong("certs", "mounts /run/spire/sockets writable", "mount-writable", *PODS[:3]),
    ),
    _found(
        "ID-08", Holds.UNKNOWN, "certs", "an answer of each proxy", "15 proxies",
        unclear=_wrong("certs", "the port-forward ended after 10 s without an answer", "", PODS[12]),
        settle="Free a port, or raise --timeout-scale, and run the suite again",
    ),
    _found(
        "CHK-8", Holds.UNKNOWN, "tbot", "tbot's bundle in each proxy", "15 proxies",
        unclear=_wrong("tbot", "the proxy holds no bundle yet", "bundle-not-delivered", PODS[13]),
        settle="Read the proxy again after tbot's next renewal",
    ),
)  # fmt: skip
BY_REQUIREMENT = {f.requirement: f for f in FOUND}
NOT_APPLICABLE = next(r for r in CHOSEN if r.not_applicable_when and r.id not in BY_REQUIREMENT)
BROKE = "expected an answer of the API server; saw HTTP 500 (https://10.0.0.1:6443). What would settle it: ask again"


def _scenario(requirement: str, steps: tuple[StepRecord, ...], ending: Ending, reason: str = "") -> ScenarioRecord:
    made = sample.scenario(requirement, *steps, ending=ending, reason=reason)
    profile = CATALOGUE[requirement].profile
    return replace(made, name=f"{requirement} is proven", feature=f"The {profile} of the mesh", profile=profile)


def _proven(requirement: str) -> ScenarioRecord:
    given = StepRecord("Given", "the mesh as it is", "", StepState.PASSED, 0.4)
    ids = (READINGS["mesh"].id,)
    match requirement:
        case found if finding := BY_REQUIREMENT.get(found):
            negative = finding.holds is Holds.NO
            then = sample.step(StepState.VIOLATED if negative else StepState.BROKE, finding)
            ending = Ending.VIOLATED if negative else Ending.BROKE
            return _scenario(requirement, (given, replace(then, evidence=finding.evidence)), ending)
        case "ID-10":
            return _scenario(requirement, (given,), Ending.NOT_RUN, "no audit events. What to do: give --audit-events FILE")
        case "INST-02" | "INST-03":
            return _scenario(requirement, (replace(given, state=StepState.BROKE, error=BROKE),), Ending.BROKE, BROKE)
        case "NEG-02" | "NEG-03":
            return _scenario(requirement, (given,), Ending.SKIPPED_BY_POLICY, "needs --allow namespaced")
    condition = NOT_APPLICABLE.not_applicable_when[0] if requirement == NOT_APPLICABLE.id else ""
    holds = Holds.NOT_APPLICABLE if condition else Holds.YES
    confirmed = "" if condition else "14 of 14 proxies hold it"
    finding = _found(requirement, holds, "mesh", "it to hold", "the mesh", condition=condition, confirmed=confirmed)
    more = (DRAWN.id,) if requirement == "ROT-02" else ()
    return _scenario(
        requirement,
        (given, replace(sample.step(StepState.PASSED, finding), evidence=(*ids, *more))),
        Ending.COMPLETED,
    )


def report() -> Report:
    """A failed certification of an existing mesh; every kind of verdict is in it."""
    waivers = {"ID-12": Waiver("ID-12", "platform-team", "until release 12")}
    evidence: tuple[Evidence, ...] = (*READINGS.values(), DRAWN)
    made = replace(
        sample.report(),
        scope=Scope(cluster="existing", context="staging", profiles=("core",), safety=("read-only",)),
        scenarios=tuple(_proven(r.id) for r in CHOSEN),
        run_evidence=(),
        run_errors=(),
        evidence=tuple(map(stored, evidence)),
        timelines=(StoredTimeline(DRAWN.id, TIMELINE),),
        facts=RunFacts(authority=Authority.TELEPORT, authority_detail="Teleport cluster teleport.example.com"),
        causes=tuple(CAUSES[c] for c in dict.fromkeys(p.cause for f in FOUND for p in (*f.problems, *f.unclear)) if c),
        command_line=("pytest", "features/", "--cluster", "existing", "--context", "staging"),
        waivers=tuple(waivers.values()),
        ended=sample.NOW + timedelta(minutes=4, seconds=12),
    )
    judged = judge_catalogue(CHOSEN, made.outcomes(), waivers)
    defects = tell(CATALOGUE.guide_defects, judged, made.findings_of)
    return replace(made, judged=judged, guide_defects=defects).decided()
