"""Progress of a long reading, on the terminal."""

from __future__ import annotations

import pytest

LONG = 20
"""Fewer proxies are read so fast that progress is not shown."""


class Progress:
    """Prints the number of proxies that were read: on a terminal in one changing line, elsewhere a line at each quarter."""

    def __init__(self, terminal: pytest.TerminalReporter | None) -> None:
        self._terminal = terminal

    def __call__(self, done: int, of: int) -> None:
        """Takes the number that is done, and the number of all."""
        if self._terminal is None or of < LONG:
            return
        said = f"{done} of {of} proxies read"
        if self._terminal.isatty:
            self._terminal.rewrite(said, erase=True)
            if done == of:
                self._terminal.ensure_newline()
        elif done * 4 // of > (done - 1) * 4 // of:
            self._terminal.write_line(said)
