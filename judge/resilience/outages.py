"""Judgments about outages: what went on while certificates lasted, what was refused then, and how soon all was well again.

RES-01 to RES-03 and RES-07. How many requests failed at all is said by `judge.traffic.load`, what was replaced by
`judge.rotation.renewal`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from facts.finding import Finding, Problem, Remark
from facts.kubernetes.objects import Pod
from facts.measure import Measure
from facts.over_time.history import Held, History
from facts.over_time.outage import Effect, Outage, effect_of, held_at, renewed_at, resupplied_at
from facts.proxies.identity import ProxyIdentity
from facts.proxies.pushes import Pushes
from facts.proxies.sds_mode import SecretState
from facts.traffic.ledger import Exchange, Outcome
from facts.traffic.load import reasons
from judge.findings import Claim, listed, problem
from judge.rotation.renewal import why_none_came
from judge.traffic.exchanges import a_certificate_was_refused
from judge.traffic.load import Traffic, fresh, load_problem, starved, tell_nothing

NO_REFUSALS = frozenset({Outcome.TIMEOUT, Outcome.UNRESOLVED, Outcome.OTHER_ANSWER, Outcome.OTHER_ERROR})
"""What becomes of a request without anybody having refused a handshake."""

TBOT, TELEPORT = "tbot", "Teleport"
"""Names of outages, see `Outage.of`."""

SLOW_TO_START = "tbot-slow-to-start"
RESTARTS_WITHOUT_TELEPORT = "tbot-restarts-without-teleport"

TOO_SHORT = "look at the timeline of the scenario: the outage must outlast the certificates at both ends of each load"


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
        found = ((t, effect_of(self.outage, t.load, *self.ends(t))) for t in fresh(self.traffic))
        return tuple((t, effect) for t, effect in found if effect is not None)

    def ends(self, traffic: Traffic) -> tuple[History, History]:
        """Histories of a load's client and server."""
        by_pod = {h.pod.uid: h for h in self.histories}
        return by_pod[traffic.pair.client.uid], by_pod[traffic.pair.server.uid]

    @property
    def evidence(self) -> tuple[str, ...]:
        """Ids of all readings."""
        loads = [e for t in fresh(self.traffic) for e in t.evidence]
        return (*loads, *(e for h in self.histories for e in h.evidence), *self.outage.evidence)

    def claim(self, requirement: str, expected: str) -> Claim:
        """What has to hold of the loads."""
        return Claim(requirement, expected, listed(t.pair.where for t in fresh(self.traffic)), self.evidence)

    def too_short(self, claim: Claim, within: float) -> list[Problem]:
        """Loads of which an outage that was over too soon does not show what becomes of them after a certificate's end."""
        effects = self.effects
        known = [t for t, _ in effects]
        unclear = [load_problem(t, "an end held no certificate") for t in fresh(self.traffic) if t not in known]
        unclear += [
            load_problem(t, f"its ends still had certificates then, or nothing was asked without them: {self.outage}")
            for t, e in effects
            if _seconds(e.end, self.outage.recalled) <= within or not e.after_end
        ]
        return unclear if effects or unclear else [claim.problem("no load went on")]


