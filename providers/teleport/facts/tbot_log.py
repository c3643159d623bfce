"""tbot's own words about its way to Teleport, as its log has them.

Source: the error texts of Go's packages net, net/http and crypto/x509, which tbot repeats. They are the same in all
releases; what Teleport writes around them differs. How it refuses a join: Teleport, lib/kube/token,
lib/auth/join.go and lib/join.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from facts.document import plain, when
from facts.errors import CouldNotTell
from facts.masks import lines
from facts.redaction import beginning

WORDS = 240
"""Characters of tbot's words that are kept, from the error on."""


class Obstacle(StrEnum):
    """What ended tbot's last attempt to speak with Teleport."""

    NO_ADDRESS = "the name of Teleport has no address"
    NO_NAME_SERVER = "no name server tells the address of Teleport"
    NO_CONNECTION = "no connection to Teleport comes about"
    CERTIFICATE = "tbot does not accept the certificate of Teleport"
    PROXY = "the proxy that leads to Teleport cannot be reached"
    ELSEWHERE = "a connection fails that need not be the one to Teleport"
    TOKEN = "Teleport refuses the service-account token"
    NO_KEYS = "Teleport cannot read the keys in the join token"
    KEYS = "Teleport cannot verify the service-account token with the keys in the join token"
    ACCOUNT = "the join token does not allow the service account"
    NO_JOIN_TOKEN = "Teleport has no join token of the name in tbot's configuration, or it has expired"
    METHOD = "the join token is for another join method"


@dataclass(frozen=True, slots=True)
class Validity:
    """A certificate that tbot takes for expired or not yet valid.

    Attributes:
        bound: UTC time at which it ends, or begins.
        is_over: It has ended by the clock of the node; otherwise it has not begun.
    """

    bound: datetime
    is_over: bool


@dataclass(frozen=True, slots=True)
class LastAttempt:
    """The last attempt of a tbot to speak with Teleport, as far as its log tells.

    Attributes:
        obstacle: What ended it; None where it joined, or something else than the way to Teleport ended it.
        said: tbot's words, from the error on; empty without an obstacle.
        joined: It reached Teleport, which let it in.
        evidence: Ids of the readings.
        validity: Of a certificate that tbot does not accept for its time; None otherwise.
        opened: Its container has joined since it started, whatever came later, so that its sockets are open; None where the
            log shows neither its start nor an answer of Teleport nor a caller.
        opened_at: UTC time at which it had joined at the latest: of the first line since its start that shows it; None where
            that has no time.
        start: The log goes back to the start of the container, so that it opened its sockets at `opened_at` and not before.
    """

    obstacle: Obstacle | None
    said: str
    joined: bool
    evidence: tuple[str, ...]
    validity: Validity | None = None
    opened: bool | None = None
    opened_at: datetime | None = None
    start: bool = False

    def opened_before(self, moment: datetime) -> bool:
        """Whether the log shows that its sockets were open at a time."""
        return self.opened_at is not None and self.opened_at < moment

    def opened_after(self, moment: datetime) -> bool:
        """Whether the log shows that it opened its sockets only after a time."""
        return self.start and self.opened_at is not None and self.opened_at >= moment


JOINED = re.compile(r"Fetched new bot identity|Listener opened for Workload API endpoint")
"""A line of a tbot that has joined."""

STARTED = "Initializing tbot"
"""Words of the line with which the log of a container begins."""

_REACHED = re.compile(rf"{JOINED.pattern}|\bIssued Workload Identity|\bIssued \S{{1,20}} SVID|\bSent heartbeat")
"""A line of a tbot that Teleport has just answered."""

_STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)) ")
"""The time with which a line begins: the kubelet's where the log was asked for with times, otherwise tbot's own."""

_ASKED = re.compile(r"\bWorkload attestation failed\b|\bFailed to perform \w{1,20} workload attestation\b")
"""A line of a tbot that a caller has asked over its socket, so that this is open; Teleport need not have answered since."""

_VALIDITY = re.compile(r"\bcurrent time \S{1,40} is (after|before) (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)")

# tbot also dials its kubelet, when it attests a caller; that is not the way to Teleport.
_OF_ATTESTATION = re.compile(r"attest|kubelet", re.IGNORECASE)

_OF_JOINING = re.compile(r"\bjoin|\bbot identity", re.IGNORECASE)

_URL = re.compile(r"\bhttps?://([^\s/\"'\\]{1,300})")
_LOOKED_UP = re.compile(r"\blookup ([^\s:]{1,300})")

_ESCAPED = re.compile(r"\\{1,8}[nt]")

_REFUSALS: tuple[tuple[re.Pattern[str], Obstacle], ...] = (
    (re.compile(r"\bparsing provided jwks\b"), Obstacle.NO_KEYS),
    (re.compile(r"\bvalidating jwt signature\b"), Obstacle.KEYS),
    (re.compile(r"\bkubernetes (?:OIDC )?token (?:user info )?did not match any allow rules\b"), Obstacle.ACCOUNT),
    (re.compile(r"\btoken expired or not found\b"), Obstacle.NO_JOIN_TOKEN),
    (
        re.compile(
            r"\btoken is only valid for the \S{1,40} join method\b"
            r"|\bclient requested join method \S{1,40}, provision token only supports method\b"
        ),
        Obstacle.METHOD,
    ),
    # It verifies such a token by keys, claims and lifetime; one of ``in_cluster`` it lets be reviewed.
    (re.compile(r"\breviewing kubernetes token with (?:static_jwks|oidc)\b|\bvalidating OIDC token\b"), Obstacle.TOKEN),
)
"""Teleport's words where it refuses a join, the most specific first. The error may stand on one line or on several, from the
outside in, so the last of them counts."""

