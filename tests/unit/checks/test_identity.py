"""Readings of the checks of chapter 3."""

from __future__ import annotations

from checks import identity
from tests.unit.doctor.installs import install, out_of_sight


def test_a_proxy_that_nobody_can_ask_is_left_out_of_the_sweep_by_name() -> None:
    found = identity.outside_of_teleport(install(change=out_of_sight("b", silent=True)))
    assert [(str(each.subject), each.said) for each in found.left_out] == [
        ("Pod shop/b", "its node node-2 is not Ready, so nothing of it is judged")
    ]
    assert identity.outside_of_teleport(install()).left_out == ()
