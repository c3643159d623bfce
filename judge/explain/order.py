"""The order of causes: the one that explains the others first, and what it explains folded under it.

``explains`` of a cause says which cause makes which others show by mechanism. It does so for an object that
shares a realm with the object of the cause (`judge.explain.realms`), and for no other one. Here only ids and realms count.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from judge.explain.cause import Explains, reachable


@dataclass(frozen=True, slots=True)
class About:
    """One object that something found is about.

    Attributes:
        reaches: The realms to which a defect of it extends.
        lies_in: The realms that it belongs to.
    """

    reaches: Collection[str]
    lies_in: Collection[str]


@dataclass(frozen=True, slots=True)
class Explained:
    """Causes that were found, sorted out.

    Attributes:
        roots: Places of the causes, or classes of causes, of which something is left that nothing else explains, in their
            order.
        effects: By place of a root: places of everything that was found and of which it explains something.
        under: By place, for each of its objects: places of the roots that explain it there; none where it is a root.
    """

    roots: tuple[int, ...]
    effects: Mapping[int, tuple[int, ...]]
    under: tuple[tuple[frozenset[int], ...], ...]


def explained(
    found: Sequence[Collection[str]],
    explains: Explains,
    weight: Callable[[int], int],
    about: Sequence[Sequence[About]],
) -> Explained:
    """Sort out what was found.

    Args:
        found: The ids of each cause; several ids are a class of causes that cannot be told apart.
        explains: The relation; no cause explains itself in it.
        weight: Importance of the one at a place: a smaller one comes first. A root weighs what its heaviest effect weighs.
        about: By place: the objects that it is about, at least one.
    """
    reach = [reachable(each, explains) for each in found]
    # A class is an effect only where each of its members would be: one that nothing explains may be the true one.
    over = [{other for other in range(len(found)) if all(each in reach[other] for each in ids)} for ids in found]
    # Of two classes that explain each other through different members, neither is the other's effect; nor is one its own.
    over = [{other for other in others if place not in over[other]} for place, others in enumerate(over)]
    under = _Above(over, about).each()
    roots = [place for place, of_each in enumerate(under) if not all(of_each)]
    effects = {
        root: tuple(place for place, of_each in enumerate(under) if any(root in above for above in of_each))
        for root in roots
    }

    def key(root: int) -> tuple[int, int, int]:
        return min(weight(place) for place in (root, *effects[root])), -len(effects[root]), root

    return Explained(tuple(sorted(roots, key=key)), effects, under)


class _Above:
    """The roots above each object of everything that was found."""

    def __init__(self, over: Sequence[Collection[int]], about: Sequence[Sequence[About]]) -> None:
        self._over = over
        self._about = about
        self._reaching: list[dict[str, list[int]]] = []
        for objects in about:
            by_realm: dict[str, list[int]] = defaultdict(list)
            for at, each in enumerate(objects):
                for realm in each.reaches:
                    by_realm[realm].append(at)
            self._reaching.append(by_realm)
        self._known: dict[tuple[int, int], frozenset[int]] = {}

    def each(self) -> tuple[tuple[frozenset[int], ...], ...]:
        """By place, for each of its objects: the places of the roots above it."""
        return tuple(tuple(self._of(place, at) for at in range(len(objects))) for place, objects in enumerate(self._about))

    def _of(self, place: int, at: int) -> frozenset[int]:
        """The roots above one object. Ends, because no cause explains itself over any number of steps."""
        if (place, at) not in self._known:
            above: set[int] = set()
            for other in self._over[place]:
                for there in {there for realm in self._about[place][at].lies_in for there in self._in(other, realm)}:
                    above |= self._of(other, there) or {other}
            self._known[place, at] = frozenset(above)
        return self._known[place, at]

    def _in(self, place: int, realm: str) -> Sequence[int]:
        return self._reaching[place].get(realm, ())
