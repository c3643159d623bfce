"""Label selectors: what they fit, and labels that fit them."""

from __future__ import annotations

from typing import Any

import pytest

from facts.declared import read
from facts.errors import CouldNotTell
from facts.kubernetes.label_selector import LabelSelector, labels_that_fit

A, B = {"a": "1"}, {"b": "2"}


def selector(**document: Any) -> LabelSelector:
    return read(LabelSelector, document, "a selector")


def expression(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": operator, "values": [*values]}]}


def both(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    return {"matchExpressions": [*one["matchExpressions"], *other["matchExpressions"]]}


@pytest.mark.parametrize(
    ("document", "fits", "others"),
    [
        ({}, [{}, A, B], []),
        ({"matchLabels": A}, [A, A | B], [{}, {"a": "2"}, B]),
        ({"matchLabels": A | B}, [A | B], [A, B]),
        (expression("a", "In", "1", "2"), [A, {"a": "2"}], [{}, {"a": "3"}]),
        (expression("a", "NotIn", "1", "2"), [{}, B, {"a": "3"}], [A, {"a": "2"}]),
        (expression("a", "Exists"), [A, {"a": ""}], [{}, B]),
        (expression("a", "DoesNotExist"), [{}, B], [A, {"a": ""}]),
        (expression("a", "Near", "1"), [], [{}, A]),
        ({"matchLabels": B, **expression("a", "Exists")}, [A | B], [A, B]),
    ],
)
def test_what_a_selector_fits(document: Any, fits: list[dict[str, str]], others: list[dict[str, str]]) -> None:
    made = selector(**document)
    assert [labels for labels in fits if not made.fits(labels)] == []
    assert [labels for labels in others if made.fits(labels)] == []
    assert made.is_empty is (document == {})


@pytest.mark.parametrize("operator", ["In", "NotIn", "Exists", "DoesNotExist", "Near", "in", ""])
def test_an_operator_that_kubernetes_does_not_know_makes_it_invalid(operator: str) -> None:
    assert selector(**expression("a", operator, "1")).is_valid is (operator in {"In", "NotIn", "Exists", "DoesNotExist"})
    assert selector(matchLabels=A).is_valid


@pytest.mark.parametrize("document", [{"matchLabels": {"a": True}}, {"matchExpressions": [{"key": "a", "values": [1]}]}])
def test_a_damaged_selector_is_not_guessed_at(document: Any) -> None:
    with pytest.raises(CouldNotTell):
        selector(**document)


def test_how_people_write_it() -> None:
    assert str(selector(matchLabels=A, **expression("b", "In", "1", "2"))) == "a=1, b In 1, 2"
    assert str(selector(**expression("b", "Exists"))) == "b Exists"


NAME = "kubernetes.io/metadata.name"
HAVE = {"istio-injection": "enabled"}


@pytest.mark.parametrize(
    ("document", "added"),
    [
        ({}, {}),
        ({"matchLabels": A}, A),
        ({"matchLabels": HAVE | A}, A),
        ({"matchLabels": {"istio-injection": "other"}}, None),
        (expression("a", "In", "1", "2"), A),
        (expression("a", "In"), None),
        (expression("istio-injection", "In", "x", "enabled"), {}),
        (expression("a", "Exists"), {"a": "true"}),
        (expression("a", "DoesNotExist"), {}),
        (expression("a", "NotIn", "1"), {}),
        (expression("istio-injection", "DoesNotExist"), None),
        (expression("istio-injection", "NotIn", "enabled"), None),
        (expression("istio.io/rev", "Exists"), None),
        (expression("istio.io/rev", "In", "a"), None),
        (expression("istio.io/rev", "DoesNotExist"), {}),
        ({"matchLabels": {NAME: "shop"}}, None),
        (expression(NAME, "NotIn", "kube-system"), {}),
        (expression(NAME, "Exists"), {}),
        (expression(NAME, "DoesNotExist"), None),
        (expression("a", "Near"), None),
        (both(expression("a", "Exists"), expression("a", "In", "1")), None),
    ],
)  # fmt: skip
def test_labels_of_a_new_namespace_that_a_selector_fits(document: Any, added: dict[str, str] | None) -> None:
    found = labels_that_fit(selector(**document), HAVE, ("istio.io/rev",))
    assert found == (None if added is None else HAVE | added)
