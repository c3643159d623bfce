"""Judgments about outages: what went on while certificates lasted, what was refused then, and how soon all was well again.

RES-01 to RES-03 and RES-07. How many requests failed at all is said by `judge.traffic.load`, what was replaced by
`judge.rotation.renewal`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from facts.errors import CouldNotTell
from facts.finding import Finding
from facts.kubernetes.objects import Pod
from facts.measure import Measure
from facts.over_time.history import Held, History
from facts.over_time.outage import Effect, Outage, effect_of, held_at, renewed_at, resupplied_at
from facts.proxies.identity import ProxyIdentity
from facts.proxies.sds_mode import SecretState
from facts.traffic.ledger import Exchange, Outcome
from facts.traffic.load import reasons
from judge.findings import concluded, could_not_tell, listed
from judge.traffic.exchanges import a_certificate_was_refused
from judge.traffic.load import Traffic, fresh, starved, tell_nothing

NO_REFUSALS = frozenset({Outcome.TIMEOUT, Outcome.UNRESOLVED, Outcome.OTHER_ANSWER, Outcome.OTHER_ERROR})
"""What becomes of a request without anybody having refused a handshake."""


@dataclass(frozen=True, slots=True)
class Suffered:
    """Loads that went on through an outage, and what the proxies at their ends held.

    Attributes:
        outage: It.
        traffic: The loads; those over a kept connection do not count.
        histories: Of the proxies at both ends of all loads.
    """

    outage: Outage
    traffic: tuple[Traffic, ...]
    histories: tuple[History, ...]

    @property
    def effects(self) -> tuple[tuple[Traffic, Effect], ...]:
        """What became of each load; one whose ends had no certificates is left out."""
        by_pod = {h.pod.uid: h for h in self.histories}
        found = (
            (t, effect_of(self.outage, t.load, by_pod[t.pair.client.uid], by_pod[t.pair.server.uid]))
            for t in fresh(self.traffic)
        )
        return tuple((t, effect) for t, effect in found if effect is not None)

    @property
    def where(self) -> str:
        """The pairs, as a person names them."""
        return listed(t.pair.where for t in fresh(self.traffic))

    @property
    def evidence(self) -> tuple[str, ...]:
        """Ids of all readings."""
        loads = [e for t in fresh(self.traffic) for e in t.evidence]
        return (*loads, *(e for h in self.histories for e in h.evidence), *self.outage.evidence)

    def too_short(self, requirement: str, within: float) -> Finding | None:
        """That nobody can tell what becomes of traffic after a certificate's end, where the outage was over before."""
        outlasted = [
            t for t, e in self.effects if (self.outage.recalled - e.end).total_seconds() <= within or not e.after_end
        ]
        if len(self.effects) == len(fresh(self.traffic)) and self.effects and not outlasted:
            return None
        error = CouldNotTell(
            expected=f"an outage that goes on for more than {within:g} s after the certificates of each load have ended",
            seen=f"{self.outage}, and {listed(outlasted, 'no load')} still had certificates then, or no requests",
            where=self.where,
            remedy="look at the timeline of the scenario",
        )
        return could_not_tell(requirement, error, self.evidence)


def untouched(requirement: str, suffered: Suffered, at_most: int) -> Finding:
    """Until the first certificate ended that either side had, no more than so many requests failed.

    Args:
        requirement: Id in the catalogue.
        suffered: The loads under the outage.
        at_most: The budget.
    """
    effects = suffered.effects
    if error := suffered.too_short(requirement, 0):
        return error
    failed = sum(len(e.early) for _, e in effects)
    controls = [t for t in suffered.traffic if t.is_control]
    if tell_nothing([r for _, e in effects for r in e.early], controls, at_most):
        return could_not_tell(requirement, starved(suffered.traffic, at_most), suffered.evidence)
    problems = []
    if failed > at_most:
        problems += [f"{t}: {n} of {len(e.until_end)}: {why}" for t, e in effects for why, n in reasons(e.early).items()]
    shortest = min((e.end - suffered.outage.gone).total_seconds() for _, e in effects)
    return concluded(
        requirement,
        expected=f"at most {at_most} failed requests before a certificate of theirs had ended",
        problems=problems,
        confirmed=f"{suffered.outage}; {sum(len(e.until_end) for _, e in effects)} requests before that, {failed} failed",
        where=suffered.where,
        evidence=suffered.evidence,
        measures=(
            Measure("failed requests before a certificate's end", failed, at_most=at_most),
            Measure("requests before a certificate's end", sum(len(e.until_end) for _, e in effects), at_least=1),
            Measure(f"untouched without {suffered.outage.of}, at least for", shortest, "s"),
            Measure("clocks that the end is told by, off by at most", max(e.margin for _, e in effects), "s"),
        ),
    )


