"""An order of restarts for a mesh between two authorities, against every order of small meshes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facts.proxies.envoy import Validator
from judge.advice import migration
from judge.advice.migration import Talk, Workload, name_of, nameless, planned, shake_hands, ways_of, workloads_of
from judge.mtls.peers import Check, Peer, Standing
from tests.unit.facts import tls_dumps as built
from tests.unit.judge import builders as make
from tests.unit.judge.mtls.meshes import Workload as Pod
from tests.unit.judge.mtls.meshes import ends


def peer(shows: str, *trusts: str) -> Peer:
    """A peer whose certificate leads to one authority, and which trusts some."""
    trusted = frozenset(("td", each) for each in trusts)
    return Peer(Standing.VALID, False, "td", frozenset({shows}), frozenset(), frozenset(), Check(Validator.SPIFFE, trusted))


OLD, NEW, BRIDGE = peer("old", "old"), peer("new", "new"), peer("new", "new", "old")


def old(name: str, then: Peer | None = NEW) -> Workload:
    return Workload(name, (OLD,), (then,) if then else ())


def orders(plan: migration.Migration) -> list[str]:
    return [step.workload for step in plan.steps]


def test_two_that_talk_break_once_and_heal() -> None:
    plan = planned([old("a"), old("b")], [Talk("a", "b", 5)])
    assert [(str(step), step.broken) for step in plan.steps] == [
        ("restart a: breaks a → b", 5),
        ("restart b: heals a → b", 0),
    ]
    assert (plan.cost, plan.is_best, plan.is_guessed, plan.today, plan.remain) == (5, True, False, (), ())


def test_those_that_talk_much_move_one_after_the_other() -> None:
    """A and b talk much, and c and d do: between each two nothing else is restarted."""
    plan = planned(map(old, "acbd"), [Talk("a", "b", 100), Talk("c", "d", 100), Talk("b", "c", 1)])
    together = orders(plan)
    assert abs(together.index("a") - together.index("b")) == 1
    assert abs(together.index("c") - together.index("d")) == 1
    assert plan.cost == 201


def test_a_mesh_that_is_already_mixed_heals_first_where_it_hurts_most() -> None:
    moved = Workload("gateway", (NEW,), (NEW,))
    plan = planned([moved, old("shop"), old("batch")], [Talk("gateway", "shop", 50), Talk("gateway", "batch", 1)])
    assert [str(talk) for talk in plan.today] == ["gateway → shop", "gateway → batch"]
    assert orders(plan) == ["shop", "batch"]
    assert [str(talk) for talk in plan.steps[0].heals] == ["gateway → shop"]


def test_peers_that_trust_both_authorities_break_nothing_towards_each_other() -> None:
    both = peer("old", "old", "new")
    plan = planned([Workload(name, (both,), (BRIDGE,)) for name in "abc"])
    assert plan.cost == 0
    assert plan.is_guessed
    assert all(str(step).endswith("changes nothing for anybody") for step in plan.steps)


def test_what_does_not_move_stays_broken_and_is_said() -> None:
    plan = planned([old("a"), old("legacy", None)], [Talk("a", "legacy")])
    assert orders(plan) == ["a"]
    assert [str(talk) for talk in plan.remain] == ["a → legacy"]
    assert planned([Workload("a", (NEW,), (NEW,))]).steps == ()


def test_a_workload_that_is_half_restarted_counts_as_both() -> None:
    half = Workload("half", (OLD, NEW), (NEW,))
    plan = planned([half, old("b")], [Talk("b", "half", 3)])
    assert [str(talk) for talk in plan.today] == ["b → half"]
    assert plan.steps[-1].broken == 0


def test_talks_add_up_and_those_of_strangers_are_passed_over() -> None:
    plan = planned([old("a"), old("b")], [Talk("a", "b", 1), Talk("a", "b", 2), Talk("a", "outside", 9)])
    assert plan.cost == 3


def test_a_way_without_requests_decides_nothing_and_is_still_told() -> None:
    moved = Workload("gateway", (NEW,), (NEW,))
    unused = Talk("gateway", "batch", 0, is_counted=True)
    plan = planned([moved, old("shop"), old("batch")], [Talk("gateway", "shop", 0.5), unused])
    assert plan.today == (Talk("gateway", "shop", 0.5), unused)
    assert [(str(step), step.broken) for step in plan.steps] == [
        ("restart shop: heals gateway → shop", 0),
        ("restart batch: changes nothing for anybody", 0),
    ]
    assert planned([moved, old("batch", None)], [unused]).remain == (unused,)


def test_talks_that_add_up_are_counted_if_each_is() -> None:
    one, other = Talk("a", "b", 1, is_counted=True), Talk("a", "b", 2)
    moved = [Workload("a", (NEW,)), Workload("b", (OLD,))]
    assert planned(moved, [one, other]).today == (Talk("a", "b", 3),)
    assert planned(moved, [one, one]).today == (Talk("a", "b", 2, is_counted=True),)


def test_one_side_alone_may_refuse() -> None:
    assert shake_hands(OLD, OLD)
    assert not shake_hands(OLD, BRIDGE)  # the old one does not know the new authority
    assert not shake_hands(BRIDGE, OLD)
    assert shake_hands(BRIDGE, peer("old", "old", "new"))


KINDS = [OLD, NEW, BRIDGE, peer("old", "old", "new"), peer("other", "other", "old")]
NAMES = "abcde"


@st.composite
def meshes(draw: st.DrawFn) -> tuple[list[Workload], list[Talk]]:
    names = NAMES[: draw(st.integers(1, len(NAMES)))]
    kinds = st.sampled_from(KINDS)
    held = st.lists(kinds, min_size=1, max_size=2, unique=True).map(tuple)
    workloads = [Workload(name, draw(held), (draw(kinds),) if draw(st.booleans()) else ()) for name in names]
    talk = st.builds(Talk, st.sampled_from(names), st.sampled_from(names), st.integers(0, 9).map(float))
    return workloads, draw(st.lists(talk, max_size=8))


def cost(order: Sequence[str], workloads: Sequence[Workload], talks: Sequence[Talk]) -> float:
    """What an order costs, computed without any of the product's own book-keeping."""
    by_name = {each.name: each for each in workloads}
    total, moved = 0.0, set[str]()

    def held(name: str) -> tuple[Peer, ...]:
        return by_name[name].then if name in moved else by_name[name].now

    for name in order[:-1]:
        moved.add(name)
        for talk in talks:
            pairs = [(one, other) for one in held(talk.client) for other in held(talk.server)]
            total += talk.weight * (not all(shake_hands(*pair) for pair in pairs))
    return total


