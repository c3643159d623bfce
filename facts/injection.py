"""What the API server would make of a pod: the answer to a server-side dry run, Istio's injection included."""

from __future__ import annotations

from dataclasses import dataclass

from facts.kubernetes import Pod


@dataclass(frozen=True, slots=True)
class DryRun:
    """The answer.

    Attributes:
        accepted: The API server would have made the pod.
        pod: As it would have been made, defaults and injection included; None if it was refused.
        message: Why it was refused, in the API server's or the webhook's own words; empty if it was not.
        where: What was asked, for messages.
        evidence: Ids of the readings.
    """

    accepted: bool
    pod: Pod | None
    message: str
    where: str
    evidence: tuple[str, ...]
