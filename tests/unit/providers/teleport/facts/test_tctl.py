"""Errors of tctl and tbot, as Teleport prints them and as what stands around them prints others."""

from __future__ import annotations

from time import perf_counter

import pytest

from providers.teleport.facts.tctl import layers, remedy_for, says_absent, says_not_created, says_session_ended
from tests.data import text

ABSENT = {
    "bot-absent.18": "istio-tbot",
    "bot-absent.19": "istio-tbot",
    "role-absent": "istio-workload-identity-issuer",
    "token-absent": "istio-tbot-k8s-join",
    "workload_identity-absent": "istio-workloads",
}
THERE = ("bot-there", "role-there")
RED = "\x1b[31mERROR: \x1b[0m"


def real(name: str) -> str:
    return text(f"teleport/real/{name}.stderr")


def test_layers_of_an_error_in_color_and_over_several_lines() -> None:
    innermost = 'user "bot-istio-tbot" not found'
    assert layers(real("bot-absent.18")) == ("fetching bot user", innermost)
    assert layers(real("bot-absent.19")) == ("fetching bot", "fetching bot user", innermost)
    assert layers(real("role-absent")) == ("role istio-workload-identity-issuer is not found",)
    assert layers(f"warning: x\r\n{RED}outer\r\n\tinner\r\n\r\ncommand terminated with exit code 1\r\n") == (
        "outer",
        "inner",
    )
    assert layers("ERROR: plain\n") == ("plain",)
    assert layers("Error: no such container\n") == ()
    assert layers("") == ()


@pytest.mark.parametrize(("file", "name"), ABSENT.items())
def test_what_does_not_exist(file: str, name: str) -> None:
    assert says_absent(real(file), name)
    assert not says_absent(real(file), f"another-{name}s")
    assert not says_not_created(real(file))


@pytest.mark.parametrize("file", THERE)
def test_what_exists_already(file: str) -> None:
    assert says_not_created(real(file))
    assert not says_absent(real(file), "istio-tbot")


@pytest.mark.parametrize(
    "said",
    [
        "sh: 1: tctl: not found\n",
        "Error response from daemon: No such container: bot, it does not exist\n",
        'Error from server (NotFound): deployments.apps "bot" not found\n',
        f'{RED}user "alice" not found\n',
        f'{RED}access denied\n\trole "bot" not found in the session\n',
        f"{RED}reading bot not found\n\taccess denied\n",
        f'{RED}kind "bot" is unknown\n',
    ],
)
def test_other_words_are_no_absence(said: str) -> None:
    assert not says_absent(said, "bot")


def test_access_denied_creates_nothing() -> None:
    assert says_not_created(f'{RED}access denied to perform action "create" on "token"\n')
    assert not says_not_created(f"{RED}context deadline exceeded\n")
    assert not says_not_created("already exists")


@pytest.mark.parametrize("word", ["MFA is required", "multi-factor authentication", "tap your WebAuthn device"])
def test_a_second_factor_that_is_asked_for(word: str) -> None:
    said = f"{RED}{word}\n\tcredentials\n"
    assert "tctl -i IDENTITY_FILE" in remedy_for(said, "otherwise")
    assert not says_session_ended(said)


def test_a_session_that_ended_and_any_other_error() -> None:
    expired = f"{RED}your credentials have expired, please login using tsh login\n"
    assert says_session_ended(expired)
    assert remedy_for(expired, "otherwise") == "log in again with `tsh login`"
    assert remedy_for(f"{RED}no MFAs here\n", "otherwise") == "otherwise"


@pytest.mark.parametrize(
    "said", ["ERROR: " + "\n\tx" * 300_000, "ERROR: (*" * 100_000, "\x1b[" * 500_000, "(" + "*" * 999_999]
)
def test_a_megabyte_is_read_in_no_time(said: str) -> None:
    began = perf_counter()
    says_absent(said, "x")
    assert perf_counter() - began < 1
