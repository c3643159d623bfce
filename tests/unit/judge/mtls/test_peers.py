"""Classes of proxies, and what one class objects to in another."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from facts.proxies.envoy import Validator
from facts.proxies.tls.context import MatchKind, NameMatch, TlsContext, Trust
from judge.mtls.peers import (
    BY_IDENTITY,
    NO_CHECK,
    Check,
    Peer,
    Refusal,
    Standing,
    check_of,
    check_with,
    classified,
    objection,
)
from tests.unit.judge import builders as make
from tests.unit.judge.certificates import NOW, TRUST_DOMAIN, authority, svid

OWN, NEXT = authority().sha256, authority("next").sha256
PREFIX = (NameMatch(MatchKind.PREFIX, f"spiffe://{TRUST_DOMAIN}/"),)
OTHER = (NameMatch(MatchKind.PREFIX, "spiffe://other.example/"),)


def peer(**changes: Any) -> Peer:
    (only,) = classified([make.proxy(**changes)], {PREFIX, OTHER}).classes
    return only.peer


def test_what_a_proxy_presents_and_holds() -> None:
    assert peer() == Peer(
        standing=Standing.VALID,
        is_authority=False,
        trust_domain=TRUST_DOMAIN,
        anchors=frozenset({OWN}),
        lapsed=frozenset(),
        fits=frozenset({PREFIX}),
        holds=Check(Validator.SPIFFE, frozenset({(TRUST_DOMAIN, OWN)})),
    )


def test_a_proxy_without_a_certificate() -> None:
    bare = peer(chain=())
    assert (bare.standing, bare.is_authority, bare.trust_domain) == (Standing.ABSENT, False, "")
    assert (bare.anchors, bare.lapsed, bare.fits) == (frozenset(), frozenset(), frozenset())


@pytest.mark.parametrize(
    ("starts", "minutes", "standing"),
    [
        (-10, 60, Standing.VALID),
        (0, 60, Standing.VALID),
        (-60, 60, Standing.VALID),
        (-61, 60, Standing.EXPIRED),
        (1, 60, Standing.NOT_YET),
    ],
)
def test_the_dates_of_a_certificate(starts: int, minutes: int, standing: Standing) -> None:
    found = peer(chain=(svid(starts=NOW + timedelta(minutes=starts), minutes=minutes),))
    assert found.standing is standing
    # Dates are judged apart: the signature still leads to the authority.
    assert found.anchors == {OWN}


def test_an_intermediate_that_has_expired() -> None:
    old = authority("istiod", uri="", starts=NOW - timedelta(days=20), days=10)
    found = peer(chain=(svid(issuer="istiod"), old))
    assert found.standing is Standing.EXPIRED


@pytest.mark.parametrize(
    ("changes", "signs"),
    [
        ({}, False),
        ({"is_ca": True}, True),
        ({"usage": frozenset({"digital_signature", "key_cert_sign"})}, True),
        ({"usage": frozenset({"digital_signature", "crl_sign"})}, True),
    ],
)
def test_a_certificate_that_may_sign_others(changes: dict[str, Any], signs: bool) -> None:
    assert peer(chain=(svid(**changes),)).is_authority is signs


@pytest.mark.parametrize(
    ("uris", "domain"),
    [
        (("spiffe://a.example/x", "spiffe://b.example/y"), "a.example"),
        (("https://a.example/x", "spiffe://b.example/y"), ""),
        (("spiffe://UPPER/x",), "UPPER"),
        (("spiffe://a.example/ns/shop/sa/b/",), "a.example"),
        (("spiffe://a.example",), ""),
        (("x-spiffe://a.example/x",), ""),
        ((), ""),
    ],
)
def test_the_first_name_decides_the_trust_domain(uris: tuple[str, ...], domain: str) -> None:
    assert peer(chain=(svid(uris=uris),)).trust_domain == domain


def test_an_authority_that_nothing_trusts_is_no_anchor_unless_a_context_has_it() -> None:
    stranger = make.proxy(chain=(svid(issuer="next"),))
    assert classified([stranger]).classes[0].peer.anchors == frozenset()
    assert classified([stranger], also=[authority("next")]).classes[0].peer.anchors == {NEXT}


def test_an_authority_of_the_same_name_with_another_key_is_no_anchor() -> None:
    namesake = replace(authority("next"), subject=authority().subject)
    found = classified([make.proxy()], also=[namesake]).classes[0].peer
    assert found.anchors == {OWN}


def test_a_class_is_described_by_its_first_member() -> None:
    first, second = authority("first"), authority("second")
    strangers = [
        make.proxy(make.pod(name), chain=(svid(issuer=issuer),), root_authorities={TRUST_DOMAIN: held})
        for name, issuer, held in (("a", "next", (first, second)), ("b", "third", (second, first)))
    ]
    (only,) = classified(strangers).classes
    assert only.issuer == "CN=next"
    assert [each.partition(" (")[0] for each in only.authorities] == [
        f"{TRUST_DOMAIN}: CN=first",
        f"{TRUST_DOMAIN}: CN=second",
    ]


def test_an_authority_that_is_not_valid_any_more_is_told_apart() -> None:
    old = authority("old", starts=NOW - timedelta(days=20), days=10)
    leaf = svid(issuer="old", starts=NOW - timedelta(days=15), minutes=60 * 24 * 30)
    found = peer(chain=(leaf,), root_authorities={TRUST_DOMAIN: (old,)})
    assert found.standing is Standing.VALID
    assert found.anchors == frozenset()
    assert found.lapsed == {old.sha256}


def test_proxies_that_are_alike_are_one_class() -> None:
    first, second, third = (make.pod(name) for name in "abc")
    found = classified([make.proxy(first), make.istiod_proxy(second), make.proxy(third)])
    assert [[pod.name for pod in each.members] for each in found.classes] == [["a", "c"], ["b"]]
    assert [each.number for each in found.classes] == [1, 2]
    assert found.of["uid-c"] is found.classes[0]
    assert (found.classes[0].issuer, found.classes[1].issuer) == ("CN=teleport", "CN=istiod")
    assert found.classes[1].authorities == (f"any trust domain: CN=istiod ({authority('istiod', uri='').sha256[:16]}…)",)
    nameless = replace(authority(), subject="")
    (bare,) = classified([make.proxy(chain=(), root_authorities={TRUST_DOMAIN: (nameless,)})]).classes
    assert (bare.issuer, bare.authorities) == ("", (f"{TRUST_DOMAIN}: an authority without a name ({OWN[:16]}…)",))


# Checks.

HOLDS = Check(Validator.SPIFFE, frozenset({(TRUST_DOMAIN, OWN)}))
PLAIN_HOLDS = Check(Validator.TRUSTED_CA, frozenset({("", OWN)}))
INLINE_CA = Trust(Validator.TRUSTED_CA, (("", (authority("next"),)),))
INLINE_SPIFFE = Trust(Validator.SPIFFE, ((TRUST_DOMAIN, (authority("next"),)),))


@pytest.mark.parametrize(
    ("context", "holds", "check"),
    [
        (TlsContext(validation="ROOTCA"), HOLDS, HOLDS),
        (TlsContext(validation="ROOTCA", inline=INLINE_CA), HOLDS, HOLDS),
        (TlsContext(validation="ROOTCA", inline=INLINE_CA), PLAIN_HOLDS, PLAIN_HOLDS),
        (TlsContext(validation="ROOTCA", inline=INLINE_SPIFFE), HOLDS, HOLDS),
        (TlsContext(validation="ROOTCA", inline=INLINE_SPIFFE), PLAIN_HOLDS, check_with(INLINE_SPIFFE)),
        (TlsContext(validation="other"), HOLDS, None),
        (TlsContext(), HOLDS, NO_CHECK),
        (TlsContext(inline=INLINE_CA), HOLDS, check_with(INLINE_CA)),
        (TlsContext(inline=Trust(Validator.SPIFFE)), HOLDS, Check(Validator.SPIFFE, frozenset())),
    ],
)
def test_the_check_of_a_context(context: TlsContext, holds: Check, check: Check | None) -> None:
    assert check_of(context, replace(peer(), holds=holds)) == check


@pytest.mark.parametrize(
    ("changes", "check", "name_fits", "refusal"),
    [
        ({}, HOLDS, True, None),
        ({}, HOLDS, False, Refusal.NAME),
        ({}, NO_CHECK, False, None),
        ({}, Check(Validator.NONE, frozenset()), True, Refusal.SILENT),
        ({}, Check(Validator.SPIFFE, frozenset({("other.example", OWN)})), True, Refusal.AUTHORITY),
        ({}, Check(Validator.SPIFFE, frozenset({("", OWN)})), True, Refusal.AUTHORITY),
        ({}, PLAIN_HOLDS, True, None),
        ({}, Check(Validator.TRUSTED_CA, frozenset({("", NEXT)})), True, Refusal.AUTHORITY),
        ({"trust_domain": ""}, PLAIN_HOLDS, True, None),
        ({"is_authority": True}, HOLDS, True, Refusal.NO_SVID),
        ({"is_authority": True}, PLAIN_HOLDS, True, None),
        ({"is_authority": True, "anchors": frozenset()}, HOLDS, True, Refusal.NO_SVID),
        ({"standing": Standing.EXPIRED}, HOLDS, False, Refusal.EXPIRED),
        ({"standing": Standing.NOT_YET}, HOLDS, False, Refusal.NOT_YET),
        ({"standing": Standing.EXPIRED, "anchors": frozenset()}, HOLDS, True, Refusal.AUTHORITY),
        ({"anchors": frozenset(), "lapsed": frozenset({OWN})}, HOLDS, True, Refusal.EXPIRED),
        ({"standing": Standing.NOT_YET, "anchors": frozenset(), "lapsed": frozenset({OWN})}, HOLDS, True, Refusal.NOT_YET),
    ],
)
def test_an_objection(changes: dict[str, Any], check: Check, name_fits: bool, refusal: Refusal | None) -> None:
    assert objection(replace(peer(), **changes), check, name_fits=name_fits) is refusal


def test_refusals_by_identity_are_all_but_two() -> None:
    assert set(Refusal) - BY_IDENTITY == {Refusal.PLAIN_AGAINST_TLS, Refusal.TLS_AGAINST_PLAIN}
