"""How far a long reading has come, on the terminal."""

from __future__ import annotations

import pytest

LONG = 20
"""Readings of fewer things are over before anybody wonders."""


class Progress:
    """Tells how many proxies were read: on a terminal in one line that changes, elsewhere a line at each quarter."""

    def __init__(self, terminal: pytest.TerminalReporter | None) -> None:
        self._terminal = terminal

    def __call__(self, done: int, of: int) -> None:
        """Called with how many are done and how many there are."""
        if self._terminal is None or of < LONG:
            return
        said = f"{done} of {of} proxies read"
        if self._terminal.isatty:
            self._terminal.rewrite(said, erase=True)
            if done == of:
                self._terminal.ensure_newline()
        elif done * 4 // of > (done - 1) * 4 // of:
            self._terminal.write_line(said)
