"""tbot's own words about its way to Teleport, among what else its log has."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from facts.teleport.tbot_log import Obstacle, Validity, parse_last_attempt

REAL = Path(__file__).parents[3] / "data" / "teleport" / "real" / "tbot.log"
START = "2025-10-01T10:00:00.123Z INFO [TBOT] Initializing tbot pid:1 tbot/main.go:140"
JOINED = "2025-10-01T10:00:01.123Z INFO [TBOT:IDENT] Fetched new bot identity"
UNKNOWN = "tls: failed to verify certificate: x509: certificate signed by unknown authority"
NO_WAY = "dial tcp 10.1.2.3:443: connect: connection refused"


@pytest.mark.parametrize(
    ("said", "obstacle"),
    [
        (f'Get "https://t.test:443/webapi/find": {UNKNOWN}', Obstacle.CERTIFICATE),
        ("x509: certificate is valid for a.test, b.test, not t.test", Obstacle.CERTIFICATE),
        ("x509: certificate is not valid for any names, but wanted to match t.test", Obstacle.CERTIFICATE),
        ("x509: cannot validate certificate for 10.1.2.3 because it doesn't contain any IP SANs", Obstacle.CERTIFICATE),
        (
            "x509: certificate has expired or is not yet valid: current time 2025-10-01T10:00:00Z is after 2025-09-01",
            Obstacle.CERTIFICATE,
        ),
        ("dial tcp: lookup t.test on 10.96.0.10:53: no such host", Obstacle.NO_ADDRESS),
        ("dial tcp: lookup t.test on 10.96.0.10:53: server misbehaving", Obstacle.NO_ADDRESS),
        ("dial tcp: lookup t.test: i/o timeout", Obstacle.NO_ADDRESS),
        (NO_WAY, Obstacle.NO_CONNECTION),
        ("dial tcp [fd00::1]:443: i/o timeout", Obstacle.NO_CONNECTION),
        ("dial tcp t.test:443: connect: no route to host", Obstacle.NO_CONNECTION),
    ],
)
def test_what_ends_an_attempt(said: str, obstacle: Obstacle) -> None:
    last = parse_last_attempt(f"{START}\n\x1b[31mERROR: \x1b[0mconnecting to t.test:443\n\t{said}\n", ("ev-log",))
    assert (last.obstacle, last.joined, last.evidence) == (obstacle, False, ("ev-log",))
    assert last.said.startswith(("x509: ", "dial tcp"))
    assert said.endswith(last.said)


@pytest.mark.parametrize(
    ("log", "joined"),
    [
        ("", False),
        (START, False),
        (REAL.read_text(encoding="utf-8"), True),
        (f"{START}\nERROR: access denied: the token has expired", False),
        (f"{START}\nERROR: {UNKNOWN}\n{START}", False),
        (f"{START}\nWARN renewal failed: {NO_WAY}\n{JOINED}", True),
        (f"{JOINED}\nWARN Failed to perform Kubernetes workload attestation error:{UNKNOWN}", True),
        (f"{JOINED}\nERROR Get https://10.0.0.1:10250/pods of the kubelet: {UNKNOWN}", True),
        ("dial tcp 10.1.2.3:443: connect: permission denied", False),
    ],
    ids=str,
)
def test_a_log_that_names_no_obstacle_on_the_way(log: str, joined: bool) -> None:
    last = parse_last_attempt(log)
    assert (last.obstacle, last.said, last.joined) == (None, "", joined)


@pytest.mark.parametrize(
    ("said", "validity"),
    [
        ("is after 2025-09-01T00:00:00Z", Validity(datetime(2025, 9, 1, tzinfo=UTC), is_over=True)),
        ("is before 2025-11-01T00:00:00Z", Validity(datetime(2025, 11, 1, tzinfo=UTC), is_over=False)),
        ("is after 2025-13-01T00:00:00Z", None),
        ("is after all", None),
    ],
)
def test_the_times_of_a_certificate_that_tbot_refuses_for_its_time(said: str, validity: Validity | None) -> None:
    log = f"x509: certificate has expired or is not yet valid: current time 2025-10-01T10:00:00Z {said}"
    assert parse_last_attempt(log).validity == validity
    assert parse_last_attempt(UNKNOWN).validity is None


def test_the_last_obstacle_counts_also_after_a_renewal_that_failed() -> None:
    last = parse_last_attempt(f"{JOINED}\nERROR renewal: {NO_WAY}\nERROR renewal: {UNKNOWN}")
    assert (last.obstacle, last.joined) == (Obstacle.CERTIFICATE, False)


def test_a_secret_in_tbots_words_is_not_repeated_and_words_have_an_end() -> None:
    last = parse_last_attempt(f"x509: {'a b ' * 500} token=eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJlc2lnbmF0dXJl")
    assert "eyJ" not in last.said
    assert len(last.said) <= 240


@pytest.mark.parametrize("piece", ["dial tcp ", "dial tcp a: ", "x509: ", "dial tcp: lookup "])
def test_the_time_grows_with_the_log_and_not_with_its_square(piece: str) -> None:
    def seconds(times: int) -> float:
        begun = time.process_time()
        parse_last_attempt(piece * times)
        return time.process_time() - begun

    seconds(1000)
    assert min(seconds(40_000) for _ in range(3)) < 3 * min(seconds(20_000) for _ in range(3)) + 0.05
