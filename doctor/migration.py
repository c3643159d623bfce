"""Advice on a mesh between two authorities: who holds whose certificate, and in which order to restart the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from doctor.advice import Advice, counted, plain_problems, problem_lines
from doctor.check import Case
from facts.errors import CouldNotTell
from facts.istio.istio_ca import IstioAuthorities
from judge.advice.migration import Talk
from judge.advice.moving import Issuer, MigrationAdvice, Moves, moving
from reporting.writing.words import LOOKS

SCHEMA_FILE = Path(__file__).with_name("migration.schema.json")

EXIT_CODES = {Moves.NOTHING: 0, Moves.SOMETHING: 1, Moves.UNKNOWN: 6}

SHOWN = 20
"""Ways, and workloads of one issuer, that a terminal shows; the document has all of them."""

ASSUMED = (
    "No reading tells who calls whom: every pair counts in which the server has a Service to which the client"
    " speaks TLS, each as much as the others. Leave out what you know not to be used."
)
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
    advice = moving(swept.ends, install.teleport.bundle(), istiod, swept.without)
    return Advice(
        lines=tuple(_lines(advice, unread)),
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


def _lines(advice: MigrationAdvice, unread: str) -> Iterator[str]:
    plan = advice.plan
    yield from ("Certificates, by issuer", "-----------------------")
    yield from _held(advice)
    if unread:
        yield f"{LOOKS['not-evaluated'][0]} certificates of istiod count as those of another authority: {unread}"
    yield from problem_lines(advice.unread, "not-evaluated")
    yield from ("", f"Pairs that cannot shake hands today: {len(plan.today) or 'none'}", *_ways(plan.today))
    if plan.steps:
        yield from ("", "Order of restarts", "-----------------")
        yield from (f"{number}. {step}" for number, step in enumerate(plan.steps, 1))
        yield from ("", f"Pairs that cannot shake hands afterwards: {len(plan.remain) or 'none'}", *_ways(plan.remain))
        order = "No other order leaves" if plan.is_best else "This is a good order, not the best of all. It leaves"
        fewer = "fewer pairs" if plan.is_best else "pairs"
        yield from ("", f"{order} {fewer} broken, summed over the times between two restarts ({plan.cost:g}).", TO_MOVE)
    if plan.steps and advice.is_supposed:
        yield SUPPOSED
    yield ASSUMED


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


def _ways(ways: Sequence[Talk]) -> Iterator[str]:
    yield from (f"    {each}" for each in _first([f"{LOOKS['fail'][0]} {way}" for way in ways]))


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
        "goal_is_supposed": advice.is_supposed,
        "unread": plain_problems(advice.unread),
    }


def _pods_by_issuer(advice: MigrationAdvice) -> Counter[Issuer]:
    total: Counter[Issuer] = Counter()
    for found in advice.held.values():
        total.update(found)
    return total


def _plain_ways(ways: Iterable[Talk]) -> list[dict[str, str]]:
    return [{"client": way.client, "server": way.server} for way in ways]
