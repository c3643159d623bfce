"""Judgments about outages: requests while certificates last, refusals after their end, and the time to recovery.

RES-01 to RES-03 and RES-07. `judge.traffic.load` counts the failed requests, and `judge.rotation.renewal` judges the pods.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from facts.evidence import Shown, readings
from facts.finding import Finding, Problem, Remark
from facts.kubernetes.objects import Pod
from facts.measure import Measure
from facts.over_time.history import Held, History
from facts.over_time.outage import Effect, Outage, effect_of, held_at, renewed_at, resupplied_at
from facts.proxies.identity import ProxyIdentity
from facts.proxies.pushes import Pushes
from facts.proxies.sds_mode import SecretState
from facts.traffic.ledger import Outcome
from facts.traffic.load import reasons
from judge.findings import Claim, listed, longest, problem
from judge.rotation.renewal import restarted, why_none_came
from judge.traffic.exchanges import NO_CERTIFICATE_REFUSED, a_certificate_was_refused
from judge.traffic.load import Traffic, fresh, load_problem, starved, tell_nothing

NO_REFUSALS = frozenset({Outcome.TIMEOUT, Outcome.UNRESOLVED, Outcome.OTHER_ANSWER, Outcome.OTHER_ERROR})
"""Failures of requests that no refused handshake explains."""

TBOT, TELEPORT = "tbot", "Teleport"
"""Values of `Outage.of`."""

SLOW_TO_START = "tbot-slow-to-start"
RESTARTS_WITHOUT_TELEPORT = "tbot-restarts-without-teleport"

TOO_SHORT = "check the timeline of the scenario: the outage must outlast the certificates at both ends of each load"


@dataclass(frozen=True, slots=True)
class Suffered:
    """Loads that ran through an outage, and the certificates of the proxies at their ends.

    Attributes:
        traffic: The loads; those over a kept connection do not count.
        histories: Histories of the proxies at both ends of all loads.
    """

    outage: Outage
    traffic: tuple[Traffic, ...]
    histories: tuple[History, ...]

    @property
    def effects(self) -> tuple[tuple[Traffic, Effect], ...]:
        """The effect on each load; one whose ends had no certificates is left out."""
        found = ((t, effect_of(self.outage, t.load, *self.ends(t))) for t in fresh(self.traffic))
        return tuple((t, effect) for t, effect in found if effect is not None)

    def ends(self, traffic: Traffic) -> tuple[History, History]:
        """Histories of a load's client and server."""
        by_pod = {h.pod.uid: h for h in self.histories}
        return by_pod[traffic.pair.client.uid], by_pod[traffic.pair.server.uid]

    @property
    def evidence(self) -> tuple[str, ...]:
        """Ids of all readings."""
        return readings(*fresh(self.traffic), *self.histories, self.outage)

    def claim(self, requirement: str, expected: str) -> Claim:
        """A claim about the loads."""
        return Claim(requirement, expected, listed(t.pair.where for t in fresh(self.traffic)), self.evidence)

    def too_short(self, claim: Claim, within: float) -> list[Problem]:
        """Open points: loads for which the outage was too short to show the time after a certificate's end."""
        effects = self.effects
        known = [t for t, _ in effects]
        unclear = [load_problem(t, "an end held no certificate") for t in fresh(self.traffic) if t not in known]
        unclear += [
            load_problem(t, f"both ends had valid certificates all the time, or sent no request without them: {self.outage}")
            for t, e in effects
            if _seconds(e.end, self.outage.recalled) <= within or not e.after_end
        ]
        return unclear if effects or unclear else [claim.problem("no load ran")]


