"""Classes of gateways: whose they are, and which of istiod's is taken."""

from __future__ import annotations

from typing import Any

import pytest

from facts.errors import CouldNotTell
from facts.istio.gateway_api import CONTROLLER, GatewayClass, istiods, parse_gateway_class


def document(name: str, controller: str) -> dict[str, Any]:
    return {"kind": "GatewayClass", "metadata": {"name": name}, "spec": {"controllerName": controller}}


def test_a_class_names_its_controller() -> None:
    assert parse_gateway_class(document("istio", CONTROLLER), ("ev",)) == GatewayClass("istio", CONTROLLER, ("ev",))


@pytest.mark.parametrize("damaged", [{}, {"metadata": {"name": "istio"}}, {"metadata": {"name": "istio"}, "spec": {}}])
def test_a_damaged_class_is_no_class(damaged: dict[str, Any]) -> None:
    with pytest.raises(CouldNotTell):
        parse_gateway_class(damaged)


def test_of_istiods_classes_its_own_is_taken_and_of_others_none() -> None:
    other, mine = GatewayClass("a", "example.com/gateways"), GatewayClass("b", CONTROLLER)
    assert istiods([other, GatewayClass("istio", CONTROLLER), mine]) == GatewayClass("istio", CONTROLLER)
    assert istiods([other, GatewayClass("c", CONTROLLER), mine]) == mine
    assert istiods([other]) is None


def test_damage_names_the_class() -> None:
    with pytest.raises(CouldNotTell) as caught:
        parse_gateway_class({"metadata": {"name": "x"}})
    assert caught.value.where == "GatewayClass x"
