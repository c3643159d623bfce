"""Wrong SPIFFE IDs: of a template that is wrong now, of one that was mended, or of one that nobody read."""

from __future__ import annotations

from facts.evidence import ObjectRef
from facts.finding import Problem
from judge.explain.classes import as_they_may_be, told_apart

SLASH, STALE = "identity-template-trailing-slash", "identity-change-not-in-force"
PODS = [ObjectRef("Pod", name, "shop") for name in ("a", "b")]
TEMPLATE = ObjectRef("Teleport", "workload_identity/istio-workloads")
SHOWN = Problem(PODS[0], "it carries a slash", SLASH)
REFUSES = Problem(PODS[1], "it refuses", SLASH)
KEEPS = Problem(PODS[0], "the template now yields another one", STALE)
OF_GATEWAY = Problem(PODS[1], "the template now yields another one", STALE)


def test_without_the_template_either_may_be_so() -> None:
    single, classes = told_apart([SHOWN, REFUSES])
    assert single == {}
    ((ids, shown),) = classes.items()
    assert ids == tuple(sorted((SLASH, STALE)))
    assert {each.subject for each in shown} == {*PODS}


def test_a_template_that_is_wrong_now_is_the_cause_of_such_names() -> None:
    wrong = Problem(TEMPLATE, "its template ends with a slash", SLASH)
    single, classes = told_apart([wrong, SHOWN, REFUSES])
    assert ({*single}, classes) == ({SLASH}, {})
    assert [each.subject for each in single[SLASH]] == [TEMPLATE, *PODS]


def test_a_wrong_template_hides_no_other_one_that_is_not_in_force() -> None:
    wrong = Problem(TEMPLATE, "its template ends with a slash", SLASH)
    single, classes = told_apart([wrong, SHOWN, OF_GATEWAY])
    assert ({*single}, classes) == ({SLASH, STALE}, {})


def test_a_template_that_is_right_now_and_not_in_force() -> None:
    single, classes = told_apart([SHOWN, REFUSES, KEEPS])
    assert ({*single}, classes) == ({STALE}, {})
    assert {each.subject for each in single[STALE]} == {*PODS}


def test_other_causes_stay_as_they_are() -> None:
    others = [Problem(PODS[0], "it has none", "trust-domain-differs"), Problem(PODS[0], "odd"), KEEPS]
    assert [*as_they_may_be(others)] == others


def test_another_defect_of_teleports_resources_does_not_say_that_the_template_is_wrong() -> None:
    other = Problem(
        ObjectRef("Teleport", "token/istio-tbot-k8s-join"), "it names another account", "token-other-service-account"
    )
    single, classes = told_apart([other, SHOWN])
    assert {*single} == {other.cause}
    assert [*classes] == [tuple(sorted((SLASH, STALE)))]
