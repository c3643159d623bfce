"""The command-line tools that the guide asks for: their versions, and kubectl for the guide's own commands."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facts.document import decoded
from facts.errors import NotGiven
from facts.evidence import ObjectRef
from facts.recorder import Recorder
from facts.versions import Tool, Version, parse_istioctl_version, parse_kubectl_version, parse_tctl_version
from observe.command import LIMIT, CommandResult, run
from observe.readings import Key, Readings
from settings import Settings

KUBECTL: Key[Tool] = Key("kubectl", lambda tool: tool.evidence)
ISTIOCTL: Key[Tool] = Key("istioctl", lambda tool: tool.evidence)
TCTL: Key[Tool] = Key("tctl", lambda tool: tool.evidence, ("teleport",))

Tctl = Callable[[Sequence[str], str], CommandResult]
"""Runs an admin tctl: arguments without the program, and its standard input. Evidence shows ``tctl …`` whatever it is."""


def tctl_of(settings: Settings) -> Tctl | None:
    """Return the admin tctl of the settings; None where they name none."""
    words = shlex.split(settings.tctl)
    timeout, limit = settings.patience.command, settings.sizes.command

    def tctl(arguments: Sequence[str], stdin: str) -> CommandResult:
        return run([*words, *arguments], timeout=timeout, stdin=stdin, limit=limit)

    return tctl if words else None


@dataclass(frozen=True, slots=True)
class Tools:
    """The tools of one run.

    Attributes:
        kubectl: Program.
        istioctl: Program.
        tctl: Runs an admin tctl; None where there is none.
        kubeconfig: For kubectl; None means its own default.
        context: For kubectl.
        recorder: Where the readings go.
        timeout: Seconds for one command.
        limit: Bytes that the output of one command may have.
    """

    kubectl: str
    istioctl: str
    tctl: Tctl | None
    kubeconfig: Path | None
    context: str
    recorder: Recorder
    timeout: float
    limit: int = LIMIT

    def kubectl_version(self) -> Tool:
        """Kubectl's own version, by its output; its exit code does not count.

        Raises:
            CouldNotTell: The tool is missing, or does not name its version.
        """
        words = ["version", "--client", "-o", "json"]
        return self._tool("kubectl", words, self._run([self.kubectl, *words]), parse_kubectl_version)

    def istioctl_version(self) -> Tool:
        """Istioctl's own version.

        Raises:
            CouldNotTell: See `kubectl_version`.
        """
        words = ["version", "--remote=false", "-o", "json"]
        return self._tool("istioctl", words, self._run([self.istioctl, *words]), parse_istioctl_version)

    def tctl_version(self) -> Tool:
        """Tctl's own version.

        Raises:
            NotGiven: This run has no admin tctl.
            CouldNotTell: See `kubectl_version`.
        """
        if self.tctl is None:
            raise no_admin_session("tctl version")
        return self._tool("tctl", ["version"], self.tctl(["version"], ""), parse_tctl_version)

    def run_kubectl(self, words: Sequence[str]) -> CommandResult:
        """Runs a kubectl command that only reads, against this run's cluster.

        Raises:
            CouldNotTell: Kubectl is missing, or does not end in time. A non-zero exit is an answer.
        """
        where = ["--kubeconfig", str(self.kubeconfig)] if self.kubeconfig else []
        return self._run([self.kubectl, *where, "--context", self.context, *words])

    def _run(self, argv: Sequence[str]) -> CommandResult:
        return run(argv, timeout=self.timeout, limit=self.limit)

    def _tool(self, name: str, words: Sequence[str], result: CommandResult, parse: Callable[[Any], Version]) -> Tool:
        subject, line = ObjectRef("Host", name), shlex.join([name, *words])
        recorded = result.recorded(self.recorder, subject, parser=parse, shown_as=line)
        return Tool(name, parse(decoded(recorded.stdout)), recorded.evidence)


def no_admin_session(where: str) -> NotGiven:
    """The error for every reading that needs an admin tctl, where you gave none."""
    return NotGiven(
        expected="an admin session of Teleport",
        seen="you gave none",
        where=where,
        remedy="give an admin tctl with --tctl, e.g. `--tctl tctl` after `tsh login`",
    )


@dataclass(frozen=True, slots=True)
class ToolsFacet:
    """Readings of the tools.

    Attributes:
        tools: The programs.
        readings: The cache.
    """

    tools: Tools
    readings: Readings

    def kubectl(self) -> Tool:
        """Kubectl's version."""
        return self.readings.once(KUBECTL, self.tools.kubectl_version)

    def istioctl(self) -> Tool:
        """Istioctl's version."""
        return self.readings.once(ISTIOCTL, self.tools.istioctl_version)

    def tctl(self) -> Tool:
        """Tctl's version."""
        return self.readings.once(TCTL, self.tools.tctl_version)
