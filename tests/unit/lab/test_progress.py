"""What a build says while it goes on."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from rich.console import Console

from lab.parts import Part
from lab.progress import Display

PARTS = [Part(name, "1.2", "compute", lambda _shop: None) for name in ("go", "envoy", "istiod")]
GO, ENVOY, _ISTIOD = PARTS


class Clock:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def said(clock: Clock, *, terminal: bool = False) -> Iterator[tuple[Display, io.StringIO]]:
    written = io.StringIO()
    with Display(Console(file=written, force_terminal=terminal, width=80, highlight=False), clock) as display:
        yield display, written


def test_it_counts_the_parts_and_the_time_and_names_what_is_left_once(clock: Clock) -> None:
    for display, written in said(clock):
        display.planned(PARTS)
        display.started(GO)
        display.started(ENVOY)
        clock.now += 42
        display.finished(GO, 41.96)
        clock.now += 200
        display.waiting()
        clock.now += 332
        display.finished(ENVOY, 574)
        assert written.getvalue().splitlines() == [
            "3 parts to build: go, envoy, istiod",
            "0/3  0m00s  building go 1.2",
            "0/3  0m00s  building envoy 1.2",
            "1/3  0m42s  built go 1.2 in 42.0 s",
            "1/3  4m02s  still building envoy (4m02s)",
            "2/3  9m34s  built envoy 1.2 in 574.0 s",
        ]


def test_a_terminal_keeps_the_lines_of_what_is_done(clock: Clock) -> None:
    for display, written in said(clock, terminal=True):
        display.planned(PARTS)
        display.started(GO)
        display.waiting()
        display.finished(GO, 1)
        assert "1/3  0m00s  built go 1.2 in 1.0 s" in written.getvalue()
        assert "still" not in written.getvalue()
