"""An order of restarts for a mesh that moves from one authority to another: the one under which the fewest requests fail.

A restart gives the pods of a workload a certificate and authorities of the new kind. Between the first restart and the last
one, workloads that have moved may be unable to shake hands with workloads that have not. The order decides for how long, and
on how many ways. The plan counts, for each step, the weight of the ways that are broken until the next one: as if every step
took as long as every other, and every way had as many requests as its weight says.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import permutations

from facts.kubernetes.objects import Pod
from facts.proxies.tls.context import Layer
from facts.proxies.tls.outbound import Destination
from judge.mtls.ends import Ends
from judge.mtls.pairs import unpredictable_kind
from judge.mtls.peers import Peer, objection

MOST_EXACT = 12
"""Workloads at most of which every order is weighed; the number of their subsets is what that costs."""

MOST_WEIGHED = 4_000_000
"""Their subsets times their ways at most for which every order is weighed; that takes seconds."""

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
        weight: Requests a second, or another measure that all talks share. A talk without weight costs nothing: it is in no
            step, and still among the ways that do not work.
        is_counted: The weight was counted, not assumed.
    """

    client: str
    server: str
    weight: float = 1
    is_counted: bool = False

    def __str__(self) -> str:
        return f"{self.client} → {self.server}"


@dataclass(frozen=True, slots=True)
class Step:
    """One restart.

    Attributes:
        workload: Name of the workload.
        breaks: Ways with a weight that worked before it and do not afterwards.
        heals: Ways with a weight that did not work before it and do afterwards.
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
        is_guessed: Who calls whom is not known, so that every way counts that there may be.
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
        found: dict[tuple[str, str], Talk] = {}
        for talk in talks:
            if {talk.client, talk.server} <= by_name.keys():
                before = found.get((talk.client, talk.server), Talk(talk.client, talk.server, 0, is_counted=True))
                counted = before.is_counted and talk.is_counted
                found[talk.client, talk.server] = replace(talk, weight=before.weight + talk.weight, is_counted=counted)
        known = [*found.values()]
    mesh = _Mesh(by_name, known)
    moving = [name for name, each in by_name.items() if each.moves]
    touched = sum(len(mesh.of(name)) for name in moving)
    is_small = len(moving) <= MOST_EXACT and touched << len(moving) <= MOST_WEIGHED
    order = _best_order(moving, mesh) if is_small else _good_order(moving, mesh)
    return _told(order, mesh, is_best=is_small, is_guessed=talks is None)


class _Mesh:
    """The ways of a mesh, and whether each works while some workloads have moved."""

    def __init__(self, workloads: Mapping[str, Workload], talks: Sequence[Talk]) -> None:
        self.talks = talks
        # Few workloads differ in what they present and hold: each pair of such kinds has one answer.
        kinds = list(dict.fromkeys(_of(each, moved=moved) for each in workloads.values() for moved in (False, True)))
        numbers = {kind: number for number, kind in enumerate(kinds)}
        self._kind = {
            name: (numbers[_of(each, moved=False)], numbers[_of(each, moved=True)]) for name, each in workloads.items()
        }
        self._works = [[_all_shake_hands(client, server) for server in kinds] for client in kinds]
        self._of: dict[str, list[Talk]] = {name: [] for name in workloads}
        for talk in talks:
            for name in {talk.client, talk.server} if talk.weight else ():
                self._of[name].append(talk)

    def broken(self, ways: Iterable[Talk], moved: frozenset[str]) -> float:
        """Weight of those of some ways that do not work while these have moved."""
        return sum(talk.weight for talk in ways if not self.works(talk, moved))

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
        client = self._kind[talk.client][talk.client in moved]
        return self._works[client][self._kind[talk.server][talk.server in moved]]

    def of(self, name: str) -> Sequence[Talk]:
        """The ways of one workload with a weight, to it and from it."""
        return self._of[name]


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
    ways = list(dict.fromkeys(talk for name in moving for talk in mesh.of(name)))  # no order changes any other
    best: dict[frozenset[str], tuple[float, tuple[str, ...]]] = {frozenset(): (0, ())}
    for _ in moving:
        longer: dict[frozenset[str], tuple[float, tuple[str, ...]]] = {}
        for moved, (cost, order) in best.items():
            for name in moving:
                if name not in moved:
                    after, found = moved | {name}, (cost, (*order, name))
                    longer[after] = min(longer.get(after, found), found)
        best = {moved: (cost + mesh.broken(ways, moved), order) for moved, (cost, order) in longer.items()}
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
    moved = frozenset[str]()
    today = tuple(talk for talk in mesh.talks if not mesh.works(talk, moved))
    broken, steps = sum(talk.weight for talk in today), []
    for name in order:
        after = moved | {name}
        breaks = tuple(t for t in mesh.of(name) if mesh.works(t, moved) and not mesh.works(t, after))
        heals = tuple(t for t in mesh.of(name) if not mesh.works(t, moved) and mesh.works(t, after))
        broken += sum(talk.weight for talk in breaks) - sum(talk.weight for talk in heals)
        steps.append(Step(name, breaks, heals, broken))
        moved = after
    return Migration(
        steps=tuple(steps),
        today=today,
        remain=tuple(talk for talk in mesh.talks if not mesh.works(talk, moved)),
        cost=sum(step.broken for step in steps[:-1]),
        is_best=is_best,
        is_guessed=is_guessed,
    )


def workloads_of(
    ends: Ends, goal: Peer, *, stay: Collection[str] = (), without: Collection[str] = ()
) -> tuple[Workload, ...]:
    """The workloads of a mesh, each with what its proxies hold now, and with the goal after a restart.

    Proxies that could not be read are not in them.

    Args:
        ends: The mesh.
        goal: What a proxy of the new authority presents and holds, as one that has it already does.
        stay: Uids of pods that a restart would not change; a workload that has only such ones does not move.
        without: Uids of pods that do not count.
    """
    found: dict[str, dict[Peer, None]] = {}
    moving = set[str]()
    for uid, of in ends.classes.of.items():
        if uid not in without:
            name = name_of(ends.pods[uid])
            found.setdefault(name, {})[nameless(of.peer)] = None
            moving |= {name} if uid not in stay else set()
    then = (nameless(goal),)
    return tuple(Workload(name, tuple(peers), then if name in moving else ()) for name, peers in found.items())


def nameless(peer: Peer) -> Peer:
    """A peer without its names, which no restart changes and which differ from workload to workload."""
    return replace(peer, fits=frozenset())


def ways_of(ends: Ends, without: Collection[str] = ()) -> tuple[Talk, ...]:
    """The ways between workloads that have a Service, over which the client speaks TLS, used or not.

    Args:
        ends: The mesh.
        without: Uids of pods that do not count.
    """
    clients: dict[int, dict[str, None]] = {}
    servers: dict[int, dict[str, None]] = {}
    for uid, proxy in ends.tls.items():
        if uid in without:
            continue
        view = id(proxy.destinations)  # proxies with the same destinations share them
        clients.setdefault(view, {})[name_of(ends.pods[uid])] = None
        if view not in servers:
            servers[view] = dict.fromkeys(_servers(proxy.destinations, ends, without))
    pairs = {
        (client, server): None
        for view, names in clients.items()
        for client in names
        for server in servers[view]
        if client != server
    }
    return tuple(Talk(client, server) for client, server in sorted(pairs))


def _servers(destinations: Iterable[Destination], ends: Ends, without: Collection[str]) -> Iterator[str]:
    for destination in destinations:
        if unpredictable_kind(destination) is not None:
            continue
        for endpoint in destination.endpoints:
            pod = ends.at(endpoint.address)
            if pod is not None and pod.uid not in without and destination.socket_to(endpoint).layer is Layer.TLS:
                yield name_of(pod)


def name_of(pod: Pod) -> str:
    """The workload that a pod belongs to: its controller without the hash of its template; the pod itself without one."""
    _kind, _slash, owner = pod.owner.partition("/")
    version = pod.labels.get("pod-template-hash", "")
    name = owner.removesuffix(f"-{version}") if version else owner
    return f"{pod.namespace}/{name or pod.name}"


def _listed(talks: Sequence[Talk]) -> str:
    shown = ", ".join(map(str, talks[:3]))
    return f"{shown} and {len(talks) - 3} more" if len(talks) > 3 else shown
