"""The one way to run a command: an argument list, always with a deadline and a limit; the answer can become evidence."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from facts.document import plain
from facts.errors import CouldNotTell
from facts.evidence import Evidence, ObjectRef, evidence_of
from facts.masks import Mask, PlainText, kept_for, unfinished
from facts.recorder import Recorder
from facts.redaction import ending
from observe.limits import PIECE, too_large
from settings import DEFAULT_SIZES


@dataclass(frozen=True, slots=True)
class CommandResult:
    """The answer of a command.

    Attributes:
        argv: The command line.
        exit_code: As the process ended.
        stdout: Unredacted until it was recorded; never goes to an output before.
        stderr: Likewise; empty where a parser reads standard output alone.
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
        self,
        subject: ObjectRef,
        *,
        parser: Callable[..., object] | None = None,
        shown_as: str = "",
        named_secrets: Iterable[str] = (),
        mask: Mask | None = None,
    ) -> Evidence:
        """The answer as evidence: standard output, then standard error under a line that says so.

        What a command printed before it failed is no document, so that no mask can choose its parts: where one should, none
        is kept.

        Args:
            subject: The object that the command read.
            parser: Parser of standard output; evidence with a parser or a mask holds standard output alone.
            shown_as: The line to show instead, for a command that goes through a wrapper (``docker exec … tctl``).
            named_secrets: Further values to hide.
            mask: What to keep of standard output, where that is not what the parser was declared with.
        """
        keeps = mask or (kept_for(parser) if parser else None)
        chooses = keeps is not None and not isinstance(keeps, PlainText)
        body = unfinished(self.stdout) if chooses and self.exit_code != 0 and self.stdout.strip() else self.stdout
        if self.stderr.strip() and not (keeps and self.exit_code == 0):
            body += f"{STANDARD_ERROR}{plain(self.stderr)}"
        return evidence_of(
            shown_as or self.line,
            subject,
            body,
            read_at=self.ended_at,
            parser=parser if self.exit_code == 0 else None,
            exit_code=self.exit_code,
            named_secrets=named_secrets,
            mask=mask if self.exit_code == 0 else None,
        )

    def recorded(
        self,
        recorder: Recorder,
        subject: ObjectRef,
        *,
        parser: Callable[..., object] | None = None,
        shown_as: str = "",
        named_secrets: Iterable[str] = (),
        mask: Mask | None = None,
    ) -> CommandResult:
        """Records the answer, see `as_evidence`. Returns it with the outputs as recorded, so that nothing else is judged."""
        kept = self.as_evidence(subject, parser=parser, shown_as=shown_as, named_secrets=named_secrets, mask=mask)
        stdout, stderr = kept.body, ""
        if STANDARD_ERROR in kept.body and self.stderr.strip() and not kept.parser:
            # The last one: what a container wrote to standard output may hold such a line as well.
            stdout, _line, stderr = kept.body.rpartition(STANDARD_ERROR)
        return replace(self, stdout=stdout, stderr=stderr, evidence=(recorder.record(kept),))

    def tail(self, characters: int = 800) -> str:
        """The end of its output without secrets and colors, for a message."""
        return ending(plain(self.stderr.strip() or self.stdout).replace("\r", ""), characters)


STANDARD_ERROR = "\n--- standard error ---\n"
"""Stands in evidence between the two outputs of a command."""


class EndedBySignal(CouldNotTell):
    """SIGINT, SIGTERM or SIGHUP from elsewhere ended a command, so that its exit code is no answer.

    Ctrl-C goes to a whole process group, and reaches a command that has not left the group yet.
    """


STOP_INTERVAL = 0.2
"""Seconds between two calls of `stop`."""

LIMIT = DEFAULT_SIZES.command
"""Bytes that the output of a command may have where its caller has no setting."""


