"""A rotation of Teleport's SPIFFE authority: ROT-04."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from facts.proxies.identity import Unread
from facts.svid import Certificate
from providers.teleport.facts.ca_rotation import NEW, OLD, Generations, PhaseExpectation, Stage
from providers.teleport.facts.resources import NoSession
from providers.teleport.judge.ca_rotation import each_phase_was_followed, peers_saw_the_change
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import holds, unknown, violated
from tests.unit.judge.certificates import NOW, TRUST_DOMAIN, authority, intermediate, svid
from tests.unit.judge.traffic.test_load import history, load, request

BEFORE, AFTER = authority("before"), authority("after")
BOTH = Generations((BEFORE,), (AFTER,))
PLAN = (
    PhaseExpectation("init", (OLD, NEW), OLD),
    PhaseExpectation("update_clients", (OLD, NEW), NEW),
    PhaseExpectation("standby", (NEW,), NEW),
)
SIGNER = {OLD: "before", NEW: "after"}


def proxy(name: str, wanted: PhaseExpectation, **changes: Any) -> Any:
    """A proxy that has followed."""
    trusted = tuple(a for each in wanted.trusted for a in BOTH.of(each))
    leaf = svid(issuer=SIGNER[wanted.issuer])
    return make.proxy(make.pod(name), **{"chain": (leaf,), "root_authorities": {TRUST_DOMAIN: trusted}, **changes})


def stage(wanted: PhaseExpectation, waited: float = 2, **changes: Any) -> Stage:
    """A phase that Teleport and two proxies have followed."""
    rotation = "standby" if wanted.phase == "standby" else f"in progress (mode: manual, phase: {wanted.phase})"
    made = Stage(
        wanted,
        NOW,
        waited,
        BOTH,
        make.status(spiffe_rotation=rotation),
        make.bundle(authorities=tuple(a for each in wanted.trusted for a in BOTH.of(each))),
        make.fleet(proxy("app", wanted), proxy("web", wanted)),
    )
    return replace(made, **changes)


def held(*trusted: Certificate) -> Any:
    """A proxy that trusts these authorities in the phase `CLIENTS`."""
    return proxy("app", CLIENTS, root_authorities={TRUST_DOMAIN: trusted})


BEHIND = "rotation-not-followed"
STAGES = [stage(wanted, waited) for wanted, waited in zip(PLAN, (2, 3.5, 1), strict=True)]
INIT, CLIENTS, _STANDBY = PLAN


# Phases.


def test_each_phase_was_followed_and_the_time_is_measured() -> None:
    finding = each_phase_was_followed("ROT-04", STAGES, PLAN, 30, 5)
    holds(finding, "ROT-04", "ev-status", "ev-bundle", "ev-proxy-app", "ev-proxy-web")
    assert "each of 2 proxies" in finding.seen
    assert [str(m) for m in finding.measures] == [
        "time until init was followed: 2 s (at most 35 s)",
        "time until update_clients was followed: 3.5 s (at most 35 s)",
        "time until standby was followed: 1 s (at most 35 s)",
    ]


def test_one_that_was_followed_late_breaks_the_budget() -> None:
    late = [stage(INIT, 36), *STAGES[1:]]
    violated(each_phase_was_followed("ROT-04", late, PLAN, 30, 5), "ROT-04", "init was followed: 36 s (at most 35 s)")


@pytest.mark.parametrize(
    ("changes", "words", "causes"),
    [
        ({"fleet": make.fleet(proxy("app", CLIENTS), proxy("web", INIT))},
         "Pod test-app/web: update_clients: on node-1 it has a certificate of the old, not of the new", (BEHIND,)),
        ({"fleet": make.fleet(proxy("app", CLIENTS, chain=()))}, "it has a certificate of none, not of the new", ()),
        ({"fleet": make.fleet(proxy("app", CLIENTS, chain=(svid(issuer="strange"),)))},
         "it has a certificate of another, not of the new", ()),
        ({"fleet": make.fleet(held(BEFORE))}, "trusts the old, not the old and the new", (BEHIND,)),
        ({"fleet": make.fleet(held())}, "trusts none, not the old and the new", ()),
        ({"fleet": make.fleet(held(BEFORE, authority("strange")))}, "trusts the old and another", ()),
        ({"fleet": make.fleet(held(BEFORE)), "bundle": make.bundle(authorities=(BEFORE,))}, "trusts the old", ()),
        ({"bundle": make.bundle(authorities=(BEFORE,))},
         "Teleport SPIFFE authority: update_clients: Teleport publishes the old, not the old and", ()),
        ({"status": make.status(spiffe_rotation="standby")}, "update_clients: tctl status reports standby", ()),
        ({"status": make.status(spiffe_rotation="")}, "tctl status reports nothing about the SPIFFE authority", ()),
        ({"status": NoSession("expired", expired=True)}, "tctl status does not work: expired", ()),
    ],
)  # fmt: skip
def test_who_is_behind_is_named(changes: dict[str, Any], words: str, causes: tuple[str, ...]) -> None:
    stages = [STAGES[0], stage(CLIENTS, **changes)]
    violated(each_phase_was_followed("ROT-04", stages, PLAN[:2], 30, 5), "ROT-04", words, causes=causes)


def test_a_pod_that_went_away_in_a_phase_is_left_out_of_it() -> None:
    fleet = make.fleet(*STAGES[1].fleet.proxies, make.left_out())
    finding = each_phase_was_followed("ROT-04", [STAGES[0], replace(STAGES[1], fleet=fleet), STAGES[2]], PLAN, 30, 5)
    holds(finding, "ROT-04", "ev-gone-gone")
    assert [(str(e.subject), e.said) for e in finding.left_out] == [("Pod test-app/gone", f"update_clients: {make.GONE}")]


def test_a_phase_that_was_not_entered_is_missed() -> None:
    stuck = [STAGES[0], stage(CLIENTS, fleet=make.fleet(proxy("app", INIT)))]
    violated(
        each_phase_was_followed("ROT-04", stuck, PLAN, 30, 5), "ROT-04",
        "standby, because not every proxy had followed update_clients",
    )  # fmt: skip


def test_a_proxy_that_cannot_be_read_leaves_it_open() -> None:
    lost: Unread = make.unread(make.pod("lost"))
    unread = [stage(INIT, fleet=make.fleet(proxy("app", INIT), lost)), *STAGES[1:]]
    unknown(
        each_phase_was_followed("ROT-04", unread, PLAN, 30, 5),
        "ROT-04",
        "Pod test-app/lost: init: the suite could not read it",
    )
    in_vain = [replace(unread[0], waited=60), *STAGES[1:]]
    unknown(each_phase_was_followed("ROT-04", in_vain, PLAN, 30, 5), "ROT-04", "Pod test-app/lost")
    behind = [stage(INIT, fleet=make.fleet(proxy("app", CLIENTS), lost)), *STAGES[1:]]
    violated(each_phase_was_followed("ROT-04", behind, PLAN, 30, 5), "ROT-04", "Pod test-app/app")


# What peers were shown.


def leaf(name: str, issuer: str) -> Certificate:
    return svid("run", "alpha", key=name, issuer=issuer)


FIRST, SECOND, THIRD = leaf("one", "before"), leaf("two", "before"), leaf("three", "after")
HELD = history((FIRST, (-1, 1.9)), (SECOND, (2, 4.9)), (THIRD, (5, 10)))


def test_peers_were_shown_certificates_of_the_signing_authority() -> None:
    shown = load(*(request(n / 10, FIRST if n < 20 else SECOND if n < 50 else THIRD) for n in range(100)))
    finding = peers_saw_the_change("ROT-04", [shown], [HELD], BOTH)
    holds(finding, "ROT-04", "ev-ledger", "ev-look-5-0")
    assert "certificates of old → new" in finding.seen
    assert [m.value for m in finding.measures] == [2]


def test_one_certificate_of_an_authority_is_enough() -> None:
    """A certificate that lives for less than a second may be missed by the suite, or never be shown."""
    shown = load(*(request(n / 10, FIRST if n < 50 else THIRD) for n in range(100)))
    holds(peers_saw_the_change("ROT-04", [shown], [HELD], BOTH), "ROT-04")


def test_an_authority_whose_certificates_no_peer_saw_is_named() -> None:
    shown = load(*(request(n / 10, FIRST) for n in range(100)))
    violated(
        peers_saw_the_change("ROT-04", [shown], [HELD], BOTH), "ROT-04",
        "Pod run/beta: requests from alpha: it saw certificates of old, while the client held those of old → new",
    )  # fmt: skip


def test_one_that_never_changed_is_no_rotation() -> None:
    shown = load(*(request(n / 10, FIRST) for n in range(100)))
    still = history((FIRST, (-1, 10)))
    violated(
        peers_saw_the_change("ROT-04", [shown], [still], BOTH),
        "ROT-04",
        "Pod run/alpha: it held only certificates of old",
    )


def test_the_authority_of_a_certificate_may_have_signed_over_an_intermediate() -> None:
    last = leaf("two", "between")
    shown = load(*(request(n / 10, FIRST if n < 50 else last) for n in range(100)))
    held = history((FIRST, (-1, 4.9)), (last, (5, 10)))
    violated(peers_saw_the_change("ROT-04", [shown], [held], BOTH), "ROT-04", "it held a certificate of neither authority")
    *before, sighting = held.sightings
    chain = (last, intermediate("between", issuer="after"))
    whole = replace(held, sightings=(*before, replace(sighting, what=replace(sighting.what, chain=chain))))
    holds(peers_saw_the_change("ROT-04", [shown], [whole], BOTH), "ROT-04")


def test_without_a_load_no_peer_saw_anything() -> None:
    violated(peers_saw_the_change("ROT-04", [], [HELD], BOTH), "ROT-04", "by all loads: 0 (at least 1)")


def test_a_certificate_of_a_strangers_authority_is_named() -> None:
    strange = leaf("one", "strange")
    shown = load(*(request(n / 10, strange if n < 50 else THIRD) for n in range(100)))
    held = history((strange, (-1, 4.9)), (THIRD, (5, 10)))
    violated(peers_saw_the_change("ROT-04", [shown], [held], BOTH), "ROT-04", "it held a certificate of neither authority")
