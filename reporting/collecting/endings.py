"""Turns an exception into the end of a scenario: violated, broke, or skipped."""

from __future__ import annotations

import traceback
from collections.abc import Iterator

import pytest

from facts.errors import ConformanceError, NotApplicable, NotGiven
from facts.finding import Violated
from judge.verdict import Ending
from reporting.collecting.policy import SkippedByPolicy

# Frames that say nothing of the cause; pytest-bdd's own frame of a scenario is shown with the name of its feature file.
_MACHINERY = ("/_pytest/", "/pluggy/", "/pytest_bdd/", ".feature")


def ending_of(error: BaseException) -> tuple[Ending, str]:
    """Returns the end that an exception gives a scenario, and the reason to print.

    Only `Violated` violates. A plain AssertionError counts as a defect of the suite: it breaks.
    """
    if isinstance(error, Violated):
        return Ending.VIOLATED, str(error)
    if isinstance(error, NotApplicable):
        return Ending.NOT_APPLICABLE, str(error)
    if isinstance(error, SkippedByPolicy):
        return Ending.SKIPPED_BY_POLICY, str(error)
    if isinstance(error, pytest.skip.Exception):
        return Ending.SKIPPED_BY_TEST, f"skipped inside: {error}"
    if isinstance(error, NotGiven):
        return Ending.NOT_RUN, str(error)
    return Ending.BROKE, told(error)


def told(error: BaseException) -> str:
    """An exception in words: our own errors as they are, any other with the frames that lead to it."""
    if isinstance(error, ConformanceError | Violated):
        return str(error)
    if isinstance(error, BaseExceptionGroup):
        return f"{error.message}: " + "; ".join(told(e) for e in error.exceptions)
    if isinstance(error, KeyboardInterrupt):
        return f"interrupted: {str(error) or 'Ctrl-C'}"
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not any(m in f.filename for m in _MACHINERY)]
    lines = "".join(f"\n  {f.filename}:{f.lineno} in {f.name}: {f.line}" for f in frames)
    return f"{type(error).__name__}: {error}{lines}"


def failed_in_shared_fixture(error: BaseException) -> tuple[str, ...]:
    """Names of the fixtures in whose clean-up a teardown error arose, if all of them are shared by scenarios.

    pytest reports such an error on the scenario that happened to be the last one; it is no statement about that scenario.
    """
    found = tuple(_fixtures(error))
    return tuple(f.argname for f in found) if found and all(f.scope != "function" for f in found) else ()


def _fixtures(error: BaseException) -> Iterator[pytest.FixtureDef[object]]:
    if isinstance(error, BaseExceptionGroup):
        inner = [tuple(_fixtures(e)) for e in error.exceptions]
        if all(inner):
            yield from (f for each in inner for f in each)
        return
    # The outermost fixture asks those that depend on it to be removed first, so the innermost is where it went wrong.
    innermost: pytest.FixtureDef[object] | None = None
    for frame, _line in traceback.walk_tb(error.__traceback__):
        owner = frame.f_locals.get("self")
        innermost = owner if isinstance(owner, pytest.FixtureDef) else innermost
    if innermost is not None:
        yield innermost
