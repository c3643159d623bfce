"""What a phase of a rotation makes of a proxy, and how one that has not followed is described."""

from __future__ import annotations

from dataclasses import replace

import pytest

from facts.svid import Certificate
from providers.teleport.facts.ca_rotation import ANOTHER, NEW, NONE, OLD, Generations, PhaseExpectation, Stage, told
from tests.unit.judge import builders as make
from tests.unit.judge.certificates import NOW, TRUST_DOMAIN, authority, intermediate, svid

BEFORE, AFTER, STRANGE = authority("before"), authority("after"), authority("strange")
BOTH = Generations((BEFORE,), (AFTER,))
UPDATE_CLIENTS = PhaseExpectation("update_clients", (OLD, NEW), NEW)


def test_what_is_published_and_was_not_there_before_is_new() -> None:
    assert Generations((BEFORE,)).with_new((AFTER, BEFORE)) == BOTH
    assert Generations((BEFORE,)).with_new((BEFORE,)).new == ()


@pytest.mark.parametrize(
    ("held", "names"),
    [
        ((BEFORE,), (OLD,)),
        ((AFTER, BEFORE), (OLD, NEW)),
        ((AFTER,), (NEW,)),
        ((AFTER, STRANGE), (NEW, ANOTHER)),
        ((STRANGE,), (ANOTHER,)),
        ((), ()),
    ],
)
def test_authorities_are_known_by_their_certificates(held: tuple[Certificate, ...], names: tuple[str, ...]) -> None:
    assert BOTH.named(held) == names
    assert BOTH.trusted_by(make.proxy(root_authorities={TRUST_DOMAIN: held})) == names


def test_where_there_are_several_at_a_time_one_of_them_is_not_enough() -> None:
    two = Generations((BEFORE, STRANGE))
    assert two.named((BEFORE, STRANGE)) == (OLD,)
    assert two.named((BEFORE,)) == (ANOTHER,)


def test_who_signed_is_known_by_the_signature() -> None:
    issuers = [BOTH.issuer_of([svid(issuer=name)]) for name in ("before", "after", "strange")]
    assert issuers == [OLD, NEW, ANOTHER]
    assert BOTH.issuer_of([]) == NONE


def test_the_signature_may_lead_over_an_intermediate() -> None:
    leaf, between = svid(issuer="between"), intermediate("between", issuer="after")
    assert BOTH.issuer_of([leaf, between]) == NEW
    assert BOTH.issuer_of([leaf]) == ANOTHER


def test_a_proxy_has_followed_when_it_trusts_and_holds_what_it_has_to() -> None:
    followed = make.proxy(chain=(svid(issuer="after"),), root_authorities={TRUST_DOMAIN: (AFTER, BEFORE)})
    assert UPDATE_CLIENTS.lacks(followed, BOTH) == ""
    late = replace(followed, chain=(svid(issuer="before"),))
    assert UPDATE_CLIENTS.lacks(late, BOTH) == "has a certificate of the old, not of the new"
    later = replace(late, root_authorities={TRUST_DOMAIN: (BEFORE,)})
    assert UPDATE_CLIENTS.lacks(later, BOTH) == (
        "trusts the old, not the old and the new and has a certificate of the old, not of the new"
    )
    assert "a certificate of none" in UPDATE_CLIENTS.lacks(replace(followed, chain=()), BOTH)
    assert told(()) == "none"


def test_a_stage_knows_who_is_behind() -> None:
    followed = make.proxy(chain=(svid(issuer="after"),), root_authorities={TRUST_DOMAIN: (AFTER, BEFORE)})
    late = make.proxy(make.pod("late"), chain=(svid(issuer="before"),), root_authorities={TRUST_DOMAIN: (AFTER, BEFORE)})
    stage = Stage(UPDATE_CLIENTS, NOW, 1, BOTH, make.status(), make.bundle(), make.fleet(followed))
    assert stage.has_been_followed()
    assert stage.evidence == ("ev-status", "ev-bundle", "ev-proxy-app")
    with_late = replace(stage, fleet=make.fleet(followed, late))
    behind = with_late.behind
    assert [(pod.name, words) for pod, words in behind] == [("late", "has a certificate of the old, not of the new")]
    assert not with_late.has_been_followed()
    assert with_late.has_been_followed(but_on=late.pod.node)
    unread = replace(stage, fleet=make.fleet(followed, make.unread()))
    assert not unread.has_been_followed()
    assert not unread.has_been_followed(but_on="another")
