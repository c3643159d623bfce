"""Proxies that were watched while their certificates were renewed: ROT-02, and what ROT-03 has of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from facts.over_time.history import History
from facts.proxies.pushes import Pushes
from facts.svid import Certificate
from facts.versions import Version
from judge.rotation.renewal import Watched, each_is_new, nothing_was_replaced, renewed_in_time
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import holds, violated
from tests.unit.judge.certificates import NOW, svid

POD = make.pod("alpha", namespace="run")


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def certificate(n: int, **changes: Any) -> Certificate:
    return svid("run", "alpha", **{"key": f"key-{n}", "starts": at(20 * n - 60), **changes})


def history(*held: tuple[Certificate, Sequence[float]], **changes: Any) -> History:
    """Certificates, and when the proxy was looked at with each; the first look is when Envoy took it up."""
    seen = History(make.proxy(POD).pod)
    for leaf, looks in held:
        for look in looks:
            proxy = make.proxy(POD, chain=(leaf,), read_at=at(look), last_updated=at(looks[0]), uptime=600 + int(look))
            proxy = replace(proxy, version_info=at(looks[0]).isoformat(), evidence=(f"ev-{look}",))
            seen = seen.seen(replace(proxy, **{k: v(look) if callable(v) else v for k, v in changes.items()}))
    return seen


def watched(seen: History, renewal: float = 20, **changes: Any) -> Watched:
    return replace(Watched(seen, renewal, POD, POD, Pushes(at(0).isoformat(), ("ev-pushes",))), **changes)


RENEWED = history((certificate(0), (0, 19)), (certificate(1), (20, 40)), (certificate(2), (41.5, 50)))
PUSHED = "tbot-pushes-without-renewing"
STUCK = ((certificate(0), (0, 10, 20, 30, 40)),)


def test_each_came_within_its_interval_and_the_longest_is_measured() -> None:
    finding = renewed_in_time("ROT-02", [watched(RENEWED)], 2, 5)
    holds(finding, "ROT-02", "ev-0", "ev-20", "ev-41.5", "ev-pod-alpha", "ev-pushes")
    assert [str(m) for m in finding.measures] == [
        "new certificates of each proxy: 2 (at least 2)",
        "longest time to a new certificate, renewed every 20 s: 21.5 s (at most 25 s)",
    ]
    assert "Envoy 1.40.0" in finding.seen


def test_one_that_came_late_breaks_the_budget() -> None:
    violated(renewed_in_time("ROT-02", [watched(RENEWED)], 2, 1), "ROT-02", "21.5 s (at most 21 s)")
    holds(renewed_in_time("ROT-02", [watched(RENEWED, renewal=30)], 2, 0), "ROT-02")


@pytest.mark.parametrize(
    ("changes", "pushes", "words", "causes"),
    [
        ({"version_info": lambda look: at(look).isoformat(), "envoy_version": Version(1, 36, 4)}, None,
         "tbot pushed without renewing: version_info changed 4 times (Envoy 1.36.4)", (PUSHED,)),
        ({}, Pushes(at(40).isoformat()), "tbot pushed without renewing: the last push came 40 s after the", (PUSHED,)),
        ({}, Pushes(at(0).isoformat()), "tbot pushed nothing: the streams of the proxy live, and no push came after", ()),
        ({}, None, "this Envoy does not show", ()),
        ({"streams": make.streams(rq_active=0)}, None, "tbot pushed nothing: the proxy has no live stream", ()),
        ({"chain": ()}, None, "it showed no certificate at all", ()),
    ],
)  # fmt: skip
def test_why_none_came_is_told_by_what_the_proxy_shows(
    changes: dict[str, Any], pushes: Any, words: str, causes: tuple[str, ...]
) -> None:
    stuck = watched(history(*STUCK, **changes), pushes=pushes)
    waited = "waited 0 s" if "chain" in changes else "waited 40 s"
    violated(renewed_in_time("ROT-02", [stuck], 1, 5), "ROT-02", "it had 0 new certificates", waited, words, causes=causes)
    violated(each_is_new("ROT-02", [stuck]), "ROT-02", "it had no new certificate", words, causes=causes)


def test_a_version_that_moved_with_new_certificates_is_no_push_of_an_old_one() -> None:
    slow = watched(RENEWED, pushes=Pushes(at(41.5).isoformat()))
    violated(renewed_in_time("ROT-02", [slow], 3, 5), "ROT-02", "it had 2", "no push came after", causes=())


def test_a_proxy_that_was_never_read_has_had_none() -> None:
    violated(renewed_in_time("ROT-02", [watched(History(RENEWED.pod))], 1, 5), "ROT-02", "the suite could not read it")


def test_another_serial_another_key_and_a_later_end() -> None:
    holds(each_is_new("ROT-02", [watched(RENEWED)]), "ROT-02", "ev-20")


@pytest.mark.parametrize(
    ("second", "words"),
    [
        (certificate(1, key="key-0"), "has the key of the previous one"),
        (certificate(1, minutes=59), "no later than the previous one"),
        (certificate(1, uri="spiffe://x/other"), "is for spiffe://x/other"),
        (replace(certificate(1), serial=certificate(0).serial), "has the serial of the previous one"),
    ],
)
def test_what_is_not_new_is_named(second: Certificate, words: str) -> None:
    violated(each_is_new("ROT-02", [watched(history((certificate(0), (0, 19)), (second, (20, 30))))]), "ROT-02", words)


def test_nothing_was_replaced_or_restarted() -> None:
    finding = nothing_was_replaced("ROT-02", [watched(RENEWED)])
    holds(finding, "ROT-02", "ev-pod-alpha")
    assert [str(m) for m in finding.measures] == ["restarts: 0 (at most 0)"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"after": replace(POD, uid="another")}, "is gone: another pod has its name"),
        ({"after": make.absent("pod/alpha")}, "does not exist"),
        ({"after": make.pod("alpha", namespace="run", proxy=make.istio_proxy(restarts=1))}, "istio-proxy has restarted 1"),
        ({"history": history((certificate(0), (0, 19)), (certificate(1), (20, 40)), uptime=5)},
         "its Envoy has restarted 2 times"),
    ],
)  # fmt: skip
def test_what_was_replaced_is_named(changes: dict[str, Any], words: str) -> None:
    violated(nothing_was_replaced("ROT-02", [watched(RENEWED, **changes)]), "ROT-02", words)
