"""What problems say, for tests of the rules of the diagnosis."""

from __future__ import annotations

from collections.abc import Sequence

from facts.finding import Problem
from judge.explain.cause import CAUSES


def named(problems: Sequence[Problem]) -> list[tuple[str, str]]:
    """Subject and cause of each problem, all of which stand on readings and name a cause that exists."""
    assert all(each.evidence and each.said for each in problems)
    return [(str(each.subject), CAUSES[each.cause].id) for each in problems]