def refused_after(requirement: str, suffered: Suffered, within: float) -> Finding:
    """Once a certificate at either end had ended, each load was refused so soon for it, and not once answered later.

    A request that is refused before that end is none of this; `untouched` says so. A timeout is no refusal.

    Args:
        requirement: Id in the catalogue.
        suffered: The loads under the outage.
        within: Seconds from the end of the certificate.
    """
    if error := suffered.too_short(requirement, within):
        return error
    unclear = [r for _, e in suffered.effects for r in e.refused if r.outcome in NO_REFUSALS]
    if tell_nothing(unclear, [t for t in suffered.traffic if t.is_control], 0):
        return could_not_tell(requirement, starved(suffered.traffic, 0), suffered.evidence)
    problems = [f"{times} times no refusal, but {why}" for why, times in reasons(unclear).items()]
    first: list[float] = []
    last: list[float] = []
    for traffic, effect in suffered.effects:
        if effect.first_refused is None:
            problems.append(f"{traffic}: nothing was refused after {effect.end:%T} UTC, when a certificate of theirs ended")
            continue
        load = traffic.load
        if not a_certificate_was_refused(traffic.pair, Exchange(load.ledger, client=load.client, server=load.server)):
            problems.append(f"{traffic}: no proxy has refused a certificate for its issuer or its dates")
        first.append(_seconds(effect.end, effect.first_refused))
        last.append(_seconds(effect.end, effect.last_answered) if effect.last_answered else 0.0)
    words = reasons(r for _, e in suffered.effects for r in e.refused)
    return concluded(
        requirement,
        expected=f"each handshake to be refused from {within:g} s after the end of a certificate on",
        problems=problems,
        confirmed=f"{suffered.outage}; refused after the end: " + "; ".join(f"{n}: {why}" for why, n in words.items()),
        where=suffered.where,
        evidence=suffered.evidence,
        measures=(
            *_latest("latest first refusal after a certificate's end", first, within),
            *([Measure("earliest first refusal after a certificate's end", min(first), "s")] if first else []),
            *_latest("latest answer after a certificate's end", last, within),
            Measure("requests refused after a certificate's end", sum(words.values()), at_least=1),
        ),
    )


def recovered(requirement: str, suffered: Suffered, within: float) -> Finding:
    """Each load is answered again, without another failure, so soon after what was away was told to come back.

    Args:
        requirement: Id in the catalogue.
        suffered: The loads under the outage.
        within: Seconds.
    """
    if error := suffered.too_short(requirement, 0):
        return error
    outage = suffered.outage
    problems = [
        f"{t}: it still failed at the end, {_seconds(outage.recalled, t.load.ended):.0f} s after"
        f" {outage.of} was told to come back: {e.refused[-1] if e.refused else 'see the ledger'}"
        for t, e in suffered.effects
        if e.recovered is None
    ]
    took = [_seconds(outage.recalled, e.recovered) for _, e in suffered.effects if e.recovered is not None]
    renewed = [at for h in suffered.histories if (at := renewed_at(h, outage.recalled)) is not None]
    return concluded(
        requirement,
        expected=f"every request to be answered again within {within:g} s of {outage.of}'s being told to come back",
        problems=problems,
        confirmed=f"{outage.of} was back after {_seconds(outage.recalled, outage.back):.0f} s; "
        + ", ".join(f"{t} after {_seconds(outage.recalled, e.recovered):.1f} s" for t, e in suffered.effects if e.recovered),
        where=suffered.where,
        evidence=suffered.evidence,
        measures=(
            *_latest("longest time until every request was answered again", took, within),
            *(
                [Measure("longest time until a new certificate", max(_seconds(outage.recalled, at) for at in renewed), "s")]
                if renewed
                else []
            ),
            Measure(f"time until {outage.of} itself was back", _seconds(outage.recalled, outage.back), "s"),
        ),
    )


def kept_its_last(requirement: str, suffered: Suffered) -> Finding:
    """Each Envoy kept the last certificate that it was given, to its end and beyond, and its pod was Ready all the same."""
    outage = suffered.outage
    problems = [f"{pod.ref} was not Ready" for pod in outage.suffering if not pod.ready]
    there = {pod.uid for pod in outage.suffering}
    problems += [f"{h.pod} was not there" for h in suffered.histories if h.pod.uid not in there]
    said: list[str] = []
    beyond: list[float] = []
    for history in suffered.histories:
        last = held_at(history, outage.recalled)
        if last is None:
            problems.append(f"{history.pod} had no certificate")
            continue
        problems += [
            f"{history.pod}: at {s.first_seen:%T} UTC its secret was {s.what.secret_state.value}"
            for s in _between(history, outage.gone, outage.recalled)
            if s.what.secret_state is not SecretState.ACTIVE
        ]
        kept_until = min(last.last_seen, outage.recalled)
        beyond.append(_seconds(last.what.not_after, kept_until))
        said.append(f"{history.pod}: {last.what.serial[:8]}…, {beyond[-1]:.0f} s past its end")
    return concluded(
        requirement,
        expected="each Envoy to keep its last certificate for as long as nobody gives it another",
        problems=problems,
        confirmed=f"{'; '.join(said)}; {len(outage.suffering)} pods were Ready then",
        where=listed(str(h.pod) for h in suffered.histories),
        evidence=(*suffered.evidence, *(e for pod in outage.suffering for e in pod.evidence)),
        measures=tuple(
            [Measure("certificates kept past their end, at least for", min(beyond), "s", at_least=0)] if beyond else []
        ),
    )


