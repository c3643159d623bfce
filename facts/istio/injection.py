"""The API server's answer to a pod that it was asked to accept without creating it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from facts.document import maybe
from facts.kubernetes.objects import Pod, parse_pod
from facts.masks import keeps, kept_for, only
from facts.redaction import prose


@dataclass(frozen=True, slots=True)
class DryRun:
    """The answer to a server-side dry run: injected by the webhook, then validated.

    Attributes:
        accepted: The pod could be created.
        pod: The injected pod; None when it was refused.
        message: The API server's words when it was refused.
        where: Namespace and flavour of the pod that was sent.
        evidence: Ids of the readings.
    """

    accepted: bool
    pod: Pod | None
    message: str
    where: str
    evidence: tuple[str, ...]


@keeps(kept_for(parse_pod).merged(only("message", "reason", "code")))
def parse_dry_run(document: Any, evidence: tuple[str, ...] = (), where: str = "dry run of a pod") -> DryRun:
    """Reads the answer to a dry run: a pod, or the Status of a refusal.

    Raises:
        CouldNotTell: It is neither.
    """
    if maybe(document, "kind", "", where) == "Status":
        return DryRun(False, None, prose(maybe(document, "message", "", where)), where, evidence)
    return DryRun(True, parse_pod(document, evidence), "", where, evidence)
