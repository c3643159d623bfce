"""Readings of the checks of chapter 3."""

from __future__ import annotations

from typing import Any

import pytest

from checks import identity
from facts.finding import Finding, Holds
from judge.identity import sweep
from tests.unit.doctor.installs import Change, case, install, out_of_sight

DUE = "2026-03-01T11:00:00Z"


def swept(change: Change) -> Finding:
    """ID-11 of a mesh of two workloads, a and b."""
    examined = case(install(change=change))
    found, proxies = examined.install, identity.proxies(examined.install, examined.sweeps)
    return sweep.mesh_is_teleports(proxies, identity.expectation(found), identity.outside_of_teleport(found))


@pytest.mark.parametrize("names", [("b",), ("a", "b")])
@pytest.mark.parametrize(
    ("change", "said", "settle"),
    [
        ({"silent": True}, "its node node-2 is not Ready, so nothing of it is judged", "see why those nodes are not Ready"),
        (
            {"silent": False, "terminating": True, "due": DUE},
            f"it was deleted and is still there after its grace period, at {DUE}: nothing of it is judged, and its proxy may"
            " run on",
            "see what holds the pod",
        ),
    ],
    ids=["on a silent node", "deleted and still there"],
)
def test_the_sweep_names_the_proxies_that_nobody_can_ask_and_stays_open_where_there_is_no_other(
    names: tuple[str, ...], change: dict[str, Any], said: str, settle: str
) -> None:
    finding = swept(out_of_sight(*names, **change))
    is_open = names == ("a", "b")
    assert (finding.holds, finding.condition) == (Holds.UNKNOWN if is_open else Holds.YES, "")
    named = finding.unclear if is_open else finding.left_out
    assert [(str(each.subject), each.said) for each in named] == [(f"Pod shop/{name}", said) for name in names]
    assert finding.settle.startswith(settle) if is_open else not finding.settle
    assert {f"ev-pod-{name}" for name in names} <= {*finding.evidence}
    assert [str(each.subject) for each in finding.held] == [f"Pod shop/{name}" for name in ("a", "b") if name not in names]


@pytest.mark.parametrize("change", [lambda _facets: None, out_of_sight("b", silent=True, phase="Failed")])
def test_the_sweep_holds_where_every_proxy_that_runs_was_asked(change: Change) -> None:
    assert swept(change).holds is Holds.YES
