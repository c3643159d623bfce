"""Judgment about every join token that lets in as tbot's bot: INST-17."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from facts.evidence import ObjectRef
from facts.finding import Finding, Problem, Remark
from facts.secret_forms import MARK
from judge.findings import Claim, listed
from providers.teleport.facts.join_tokens import JoinTokens, ListedToken
from providers.teleport.facts.tbot_config import BY_NAME_ALONE

NOTICE = timedelta(days=30)
"""Time before the end of the token that tbot uses from which on the end is a problem; until then it is only noted."""

UNTOLD = "it may be tbot's own, since tbot's configuration names its token by a secret that the suite does not compare"


def only_tbots_tokens_let_in(
    tokens: JoinTokens, named: Collection[str], bots: Collection[str], now: datetime, evidence: Iterable[str]
) -> Finding:
    """INST-17: no join token but those that tbot names is for its bot, and these do not end unnoticed.

    Args:
        named: Names of the tokens in tbot's configuration, a mark in place of one that is a secret.
        bots: Names of the bots that these tokens are for.
        now: UTC time of the judgment.
        evidence: Ids of the readings that tell `named` and `bots`.
    """
    expected = "no join token but tbot's own to let in as its bot, and tbot's own not to expire unnoticed"
    claim = Claim("INST-17", expected, "all join tokens of Teleport", (*tokens.evidence, *evidence))
    of_bots = [token for token in tokens.tokens if token.bot_name in bots]
    own = [found for name in dict.fromkeys(named) if (found := _used(of_bots, name)) is not None]
    others = [token for token in of_bots if not any(token is each for each in own)]
    live = [token for token in others if not _ended(token, now)]
    others_that_let_in = [
        Problem(_bot(name), said, "second-join-token", tokens.evidence)
        for (name, said), number in Counter((token.bot_name, _lets_in(token)) for token in live).items()
        for said in [f"{said} ({number} such tokens)" if number > 1 else said]
    ]
    # A tbot that joins by a secret, which no token for its bot accepts: one of these may be the one that it names.
    unmatched = sum(MARK in name and _used(of_bots, name) is None for name in dict.fromkeys(named))
    is_known = len(live) > unmatched or not unmatched
    problems = others_that_let_in if is_known else []
    unclear = [] if is_known else [replace(each, said=f"{each.said}; {UNTOLD}", cause="") for each in others_that_let_in]
    ends = [(token, token.expires) for token in own if token.expires is not None]
    problems = [*problems, *(_ends(token, when, tokens) for token, when in ends if when - now < NOTICE)]
    hidden = sum(MARK in token.bot_name for token in tokens.tokens if token.bot_name not in bots)
    said = f"the bot of {hidden} tokens cannot be told: its name is also that of a token that is a secret"
    expired = Counter(token.bot_name for token in others if token not in live)
    return claim.judged(
        problems,
        f"of {len(tokens.tokens)} join tokens {len(own)} let in as {listed(bots)}, and tbot names them",
        unclear=[*unclear, *([claim.problem(said, evidence=tokens.evidence)] if hidden else [])],
        left_out=[Remark(_bot(name), f"{number} other tokens for it have expired") for name, number in expired.items()],
        notes=[_ends(token, when, tokens) for token, when in ends if when - now >= NOTICE],
        settle=f"look through `tctl get token` for tokens with the bot_name {listed(bots)}",
    )


def _bot(name: str) -> ObjectRef:
    return ObjectRef("Teleport", f"bot/{name}")


def _ended(token: ListedToken, now: datetime) -> bool:
    return token.expires is not None and token.expires <= now


def _ends(token: ListedToken, when: datetime, tokens: JoinTokens) -> Problem:
    said = f"it expires at {when:%Y-%m-%d %H:%M} UTC: no tbot that starts after that can join"
    return Problem(ObjectRef("Teleport", f"token/{token.name}"), said, "join-token-expires", tokens.evidence)


def _used(of_bots: Iterable[ListedToken], name: str) -> ListedToken | None:
    """The token that tbot names. Of a secret one no name is known: any of the bot's tokens that lets in by name is it."""
    if MARK in name:
        return next((token for token in of_bots if token.join_method in BY_NAME_ALONE), None)
    return next((token for token in of_bots if token.name == name), None)


def _lets_in(token: ListedToken) -> str:
    if token.join_method in BY_NAME_ALONE:
        who = "whoever knows its name"
    elif token.join_method == "kubernetes":
        who = f"the service accounts {listed(token.allow)} of a cluster"
    else:
        who = f"callers that its method {token.join_method} accepts"
    until = f" until {token.expires:%Y-%m-%d %H:%M} UTC" if token.expires else ""
    return f"another join token lets in as it{until}: {who}"
