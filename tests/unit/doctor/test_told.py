"""The diagnosis on the terminal: one line a check, and last what an engineer at night must see."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from doctor.document import SCHEMA_FILE, plain
from doctor.pod import Story
from doctor.told import grouped, lines_of, mark_of
from facts.evidence import ObjectRef
from facts.finding import Problem, Remark
from judge.diagnosis.story import Line
from judge.explain.diagnosis import Diagnosis, diagnosed
from judge.explain.found import Decisive
from judge.explain.results import Outcome
from tests.unit.judge.explain.test_diagnosis import DOMAIN, NO_BUNDLE, NOT_ON_NODE, PODS, REALMS, check, either, node

ON_NODE = PODS[::2]


def whole(*problems: Problem, **changes: Any) -> Diagnosis:
    given = {"proxies": [str(pod) for pod in PODS], "authority": "Teleport", "requests": {"API server": 12}, "seconds": 1.25,
             "realms": REALMS}  # fmt: skip
    readings = {"ev-1": Decisive("GET /api/v1/pods", "Pod shop/app-0")}
    return diagnosed([check(*problems, **changes)] if problems or changes else [check()], readings, **given)  # type: ignore[arg-type]


def said(diagnosis: Diagnosis) -> str:
    return "\n".join(lines_of(diagnosis))


def test_a_cause_has_its_objects_readings_remedy_and_the_check_and_its_effects_below() -> None:
    text = said(
        whole(
            *(Problem(pod, "it has an old bundle", NO_BUNDLE) for pod in ON_NODE),
            Problem(node("node-0"), "no tbot pod runs there", NOT_ON_NODE, ("ev-1",)),
        )
    )
    assert (
        f"\n✕ {NOT_ON_NODE}: A node that hosts injected pods has no tbot pod.\n    Node node-0: no tbot pod runs there\n"
        in text
    )
    assert f"    It explains {NO_BUNDLE}: a proxy does not have Teleport's current trust bundle" in text
    assert "(Pod shop/app-0, Pod shop/app-2, Pod shop/app-4)" in text
    assert "    Rests on:\n      GET /api/v1/pods\n" in text
    assert "      tbot-not-answering: " in text
    assert "    What to do:\n      1. " in text
    assert "    Check again: " in text
    assert f"\n✕ {NO_BUNDLE}" not in text
    assert text.endswith(f"✕ begin with {NOT_ON_NODE}; what to do stands above · exit 1")
    assert "requests:  12 (12 to API server), in 1.2 s" in text


def test_a_check_that_holds_says_no_more_and_one_that_does_not_says_what() -> None:
    assert "\n✓ t (ID-01)\n" in said(whole())
    long = "x" * 400
    (line,) = [each for each in lines_of(whole(outcome=Outcome.UNKNOWN, said=f"{long}\nmore")) if each.startswith("! t")]
    assert line == f"! t (ID-01): could not tell: {'x' * 160} …"
    assert "· t: not run: why" in said(whole(outcome=Outcome.NOT_RUN, said="why", requirement=""))


def test_more_statements_than_a_reader_takes_in_are_a_number() -> None:
    text = said(whole(*(Problem(pod, f"it has {at}", DOMAIN) for at, pod in enumerate(PODS))))
    assert "    Pod shop/app-2: it has 2\n    and 2 more about Pod shop/app-3, Pod shop/app-4\n" in text


def test_sections_stand_once_each_above_their_checks() -> None:
    first, second = check(section="tbot"), check(section="proxies")
    assert [line for line in lines_of(diagnosed([first, first, second], {})) if line in ("tbot", "proxies")] == [
        "tbot",
        "proxies",
    ]


def test_a_class_names_all_of_it_and_what_would_settle_it() -> None:
    text = said(whole(*either()))
    assert "✕ One of these, which the readings do not tell apart: socket-taken-over, tbot-not-answering" in text
    assert "    What would settle it: " in text
    assert "begin with socket-taken-over or tbot-not-answering" in text


def test_a_class_stands_behind_what_breaks_something_and_before_what_does_not() -> None:
    risk = check(Problem(PODS[0], "plain", "plain-text-accepted"), harms=False)
    last = said(diagnosed([risk, check(*either(), Problem(PODS[2], "a", DOMAIN))], {})).splitlines()[-1]
    assert f"begin with {DOMAIN}, then socket-taken-over or tbot-not-answering, plain-text-accepted" in last


def test_what_is_not_determined_stands_above_the_causes_with_the_next_step() -> None:
    text = said(whole(Problem(PODS[0], "odd"), Problem(PODS[1], "a", DOMAIN), settle="look there"))
    assert "! Pod shop/app-0: odd\n    What would settle it: look there" in text
    assert text.index("Pod shop/app-0: odd") < text.index("Causes, and what to do")
    assert text.endswith("what to do stands above; 1 could not be determined · exit 1")
    assert said(whole(Problem(PODS[0], "odd"))).endswith("! no cause is known; 1 could not be determined · exit 6")


def test_nothing_found_and_only_a_risk() -> None:
    assert said(whole()).endswith("✓ nothing found · exit 0")
    text = said(whole(Problem(PODS[0], "plain", "plain-text-accepted"), harms=False))
    assert text.endswith("▲ nothing is broken; at risk by plain-text-accepted; what to do stands above · exit 1")
    assert mark_of(Outcome.PROBLEM, harms=False) == "▲"


def test_a_risk_does_not_hide_what_was_not_determined() -> None:
    risk = check(Problem(PODS[0], "plain", "plain-text-accepted"), harms=False)
    made = diagnosed([risk, check(Problem(PODS[1], "odd"))], {})
    last = said(made).splitlines()[-1]
    assert last == "! no cause is known, only risks: plain-text-accepted; 1 could not be determined · exit 6"


def test_a_pod_that_waits_is_named_and_not_blamed() -> None:
    made = diagnosed([], {}, waiting=[Remark(PODS[0], "its init container migrate keeps istio-proxy from starting")])
    waits = "Pod shop/app-0: its init container migrate keeps istio-proxy from starting"
    assert f"Not examined: pods that still wait for their own init containers\n? {waits}\n" in said(made)
    assert said(made).endswith("✓ nothing found · exit 0")
    assert plain(made)["waiting"][0]["subject"] == {"kind": "Pod", "namespace": "shop", "name": "app-0"}


def test_whoever_feels_a_defect_is_told_apart() -> None:
    has, feels = (
        check(Problem(PODS[0], "it has none", DOMAIN)),
        check(Problem(PODS[1], "it refuses", DOMAIN), of_effects=True),
    )
    assert "    Pod shop/app-0: it has none\n    Felt by Pod shop/app-1: it refuses" in said(diagnosed([has, feels], {}))


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1, "Pod shop/app-0"),
        (3, "Pod shop/app-0, Pod shop/app-1, Pod shop/app-2"),
        (4, "4 objects (Pod shop/app-0, Pod shop/app-1, Pod shop/app-2 and 1 more)"),
    ],
)
def test_subjects_in_short(number: int, text: str) -> None:
    assert grouped(PODS[:number]) == text


STORY = Story(
    PODS[0],
    "node-0",
    (Line("template", "none", "spire"), Line("streams", "2 of 2"), Line("issuer", "no answer", settle="look")),
)


def test_the_story_of_a_pod_says_what_was_wanted_where_it_went_another_way() -> None:
    text = "\n".join(lines_of(whole(), STORY))
    assert "Pod shop/app-0: who issued its certificate\n✕ template: none\n    wanted: spire\n✓ streams: 2 of 2\n" in text
    assert "? issuer: no answer\n    What would settle it: look\n" in text


@pytest.mark.parametrize("story", [None, STORY], ids=["", "a pod"])
@pytest.mark.parametrize(
    "problems",
    [
        (),
        (Problem(PODS[0], "old", NO_BUNDLE), Problem(node("node-0"), "no tbot", NOT_ON_NODE, ("ev-1",)), *either(1)),
        (Problem(ObjectRef("", "the mesh"), "odd"),),
    ],
    ids=["nothing", "causes and a class", "undetermined"],
)
def test_the_document_is_as_its_schema_says(problems: tuple[Problem, ...], story: Story | None) -> None:
    schema = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    document = plain(whole(*problems), story)
    jsonschema.Draft202012Validator(schema).validate(document)
    assert document["version"] == 1
    assert json.loads(json.dumps(document)) == document
    broken = {**document, "causes": [{"id": "x"}]}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate(broken)


def test_the_document_has_every_subject_and_the_effects_by_id() -> None:
    made = whole(*(Problem(pod, "old", NO_BUNDLE) for pod in ON_NODE), Problem(node("node-0"), "no tbot", NOT_ON_NODE))
    document = plain(made)
    assert document["causes"][0]["explains"] == [NO_BUNDLE]
    assert document["causes"][0]["subjects"] == [{"kind": "Node", "namespace": "", "name": "node-0"}]
    assert len(document["effects"][0]["subjects"]) == len(ON_NODE)
    assert document["effects"][0]["explained_by"] == [NOT_ON_NODE]
    assert document["requests"] == 12
    assert document["checks"][0]["outcome"] == "problem"
