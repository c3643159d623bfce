"""The Lease by which runs of the suite keep off each other's cluster. Source: Kubernetes API, coordination.k8s.io/v1."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

from facts.declared import At, Declared, Text, TextMap, mask_of, read
from facts.document import Absent, when
from facts.masks import NAME as IDENTIFIES
from facts.masks import keeps, only

NAMESPACE, NAME = "kube-system", "istio-teleport-conformance"
"""Where the Lease is, one in each cluster."""

DURATION = 60
"""Seconds after which a Lease that its holder has not renewed is stale."""

_PREFIX = "conformance.teleport-istio/"
SESSION = f"{_PREFIX}session"
"""Annotation: random characters of the process that holds the Lease; two processes may have one run id."""
BY = f"{_PREFIX}by"
"""Annotation: user and host of the holder, as in ``amy@laptop``."""
MAY = f"{_PREFIX}may"
"""Annotation: most that the holder may do: ``namespaced`` or ``disruptive``."""
DISRUPTIVE_RUNS = f"{_PREFIX}disruptive-runs"
"""Annotation: number of disruptive runs that have ever taken the Lease."""
LAST_DISRUPTIVE = f"{_PREFIX}last-disruptive-run"
"""Annotation: id of the latest of them."""

DISRUPTIVE = "disruptive"

_DIGITS = 10
"""More digits than the number of runs ever has: what others write there may be any text."""


@dataclass(frozen=True, slots=True)
class Lease(Declared):
    """The Lease as the API server has it.

    Attributes:
        version: Resource version, for a change of exactly this state.
        uid: UID of the object; a Lease that was deleted and made anew has another.
        run: Id of the run that holds it; empty if none does.
        acquired_at: RFC 3339; empty if no run holds it.
        renewed_at: RFC 3339; empty if no run holds it.
        annotations: Those that the suite gives it.
        evidence: Ids of the readings it was made from.
    """

    version: Annotated[Text, At("metadata.resourceVersion")]
    uid: Annotated[Text, At("metadata.uid")]
    run: Annotated[Text, IDENTIFIES, At("spec.holderIdentity")]
    acquired_at: Annotated[Text, At("spec.acquireTime")]
    renewed_at: Annotated[Text, At("spec.renewTime")]
    annotations: Annotated[TextMap, only(SESSION, BY, MAY, DISRUPTIVE_RUNS, LAST_DISRUPTIVE), At("metadata.annotations")]
    evidence: tuple[str, ...] = ()

    @property
    def is_held(self) -> bool:
        """True while a run holds it, also one that was killed."""
        return bool(self.run)

    @property
    def session(self) -> str:
        """Random characters of the process that holds it."""
        return self.annotations.get(SESSION, "")

    @property
    def may_disrupt(self) -> bool:
        """True while a run holds it that may change what it did not make."""
        return self.is_held and self.annotations.get(MAY) == DISRUPTIVE

    @property
    def disruptive_runs(self) -> int:
        """Number of disruptive runs that have ever taken it."""
        count = self.annotations.get(DISRUPTIVE_RUNS, "")
        return int(count) if count.isdecimal() and len(count) < _DIGITS else 0

    @property
    def holder(self) -> str:
        """The holder in words: run, user and host, since when."""
        by = f" of {self.annotations[BY]}" if self.annotations.get(BY) else ""
        return f"run {self.run}{by}, since {self.acquired_at or 'an unknown time'}"

    def is_stale(self, now: datetime) -> bool:
        """Tell whether a run holds it and has not renewed it in time, by a clock that may differ from the holder's."""
        if not self.is_held:
            return False
        return now - when(self.renewed_at, f"Lease {NAMESPACE}/{NAME}") > timedelta(seconds=DURATION)


@keeps(mask_of(Lease))
def parse_lease(document: Any, evidence: tuple[str, ...] = ()) -> Lease:
    """Reads the Lease.

    Raises:
        CouldNotTell: It is none.
    """
    return read(Lease, document, f"Lease {NAMESPACE}/{NAME}", evidence=evidence)


def disturbed_by(before: Lease | Absent, after: Lease | Absent) -> str:
    """Return the disruptive run that held the Lease at some moment between two looks, in words; empty if none did.

    A released Lease stays, because its count of disruptive runs shows one that came and went between the looks.
    """
    for lease in (before, after):
        if isinstance(lease, Lease) and lease.may_disrupt:
            return lease.holder
    if isinstance(before, Lease) and isinstance(after, Lease) and before.uid != after.uid:
        return "an unknown run: the Lease that would name it was deleted, and another one made"
    if isinstance(after, Lease) and after.disruptive_runs != (before.disruptive_runs if isinstance(before, Lease) else 0):
        return f"run {after.annotations.get(LAST_DISRUPTIVE) or 'of unknown id'}, which has ended since"
    if isinstance(after, Absent) and isinstance(before, Lease):
        return "an unknown run: the Lease that would name it was deleted"
    return ""
