"""Findings as results of checks, and what they explain together."""

from __future__ import annotations

from facts.catalogue import About, Level, Requirement
from facts.evidence import ObjectRef
from facts.finding import Finding, Holds, OpenPoint, Problem, Remark
from judge.explain.diagnosis import explained_findings
from judge.explain.found import Decisive
from judge.explain.realms import Realms
from judge.explain.results import NOTHING_FOUND, CheckResult, Outcome, answered, as_premise, by_requirement
from tests.unit.judge import builders as make

POD, OTHER = ObjectRef("Pod", "app-0", "shop"), ObjectRef("Pod", "app-1", "shop")
NODE = ObjectRef("Node", "node-0")
REALMS = Realms({str(pod): make.pod(pod.name, namespace="shop", node=f"node-{at}") for at, pod in enumerate((POD, OTHER))})
BLANK = CheckResult("part", "t", "ID-01", Outcome.NOT_RUN, "")
WITHOUT_TBOT, UNANSWERED = Problem(NODE, "no tbot", "tbot-not-on-node", ("ev-1",)), Problem(POD, "it has no certificate")


def requirement(identifier: str, level: Level = Level.MUST, *, premise: bool = False) -> Requirement:
    return Requirement(identifier, f"{identifier} holds.", level, About.INSTALL, "p", "s", "r", premise=premise)


def finding(identifier: str, *problems: Problem, unclear: tuple[Problem, ...] = ()) -> Finding:
    holds = Holds.NO if problems else Holds.UNKNOWN if unclear else Holds.YES
    held = () if problems or unclear else (Remark(POD, "right"),)
    settle = "look" if unclear else ""
    return Finding(
        identifier, holds, "e", "w", problems=problems, unclear=unclear, held=held, settle=settle, evidence=("ev-1",)
    )


CATALOGUE = {each.id: each for each in map(requirement, ("INST-13", "ID-01", "ID-02"))}


def test_the_worst_answer_decides_and_is_what_is_said() -> None:
    result = answered(BLANK, [finding("ID-01"), finding("ID-01", UNANSWERED), OpenPoint(Problem(OTHER, "unread"), "ask it")])
    assert (result.outcome, result.problems, result.settle) == (Outcome.PROBLEM, (UNANSWERED,), "ask it")
    assert [each.subject for each in result.unclear] == [OTHER]
    assert "it has no certificate" in result.said
    assert answered(BLANK, []).said == NOTHING_FOUND
    assert answered(BLANK, [OpenPoint(Problem(OTHER, "unread"), "ask it")]).outcome is Outcome.UNKNOWN


def test_a_premise_that_does_not_hold_leaves_open_and_names_no_cause() -> None:
    result = as_premise(answered(BLANK, [WITHOUT_TBOT]), "give it")
    assert (result.outcome, result.problems, result.settle) == (Outcome.UNKNOWN, (), "give it")
    assert [(each.subject, each.cause) for each in result.unclear] == [(NODE, "")]
    assert as_premise(BLANK, "give it") is BLANK


def test_findings_are_results_in_the_order_of_the_catalogue() -> None:
    catalogue = CATALOGUE | {"ID-09": requirement("ID-09", Level.SHOULD), "INST-01": requirement("INST-01", premise=True)}
    found = [finding(each, WITHOUT_TBOT) for each in ("INST-01", "ID-09", "ID-01", "INST-13", "ID-01")]
    results = by_requirement(found, catalogue, of_effects={"ID-01"})
    assert [each.requirement for each in results] == ["INST-13", "ID-01", "ID-09", "INST-01"]
    assert [each.of_effects for each in results] == [False, True, False, False]
    assert [each.harms for each in results] == [True, True, False, True]
    assert [each.outcome for each in results] == [*[Outcome.PROBLEM] * 3, Outcome.UNKNOWN]
    assert (results[0].section, results[0].title) == ("p", "INST-13 holds.")


def test_a_cause_accounts_for_the_findings_that_it_reaches() -> None:
    found = [finding("INST-13", WITHOUT_TBOT), finding("ID-01", UNANSWERED, Problem(OTHER, "it has no certificate"))]
    made = explained_findings(found, CATALOGUE, {"ev-1": Decisive("GET x", "x")}, realms=REALMS)
    (cause,) = made.causes
    assert (cause.cause.id, cause.requirements, cause.subjects) == ("tbot-not-on-node", ("INST-13",), (NODE,))
    assert [each.question for each in cause.rests_on] == ["GET x"]
    assert [each.subjects for each in made.undetermined] == [(OTHER,)], "another node has its tbot"


def test_a_cause_that_another_one_explains_is_its_effect() -> None:
    effect = Problem(POD, "istiod certifies it", "mixed-authorities")
    root = Problem(ObjectRef("Namespace", "shop"), "the annotation stands there", "annotation-on-namespace")
    made = explained_findings([finding("ID-01", effect), finding("ID-02", root)], CATALOGUE, realms=REALMS)
    assert [(each.cause.id, each.explains) for each in made.causes] == [("annotation-on-namespace", ("mixed-authorities",))]
    assert [(each.cause.id, each.explained_by) for each in made.effects] == [
        ("mixed-authorities", ("annotation-on-namespace",))
    ]


def test_those_who_feel_a_defect_do_not_have_it() -> None:
    found = [
        finding("ID-01", Problem(POD, "s", "bundle-not-delivered")),
        finding("ID-02", Problem(OTHER, "f", "bundle-not-delivered")),
    ]
    (cause,) = explained_findings(found, CATALOGUE, of_effects={"ID-02"}).causes
    assert (cause.subjects, [each.subject for each in cause.felt]) == ((POD,), [OTHER])
    assert [(each.requirement, [p.subject for p in each.shown]) for each in cause.on] == [
        ("ID-01", [POD]),
        ("ID-02", [OTHER]),
    ]
