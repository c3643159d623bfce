"""The Gateway API in a cluster of the suite's own: given to one that lacks it, and awaited from istiod."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest

from facts.errors import CouldNotTell, ProvisioningFailed
from facts.istio.gateway_api import CONTROLLER
from observe.wait import Pace
from provision.installing.gateway_api import await_class, introduce

KINDS = ("gatewayclasses", "gateways")
PACE = Pace(0.1, 0.05, sleep=lambda _seconds: None)


class FakeObjects:
    """A cluster with definitions, and with what its list of classes answers, one after the other; the last one stays."""

    def __init__(self, *definitions: str, classes: list[Any] | None = None) -> None:
        self.definitions = definitions
        self.classes = classes or []
        self.applied: list[str] = []

    def get(self, _version: str, kind: str, name: str) -> dict[str, Any] | None:
        assert kind == "CustomResourceDefinition"
        return {"metadata": {"name": name}} if name in self.definitions else None

    def apply_all(self, items: list[dict[str, Any]]) -> None:
        self.applied += [item["metadata"]["name"] for item in items]

    def all_of(self, _version: str, kind: str) -> list[dict[str, Any]]:
        assert kind == "GatewayClass"
        answer = self.classes.pop(0) if len(self.classes) > 1 else self.classes[0]
        if isinstance(answer, Exception):
            raise answer
        return [{"metadata": {"name": name}, "spec": {"controllerName": controller}} for name, controller in answer]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    items = [{"kind": "CustomResourceDefinition", "metadata": {"name": name}} for name in KINDS]
    items.append({"kind": "ValidatingAdmissionPolicy", "metadata": {"name": "safe"}})
    path = tmp_path / "gateway-api.json"
    path.write_text(json.dumps({"kind": "List", "items": items}))
    return path


def test_a_cluster_that_lacks_it_is_given_all_of_it(file: Path) -> None:
    objects = FakeObjects()
    introduce(cast("Any", objects), file)
    assert objects.applied == ["gatewayclasses", "gateways", "safe"]


@pytest.mark.parametrize("name", KINDS)
def test_what_a_cluster_has_is_left_alone(file: Path, name: str) -> None:
    objects = FakeObjects(name)
    introduce(cast("Any", objects), file)
    assert objects.applied == []


@pytest.mark.parametrize("content", ["", "[]", "{}"])
def test_a_damaged_list_is_said_to_be_one(file: Path, content: str) -> None:
    file.write_text(content)
    with pytest.raises(ProvisioningFailed, match=r"gateway-api\.json.*make lab"):
        introduce(cast("Any", FakeObjects()), file)


def test_istiods_class_is_waited_for() -> None:
    unknown = ProvisioningFailed(expected="x", seen="no such kind", where="y", remedy="z")
    objects = FakeObjects(classes=[unknown, [], [("istio-waypoint", "istio.io/mesh-controller")], [("istio", CONTROLLER)]])
    await_class(cast("Any", objects), Pace(5, 0.05, sleep=lambda _seconds: None))
    assert objects.classes == [[("istio", CONTROLLER)]]


def test_a_class_that_does_not_come_is_said_with_those_that_are_there() -> None:
    with pytest.raises(CouldNotTell, match="classes: istio-waypoint"):
        await_class(cast("Any", FakeObjects(classes=[[("istio-waypoint", "istio.io/mesh-controller")]])), PACE)
