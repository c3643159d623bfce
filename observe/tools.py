"""The command-line tools that the guide asks for: which versions they are, and the guide's own commands run with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facts.document import decoded
from facts.errors import CouldNotTell
from facts.evidence import ObjectRef, Recorder
from facts.versions import Tool, Version, parse_istioctl_version, parse_kubectl_version, parse_tctl_version
from observe.command import CommandResult, run
from observe.guide import GuideCommand

Tctl = Callable[[Sequence[str], str], CommandResult]
"""Runs an admin tctl: arguments without the program, and its standard input. Evidence shows ``tctl …`` whatever it is."""


@dataclass(frozen=True, slots=True)
class Tools:
    """The tools of one run.

    Attributes:
        kubectl: Program.
        istioctl: Program.
        tctl: How to run an admin tctl; None where there is none.
        kubeconfig: For kubectl; None means its own default.
        context: For kubectl.
        recorder: Where the readings go.
        timeout: Seconds for one command.
    """

    kubectl: str
    istioctl: str
    tctl: Tctl | None
    kubeconfig: Path | None
    context: str
    recorder: Recorder
    timeout: float

    def versions(self) -> tuple[Tool, ...]:
        """Versions of kubectl, istioctl and tctl, read from what they say; their exit codes say nothing.

        Raises:
            CouldNotTell: One of them is missing, or does not name its version.
        """
        kubectl = run([self.kubectl, "version", "--client", "-o", "json"], timeout=self.timeout)
        istioctl = run([self.istioctl, "version", "--remote=false", "-o", "json"], timeout=self.timeout)
        if self.tctl is None:
            raise no_admin_session("tctl version")
        tctl = self.tctl(["version"], "")
        return (
            self._tool("kubectl", kubectl, parse_kubectl_version, "kubectl version --client -o json"),
            self._tool("istioctl", istioctl, parse_istioctl_version, "istioctl version --remote=false -o json"),
            self._tool("tctl", tctl, parse_tctl_version, "tctl version"),
        )

    def run_kubectl(self, words: Sequence[str]) -> CommandResult:
        """Runs a kubectl command that only looks, against this run's cluster.

        Raises:
            CouldNotTell: It is missing, or does not end in time. A non-zero exit is an answer.
        """
        where = ["--kubeconfig", str(self.kubeconfig)] if self.kubeconfig else []
        return run([self.kubectl, *where, "--context", self.context, *words], timeout=self.timeout)

    def run_guide(self, asked: GuideCommand) -> CommandResult:
        """Runs one of the guide's kubectl commands against this run's cluster."""
        return self.run_kubectl(asked.words[1:])

    def _tool(self, name: str, result: CommandResult, parse: Callable[[Any], Version], shown: str) -> Tool:
        recorded = result.as_evidence(
            ObjectRef("Host", name), parser=f"{parse.__module__}.{parse.__qualname__}", shown_as=shown
        )
        evidence = self.recorder.record(recorded)
        return Tool(name, parse(decoded(result.stdout)), (evidence,))


def no_admin_session(where: str) -> CouldNotTell:
    """The error of everything that needs an admin tctl where there is none."""
    return CouldNotTell(
        expected="an admin session of Teleport",
        seen="none was given",
        where=where,
        remedy="give an admin tctl with --tctl, e.g. `--tctl tctl` after `tsh login`",
    )
