"""Progress of a long reading on the terminal."""

from __future__ import annotations

from typing import Any, cast

from reporting.collecting.progress import Progress


class Terminal:
    """Records the lines written to pytest's terminal."""

    def __init__(self, *, isatty: bool) -> None:
        self.isatty = isatty
        self.said: list[str] = []

    def rewrite(self, line: str, **_markup: bool) -> None:
        self.said.append(f"\r{line}")

    def write_line(self, line: str) -> None:
        self.said.append(line)

    def ensure_newline(self) -> None:
        self.said.append("\n")


def told(count: int, *, isatty: bool) -> list[str]:
    terminal = Terminal(isatty=isatty)
    progress = Progress(cast("Any", terminal))
    for done in range(1, count + 1):
        progress(done, count)
    return terminal.said


def test_a_small_mesh_is_read_without_a_word() -> None:
    assert told(19, isatty=True) == told(19, isatty=False) == []


def test_a_terminal_has_one_line_that_changes() -> None:
    said = told(50, isatty=True)
    assert len(said) == 51
    assert said[:2] == ["\r1 of 50 proxies read", "\r2 of 50 proxies read"]
    assert said[-1] == "\n"


def test_a_log_has_a_line_at_each_quarter() -> None:
    assert told(50, isatty=False) == [f"{n} of 50 proxies read" for n in (13, 25, 38, 50)]


def test_without_a_terminal_nothing_is_printed() -> None:
    Progress(None)(20, 20)
