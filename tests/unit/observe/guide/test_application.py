"""The test application's pods, which may be starting while they are read."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from facts.recorder import KeptInMemory
from observe.guide.application import ApplicationFacet
from observe.kubernetes.cluster import Cluster
from observe.kubernetes.facet import ClusterFacet
from observe.readings import Readings
from settings import Names, Timeouts
from tests.unit.observe.api_server import CONTEXT
from tests.unit.observe.doubles import Unrecorded
from tests.unit.observe.simulated_fleet import NAMESPACE, SimulatedFleet, simulated

PATIENCE = Timeouts(api=5, pod_ready=5)


@pytest.fixture
def fleet() -> Iterator[SimulatedFleet]:
    with simulated(2) as made:
        yield made


@pytest.fixture
def cluster(fleet: SimulatedFleet, tmp_path: Path) -> Iterator[Cluster]:
    opened = Cluster(fleet.server.kubeconfig(tmp_path), CONTEXT, KeptInMemory(), PATIENCE)
    yield opened
    opened.close()


def application(cluster: Cluster) -> ApplicationFacet:
    names = Names(app_namespace=NAMESPACE, app="test-app")
    readings = Readings(Unrecorded(), lambda _part: None)
    return ApplicationFacet(ClusterFacet(cluster, readings, names, lambda _namespace: False), cast("Any", None))


def test_pods_that_have_started_are_not_listed_again(cluster: Cluster, fleet: SimulatedFleet) -> None:
    app = application(cluster)
    assert app.settled_pods() == app.pods()
    assert fleet.lists == 1


def test_pods_that_come_up_are_listed_again_until_they_are_ready(cluster: Cluster, fleet: SimulatedFleet) -> None:
    ready = copy.deepcopy(fleet.pods["fleet-002"].item["status"])
    fleet.starts("fleet-002")
    app = application(cluster)
    assert [pod.ready for pod in app.pods()] == [True, False]
    fleet.after_list = lambda: fleet.pods["fleet-002"].item.update(status=ready)
    assert [pod.ready for pod in app.settled_pods()] == [True, True]
    assert [pod.ready for pod in app.pods_once_settled()] == [True, True]
    assert [pod.ready for pod in app.pods()] == [True, False]
    assert len(app.evidence(app.settled_pods())) == 1


def test_a_pod_that_does_not_come_up_in_time_is_shown_as_it_is(
    cluster: Cluster, fleet: SimulatedFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.starts("fleet-002")
    monkeypatch.setattr(cluster, "patience", PATIENCE.model_copy(update={"pod_ready": 0.1}))
    assert [pod.ready for pod in application(cluster).settled_pods()] == [True, False]


def test_a_pod_that_went_away_meanwhile_is_not_shown_and_its_successor_is(cluster: Cluster, fleet: SimulatedFleet) -> None:
    fleet.starts("fleet-002")
    app = application(cluster)
    assert [pod.name for pod in app.pods()] == ["fleet-001", "fleet-002"]
    fleet.remove("fleet-002")
    fleet.add()
    assert [pod.name for pod in app.settled_pods()] == ["fleet-001", "fleet-003"]
    assert [pod.name for pod in app.pods_once_settled()] == ["fleet-001"]
