"""The advisor's order of restarts against its reverse, on a mesh that moves under load. Opt-in: ``make migration``.

In both orders the same mesh begins anew, with the same loads and the same time between two restarts. What the plan says of
each way after each restart is compared with what the ledgers of the loads show.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from observe.wait import wait_until
from tests.lab.conftest import Lab
from tests.lab.migration import FRONT, NAMES, WARM_UP, WAYS, MovingMesh, Plan, advice_on, broken_between


def test_the_order_of_the_advisor_loses_fewer_requests_than_its_reverse(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with lab.scene.looking() as cluster:
        with MovingMesh(lab.scene, cluster, "given") as mesh:
            mesh.begin()
            wait_until(datetime.now(UTC) + WARM_UP)
            plan = Plan.read(advice_on(lab.scene, tmp_path), mesh.namespace)
            assert plan.counted == {*WAYS}
            assert not plan.assumed
            assert {*plan.order} == {*NAMES} - {FRONT}
            given = mesh.moved_in(plan.order)
        with MovingMesh(lab.scene, cluster, "reverse") as mesh:
            mesh.begin()
            wait_until(datetime.now(UTC) + WARM_UP)
            reverse = mesh.moved_in(plan.order[::-1])
    with capsys.disabled():
        print(f"\nas advised: {given.told()}\nin reverse: {reverse.told()}")
    assert given.at_first == reverse.at_first == plan.today
    assert given.after_each == plan.after_each
    for moved in (given, reverse):
        states = [{FRONT, *moved.order[:number]} for number in range(1, len(moved.order) + 1)]
        assert moved.after_each == tuple(map(broken_between, states))
    assert given.refused < reverse.refused
    assert len(given.lost) < len(reverse.lost)