@given(meshes())
def test_no_order_of_a_small_mesh_is_cheaper(mesh: tuple[list[Workload], list[Talk]]) -> None:
    workloads, talks = mesh
    plan = planned(workloads, talks)
    moving = [each.name for each in workloads if each.moves]
    assert plan.is_best
    assert sorted(orders(plan)) == sorted(moving)
    assert plan.cost == cost(orders(plan), workloads, talks)
    assert plan.cost == min((cost(order, workloads, talks) for order in permutations(moving)), default=0)


@given(meshes())
def test_the_steps_tell_the_same_story(mesh: tuple[list[Workload], list[Talk]]) -> None:
    """What is broken today, less what heals, and what breaks, is what remains."""
    plan = planned(*mesh)
    broken = {way for way in plan.today if way.weight}
    for step in plan.steps:
        assert broken >= {*step.heals}
        assert not broken & {*step.breaks}
        broken = (broken - {*step.heals}) | {*step.breaks}
        assert step.broken == sum(talk.weight for talk in broken)
    assert broken == {way for way in plan.remain if way.weight}


@given(meshes())
def test_an_order_for_many_is_a_whole_one_and_no_single_move_makes_it_cheaper(
    mesh: tuple[list[Workload], list[Talk]],
) -> None:
    workloads, talks = mesh
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migration, "MOST_EXACT", 0)
        plan = planned(workloads, talks)
    order = orders(plan)
    assert sorted(order) == sorted(each.name for each in workloads if each.moves)
    assert plan.cost == cost(order, workloads, talks)
    for name in order:
        others = [each for each in order if each != name]
        moves = [[*others[:at], name, *others[at:]] for at in range(len(order))]
        assert plan.cost <= min(cost(move, workloads, talks) for move in moves)


