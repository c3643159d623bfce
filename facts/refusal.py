"""How an attempt to be let in ended: granted, or refused, and by which of the things that refuse.

A 403 of a policy, a TLS alert, a status of the SDS server and a missing socket are four different outcomes: each says that
another part of the installation did its work. A timeout is none of them; it says nothing.

Sources: Envoy (local replies, the log line of a config stream that ended), the TLS alert registry (RFC 8446, 6.2), gRPC's
status codes, Istio's agent, and Teleport's error texts. How Teleport joins the layers of an error differs by version, so
only parts of its sentences are looked for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What an attempt ended with."""

    GRANTED = "granted"
    RBAC = "refused by an authorization policy"
    TLS_ALERT = "refused by a TLS alert of the other side"
    UNVERIFIED = "given up because the other side's certificate was not accepted"
    SDS = "refused by the SDS server"
    NO_SOCKET = "there is no socket to ask"
    JOIN = "refused by Teleport's join rules"
    RESET = "the other side closed the connection"
    CLOSED_PORT = "nothing listens there"
    TIMEOUT = "no answer in time"
    OTHER = "ended otherwise"


class Because(StrEnum):
    """Why an SDS server or Teleport refused, as far as its words tell."""

    NO_POD = "the caller is attested as no pod"
    NO_RULE = "no rule of the workload identity allows the caller"
    NO_ALLOW_RULE = "the join token allows another service account"
    UNSAID = "for another reason"


GRPC_STATUS = (
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
    "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL",
    "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
)  # fmt: skip
"""Names of the gRPC status codes, by code."""

# What Envoy itself answers for a stream that never reached the server, or that the server left without a word.
_NOT_THE_SERVERS = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED")

_REASONS: tuple[tuple[re.Pattern[str], Because], ...] = (
    (re.compile(r"workload\.kubernetes\S*\"? (?:is )?unset"), Because.NO_POD),
    (re.compile(r"did not pass rule evaluation|no matching rule found"), Because.NO_RULE),
    (re.compile(r"did not match any allow rules"), Because.NO_ALLOW_RULE),
)

_ON_THE_CERTIFICATE = re.compile(
    r"bad.certificate|unsupported.certificate|certificate.(?:revoked|expired|unknown|required)|unknown.ca|access.denied",
    re.IGNORECASE,
)
"""Alerts by which a peer says that it does not accept the certificate; OpenSSL and BoringSSL spell them alike."""

_ALERT = re.compile(r"(?:SSLV3|TLSV1|TLSV13)_ALERT_(\w+)|\balert (?:number )?([a-z][a-z ]+|\d+)", re.IGNORECASE)

_UNREACHED = re.compile(r"No such file or directory|No_such_file_or_directory|Connection refused|Connection_refused")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one attempt ended.

    Attributes:
        kind: What it ended with.
        code: HTTP status, name of the alert or gRPC status; empty where there is none.
        said: The words of whoever ended it.
        because: What those words mean, for the SDS server and for Teleport.
    """

    kind: Kind
    code: str = ""
    said: str = ""
    because: Because = Because.UNSAID

    def __str__(self) -> str:
        code = f" ({self.code})" if self.code else ""
        return f"{self.kind}{code}: {' '.join(self.said.split())}" if self.said else f"{self.kind}{code}"

    @property
    def is_on_the_certificate(self) -> bool:
        """A TLS alert that names the certificate, and not for instance the protocol's version or a cipher."""
        return self.kind is Kind.TLS_ALERT and bool(_ON_THE_CERTIFICATE.search(self.code))


