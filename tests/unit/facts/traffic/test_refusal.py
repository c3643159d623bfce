"""Each refusal names the party that refused; a timeout is none of them."""

from __future__ import annotations

import secrets
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facts.traffic.refusal import (
    AttemptEnd,
    AttemptOutcome,
    Because,
    of_agents_log,
    of_exception,
    of_sds,
    of_tbots_log,
    parse_ended_streams,
)
from facts.traffic.tls_alerts import Objection


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("TimeoutError", "timed out", AttemptEnd.TIMEOUT),
        ("ConnectionResetError", "[Errno 104] Connection reset by peer", AttemptEnd.CLOSED),
        ("SSLEOFError", "EOF occurred in violation of protocol", AttemptEnd.CLOSED),
        ("SSLError", "[SSL: SSLV3_ALERT_CERTIFICATE_UNKNOWN] sslv3 alert certificate unknown", AttemptEnd.TLS_ALERT),
        ("SSLError", "[SSL: WRONG_VERSION_NUMBER] wrong version number", AttemptEnd.OTHER),
        ("ConnectionRefusedError", "[Errno 111] Connection refused", AttemptEnd.OTHER),
        ("FileNotFoundError", "[Errno 2] No such file or directory", AttemptEnd.OTHER),
    ],
)
def test_an_exception_of_the_tls_client(name: str, text: str, kind: AttemptEnd) -> None:
    assert of_exception(name, text).kind is kind


@pytest.mark.parametrize(
    ("alert", "objection"),
    [
        ("SSLV3_ALERT_CERTIFICATE_UNKNOWN", Objection.UNSAID),
        ("TLSV1_ALERT_UNKNOWN_CA", Objection.ISSUER),
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", Objection.MISSING),
        ("SSLV3_ALERT_BAD_CERTIFICATE", Objection.SIGNATURE),
        ("SSLV3_ALERT_UNSUPPORTED_CERTIFICATE", Objection.KIND),
        ("SSLV3_ALERT_CERTIFICATE_EXPIRED", Objection.DATES),
        ("SSLV3_ALERT_CERTIFICATE_REVOKED", Objection.REVOKED),
        ("TLSV1_ALERT_ACCESS_DENIED", Objection.BEARER),
        ("SSLV3_ALERT_HANDSHAKE_FAILURE", Objection.SOMETHING_ELSE),
        ("TLSV1_ALERT_PROTOCOL_VERSION", Objection.SOMETHING_ELSE),
        ("TLSV1_ALERT_INTERNAL_ERROR", Objection.SOMETHING_ELSE),
        ("TLSV1_ALERT_BAD_CERTIFICATE_STATUS_RESPONSE", Objection.SOMETHING_ELSE),
        ("TLSV1_ALERT_THAT_IS_NOT_YET_THERE", Objection.SOMETHING_ELSE),
    ],
)
def test_each_alert_is_told_by_what_it_objects_to(alert: str, objection: Objection) -> None:
    outcome = of_exception("SSLError", f"[SSL: {alert}] words (_ssl.c:2580)")
    assert outcome.kind is AttemptEnd.TLS_ALERT
    assert outcome.objection is objection


@pytest.mark.parametrize(
    ("name", "text"),
    [("ConnectionResetError", "certificate unknown"), ("TimeoutError", "timed out"), ("SSLEOFError", "certificate expired")],
)
def test_what_ended_without_an_alert_objects_to_nothing(name: str, text: str) -> None:
    assert of_exception(name, text).objection is None


FETCHING = "fetching X509 SVIDs\n\tworkload identity failed evaluation"


@pytest.mark.parametrize(
    ("code", "message", "kind", "because"),
    [
        (3, "workload identity failed evaluation\n\tworkload.kubernetes is unset", AttemptEnd.SDS, Because.NO_POD),
        (2, 'attribute "workload.kubernetes.namespace" unset', AttemptEnd.SDS, Because.NO_POD),
        (7, "attributes did not pass rule evaluation: no matching rule found", AttemptEnd.SDS, Because.NO_RULE),
        (
            2,
            f"{FETCHING}\n\t\ttemplating spec.spiffe.id\n\t\t\tworkload.kubernetes is unset",
            AttemptEnd.SDS,
            Because.NO_POD,
        ),
        (2, f"{FETCHING}\n\t\tattributes did not pass rule evaluation", AttemptEnd.SDS, Because.NO_RULE),
        (2, "unknown resource names: [default]", AttemptEnd.SDS, Because.UNSAID),
        (2, "fetching X509 SVIDs\n\tdial tcp 10.0.0.1:443: connect: connection refused", AttemptEnd.OTHER, Because.UNSAID),
        (2, "fetching X509 SVIDs\n\tcontext deadline exceeded", AttemptEnd.OTHER, Because.UNSAID),
        (2, "fetching X509 SVIDs\n\tconnection error: desc = x", AttemptEnd.OTHER, Because.UNSAID),
        (7, "connection refused", AttemptEnd.SDS, Because.UNSAID),
        (3, "unknown resource names: [default]", AttemptEnd.SDS, Because.UNSAID),
        (
            14,
            "upstream connect error, delayed connect error: No such file or directory",
            AttemptEnd.NO_SOCKET,
            Because.UNSAID,
        ),
        (14, "upstream connect error or disconnect/reset before headers", AttemptEnd.OTHER, Because.UNSAID),
        (4, "", AttemptEnd.OTHER, Because.UNSAID),
        (12, "method not implemented", AttemptEnd.OTHER, Because.UNSAID),
        (99, "what", AttemptEnd.SDS, Because.UNSAID),
    ],
)
def test_an_sds_stream(code: int, message: str, kind: AttemptEnd, because: Because) -> None:
    outcome = of_sds(code, message)
    assert (outcome.kind, outcome.because) == (kind, because)