def test_many_workloads_are_planned_in_seconds() -> None:
    names = [f"w{number}" for number in range(60)]
    talks = [Talk(names[number], names[(number * 7 + 3) % 60], number % 5 + 1) for number in range(60)]
    plan = planned([old(name) for name in names], talks)
    assert not plan.is_best
    assert len(plan.steps) == 60


def test_the_workloads_of_a_mesh() -> None:
    mesh = ends(Pod("a"), Pod("b", identity=make.istiod_proxy), Pod("unread", identity=None))
    goal = mesh.classes.of[next(pod.uid for pod in mesh.mesh.pods if pod.name == "a")].peer
    found = {each.name: each for each in workloads_of(mesh, goal)}
    assert {*found} == {"shop/a", "shop/b"}
    assert not found["shop/a"].moves
    assert found["shop/b"].moves
    assert [step.workload for step in planned(found.values()).steps] == ["shop/b"]


def test_the_name_of_a_pods_workload() -> None:
    labels = {"pod-template-hash": "5d8f"}
    assert name_of(make.pod("web-5d8f-x", owner="ReplicaSet/web-5d8f", labels=labels)) == "test-app/web"
    assert name_of(make.pod("db-0", owner="StatefulSet/db")) == "test-app/db"
    assert name_of(make.pod("alone", owner="")) == "test-app/alone"


def test_names_that_servers_expect_make_no_workload_move() -> None:
    named = replace(NEW, fits=frozenset({()}))
    mesh = ends(Pod("a"))
    (uid,) = mesh.classes.of
    (found,) = workloads_of(mesh, replace(mesh.classes.of[uid].peer, fits=named.fits))
    assert not found.moves
    assert nameless(named) == NEW


def test_what_stays_does_not_move_and_what_does_not_count_is_no_workload() -> None:
    mesh = ends(Pod("a"), Pod("b", identity=make.istiod_proxy), Pod("c", identity=make.istiod_proxy))
    uids = {pod.name: pod.uid for pod in mesh.mesh.pods}
    found = workloads_of(mesh, NEW, stay={uids["a"]}, without={uids["c"]})
    assert [(each.name, each.moves) for each in found] == [("shop/a", False), ("shop/b", True)]


def test_the_ways_are_those_to_a_service_over_which_the_client_speaks_tls() -> None:
    mesh = ends(Pod("a"), Pod("b"), Pod("plain", marked=False), Pod("unread", identity=None))
    assert {str(way) for way in ways_of(mesh)} == {
        f"shop/{client} → shop/{server}"
        for client in ("a", "b", "plain", "unread")
        for server in ("a", "b", "unread")
        if client != server
    }
    without = {pod.uid for pod in mesh.mesh.pods if pod.name == "b"}
    assert not [way for way in ways_of(mesh, without) if "shop/b" in (way.client, way.server)]


def test_twelve_that_move_among_many_that_do_not_are_planned_in_seconds() -> None:
    names = [f"w{number}" for number in range(300)]
    workloads = [old(name) if at < 12 else Workload(name, (OLD,)) for at, name in enumerate(names)]
    begun = time.monotonic()
    plan = planned(workloads)
    assert len(plan.steps) == 12
    assert time.monotonic() - begun < 30


@pytest.mark.parametrize(("number", "is_best"), [(12, True), (13, False)])
def test_every_order_of_at_most_twelve_that_move_is_weighed(number: int, *, is_best: bool) -> None:
    names = [f"w{at}" for at in range(number)]
    plan = planned(map(old, names), [Talk(names[0], names[1])])
    assert (plan.is_best, plan.cost) == (is_best, 1)


@pytest.mark.parametrize(("beside", "is_best"), [(900, True), (1100, False)])
def test_every_order_is_weighed_only_of_so_many_ways_as_take_seconds(beside: int, *, is_best: bool) -> None:
    moving, others = [old(f"w{at}") for at in range(12)], [Workload(f"o{at}", (OLD,)) for at in range(beside)]
    talks = [Talk("w0", each.name) for each in others]
    assert planned([*moving, *others], talks).is_best is is_best


