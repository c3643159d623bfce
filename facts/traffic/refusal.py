"""The outcome of a negative probe: granted, or refused, and by which of the parties that can refuse.

A TLS alert, a status of the SDS server, a refused join and a missing socket are different outcomes: each shows that
another part of the installation did its work. A timeout is none of them; it proves nothing. Outcomes of requests, such as a
policy's 403, are in `facts.traffic.ledger`.

Sources: the log line of an Envoy whose config stream ended, gRPC's status codes, Istio's agent, and Teleport's error texts;
TLS alerts are in `facts.traffic.tls_alerts`. How Teleport joins the layers of an error differs by version, so only
parts of its sentences are looked for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import unquote

from facts.document import plain
from facts.masks import lines
from facts.redaction import beginning, ending, prose, redact
from facts.traffic.tls_alerts import Objection, objection_of
from providers.teleport.facts.tbot_log import JOINED


class AttemptEnd(StrEnum):
    """The kind of end of an attempt."""

    GRANTED = "granted"
    TLS_ALERT = "refused by a TLS alert"
    SDS = "refused by the SDS server"
    JOIN = "refused by Teleport's join token"
    NO_SOCKET = "there is no socket to ask"
    CLOSED = "the other side closed the connection without a word"
    TIMEOUT = "no answer in time"
    OTHER = "ended otherwise"


class Because(StrEnum):
    """The reason of an SDS server or of Teleport for a refusal, as far as its words tell."""

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

# tbot says so when it could not ask Teleport; it puts no status of its own on any error, so that the code is UNKNOWN.
_TELEPORT_UNREACHED = re.compile(
    r"connection refused|connection reset|connection error|no such host|i/o timeout|deadline exceeded|error while dialing",
    re.IGNORECASE,
)

# What Envoy itself writes for a stream that never reached the server, or that the server left without a word.
_NOT_THE_SERVERS = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED")

_REASONS: tuple[tuple[re.Pattern[str], Because], ...] = (
    (re.compile(r"workload\.kubernetes\S{0,200} (?:is )?unset"), Because.NO_POD),
    (re.compile(r"did not pass rule evaluation|no matching rule found"), Because.NO_RULE),
    (re.compile(r"did not match any allow rules"), Because.NO_ALLOW_RULE),
)

# OpenSSL's name of the reason of an error.
_ALERT = re.compile(r"\b(?:SSLV3|TLSV1|TLSV13)_ALERT_([A-Z_]+)")

_UNREACHED = re.compile(r"No such file or directory|No_such_file_or_directory|Connection refused|Connection_refused")


@dataclass(frozen=True, slots=True)
class AttemptOutcome:
    """The outcome of one attempt.

    Attributes:
        code: Name of the alert or of the gRPC status; empty where there is none.
        said: The words of the side that ended it.
        because: The reason that those words name, for the SDS server and for Teleport.
    """

    kind: AttemptEnd
    code: str = ""
    said: str = ""
    because: Because = Because.UNSAID

    def __str__(self) -> str:
        code = f" ({self.code})" if self.code else ""
        return f"{self.kind}{code}: {' '.join(self.said.split())}" if self.said else f"{self.kind}{code}"

    @property
    def objection(self) -> Objection | None:
        """The objection of a TLS alert; None where there was no alert."""
        return objection_of(self.code) if self.kind is AttemptEnd.TLS_ALERT else None


def of_exception(name: str, text: str) -> AttemptOutcome:
    """The outcome of a TLS connection that a Python client saw end with an exception instead of an answer.

    Args:
        name: Class of the exception, e.g. ``SSLError``.
    """
    said = prose(f"{name}: {text}" if text else name)
    if alert := _ALERT.search(text):
        return AttemptOutcome(AttemptEnd.TLS_ALERT, alert[1].lower(), said)
    if name == "TimeoutError":
        return AttemptOutcome(AttemptEnd.TIMEOUT, "", said)
    if name in ("ConnectionResetError", "BrokenPipeError", "SSLEOFError", "SSLZeroReturnError"):
        return AttemptOutcome(AttemptEnd.CLOSED, "", said)
    return AttemptOutcome(AttemptEnd.OTHER, "", said)


def of_sds(code: int, message: str) -> AttemptOutcome:
    """The outcome of an SDS stream that ended.

    Args:
        code: gRPC status code; 14 is what Envoy writes when it reached no server, 2 is what tbot answers to whatever it
            refuses.
        message: gRPC status message.
    """
    said = prose(message)
    status = GRPC_STATUS[code] if 0 <= code < len(GRPC_STATUS) else str(code)
    if status in _NOT_THE_SERVERS:
        return AttemptOutcome(AttemptEnd.NO_SOCKET if _UNREACHED.search(message) else AttemptEnd.OTHER, status, said)
    if status == "UNIMPLEMENTED" or (status == "UNKNOWN" and _TELEPORT_UNREACHED.search(message)):
        return AttemptOutcome(AttemptEnd.OTHER, status, said)
    return AttemptOutcome(AttemptEnd.SDS, status, said, reason_of(message))


def reason_of(words: str) -> Because:
    """The reason that the words of an SDS server or of Teleport name."""
    return next((because for pattern, because in _REASONS if pattern.search(words)), Because.UNSAID)


@dataclass(frozen=True, slots=True)
class StreamEnded:
    """A config stream of Envoy that ended, as its log tells.

    Attributes:
        cluster: The static cluster that was asked, e.g. ``sds-grpc``.
        outcome: Its end.
    """

    cluster: str
    outcome: AttemptOutcome


# The message may have several lines; the next entry begins with a time, in Envoy's format or in that of Istio's agent.
_STREAM_ENDED = re.compile(
    r"StreamSecrets gRPC config stream to (?P<cluster>\S+) closed(?: since \d+s ago)?: (?P<code>\d{1,9}), (?P<message>.*?)"
    r"(?=\n(?:\[?\d{4}-\d\d-\d\d[ T])|\Z)",
    re.DOTALL,
)
_PREVIOUSLY = re.compile(r"\s\(previously \d+, ")


def parse_ended_streams(log: str) -> tuple[StreamEnded, ...]:
    """Reads the ends of SDS streams out of an Envoy's log, oldest first.

    Envoy logs a status that the server gave at once, and one of its own (14) only when it lasts.

    Args:
        log: The end of the log, as Envoy or as Istio's agent writes it.
    """
    return tuple(
        # As it came over the wire: gRPC writes line breaks in a message with a percent sign.
        StreamEnded(found["cluster"], of_sds(int(found["code"]), _unquoted(_without_trailer(found["message"]))))
        for found in _STREAM_ENDED.finditer(log)
    )


def _unquoted(message: str) -> str:
    """A message without percent signs, which may have hidden a secret from whoever looked for one."""
    return redact(unquote(message)).text


def _without_trailer(message: str) -> str:
    """A message without what Envoy and Istio's agent write behind it."""
    # Not one pattern for all of it: its search would begin anew at each blank, and take time quadratic in the message.
    message = message.rstrip()
    before, tab, thread = message.rpartition("\tthread=")
    if tab and thread.isdecimal():
        message = before
    if message.endswith(")") and (previously := _PREVIOUSLY.search(message)):
        message = message[: previously.start()].rstrip()
    return message.removesuffix("{via_upstream}")


