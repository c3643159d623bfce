"""An order of restarts for a mesh that moves from one authority to another: the one under which the fewest requests fail.

A restart gives the pods of a workload a certificate and authorities of the new kind. Between the first restart and the last
one, workloads that have moved may be unable to shake hands with workloads that have not. The order decides for how long, and
on how many ways. The plan counts, for each step, the weight of the ways that are broken until the next one: as if every step
took as long as every other, and every way had as many requests as its weight says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations

from facts.kubernetes.objects import Pod
from judge.mtls.ends import Ends
from judge.mtls.peers import Peer, objection

MOST_EXACT = 12
"""Workloads at most of which every order is weighed; the number of their subsets is what that costs."""

ROUNDS = 8
"""Times at most that an order of more workloads is improved by moving each of them to its best place."""
MOST_IMPROVED = 100_000
"""Workloads times ways at most for which it is improved at all; that takes seconds."""


@dataclass(frozen=True, slots=True)
class Workload:
    """What is restarted at once.

    Attributes:
        name: As people name it, such as ``shop/web``.
        now: What its pods present and hold, each kind once.
        then: What they present and hold after a restart; empty where a restart would change nothing, or cannot be made.
    """

    name: str
    now: tuple[Peer, ...]
    then: tuple[Peer, ...] = ()

    @property
    def moves(self) -> bool:
        """A restart changes what it presents or holds."""
        return bool(self.then) and {*self.now} != {*self.then}


@dataclass(frozen=True, slots=True)
class Talk:
    """One workload calls another.

    Attributes:
        client: Name of the one that calls.
        server: Name of the other one.
        weight: Requests in some time, or 1 where that is not known.
    """

    client: str
    server: str
    weight: float = 1

    def __str__(self) -> str:
        return f"{self.client} → {self.server}"


@dataclass(frozen=True, slots=True)
class Step:
    """One restart.

    Attributes:
        workload: Name of the workload.
        breaks: Ways that worked before it and do not afterwards.
        heals: Ways that did not work before it and do afterwards.
        broken: Weight of all ways that do not work afterwards.
    """

    workload: str
    breaks: tuple[Talk, ...]
    heals: tuple[Talk, ...]
    broken: float

    def __str__(self) -> str:
        parts = [
            f"breaks {_listed(self.breaks)}" if self.breaks else "",
            f"heals {_listed(self.heals)}" if self.heals else "",
        ]
        said = " and ".join(filter(None, parts)) or "changes nothing for anybody"
        return f"restart {self.workload}: {said}"


@dataclass(frozen=True, slots=True)
class Migration:
    """An order of restarts.

    Attributes:
        steps: In order; none where nothing has to move.
        today: Ways that do not work now.
        remain: Ways that do not work when all is done, because one of their ends does not move.
        cost: Weight of the broken ways, summed over the times between two restarts.
        is_best: No other order costs less. Otherwise it is a good one: each time the workload that breaks least, and where
            that takes seconds, each moved to a better place.
        is_guessed: Who calls whom is not known, so that everybody counts as calling everybody.
    """

    steps: tuple[Step, ...]
    today: tuple[Talk, ...]
    remain: tuple[Talk, ...]
    cost: float
    is_best: bool
    is_guessed: bool


def planned(workloads: Iterable[Workload], talks: Iterable[Talk] | None = None) -> Migration:
    """Plan the restarts.

    Args:
        workloads: All workloads of the mesh, those that do not move included.
        talks: Who calls whom; None where that is not known. A talk of a workload that is not among them is passed over.
    """
    by_name = {each.name: each for each in workloads}
    if talks is None:
        known = [Talk(client, server) for client, server in permutations(by_name, 2)]
    else:
        weights: dict[tuple[str, str], float] = {}
        for talk in talks:
            if {talk.client, talk.server} <= by_name.keys():
                weights[talk.client, talk.server] = weights.get((talk.client, talk.server), 0) + talk.weight
        known = [Talk(*pair, weight) for pair, weight in weights.items()]
    mesh = _Mesh(by_name, known)
    moving = [name for name, each in by_name.items() if each.moves]
    is_small = len(moving) <= MOST_EXACT
    order = _best_order(moving, mesh) if is_small else _good_order(moving, mesh)
    return _told(order, mesh, is_best=is_small, is_guessed=talks is None)


class _Mesh:
    """The ways of a mesh, and whether each works while some workloads have moved."""

    def __init__(self, workloads: Mapping[str, Workload], talks: Sequence[Talk]) -> None:
        self.talks = talks
        # A way between two that do not change has one answer; the others have up to four.
        self._works = {
            (talk.client, talk.server, client_moved, server_moved): _all_shake_hands(
                _of(workloads[talk.client], moved=client_moved), _of(workloads[talk.server], moved=server_moved)
            )
            for talk in talks
            for client_moved in (False, True)
            for server_moved in (False, True)
        }
        self._of: dict[str, list[Talk]] = {name: [] for name in workloads}
        for talk in talks:
            for name in {talk.client, talk.server}:
                self._of[name].append(talk)

    def broken(self, moved: frozenset[str]) -> float:
        """Weight of the ways that do not work while these have moved."""
        return sum(talk.weight for talk in self.talks if not self.works(talk, moved))

    def change(self, name: str, moved: frozenset[str]) -> float:
        """By how much that grows when one more moves."""
        after = moved | {name}
        return sum(self._growth(talk, moved, after) for talk in self._of[name])

    def update(self, changes: dict[str, float], name: str, moved: frozenset[str]) -> None:
        """Correct what `change` says of each workload that talks with one, once that one has moved.

        Args:
            changes: What it says, by workload.
            name: The one that has moved.
            moved: Those that had moved before it.
        """
        after = moved | {name}
        for talk in self._of[name]:
            for end in {talk.client, talk.server} & changes.keys():
                was, now = self._growth(talk, moved, moved | {end}), self._growth(talk, after, after | {end})
                changes[end] += now - was

    def _growth(self, talk: Talk, before: frozenset[str], after: frozenset[str]) -> float:
        return talk.weight * (self.works(talk, before) - self.works(talk, after))

    def works(self, talk: Talk, moved: frozenset[str]) -> bool:
        """Tell whether a way works."""
        return self._works[talk.client, talk.server, talk.client in moved, talk.server in moved]


def _of(workload: Workload, *, moved: bool) -> tuple[Peer, ...]:
    return workload.then if moved and workload.moves else workload.now


def _all_shake_hands(clients: Iterable[Peer], servers: Sequence[Peer]) -> bool:
    return all(shake_hands(client, server) for client in clients for server in servers)


@lru_cache(maxsize=4096)
def shake_hands(client: Peer, server: Peer) -> bool:
    """Tell whether two peers accept each other's certificates, names aside.

    A migration changes no name but the trust domain, by which the authorities are chosen. The certificates are as they were
    read: one that has expired is refused.
    """
    return (
        objection(server, client.holds, name_fits=True) is None and objection(client, server.holds, name_fits=True) is None
    )


def _best_order(moving: Sequence[str], mesh: _Mesh) -> tuple[str, ...]:
    """The cheapest order of all, by weighing every set of workloads that may have moved."""
    best: dict[frozenset[str], tuple[float, tuple[str, ...]]] = {frozenset(): (0, ())}
    for _ in moving:
        longer: dict[frozenset[str], tuple[float, tuple[str, ...]]] = {}
        for moved, (cost, order) in best.items():
            for name in moving:
                if name not in moved:
                    after, found = moved | {name}, (cost, (*order, name))
                    longer[after] = min(longer.get(after, found), found)
        best = {moved: (cost + mesh.broken(moved), order) for moved, (cost, order) in longer.items()}
    return best[frozenset(moving)][1]


def _good_order(moving: Sequence[str], mesh: _Mesh) -> tuple[str, ...]:
    """An order of many: each time the one that breaks least, then each moved to a better place as long as that helps."""
    order: list[str] = []
    moved = frozenset[str]()
    left = {name: mesh.change(name, moved) for name in moving}
    while left:
        chosen = min(left, key=lambda name: (left[name], name))
        order.append(chosen)
        del left[chosen]
        mesh.update(left, chosen, moved)
        moved |= {chosen}
    if len(order) * len(mesh.talks) > MOST_IMPROVED:
        return tuple(order)
    for _ in range(ROUNDS):
        improved = [name for name in list(order) if _moved_to_its_best_place(order, name, mesh)]
        if not improved:
            break
    return tuple(order)


def _moved_to_its_best_place(order: list[str], name: str, mesh: _Mesh) -> bool:
    """Move one workload past its neighbours as long as that makes the order cheaper; tell whether it has moved."""
    start = order.index(name)
    best, best_gain = start, 0.0
    for direction in (-1, 1):
        gain, at = 0.0, start
        while 0 <= at + direction < len(order):
            neighbour = order[at + direction]
            # Only the state between the two differs: the one that comes first has moved in it.
            others = [each for each in order if each != name]
            before = frozenset(others[: at + direction] if direction < 0 else others[:at])
            one, other = mesh.change(name, before), mesh.change(neighbour, before)
            gain += (one - other) if direction > 0 else (other - one)
            at += direction
            if gain > best_gain + 1e-9:
                best, best_gain = at, gain
    if best != start:
        order.remove(name)
        order.insert(best, name)
    return best != start


def _told(order: Sequence[str], mesh: _Mesh, *, is_best: bool, is_guessed: bool) -> Migration:
    states = [frozenset(order[:number]) for number in range(len(order) + 1)]
    broken = [{talk for talk in mesh.talks if not mesh.works(talk, state)} for state in states]
    steps = []
    for name, was, now in zip(order, broken, broken[1:], strict=False):
        breaks, heals = now - was, was - now
        steps.append(
            Step(
                name,
                tuple(talk for talk in mesh.talks if talk in breaks),
                tuple(talk for talk in mesh.talks if talk in heals),
                sum(talk.weight for talk in now),
            )
        )
    return Migration(
        steps=tuple(steps),
        today=tuple(talk for talk in mesh.talks if talk in broken[0]),
        remain=tuple(talk for talk in mesh.talks if talk in broken[-1]),
        cost=sum(step.broken for step in steps[:-1]),
        is_best=is_best,
        is_guessed=is_guessed,
    )


def workloads_of(ends: Ends, goal: Peer) -> tuple[Workload, ...]:
    """The workloads of a mesh, each with what its proxies hold now, and with the goal after a restart.

    Proxies that could not be read are not in them.

    Args:
        ends: The mesh.
        goal: What a proxy of the new authority presents and holds, as one that has it already does.
    """
    found: dict[str, dict[Peer, None]] = {}
    for uid, of in ends.classes.of.items():
        found.setdefault(name_of(ends.pods[uid]), {})[of.peer] = None
    return tuple(Workload(name, tuple(peers), (goal,)) for name, peers in found.items())


def name_of(pod: Pod) -> str:
    """The workload that a pod belongs to: its controller without the hash of its template; the pod itself without one."""
    _kind, _slash, owner = pod.owner.partition("/")
    version = pod.labels.get("pod-template-hash", "")
    name = owner.removesuffix(f"-{version}") if version else owner
    return f"{pod.namespace}/{name or pod.name}"


def _listed(talks: Sequence[Talk]) -> str:
    shown = ", ".join(map(str, talks[:3]))
    return f"{shown} and {len(talks) - 3} more ways" if len(talks) > 3 else shown
