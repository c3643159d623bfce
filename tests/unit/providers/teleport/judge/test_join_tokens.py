"""INST-17: every join token that lets in as tbot's bot."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from facts.finding import Finding
from facts.secret_forms import MARK
from providers.teleport.facts.join_tokens import JoinTokens, ListedToken
from providers.teleport.judge.join_tokens import NOTICE, only_tbots_tokens_let_in
from tests.unit.judge.assertions import holds, unknown, violated
from tests.unit.judge.certificates import NOW

OWN = ListedToken("istio-tbot-k8s-join", "kubernetes", "istio-tbot", ("teleport-system:tbot",), None)
OTHER = replace(OWN, name=MARK)
ANOTHERS = replace(OTHER, bot_name="another-bot")
SECOND = ("second-join-token",)
LATER = NOW + timedelta(days=365)


def judged(*tokens: ListedToken, named: tuple[str, ...] = (OWN.name,), bots: tuple[str, ...] = ("istio-tbot",)) -> Finding:
    return only_tbots_tokens_let_in(JoinTokens(tokens, ("ev-tokens",)), named, bots, NOW, ("ev-agent", "ev-token"))


def changed(token: ListedToken, **changes: Any) -> ListedToken:
    return replace(token, **changes)


def test_tbots_own_token_among_those_of_others() -> None:
    finding = judged(ANOTHERS, OWN, changed(ANOTHERS, bot_name=""))
    holds(finding, "INST-17", "ev-tokens", "ev-agent", "ev-token")
    assert finding.seen == "of 3 join tokens 1 let in as istio-tbot, and tbot names them"
    assert (finding.notes, finding.left_out) == ((), ())


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (OTHER, "another join token lets in as it: the service accounts teleport-system:tbot of a cluster"),
        (changed(OTHER, join_method="token", allow=()), "lets in as it: whoever knows its name"),
        (changed(OTHER, join_method="iam", allow=()), "lets in as it: callers that its method iam accepts"),
        (changed(OTHER, expires=LATER), f"lets in as it until {LATER:%Y-%m-%d %H:%M} UTC: the service accounts"),
    ],
)
def test_another_token_for_the_bot(other: ListedToken, words: str) -> None:
    finding = judged(OWN, other, ANOTHERS)
    violated(finding, "INST-17", f"Teleport bot/istio-tbot: {'' if 'another' in words else 'another join token '}{words}")
    violated(finding, "INST-17", evidence=("ev-tokens",), causes=SECOND)


def test_several_that_say_the_same_are_counted() -> None:
    violated(judged(OWN, OTHER, OTHER), "INST-17", "of a cluster (2 such tokens)", causes=SECOND)


def test_a_token_that_has_expired_lets_in_nobody() -> None:
    finding = judged(OWN, changed(OTHER, expires=NOW))
    holds(finding, "INST-17")
    assert [(str(r.subject), r.said) for r in finding.left_out] == [
        ("Teleport bot/istio-tbot", "1 other tokens for it have expired")
    ]
    violated(judged(OWN, changed(OTHER, expires=NOW + timedelta(seconds=1))), "INST-17", causes=SECOND)


@pytest.mark.parametrize("left", [timedelta(days=-1), timedelta(0), NOTICE - timedelta(seconds=1)])
def test_tbots_own_token_must_not_end_soon(left: timedelta) -> None:
    finding = judged(changed(OWN, expires=NOW + left))
    words = f"Teleport token/istio-tbot-k8s-join: it expires at {NOW + left:%Y-%m-%d %H:%M} UTC"
    violated(finding, "INST-17", words, causes=("join-token-expires",))
    assert finding.notes == ()


def test_a_later_end_is_noted() -> None:
    finding = judged(changed(OWN, expires=NOW + NOTICE))
    holds(finding, "INST-17")
    assert [note.cause for note in finding.notes] == ["join-token-expires"]


def test_tbots_that_join_with_tokens_of_their_own() -> None:
    second = changed(OWN, name="pool-2", bot_name="bot-2")
    holds(judged(OWN, second, named=(OWN.name, "pool-2"), bots=("istio-tbot", "bot-2")), "INST-17")
    finding = judged(OWN, second, changed(OTHER, bot_name="bot-2"), named=(OWN.name, "pool-2"), bots=("istio-tbot", "bot-2"))
    violated(finding, "INST-17", "bot/bot-2: another", causes=SECOND)


def test_a_secret_token_of_tbots_is_one_of_those_whose_name_is_hidden() -> None:
    secret = changed(OTHER, join_method="token", allow=())
    holds(judged(secret, named=(MARK,)), "INST-17")
    violated(judged(secret, replace(secret), named=(MARK,)), "INST-17", "whoever knows its name", causes=SECOND)
    violated(judged(secret, OTHER, named=(MARK,)), "INST-17", "of a cluster", causes=SECOND)


def test_a_secret_that_no_token_accepts_leaves_it_open_which_one_is_tbots_own() -> None:
    finding = judged(OWN, named=(MARK,))
    unknown(finding, "INST-17", "bot/istio-tbot: another join token lets in as it", "it may be tbot's own")
    assert finding.causes == ()
    holds(judged(ANOTHERS, named=(MARK,)), "INST-17")
    violated(judged(OWN, OTHER, named=(MARK,)), "INST-17", "(2 such tokens)", causes=SECOND)


def test_a_token_that_teleport_does_not_have_is_inst_10s() -> None:
    assert judged(ANOTHERS).seen == "of 1 join tokens 0 let in as istio-tbot, and tbot names them"
    holds(judged(), "INST-17", "ev-tokens")


def test_a_bot_whose_name_cannot_be_shown_is_unknown() -> None:
    hidden = changed(OTHER, bot_name=MARK)
    unknown(judged(OWN, hidden), "INST-17", "the bot of 1 tokens cannot be told")
    violated(judged(OWN, hidden, OTHER), "INST-17", causes=SECOND)
