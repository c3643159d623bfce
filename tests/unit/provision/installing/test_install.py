"""The parts of an installation, and how an Installer takes leave."""

from __future__ import annotations

import pytest

from facts.errors import ProvisioningFailed
from provision.installing.install import PARTS, _all_of, _phases_of


def test_an_unknown_part_is_named() -> None:
    with pytest.raises(ValueError, match="'gateway'; there are cluster"):
        _phases_of(("cluster", "gateway"))


def test_every_part_stands_for_phases() -> None:
    assert _phases_of(("cluster", "resources")) == ["cluster", "nodes", "resources", "token"]
    assert all(PARTS.values())


def test_every_step_of_leaving_is_taken_and_every_failure_told() -> None:
    taken: list[str] = []

    def fails(name: str) -> None:
        taken.append(name)
        raise ProvisioningFailed(expected=name, seen="x", where=f"the {name}", remedy="z")

    with pytest.raises(ProvisioningFailed, match=r"saw the first: x; the third: x \(2 of 3 steps\). What to do: z$"):
        _all_of([lambda: fails("first"), lambda: taken.append("second"), lambda: fails("third")])
    assert taken == ["first", "second", "third"]


def test_a_failure_alone_is_told_as_it_is() -> None:
    def fails() -> None:
        raise ProvisioningFailed(expected="it", seen="x", where="y", remedy="z")

    with pytest.raises(ProvisioningFailed, match="expected it; saw x"):
        _all_of([lambda: None, fails])
