"""Readings of Teleport that need an admin session, with and without one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from facts.document import Absent
from facts.evidence import ObjectRef
from facts.teleport.resources import Bot
from observe.teleport.facet import TeleportFacet
from settings import Names


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


def test_the_bot_is_known_to_an_admin_alone() -> None:
    assert facet(Session(has_admin=True)).known_bot() == Bot("istio-tbot", (), ("ev-bot",))
    assert facet(Session(has_admin=False)).known_bot() is None
