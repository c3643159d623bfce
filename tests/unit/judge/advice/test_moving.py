"""A mesh that moves from istiod's authority to Teleport's: who holds whose certificate, and what has to be restarted."""

from __future__ import annotations

from typing import Any

import pytest

from judge.advice.migration import nameless
from judge.advice.moving import Issuer, MigrationAdvice, Moves, issuer_of, moving, supposed
from tests.unit.judge import builders as make
from tests.unit.judge.certificates import svid
from tests.unit.judge.mtls.meshes import Workload, ends


def on_istiod(name: str) -> Workload:
    return Workload(name, identity=make.istiod_proxy)


def advice(*workloads: Workload, without: tuple[str, ...] = ()) -> MigrationAdvice:
    return moving(ends(*workloads), make.bundle(), make.istiod(), {}, without)


def test_a_mixed_mesh_names_who_holds_what_and_heals_by_restarts() -> None:
    found = advice(Workload("a"), on_istiod("b"), on_istiod("c"))
    assert found.moves is Moves.SOMETHING
    assert found.held == {
        "shop/a": {Issuer.TELEPORT: 1},
        "shop/b": {Issuer.ISTIOD: 1},
        "shop/c": {Issuer.ISTIOD: 1},
    }
    assert {str(way) for way in found.plan.today} == {
        "shop/a → shop/b", "shop/a → shop/c", "shop/b → shop/a", "shop/c → shop/a",
    }  # fmt: skip
    assert [step.workload for step in found.plan.steps] == ["shop/b", "shop/c"]
    assert (found.plan.remain, found.plan.is_guessed, found.is_supposed) == ((), True, False)


def test_the_plan_rests_on_what_proxies_have_counted() -> None:
    mesh = ends(Workload("a"), on_istiod("b"), on_istiod("c"))
    sent = {"uid-a": make.sent({"shop/b": 6, "shop/c": 60}), "uid-b": make.sent(), "uid-c": make.sent()}
    plan = moving(mesh, make.bundle(), make.istiod(), sent).plan
    assert [step.workload for step in plan.steps] == ["shop/c", "shop/b"]
    assert [[str(way) for way in step.heals] for step in plan.steps] == [["shop/a → shop/c"], ["shop/a → shop/b"]]
    assert [(str(way), way.is_counted) for way in plan.today if not way.weight] == [
        ("shop/b → shop/a", True),
        ("shop/c → shop/a", True),
    ]
    assert plan.cost == pytest.approx(0.01)
    assert not plan.is_guessed
    assert moving(mesh, make.bundle(), make.istiod(), {"uid-b": make.sent()}).plan.is_guessed
    some = moving(mesh, make.bundle(), make.istiod(), {"uid-b": make.sent({"shop/a": 6})})
    assert (some.plan.is_guessed, {*some.calls.assumed}) == (False, {"shop/a", "shop/c"})


def test_a_mesh_that_has_moved_and_one_that_has_not_begun() -> None:
    moved = advice(Workload("a"), Workload("b"))
    assert (moved.moves, moved.plan.steps, moved.plan.today) == (Moves.NOTHING, (), ())
    before = advice(on_istiod("a"), on_istiod("b"))
    assert (before.moves, before.is_supposed, before.plan.today, before.plan.remain) == (Moves.SOMETHING, True, (), ())
    assert [str(way) for way in before.plan.steps[0].breaks] == ["shop/a → shop/b", "shop/b → shop/a"]


def test_the_supposed_goal_is_what_a_proxy_of_teleport_holds() -> None:
    mesh = ends(Workload("a"))
    (of,) = mesh.classes.classes
    assert supposed(make.bundle()) == nameless(of.peer)


def test_a_lapsed_certificate_of_teleport_is_no_reason_to_move_and_no_goal() -> None:
    def lapsed(pod: Any) -> Any:
        return make.proxy(pod, chain=(svid(pod.namespace, pod.service_account, minutes=5),))

    found = advice(Workload("a", identity=lapsed), on_istiod("b"))
    assert found.held["shop/a"] == {Issuer.TELEPORT: 1}
    assert [step.workload for step in found.plan.steps] == ["shop/b"]
    assert found.is_supposed
    assert {str(way) for way in found.plan.remain} == {"shop/a → shop/b", "shop/b → shop/a"}


def test_a_proxy_that_could_not_be_read_leaves_it_open_unless_another_has_to_move() -> None:
    unread = Workload("b", identity=None)
    found = advice(Workload("a"), unread)
    assert (found.moves, [each.subject.name for each in found.unread]) == (Moves.UNKNOWN, ["b"])
    assert advice(on_istiod("a"), unread).moves is Moves.SOMETHING
    assert advice(unread).moves is Moves.UNKNOWN
    assert advice().moves is Moves.UNKNOWN


def test_pods_that_do_not_count_are_nowhere() -> None:
    found = advice(Workload("a"), on_istiod("b"), Workload("c", identity=None), without=("uid-b", "uid-c"))
    assert (found.moves, list(found.held), found.plan.today, found.unread) == (Moves.NOTHING, ["shop/a"], (), ())


@pytest.mark.parametrize(
    ("changes", "issuer"),
    [
        ({}, Issuer.TELEPORT),
        ({"chain": ()}, Issuer.NONE),
        ({"chain": (svid(issuer="istiod"),)}, Issuer.ISTIOD),
        ({"chain": (svid(issuer="stranger"),)}, Issuer.ANOTHER),
    ],
)
def test_the_issuer_is_told_by_signatures(changes: dict[str, Any], issuer: Issuer) -> None:
    assert issuer_of(make.proxy(**changes), make.bundle(), make.istiod()) is issuer


def test_the_answer_has_the_words_of_its_schema() -> None:
    assert [issuer.value for issuer in Issuer] == ["Teleport", "istiod", "another authority", "no certificate"]
    assert [moves.value for moves in Moves] == [
        "there is nothing to move",
        "there is something to move",
        "not determined",
    ]
