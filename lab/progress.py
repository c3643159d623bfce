"""Shows how a build goes: a live display on a terminal, plain lines anywhere else."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from lab.parts import Part


class Display:
    """Counts the parts that are done, with the time since the beginning; use it as a context manager.

    It names the parts to build once, at the beginning. After that a line has one part, or those that are being built.
    """

    def __init__(self, console: Console, now: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._now = now
        self._began = now()
        self._done = 0
        self._whole = 0
        self._running: dict[str, float] = {}
        self._live: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._count: TaskID | None = None
        if console.is_terminal:
            columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
            self._live = Progress(*columns, console=console, transient=True)
            self._count = self._live.add_task("")

    def __enter__(self) -> Display:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def planned(self, parts: Sequence[Part]) -> None:
        """Name the parts that are to be built."""
        self._whole = len(parts)
        self._console.print(f"{len(parts)} parts to build: {', '.join(part.name for part in parts)}", soft_wrap=True)
        self._counted()

    def started(self, part: Part) -> None:
        """Show that a part is being built."""
        self._running[part.name] = self._now()
        if self._live is None:
            self._say(f"building {part.name} {part.version}")
        else:
            self._tasks[part.name] = self._live.add_task(f"{part.name} {part.version}")

    def waiting(self) -> None:
        """Show that nothing was finished for a while; a terminal shows the time anyway."""
        if self._live is None:
            self._say(f"still building {', '.join(f'{n} ({_clock(self._now() - at)})' for n, at in self._running.items())}")

    def finished(self, part: Part, seconds: float) -> None:
        """Show that a part is done."""
        self._done += 1
        del self._running[part.name]
        if self._live is not None:
            self._live.remove_task(self._tasks.pop(part.name))
        self._say(f"built {part.name} {part.version} in {seconds:.1f} s")
        self._counted()

    def _counted(self) -> None:
        if self._live is not None and self._count is not None:
            self._live.update(self._count, description=f"{self._done}/{self._whole} parts")

    def _say(self, text: str) -> None:
        head = f"{self._done}/{self._whole}  {_clock(self._now() - self._began)}  "
        self._console.print(head + text, soft_wrap=True)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest:02d}s"
