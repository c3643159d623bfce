"""The guide's commands against an install: a command that kubectl may not run is no answer about the install."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from facts.errors import NotGiven
from facts.guide import FILE_MOUNTED, FOUND, conclude_proxy_log
from facts.kubernetes.objects import Pod
from facts.recorder import KeptInMemory
from observe.command import CommandResult
from observe.guide.facet import GuideFacet
from observe.install import Install
from settings import Names
from tests.unit.judge import builders as make
from tests.unit.observe.doubles import NOTHING_INSTALLED, Cluster, Unrecorded

LOGS = "kubectl logs -n test-app $POD_NAME -c istio-proxy"
DENIED = 'User "u" cannot get resource "pods/log" in API group "" in the namespace "test-app"'
POD: Pod = make.pod()


class Nothing(Cluster):
    """A cluster without an install."""

    def deployments(self) -> tuple[Any, ...]:
        raise NOTHING_INSTALLED


class Kubectl:
    """A kubectl that always answers the same."""

    def __init__(self, exit_code: int, stdout: str, stderr: str) -> None:
        self._answer = CommandResult(("kubectl",), exit_code, stdout, stderr, datetime.now(UTC))

    def run_kubectl(self, _words: Any) -> CommandResult:
        return self._answer


def guide(exit_code: int, stdout: str = "", stderr: str = "", recorder: KeptInMemory | None = None) -> GuideFacet:
    return Install.of(
        cast("Any", Nothing()),
        teleport=cast("Any", None),
        tools=cast("Any", Kubectl(exit_code, stdout, stderr)),
        names=Names(),
        recorder=recorder or Unrecorded(),
        allowed=frozenset({"read-only"}),
        provisions=False,
    ).guide


def test_a_command_that_kubectl_may_not_run_names_the_right() -> None:
    with pytest.raises(NotGiven, match="the right to get pods/log in test-app") as caught:
        guide(1, stderr=f'Error from server (Forbidden): pods "app" is forbidden: {DENIED}').run(LOGS, POD)
    assert caught.value.where == f"kubectl logs -n test-app {POD.name} -c istio-proxy"


@pytest.mark.parametrize(
    ("exit_code", "stdout", "stderr"),
    [(0, DENIED, ""), (1, DENIED, "container is waiting to start"), (1, "", "Error from server (NotFound)")],
    ids=["a log that quotes the words", "a log that breaks off after them", "another error"],
)
def test_any_other_answer_is_the_guides(exit_code: int, stdout: str, stderr: str) -> None:
    """A workload writes its own log: what it writes there must not look like a missing right."""
    assert not guide(exit_code, stdout, stderr).run(LOGS, POD).healthy


@pytest.mark.parametrize(
    "log",
    [
        f"{FOUND}\n{FILE_MOUNTED}\n",
        f"{FOUND}\npassword: '{FILE_MOUNTED}'\n",
        f"-----BEGIN PRIVATE KEY-----\n{FOUND}\n{FILE_MOUNTED}\n-----END PRIVATE KEY-----\n",
        "",
    ],
    ids=["both lines", "one as a password", "both in a key", "none"],
)
def test_the_conclusion_is_drawn_from_what_is_stored(log: str) -> None:
    recorder = Unrecorded()
    answer = guide(0, log, "Defaulted container", recorder).run(LOGS, POD)
    (kept,) = (recorder.evidence[each] for each in answer.evidence)
    assert (answer.healthy, answer.said) == conclude_proxy_log(kept.body)
    assert kept.parser == "facts.guide.conclude_proxy_log"


def test_a_failed_command_is_told_without_its_secrets() -> None:
    secret = secrets.token_urlsafe(9000)
    answer = guide(1, stderr=f"error: token: {secret}").run(LOGS, POD)
    assert not any(secret[at : at + 24] in answer.said for at in range(0, len(secret), 24))