def run(
    argv: Sequence[str | Path],
    *,
    timeout: float,
    stdin: str = "",
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stop: Callable[[], bool] = lambda: False,
    limit: int = LIMIT,
) -> CommandResult:
    """Runs a command to its end.

    Args:
        argv: Program and arguments; never a shell string.
        timeout: Seconds after which `run` ends it.
        stdin: Text for its standard input.
        env: Variables on top of this process's environment.
        cwd: Working directory.
        stop: Called repeatedly while the command runs; `run` ends the command when it returns True.
        limit: Bytes that its output may have, both streams together; `run` ends a command that writes more.

    Raises:
        CouldNotTell: The program does not exist, did not end in time, or `stop` returned True. A non-zero exit is an
            answer, not an error.
        EndedBySignal: SIGINT, SIGTERM or SIGHUP from elsewhere ended it.
        TooLarge: It wrote more than `limit`.
    """
    words = tuple(str(a) for a in argv)
    try:
        process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
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
        heard = _Heard(process, limit)
        try:
            _await(process, heard, shlex.join(words), timeout, stop)
        except BaseException:
            _end(process)
            raise
    if process.returncode in (-signal.SIGINT, -signal.SIGTERM, -signal.SIGHUP):
        raise EndedBySignal(
            expected="the command to end by itself",
            seen=f"{signal.Signals(-process.returncode).name} from elsewhere ended it",
            where=shlex.join(words),
            remedy="run the suite again, and let its commands end",
        )
    return CommandResult(words, process.returncode, *heard.texts, datetime.now(UTC))


def _feed(process: subprocess.Popen[bytes], text: str) -> None:
    """Sends text to a process as fast as the process reads."""
    pipe, process.stdin = process.stdin, None
    if pipe is None:
        return

    def send() -> None:
        # A process may end without having read everything.
        with suppress(BrokenPipeError), pipe:
            pipe.write(text.encode())

    threading.Thread(target=send, name="stdin", daemon=True).start()


class _Heard:
    """The output of a process, taken as fast as it writes, up to a limit. `communicate` has none.

    A reader owns its pipe: a child of the process may hold the other end open after the process was given up, and a
    descriptor that is closed while it is read from can become another process's pipe under the reader's hands.
    """

    def __init__(self, process: subprocess.Popen[bytes], limit: int) -> None:
        self._lock = threading.Lock()
        self._left = limit
        self.limit = limit
        pipes = [pipe for pipe in (process.stdout, process.stderr) if pipe is not None]
        process.stdout = process.stderr = None
        self._heard = [bytearray() for _ in pipes]
        self._readers = [
            threading.Thread(target=self._read, args=pair, name="output", daemon=True)
            for pair in zip(pipes, self._heard, strict=True)
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, pipe: IO[bytes], heard: bytearray) -> None:
        with pipe:
            while piece := os.read(pipe.fileno(), PIECE):
                with self._lock:
                    self._left -= len(piece)
                    if self._left < 0:
                        return
                heard.extend(piece)

    @property
    def is_too_much(self) -> bool:
        """True once the process has written more than the limit."""
        return self._left < 0

    def has_ended(self, seconds: float) -> bool:
        """Wait for the end of all output; False if it does not come in time."""
        until = time.monotonic() + seconds
        for reader in self._readers:
            reader.join(max(until - time.monotonic(), 0))
        return not any(reader.is_alive() for reader in self._readers)

    @property
    def texts(self) -> tuple[str, str]:
        """Standard output and standard error, with the line breaks of text."""
        stdout, stderr = (h.decode(errors="replace").replace("\r\n", "\n").replace("\r", "\n") for h in self._heard)
        return stdout, stderr


def _await(process: subprocess.Popen[bytes], heard: _Heard, line: str, timeout: float, stop: Callable[[], bool]) -> None:
    """Waits for the end of a process and its output, which must come in time and before `stop` returns True."""
    deadline = time.monotonic() + timeout
    while True:
        ended = heard.has_ended(STOP_INTERVAL)
        if heard.is_too_much:
            raise too_large(heard.limit, "command", line)
        if ended:
            with suppress(subprocess.TimeoutExpired):
                process.wait(STOP_INTERVAL)
                return
        if stop():
            raise CouldNotTell(
                expected="the command to end by itself",
                seen="the suite stopped it, because its outcome no longer matters",
                where=line,
                remedy="see why the suite stopped early",
            )
        if time.monotonic() > deadline:
            raise CouldNotTell(
                expected=f"an answer within {timeout:g} s",
                seen="none",
                where=line,
                remedy="see whether the cluster or host is overloaded, or raise --timeout-scale",
            )


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends a process: by SIGTERM, and by SIGKILL after 5 s."""
    process.terminate()
    try:
        process.wait(timeout=5)
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
