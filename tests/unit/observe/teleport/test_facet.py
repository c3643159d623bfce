"""Readings of Teleport that need an admin session, with and without one."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from facts.document import Absent
from facts.evidence import ObjectRef
from facts.teleport.bundle import TrustBundle
from facts.teleport.resources import Bot, Ping
from observe.teleport.facet import TeleportFacet
from settings import Names
from tests.unit.judge import builders as make
from tests.unit.judge.certificates import authority


class Session:
    """A Teleport with a bot, and without the token that would name it."""

    def __init__(self, *, has_admin: bool) -> None:
        self.has_admin = has_admin

    def token(self, name: str) -> Absent:
        return Absent(ObjectRef("Teleport", f"token/{name}"), ("ev-token",))

    def bot(self, name: str) -> Bot:
        return Bot(name, (), ("ev-bot",))


def facet(session: Session) -> TeleportFacet:
    """Teleport as tbot's file names it, each reading made anew."""
    cluster: Any = SimpleNamespace(once=lambda _key, read: read(), names=Names())
    tbot: Any = SimpleNamespace(installed=lambda: SimpleNamespace(join_secret="", config=SimpleNamespace(token="a-token")))
    return TeleportFacet(cluster, tbot, lambda: cast("Any", session), lambda: None)


class Published:
    """A Teleport with public endpoints alone."""

    has_admin = False

    def __init__(self, name: str, bundle: TrustBundle) -> None:
        self._name, self._bundle = name, bundle

    def ping(self) -> Ping:
        return make.ping(cluster_name=self._name)

    def bundle(self) -> TrustBundle:
        return self._bundle


OURS = make.bundle()
OTHERS = replace(OURS, authorities=(authority("another authority"),))


@pytest.mark.parametrize(
    ("name", "published", "confirmed"),
    [(OURS.trust_domain, OURS, True), ("other.example.com", OURS, False), (OURS.trust_domain, OTHERS, False)],
    ids=["the expected one", "another name", "other authorities"],
)
def test_the_expected_anchors_are_judged_against_and_confirm_the_teleport_that_has_them(
    name: str, published: TrustBundle, *, confirmed: bool
) -> None:
    found = replace(facet(cast("Any", Published(name, published))), anchors=lambda: OURS)
    assert found.bundle() == OURS
    assert found.has_the_expected_anchors() is confirmed


def test_without_anchors_the_published_bundle_counts_and_confirms_nothing() -> None:
    found = facet(cast("Any", Published(OURS.trust_domain, OTHERS)))
    assert found.bundle() == replace(OTHERS, trust_domain=OURS.trust_domain)
    assert not found.has_the_expected_anchors()


def test_the_bot_is_known_to_an_admin_alone() -> None:
    assert facet(Session(has_admin=True)).known_bot() == Bot("istio-tbot", (), ("ev-bot",))
    assert facet(Session(has_admin=False)).known_bot() is None