_AGENT_FOUND_NONE = re.compile(r"non-default SDS socket path.{0,400}no socket found", re.IGNORECASE)
_BOTS_ERROR = re.compile(r"^.*\bERROR?\b.*$", re.MULTILINE)


def of_agents_log(log: str) -> AttemptOutcome:
    """The outcome of starting an Istio agent that is configured with a non-default socket name.

    Args:
        log: The end of its log.
    """
    found = next((line for line in reversed(lines(log)) if _AGENT_FOUND_NONE.search(line)), "")
    if found:
        return AttemptOutcome(AttemptEnd.NO_SOCKET, "", prose(found.strip()))
    return AttemptOutcome(AttemptEnd.OTHER, "", ending(log, 300))


def of_tbots_log(log: str) -> AttemptOutcome:
    """The outcome of a tbot's attempt to join.

    Args:
        log: Its whole log.
    """
    log = plain(log)
    if reason_of(log) is Because.NO_ALLOW_RULE:
        # The layers of the error may stand on lines of their own; the innermost is the one that counts.
        line = next((line for line in lines(log) if reason_of(line) is Because.NO_ALLOW_RULE), log)
        return AttemptOutcome(AttemptEnd.JOIN, "", ending(line, 300), Because.NO_ALLOW_RULE)
    if joined := JOINED.search(log):
        return AttemptOutcome(AttemptEnd.GRANTED, "", joined[0])
    error = _BOTS_ERROR.search(log)
    # Whatever follows the first line that says ERROR belongs to it.
    return AttemptOutcome(AttemptEnd.OTHER, "", beginning(log[error.start() :] if error else log, 400))
