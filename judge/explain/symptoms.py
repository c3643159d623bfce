"""What causes account for: requirements that fail because of them without naming them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from judge.explain.cause import CAUSES, reachable


@cache
def symptoms_of(cause: str, kind: str = "") -> frozenset[str]:
    """Ids of the requirements that fail because of a cause, or of what it explains, where an object of a kind has it."""
    of = {cause, *reachable([cause], {each.id: each.explains for each in CAUSES.values()})}
    symptoms = [CAUSES.symptoms[name] for each in of for name in CAUSES[each].symptoms]
    return frozenset(each for symptom in symptoms if symptom.shown_at in ("", kind) for each in symptom.requirements)


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
