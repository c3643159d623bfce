"""Judgments about policies by path: TRF-07."""

from __future__ import annotations

from collections.abc import Sequence

from facts.finding import Finding
from facts.guide import Defect
from facts.traffic.ledger import Exchange, Outcome, Request
from facts.traffic.paths import Bounds, Mode, Reader, meant
from judge.findings import listed
from judge.traffic.exchanges import Pair, about, outcomes_but, turned_away_by_others


def policy_tells_paths_apart(pair: Pair, exchange: Exchange, inside: str, outside: Sequence[str]) -> Finding:
    """TRF-07, what the rest stands on: a plain path inside is let in, plain paths outside are refused.

    Args:
        pair: Client and server.
        exchange: Requests for all those paths, among others.
        inside: A path that the policies allow.
        outside: Some that they do not.
    """
    others = turned_away_by_others(pair, exchange)
    problems, unclear = [], []
    for path, right in ((inside, Outcome.ANSWERED), *((path, Outcome.DENIED) for path in outside)):
        found = [r for r in exchange.ledger.requests if _path(r) == path]
        wrong = [r for r in found if r.outcome is not right]
        problems += [f"{path}: {r}" for r in wrong if r.id not in others.requests]
        problems += [] if found else [f"{path} was not asked for"]
        unclear += [words for r in wrong if r.id in others.requests for words in others.words]
    return about(
        "TRF-07",
        pair,
        exchange,
        expected=f"{inside} let in and {listed(outside)} refused by the policies",
        problems=problems,
        unclear=unclear,
        confirmed=f"{inside} let in, {listed(outside)} refused",
    )


def no_path_leads_outside(pair: Pair, exchange: Exchange, bounds: Bounds, normalization: str) -> Finding:
    """TRF-07: no request arrived under a path that leads out of what the policies allow.

    What only an application that reads in an uncommon way takes for something outside is told, and is no problem: there is
    no normalization that would refuse it.

    Args:
        pair: Client and server.
        exchange: Requests for paths that are written so as to lead outside.
        bounds: What the policies allow.
        normalization: The mesh's path normalization.
    """
    outside: dict[str, list[str]] = {}
    for r in exchange.ledger.requests:
        if r.word is not None and not bounds.hold(meaning := meant(r.word.target)):
            arrived = f"arrived as {r.word.target}, " if r.word.target != _path(r) else ""
            outside.setdefault(_refused_under(_path(r), bounds), []).append(f"{_path(r)} ({arrived}means {meaning})")
    holes = [f"let in, {refused}: {', '.join(paths)}" for refused, paths in outside.items()]
    told = {Outcome.ANSWERED, Outcome.DENIED, Outcome.OTHER_ANSWER}
    refused = sum(r.outcome is not Outcome.ANSWERED for r in exchange.ledger.requests)
    return about(
        "TRF-07",
        pair,
        exchange,
        expected=f"no request to arrive under a path outside {bounds}",
        problems=[*([f"pathNormalization is {normalization}"] if holes else []), *holes],
        unclear=outcomes_but(exchange.ledger, told),
        confirmed="; ".join(
            [
                f"under {normalization}, {refused} of {exchange.asked} refused, the others stayed inside {bounds}",
                *_uncommon(exchange, bounds),
            ]
        ),
        guide_defect=Defect.PATH_NORMALIZATION if outside and normalization == "NONE" else None,
    )


def _refused_under(path: str, bounds: Bounds) -> str:
    """Which normalizations refuse a path, as a person says it."""
    let_in = bounds.let_out(path)
    if not let_in:
        return "which no normalization of Istio's is to do"
    return f"refused only under {', '.join(mode for mode in Mode if mode not in let_in)}"


def _uncommon(exchange: Exchange, bounds: Bounds) -> list[str]:
    """Paths that lead outside for some applications alone, by those."""
    found = []
    for reader in (Reader.DECODES_TWICE, Reader.CUTS_PARAMETERS):
        paths = [
            _path(r)
            for r in exchange.ledger.requests
            if r.word is not None and bounds.hold(meant(r.word.target)) and not bounds.hold(meant(r.word.target, reader))
        ]
        if paths:
            found.append(f"{reader} would be led outside by {listed(paths)}, which no normalization refuses")
    return found


def _path(request: Request) -> str:
    return "/" + request.url.partition("://")[2].partition("/")[2]