def of_http(status: int, body: str) -> Outcome:
    """The outcome of a request that got an HTTP answer, from the server or from an Envoy in between.

    Args:
        status: HTTP status.
        body: The answer's body; Envoy writes there why it answers in the server's place.
    """
    said = body.strip()[:400]
    if 200 <= status < 300:
        return Outcome(Kind.GRANTED, str(status))
    if status == 403 and "RBAC: access denied" in body:
        return Outcome(Kind.RBAC, str(status), said)
    if status == 504 or "timeout" in body.lower():
        return Outcome(Kind.TIMEOUT, str(status), said)
    if status == 503:
        alert = _alert(body)
        if alert:
            return Outcome(Kind.TLS_ALERT, alert, said)
        if "CERTIFICATE_VERIFY_FAILED" in body or "TLS_error" in body:
            return Outcome(Kind.UNVERIFIED, str(status), said)
        if "connection termination" in body or "connection failure" in body or "reset" in body:
            return Outcome(Kind.RESET, str(status), said)
    return Outcome(Kind.OTHER, str(status), said)


def of_exception(name: str, text: str) -> Outcome:
    """The outcome of an attempt that a Python client saw end with an exception instead of an answer.

    Args:
        name: Class of the exception, e.g. ``SSLError``.
        text: Its text.
    """
    said = f"{name}: {text}" if text else name
    if name in ("TimeoutError", "timeout"):
        return Outcome(Kind.TIMEOUT, "", said)
    if name == "FileNotFoundError":
        return Outcome(Kind.NO_SOCKET, "", said)
    if name == "ConnectionRefusedError":
        return Outcome(Kind.CLOSED_PORT, "", said)
    if name == "SSLCertVerificationError":
        return Outcome(Kind.UNVERIFIED, "", said)
    if alert := _alert(text):
        return Outcome(Kind.TLS_ALERT, alert, said)
    if name in ("ConnectionResetError", "ConnectionAbortedError", "BrokenPipeError", "RemoteDisconnected", "SSLEOFError"):
        return Outcome(Kind.RESET, "", said)
    return Outcome(Kind.OTHER, "", said)


def of_sds(code: int, message: str) -> Outcome:
    """The outcome of an SDS stream that ended.

    Args:
        code: gRPC status code; 14 is what Envoy writes when it reached no server.
        message: gRPC status message.
    """
    status = GRPC_STATUS[code] if 0 <= code < len(GRPC_STATUS) else str(code)
    if status in _NOT_THE_SERVERS:
        return Outcome(Kind.NO_SOCKET if _UNREACHED.search(message) else Kind.OTHER, status, message)
    if status == "UNIMPLEMENTED":
        return Outcome(Kind.OTHER, status, message)
    return Outcome(Kind.SDS, status, message, reason_of(message))


def reason_of(words: str) -> Because:
    """What the words of an SDS server or of Teleport mean."""
    return next((because for pattern, because in _REASONS if pattern.search(words)), Because.UNSAID)


def _alert(text: str) -> str:
    found = _ALERT.search(text)
    return "" if found is None else str(found[1] or found[2]).strip().lower().replace(" ", "_")


@dataclass(frozen=True, slots=True)
class StreamEnded:
    """A config stream of Envoy that ended, as its log tells.

    Attributes:
        cluster: The static cluster that was asked, e.g. ``sds-grpc``.
        outcome: How it ended.
    """

    cluster: str
    outcome: Outcome


# The message may have several lines; the next entry begins with a time, in Envoy's format or in that of Istio's agent.
_STREAM_ENDED = re.compile(
    r"StreamSecrets gRPC config stream to (?P<cluster>\S+) closed(?: since \d+s ago)?: (?P<code>\d+), (?P<message>.*?)"
    r"(?=\n(?:\[?\d{4}-\d\d-\d\d[ T])|\Z)",
    re.DOTALL,
)
_TRAILER = re.compile(r"(?:\s+\(previously \d+, .*\))?(?:\tthread=\d+)?\s*\Z", re.DOTALL)


def parse_ended_streams(log: str) -> tuple[StreamEnded, ...]:
    """Reads the ends of SDS streams out of an Envoy's log, oldest first.

    Envoy logs a status that the server gave at once, and one of its own (14) only when it lasts.

    Args:
        log: The end of the log, as Envoy or as Istio's agent writes it.
    """
    return tuple(
        StreamEnded(found["cluster"], of_sds(int(found["code"]), _TRAILER.sub("", found["message"])))
        for found in _STREAM_ENDED.finditer(log)
    )
