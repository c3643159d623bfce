"""Wrong SPIFFE IDs: of a template that is wrong now, of one that was mended, or of one that nobody read."""

from __future__ import annotations

from dataclasses import replace

from facts.evidence import ObjectRef
from facts.finding import Problem
from judge.diagnosis.naming import misnamed, told_by_template
from judge.explain.diagnosis import told_apart
from tests.unit.judge import builders as make
from tests.unit.judge.certificates import TRUST_DOMAIN, svid
from tests.unit.judge.diagnosis.told import named

SLASH, WITHOUT_SA, STALE = (
    "identity-template-trailing-slash",
    "identity-template-without-sa",
    "identity-change-not-in-force",
)
PODS = [ObjectRef("Pod", name, "shop") for name in ("a", "b")]
TEMPLATE = ObjectRef("Teleport", "workload_identity/istio-workloads")
SHOWN = Problem(PODS[0], "it carries a slash", SLASH)
REFUSES = Problem(PODS[1], "it refuses", SLASH)
KEEPS = Problem(PODS[0], "the template now yields another one", STALE)
OF_GATEWAY = Problem(PODS[1], "the template now yields another one", STALE)


def test_a_name_that_a_wrong_template_makes() -> None:
    slash = f"spiffe://{TRUST_DOMAIN}/ns/test-app/sa/test-app/"
    without = f"spiffe://{TRUST_DOMAIN}/ns/test-app/test-app"
    found = misnamed(
        [
            make.proxy(make.pod("slash"), chain=(svid(uris=(slash,)),)),
            make.proxy(make.pod("without"), chain=(svid(uris=(without,)),)),
            make.proxy(make.pod("right")),
            make.proxy(make.pod("stranger"), chain=(svid(uris=("spiffe://elsewhere/x",)),)),
            make.proxy(make.pod("none"), chain=()),
        ]
    )
    assert named(found) == [("Pod test-app/slash", SLASH), ("Pod test-app/without", WITHOUT_SA)]


def test_a_name_that_only_begins_as_a_wrong_template_makes_it_is_not_of_that_template() -> None:
    """The account ``s`` is no part of the ``sa`` in the name of another, and ``test-app`` none of ``test-app-2``."""

    def of(account: str, path: str) -> list[tuple[str, str]]:
        pod = make.pod("app")
        named_so = replace(pod, spec=replace(pod.spec, service_account=account))
        chain = (svid(uris=(f"spiffe://{TRUST_DOMAIN}/ns/test-app/{path}",)),)
        return named(misnamed([make.proxy(named_so, chain=chain)]))

    assert of("s", "sa/other") == of("test-app", "test-app-2") == []
    assert of("s", "s") == [("Pod test-app/app", WITHOUT_SA)]


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
    assert [*told_by_template(others)] == others


def test_another_defect_of_teleports_resources_does_not_say_that_the_template_is_wrong() -> None:
    other = Problem(
        ObjectRef("Teleport", "token/istio-tbot-k8s-join"), "it names another account", "token-other-service-account"
    )
    single, classes = told_apart([other, SHOWN])
    assert {*single} == {other.cause}
    assert [*classes] == [tuple(sorted((SLASH, STALE)))]
