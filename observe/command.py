"""The one way to run a command: an argument list, always with a deadline; the answer can become evidence."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from facts.document import plain
from facts.errors import CouldNotTell
from facts.evidence import Evidence, ObjectRef, evidence_of


@dataclass(frozen=True, slots=True)
class CommandResult:
    """The answer of a command.

    Attributes:
        argv: The command line.
        exit_code: As the process ended.
        stdout: Unredacted; goes to a parser, never to an output.
        stderr: Likewise.
        ended_at: UTC.
        evidence: Ids of the readings, where the answer was recorded.
    """

    argv: tuple[str, ...]
    exit_code: int
    stdout: str
    stderr: str
    ended_at: datetime
    evidence: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """The command line as a person would type it."""
        return shlex.join(self.argv)

    def as_evidence(
        self, subject: ObjectRef, *, parser: Callable[..., object] | None = None, shown_as: str = ""
    ) -> Evidence:
        """The answer as evidence: standard output, then standard error under a line that says so.

        Args:
            subject: The object that the command read.
            parser: Parser of standard output; evidence with a parser holds standard output alone.
            shown_as: The line to show instead, for a command that goes through a wrapper (``docker exec … tctl``).
        """
        body = self.stdout
        if self.stderr.strip() and not (parser and self.exit_code == 0):
            body += f"\n--- standard error ---\n{plain(self.stderr)}"
        return evidence_of(
            shown_as or self.line, subject, body, read_at=self.ended_at, parser=parser, exit_code=self.exit_code
        )

    def tail(self, characters: int = 800) -> str:
        """The end of its output, for an error message."""
        said = plain(self.stderr.strip() or self.stdout.strip()).replace("\r", "")
        return said[-characters:]


class EndedBySignal(CouldNotTell):
    """SIGINT or SIGTERM from elsewhere ended a command, so that its exit code is no answer.

    Ctrl-C goes to a whole process group, and reaches a command that has not left the group yet.
    """


STOP_INTERVAL = 0.2
"""Seconds between two calls of `stop`."""


def run(
    argv: Sequence[str | Path],
    *,
    timeout: float,
    stdin: str = "",
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> CommandResult:
    """Runs a command to its end.

    Args:
        argv: Program and arguments; never a shell string.
        timeout: Seconds after which `run` ends it.
        stdin: Text for its standard input.
        env: Variables on top of this process's environment.
        cwd: Working directory.
        stop: Called repeatedly while the command runs; `run` ends the command when it returns True.

    Raises:
        CouldNotTell: The program does not exist, did not end in time, or `stop` returned True. A non-zero exit is an
            answer, not an error.
        EndedBySignal: SIGINT or SIGTERM from elsewhere ended it.
    """
    words = tuple(str(a) for a in argv)
    try:
        process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env={**os.environ, **(env or {})},
            cwd=cwd,
            # A terminal sends Ctrl-C to the whole group. This process decides when a command ends: a command that Ctrl-C
            # kills would look like one that failed.
            process_group=0,
        )
    except OSError as error:
        raise CouldNotTell(
            expected=f"the program {words[0]}",
            seen=f"it cannot be started: {error.strerror}",
            where=shlex.join(words),
            remedy="install it, or name its path in the settings (see `conformance images`)",
        ) from error
    with process:
        _feed(process, stdin)
        try:
            stdout, stderr = _outcome(process, shlex.join(words), timeout, stop)
        except BaseException:
            _end(process)
            raise
    if process.returncode in (-signal.SIGINT, -signal.SIGTERM):
        raise EndedBySignal(
            expected="the command to end by itself",
            seen=f"{signal.Signals(-process.returncode).name} from elsewhere ended it",
            where=shlex.join(words),
            remedy="run the suite again, and let its commands end",
        )
    return CommandResult(words, process.returncode, stdout, stderr, datetime.now(UTC))


def _feed(process: subprocess.Popen[str], text: str) -> None:
    """Sends text to a process as fast as the process reads; `communicate` would drop the rest when it times out."""
    pipe, process.stdin = process.stdin, None
    if pipe is None:
        return

    def send() -> None:
        # A process may end without having read everything.
        with suppress(BrokenPipeError), pipe:
            pipe.write(text)

    threading.Thread(target=send, name="stdin", daemon=True).start()


def _outcome(process: subprocess.Popen[str], line: str, timeout: float, stop: Callable[[], bool]) -> tuple[str, str]:
    """The output of a process until its end, which must come in time and before `stop` returns True."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            return process.communicate(timeout=STOP_INTERVAL)
        except subprocess.TimeoutExpired as error:
            if stop():
                raise CouldNotTell(
                    expected="the command to end by itself",
                    seen="the suite stopped it, because its outcome no longer matters",
                    where=line,
                    remedy="see why the suite stopped early",
                ) from error
            if time.monotonic() > deadline:
                raise CouldNotTell(
                    expected=f"an answer within {timeout:g} s",
                    seen="none",
                    where=line,
                    remedy="see whether the cluster or host is overloaded, or raise --timeout-scale",
                ) from error


def _end(process: subprocess.Popen[str]) -> None:
    """Ends a process: by SIGTERM, and by SIGKILL after 5 s."""
    process.terminate()
    try:
        process.communicate(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()


def must_run(
    argv: Sequence[str | Path],
    *,
    timeout: float,
    stdin: str = "",
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    remedy: str = "read the command's own message above",
) -> CommandResult:
    """As `run`, where a non-zero exit is an error.

    Raises:
        CouldNotTell: Also when the command fails; holds the end of its output.
    """
    result = run(argv, timeout=timeout, stdin=stdin, env=env, cwd=cwd)
    if result.exit_code != 0:
        raise CouldNotTell(
            expected="the command to succeed",
            seen=f"exit code {result.exit_code}: {result.tail()}",
            where=result.line,
            remedy=remedy,
        )
    return result