def renewed_soon(requirement: str, histories: Sequence[History], outage: Outage, within: float) -> Finding:
    """Each proxy has a certificate from a tbot that was restarted, over another connection, so soon after that on its node.

    Args:
        requirement: Id in the catalogue.
        histories: What the proxies held.
        outage: It.
        within: Seconds.
    """
    fresh_at = {h.pod: resupplied_at(h, outage.ordered) for h in histories}
    problems = [f"{pod} has had no certificate over another connection" for pod, at in fresh_at.items() if not at]
    took = {pod: _seconds(outage.anew.get(pod.node, outage.ordered), at) for pod, at in fresh_at.items() if at}
    return concluded(
        requirement,
        expected=f"a new certificate in each proxy within {within:g} s",
        problems=problems,
        confirmed=f"{outage.of} was back after {_seconds(outage.ordered, outage.back):.0f} s ({outage.shown_by}); "
        + "; ".join(f"{pod} after {seconds:.1f} s" for pod, seconds in took.items()),
        where=listed(str(h.pod) for h in histories),
        evidence=[*(e for h in histories for e in h.evidence), *outage.evidence],
        measures=(
            *_latest("longest time until a new certificate", list(took.values()), within),
            Measure(f"time until {outage.of} itself was back", _seconds(outage.ordered, outage.back), "s"),
        ),
    )


def renewed_meanwhile(requirement: str, histories: Sequence[History], outage: Outage, count: int) -> Finding:
    """Each proxy has had so many new certificates while something was away that renewal does not need.

    Args:
        requirement: Id in the catalogue.
        histories: What the proxies held.
        outage: It.
        count: How many.
    """
    new = {h.pod: sum(outage.gone < at < outage.recalled for at in h.taken_up) for h in histories}
    return concluded(
        requirement,
        expected=f"at least {count} new certificates in each proxy without {outage.of}",
        problems=[f"{pod} has had {n}" for pod, n in new.items() if n < count],
        confirmed=f"{outage}; " + "; ".join(f"{pod} has had {n}" for pod, n in new.items()),
        where=listed(str(h.pod) for h in histories),
        evidence=[*(e for h in histories for e in h.evidence), *outage.evidence],
        measures=(
            Measure(f"new certificates of each proxy without {outage.of}", min(new.values(), default=0), at_least=count),
            Measure(f"time without {outage.of}", outage.lasted, "s"),
        ),
    )


def none_was_replaced(requirement: str, before: Sequence[Pod], after: Sequence[Pod]) -> Finding:
    """The pods of what was not taken away are those of before, and no container of theirs has restarted."""
    ran = {pod.uid: {c.name: (c.restarts, c.container_id) for c in pod.containers} for pod in before}
    problems = [f"{pod.ref} is gone" for pod in before if pod.uid not in {p.uid for p in after}]
    problems += [f"{pod.ref} is new" for pod in after if pod.uid not in ran]
    problems += [
        f"{pod.ref}: {c.name} has restarted {c.restarts} times"
        for pod in after
        for c in pod.containers
        if pod.uid in ran and (c.restarts, c.container_id) != ran[pod.uid].get(c.name)
    ]
    return concluded(
        requirement,
        expected="the same pods, and no restart of a container",
        problems=problems,
        confirmed=f"{len(after)} pods with the uid that they had, no restart",
        where=listed(pod.ref for pod in before),
        evidence=[e for pod in (*before, *after) for e in pod.evidence],
    )


def _between(history: History, first: datetime, last: datetime) -> Iterable[Held[ProxyIdentity]]:
    return [s for s in history.sightings if s.last_seen >= first and s.first_seen <= last]


def _latest(name: str, seconds: Sequence[float], within: float) -> tuple[Measure, ...]:
    return (Measure(name, max(seconds), "s", at_most=within),) if seconds else ()


def _seconds(first: datetime, last: datetime) -> float:
    return (last - first) / timedelta(seconds=1)
