"""The lab's one way to run a command, and to end what it started when the build is given up."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.errors import LabError

_SHOWN_LINES = 15

_running: set[subprocess.Popen[str]] = set()
_guard = threading.Lock()


def run(
    command: Sequence[str | Path],
    *,
    log: Path | None = None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str = "",
) -> str:
    """Run a command to its end.

    Args:
        command: Program and arguments; no shell is involved.
        log: File to which the command line, its standard error and, at the end, its output are appended.
        cwd: Working directory.
        env: The whole environment; the caller's own when omitted.
        stdin: Text for its standard input.

    Returns:
        Its standard output.

    Raises:
        LabError: It cannot be started or exits with another code than 0; the last lines it wrote are in the text.
    """
    words = [str(word) for word in command]
    try:
        with _guard:
            process = subprocess.Popen(
                words,
                cwd=cwd,
                env=env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,  # so that the command ends with everything it started, see end_all
            )
            _running.add(process)
    except OSError as error:
        raise LabError(f"`{words[0]}` cannot be run: {error.strerror}. Is it installed and in PATH?") from error
    try:
        output, errors = process.communicate(stdin)
    finally:
        with _guard:
            _running.discard(process)
    if log is not None:
        with log.open("a", encoding="utf-8") as stream:
            stream.write(f"$ {shlex.join(words)}\n{errors}{output}")
    if process.returncode:
        shown = "\n".join((errors or output).strip().splitlines()[-_SHOWN_LINES:])
        place = f"\nThe whole output is in {log}." if log else ""
        raise LabError(f"`{shlex.join(words[:4])}` ended with code {process.returncode}:\n{shown}{place}")
    return output


def answers(command: Sequence[str | Path]) -> bool:
    """Whether the command can be run and exits with 0; nothing of what it writes is kept."""
    try:
        run(command)
    except LabError:
        return False
    return True


def end_all() -> None:
    """End every command that is still running, with all the processes it started."""
    with _guard:
        for process in _running:
            try:
                os.killpg(process.pid, signal.SIGTERM)
            except ProcessLookupError:
                continue
