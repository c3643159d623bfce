"""tbot's own words about its way to Teleport, as its log has them.

Source: the error texts of Go's packages net and crypto/x509, which tbot repeats. They are the same in all releases; what
Teleport writes around them differs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
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
    NO_CONNECTION = "no connection to Teleport comes about"
    CERTIFICATE = "tbot does not accept the certificate of Teleport"


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
    """

    obstacle: Obstacle | None
    said: str
    joined: bool
    evidence: tuple[str, ...]
    validity: Validity | None = None


JOINED = re.compile(r"Fetched new bot identity|Listener opened for Workload API endpoint")
"""A line of a tbot that has joined."""

_STARTED = "Initializing tbot"

_VALIDITY = re.compile(r"\bcurrent time \S{1,40} is (after|before) (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)")

# tbot also dials its kubelet, when it attests a caller; that is not the way to Teleport.
_OF_ATTESTATION = re.compile(r"attest|kubelet", re.IGNORECASE)

_ERRORS: tuple[tuple[re.Pattern[str], Obstacle], ...] = (
    (re.compile(r"\bx509: .+"), Obstacle.CERTIFICATE),
    (re.compile(r"\bdial tcp: lookup \S+.*"), Obstacle.NO_ADDRESS),
    (
        re.compile(
            r"\bdial tcp \S{1,300}: .{0,80}?(?:connection refused|i/o timeout|connection timed out|no route to host"
            r"|network is unreachable)"
        ),
        Obstacle.NO_CONNECTION,
    ),
)


def parse_last_attempt(log: str, evidence: tuple[str, ...] = ()) -> LastAttempt:
    """Read what ended the last attempt of a tbot to speak with Teleport.

    Args:
        log: The end of its log.
        evidence: Ids of the readings.
    """
    last = LastAttempt(None, "", joined=False, evidence=evidence)
    for line in lines(plain(log)):
        if _STARTED in line or JOINED.search(line):
            last = LastAttempt(None, "", joined=_STARTED not in line, evidence=evidence)
        elif not _OF_ATTESTATION.search(line):
            last = _error_in(line, evidence) or last
    return last


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
