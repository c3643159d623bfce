"""Where a rotation of Teleport's SPIFFE authority stands, from one look."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from facts.proxies.identity import ProxyIdentity, Unread
from facts.svid import Certificate
from judge.advice.rotation import EXPECTED, MayBegin, RotationAdvice, advised, advised_by_bundle, generations_of
from tests.unit.judge import builders as make
from tests.unit.judge.certificates import NOW, TRUST_DOMAIN, authority, svid

BEFORE = authority("before")
AFTER = authority("after", starts=NOW - timedelta(minutes=5))
BOTH = (BEFORE, AFTER)


def proxy(name: str, signer: str, *trusted: Certificate, node: str = "node-1") -> ProxyIdentity:
    leaf = svid(issuer=signer)
    return make.proxy(make.pod(name, node=node), chain=(leaf,), root_authorities={TRUST_DOMAIN: trusted})


def look(phase: str, *proxies: ProxyIdentity | Unread, published: tuple[Certificate, ...] = BOTH) -> RotationAdvice:
    rotation = "standby" if phase == "standby" else f"in progress (mode: manual, phase: {phase})"
    found = advised(make.status(spiffe_rotation=rotation), make.bundle(authorities=published), make.fleet(*proxies), NOW)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("phase", "signer", "following"),
    [
        ("init", "before", "update_clients"),
        ("update_clients", "after", "update_servers"),
        ("update_servers", "after", "standby"),
        ("rollback", "before", "standby"),
    ],
)
def test_where_every_proxy_has_followed_the_next_phase_may_begin(phase: str, signer: str, following: str) -> None:
    advice = look(phase, proxy("a", signer, *BOTH), proxy("b", signer, *BOTH))
    assert (advice.may_begin, advice.following, advice.followed) == (MayBegin.YES, following, 2)
    assert advice.against == ()
    assert advice.nodes_behind == ()


def test_a_proxy_that_lags_stands_against_it_with_its_node() -> None:
    advice = look(
        "update_clients",
        proxy("a", "after", *BOTH),
        proxy("b", "before", *BOTH),
        proxy("c", "before", BEFORE, node="node-2"),
        proxy("d", "before", BEFORE, node="node-2"),
    )
    assert advice.may_begin is MayBegin.NO
    assert advice.followed == 1
    assert [each.subject.name for each in advice.against] == ["b", "c", "d"]
    assert {each.cause for each in advice.against} == {"rotation-not-followed"}
    assert advice.lagging == {"node-1": 1, "node-2": 2}
    assert advice.nodes_behind == ("node-2",)


def test_teleport_itself_may_stand_against_it() -> None:
    advice = look("update_clients", proxy("a", "after", AFTER), published=(AFTER,))
    assert advice.may_begin is MayBegin.NO
    assert "Teleport publishes the new" in advice.against[0].said


def test_a_proxy_that_could_not_be_read_leaves_it_open() -> None:
    advice = look("init", proxy("a", "before", *BOTH), make.unread(make.pod("b")))
    assert advice.may_begin is MayBegin.UNKNOWN
    assert [each.subject.name for each in advice.unread] == ["b"]
    assert look("init").may_begin is MayBegin.UNKNOWN  # no proxy proves nothing


def test_no_rotation_and_one_that_some_have_not_heard_the_end_of() -> None:
    done = look("standby", proxy("a", "after", AFTER), published=(AFTER,))
    assert (done.may_begin, done.following) == (MayBegin.NO_ROTATION, "")
    lags = look("standby", proxy("a", "after", *BOTH), published=(AFTER,))
    assert lags.may_begin is MayBegin.NO
    assert "it trusts the new and another, not the new" in lags.against[0].said


def test_a_phase_that_is_not_known() -> None:
    strange: Any = make.status(spiffe_rotation="in progress (mode: manual, phase: dance)")
    assert advised(strange, make.bundle(authorities=BOTH), make.fleet(), NOW) is None


def test_authorities_that_began_together_are_of_one_generation() -> None:
    second = authority("after-2", starts=NOW - timedelta(minutes=40))
    found = generations_of(make.bundle(authorities=(BEFORE, AFTER, second)), "init")
    assert (found.old, found.new) == ((BEFORE,), (AFTER, second))
    assert generations_of(make.bundle(authorities=BOTH), "standby").new == BOTH
    assert generations_of(make.bundle(authorities=()), "init").new == ()


def test_a_rotation_soon_after_the_first_authority_has_two_generations_all_the_same() -> None:
    first = authority("first", starts=NOW - timedelta(minutes=25))
    pair = authority("first-2", starts=NOW - timedelta(minutes=24))
    found = generations_of(make.bundle(authorities=(first, pair, AFTER)), "init")
    assert (found.old, found.new) == ((first, pair), (AFTER,))
    advice = look("init", proxy("a", "first", first, AFTER), published=(first, AFTER))
    assert advice.may_begin is MayBegin.YES


def by_bundle(*proxies: ProxyIdentity | Unread, published: tuple[Certificate, ...] = BOTH) -> RotationAdvice:
    return advised_by_bundle(make.bundle(authorities=published), make.fleet(*proxies))


def test_without_a_session_a_single_authority_is_no_rotation() -> None:
    done = by_bundle(proxy("a", "after", AFTER), published=(AFTER,))
    assert (done.may_begin, done.phase, done.might_be) == (MayBegin.NO_ROTATION, "standby", ())
    lags = by_bundle(proxy("a", "after", *BOTH), published=(AFTER,))
    assert lags.may_begin is MayBegin.NO
    assert "on node-1 it trusts the new and another, not the new" in lags.against[0].said


@pytest.mark.parametrize(
    ("signers", "done"),
    [
        (("before", "before"), ("standby", "init", "rollback")),
        (("after", "after"), ("standby", "update_clients", "update_servers")),
        (("before", "after"), ("standby",)),
    ],
)
def test_without_a_session_the_phase_of_several_authorities_is_open(signers: tuple[str, ...], done: tuple[str, ...]) -> None:
    advice = by_bundle(*(proxy(f"p{at}", signer, *BOTH) for at, signer in enumerate(signers)))
    assert (advice.may_begin, advice.phase, advice.following) == (MayBegin.UNKNOWN, "", "")
    assert advice.might_be == tuple(EXPECTED)
    assert advice.done == done


def test_without_a_session_whoever_does_not_trust_all_that_is_published_stands_against_every_phase() -> None:
    advice = by_bundle(proxy("a", "before", *BOTH), proxy("b", "before", BEFORE, node="node-2"))
    assert advice.may_begin is MayBegin.NO
    assert [(each.subject.name, each.cause) for each in advice.against] == [("b", "rotation-not-followed")]
    assert "on node-2 it trusts the old, not the old and the new" in advice.against[0].said
    assert (advice.followed, advice.nodes_behind, advice.done) == (1, ("node-2",), ())
    foreign = by_bundle(proxy("a", "istiod", *BOTH))
    assert "has a certificate of another" in foreign.against[0].said
    assert foreign.against[0].cause == ""


def test_without_a_session_what_was_not_read_leaves_it_open() -> None:
    advice = by_bundle(proxy("a", "after", *BOTH), make.unread(make.pod("b")))
    assert (advice.may_begin, advice.done) == (MayBegin.UNKNOWN, ())
    assert by_bundle(published=BOTH).done == ()


def test_that_there_is_no_rotation_is_known_whatever_could_not_be_read() -> None:
    proxies = (proxy("a", "after", AFTER), make.unread(make.pod("b")))
    for advice in (look("standby", *proxies, published=(AFTER,)), by_bundle(*proxies, published=(AFTER,))):
        assert advice.may_begin is MayBegin.NO_ROTATION
        assert [each.subject.name for each in advice.unread] == ["b"]


def test_an_older_rotation_does_not_make_its_authority_a_new_one() -> None:
    """Between the two old ones lies more time than between the second one and the new one."""
    oldest, older = (authority(name, starts=NOW - timedelta(days=days)) for name, days in (("oldest", 30), ("older", 5)))
    found = generations_of(make.bundle(authorities=(oldest, older, AFTER)), "init")
    assert (found.old, found.new) == ((oldest, older), (AFTER,))


@pytest.mark.parametrize(("minutes", "is_new"), [(65, True), (66, False)])
def test_an_authority_is_of_the_newest_generation_within_an_hour(minutes: int, *, is_new: bool) -> None:
    """The newest one began five minutes ago."""
    oldest, other = (
        authority("oldest", starts=NOW - timedelta(days=3)),
        authority("o", starts=NOW - timedelta(minutes=minutes)),
    )
    found = generations_of(make.bundle(authorities=(oldest, other, AFTER)), "init")
    assert (other in found.new, other in found.old, AFTER in found.new) == (is_new, not is_new, True)