def untouched(requirement: str, suffered: Suffered, at_most: int) -> Finding:
    """At most so many requests failed before the first certificate at either end expired.

    Args:
        requirement: Id in the catalogue.
        suffered: The loads under the outage.
        at_most: The budget.
    """
    effects = suffered.effects
    claim = suffered.claim(requirement, f"at most {at_most} requests to fail before a certificate at either end expired")
    if unclear := suffered.too_short(claim, 0):
        return claim.judged(unclear=unclear, settle=TOO_SHORT)
    failed, asked = sum(len(e.early) for _, e in effects), sum(len(e.until_end) for _, e in effects)
    controls = [t for t in suffered.traffic if t.is_control]
    if tell_nothing([r for _, e in effects for r in e.early], controls, at_most):
        return claim.unknown(starved(suffered.traffic, at_most))
    problems = [
        load_problem(t, f"{times} of {len(e.until_end)} failed before a certificate expired: {why}")
        for t, e in effects
        for why, times in reasons(e.early).items()
    ]
    shortest = min(_seconds(suffered.outage.gone, e.end) for _, e in effects)
    return claim.judged(
        problems if failed > at_most else (),
        f"{suffered.outage}; of {asked} requests before a certificate expired {failed} failed",
        measures=(
            Measure("failed requests before a certificate's end", failed, at_most=at_most),
            Measure("requests before a certificate's end", asked, at_least=1),
            Measure(f"untouched without {suffered.outage.of}, at least for", shortest, "s"),
            Measure("uncertainty of the clocks around a certificate's end, at most", max(e.margin for _, e in effects), "s"),
        ),
    )


def refused_after(requirement: str, suffered: Suffered, within: float) -> Finding:
    """Soon after a certificate at either end expired, each load was refused for that, and never answered again.

    `untouched` judges refusals before that end. A timeout is no refusal.

    Args:
        requirement: Id in the catalogue.
        suffered: The loads under the outage.
        within: Seconds from the end of the certificate.
    """
    effects = suffered.effects
    claim = suffered.claim(requirement, f"every handshake to be refused within {within:g} s after a certificate expired")
    if unclear := suffered.too_short(claim, within):
        return claim.judged(unclear=unclear, settle=TOO_SHORT)
    others = [(t, [r for r in e.refused if r.outcome in NO_REFUSALS]) for t, e in effects]
    if tell_nothing([r for _, each in others for r in each], [t for t in suffered.traffic if t.is_control], 0):
        return claim.unknown(starved(suffered.traffic, 0))
    problems = [
        load_problem(t, f"{times} failed without a refusal: {why}")
        for t, each in others
        for why, times in reasons(each).items()
    ]
    first: list[float] = []
    last: list[float] = []
    for traffic, effect in effects:
        if effect.first_refused is None:
            said = f"none was refused after {effect.end:%T} UTC, when a certificate expired"
            problems.append(load_problem(traffic, said))
            continue
        if not a_certificate_was_refused(traffic.pair, traffic.exchange):
            problems.append(load_problem(traffic, NO_CERTIFICATE_REFUSED))
        first.append(_seconds(effect.end, effect.first_refused))
        last.append(_seconds(effect.end, effect.last_answered) if effect.last_answered else 0.0)
    words = reasons(r for _, e in effects for r in e.refused)
    return claim.judged(
        problems,
        f"{suffered.outage}; refusals after a certificate expired: "
        + "; ".join(f"{times}: {why}" for why, times in words.items()),
        measures=(
            *longest("latest first refusal after a certificate's end", first, within),
            *([Measure("earliest first refusal after a certificate's end", min(first), "s")] if first else []),
            *longest("latest answer after a certificate's end", last, within),
            Measure("requests refused after a certificate's end", sum(words.values()), at_least=1),
        ),
    )


