"""Advice on a mesh between two authorities: who holds whose certificate, and in which order to restart the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from checks import diagnosis
from checks.check import Case
from doctor.advice import Advice, counted, plain_problems, problem_lines
from facts.errors import CouldNotTell
from facts.istio.istio_ca import IstioAuthorities
from judge.advice.calls import Calls
from judge.advice.migration import Migration, Step, Talk
from judge.advice.moving import Issuer, MigrationAdvice, Moves, moving
from judge.findings import listed
from observe.proxies.facet import MIGRATION
from reporting.writing.causes import numbered
from reporting.writing.words import LOOKS

SCHEMA_FILE = Path(__file__).with_name("migration.schema.json")

EXIT_CODES = {Moves.NOTHING: 0, Moves.SOMETHING: 1, Moves.UNKNOWN: 6}

READS_TO_MOVE = frozenset({"mtls", MIGRATION})
"""What the one pass over the proxies reads for this advice."""

SHOWN = 20
"""Ways, and workloads of one issuer, that a terminal shows; the document has all of them."""

ASSUMED = (
    "No reading tells who calls whom: every pair counts in which the server has a Service to which the client"
    " speaks TLS, each as much as the others. Leave out what you know not to be used."
)
GOOD = "This is a good order, not the best of all."
FEW = 0.01
"""Requests a second below which a terminal shows requests an hour."""
UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
LOST = "for each second between two restarts"
SUPPOSED = (
    "No proxy has a valid certificate of Teleport yet: the plan supposes that one that has it trusts the authorities that"
    " Teleport publishes, and no other. Move one workload, and ask again."
)
TO_MOVE = (
    "To move a workload, let its pod template ask for the injection template with the socket, and restart it:"
    " `kubectl -n NAMESPACE rollout restart deployment/NAME`. Read the causes of `conformance doctor` first: a pod without a"
    " working socket does not get a certificate of Teleport by a restart."
)


def migration(case: Case) -> Advice:
    """The advice on a migration.

    Raises:
        CouldNotTell: Teleport's public bundle or the pods could not be read.
    """
    install = case.install
    swept = case.sweeps.of(install)
    istiod, unread = _authorities_of_istiod(case)
    dark = [each.about for each in diagnosis.out_of_sight(install)]
    advice = moving(
        swept.ends, install.teleport.bundle(), istiod, install.proxies.requests(), swept.without, out_of_sight=dark
    )
    return Advice(
        lines=(*_lines(advice, unread), *_other_meshes(case)),
        last=_last(advice),
        document={**_plain(advice), "istiod_unread": unread},
        exit_code=EXIT_CODES[advice.moves],
    )


def _authorities_of_istiod(case: Case) -> tuple[IstioAuthorities, str]:
    """Istiod's authorities, or none and why: they only name an issuer, and the plan does without them."""
    try:
        return case.install.istio.authorities(), ""
    except CouldNotTell as error:
        return IstioAuthorities((), ()), error.compared


def _other_meshes(case: Case) -> Iterator[str]:
    """A line about control planes that may be of a mesh which is to have nothing of Teleport."""
    try:
        planes = case.install.istio.planes()
    except CouldNotTell:
        return  # nothing tells which control planes there are
    meant = planes.in_trust_domain(case.install.teleport.bundle().trust_domain)
    if others := [plane.title for plane in planes if plane not in meant] if meant else []:
        yield (
            f"{LOOKS['not-evaluated'][0]} {listed(others)} may belong to another mesh: its trust domain is not Teleport's"
            f" cluster name, as that of {listed(plane.title for plane in meant)} is. If so, leave its workloads out."
        )


def _lines(advice: MigrationAdvice, unread: str) -> Iterator[str]:
    plan = advice.plan
    yield from ("Certificates, by issuer", "-----------------------")
    yield from _held(advice)
    if unread:
        yield f"{LOOKS['not-evaluated'][0]} certificates of istiod count as those of another authority: {unread}"
    yield from problem_lines(advice.unread, "not-evaluated")
    yield from ("", f"Pairs that cannot shake hands today: {len(plan.today) or 'none'}", *_ways(plan.today, plan))
    if plan.steps:
        yield from ("", "Order of restarts", "-----------------")
        yield from numbered(_step(step, advice) for step in plan.steps)
        yield from ("", f"Pairs that cannot shake hands afterwards: {len(plan.remain) or 'none'}", *_ways(plan.remain, plan))
        yield from ("", _worth(advice), TO_MOVE)
    if plan.steps and advice.is_supposed:
        yield SUPPOSED
    yield from _basis(advice.calls)


def _step(step: Step, advice: MigrationAdvice) -> str:
    return str(step) if advice.plan.is_guessed else f"{step}; then {_rate(step.broken)} fail"


def _worth(advice: MigrationAdvice) -> str:
    """The order against all others, by what the plan weighs: pairs, or requests."""
    plan = advice.plan
    if plan.is_guessed:
        order = "No other order leaves fewer pairs" if plan.is_best else f"{GOOD} It leaves pairs"
        return f"{order} broken, summed over the times between two restarts ({plan.cost:g})."
    order = "No other order loses fewer requests" if plan.is_best else f"{GOOD} Requests that it loses"
    return f"{order}: about {_number(plan.cost)} {LOST}."


