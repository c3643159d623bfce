"""The doctor of this suite, asked as a person asks it: in a process of its own."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from facts.doctor.answer import CAUSE_NAMED, NOT_DETERMINED, NOTHING_FOUND, Look, Way, parse_answer
from facts.document import decoded
from facts.errors import CouldNotTell
from facts.evidence import ObjectRef, evidence_of
from facts.recorder import Recorder
from observe.command import LIMIT, CommandResult, run

PROGRAM = (str(Path(sys.executable).with_name("conformance")), "doctor")


@dataclass(frozen=True, slots=True)
class Doctor:
    """The doctor of one cluster.

    Attributes:
        kubeconfig: File with the context; None for kubectl's own default.
        context: Context of the cluster.
        directory: Where it runs; without a conformance.toml, which is about this run.
        proxy: HOST:PORT of the expected Teleport's proxy; empty where it has to find it in tbot's configuration.
        ca: Certificates to verify it with; None for the system's.
        insecure: True where it must not be verified.
        tctl: Command of a tctl with an admin session.
        recorder: Where the answers go.
        timeout: Seconds for one answer.
        limit: Bytes that one answer may have.
        program: The doctor's command line, without options.
    """

    kubeconfig: Path | None
    context: str
    directory: Path
    proxy: str
    ca: Path | None
    insecure: bool
    tctl: tuple[str, ...]
    recorder: Recorder
    timeout: float
    limit: int = LIMIT
    program: tuple[str, ...] = PROGRAM

    def look(self, way: Way) -> Look:
        """Ask the doctor what is wrong with the cluster.

        Raises:
            CouldNotTell: It gave no answer: it did not end in time, refused its options, or wrote something else.
        """
        options = ["--json"]
        options += [] if way is Way.READER else ["--tctl", shlex.join(self.tctl)]
        options += ["--allow", "namespaced"] if way is Way.PROBES else []
        asked = self._ask(options)
        evidence = evidence_of(
            asked.line,
            ObjectRef("Host", "conformance doctor"),
            asked.stdout,
            read_at=datetime.now(UTC),
            parser=parse_answer,
            exit_code=asked.exit_code,
        )
        answer = parse_answer(decoded(evidence.body), (self.recorder.record(evidence),))
        return Look(way, answer, asked.exit_code)

    def printed(self, *options: str) -> str:
        """Return all that the doctor prints of the cluster when it only reads, as it prints it.

        Args:
            options: Further options, such as ``--json``.

        Raises:
            CouldNotTell: As `look`.
        """
        asked = self._ask(options)
        return asked.stdout + asked.stderr

    def _ask(self, options: Sequence[str]) -> CommandResult:
        where = ["--context", self.context, *(["--teleport-proxy", self.proxy] if self.proxy else [])]
        asked = run(
            [*self.program, *where, *options],
            timeout=self.timeout,
            limit=self.limit,
            env=self._environment(),
            cwd=self.directory,
        )
        if asked.exit_code not in (NOTHING_FOUND, CAUSE_NAMED, NOT_DETERMINED):
            raise CouldNotTell(
                expected="an answer of the doctor",
                seen=f"exit code {asked.exit_code}: {asked.tail()}",
                where=asked.line,
                remedy="run the command by hand",
            )
        return asked

    def _environment(self) -> Mapping[str, str]:
        """Settings for which the command line has no option, and none of the ways that this run was given for itself."""
        return {
            "CONFORMANCE_KUBECONFIG": str(self.kubeconfig.resolve()) if self.kubeconfig else "",
            "CONFORMANCE_TELEPORT_CA": str(self.ca.resolve()) if self.ca else "",
            "CONFORMANCE_TELEPORT_INSECURE": str(self.insecure).lower(),
            "CONFORMANCE_TCTL": "",
            "CONFORMANCE_ALLOW": "",
        }
