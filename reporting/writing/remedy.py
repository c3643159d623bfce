"""The remedy of a cause as numbered steps: for the page, the terminal, JUnit, and the doctor."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from facts.errors import WHAT_TO_DO
from judge.explain.cause import Cause


def numbered(steps: Iterable[str]) -> tuple[str, ...]:
    """Steps, each with its number."""
    return tuple(f"{number}. {step}" for number, step in enumerate(steps, 1))


def block(cause: Cause, steps: Sequence[str] = ()) -> Iterator[str]:
    """A heading with the steps below it, and the check that the cause is gone.

    Args:
        cause: The cause.
        steps: What to do in this case; the remedy of the cause without them.
    """
    yield f"{WHAT_TO_DO}:"
    yield from indented(numbered(steps or cause.remedy), 2)
    yield f"Check again: {cause.check}"


def in_lines(cause: Cause, steps: Sequence[str] = ()) -> tuple[str, ...]:
    """The same without a line for the heading; a single step has no number."""
    steps = steps or cause.remedy
    first, *others = numbered(steps) if len(steps) > 1 else steps
    return (f"{WHAT_TO_DO}: {first}", *others, f"Check again: {cause.check}")


def indented(lines: Iterable[str], columns: int) -> Iterator[str]:
    """Lines with blanks before them."""
    yield from (f"{'':<{columns}}{line}" for line in lines)
