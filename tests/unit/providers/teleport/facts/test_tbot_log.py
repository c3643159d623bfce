"""tbot's own words about its way to Teleport, among what else its log has."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from providers.teleport.facts.tbot_log import Obstacle, Validity, parse_last_attempt

REAL = Path(__file__).parents[4] / "data" / "teleport" / "real" / "tbot.log"
START = "2025-10-01T10:00:00.123Z INFO [TBOT] Initializing tbot pid:1 tbot/main.go:140"
JOINED = "2025-10-01T10:00:01.123Z INFO [TBOT:IDENT] Fetched new bot identity"
UNKNOWN = "tls: failed to verify certificate: x509: certificate signed by unknown authority"
NO_WAY = "dial tcp 10.1.2.3:443: connect: connection refused"
AT = "t.test:443"
ISSUED = "2025-10-01T10:02:01.123Z INFO [WORKLOAD] Issued Workload Identity Credential"
UNASKED = "2025-10-01T11:00:00Z ERROR [TBOT:SVC:] Workload attestation failed"
PARTNER = f'WARN Failed to refresh federated bundle error:Get "https://partner.test/bundle": {UNKNOWN}'
API = 'WARN Put "https://10.96.0.1:443/api/v1/namespaces/a/secrets/b": dial tcp 10.96.0.1:443: i/o timeout'


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
        ("dial tcp: lookup t.test: no such host", Obstacle.NO_ADDRESS),
        ("dial tcp: lookup t.test on 10.96.0.10:53: server misbehaving", Obstacle.NO_NAME_SERVER),
        ("dial tcp: lookup t.test on 10.9.0.10:53: read udp 10.1.1.1:5->10.9.0.10:53: i/o timeout", Obstacle.NO_NAME_SERVER),
        ("dial tcp: lookup t.test: i/o timeout", Obstacle.NO_NAME_SERVER),
        (NO_WAY, Obstacle.NO_CONNECTION),
        ("dial tcp [fd00::1]:443: i/o timeout", Obstacle.NO_CONNECTION),
        ("dial tcp t.test:443: connect: no route to host", Obstacle.NO_CONNECTION),
    ],
)
def test_what_ends_an_attempt(said: str, obstacle: Obstacle) -> None:
    last = parse_last_attempt(f"{START}\n\x1b[31mERROR: \x1b[0mconnecting to t.test:443\n\t{said}\n", AT, ("ev-log",))
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
        (f"{START}\n{JOINED}\nWARN proxy t.test:443: {NO_WAY}\n{ISSUED}", True),
        (f"WARN proxy t.test:443: {NO_WAY}\nINFO Issued X509 SVID", True),
        (f"WARN proxy t.test:443: {NO_WAY}\nINFO [TBOT:HEAR] Sent heartbeat", True),
        (f"{START}\n{JOINED}\n{PARTNER}", True),
        (f"{START}\n{JOINED}\n{API}", True),
        (f"{START}\n{API}", False),
        (f"{START}\nERROR: joining\n\tasking {API}", False),
        (f"{START}\n{JOINED}\nWARN trust domain t.test:{PARTNER}", True),
        (f"{START}\n{JOINED}\nWARN {NO_WAY}", True),
        (f"{START}\n{JOINED}\nWARN of a.t.test, t.test.a and t.testing: {NO_WAY}", True),
        (f"{START}\ndial tcp: lookup other.test: no such host", False),
    ],
    ids=str,
)
def test_a_log_that_names_no_obstacle_on_the_way(log: str, joined: bool) -> None:
    last = parse_last_attempt(log, AT)
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
    dialling = f"{START}\nERROR: connecting to {AT}\n\t"
    log = f"{dialling}x509: certificate has expired or is not yet valid: current time 2025-10-01T10:00:00Z {said}"
    assert parse_last_attempt(log, AT).validity == validity
    assert parse_last_attempt(f"{dialling}{UNKNOWN}", AT).validity is None


def test_the_last_obstacle_counts_also_after_a_renewal_that_failed() -> None:
    renewal = "ERROR Bot identity renewal failed, will retry error"
    last = parse_last_attempt(f"{JOINED}\n{renewal}:{NO_WAY}\n{renewal}:{UNKNOWN}", AT)
    assert (last.obstacle, last.joined) == (Obstacle.CERTIFICATE, False)


@pytest.mark.parametrize(
    ("teleport", "error"),
    [
        ("t.test:443", f'WARN Get "https://T.test:443/webapi/find": {NO_WAY}'),
        ("t.test", f'WARN Get \\"https://t.test/webapi/find\\": {NO_WAY}'),
        ("10.1.2.3:443", f"WARN proxy reconnect failed: {NO_WAY}"),
        ("[fd00::1]:443", "WARN dial tcp [fd00::1]:443: connect: connection refused"),
        ("t.test:443", f"WARN of t.test.: {NO_WAY}"),
        ("t.test:443", f"WARN of t.test\n\t{NO_WAY}"),
        ("t.test:443", f"ERROR failed to join: dial tcp {NO_WAY}"),
        ("", f"ERROR failed to join: dial tcp {NO_WAY}"),
    ],
)
def test_an_error_after_joining_counts_where_it_names_teleport_or_joining(teleport: str, error: str) -> None:
    last = parse_last_attempt(f"{START}\n{JOINED}\n{error}", teleport)
    assert (last.obstacle, last.joined) == (Obstacle.NO_CONNECTION, False)
    assert parse_last_attempt(f"{START}\n{JOINED}\nWARN of elsewhere: dial tcp 10.9.9.9:443: i/o timeout", teleport).joined


def test_a_secret_in_tbots_words_is_not_repeated_and_words_have_an_end() -> None:
    words = f"x509: {'a b ' * 500} token=eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJlc2lnbmF0dXJl"
    last = parse_last_attempt(f"{START}\nERROR: connecting to {AT}\n\t{words}", AT)
    assert last.obstacle is Obstacle.CERTIFICATE
    assert "eyJ" not in last.said
    assert len(last.said) <= 240


@pytest.mark.parametrize(
    "piece",
    [
        "dial tcp ",
        "dial tcp a: ",
        "proxyconnect tcp ",
        "reviewing kubernetes token ",
        "x509: ",
        "dial tcp: lookup ",
        "https://",
        "t.test",
    ],
)
def test_the_time_grows_with_the_log_and_not_with_its_square(piece: str) -> None:
    def seconds(times: int) -> float:
        begun = time.process_time()
        parse_last_attempt(piece * times, AT)
        return time.process_time() - begun

    seconds(1000)
    assert min(seconds(40_000) for _ in range(3)) < 3 * min(seconds(20_000) for _ in range(3)) + 0.05


@pytest.mark.parametrize(
    ("log", "opened"),
    [
        ("", None),
        ("INFO a busy node", None),
        (f"WARN proxy t.test:443: {NO_WAY}", None),
        (START, False),
        (f"{START}\nERROR failed to join: {NO_WAY}", False),
        (f"{START}\n{JOINED}", True),
        (f"{START}\n{JOINED}\nERROR Bot identity renewal failed, will retry error:{NO_WAY}", True),
        (f"WARN proxy t.test:443: {NO_WAY}\n{ISSUED}", True),
        (f"{START}\n{JOINED}\n{START}", False),
        (f"{UNASKED} error:{UNKNOWN}", True),
        (f'{UNASKED} error:[Get "https://10.1.1.1:10250/pods": {NO_WAY}]', True),
        ("WARN Failed to perform Kubernetes workload attestation error:timeout", True),
        (f"{UNASKED}\n{START}", False),
        (REAL.read_text(encoding="utf-8"), True),
    ],
    ids=str,
)
def test_a_tbot_has_opened_its_sockets_once_it_has_joined_whatever_came_later(log: str, opened: bool | None) -> None:
    assert parse_last_attempt(log, AT).opened is opened


BEGUN, THEN = datetime(2025, 10, 1, 10, 0, 1, 123000, UTC), datetime(2025, 10, 1, 11, 0, tzinfo=UTC)
STAMPS = ("2025-10-01T11:00:00Z", "2025-10-01T11:00:00.000000000Z", "2025-10-01T13:00:00.000000000+02:00")


@pytest.mark.parametrize(
    ("log", "opened_at"),
    [
        (START, None),
        ("", None),
        (f"{START}\n{JOINED}\n{ISSUED}", BEGUN),
        (f"{JOINED}\n{START}", None),
        (f"{START}\nINFO Fetched new bot identity", None),
        (f"{START}\nsoon INFO Fetched new bot identity", None),
        (f"{START}\n2025-13-01T10:00:00Z INFO Fetched new bot identity", None),
        *((f"{START}\n{at} \x1b[32mINFO\x1b[0m Fetched new bot identity\n{ISSUED}", THEN) for at in STAMPS),
        *((f"{at} {START}\n{at} {JOINED}", THEN) for at in STAMPS),
    ],
    ids=str,
)
def test_the_time_at_which_a_tbot_had_joined(log: str, opened_at: datetime | None) -> None:
    last = parse_last_attempt(log, AT)
    assert (last.opened_at, last.start) == (opened_at, START in log)
    if opened_at is not None:
        assert [last.opened_before(opened_at), last.opened_after(opened_at)] == [False, True]
        later = opened_at + timedelta(seconds=1)
        assert [last.opened_before(later), last.opened_after(later)] == [True, False]


def test_a_log_without_the_start_shows_of_no_time_that_the_sockets_were_closed() -> None:
    last = parse_last_attempt(f"{JOINED}\n{ISSUED}", AT)
    assert (last.opened_at, last.start, last.opened_after(datetime(2025, 1, 1, tzinfo=UTC))) == (BEGUN, False, False)


def test_the_kubelets_time_before_a_line_hides_no_layer_of_an_error() -> None:
    stamp = "2025-10-01T10:00:00.000000001Z"
    log = [START, "ERROR: joining", f"\tconnecting: {NO_WAY}"]
    assert parse_last_attempt("\n".join(f"{stamp} {line}" for line in log), AT).obstacle is Obstacle.NO_CONNECTION
    of_kubelet = ["WARN Workload attestation failed", f"\tdialing: {NO_WAY}"]
    assert parse_last_attempt("\n".join(f"{stamp} {line}" for line in [START, *of_kubelet]), AT).obstacle is None


def test_a_caller_shows_an_open_socket_and_no_answer_of_teleport() -> None:
    last = parse_last_attempt("\n".join([UNASKED] * 60), AT)
    assert (last.opened_at, last.joined, last.obstacle) == (THEN, False, None)
    last = parse_last_attempt(f"WARN proxy t.test:443: {NO_WAY}\n{UNASKED}", AT)
    assert (last.opened, last.obstacle) == (True, Obstacle.NO_CONNECTION)


EXPORTER = "ERROR traces export: dial tcp 10.1.1.1:4317: connect: connection refused"
BY_PROXY = "proxyconnect tcp: dial tcp 10.9.9.9:3128: connect: connection refused"


@pytest.mark.parametrize("teleport", [AT, ""])
@pytest.mark.parametrize("error", [EXPORTER, f"WARN cannot read the API server's version: {UNKNOWN}"])
def test_an_error_before_the_join_that_names_nobody_need_not_be_about_teleport(error: str, teleport: str) -> None:
    last = parse_last_attempt(f"{START}\n{error}", teleport)
    assert (last.obstacle, last.joined) == (Obstacle.ELSEWHERE, False)
    assert error.endswith(last.said)
    assert parse_last_attempt(error, teleport).obstacle is None
    assert parse_last_attempt(f"{START}\n{error}\n{JOINED}", teleport).joined
    assert parse_last_attempt(f"{START}\n{JOINED}\n{error}", teleport).joined


@pytest.mark.parametrize(
    "log", [f"{EXPORTER}\nERROR failed to join: {NO_WAY}", f"ERROR failed to join: {NO_WAY}\n{EXPORTER}"]
)
def test_an_error_that_names_nobody_hides_none_about_teleport(log: str) -> None:
    assert parse_last_attempt(f"{START}\n{log}", AT).obstacle is Obstacle.NO_CONNECTION


@pytest.mark.parametrize(
    "error",
    [
        f'ERROR failed to join: Get "https://t.test:443/webapi/ping": {BY_PROXY}',
        f"ERROR failed: {BY_PROXY}",
        'ERROR Get "https://t.test:443/webapi/find": proxyconnect tcp: dial tcp: lookup egress.test: no such host',
        "ERROR of t.test: socks connect tcp 10.9.9.9:1080->t.test:443: dial tcp 10.9.9.9:1080: i/o timeout",
    ],
)
def test_a_proxy_before_teleport_that_cannot_be_reached_is_not_teleport(error: str) -> None:
    last = parse_last_attempt(f"{START}\n{error}", AT)
    assert last.obstacle is Obstacle.PROXY
    assert last.said.startswith(("proxyconnect tcp", "socks connect tcp"))
    other = f'WARN Get "https://partner.test/bundle": {BY_PROXY}'
    assert parse_last_attempt(f"{START}\n{JOINED}\n{other}", AT).joined


@pytest.mark.parametrize(
    "refusal",
    [
        "reviewing kubernetes token with static_jwks\n\tvalidating jwt claims\n\t\tinvalid audience claim (aud)",
        "reviewing kubernetes token with oidc\n\tvalidating OIDC token",
        "failed to join\n\treviewing kubernetes token with static_jwks\n\t\tstatic_jwks joining requires the use of a token",
    ],
)
def test_teleports_own_words_show_that_it_refuses_the_token_itself(refusal: str) -> None:
    last = parse_last_attempt(f"{START}\n{EXPORTER}\n\x1b[31mERROR: \x1b[0m{refusal}\n\n", AT)
    assert (last.obstacle, last.joined, last.opened) == (Obstacle.TOKEN, False, False)
    assert in_one_line(refusal).endswith(last.said)
    assert parse_last_attempt(f"{START}\nERROR: {refusal}\n{JOINED}", AT).joined


def in_one_line(error: str) -> str:
    """An error of several layers, as a last attempt repeats it."""
    return ": ".join(layer.strip() for layer in error.split("\n"))


def test_the_layers_of_a_refusal_end_with_its_entry() -> None:
    refusal = "ERROR: joining\n\treviewing kubernetes token with static_jwks\n\t\tvalidating jwt claims"
    last = parse_last_attempt(f"{START}\n{refusal}\nINFO retrying\n\tin a minute", AT)
    assert last.said == "reviewing kubernetes token with static_jwks: validating jwt claims"
    other = parse_last_attempt(f"{START}\n{refusal}\nERROR: joining\n\t{NO_WAY}\n\tthe end", AT)
    assert (other.obstacle, other.said) == (Obstacle.NO_CONNECTION, NO_WAY)
    long = parse_last_attempt(f"{START}\n{refusal}\n" + "\t\t\ta layer\n" * 500, AT)
    assert len(long.said) <= 240


def in_fields(error: str) -> tuple[str, str]:
    """Lines of a tbot that tries again, in either format of its log."""
    return f"2025-10-01T10:00:02Z WARN [TBOT] Failed error:{json.dumps(error)}", json.dumps(
        {"error": error, "level": "warn"}
    )


JWKS = "reviewing kubernetes token with static_jwks"


@pytest.mark.parametrize(
    ("refusal", "obstacle"),
    [
        (f"{JWKS}\n\tvalidating jwt signature\n\t\tgo-jose/go-jose: unsupported key type/format", Obstacle.KEYS),
        (f"{JWKS}: validating jwt signature: go-jose/go-jose: error in cryptographic primitive", Obstacle.KEYS),
        (f"{JWKS}\n\tparsing provided jwks\n\t\tinvalid character '$'", Obstacle.NO_KEYS),
        ("kubernetes token did not match any allow rules", Obstacle.ACCOUNT),
        ("kubernetes token user info did not match any allow rules", Obstacle.ACCOUNT),
        ("kubernetes OIDC token did not match any allow rules configured in the Teleport join token", Obstacle.ACCOUNT),
        ("id token claims did not match any allow rules", None),
        ('"" can not join the cluster with role "Bot", token expired or not found', Obstacle.NO_JOIN_TOKEN),
        ('"" can not join the cluster with role "Bot", the token is not valid', None),
        (
            "this token is only valid for the iam join method but the node has connected to the wrong endpoint",
            Obstacle.METHOD,
        ),
        (
            "receiving ServerInit\n\tclient requested join method kubernetes, provision token only supports method iam",
            Obstacle.METHOD,
        ),
        ("receiving ServerInit\n\ttoken expired or not found", Obstacle.NO_JOIN_TOKEN),
        ('user "bot-istio-tbot" not found', None),
    ],
)
def test_teleports_own_words_tell_what_of_the_join_token_is_wrong(refusal: str, obstacle: Obstacle | None) -> None:
    for log in (f"ERROR: {refusal}", f"\x1b[31mERROR: \x1b[0m{refusal}\n\n", f"WARN retrying error:{refusal}"):
        last = parse_last_attempt(f"{START}\n{EXPORTER}\n{log}", AT)
        assert (last.obstacle, last.joined) == (obstacle or Obstacle.ELSEWHERE, False)
        assert in_one_line(refusal if obstacle else EXPORTER).endswith(last.said)
        assert parse_last_attempt(f"{START}\n{log}\n{JOINED}", AT).joined
    for line in in_fields(refusal):
        last = parse_last_attempt(f"{START}\n{line}", AT)
        assert last.obstacle is obstacle
        said = last.said.partition('"')[0]
        assert said in in_one_line(refusal)
        assert bool(said) is (obstacle is not None)


def test_what_tbot_says_of_a_caller_is_no_refusal_of_its_join() -> None:
    log = f"{START}\nWARN Workload attestation failed\n\ttoken expired or not found"
    assert parse_last_attempt(log, AT).obstacle is None


@pytest.mark.parametrize(
    "error",
    [
        "failed to initialize storage: open /var/lib/teleport/bot/identity: permission denied",
        "reviewing kubernetes token with in_cluster\n\tkubernetes failed to validate token: invalid bearer token",
    ],
)
def test_what_else_ends_a_tbot_refuses_no_token(error: str) -> None:
    assert parse_last_attempt(f"{START}\nERROR: {error}", AT).obstacle is None
