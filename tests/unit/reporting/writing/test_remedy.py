"""The remedy of a cause as steps."""

from __future__ import annotations

import pytest

from judge.explain.cause import CAUSES
from reporting.writing.remedy import block, in_lines, indented, numbered

TWO = CAUSES["kubelet-unreachable"]


def test_steps_have_numbers() -> None:
    assert numbered(["Look.", "Mend."]) == ("1. Look.", "2. Mend.")
    assert [*indented(["a"], 4)] == ["    a"]


def test_a_block_has_a_heading_and_numbers_a_single_step_too() -> None:
    cause = TWO.model_copy(update={"remedy": ("Mend.",)})
    assert [*block(cause)] == ["What to do:", "  1. Mend.", f"Check again: {cause.check}"]
    assert [*block(cause, ["Make sure.", "Mend."])][1:3] == ["  1. Make sure.", "  2. Mend."]


@pytest.mark.parametrize(("steps", "said"), [(("Mend.",), ["Mend."]), (("Look.", "Mend."), ["1. Look.", "2. Mend."])])
def test_lines_begin_with_the_first_step(steps: tuple[str, ...], said: list[str]) -> None:
    cause = TWO.model_copy(update={"remedy": steps})
    assert in_lines(cause) == in_lines(TWO, steps) == (f"What to do: {said[0]}", *said[1:], f"Check again: {TWO.check}")
