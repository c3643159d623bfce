"""What an Installer refuses before it makes anything, and how it takes leave."""

from __future__ import annotations

from typing import Any

import pytest

import settings
from facts.errors import BadInput, ProvisioningFailed
from provision.install import PARTS, _all_of, _phases_of, must_be_installable


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"cluster": "existing"}, "nothing is installed on an existing cluster"),
        ({"tctl": "tctl"}, "--teleport-proxy HOST:PORT"),
        ({"names": {"bot": "another"}}, r"names\.bot"),
        ({"names": {"socket_name": "other"}}, r"names\.socket_name"),
    ],
)
def test_settings_that_cannot_be_installed_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        must_be_installable(settings.load(**given))


def test_the_defaults_and_another_socket_directory_can_be_installed() -> None:
    must_be_installable(settings.load())
    must_be_installable(settings.load(names={"socket_directory": "/run/tbot"}))


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

    with pytest.raises(ProvisioningFailed, match=r"saw the first: x; the third: x \(2 of 3 steps\). Try: z$"):
        _all_of([lambda: fails("first"), lambda: taken.append("second"), lambda: fails("third")])
    assert taken == ["first", "second", "third"]


def test_a_failure_alone_is_told_as_it_is() -> None:
    def fails() -> None:
        raise ProvisioningFailed(expected="it", seen="x", where="y", remedy="z")

    with pytest.raises(ProvisioningFailed, match="expected it; saw x"):
        _all_of([lambda: None, fails])
