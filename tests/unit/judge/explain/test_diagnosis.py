"""What checks found, grouped by cause."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from facts.evidence import ObjectRef
from facts.finding import Problem, Remark
from judge.explain.cause import CAUSES
from judge.explain.diagnosis import BY_DESIGN, READ_ON, Diagnosis, diagnosed
from judge.explain.found import Decisive
from judge.explain.realms import Realms
from judge.explain.results import CheckResult, Outcome
from tests.unit.judge import builders as make

PODS = [ObjectRef("Pod", f"app-{number}", "shop") for number in range(5)]
REALMS = Realms({str(pod): make.pod(pod.name, namespace="shop", node=f"node-{at % 2}") for at, pod in enumerate(PODS)})
NOT_ON_NODE, NO_BUNDLE, DOMAIN, AUDIENCE = (
    "tbot-not-on-node",
    "bundle-not-delivered",
    "trust-domain-differs",
    "token-audience-wrong",
)


def node(name: str) -> ObjectRef:
    return ObjectRef("Node", name)


def check(*problems: Problem, **changes: Any) -> CheckResult:
    outcome = Outcome.PROBLEM if problems else Outcome.HOLDS
    return CheckResult(**{"section": "part", "title": "t", "requirement": "ID-01", "outcome": outcome, "said": "s"} | changes
                   | {"problems": problems})  # fmt: skip


def of(*problems: Problem, readings: dict[str, Decisive] | None = None) -> Diagnosis:
    return diagnosed([check(*problems)], readings or {}, realms=REALMS)


def ids(diagnosis: Diagnosis) -> list[str]:
    return [each.cause.id for each in diagnosis.causes]


def test_pods_with_one_cause_are_one_cause_with_what_is_said_of_most_first() -> None:
    made = of(*(Problem(pod, "a" if at < 2 else "b", DOMAIN) for at, pod in enumerate(PODS)))
    (found,) = made.causes
    assert found.subjects == tuple(PODS)
    assert found.said == ("b", "a")
    assert made.exit_code == 1


def test_a_cause_that_two_checks_name_is_one_and_has_both_requirements() -> None:
    problem = Problem(PODS[0], "a", DOMAIN)
    made = diagnosed([check(problem), check(problem, requirement="ID-02", harms=False)], {})
    (found,) = made.causes
    assert (found.requirements, found.harms, len(found.shown)) == (("ID-01", "ID-02"), True, 1)


def test_the_deciding_readings_come_first_and_are_at_most_three() -> None:
    readings = {f"ev-{each}": Decisive(f"GET {each}", each) for each in "abcd"}
    first, second = Problem(PODS[0], "s", DOMAIN, ("ev-a", "ev-b", "ev-x")), Problem(PODS[1], "s", DOMAIN, ("ev-c", "ev-d"))
    (found,) = of(first, second, readings=readings).causes
    assert [each.about for each in found.rests_on] == ["a", "c", "b"]
    assert [each.cause for each in found.otherwise] == [each.cause for each in CAUSES[DOMAIN].told_from]


def test_a_problem_of_which_another_one_says_more_is_not_told_twice() -> None:
    short, longer = Problem(PODS[0], "no tbot", DOMAIN), Problem(PODS[0], "no tbot: a selector keeps it away", DOMAIN)
    elsewhere = Problem(PODS[1], "no tbot", DOMAIN)
    assert of(short, longer, elsewhere).causes[0].shown == (longer, elsewhere)


def test_an_effect_on_the_node_of_its_cause_is_no_cause_beside_it() -> None:
    made = of(Problem(PODS[0], "old bundle", NO_BUNDLE), Problem(node("node-0"), "no tbot", NOT_ON_NODE))
    assert ids(made) == [NOT_ON_NODE]
    assert made.causes[0].explains == (NO_BUNDLE,)
    assert [each.cause.id for each in made.effects] == [NO_BUNDLE]


def test_the_same_on_another_node_has_another_cause() -> None:
    made = of(Problem(PODS[1], "old bundle", NO_BUNDLE), Problem(node("node-0"), "no tbot", NOT_ON_NODE))
    assert ids(made) == [NO_BUNDLE, NOT_ON_NODE]


def test_a_cause_takes_with_it_only_the_objects_that_it_reaches() -> None:
    made = of(*(Problem(pod, "old bundle", NO_BUNDLE) for pod in PODS), Problem(node("node-0"), "no tbot", NOT_ON_NODE))
    assert ids(made) == [NOT_ON_NODE, NO_BUNDLE]
    assert made.causes[1].subjects == (PODS[1], PODS[3])
    (effect,) = made.effects
    assert (effect.subjects, effect.explained_by) == ((PODS[0], PODS[2], PODS[4]), (NOT_ON_NODE,))


def test_an_object_of_which_nothing_is_known_lies_in_no_realm_of_others() -> None:
    gone = ObjectRef("Pod", "gone", "shop")
    made = of(Problem(gone, "old bundle", NO_BUNDLE), Problem(node("node-0"), "no tbot", NOT_ON_NODE))
    assert (ids(made), made.effects) == ([NO_BUNDLE, NOT_ON_NODE], ())


def test_who_feels_a_defect_is_not_the_one_that_has_it() -> None:
    has, feels = Problem(PODS[0], "it has another certificate", DOMAIN), Problem(PODS[1], "it refuses", DOMAIN)
    (found,) = diagnosed([check(has), check(feels, of_effects=True)], {}).causes
    assert ([p.subject for p in found.shown], [p.subject for p in found.felt]) == ([PODS[0]], [PODS[1]])
    (alone,) = diagnosed([check(feels, of_effects=True)], {}).causes
    assert ([p.subject for p in alone.shown], alone.felt) == ([PODS[1]], ())


def either(at: int = 0) -> list[Problem]:
    return [Problem(node(f"node-{at}"), "nothing answers", cause) for cause in ("tbot-not-answering", "socket-taken-over")]


def test_causes_of_which_one_is_so_are_a_class_with_what_would_settle_it() -> None:
    made = of(*either(0), *either(1))
    (found,) = made.classes
    assert (ids(made), found.ids, made.exit_code) == ([], ("socket-taken-over", "tbot-not-answering"), 1)
    assert [each.subjects for each in found.causes] == [(node("node-0"), node("node-1"))] * 2
    assert found.settled_by == CAUSES["tbot-not-answering"].settled_by


@pytest.mark.parametrize("cause", sorted(BY_DESIGN))
def test_what_is_so_by_design_is_told_and_nothing_to_mend(cause: str) -> None:
    by_design = check(Problem(PODS[0], "it is so", cause), harms=False)
    made = diagnosed([by_design], {})
    assert (ids(made), made.exit_code, made.is_explained) == ([cause], 0, False)
    assert diagnosed([by_design, check(Problem(PODS[1], "it differs", DOMAIN))], {}).exit_code == 1


def test_a_class_whose_causes_do_not_say_what_would_settle_it_has_the_signs_in_which_they_differ() -> None:
    pair = ("trust-domain-differs", "identity-template-without-sa")
    (found,) = of(*(Problem(PODS[0], "it refuses", cause) for cause in pair)).classes
    signs = [each.told_by for cause in sorted(pair) for each in CAUSES[cause].told_from if each.cause in pair]
    assert found.settled_by == " ".join(signs)
    strangers = of(*(Problem(PODS[0], "it refuses", cause) for cause in ("restarting-cronjob", "policy-too-wide")))
    assert "look at the object" in strangers.classes[0].settled_by


def test_a_class_is_settled_where_another_check_names_one_of_its_causes_for_the_same_subject() -> None:
    probed = Problem(node("node-0"), "the probe was answered by a pod's agent", "socket-taken-over")
    made = diagnosed([check(*either(0)), check(probed)], {})
    assert (ids(made), made.classes) == (["socket-taken-over"], ())
    other = diagnosed([check(*either(0), *either(1)), check(probed)], {})
    assert ids(other) == ["socket-taken-over"]
    assert [each.causes[0].subjects for each in other.classes] == [(node("node-1"),)]


def test_a_release_that_has_a_defect_settles_no_class() -> None:
    pod = ObjectRef("Pod", "tbot-1", "teleport-system")
    silent = [Problem(pod, "nothing is heard of it", cause) for cause in ("teleport-unreachable", "tbot-never-recovers")]
    made = of(*silent, Problem(pod, "its release has the defect", "tbot-never-recovers"))
    assert [each.ids for each in made.classes] == [("tbot-never-recovers", "teleport-unreachable")]


def test_a_class_may_be_the_effect_of_a_cause_that_explains_each_of_it() -> None:
    class_of_effects = [Problem(PODS[0], "old", cause) for cause in (NO_BUNDLE, "rotation-not-followed")]
    made = of(*class_of_effects, Problem(node("node-0"), "no tbot", NOT_ON_NODE))
    assert (ids(made), made.classes) == ([NOT_ON_NODE], ())
    assert {each.cause.id for each in made.effects} == {NO_BUNDLE, "rotation-not-followed"}


def test_what_has_no_cause_is_undetermined_with_what_would_settle_it() -> None:
    made = diagnosed([check(*(Problem(pod, "odd") for pod in PODS), settle="look")], {})
    (left,) = made.undetermined
    assert (left.said, left.settle) == ("Pod shop/app-0, Pod shop/app-1, Pod shop/app-2 and 2 more: odd", "look")
    assert made.exit_code == 6


def test_what_a_check_says_beside_the_cause_of_the_same_object_is_its_symptom() -> None:
    symptoms = [Problem(pod, "its streams are dead") for pod in PODS[:2]]
    made = of(*symptoms, Problem(PODS[1], "a", DOMAIN))
    assert [each.subjects for each in made.undetermined] == [(PODS[0],)]


def test_what_fails_because_of_a_cause_that_reaches_the_object_is_its_symptom() -> None:
    """Of the two pods, the first runs on the node without tbot."""
    dead = [Problem(pod, "its streams are dead") for pod in PODS[:2]]
    lost = Problem(node("node-0"), "no tbot", NOT_ON_NODE)
    assert [each.subjects for each in of(*dead, lost).undetermined] == [(PODS[1],)]


def test_what_does_not_follow_from_a_cause_stays_open_beside_it() -> None:
    lost = Problem(node("node-0"), "no tbot", NOT_ON_NODE)
    odd = check(Problem(PODS[0], "odd"), requirement="INST-08")
    made = diagnosed([check(lost), odd], {}, realms=REALMS)
    assert [each.said for each in made.undetermined] == ["Pod shop/app-0: odd"]


@pytest.mark.parametrize("number", [1, 2])
def test_a_role_accounts_for_what_fails_everywhere_where_all_tbots_join_by_one_token(number: int) -> None:
    role = Problem(ObjectRef("Teleport", "role/istio"), "there is no such role", "role-missing")
    dead = Problem(PODS[0], "its streams are dead")
    pools = [make.tbot(make.tbot_pod(f"tbot-{at}", node=f"node-{at}")) for at in range(number)]
    unlike = [replace(each, config=replace(each.config, token=f"token-{at}")) for at, each in enumerate(pools)]
    for tbots, left_open in ((pools, 0), (unlike, number - 1)):
        made = diagnosed([check(role), check(dead)], {}, realms=Realms(REALMS.pods, tbots=make.tbots(*tbots)))
        assert len(made.undetermined) == left_open


def test_a_risk_has_no_symptoms() -> None:
    risk = check(Problem(node("node-0"), "no tbot", NOT_ON_NODE), harms=False)
    made = diagnosed([risk, check(Problem(PODS[0], "its streams are dead"))], {}, realms=REALMS)
    assert len(made.undetermined) == 1


def test_what_is_said_of_all_proxies_together_follows_from_the_cause_of_any() -> None:
    every = ObjectRef("", "3 proxies on tbot's socket")
    late = check(Problem(every, "the oldest certificate is old"), requirement="ROT-07")
    lost = check(Problem(node("node-0"), "no tbot", NOT_ON_NODE))
    assert diagnosed([late, lost], {}, realms=REALMS).undetermined == ()
    assert len(diagnosed([late], {}, realms=REALMS).undetermined) == 1


def test_what_another_check_says_of_an_object_with_a_cause_is_told() -> None:
    made = diagnosed([check(Problem(PODS[1], "a", DOMAIN)), check(Problem(PODS[1], "odd"), requirement="ROT-01")], {})
    assert [each.said for each in made.undetermined] == ["Pod shop/app-1: odd"]


@pytest.mark.parametrize("requirement", ["ID-02", "ID-03", "ID-06"])
def test_who_a_proxy_is_and_whom_it_trusts_is_no_symptom(requirement: str) -> None:
    made = diagnosed([check(Problem(PODS[1], "a", DOMAIN), Problem(PODS[1], "odd"), requirement=requirement)], {})
    assert len(made.undetermined) == 1


def test_what_could_not_be_read_of_a_pod_that_has_a_cause_leaves_nothing_open() -> None:
    unread = check(outcome=Outcome.UNKNOWN, unclear=tuple(Problem(pod, "it does not answer") for pod in PODS[:2]))
    made = diagnosed([unread, check(Problem(PODS[1], "a", DOMAIN))], {})
    assert [each.subjects for each in made.undetermined] == [(PODS[0],)]


def test_what_could_not_be_read_of_a_pod_that_waits_leaves_nothing_open() -> None:
    unread = check(outcome=Outcome.UNKNOWN, unclear=tuple(Problem(pod, "it does not answer") for pod in PODS[:2]))
    made = diagnosed([unread], {}, waiting=[Remark(PODS[1], "its init container migrate keeps it from starting")])
    assert [each.subjects for each in made.undetermined] == [(PODS[0],)]
    assert [each.subject for each in made.waiting] == [PODS[1]]


def test_what_is_wrong_with_a_pod_that_waits_is_told() -> None:
    made = diagnosed([check(Problem(PODS[1], "odd"))], {}, waiting=[Remark(PODS[1], "it waits")])
    assert [each.subjects for each in made.undetermined] == [(PODS[1],)]


def test_a_risk_alone_is_a_cause_and_comes_behind_what_breaks_something() -> None:
    risk = check(Problem(PODS[0], "plain", "plain-text-accepted"), harms=False)
    alone = diagnosed([risk], {})
    assert (ids(alone), alone.exit_code, alone.is_explained) == (["plain-text-accepted"], 1, False)
    both = diagnosed([risk, check(Problem(PODS[1], "a", DOMAIN))], {})
    assert (ids(both), both.is_explained) == ([DOMAIN, "plain-text-accepted"], True)


def test_outcomes_are_told_in_words() -> None:
    words = {"holds", "problem", "could not tell", "not applicable", "not run"}
    assert {outcome.value for outcome in Outcome} == words


def test_a_risk_accounts_for_nothing_that_is_broken() -> None:
    risk = check(Problem(PODS[0], "plain", "plain-text-accepted"), harms=False)
    made = diagnosed([risk, check(Problem(PODS[0], "its streams are dead"))], {})
    assert len(made.undetermined) == 1


def test_what_two_checks_leave_open_in_the_same_words_is_told_once() -> None:
    unclear = (Problem(PODS[0], "it could not be read"),)
    open_one = check(outcome=Outcome.UNKNOWN, unclear=unclear)
    assert len(diagnosed([open_one, open_one], {}).undetermined) == 1


def test_a_known_cause_beside_an_open_point_is_a_known_cause() -> None:
    made = of(Problem(PODS[0], "a", DOMAIN), Problem(PODS[1], "odd"))
    assert (ids(made), len(made.undetermined), made.exit_code) == ([DOMAIN], 1, 1)


@pytest.mark.parametrize("outcome", [Outcome.HOLDS, Outcome.NOT_APPLICABLE, Outcome.NOT_RUN])
def test_what_holds_or_was_not_run_leaves_nothing_open(outcome: Outcome) -> None:
    assert diagnosed([check(outcome=outcome)], {}).exit_code == 0


def test_an_unknown_cause_is_a_mistake() -> None:
    with pytest.raises(LookupError):
        of(Problem(PODS[0], "a", "no-such-cause"))


def test_what_breaks_something_is_mended_first_and_a_risk_last() -> None:
    risk = check(Problem(PODS[0], "plain", "plain-text-accepted"), harms=False)
    made = diagnosed([risk, check(*either(0)), check(Problem(PODS[1], "a", DOMAIN))], {})
    first, second, third = made.roots
    assert (first, second, third) == (made.causes[0], made.classes[0], made.causes[1])
    assert [each.cause.id for each in made.causes] == [DOMAIN, "plain-text-accepted"]


def test_a_class_of_which_one_member_breaks_something_comes_before_a_class_of_risks() -> None:
    risks = check(
        *(Problem(node("node-0"), "odd", cause) for cause in ("plain-text-accepted", "policy-too-wide")), harms=False
    )
    pair = ("restarting-cronjob", "token-audience-wrong")
    of_harm = check(*(Problem(node("node-1"), "odder", cause) for cause in pair), harms=False)
    elsewhere = check(Problem(PODS[0], "it breaks", "restarting-cronjob"))
    made = diagnosed([risks, of_harm, elsewhere], {}, realms=REALMS)
    assert [each.ids for each in made.classes] == [pair, ("plain-text-accepted", "policy-too-wide")]


def test_a_class_accounts_for_what_each_of_its_members_would_whoever_found_it() -> None:
    dead = check(Problem(PODS[0], "its streams are dead"))
    elsewhere = check(Problem(PODS[1], "its streams are dead"))
    made = diagnosed([check(*either(0), harms=False), dead, elsewhere], {}, realms=REALMS)
    assert [each.subjects for each in made.undetermined] == [(PODS[1],)]


def test_what_the_checks_cost_is_told_with_them() -> None:
    made = diagnosed([check()], {}, proxies=["shop/app-0"], authority="ours", requests={"GET": 3}, seconds=1.5)
    assert (made.seconds, made.authority, made.proxies) == (1.5, "ours", frozenset({"shop/app-0"}))
    assert {**made.requests} == {"GET": 3}
    untold = diagnosed([], {})
    assert (untold.seconds, untold.authority, untold.proxies, {**untold.requests}) == (0, "", frozenset(), {})


def test_each_member_of_a_class_has_its_own_problems_and_readings() -> None:
    readings = {f"ev-{each}": Decisive(f"GET {each}", each) for each in "ab"}
    ones = [replace(each, evidence=(f"ev-{at}",)) for each, at in zip(either(0), "ab", strict=True)]
    (found,) = of(*ones, readings=readings).classes
    assert {each.cause.id: ([p.cause for p in each.shown], [r.about for r in each.rests_on]) for each in found.causes} == {
        "tbot-not-answering": (["tbot-not-answering"], ["a"]),
        "socket-taken-over": (["socket-taken-over"], ["b"]),
    }


@pytest.mark.parametrize(("settle", "told"), [("grant the right", "grant the right"), ("", READ_ON)])
def test_what_is_left_open_has_the_next_step_of_its_check_or_one_of_the_object(settle: str, told: str) -> None:
    failed = check(outcome=Outcome.UNKNOWN, said="no answer", settle=settle)
    odd = check(Problem(PODS[0], "odd"), settle=settle)
    made = diagnosed([failed, odd], {})
    assert [(each.said, each.settle, each.subjects) for each in made.undetermined] == [
        ("no answer", told, ()),
        ("Pod shop/app-0: odd", told, (PODS[0],)),
    ]


def test_a_workload_in_ambient_mode_is_told_and_nothing_to_mend() -> None:
    by_design = check(Problem(PODS[0], "ztunnel speaks for it", "ambient-by-design"), harms=False)
    made = diagnosed([by_design], {})
    assert (ids(made), made.exit_code) == (["ambient-by-design"], 0)
    assert diagnosed([by_design, check(Problem(PODS[1], "a", DOMAIN))], {}).exit_code == 1


def test_a_rule_of_the_diagnosis_alone_adds_no_requirement_to_a_cause() -> None:
    problem = Problem(PODS[0], "a", DOMAIN)
    (found,) = diagnosed([check(problem, requirement=""), check(problem)], {}).causes
    assert found.requirements == ("ID-01",)


def test_a_risk_of_an_object_makes_nothing_else_that_its_check_says_of_it_a_symptom() -> None:
    both = Problem(PODS[0], "a", DOMAIN), Problem(PODS[0], "odd")
    assert of(*both).undetermined == ()
    (left,) = diagnosed([check(*both, harms=False)], {}).undetermined
    assert left.subjects == (PODS[0],)
