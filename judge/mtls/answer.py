"""The answer to "can these two talk, and if not, which side refuses and why?", for some pods or for a whole mesh."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from facts.finding import Problem, Remark
from judge.explain.cause import CAUSES, Cause
from judge.fleet import not_read, went_away
from judge.mtls.ends import Ends
from judge.mtls.handshakes import refusal
from judge.mtls.prediction import Outcome
from judge.mtls.table import Table
from judge.mtls.told import Handshakes, told


class Says(StrEnum):
    """The answer in one word."""

    YES = "they can"
    NO = "they cannot"
    UNKNOWN = "not determined"


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer.

    Attributes:
        says: It, in one word: `NO` if any way is refused, `YES` if at least one way is open and everything was read.
        refused: Each kind of way that is refused, as a problem of the side that refuses; the most frequent first.
        completed: Number of ways whose handshake completes.
        plain: Number of ways on which plain text goes through.
        unread: Proxies that could not be read.
        gone: Proxies that went away meanwhile.
        causes: The causes that the refusals name, each once.
        handshakes: Everything that was predicted.
    """

    says: Says
    refused: tuple[Problem, ...]
    completed: int
    plain: int
    unread: tuple[Problem, ...]
    gone: tuple[Remark, ...]
    causes: tuple[Cause, ...]
    handshakes: Handshakes

    @property
    def exit_code(self) -> int:
        """Exit code of a command that asks: 0, 1, or 6 for an answer that was not determined."""
        return {Says.YES: 0, Says.NO: 1, Says.UNKNOWN: 6}[self.says]


def answered(ends: Ends, table: Table) -> Answer:
    """Answer for the ways of a table.

    Args:
        ends: The proxies.
        table: The ways that the question is about; those that the owner declared closed do not count.
    """
    open_ones = [row for row in table.rows if not row.is_closed]
    refused = [row for row in open_ones if row.prediction.outcome is Outcome.REFUSED]
    problems = tuple(refusal(ends, row) for row in refused)
    completed, plain = (
        sum(row.ways for row in open_ones if row.prediction.outcome is outcome)
        for outcome in (Outcome.COMPLETED, Outcome.PLAIN)
    )
    unread = tuple(not_read(ends.mesh.fleet.unread))
    named = dict.fromkeys(each.cause for each in problems if each.cause)
    return Answer(
        says=_says(problems, completed + plain, unread),
        refused=problems,
        completed=completed,
        plain=plain,
        unread=unread,
        gone=tuple(went_away(ends.mesh.fleet.left_out)),
        causes=tuple(CAUSES[cause] for cause in named),
        handshakes=told(ends, table),
    )


def _says(refused: Collection[Problem], ways: int, unread: Collection[Problem]) -> Says:
    if refused:
        return Says.NO
    return Says.YES if ways and not unread else Says.UNKNOWN
