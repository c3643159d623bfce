"""Judgments about policies by path: TRF-07."""

from __future__ import annotations

from urllib.parse import unquote

from facts.finding import Finding
from facts.guide import Defect
from facts.ledger import Exchange, Outcome, Request
from judge.exchanges import Pair, about, outcomes_but, turned_away_by_others


def policy_tells_paths_apart(pair: Pair, exchange: Exchange, inside: str, outside: str) -> Finding:
    """TRF-07, what the rest stands on: a plain path inside is let in, a plain path outside is refused.

    Args:
        pair: Client and server.
        exchange: Requests for both paths, among others.
        inside: A path that the policy allows.
        outside: One that it does not.
    """
    others = turned_away_by_others(pair, exchange)
    problems, unclear = [], []
    for path, right in ((inside, Outcome.ANSWERED), (outside, Outcome.DENIED)):
        found = [r for r in exchange.ledger.requests if _path(r) == path]
        wrong = [r for r in found if r.outcome is not right]
        problems += [f"{path}: {r}" for r in wrong if r.id not in others.requests]
        problems += [] if found else [f"{path} was not asked for"]
        unclear += [words for r in wrong if r.id in others.requests for words in others.words]
    return about(
        "TRF-07",
        pair,
        exchange,
        expected=f"{inside} let in and {outside} refused by the policy",
        problems=problems,
        unclear=unclear,
        so=f"{inside} let in, {outside} refused",
    )


def no_path_leads_outside(pair: Pair, exchange: Exchange, allowed: str, normalization: str) -> Finding:
    """TRF-07: no request arrived under a path that leads out of what the policy allows.

    Args:
        pair: Client and server.
        exchange: Requests for paths that are written so as to lead outside.
        allowed: What the policy allows, as a path that ends in a slash.
        normalization: The mesh's path normalization, for the words.
    """
    outside = [
        f"{_path(r)} was let in and arrived as {r.word.target}, which means {meaning}"
        for r in exchange.ledger.requests
        if r.word is not None and not (meaning := meant(r.word.target)).startswith(allowed)
    ]
    problems = outside + outcomes_but(exchange.ledger, {Outcome.ANSWERED, Outcome.DENIED, Outcome.OTHER_ANSWER})
    refused = sum(r.outcome is not Outcome.ANSWERED for r in exchange.ledger.requests)
    return about(
        "TRF-07",
        pair,
        exchange,
        expected=f"no request to arrive under a path outside {allowed}",
        problems=[*problems, *([f"pathNormalization is {normalization}"] if problems else [])],
        so=f"under {normalization}, {refused} of {exchange.asked} refused, the others stayed inside {allowed}",
        guide_defect=Defect.PATH_NORMALIZATION if outside and normalization == "NONE" else None,
    )


def meant(target: str) -> str:
    """What an application that decodes a path and follows its dots takes it for."""
    parts: list[str] = []
    for part in unquote(target.partition("?")[0]).split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)


def _path(request: Request) -> str:
    return "/" + request.url.partition("://")[2].partition("/")[2]
