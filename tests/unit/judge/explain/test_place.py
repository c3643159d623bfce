"""The causes that concern one pod, or one namespace."""

from __future__ import annotations

import pytest

from facts.evidence import ObjectRef
from facts.finding import Problem, Remark
from judge.explain.diagnosis import Diagnosis, diagnosed
from judge.explain.place import Place, concerning
from judge.explain.realms import Realms
from judge.explain.results import CheckResult, Outcome
from tests.unit.judge import builders as make

A, B = ObjectRef("Pod", "a", "shop"), ObjectRef("Pod", "b", "bank")
PROBLEMS = {
    "template-not-requested": A,
    "pod-started-before-tbot": B,
    "tbot-not-on-node": ObjectRef("Node", "node-1"),
    "trust-domain-differs": ObjectRef("", "Istio in istio-system"),
}


def on(node: str) -> Realms:
    """The pods, the first one on a node of that name, served by the tbot there."""
    tbot = make.tbot(make.tbot_pod(node="node-1"))
    pods = [make.pod("a", namespace="shop", node=node), make.pod("b", namespace="bank", node="node-3"), *tbot.pods.values()]
    return Realms({str(pod.ref): pod for pod in pods}, make.tbots(tbot), make.planes())


@pytest.mark.parametrize(
    ("subject", "is_concerned"),
    [
        (make.tbot_pod().ref, True),
        (make.daemon_set(make.pod_spec()).ref, True),
        (ObjectRef("ConfigMap", "tbot-config", "teleport-system"), True),
        (ObjectRef("ServiceAccount", "tbot", "teleport-system"), True),
        (make.deployment().ref, True),
        (ObjectRef("Teleport", "role/istio"), True),
        (ObjectRef("EnvoyFilter", "all", "istio-system"), True),
        (ObjectRef("Namespace", "shop"), True),
        (make.tbot_pod("tbot-2").ref, False),
        (make.deployment("web", namespace="bank").ref, False),
        (make.deployment("web", namespace="shop").ref, False),
        (ObjectRef("Namespace", "bank"), False),
    ],
    ids=str,
)
def test_a_pod_is_concerned_by_what_serves_it_and_by_nothing_of_other_namespaces(
    subject: ObjectRef, is_concerned: bool
) -> None:
    assert left(Place.of_pod(A, on("node-1")), {"tbot-not-answering": subject}) == (
        {"tbot-not-answering"} if is_concerned else set()
    )


def test_a_namespace_is_concerned_by_what_lies_in_it_alone() -> None:
    for namespace, names in (("shop", set()), ("bank", {"pod-refused-by-policy"})):
        refused = {"pod-refused-by-policy": make.deployment("web", namespace="bank").ref}
        assert left(Place.of_namespace(namespace, on("node-1")), refused) == names


def left(place: Place, problems: dict[str, ObjectRef] | None = None) -> set[str]:
    return {each.cause.id for each in concerning(_of(problems or PROBLEMS), place).causes}


def _of(problems: dict[str, ObjectRef]) -> Diagnosis:
    found = tuple(Problem(subject, "wrong", cause) for cause, subject in problems.items())
    return diagnosed([CheckResult("part", "t", "ID-01", Outcome.PROBLEM, "s", found)], {})


def test_a_pod_is_concerned_by_what_names_it_its_node_or_no_place_at_all() -> None:
    assert left(Place.of_pod(A, on("node-1"))) == {"template-not-requested", "tbot-not-on-node", "trust-domain-differs"}
    assert left(Place.of_pod(A, on("node-2"))) == {"template-not-requested", "trust-domain-differs"}


def test_a_namespace_is_concerned_by_its_pods_and_by_every_node() -> None:
    assert left(Place.of_namespace("bank", on("node-1"))) == {
        "pod-started-before-tbot",
        "tbot-not-on-node",
        "trust-domain-differs",
    }


def test_what_has_no_cause_is_left_out_as_well_and_a_reading_that_failed_is_not() -> None:
    odd = CheckResult("part", "t", "ID-01", Outcome.PROBLEM, "s", (Problem(A, "odd"), Problem(B, "odder")))
    failed = CheckResult("part", "u", "ID-01", Outcome.UNKNOWN, "no answer")
    made = concerning(diagnosed([odd, failed], {}), Place.of_pod(A, on("node-1")))
    assert [each.said for each in made.undetermined] == ["Pod shop/a: odd", "no answer"]


def test_a_cause_concerns_a_pod_that_is_among_its_effects() -> None:
    problems = {"annotation-on-namespace": ObjectRef("Namespace", "shop"), "template-not-requested": A}
    assert left(Place.of_pod(A, on("node-9")), problems) == {"annotation-on-namespace"}


def test_a_namespace_without_pods_is_concerned_by_what_is_said_of_it() -> None:
    problems = {"annotation-on-namespace": ObjectRef("Namespace", "empty")}
    assert left(Place.of_namespace("empty", on("node-1")), problems) == {"annotation-on-namespace"}
    assert left(Place.of_namespace("shop", on("node-1")), problems) == set()


def test_a_cause_concerns_a_pod_that_it_reaches_over_its_effects_alone_and_no_other_cause_does() -> None:
    """Only its node leads from the tbot's configuration to a pod without an injected proxy."""
    tbot = make.tbot(make.tbot_pod(node="node-1"))
    pods = [make.pod("a", namespace="shop", injected=False), make.pod("b", namespace="bank", node="node-3")]
    realms = Realms({str(pod.ref): pod for pod in (*pods, *tbot.pods.values())}, make.tbots(tbot), make.planes())
    found = (
        Problem(ObjectRef("ConfigMap", "tbot-config", "teleport-system"), "it is refused", "tbot-config-refused"),
        Problem(ObjectRef("Node", "node-1"), "nothing answers", "tbot-not-answering"),
        Problem(A, "its bundle is old", "bundle-not-delivered"),
        Problem(B, "it started first", "pod-started-before-tbot"),
    )
    made = diagnosed([CheckResult("part", "t", "ID-01", Outcome.PROBLEM, "s", found)], {}, realms=realms)
    place = Place.of_pod(A, realms)
    assert not place.has(found[0].subject)
    assert {each.cause.id for each in concerning(made, place).causes} == {"tbot-config-refused"}


def test_a_class_that_concerns_another_pod_is_left_out() -> None:
    pair = ("tbot-not-answering", "socket-closed")
    found = tuple(Problem(ref, "it is one of them", cause) for ref in (A, B) for cause in pair)
    made = diagnosed([CheckResult("part", "t", "ID-01", Outcome.PROBLEM, "s", found[:2])], {})
    assert len(concerning(made, Place.of_pod(A, on("node-1"))).classes) == 1
    assert concerning(made, Place.of_pod(B, on("node-1"))).classes == ()


def test_a_pod_that_waits_is_told_only_where_it_is() -> None:
    made = diagnosed([], {}, waiting=[Remark(A, "it waits"), Remark(B, "it waits")])
    assert [each.subject for each in concerning(made, Place.of_pod(B, on("node-1"))).waiting] == [B]
