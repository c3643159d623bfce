"""Restoring what a run changed and did not put back, from the originals in the cluster.

A field is restored only while it is as the run left it. What another user has changed since is named, never overwritten.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Protocol

from facts.errors import WHAT_TO_DO, BadInput, ConformanceError
from facts.kubernetes.leases import NAMESPACE
from provision.objects import Objects
from provision.runs.claim import WHERE, Claim, read
from provision.runs.fields import MISSING, Field, Standing, standing, value_at
from provision.runs.originals import Change, Kept, Originals, System, Unreadable

LONGEST = 60
"""Characters of a value that are shown."""


class State(Enum):
    """What became of something that a run left."""

    LEFT = "left"
    DONE = "done"
    OTHERS = "changed by another user"
    UNKNOWN = "could not be determined"


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that a run left, and what became of it.

    Attributes:
        state: What became of it.
        text: The thing, as a sentence.
    """

    state: State
    text: str


def exit_code(lines: list[Line]) -> int:
    """Return 0 where nothing is left, 1 where something certainly is, 6 where that could not be determined."""
    states = {line.state for line in lines}
    if states & {State.LEFT, State.OTHERS}:
        return 1
    return 6 if State.UNKNOWN in states else 0


class Restorer(Protocol):
    """Restores things of one system."""

    def now(self, change: Change) -> Mapping[str, Any] | None:
        """Return the thing as it is now; None where it is gone.

        Raises:
            ConformanceError: It cannot be read.
        """

    def restore(self, change: Change) -> None:
        """Restore the fields that are still as the run left them.

        Raises:
            ConformanceError: They cannot be restored; says how a person does it.
        """

    def after(self, change: Change) -> Mapping[str, Any] | None:
        """Return the thing as it is once `restore` has returned; None where it is gone.

        Raises:
            ConformanceError: It cannot be read.
        """

    def settle(self, change: Change) -> None:
        """Wait until the restored thing is in force.

        Raises:
            ConformanceError: It was not in time.
        """


RestorerOf = Callable[[System], Restorer]
"""Returns the restorer of a system; raises a `ConformanceError` where this user, or this machine, has none."""


def undo(objects: Objects, claim: Claim, restorers: RestorerOf, *, yes: bool) -> list[Line]:
    """List what runs changed and did not put back; with `yes`, restore it while holding the cluster.

    Args:
        objects: Changes the cluster.
        claim: Hold that the restoration takes.
        restorers: By system.
        yes: Restore.

    Raises:
        BadInput: The run that made the changes is under way.
        ProvisioningFailed: The API server refuses, or does not answer.
        CouldNotTell: The Lease cannot be read.
    """
    lease = read(objects)
    held = lease is not None and lease.is_held
    kept = Originals(objects).all()
    if not held and not kept:
        return []
    if lease is not None and held and not yes and not lease.is_stale(datetime.now(UTC)):
        raise BadInput(
            expected="no run that may change this cluster to be under way",
            seen=lease.holder,
            where=WHERE,
            remedy="wait for its end, or end it with Ctrl-C: it restores what it changed by itself",
        )
    hold = [Line(State.DONE if yes else State.LEFT, f"the Lease of {lease.holder}")] if lease is not None and held else []
    if not yes:
        return [*(_listed(each, restorers) for each in kept), *hold]
    try:
        claim.take_over()
        lines = [_restored(each, restorers, Originals(objects)) for each in kept]
    finally:
        wrong = claim.release()
    return [*lines, *(hold if not wrong else [Line(State.UNKNOWN, wrong)])]


def _listed(kept: Kept | Unreadable, restorers: RestorerOf) -> Line:
    if isinstance(kept, Unreadable):
        return _unreadable(kept)
    try:
        now = restorers(kept.change.system).now(kept.change)
    except ConformanceError as error:
        return Line(State.UNKNOWN, _failed(kept, None, error))
    state = State.OTHERS if _others(kept.change, now) else State.LEFT
    return Line(state, _told(kept, now))


def _restored(kept: Kept | Unreadable, restorers: RestorerOf, originals: Originals) -> Line:
    if isinstance(kept, Unreadable):
        return _unreadable(kept)
    change = kept.change
    try:
        restorer = restorers(change.system)
        now = restorer.now(change)
    except ConformanceError as error:
        return Line(State.UNKNOWN, _failed(kept, None, error))
    told = _told(kept, now)
    after = None
    try:
        if now is not None:
            restorer.restore(change)
            after = restorer.after(change)  # another user, or a controller, may have been faster
        if after is not None and (line := _not_restored(kept, after)):
            return line
        originals.forget(kept.key)
    except ConformanceError as error:
        return Line(State.LEFT, _failed(kept, now, error))
    if after is None:
        return Line(State.DONE, f"{told}; it is gone")
    try:
        restorer.settle(change)
    except ConformanceError as error:
        return Line(State.UNKNOWN, f"{told}; it is restored, and not in force yet: {error}")
    return Line(State.DONE, told)


def _not_restored(kept: Kept, after: Mapping[str, Any]) -> Line | None:
    """Return what is wrong with a thing after its restoration; None where each field is as it was before the run."""
    if _others(kept.change, after):
        return Line(State.OTHERS, f"{_told(kept, after)}; not overwritten. {WHAT_TO_DO}: {_by_hand(kept)}")
    if any(standing(field, after) is Standing.OURS for field in kept.change.fields):
        why = "something has undone the restoration, or did not keep it"
        return Line(State.LEFT, f"{_told(kept, after)}; {why}. {WHAT_TO_DO}: {_by_hand(kept)}")
    return None


def _failed(kept: Kept, now: Mapping[str, Any] | None, error: ConformanceError) -> str:
    return f"{_told(kept, now)}: {error}. If `undo` cannot do it: {_by_hand(kept)}"


def _unreadable(kept: Unreadable) -> Line:
    by = f", changed by run {kept.run}" if kept.run else ""
    return Line(State.UNKNOWN, f"{kept.change}{by}: {kept.why}. {WHAT_TO_DO}: {_by_hand(kept)}")


def _by_hand(kept: Kept | Unreadable) -> str:
    """Return how a person ends what the suite cannot end; without it no run may change the cluster any more."""
    there = f"configmap {kept.key} -n {NAMESPACE}"
    return f"restore it by hand (kubectl get {there} -o yaml has the original), then: kubectl delete {there}"


def _others(change: Change, now: Mapping[str, Any] | None) -> list[Field]:
    return [f for f in change.fields if standing(f, now) is Standing.OTHERS] if now is not None else []


def _told(kept: Kept, now: Mapping[str, Any] | None) -> str:
    fields = "; ".join(_told_field(field, now) for field in kept.change.fields)
    return f"{kept.change}, changed by run {kept.run}: {fields}"


def _told_field(field: Field, now: Mapping[str, Any] | None) -> str:
    told = f"{field} was {_shown(field.was)}, the run made it {_shown(field.ours)}"
    if now is None:
        return told
    present = standing(field, now)
    return f"{told}, now {present.value}{f': {_shown(value_at(now, field.path))}' if present is Standing.OTHERS else ''}"


def _shown(value: Any) -> str:
    """Return a value as one short line that a terminal can show."""
    if value is MISSING:
        return "nothing"
    text = json.dumps(value)
    return text if len(text) <= LONGEST else f"a value of {len(text)} characters"