_ERRORS: tuple[tuple[re.Pattern[str], Obstacle], ...] = (
    (re.compile(r"\b(?:proxyconnect|socks connect) tcp\b.+"), Obstacle.PROXY),
    (re.compile(r"\bx509: .+"), Obstacle.CERTIFICATE),
    (re.compile(r"\bdial tcp: lookup \S{1,300}(?: on \S{1,100})? no such host"), Obstacle.NO_ADDRESS),
    (re.compile(r"\bdial tcp: lookup \S"), Obstacle.NO_NAME_SERVER),
    (
        re.compile(
            r"\bdial tcp \S{1,300}: .{0,80}?(?:connection refused|i/o timeout|connection timed out|no route to host"
            r"|network is unreachable)"
        ),
        Obstacle.NO_CONNECTION,
    ),
)


def parse_last_attempt(log: str, teleport: str, evidence: tuple[str, ...] = ()) -> LastAttempt:
    """Read what ended the last attempt of a tbot to speak with Teleport.

    An error counts if it is about Teleport: tbot also speaks with the API server, with its kubelet and with other trust
    domains. One of a tbot that has not joined, which does not say about whom it is, counts where nothing else does: as
    `Obstacle.ELSEWHERE`, unless it is of a proxy that leads there. What Teleport answers after an error shows that it is
    over.

    Args:
        log: The end of its log, best with the time of each line: not every tbot writes it itself.
        teleport: HOST:PORT at which it looks for Teleport; empty where that is not known.
        evidence: Ids of the readings.
    """
    last, entry, host = LastAttempt(None, "", joined=False, evidence=evidence), "", _host(teleport)
    opened: bool | None = None
    opened_at: datetime | None = None
    start = refusing = False
    for stamped in lines(plain(log)):
        at, line = _stamp(stamped)
        if STARTED in line:
            opened, opened_at, start = False, None, True
        elif not opened and (_REACHED.search(line) or _ASKED.search(line)):
            opened, opened_at = True, at
        if not line[:1].isspace():  # the layers of an error stand on lines of their own, each further in
            entry, refusing = line, False
        if STARTED in line or _REACHED.search(line):
            last = LastAttempt(None, "", joined=STARTED not in line, evidence=evidence)
        elif refused := _refusal_in(line, entry, evidence):
            last, refusing = refused, True
        elif refusing and line.strip():
            last = replace(last, said=beginning(f"{last.said}: {line.strip()}", WORDS))
        elif error := _error_in(line, evidence):
            about = _is_about_teleport(line, entry, host)
            if about:
                last = error
            elif about is None and opened is False and last.obstacle is None:
                kind = error.obstacle if error.obstacle is Obstacle.PROXY else Obstacle.ELSEWHERE
                last = replace(error, obstacle=kind, validity=None)
    return replace(last, opened=opened, opened_at=opened_at, start=start)


def _stamp(line: str) -> tuple[datetime | None, str]:
    """The time with which a line begins, None where it begins with none, and the rest of the line."""
    found = _STAMP.match(line)
    try:
        return (when(found[1], "tbot's log"), line[found.end() :]) if found else (None, line)
    except CouldNotTell:
        return None, line


def _is_about_teleport(line: str, entry: str, host: str) -> bool | None:
    """Tell whether an error is about the way to Teleport; None where it names nobody.

    Args:
        line: The line of the error.
        entry: The first line of the entry of the log that it belongs to.
        host: The host of Teleport.
    """
    both = f"{entry} {line}"
    if _OF_ATTESTATION.search(both):
        return False
    if urls := _URL.findall(line) or _URL.findall(entry):
        return host in map(_host, urls)
    if _OF_JOINING.search(both):
        return True
    if names := _LOOKED_UP.findall(line):
        return host in map(_host, names)
    is_named = bool(host) and re.search(rf"(?<![\w.-]){re.escape(host)}(?![\w-]|\.\w)", both.lower()) is not None
    return is_named or None


def _host(address: str) -> str:
    """The host of HOST:PORT or of a host alone, in lower case."""
    host, _colon, port = address.rpartition(":")
    return (host if host and port.isdigit() else address).strip("[]").rstrip(".").lower()


def _refusal_in(line: str, entry: str, evidence: tuple[str, ...]) -> LastAttempt | None:
    """Teleport's refusal of a join in a line; a field of a log holds all layers of the error, with escaped ends of lines."""
    if _OF_ATTESTATION.search(f"{entry} {line}"):
        return None
    said = ": ".join(filter(None, _ESCAPED.split(line)))
    for pattern, obstacle in _REFUSALS:
        if found := pattern.search(said):
            return LastAttempt(obstacle, beginning(said[found.start() :], WORDS), joined=False, evidence=evidence)
    return None


def _error_in(line: str, evidence: tuple[str, ...]) -> LastAttempt | None:
    for pattern, obstacle in _ERRORS:
        if found := pattern.search(line):
            said = line[found.start() :]
            return LastAttempt(obstacle, beginning(said, WORDS), False, evidence, _validity(said))
    return None


def _validity(said: str) -> Validity | None:
    found = _VALIDITY.search(said)
    try:
        return Validity(when(found[2], "tbot's log"), found[1] == "after") if found else None
    except CouldNotTell:
        return None