@given(meshes())
def test_an_order_that_is_not_improved_takes_each_time_the_one_that_breaks_least(
    mesh: tuple[list[Workload], list[Talk]],
) -> None:
    workloads, talks = mesh
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migration, "MOST_EXACT", 0)
        patch.setattr(migration, "MOST_IMPROVED", -1)
        order = orders(planned(workloads, talks))
    left = [each.name for each in workloads if each.moves]
    for at, chosen in enumerate(order):
        # `cost` does not count what is broken after the last restart, so that any name may stand there.
        begun = cost([*order[:at], "a"], workloads, talks)
        broken = {name: cost([*order[:at], name, "a"], workloads, talks) - begun for name in left}
        assert broken[chosen] == min(broken.values())
        left.remove(chosen)


def test_a_name_whose_addresses_are_not_known_is_no_way_and_hides_none_behind_it() -> None:
    """The client's way to the first service is by a name, whose addresses istiod does not know."""
    host = "a.shop.svc.cluster.local"
    by_name = built.cluster(host, 80, kind="STRICT_DNS", transport_socket=built.upstream(host, 80, ["a"]))
    found = {str(way) for way in ways_of(ends(Pod("a"), Pod("b"), Pod("c", clusters={"a": by_name})))}
    assert "shop/c → shop/b" in found
    assert "shop/c → shop/a" not in found


@pytest.mark.parametrize("unit", [1, 1 / 8])
def test_an_order_for_many_is_improved_whatever_its_weights_are_counted_in(
    unit: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To take each time the one that breaks least costs 7 here: c, d, a, b."""
    monkeypatch.setattr(migration, "MOST_EXACT", 0)
    plan = planned(map(old, "abcd"), [Talk("a", "c", unit), Talk("b", "a", 3 * unit), Talk("b", "d", unit)])
    assert (orders(plan), plan.cost, plan.is_best) == (["c", "a", "b", "d"], 5 * unit, False)


def test_what_does_not_count_hides_no_way_of_others() -> None:
    mesh = ends(Pod("a"), Pod("b"), Pod("c"))
    assert {str(way) for way in ways_of(mesh, {mesh.mesh.pods[0].uid})} == {"shop/b → shop/c", "shop/c → shop/b"}


def test_of_few_every_order_is_weighed_also_where_no_single_move_makes_an_order_cheaper(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    workloads = [old(name) for name in "abcde"]
    talks = [Talk("a", "d"), Talk("b", "c", 2), Talk("e", "a"), Talk("b", "d", 3)]
    few = planned(workloads, talks)
    monkeypatch.setattr(migration, "MOST_EXACT", 4)
    many = planned(workloads, talks)
    assert ((few.cost, few.is_best), (many.cost, many.is_best)) == ((7, True), (9, False))


@pytest.mark.parametrize(
    ("talks", "order", "total"),
    [
        # No order is cheaper than the first one, so that nothing moves.
        ("dc1", "abcd", 1),
        ("ab1", "cab", 1),
        ("ad1 bc1", "eadbc", 2),
        ("db1 cb1 ab1", "abcd", 4),
        # Some move, one past several others or to either end.
        ("dc2 ba1 ad3", "badc", 6),
        ("ac3 eb3 ae3 ea3 bc1 da2", "dcaeb", 19),
        ("ce2 da2 ed2 ab1 be3", "adbec", 13),
        ("db1 ed3 ea1 ec1", "caedb", 7),  # in the second round
    ],
)
def test_a_workload_of_many_moves_to_its_best_place_whichever_it_is(
    talks: str, order: str, total: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A talk is its client, its server and its weight."""
    monkeypatch.setattr(migration, "MOST_EXACT", 0)
    known = [Talk(each[0], each[1], float(each[2:])) for each in talks.split()]
    plan = planned([old(name) for name in sorted(order)], known)
    assert ("".join(orders(plan)), plan.cost) == (order, total)


@pytest.mark.parametrize(
    ("servers", "said"),
    [
        ("bcd", "breaks a → b, a → c, a → d"),
        ("bcde", "breaks a → b, a → c, a → d and 1 more"),
        ("bcdef", "breaks a → b, a → c, a → d and 2 more"),
    ],
)
def test_a_step_names_three_ways_and_counts_the_others(servers: str, said: str) -> None:
    stays = [Workload(name, (OLD,)) for name in servers]
    (step,) = planned([old("a"), *stays], [Talk("a", name) for name in servers]).steps
    assert str(step) == f"restart a: {said}"
