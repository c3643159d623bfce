"""The ledger of a load, on the suite's clock."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from facts.errors import CouldNotTell
from facts.traffic.load import COLUMNS, Clock, parse_load

BEGAN = datetime(2026, 3, 1, 12, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


SAID = json.dumps(
    {
        "server": {"pod": "beta", "namespace": "run", "service_account": "beta", "node": "n2"},
        "peer": ["By=spiffe://td/ns/run/sa/beta;Hash=ab12;URI=spiffe://td/ns/run/sa/alpha"],
    }
)


CLIENT = {"pod": "alpha", "namespace": "run", "service_account": "alpha", "node": "n1"}


CLOCK = Clock("Pod run/alpha", 2.0, 0.01)


def ledger(*rows: tuple[int, ...], **more: object) -> dict[str, object]:
    return {
        "client": CLIENT,
        "url": "http://beta.run:8080/",
        "rate": 20.0,
        "keep": False,
        "began": after(2).isoformat(),
        "ended": after(5).isoformat(),
        "due": len(rows),
        "columns": list(COLUMNS),
        "texts": ["", SAID, "ECONNRESET", "ConnectionResetError: gone", "upstream connect error or TLS_error: expired"],
        "rows": [list(row) for row in rows],
        **more,
    }


ANSWERED, EXPIRED, RESET = (0, 3, 4001, 200, 1, 1, 0, 0), (1500, 3, 4002, 503, 0, 4, 0, 0), (50, 9, 4003, 0, 0, 0, 2, 3)


def test_every_row_has_one_outcome_on_the_suites_clock() -> None:
    load = parse_load(ledger(ANSWERED, EXPIRED, RESET), CLOCK, ("ev-l",))

    assert [(r.at, r.outcome.value) for r in load.ledger.requests] == [
        (after(0), "answered by the server"),
        (after(0.05), "connection reset"),
        (after(1.5), "503 for a TLS error"),
    ]
    assert (load.sent, len(load.failed), load.connections) == (3, 2, 3)
    assert load.seen_hashes() == ("ab12",)
    assert load.between(after(1), after(2)) == load.ledger.requests[2:]


def test_a_port_that_is_given_out_again_is_another_connection_unless_one_is_kept() -> None:
    again = (1000, *ANSWERED[1:])
    assert parse_load(ledger(ANSWERED, again), CLOCK).connections == 2
    assert parse_load(ledger(ANSWERED, again, keep=True), CLOCK).connections == 1


@pytest.mark.parametrize(
    ("damage", "seen"),
    [
        ({"due": 3}, "2"),
        ({"rows": []}, "none"),
        ({"ended": ""}, "its process exited early"),
        ({"columns": ["at_ms"]}, "at_ms"),
        ({"rows": [[1, 2], [3]], "due": 2}, "[1, 2]"),
    ],
)
def test_a_damaged_ledger_is_no_ledger(damage: dict[str, object], seen: str) -> None:
    with pytest.raises(CouldNotTell) as refused:
        parse_load(ledger(ANSWERED, RESET, **damage), CLOCK)
    assert seen in refused.value.seen


def test_a_clock_is_read_between_two_moments_of_the_suites() -> None:
    clock = Clock.read("Pod run/alpha", after(10.5), after(10), after(10.4))

    assert clock.ahead == pytest.approx(0.3)
    assert clock.uncertainty == pytest.approx(0.2)
    assert clock.corrected(after(11)) == after(10.7)


@pytest.mark.parametrize(
    ("row", "outcome", "word", "words"),
    [
        ((0, 3, 4001, 200, 1, 1, 0, 0), "answered by the server", True, ""),
        ((0, 3, 4001, 200, 1, 1, 2, 3), "connection reset", False, "ConnectionResetError: gone"),
        ((0, 3, 4001, 200, 1, 1, 2, 0), "connection reset", False, SAID),
        ((0, 3, 0, 503, 0, 4, 0, 0), "503 for a TLS error", False, "upstream connect error or TLS_error: expired"),
        ((0, 3, 0, 0, 0, 0, 2, 3), "connection reset", False, "ConnectionResetError: gone"),
    ],
)
def test_an_error_wins_over_an_answer(row: tuple[int, ...], outcome: str, word: bool, words: str) -> None:
    (request,) = parse_load(ledger(row), CLOCK).ledger.requests
    assert (request.outcome.value, request.word is not None, request.words) == (outcome, word, words)
    assert request.connection == (str(row[2]) if row[2] else "")
    assert (request.seconds, request.url) == (0.003, "http://beta.run:8080/")
