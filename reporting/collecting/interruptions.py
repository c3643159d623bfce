"""Ways to end a program from outside, which all act as Ctrl-C does: with clean-up."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType


@contextlib.contextmanager
def as_ctrl_c(told: Callable[[signal.Signals], None] = lambda _number: None) -> Iterator[None]:
    """Make SIGTERM, and SIGHUP when the terminal goes, a KeyboardInterrupt; the former handlers come back at the end.

    Args:
        told: Called first, with the signal.
    """

    def stop(number: int, _frame: FrameType | None) -> None:
        told(signal.Signals(number))
        raise KeyboardInterrupt(f"terminated by {signal.Signals(number).name}")

    former = {}
    if threading.current_thread() is threading.main_thread():  # elsewhere Python allows no handlers
        nohup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN  # it lets a program outlive its terminal
        for number in (signal.SIGTERM, *(() if nohup else (signal.SIGHUP,))):
            former[number] = signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
