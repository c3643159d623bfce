"""Answers to the guide's own commands, kept beside the truth, and the conclusions that a person draws from them.

A conclusion is a parser: it reads the output of a command as evidence holds it, so that it can be drawn again.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from facts.masks import TEXT, keeps, lines

FOUND = "Existing workload SDS socket found"
FILE_MOUNTED = "Workload is using file mounted certificates"

Conclusion = tuple[bool, str]
"""Whether the guide would call this healthy, and the sentence that says so."""

Conclude = Callable[[str], Conclusion]
"""Draws the conclusion of a person who follows the guide from what a successful command printed."""


@dataclass(frozen=True, slots=True)
class GuideAnswer:
    """The answer to a command of the guide, run as it is written (with this install's names).

    Attributes:
        asked: The command line.
        said: The conclusion of a person who follows the guide, in a sentence.
        healthy: The guide would call this healthy.
        evidence: Ids of the readings.
    """

    asked: str
    said: str
    healthy: bool
    evidence: tuple[str, ...]


@keeps(TEXT)
def conclude_pods(table: str) -> Conclusion:
    """Every pod that ``kubectl get pods`` lists is Running and ready."""
    rows = [line.split() for line in lines(table)[1:] if line.strip()]
    if not rows:
        return False, "there is no pod"
    bad = [row[0] for row in rows if row[2:3] != ["Running"] or len(set(row[1].split("/"))) != 1]
    if bad:
        return False, f"not Running or not ready: {', '.join(bad)}"
    return True, f"all {len(rows)} pods are Running and ready ({', '.join(sorted({row[1] for row in rows}))})"


@keeps(TEXT)
def conclude_resource(_answer: str) -> Conclusion:
    """A resource that ``tctl get`` prints exists."""
    return True, "the command succeeds, so it was created"


@keeps(TEXT)
def conclude_log(log: str) -> Conclusion:
    """A log without errors."""
    bad = [line for line in lines(log) if re.search(r"\bERROR?\b|\"level\":\s*\"error\"", line)]
    return (not bad), f"the log has {len(bad)} errors" if bad else "the log shows no errors"


@keeps(TEXT)
def conclude_listing(listing: str) -> Conclusion:
    """A socket stands in the listing of a directory."""
    there = any(line.startswith("s") for line in lines(listing))
    return there, "a socket is listed" if there else "no socket is listed"


@keeps(TEXT)
def conclude_proxy_log(log: str) -> Conclusion:
    """Both lines stand in the log that the guide looks for."""
    found = [line for line in (FOUND, FILE_MOUNTED) if line in log]
    if len(found) == 2:
        return True, "both log lines are printed"
    return False, f"of the two log lines, {'only ' + repr(found[0]) if found else 'none'} is printed"