def _basis(calls: Calls) -> Iterator[str]:
    """What the plan takes for the calls of the mesh."""
    if calls.counted_for is None and calls.is_guessed:
        yield ASSUMED
    elif calls.counted_for is not None:
        since = " to ".join(dict.fromkeys(map(_time, calls.counted_for)))
        yield (
            f"Requests are what the callers' proxies have counted since they started, {since} ago"
            " (Istio's metrics; without them Envoy's counters of endpoints)."
            f" {len(calls.counted)} of {len(calls.ways)} pairs have some; {len(calls.unused)} have none, and are in no step."
        )
    by_reason = sorted(calls.assumed.items(), key=itemgetter(1, 0))
    for why, found in groupby(by_reason, itemgetter(1)):
        share = "any other" if calls.is_guessed else "the average of those with requests"
        named = ", ".join(_first([name for name, _why in found]))
        yield f"{LOOKS['not-evaluated'][0]} calls of {named} are assumed, each pair as much as {share}: {why}"


def _rate(weight: float) -> str:
    """Requests a second, or an hour where they are few."""
    number, unit = (_number(weight), "s") if not weight or weight >= FEW else (_number(weight * 3600), "h")
    return f"{number} {'request' if number == '1' else 'requests'}/{unit}"


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"


def _time(seconds: float) -> str:
    """A time in the largest unit of which there is one."""
    size, unit = next(((size, unit) for size, unit in UNITS if seconds >= size), UNITS[-1])
    return f"{seconds / size:.0f} {unit}"


def _held(advice: MigrationAdvice) -> Iterator[str]:
    for issuer in Issuer:
        of = [
            f"{name} ({found[issuer]} of {sum(found.values())} pods)" if len(found) > 1 else name
            for name, found in advice.held.items()
            if issuer in found
        ]
        if of:
            mark = LOOKS["pass" if issuer is Issuer.TELEPORT else "finding"][0]
            yield f"{mark} {issuer.value}: {', '.join(_first(of))}"


def _ways(ways: Sequence[Talk], plan: Migration) -> Iterator[str]:
    """Ways that do not work, those with most requests first where they are counted."""
    told = [str(way) if plan.is_guessed else f"{way}: {_use(way)}" for way in sorted(ways, key=lambda way: -way.weight)]
    yield from (f"    {each}" for each in _first([f"{LOOKS['fail'][0]} {each}" for each in told]))


def _use(way: Talk) -> str:
    return f"{_rate(way.weight) if way.weight else 'no request'}{'' if way.is_counted else ', assumed'}"


def _first(texts: Sequence[str]) -> Iterable[str]:
    return texts if len(texts) <= SHOWN else [*texts[:SHOWN], f"and {len(texts) - SHOWN} more"]


def _last(advice: MigrationAdvice) -> str:
    if advice.moves is Moves.SOMETHING:
        number = len(advice.plan.steps)
        return f"{number} {'workload' if number == 1 else 'workloads'} to move; begin with {advice.plan.steps[0].workload}"
    if advice.moves is Moves.NOTHING:
        broken = len(advice.plan.today)
        return advice.moves.value + (
            f"; no restart heals what is broken ({broken}): ask `conformance doctor`" if broken else ""
        )
    unread = len(advice.unread)
    return f"{advice.moves.value}: " + (f"{counted(unread)} could not be read" if unread else "no proxy was read")


def _plain(advice: MigrationAdvice) -> dict[str, Any]:
    plan = advice.plan
    return {
        "moves": advice.moves.value,
        "workloads": [
            {"name": name, "held": [{"issuer": issuer.value, "pods": number} for issuer, number in found.items()]}
            for name, found in advice.held.items()
        ],
        "by_issuer": {issuer.value: number for issuer, number in _pods_by_issuer(advice).items()},
        "today": _plain_ways(plan.today),
        "steps": [
            {
                "workload": step.workload,
                "breaks": _plain_ways(step.breaks),
                "heals": _plain_ways(step.heals),
                "broken": step.broken,
            }
            for step in plan.steps
        ],
        "remain": _plain_ways(plan.remain),
        "cost": plan.cost,
        "is_best": plan.is_best,
        "calls_are_assumed": plan.is_guessed,
        "calls": _plain_calls(advice.calls),
        "goal_is_supposed": advice.is_supposed,
        "unread": plain_problems(advice.unread),
    }


def _pods_by_issuer(advice: MigrationAdvice) -> Counter[Issuer]:
    total: Counter[Issuer] = Counter()
    for found in advice.held.values():
        total.update(found)
    return total


def _plain_calls(calls: Calls) -> dict[str, Any]:
    return {
        "counted": _plain_ways(calls.counted),
        "unused": len(calls.unused),
        "assumed": [{"workload": name, "why": why} for name, why in calls.assumed.items()],
        "counted_for": list(calls.counted_for or ()),
    }


def _plain_ways(ways: Iterable[Talk]) -> list[dict[str, Any]]:
    return [{"client": way.client, "server": way.server, "weight": way.weight, "is_counted": way.is_counted} for way in ways]
