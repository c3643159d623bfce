"""Judgments about policies by path: TRF-07."""

from __future__ import annotations

from collections.abc import Sequence

from facts.finding import Finding, Problem
from facts.traffic.ledger import Exchange, Outcome, Request
from facts.traffic.paths import Bounds, Mode, Reader, meant
from judge.findings import listed
from judge.traffic.exchanges import NOT_OURS, Pair, because, outcomes_but, turned_away_by_others


def policy_tells_paths_apart(pair: Pair, exchange: Exchange, inside: str, outside: Sequence[str]) -> Finding:
    """TRF-07, basis of the rest: the policies allow a plain path inside and refuse plain paths outside.

    Args:
        pair: Client and server.
        exchange: Requests for all those paths, among others.
        inside: A path that the policies allow.
        outside: Paths that they do not allow.
    """
    others = turned_away_by_others(pair, exchange)
    said: list[str] = []
    unclear: list[Problem] = []
    for path, right in ((inside, Outcome.ANSWERED), *((path, Outcome.DENIED) for path in outside)):
        found = [r for r in exchange.ledger.requests if _path(r) == path]
        wrong = [r for r in found if r.outcome is not right]
        said += [f"{path}: {r}" for r in wrong if r.id not in others.aside]
        said += [] if found else [f"the suite did not request {path}"]
        unclear += others.unclear if any(r.id in others.aside for r in wrong) else ()
    problems = [Problem(pair.server.ref, each, evidence=exchange.ledger.evidence) for each in said]
    return pair.claim("TRF-07", exchange, f"the policies to allow {inside} and to refuse {listed(outside)}").judged(
        because(pair, exchange, problems),
        f"{inside} was allowed, and {listed(outside)} refused",
        unclear=unclear,
        settle=NOT_OURS,
    )


def no_path_leads_outside(pair: Pair, exchange: Exchange, bounds: Bounds, normalization: str) -> Finding:
    """TRF-07: no request arrived under a path that means something outside of the paths that the policies allow.

    A path that only an application with an uncommon way of reading takes for one outside is a note, not a problem: no
    normalization would refuse it.

    Args:
        pair: Client and server.
        exchange: Requests for alternative spellings of paths outside.
        bounds: The paths that the policies allow.
        normalization: The mesh's path normalization.
    """
    outside: dict[str, list[str]] = {}
    for r in exchange.ledger.requests:
        if r.word is not None and not bounds.hold(meaning := meant(r.word.target)):
            arrived = f"arrived as {r.word.target}, " if r.word.target != _path(r) else ""
            outside.setdefault(_refused_under(_path(r), bounds), []).append(f"{_path(r)} ({arrived}means {meaning})")
    # If a path was allowed that no normalization has to refuse, the policies themselves are too wide.
    cause = "path-normalization-off" if normalization == "NONE" and NOT_BY_ANY not in outside else ""
    evidence = exchange.ledger.evidence
    holes = [
        Problem(pair.server.ref, f"under {normalization} the policies allow {', '.join(paths)}, {refused}", cause, evidence)
        for refused, paths in outside.items()
    ]
    refused = sum(r.outcome is not Outcome.ANSWERED for r in exchange.ledger.requests)
    return pair.claim("TRF-07", exchange, f"no request to arrive under a path outside of {bounds}").judged(
        because(pair, exchange, holes),
        f"under {normalization}, {refused} of {exchange.asked} requests were refused, and the others stayed inside {bounds}",
        unclear=outcomes_but(pair, exchange.ledger, {Outcome.ANSWERED, Outcome.DENIED, Outcome.OTHER_ANSWER}),
        notes=[Problem(pair.server.ref, said, evidence=evidence) for said in _uncommon(exchange, bounds)],
        settle=NOT_OURS,
    )


NOT_BY_ANY = "which no normalization of Istio would refuse"


def _refused_under(path: str, bounds: Bounds) -> str:
    """The normalizations that refuse a path, in words."""
    let_in = bounds.let_out(path)
    return f"which only {', '.join(mode for mode in Mode if mode not in let_in)} would refuse" if let_in else NOT_BY_ANY


def _uncommon(exchange: Exchange, bounds: Bounds) -> list[str]:
    """Paths that lead outside for some applications only, by the kind of application."""
    found = []
    for reader in (Reader.DECODES_TWICE, Reader.CUTS_PARAMETERS):
        paths = [
            _path(r)
            for r in exchange.ledger.requests
            if r.word is not None and bounds.hold(meant(r.word.target)) and not bounds.hold(meant(r.word.target, reader))
        ]
        if paths:
            found.append(f"{reader} would read {listed(paths)} as a path outside, which no normalization refuses")
    return found


def _path(request: Request) -> str:
    return "/" + request.url.partition("://")[2].partition("/")[2]
