"""Refusals are told apart by who refused; a timeout is none."""

from __future__ import annotations

import pytest

from facts.refusal import Because, Kind, Outcome, of_exception, of_http, of_sds, parse_ended_streams

UPSTREAM = "upstream connect error or disconnect/reset before headers. reset reason: "
VERIFY_FAILED = (
    "remote connection failure, transport failure reason: TLS_error:|268435581:SSL routines:OPENSSL_internal:"
    "CERTIFICATE_VERIFY_FAILED:verify cert failed: X509_verify_cert: certificate verification error at depth 0: "
    "unable to get local issuer certificate:TLS_error_end"
)
ALERTED = "TLS_error:|268436502:SSL routines:OPENSSL_internal:SSLV3_ALERT_CERTIFICATE_UNKNOWN:TLS_error_end"


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, "ok", Kind.GRANTED),
        (403, "RBAC: access denied", Kind.RBAC),
        (403, "the application's own 403", Kind.OTHER),
        (503, UPSTREAM + VERIFY_FAILED, Kind.UNVERIFIED),
        (503, UPSTREAM + ALERTED, Kind.TLS_ALERT),
        (503, UPSTREAM + "connection termination", Kind.RESET),
        (503, UPSTREAM + "connection timeout", Kind.TIMEOUT),
        (503, "no healthy upstream", Kind.OTHER),
        (504, "upstream request timeout", Kind.TIMEOUT),
        (500, "broken", Kind.OTHER),
    ],
)
def test_an_http_answer(status: int, body: str, kind: Kind) -> None:
    assert of_http(status, body).kind is kind


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("TimeoutError", "timed out", Kind.TIMEOUT),
        ("ConnectionResetError", "[Errno 104] Connection reset by peer", Kind.RESET),
        ("RemoteDisconnected", "Remote end closed connection without response", Kind.RESET),
        ("ConnectionRefusedError", "[Errno 111] Connection refused", Kind.CLOSED_PORT),
        ("FileNotFoundError", "[Errno 2] No such file or directory", Kind.NO_SOCKET),
        ("SSLCertVerificationError", "self-signed certificate", Kind.UNVERIFIED),
        ("SSLError", "[SSL: SSLV3_ALERT_CERTIFICATE_UNKNOWN] sslv3 alert certificate unknown", Kind.TLS_ALERT),
        ("SSLEOFError", "EOF occurred in violation of protocol", Kind.RESET),
        ("SSLError", "[SSL: WRONG_VERSION_NUMBER] wrong version number", Kind.OTHER),
    ],
)
def test_an_exception_of_a_python_client(name: str, text: str, kind: Kind) -> None:
    assert of_exception(name, text).kind is kind


@pytest.mark.parametrize(
    ("alert", "on_the_certificate"),
    [
        ("SSLV3_ALERT_CERTIFICATE_UNKNOWN", True),
        ("TLSV1_ALERT_UNKNOWN_CA", True),
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", True),
        ("SSLV3_ALERT_BAD_CERTIFICATE", True),
        ("SSLV3_ALERT_CERTIFICATE_EXPIRED", True),
        ("SSLV3_ALERT_HANDSHAKE_FAILURE", False),
        ("TLSV1_ALERT_PROTOCOL_VERSION", False),
        ("TLSV1_ALERT_INTERNAL_ERROR", False),
    ],
)
def test_an_alert_is_on_the_certificate_only_where_it_names_it(alert: str, on_the_certificate: bool) -> None:
    outcome = of_exception("SSLError", f"[SSL: {alert}] words (_ssl.c:2580)")
    assert outcome.kind is Kind.TLS_ALERT
    assert outcome.is_on_the_certificate is on_the_certificate


def test_a_refusal_without_an_alert_is_on_no_certificate() -> None:
    assert not of_exception("ConnectionResetError", "certificate unknown").is_on_the_certificate


@pytest.mark.parametrize(
    ("code", "message", "kind", "because"),
    [
        (3, "workload identity failed evaluation\n\tworkload.kubernetes is unset", Kind.SDS, Because.NO_POD),
        (2, 'attribute "workload.kubernetes.namespace" unset', Kind.SDS, Because.NO_POD),
        (7, "attributes did not pass rule evaluation: no matching rule found", Kind.SDS, Because.NO_RULE),
        (3, "unknown resource names: [default]", Kind.SDS, Because.UNSAID),
        (14, "upstream connect error, delayed connect error: No such file or directory", Kind.NO_SOCKET, Because.UNSAID),
        (14, "upstream connect error or disconnect/reset before headers", Kind.OTHER, Because.UNSAID),
        (4, "", Kind.OTHER, Because.UNSAID),
        (12, "method not implemented", Kind.OTHER, Because.UNSAID),
        (99, "what", Kind.SDS, Because.UNSAID),
    ],
)
def test_an_sds_stream(code: int, message: str, kind: Kind, because: Because) -> None:
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
    assert (unreached.cluster, unreached.outcome.kind) == ("outside", Kind.NO_SOCKET)


def test_the_agents_format_is_read_without_its_trailer() -> None:
    (ended,) = parse_ended_streams(AGENTS)
    assert ended.outcome.because is Because.NO_POD
    assert ended.outcome.said.endswith("workload.kubernetes is unset")


def test_a_log_without_such_a_line_has_no_ended_stream() -> None:
    assert parse_ended_streams("[2026-03-01 12:00:00.1][7][info][main] starting") == ()


def test_an_outcome_in_words_is_one_line() -> None:
    words = str(Outcome(Kind.SDS, "PERMISSION_DENIED", "one\n\ttwo"))
    assert words == "refused by the SDS server (PERMISSION_DENIED): one two"
    assert str(Outcome(Kind.TIMEOUT)) == "no answer in time"
