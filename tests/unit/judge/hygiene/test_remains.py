"""HYG-05: what a run leaves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from facts.kubernetes.remains import (
    CLUSTER_LABEL,
    FIELD_MANAGER,
    MADE_LABEL,
    RUN_LABEL,
    LabelledObject,
    LabelledResource,
    ListableKind,
    Remains,
)
from judge.hygiene.remains import nothing_is_left
from tests.unit.judge.assertions import holds, unknown, violated

PODS = ListableKind("/api/v1", "pods", "Pod")
SLICES = ListableKind("/apis/discovery.k8s.io/v1", "endpointslices", "EndpointSlice")
NOTHING = Remains((), (), (PODS, SLICES), (), (), asked_teleport=True, evidence=("ev-list",))


def left(**changes: Any) -> Remains:
    labels = {RUN_LABEL: "r", **changes.pop("labels", {})}
    found = LabelledObject("ns", "a", labels, is_leaving=False, evidence=("ev-a",), managers=frozenset({FIELD_MANAGER}))
    return replace(NOTHING, objects=((PODS, replace(found, **changes)),))


def test_nothing() -> None:
    finding = nothing_is_left(NOTHING, "r")
    holds(finding, "HYG-05", "ev-list")
    assert finding.seen == "nothing among 2 kinds of objects and Teleport"
    assert [str(each.subject) for each in finding.left_out] == ["Secrets"]


def test_an_object_of_the_suite() -> None:
    finding = nothing_is_left(left(), "r")
    violated(finding, "HYG-05", "Pod ns/a: the run made it, and it is still there", causes=("left-by-a-run",))
    assert finding.problems[0].evidence == ("ev-a",)


def test_an_object_that_is_going() -> None:
    unknown(nothing_is_left(left(is_leaving=True), "r"), "HYG-05", "it is being removed")


def test_what_others_labelled_and_what_stays_is_named_apart() -> None:
    for found in (left(managers=frozenset({"kubectl"})), left(labels={CLUSTER_LABEL: "lab"})):
        finding = nothing_is_left(found, "r")
        holds(finding, "HYG-05")
        assert str(finding.left_out[0].subject) == "Pod ns/a"


def test_a_resource_in_teleport() -> None:
    made = LabelledResource("x", {RUN_LABEL: "r", MADE_LABEL: "yes"})
    violated(
        nothing_is_left(replace(NOTHING, resources=(("role", made),)), "r"),
        "HYG-05",
        "Teleport role/x: the run made it",
        causes=("left-by-a-run",),
    )
    kept = replace(made, labels={**made.labels, CLUSTER_LABEL: "lab"})
    finding = nothing_is_left(replace(NOTHING, resources=(("role", kept),)), "r")
    holds(finding, "HYG-05")
    assert str(finding.left_out[0].subject) == "Teleport role/x"
    assert [each.subject.name for each in finding.left_out[1:]] == ["Secrets"]


def test_what_was_not_looked_at_is_said() -> None:
    finding = nothing_is_left(replace(NOTHING, denied=(SLICES,), asked_teleport=False), "r")
    holds(finding, "HYG-05")
    assert finding.seen == "nothing among 2 kinds of objects"
    said = [f"{each.subject}: {each.said}" for each in finding.left_out]
    assert "1 kinds: this run may not list them: endpointslices.discovery.k8s.io" in said
    assert any(each.startswith("Teleport: there is no admin session") for each in said)
    denied = nothing_is_left(replace(NOTHING, denied_in_teleport=("token",)), "r")
    holds(denied, "HYG-05")
    assert [str(each.subject) for each in denied.left_out] == ["Teleport token", "Secrets"]
    silent = nothing_is_left(replace(NOTHING, silent=(("/apis/metrics.k8s.io/v1beta1", "HTTP 503"),)), "r")
    holds(silent, "HYG-05")
    assert str(silent.left_out[0].subject) == "/apis/metrics.k8s.io/v1beta1"
    assert silent.left_out[0].said.endswith("made no object of its group: HTTP 503")
    unread = replace(NOTHING, unread=(("/apis/metrics.k8s.io/v1beta1", "HTTP 503"),))
    finding = nothing_is_left(unread, "r")
    unknown(finding, "HYG-05", "metrics.k8s.io/v1beta1 could not be listed: HTTP 503")
    assert finding.settle.startswith("see with `kubectl get apiservices`")
    assert nothing_is_left(left(is_leaving=True), "r").settle.startswith("look again in a while")
