"""Outages under traffic: RES-01 to RES-03 and RES-07."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from facts.finding import Finding
from facts.kubernetes.objects import Pod
from facts.over_time.history import History
from facts.over_time.outage import Outage, effect_of
from facts.proxies.pushes import Pushes
from facts.proxies.sds_mode import SecretState
from facts.svid import Certificate
from facts.traffic.ledger import End, Ledger, Outcome
from facts.traffic.load import Clock, Load
from judge.resilience import outages as judge
from judge.resilience.outages import Suffered
from judge.traffic.load import Traffic
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import holds, unknown, violated
from tests.unit.judge.certificates import NOW, svid
from tests.unit.judge.traffic.test_load import ALPHA, BETA, PAIR, counters, late, outside, request

GONE, RECALLED = 5.0, 40.0
"""When tbot was gone and when it was told to come back; the certificates end at 20 and at 24 s."""

ENDS = {"alpha": 20, "beta": 24}
ALPHAS, BETAS = (svid("run", name, starts=NOW + timedelta(seconds=end - 3600)) for name, end in ENDS.items())
NEXT_ALPHAS, NEXT_BETAS = (svid("run", n, key=f"{n} again", starts=NOW) for n in ("alpha", "beta"))


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


OUTAGE = Outage(
    "tbot", at(3), at(GONE), at(RECALLED), at(44), "none of its pods is left", ("ev-outage",), suffering=(ALPHA, BETA)
)


def history(pod: Pod, *held: tuple[Certificate, Sequence[float]], **changes: Any) -> History:
    """Certificates, and when the proxy was looked at with each; the first look is when Envoy took it up."""
    seen = History(make.proxy(pod).pod)
    for certificate, looks in held:
        for look in looks:
            proxy = make.proxy(pod, chain=(certificate,), read_at=at(look), uptime=600 + int(look))
            proxy = replace(proxy, last_updated=at(looks[0]), evidence=(f"ev-{pod.name}-{look}",))
            seen = seen.seen(replace(proxy, **changes))
    return seen


HISTORIES = (
    history(ALPHA, (ALPHAS, (0, 39)), (NEXT_ALPHAS, (52, 60))),
    history(BETA, (BETAS, (0, 41)), (NEXT_BETAS, (55, 60))),
)


def reconnected(seen: History) -> History:
    """The same proxy, which has its last certificate over another connection."""
    last = seen.sightings[-1]
    anew = replace(last.what, streams=replace(last.what.streams, cx_total=last.what.streams.cx_total + 1))
    return replace(seen, sightings=(*seen.sightings[:-1], replace(last, what=anew)))


def traffic(answers: Callable[[int], bool]) -> Traffic:
    """A load of a minute, two requests a second, and which of them, by their second, were answered."""
    requests = []
    for half in range(120):
        made = request(half / 2, ALPHAS if answers(half // 2) else None)
        requests.append(made if answers(half // 2) else replace(made, outcome=Outcome.TLS_ERROR, words="it has expired"))
    ledger = Ledger(End("alpha", "run"), tuple(requests), ("ev-ledger",))
    refused = counters(**{"ssl.fail_verify_error": 38})
    return Traffic(PAIR, Load(ledger, 2, False, at(0), at(60), Clock("alpha", 0, 0), client=refused))


def suffered(answers: Callable[[int], bool], **changes: Any) -> Suffered:
    return replace(Suffered(OUTAGE, (traffic(answers),), HISTORIES), **changes)


CLOSED = suffered(lambda s: s < 21 or s >= 56)
"""As it must be: refused from a second after the earlier end on, answered again when both ends have new certificates."""

NEVER_CLOSED = suffered(lambda _second: True)
EARLY = suffered(lambda s: s < 18 or s >= 56)
OPEN_AGAIN = suffered(lambda s: s < 21 or s == 30 or s >= 56)
NOT_BACK = suffered(lambda s: s < 21)


def measured(finding: Finding) -> list[str]:
    return [str(m) for m in finding.measures]


def test_the_end_that_counts_is_the_earlier_one_of_what_both_ends_had_at_the_recall() -> None:
    ((traffic_, effect),) = CLOSED.effects

    assert effect.end == at(20)
    assert effect.first_refused == at(21.01)
    assert effect.last_answered == at(20.51)
    assert effect.recovered == at(56)
    assert (len(effect.until_end), len(effect.early), len(effect.refused)) == (40, 0, 38)
    assert effect_of(OUTAGE, traffic_.load, HISTORIES[0], History(HISTORIES[1].pod)) is None


def test_untouched_until_the_certificate_ends() -> None:
    finding = judge.untouched("RES-02", CLOSED, 0)
    holds(finding, "RES-02", "ev-ledger", "ev-alpha-0", "ev-outage")
    assert measured(finding) == [
        "failed requests before a certificate's end: 0 (at most 0)",
        "requests before a certificate's end: 40 (at least 1)",
        "untouched without tbot, at least for: 15 s",
        "uncertainty of the clocks around a certificate's end, at most: 0 s",
    ]
    words = "requests from alpha: 4 of 40 failed before a certificate expired: 503 for a TLS error (it has expired)"
    violated(judge.untouched("RES-02", EARLY, 0), "RES-02", words, "4 (at most 0)")
    holds(judge.untouched("RES-02", EARLY, 4), "RES-02")


def test_what_fails_no_earlier_than_clocks_can_tell_is_not_early() -> None:
    uncertain = traffic(lambda s: s < 19 or s >= 56)
    uncertain = replace(uncertain, load=replace(uncertain.load, clock=Clock("alpha", 0, 0.995)))
    ((_, effect),) = replace(CLOSED, traffic=(uncertain,)).effects

    assert effect.first_refused == at(19.01)
    assert effect.early == ()
    violated(judge.untouched("RES-02", suffered(lambda s: s < 19 or s >= 56), 0), "RES-02", "2 (at most 0)")


def test_refused_from_the_end_on() -> None:
    finding = judge.refused_after("RES-02", CLOSED, 3)
    holds(finding, "RES-02", "ev-ledger", "ev-outage")
    assert measured(finding) == [
        "latest first refusal after a certificate's end: 1.01 s (at most 3 s)",
        "earliest first refusal after a certificate's end: 1.01 s",
        "latest answer after a certificate's end: 0.51 s (at most 3 s)",
        "requests refused after a certificate's end: 38 (at least 1)",
    ]
    assert "38: 503 for a TLS error (it has expired)" in finding.seen


@pytest.mark.parametrize(
    ("under", "within", "words"),
    [
        (NEVER_CLOSED, 3, "none was refused after 12:00:20 UTC"),
        (OPEN_AGAIN, 3, "latest answer after a certificate's end: 10.51 s (at most 3 s)"),
        (CLOSED, 1, "latest first refusal after a certificate's end: 1.01 s (at most 1 s)"),
    ],
)
def test_a_load_that_is_answered_after_the_end_is_named(under: Suffered, within: float, words: str) -> None:
    violated(judge.refused_after("RES-02", under, within), "RES-02", words)


def closed(outcome: Outcome = Outcome.TLS_ERROR, refusals: int = 38) -> Traffic:
    """As `CLOSED`, but for what became of one request after the end, and what the proxy counted."""
    made = traffic(lambda s: s < 21 or s >= 56)
    wanted = [replace(r, outcome=outcome, words="") if r.at == at(30) else r for r in made.load.ledger.requests]
    ledger = replace(made.load.ledger, requests=tuple(wanted))
    return replace(made, load=replace(made.load, ledger=ledger, client=counters(**{"ssl.fail_verify_error": refusals})))


def test_a_timeout_is_no_refusal_and_tells_nothing_where_the_nodes_were_busy() -> None:
    under = replace(CLOSED, traffic=(closed(Outcome.TIMEOUT),))
    violated(judge.refused_after("RES-02", under, 3), "RES-02", "1 failed without a refusal: timeout")
    beside = outside(request(25), late(31))
    busy = replace(under, traffic=(*under.traffic, beside))
    unknown(judge.refused_after("RES-02", busy, 3), "RES-02", "1 of 2 requests from plain to control: timeout")


def test_what_no_proxy_refused_a_certificate_for_may_have_any_cause() -> None:
    unrefused = replace(CLOSED, traffic=(closed(refusals=0),))
    violated(judge.refused_after("RES-02", unrefused, 3), "RES-02", "no proxy refused a certificate for its issuer or its")


def test_who_is_answered_because_of_the_recall_was_refused_before_it() -> None:
    slow = replace(request(39.9, ALPHAS), seconds=1.5)
    made = traffic(lambda s: s < 21 or s >= 42)
    kept = tuple(r for r in made.load.ledger.requests if not at(39.5) <= r.at < at(42))
    load = replace(
        made.load,
        ledger=replace(
            made.load.ledger, requests=(*(r for r in kept if r.at < slow.at), slow, *(r for r in kept if r.at > slow.at))
        ),
    )
    under = replace(CLOSED, traffic=(replace(made, load=load),))

    holds(judge.refused_after("RES-02", under, 3), "RES-02")
    ((_, effect),) = under.effects
    assert effect.last_answered == at(20.51)


def test_an_outage_proves_nothing_that_was_over_before_the_end() -> None:
    short = replace(CLOSED, outage=replace(OUTAGE, recalled=at(21)))
    unknown(judge.refused_after("RES-02", short, 3), "RES-02", "had valid certificates all the time")
    bare = replace(CLOSED, histories=(HISTORIES[0], History(HISTORIES[1].pod)))
    unknown(judge.untouched("RES-02", bare, 0), "RES-02", "Pod run/beta: requests from alpha: an end held no certificate")
    unknown(judge.untouched("RES-02", replace(CLOSED, traffic=()), 0), "RES-02", "no load ran")


def test_answered_again_soon_after_the_recall() -> None:
    finding = judge.recovered("RES-02", CLOSED, 45)
    holds(finding, "RES-02", "ev-ledger", "ev-beta-55", "ev-outage")
    assert measured(finding) == [
        "longest time until every request was answered again: 16 s (at most 45 s)",
        "longest time until a new certificate: 15 s",
        "time until tbot itself was back: 4 s",
    ]
    violated(
        judge.recovered("RES-02", CLOSED, 15), "RES-02", "they were answered again 16.0 s", "16 s (at most 15 s)", causes=()
    )
    violated(
        judge.recovered("RES-02", NOT_BACK, 45),
        "RES-02",
        "they still failed at the end, 20 s after the suite brought tbot back",
        causes=(),
    )


def test_a_tbot_that_was_not_back_in_time_itself_is_slow_to_start() -> None:
    slow = replace(OUTAGE, back=at(59))
    for under in (CLOSED, NOT_BACK):
        finding = judge.recovered("RES-02", replace(under, outage=slow), 15)
        violated(finding, "RES-02", "tbot itself took 19 s to be Ready", causes=("tbot-slow-to-start",))
    other = replace(CLOSED, outage=replace(slow, of="Teleport"))
    violated(judge.recovered("RES-03", other, 15), "RES-03", "16 s (at most 15 s)", causes=())


def test_a_tbot_that_was_gone_while_teleport_was_restarts_without_it() -> None:
    held = make.proxy(ALPHA, chain=(ALPHAS,), read_at=at(30), uptime=630, streams=make.streams(cx_active=0, rq_active=0))
    cut = history(ALPHA, (ALPHAS, (0, 10))).seen(replace(held, last_updated=at(0)))
    cut = replace(cut, sightings=(*cut.sightings, HISTORIES[0].sightings[-1]))
    under = replace(CLOSED, outage=replace(OUTAGE, of="Teleport"), histories=(cut, HISTORIES[1]))

    finding = judge.recovered("RES-03", under, 15)

    words = "Pod run/alpha had lost its connection to tbot while Teleport was away"
    violated(finding, "RES-03", words, causes=("tbot-restarts-without-teleport",))
    holds(judge.recovered("RES-03", under, 16), "RES-03")


def test_each_envoy_keeps_its_last_certificate() -> None:
    finding = judge.kept_its_last("RES-02", CLOSED)
    holds(finding, "RES-02", "ev-alpha-0")
    assert measured(finding) == ["certificates kept past their end, at least for: 16 s (at least 0 s)"]
    unseen = replace(CLOSED, histories=(history(ALPHA, (ALPHAS, (0, 10))), HISTORIES[1]))
    violated(judge.kept_its_last("RES-02", unseen), "RES-02", "at least for: -10 s (at least 0 s)")
    gone = replace(CLOSED, outage=replace(OUTAGE, suffering=(ALPHA,)))
    violated(judge.kept_its_last("RES-02", gone), "RES-02", "Pod run/beta: it was gone")
    unready = replace(CLOSED, outage=replace(OUTAGE, suffering=(ALPHA, replace(BETA, ready=False))))
    violated(judge.kept_its_last("RES-02", unready), "RES-02", "Pod run/beta: it was not Ready", evidence=("ev-pod-beta",))
    emptied = history(ALPHA, (ALPHAS, (0, 10)), secret_state=SecretState.WARMING)
    violated(judge.kept_its_last("RES-02", replace(CLOSED, histories=(emptied, HISTORIES[1]))), "RES-02", "was warming")
    never = replace(CLOSED, histories=(History(HISTORIES[0].pod),))
    violated(judge.kept_its_last("RES-02", never), "RES-02", "it had no certificate")


def test_a_new_certificate_soon_after_a_restart() -> None:
    again = tuple(reconnected(h) for h in HISTORIES)
    finding = judge.renewed_soon("RES-01", again, OUTAGE, 52)
    holds(finding, "RES-01", "ev-alpha-52", "ev-outage")
    assert measured(finding) == [
        "longest time until a new certificate: 52 s (at most 52 s)",
        "time until tbot itself was back: 41 s",
    ]
    violated(judge.renewed_soon("RES-01", again, OUTAGE, 51), "RES-01", "52 s (at most 51 s)", causes=())
    violated(judge.renewed_soon("RES-01", again, OUTAGE, 41), "RES-01", "52 s (at most 41 s)", causes=())
    slow = judge.renewed_soon("RES-01", again, OUTAGE, 40)
    violated(slow, "RES-01", "tbot itself took 41 s to start", causes=("tbot-slow-to-start",))
    later = replace(OUTAGE, anew={make.NODE: at(30)})
    holds(judge.renewed_soon("RES-01", again, later, 25), "RES-01")
    violated(judge.renewed_soon("RES-01", again, later, 24), "RES-01", "after 25.0 s", causes=())
    # Renewed, but over the connection of before: not by the new tbot.
    violated(
        judge.renewed_soon("RES-01", HISTORIES, OUTAGE, 52), "RES-01", "Pod run/alpha, Pod run/beta: it had no certificate"
    )
    violated(judge.renewed_soon("RES-01", (History(HISTORIES[0].pod),), OUTAGE, 52), "RES-01", "it had no certificate over")


def test_new_certificates_while_something_else_was_away() -> None:
    long = replace(OUTAGE, recalled=at(58))
    finding = judge.renewed_meanwhile("RES-07", HISTORIES, long, 1)
    holds(finding, "RES-07", "ev-beta-55", "ev-outage")
    assert measured(finding) == ["new certificates of each proxy without tbot: 1 (at least 1)", "time without tbot: 53 s"]
    short = judge.renewed_meanwhile("RES-07", HISTORIES, OUTAGE, 1)
    violated(
        short, "RES-07", "Pod run/alpha, Pod run/beta: it had 0 new certificates without tbot: its streams live", causes=()
    )


def test_pushes_of_the_same_certificate_while_something_else_was_away() -> None:
    stuck = [history(ALPHA, (ALPHAS, (0, 30, 60)))]
    pushes = {ALPHA.uid: Pushes(at(50).isoformat(), ("ev-pushes",))}
    finding = judge.renewed_meanwhile("RES-07", stuck, replace(OUTAGE, of="istiod"), 1, pushes)
    violated(finding, "RES-07", "pushed without renewing", causes=("tbot-pushes-without-renewing",), evidence=("ev-pushes",))


def test_what_was_not_taken_away_is_as_it_was() -> None:
    tbot = make.pod("tbot-1", namespace="teleport-system", proxy=make.istio_proxy())
    again = make.pod("tbot-1", namespace="teleport-system", proxy=make.istio_proxy(restarts=1))
    holds(judge.none_was_replaced("RES-03", [tbot], [tbot]), "RES-03", "ev-pod-tbot-1")
    restarted = judge.none_was_replaced("RES-03", [tbot], [again])
    violated(restarted, "RES-03", "istio-proxy has restarted 1 times", causes=("tbot-restarts-without-teleport",))
    killed = make.pod("tbot-1", namespace="teleport-system", proxy=make.istio_proxy(restarts=1, last_reason="OOMKilled"))
    violated(judge.none_was_replaced("RES-03", [tbot], [killed]), "RES-03", "has restarted 1 times", causes=())
    violated(
        judge.none_was_replaced("RES-03", [tbot], [replace(tbot, uid="other")]), "RES-03", "is gone", "is new", causes=()
    )
