"""Shows how a build goes: a live display on a terminal, plain lines anywhere else."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from lab.parts import Part


class Display:
    """Names what is being built and what is left; use it as a context manager."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._left: TaskID | None = None
        if console.is_terminal:
            columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
            self._live = Progress(*columns, console=console, transient=True)
            self._left = self._live.add_task("")

    def __enter__(self) -> Display:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def started(self, part: Part, left: Sequence[Part]) -> None:
        """Show that a part is being built and which have not been started yet."""
        names = ", ".join(other.name for other in left) or "nothing"
        if self._live is None or self._left is None:
            self._console.print(f"building {part.name} {part.version} (left after it: {names})", soft_wrap=True)
            return
        self._tasks[part.name] = self._live.add_task(f"{part.name} {part.version}")
        self._live.update(self._left, description=f"left: {names}")

    def finished(self, part: Part, seconds: float) -> None:
        """Show that a part is done."""
        if self._live is not None:
            self._live.remove_task(self._tasks.pop(part.name))
        self._console.print(f"built {part.name} {part.version} in {seconds:.1f} s", soft_wrap=True)