def untouched(requirement: str, suffered: Suffered, at_most: int) -> Finding:
    """Until the first certificate ended that either side had, no more than so many requests failed.

    Args:
        requirement: Id in the catalogue.
        suffered: The loads under the outage.
        at_most: The budget.
    """
    effects = suffered.effects
    claim = suffered.claim(requirement, f"at most {at_most} failed requests before a certificate of theirs had ended")
    if unclear := suffered.too_short(claim, 0):
        return claim.judged(unclear=unclear, settle=TOO_SHORT)
    failed, asked = sum(len(e.early) for _, e in effects), sum(len(e.until_end) for _, e in effects)
    controls = [t for t in suffered.traffic if t.is_control]
    if tell_nothing([r for _, e in effects for r in e.early], controls, at_most):
        return claim.unknown(starved(suffered.traffic, at_most))
    problems = [
        load_problem(t, f"{times} of {len(e.until_end)} failed before that end: {why}")
        for t, e in effects
        for why, times in reasons(e.early).items()
    ]
    shortest = min(_seconds(suffered.outage.gone, e.end) for _, e in effects)
    return claim.judged(
        problems if failed > at_most else (),
        f"{suffered.outage}; {asked} requests before that, {failed} failed",
        measures=(
            Measure("failed requests before a certificate's end", failed, at_most=at_most),
            Measure("requests before a certificate's end", asked, at_least=1),
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
    effects = suffered.effects
    claim = suffered.claim(requirement, f"each handshake to be refused from {within:g} s after the end of a certificate on")
    if unclear := suffered.too_short(claim, within):
        return claim.judged(unclear=unclear, settle=TOO_SHORT)
    others = [(t, [r for r in e.refused if r.outcome in NO_REFUSALS]) for t, e in effects]
    if tell_nothing([r for _, each in others for r in each], [t for t in suffered.traffic if t.is_control], 0):
        return claim.unknown(starved(suffered.traffic, 0))
    problems = [
        load_problem(t, f"{times} times no refusal, but {why}") for t, each in others for why, times in reasons(each).items()
    ]
    first: list[float] = []
    last: list[float] = []
    for traffic, effect in effects:
        if effect.first_refused is None:
            said = f"nothing was refused after {effect.end:%T} UTC, when a certificate of theirs ended"
            problems.append(load_problem(traffic, said))
            continue
        load = traffic.load
        if not a_certificate_was_refused(traffic.pair, Exchange(load.ledger, client=load.client, server=load.server)):
            problems.append(load_problem(traffic, "no proxy has refused a certificate for its issuer or its dates"))
        first.append(_seconds(effect.end, effect.first_refused))
        last.append(_seconds(effect.end, effect.last_answered) if effect.last_answered else 0.0)
    words = reasons(r for _, e in effects for r in e.refused)
    return claim.judged(
        problems,
        f"{suffered.outage}; refused after the end: " + "; ".join(f"{times}: {why}" for why, times in words.items()),
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
    outage, effects = suffered.outage, suffered.effects
    claim = suffered.claim(
        requirement, f"every request to be answered again within {within:g} s of {outage.of}'s being told to come back"
    )
    if unclear := suffered.too_short(claim, 0):
        return claim.judged(unclear=unclear, settle=TOO_SHORT)
    took = [(t, None if e.recovered is None else _seconds(outage.recalled, e.recovered)) for t, e in effects]
    last = {id(t): e.refused[-1] if e.refused else "see the ledger" for t, e in effects}
    problems = []
    for t, seconds in took:
        if seconds is not None and seconds <= within:
            continue
        told = f"after {outage.of} was told to come back"
        said = (
            f"it still failed at the end, {_seconds(outage.recalled, t.load.ended):.0f} s {told}: {last[id(t)]}"
            if seconds is None
            else f"answered again {seconds:.1f} s {told}"
        )
        cause, why = _why_late(outage, within, suffered.ends(t))
        problems.append(load_problem(t, said + why, cause))
    renewed = [_seconds(outage.recalled, at) for h in suffered.histories if (at := renewed_at(h, outage.recalled))]
    return claim.judged(
        problems,
        f"{outage.of} was back after {_seconds(outage.recalled, outage.back):.0f} s; "
        + ", ".join(f"{t} after {seconds:.1f} s" for t, seconds in took if seconds is not None),
        measures=(
            *_latest("longest time until every request was answered again", [s for _, s in took if s is not None], within),
            *([Measure("longest time until a new certificate", max(renewed), "s")] if renewed else []),
            Measure(f"time until {outage.of} itself was back", _seconds(outage.recalled, outage.back), "s"),
        ),
    )


def _why_late(outage: Outage, within: float, ends: Iterable[History]) -> tuple[str, str]:
    """Cause for which a load recovered too late, and the end of a sentence that says what shows it."""
    if outage.of == TBOT and (took := _seconds(outage.recalled, outage.back)) > within:
        return SLOW_TO_START, f"; tbot itself took {took:.0f} s to be back"
    if outage.of == TELEPORT:
        for history in ends:
            # Without Teleport tbot keeps its socket open: a connection that is gone means that tbot was.
            if any(not s.what.streams.cx_active for s in _between(history, outage.gone, outage.recalled)):
                return RESTARTS_WITHOUT_TELEPORT, f"; {history.pod} had lost its connection to tbot while Teleport was away"
    return "", ""


def kept_its_last(requirement: str, suffered: Suffered) -> Finding:
    """Each Envoy kept the last certificate that it was given, to its end and beyond, and its pod was Ready all the same."""
    outage = suffered.outage
    problems = [problem(pod, "was not Ready") for pod in outage.suffering if not pod.ready]
    there = {pod.uid for pod in outage.suffering}
    problems += [_of(h, "was not there") for h in suffered.histories if h.pod.uid not in there]
    held: list[Remark] = []
    beyond: list[float] = []
    for history in suffered.histories:
        last = held_at(history, outage.recalled)
        if last is None:
            problems.append(_of(history, "had no certificate"))
            continue
        problems += [
            _of(history, f"at {s.first_seen:%T} UTC its secret was {s.what.secret_state.value}")
            for s in _between(history, outage.gone, outage.recalled)
            if s.what.secret_state is not SecretState.ACTIVE
        ]
        beyond.append(_seconds(last.what.not_after, min(last.last_seen, outage.recalled)))
        held.append(Remark(history.pod.ref, f"kept {last.what.serial[:8]}…, {beyond[-1]:.0f} s past its end"))
    return Claim(
        requirement,
        "each Envoy to keep its last certificate for as long as it is given no other, in a pod that is Ready",
        listed(h.pod for h in suffered.histories),
        (*suffered.evidence, *(e for pod in outage.suffering for e in pod.evidence)),
    ).judged(
        problems,
        held=[] if problems else held,
        measures=[Measure("certificates kept past their end, at least for", min(beyond), "s", at_least=0)] if beyond else [],
    )


def renewed_soon(requirement: str, histories: Sequence[History], outage: Outage, within: float) -> Finding:
    """Each proxy has a certificate from a tbot that was restarted, over another connection, so soon after that on its node.

    Args:
        requirement: Id in the catalogue.
        histories: What the proxies held.
        outage: It.
        within: Seconds.
    """
    # The rollout is over when tbot is Ready on the node that came last: so long it takes to start there.
    itself = _seconds(max(outage.anew.values(), default=outage.ordered), outage.back)
    cause, why = (SLOW_TO_START, f"; tbot itself took {itself:.0f} s to start") if itself > within else ("", "")
    problems: list[Problem] = []
    held: list[Remark] = []
    took: list[float] = []
    for history in histories:
        at = resupplied_at(history, outage.ordered)
        if at is None:
            problems.append(_of(history, f"has had no certificate over another connection{why}", cause))
            continue
        took.append(_seconds(outage.anew.get(history.pod.node, outage.ordered), at))
        said = f"had a new certificate after {took[-1]:.1f} s"
        if took[-1] > within:
            problems.append(_of(history, f"{said}{why}", cause))
        else:
            held.append(Remark(history.pod.ref, said))
    return _of_all(requirement, f"a new certificate in each proxy within {within:g} s", histories, outage).judged(
        problems,
        held=held,
        measures=(
            *_latest("longest time until a new certificate", took, within),
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
    """Each proxy has had so many new certificates while something was away that renewal does not need.

    Args:
        requirement: Id in the catalogue.
        histories: What the proxies held.
        outage: It.
        count: How many.
        pushes: By uid of the pod, what their Envoys counted of what was sent to them, as far as they say.
    """
    new = [(h, sum(outage.gone < at < outage.recalled for at in h.taken_up)) for h in histories]
    problems = []
    for history, had in new:
        if had < count:
            pushed = (pushes or {}).get(history.pod.uid)
            why = why_none_came(history, pushed)
            read = (*history.evidence, *(pushed.evidence if pushed else ()))
            problems.append(Problem(history.pod.ref, f"has had {had} without {outage.of}: {why.said}", why.cause, read))
    expected = f"at least {count} new certificates in each proxy without {outage.of}"
    read = tuple(e for pushed in (pushes or {}).values() if pushed for e in pushed.evidence)
    return _of_all(requirement, expected, histories, outage, read).judged(
        problems,
        held=[Remark(h.pod.ref, f"has had {had} without {outage.of}") for h, had in new if had >= count],
        measures=(
            Measure(
                f"new certificates of each proxy without {outage.of}", min((n for _, n in new), default=0), at_least=count
            ),
            Measure(f"time without {outage.of}", outage.lasted, "s"),
        ),
    )


def none_was_replaced(requirement: str, before: Sequence[Pod], after: Sequence[Pod]) -> Finding:
    """The pods of tbot are those of before Teleport was away, and no container of theirs has restarted."""
    ran = {pod.uid: {c.name: (c.restarts, c.container_id) for c in pod.containers} for pod in before}
    problems = [problem(pod, "is gone") for pod in before if pod.uid not in {p.uid for p in after}]
    problems += [problem(pod, "is new") for pod in after if pod.uid not in ran]
    for pod in after:
        for c in pod.containers:
            if pod.uid in ran and (c.restarts, c.container_id) != ran[pod.uid].get(c.name):
                # What the kernel ended for its memory would have ended with Teleport there as well.
                cause = "" if c.last_reason == "OOMKilled" else RESTARTS_WITHOUT_TELEPORT
                problems.append(problem(pod, f"{c.name} has restarted {c.restarts} times", cause))
    return Claim(
        requirement,
        "the same pods, and no restart of a container",
        listed(pod.ref for pod in before),
        [e for pod in (*before, *after) for e in pod.evidence],
    ).judged(problems, f"{len(after)} pods with the uid that they had, no restart")


def _of(history: History, said: str, cause: str = "") -> Problem:
    return Problem(history.pod.ref, said, cause, history.evidence)


def _of_all(
    requirement: str, expected: str, histories: Sequence[History], outage: Outage, evidence: Sequence[str] = ()
) -> Claim:
    read = [*(e for h in histories for e in h.evidence), *outage.evidence, *evidence]
    return Claim(requirement, expected, listed(h.pod for h in histories), read)


def _between(history: History, first: datetime, last: datetime) -> Iterable[Held[ProxyIdentity]]:
    return [s for s in history.sightings if s.last_seen >= first and s.first_seen <= last]


def _latest(name: str, seconds: Sequence[float], within: float) -> tuple[Measure, ...]:
    return (Measure(name, max(seconds), "s", at_most=within),) if seconds else ()


def _seconds(first: datetime, last: datetime) -> float:
    return (last - first) / timedelta(seconds=1)
