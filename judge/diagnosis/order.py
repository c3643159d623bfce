"""The order of causes: the one that explains the others first, and what it explains folded under it.

``explains`` in ``judge/causes.yaml`` says which cause makes which others show by mechanism. Here only ids count.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from judge.causes import Explains, reachable


@dataclass(frozen=True, slots=True)
class Explained:
    """Causes that were found, sorted out.

    Attributes:
        roots: Places of the causes, or classes of causes, that nothing else explains, in their order.
        effects: By place of a root: places of everything that was found and that it explains.
    """

    roots: tuple[int, ...]
    effects: Mapping[int, tuple[int, ...]]


def explained(
    found: Sequence[Collection[str]],
    explains: Explains,
    weight: Callable[[int], int] = lambda _place: 0,
    within: Callable[[int, int], bool] = lambda _effect, _cause: True,
) -> Explained:
    """Sort out what was found.

    Args:
        found: The ids of each cause; several ids are a class of causes that cannot be told apart.
        explains: The relation; no cause explains itself in it.
        weight: Importance of the one at a place: a smaller one comes first. A root weighs what its heaviest effect weighs.
        within: Tells whether the effect at a place lies where the cause at another place has its effects: a node without
            tbot explains nothing on another node.
    """
    reach = [reachable(each, explains) for each in found]
    # A class is an effect only where each of its members would be: one that nothing explains may be the true one.
    over = {
        place: {other for other in range(len(found)) if other != place and all(each in reach[other] for each in ids)}
        for place, ids in enumerate(found)
    }
    # Of two classes that explain each other through different members, neither is the other's effect.
    over = {
        place: {other for other in others if place not in over[other] and within(place, other)}
        for place, others in over.items()
    }
    roots = [place for place in over if not over[place]]
    effects = {root: tuple(place for place in over if root in _above(place, over)) for root in roots}

    def key(root: int) -> tuple[int, int, int]:
        return min(weight(place) for place in (root, *effects[root])), -len(effects[root]), root

    return Explained(tuple(sorted(roots, key=key)), effects)


def _above(place: int, over: Mapping[int, Collection[int]]) -> set[int]:
    """Everything that explains the one at a place, over any number of steps."""
    above: set[int] = set()
    left = [*over[place]]
    while left:
        other = left.pop()
        if other not in above:
            above.add(other)
            left.extend(over[other])
    return above