def recovered(requirement: str, suffered: Suffered, within: float) -> Finding:
    """Each load is answered again, without another failure, in time after the suite ended the outage.

    Args:
        requirement: Id in the catalogue.
        suffered: The loads under the outage.
        within: Seconds.
    """
    outage, effects = suffered.outage, suffered.effects
    claim = suffered.claim(
        requirement, f"every request to be answered again within {within:g} s after the suite brought {outage.of} back"
    )
    if unclear := suffered.too_short(claim, 0):
        return claim.judged(unclear=unclear, settle=TOO_SHORT)
    took = [(t, None if e.recovered is None else _seconds(outage.recalled, e.recovered)) for t, e in effects]
    last = {id(t): e.refused[-1] if e.refused else "see the ledger" for t, e in effects}
    problems = []
    for t, seconds in took:
        if seconds is not None and seconds <= within:
            continue
        told = f"after the suite brought {outage.of} back"
        said = (
            f"they still failed at the end, {_seconds(outage.recalled, t.load.ended):.0f} s {told}: {last[id(t)]}"
            if seconds is None
            else f"they were answered again {seconds:.1f} s {told}"
        )
        cause, why = _why_late(outage, within, suffered.ends(t))
        problems.append(load_problem(t, said + why, cause))
    renewed = [_seconds(outage.recalled, at) for h in suffered.histories if (at := renewed_at(h, outage.recalled))]
    return claim.judged(
        problems,
        f"{outage.of} was back after {_seconds(outage.recalled, outage.back):.0f} s; "
        + ", ".join(f"{t} after {seconds:.1f} s" for t, seconds in took if seconds is not None),
        measures=(
            *longest("longest time until every request was answered again", [s for _, s in took if s is not None], within),
            *longest("longest time until a new certificate", renewed),
            Measure(f"time until {outage.of} itself was back", _seconds(outage.recalled, outage.back), "s"),
        ),
    )


def _why_late(outage: Outage, within: float, ends: Iterable[History]) -> tuple[str, str]:
    """Cause for which a load recovered too late, and the observation that shows it, as the end of a sentence."""
    if outage.of == TBOT and (took := _seconds(outage.recalled, outage.back)) > within:
        return SLOW_TO_START, f"; tbot itself took {took:.0f} s to be Ready"
    if outage.of == TELEPORT:
        for history in ends:
            # Without Teleport tbot keeps its socket open: a lost connection means that tbot itself was gone.
            if any(not s.what.streams.cx_active for s in _between(history, outage.gone, outage.recalled)):
                return RESTARTS_WITHOUT_TELEPORT, f"; {history.pod} had lost its connection to tbot while Teleport was away"
    return "", ""


def kept_its_last(requirement: str, suffered: Suffered) -> Finding:
    """Each Envoy kept its last certificate beyond the certificate's end, and its pod stayed Ready."""
    outage = suffered.outage
    problems = [problem(pod, "it was not Ready") for pod in outage.suffering if not pod.ready]
    there = {pod.uid for pod in outage.suffering}
    problems += [problem(h, "it was gone") for h in suffered.histories if h.pod.uid not in there]
    held: list[Remark] = []
    beyond: list[float] = []
    for history in suffered.histories:
        last = held_at(history, outage.recalled)
        if last is None:
            problems.append(problem(history, "it had no certificate"))
            continue
        problems += [
            problem(history, f"at {s.first_seen:%T} UTC its secret was {s.what.secret_state.value}")
            for s in _between(history, outage.gone, outage.recalled)
            if s.what.secret_state is not SecretState.ACTIVE
        ]
        beyond.append(_seconds(last.what.not_after, min(last.last_seen, outage.recalled)))
        held.append(Remark(history.ref, f"kept {last.what.serial[:8]}…, {beyond[-1]:.0f} s past its end"))
    return Claim(
        requirement,
        "each Envoy to keep its last certificate until tbot pushes another one, in a pod that stays Ready",
        listed(h.pod for h in suffered.histories),
        readings(suffered, *outage.suffering),
    ).judged(
        problems,
        held=[] if problems else held,
        measures=[Measure("certificates kept past their end, at least for", min(beyond), "s", at_least=0)] if beyond else [],
    )


