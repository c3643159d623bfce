"""A tbot beside its join token and its bot."""

from __future__ import annotations

from dataclasses import replace

import pytest

from facts.document import Absent
from facts.evidence import ObjectRef
from providers.teleport.facts.joining import Joining
from providers.teleport.facts.tbot import Tbot
from tests.unit.judge import builders as make

GONE = Absent(ObjectRef("Teleport", "token/gone"), ("ev-gone",))


def pool(account: str) -> Tbot:
    """A tbot with a service account of its own."""
    tbot = make.tbot()
    spec = replace(tbot.daemon_set.template.spec, service_account=account)
    return replace(tbot, daemon_set=replace(tbot.daemon_set, template=replace(tbot.daemon_set.template, spec=spec)))


def test_without_a_session_nothing_of_it_is_known() -> None:
    alone = Joining(make.tbot())
    assert alone.kubernetes_type == ""
    with pytest.raises(LookupError, match="the join token was not read"):
        _ = alone.known_token
    with pytest.raises(LookupError, match="the bot was not read"):
        _ = alone.known_bot


def test_a_token_and_a_bot_that_were_read_are_known() -> None:
    token, bot = make.token(kubernetes_type="in_cluster"), make.bot()
    read = Joining(make.tbot(), token, bot)
    assert (read.known_token, read.known_bot, read.kubernetes_type) == (token, bot, "in_cluster")
    assert set(read.evidence) == {*make.tbot().evidence, *token.evidence, *bot.evidence}


def test_without_a_token_in_teleport_the_guides_type_is_meant() -> None:
    missing = Joining(make.tbot(), GONE, GONE)
    assert (missing.known_token, missing.known_bot, missing.kubernetes_type) == (GONE, GONE, "static_jwks")
    assert "ev-gone" in missing.evidence


def test_each_account_that_joins_with_the_token_is_named_once() -> None:
    of_pools = Joining(pool("a"), others=(pool("b"), pool("a")))
    assert of_pools.accounts == (pool("a").service_account, pool("b").service_account)
