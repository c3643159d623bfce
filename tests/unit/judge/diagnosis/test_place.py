"""The causes that concern one pod, or one namespace."""

from __future__ import annotations

from facts.evidence import ObjectRef
from facts.finding import Problem
from judge.diagnosis.diagnosis import Checked, Diagnosis, Outcome, diagnosed
from judge.diagnosis.place import Place, concerning

A, B = ObjectRef("Pod", "a", "shop"), ObjectRef("Pod", "b", "bank")
PROBLEMS = {
    "template-not-requested": A,
    "pod-started-before-tbot": B,
    "tbot-not-on-node": ObjectRef("Node", "node-1"),
    "trust-domain-differs": ObjectRef("", "Istio in istio-system"),
}


def left(place: Place, problems: dict[str, ObjectRef] | None = None) -> set[str]:
    return {each.cause.id for each in concerning(_of(problems or PROBLEMS), place).causes}


def _of(problems: dict[str, ObjectRef]) -> Diagnosis:
    found = tuple(Problem(subject, "wrong", cause) for cause, subject in problems.items())
    return diagnosed([Checked("part", "t", "ID-01", Outcome.PROBLEM, "s", found)], {})


def test_a_pod_is_concerned_by_what_names_it_its_node_or_no_place_at_all() -> None:
    assert left(Place.of_pod(A, "node-1")) == {"template-not-requested", "tbot-not-on-node", "trust-domain-differs"}
    assert left(Place.of_pod(A, "node-2")) == {"template-not-requested", "trust-domain-differs"}


def test_a_namespace_is_concerned_by_its_pods_and_by_every_node() -> None:
    assert left(Place.of_namespace("bank")) == {"pod-started-before-tbot", "tbot-not-on-node", "trust-domain-differs"}


def test_what_has_no_cause_is_left_out_as_well_and_a_reading_that_failed_is_not() -> None:
    odd = Checked("part", "t", "ID-01", Outcome.PROBLEM, "s", (Problem(A, "odd"), Problem(B, "odder")))
    failed = Checked("part", "u", "ID-01", Outcome.UNKNOWN, "no answer")
    made = concerning(diagnosed([odd, failed], {}), Place.of_pod(A, "node-1"))
    assert [each.said for each in made.undetermined] == ["Pod shop/a: odd", "no answer"]


def test_a_cause_concerns_a_pod_that_is_among_its_effects() -> None:
    problems = {"annotation-on-namespace": ObjectRef("Namespace", "shop"), "template-not-requested": A}
    assert left(Place.of_pod(A, "node-9"), problems) == {"annotation-on-namespace"}