def renewed_soon(requirement: str, histories: Sequence[History], outage: Outage, within: float) -> Finding:
    """After a restart of tbot on its node, each proxy has in time a new certificate from it, over another connection.

    Args:
        requirement: Id in the catalogue.
        histories: Histories of the proxies.
        outage: The restart.
        within: Seconds.
    """
    # The rollout ends when tbot is Ready on the last node: the time that tbot takes to start there.
    itself = _seconds(max(outage.anew.values(), default=outage.ordered), outage.back)
    cause, why = (SLOW_TO_START, f"; tbot itself took {itself:.0f} s to start") if itself > within else ("", "")
    problems: list[Problem] = []
    held: list[Remark] = []
    took: list[float] = []
    for history in histories:
        at = resupplied_at(history, outage.ordered)
        if at is None:
            problems.append(problem(history, f"it had no certificate over another connection{why}", cause))
            continue
        took.append(_seconds(outage.anew.get(history.pod.node, outage.ordered), at))
        said = f"it had a new certificate after {took[-1]:.1f} s"
        if took[-1] > within:
            problems.append(problem(history, f"{said}{why}", cause))
        else:
            held.append(Remark(history.ref, said))
    return _of_all(requirement, f"each proxy to get a new certificate within {within:g} s", histories, outage).judged(
        problems,
        held=held,
        measures=(
            *longest("longest time until a new certificate", took, within),
            Measure(f"time until {outage.of} itself was back", _seconds(outage.ordered, outage.back), "s"),
        ),
    )


def renewed_meanwhile(
    requirement: str,
    histories: Sequence[History],
    outage: Outage,
    count: int,
    pushes: Mapping[str, Pushes | None] | None = None,
) -> Finding:
    """Each proxy got so many new certificates during the outage of a component that renewal does not need.

    Args:
        requirement: Id in the catalogue.
        histories: Histories of the proxies.
        count: Number of new certificates.
        pushes: Pushes to the proxies, by uid of the pod; None where Envoy does not count them.
    """
    new = [(h, sum(outage.gone < at < outage.recalled for at in h.taken_up)) for h in histories]
    problems = []
    for history, had in new:
        if had < count:
            pushed = (pushes or {}).get(history.pod.uid)
            why = why_none_came(history, pushed)
            said = f"it had {had} new certificates without {outage.of}: {why.said}"
            problems.append(Problem(history.ref, said, why.cause, readings(history, pushed)))
    expected = f"each proxy to get at least {count} new certificates without {outage.of}"
    return _of_all(requirement, expected, histories, outage, *(pushes or {}).values()).judged(
        problems,
        held=[Remark(h.pod.ref, f"it had {had} new certificates without {outage.of}") for h, had in new if had >= count],
        measures=(
            Measure(
                f"new certificates of each proxy without {outage.of}", min((n for _, n in new), default=0), at_least=count
            ),
            Measure(f"time without {outage.of}", outage.lasted, "s"),
        ),
    )


def none_was_replaced(requirement: str, before: Sequence[Pod], after: Sequence[Pod]) -> Finding:
    """Tbot's pods are the same as before the outage of Teleport, and none of their containers has restarted."""
    former = {pod.uid: pod for pod in before}
    problems = [problem(pod, "it is gone") for pod in before if pod.uid not in {p.uid for p in after}]
    problems += [problem(pod, "it is new") for pod in after if pod.uid not in former]
    problems += [
        # A container out of memory would have ended with Teleport as well.
        problem(
            pod,
            f"its {c.name} has restarted {c.restarts} times",
            "" if c.last_reason == "OOMKilled" else RESTARTS_WITHOUT_TELEPORT,
        )
        for pod in after
        if pod.uid in former
        for c in restarted(former[pod.uid], pod)
    ]
    where, expected = listed(pod.ref for pod in before), "tbot's pods to stay, and none of their containers to restart"
    claim = Claim(requirement, expected, where, readings(*before, *after))
    return claim.judged(problems, f"{len(after)} pods have kept their uid, and no container has restarted")


def _of_all(requirement: str, expected: str, histories: Sequence[History], outage: Outage, *others: Shown | None) -> Claim:
    return Claim(requirement, expected, listed(h.pod for h in histories), readings(*histories, outage, *others))


def _between(history: History, first: datetime, last: datetime) -> Iterable[Held[ProxyIdentity]]:
    return [s for s in history.sightings if s.last_seen >= first and s.first_seen <= last]


def _seconds(first: datetime, last: datetime) -> float:
    return (last - first) / timedelta(seconds=1)