ENVOYS = """\
[2026-03-01 12:00:00.100][7][warning][config] [source/extensions/config_subscription/grpc/grpc_stream.h:226] \
StreamSecrets gRPC config stream to sds-grpc closed: 7, workload identity failed evaluation
\tattributes did not pass rule evaluation
\tno matching rule found
[2026-03-01 12:00:00.200][7][warning][main] [source/server/server.cc:1] something else
[2026-03-01 12:00:31.300][7][warning][config] [source/extensions/config_subscription/grpc/grpc_stream.h:226] \
StreamSecrets gRPC config stream to outside closed since 31s ago: 14, connect error: No such file or directory
"""

AGENTS = (
    "2026-03-01T12:00:00.100000Z\twarning\tenvoy config external/envoy/grpc_stream.h:226\t"
    "StreamSecrets gRPC config stream to sds-grpc closed: 3, workload identity failed evaluation\n"
    "\tevaluating expression: workload.kubernetes.namespace\n"
    "\tworkload.kubernetes is unset (previously 14, connection refused since 2s ago)\tthread=25\n"
    "2026-03-01T12:00:01.000000Z\tinfo\tReadiness failed\n"
)


def test_ends_of_streams_are_read_over_several_lines_and_by_cluster() -> None:
    refused, unreached = parse_ended_streams(ENVOYS)
    assert (refused.cluster, refused.outcome.code, refused.outcome.because) == (
        "sds-grpc", "PERMISSION_DENIED", Because.NO_RULE,
    )  # fmt: skip
    assert refused.outcome.said.endswith("no matching rule found")
    assert (unreached.cluster, unreached.outcome.kind) == ("outside", AttemptEnd.NO_SOCKET)


def test_the_agents_format_is_read_without_its_trailer() -> None:
    (ended,) = parse_ended_streams(AGENTS)
    assert ended.outcome.because is Because.NO_POD
    assert ended.outcome.said.endswith("workload.kubernetes is unset")


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("no rule{via_upstream} (previously 14, a (b)\nc since 2s ago)\tthread=25", "no rule"),
        ("no rule \n (previously 14, a) \n", "no rule"),
        ("no rule (previously 14, a", "no rule (previously 14, a"),
        ("no rule (a)", "no rule (a)"),
        ("no rule\tthread=x", "no rule\tthread=x"),
    ],
)
def test_only_a_whole_trailer_is_taken_away(written: str, said: str) -> None:
    (ended,) = parse_ended_streams(f"StreamSecrets gRPC config stream to sds-grpc closed: 7, {written}")
    assert ended.outcome.said == said


def test_line_breaks_are_read_as_they_come_over_the_wire() -> None:
    line = (
        "2026-03-01T12:00:00.100000Z\twarning\tenvoy config external/envoy/grpc_stream.h:226\tStreamSecrets gRPC config "
        "stream to sds-grpc closed: 7, failed evaluation%0A%09no matching rule found{via_upstream}\tthread=8\n"
    )
    (ended,) = parse_ended_streams(line)
    assert ended.outcome.said == "failed evaluation\n\tno matching rule found"


def test_a_log_without_such_a_line_has_no_ended_stream() -> None:
    assert parse_ended_streams("[2026-03-01 12:00:00.1][7][info][main] starting") == ()


def test_an_outcome_in_words_is_one_line() -> None:
    words = str(AttemptOutcome(AttemptEnd.SDS, "PERMISSION_DENIED", "one\n\ttwo"))
    assert words == "refused by the SDS server (PERMISSION_DENIED): one two"
    assert str(AttemptOutcome(AttemptEnd.TIMEOUT)) == "no answer in time"


AGENT_ENDS = (
    "2026-03-01T12:00:00.1Z\tinfo\tversion\n"
    "2026-03-01T12:00:01.1Z\terror\tError: agent configured for non-default SDS socket path: "
    "./var/run/secrets/workload-spiffe-uds/other but no socket found\n"
)


