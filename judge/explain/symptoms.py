"""Which requirements fail because of a cause that they do not name; the table is ``symptoms.yaml`` beside this module."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from judge.explain.cause import CAUSES, reachable

FILE = Path(__file__).with_name("symptoms.yaml")


class Symptoms(BaseModel):
    """Requirements that fail because of each of some causes.

    Attributes:
        because: The reason, as a clause.
        requirements: Their ids.
        causes: Ids of the causes.
        shown_at: Kind of the object at which a cause has to show; empty for any. A join token that lets in no tbot harms
            only a tbot that has to join, whose pod shows it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    because: Annotated[str, Field(min_length=1)]
    requirements: Annotated[tuple[str, ...], Field(min_length=1)]
    causes: Annotated[tuple[str, ...], Field(min_length=1)]
    shown_at: str = ""


@cache
def table() -> tuple[Symptoms, ...]:
    """Return the table."""
    return TypeAdapter(tuple[Symptoms, ...]).validate_python(yaml.safe_load(FILE.read_text(encoding="utf-8")))


@cache
def symptoms_of(cause: str, kind: str = "") -> frozenset[str]:
    """Ids of the requirements that fail because of a cause, or of what it explains, where an object of a kind has it."""
    of = {cause, *reachable([cause], {each.id: each.explains for each in CAUSES.values()})}
    rows = [row for row in table() if row.shown_at in ("", kind)]
    return frozenset(requirement for row in rows if of.intersection(row.causes) for requirement in row.requirements)


class Accounted:
    """What some causes account for: requirements by the realms (`judge.explain.realms`) that the causes reach."""

    def __init__(self, found: Iterable[tuple[str, str, Iterable[str]]]) -> None:
        """Prepare.

        Args:
            found: Ids of causes, each with the kind of an object that shows it, and the realms that it reaches from there.
        """
        self._realms: dict[str, set[str]] = {}
        for cause, kind, reached in found:
            realms = set(reached)
            for requirement in symptoms_of(cause, kind):
                self._realms.setdefault(requirement, set()).update(realms)

    def has(self, requirement: str, lies_in: Iterable[str] | None) -> bool:
        """Tell whether a problem with a requirement is a symptom.

        Args:
            requirement: Its id.
            lies_in: The realms of the object that has the problem; None where no object has it, but all of them together.
        """
        realms = self._realms.get(requirement, set())
        return bool(realms) if lies_in is None else not realms.isdisjoint(lies_in)
