"""Readings of Teleport that need an admin session, with and without one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from facts.document import Absent
from facts.evidence import ObjectRef
from facts.teleport.join_tokens import JoinTokens
from facts.teleport.resources import Bot
from observe.teleport.facet import TeleportFacet
from settings import Names


class Session:
    """A Teleport with a bot, and without the token that would name it."""

    def __init__(self, *, has_admin: bool) -> None:
        self.has_admin = has_admin
        self.known: list[tuple[str, ...]] = []

    def token(self, name: str) -> Absent:
        return Absent(ObjectRef("Teleport", f"token/{name}"), ("ev-token",))

    def tokens(self, known: tuple[str, ...]) -> JoinTokens:
        self.known.append(known)
        return JoinTokens((), ("ev-tokens",))

    def bot(self, name: str) -> Bot:
        return Bot(name, (), ("ev-bot",))


def facet(session: Session, secret: str = "") -> TeleportFacet:
    """Teleport as tbot's file names it, each reading made anew."""
    cluster: Any = SimpleNamespace(once=lambda _key, read: read(), names=Names())
    installed = SimpleNamespace(join_secret=secret, config=SimpleNamespace(token="a-token"))
    tbot: Any = SimpleNamespace(installed=lambda: installed)
    return TeleportFacet(cluster, tbot, lambda: cast("Any", session), lambda: None)


def test_the_bot_is_known_to_an_admin_alone() -> None:
    assert facet(Session(has_admin=True)).known_bot() == Bot("istio-tbot", (), ("ev-bot",))
    assert facet(Session(has_admin=False)).known_bot() is None


def test_of_all_tokens_only_the_name_that_is_no_secret_is_known() -> None:
    session = Session(has_admin=True)
    assert facet(session).tokens().evidence == ("ev-tokens",)
    facet(session, secret="a-secret-name").tokens()
    assert session.known == [("a-token",), ()]