def test_an_agent_without_a_socket_of_another_name() -> None:
    outcome = of_agents_log(AGENT_ENDS)
    assert outcome.kind is AttemptEnd.NO_SOCKET
    assert outcome.said.endswith("but no socket found")


@pytest.mark.parametrize("log", ["", "error: failed to connect to istiod", "2026\tinfo\tStarting default Istio SDS Server"])
def test_an_agent_that_ended_for_another_reason(log: str) -> None:
    assert of_agents_log(log).kind is AttemptEnd.OTHER


@pytest.mark.parametrize(
    ("log", "kind", "because"),
    [
        ("INFO starting\nERROR: kubernetes token did not match any allow rules\n", AttemptEnd.JOIN, Because.NO_ALLOW_RULE),
        ("INFO starting\nERROR: join\n\tkubernetes OIDC token did not match any allow rules configured\n", AttemptEnd.JOIN,
         Because.NO_ALLOW_RULE),
        ("INFO [TBOT:IDEN] Fetched new bot identity instance:x\n", AttemptEnd.GRANTED, Because.UNSAID),
        ("INFO [TBOT:SVC:] Listener opened for Workload API endpoint addr:/x\n", AttemptEnd.GRANTED, Because.UNSAID),
        ("INFO starting\nERROR: reviewing kubernetes token with static_jwks\n\tvalidating jwt signature\n", AttemptEnd.OTHER,
         Because.UNSAID),
        ("INFO starting\n", AttemptEnd.OTHER, Because.UNSAID),
    ],
)  # fmt: skip
def test_a_tbot_that_tried_to_join(log: str, kind: AttemptEnd, because: Because) -> None:
    outcome = of_tbots_log(log)
    assert (outcome.kind, outcome.because) == (kind, because)


def test_another_reason_not_to_join_is_told_with_all_its_lines() -> None:
    said = of_tbots_log("INFO starting\nERROR: reviewing kubernetes token\n\tvalidating jwt signature\n").said
    assert said == "ERROR: reviewing kubernetes token\n\tvalidating jwt signature"


def test_an_error_in_color_is_told_without_it() -> None:
    refused = "INFO starting\n\x1b[31mERROR: \x1b[0mreviewing kubernetes token\n\tvalidating jwt signature\n\n"
    assert of_tbots_log(refused).said == "ERROR: reviewing kubernetes token\n\tvalidating jwt signature"
    assert (
        of_tbots_log("\x1b[31mERROR: \x1b[0mdid not match any allow rules\n").said == "ERROR: did not match any allow rules"
    )


SEPARATORS = ("\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\r")
"""Characters at which Python splits lines, and a log does not."""


@pytest.mark.parametrize("separator", SEPARATORS)
def test_only_a_line_feed_ends_a_line_of_a_log(separator: str) -> None:
    """Whoever puts such a character into a name or a path takes no words out of the line that counts."""
    agent = f"error: non-default SDS socket path: ./a{separator}b but no socket found"
    assert of_agents_log(f"info\n{agent}\ninfo\n") == AttemptOutcome(AttemptEnd.NO_SOCKET, "", agent)
    refused = f"ERROR: token of a{separator}b did not match any allow rules"
    said = AttemptOutcome(AttemptEnd.JOIN, "", refused, Because.NO_ALLOW_RULE)
    assert of_tbots_log(f"INFO starting\n{refused}\nINFO\n") == said


PIECES = (*SEPARATORS, "\n", " ", "did not match any allow rules", "no matching rule found", "non-default SDS socket path")


@given(st.lists(st.sampled_from(PIECES)))
def test_every_log_has_an_outcome(pieces: list[str]) -> None:
    log = "".join(pieces)
    for outcome in (of_tbots_log(log), of_agents_log(log)):
        assert isinstance(outcome.kind, AttemptEnd)


@pytest.mark.parametrize("of", [of_agents_log, of_tbots_log])
def test_a_secret_that_an_excerpt_would_cut_in_two_is_found(of: Callable[[str], AttemptOutcome]) -> None:
    secret = secrets.token_urlsafe(600)
    said = of(f"ERROR: password: {secret}").said
    assert said == "ERROR: password: [redacted words]"


def test_ends_have_the_words_of_the_report() -> None:
    assert AttemptEnd.GRANTED.value == "granted"
    assert len({end.value for end in AttemptEnd if end.value}) == len(AttemptEnd)


@pytest.mark.parametrize(
    ("code", "name"), [(0, "OK"), (7, "PERMISSION_DENIED"), (16, "UNAUTHENTICATED"), (17, "17"), (-1, "-1")]
)
def test_a_status_of_the_sds_server_has_its_name(code: int, name: str) -> None:
    outcome = of_sds(code, "no")
    assert (outcome.kind, outcome.code, outcome.said) == (AttemptEnd.SDS, name, "no")
