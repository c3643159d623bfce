"""The hold of a run on a cluster: a Lease that only one run at a time has that may change something.

The Lease stays when it is released, without a holder: its count of disruptive runs tells a read-only run whether one came
and went meanwhile. No run takes a Lease whose holder was killed: `conformance undo` restores what that run changed, and
releases it; so does `conformance down`, which leaves the originals, and they keep every run off.
"""

from __future__ import annotations

import getpass
import os
import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from facts.document import Absent
from facts.errors import WHAT_TO_DO, BadInput, ConformanceError, CouldNotTell, ProvisioningFailed
from facts.kubernetes.leases import (
    BY,
    DISRUPTIVE,
    DISRUPTIVE_RUNS,
    DURATION,
    LAST_DISRUPTIVE,
    MAY,
    NAME,
    NAMESPACE,
    SESSION,
    Lease,
    parse_lease,
)
from observe.wait import NotYet, Pace, eventually
from provision.objects import RUN_LABEL, SCRATCH, Conflict, Forbidden, Objects
from provision.runs.originals import Originals

RENEWAL = 10.0
"""Seconds between two renewals."""

WHERE = f"Lease {NAMESPACE}/{NAME}"

_API = "coordination.k8s.io/v1"
LONG = 10
"""Times the duration of a Lease after which no difference of clocks explains that it was not renewed."""

_LOOKS = 2.0
"""Seconds between two looks at a Lease that another run holds."""
_FINAL = 15.0
"""Seconds to release the Lease, where the API server refuses at first."""


class HoldLost(ProvisioningFailed):
    """This run does not hold the cluster any more, so it must change nothing that it did not make."""


@dataclass(frozen=True, slots=True)
class Ways:
    """Commands for the user, for this cluster.

    Attributes:
        options: Options of `conformance` that name the cluster.
    """

    options: str

    @property
    def undo(self) -> str:
        """Command that restores what a killed run changed."""
        return f"conformance undo {self.options} --yes"

    def alone(self, lease: Lease | Absent) -> str:
        """Return the next step of a run that was not alone, from a look at the Lease at its end."""
        if isinstance(lease, Lease) and lease.is_stale(datetime.now(UTC)):  # its holder was killed, and never ends
            return f"restore what it changed: {self.undo}; then run again"
        return "run again once it has ended"

    def down(self, run: str) -> str:
        """Return the command that removes what a run left."""
        return f"conformance down {self.options} --run {run} --yes"


class Claim:
    """The hold of one run on one cluster.

    Args:
        objects: Changes the cluster; its run takes the Lease.
        may: Most that the run may do: ``namespaced`` or ``disruptive``.
        ways: Commands for the user.
        wait: Seconds to wait for a run that holds the Lease.
        say: Tells the user, once, whom the run waits for.
        renewal: Seconds between two renewals.
    """

    def __init__(
        self,
        objects: Objects,
        *,
        may: str,
        ways: Ways,
        wait: float = 0,
        say: Callable[[str], None] = lambda _words: None,
        renewal: float = RENEWAL,
    ) -> None:
        self._objects = objects
        self._may = may
        self._ways = ways
        self._wait = wait
        self._say = say
        self._waits = False
        self._renewal = renewal
        self._session = secrets.token_hex(8)
        self._lost: HoldLost | None = None
        self._maybe_taken = False
        self._maybe_let_go = False
        self._returns = False
        self._one_at_a_time = threading.Lock()
        self._released = threading.Event()
        self._renewing: threading.Thread | None = None

    def take(self) -> str:
        """Take the Lease, and renew it until `release`; nothing happens if this run has it.

        Returns:
            Why a run that changes only its own namespaces goes on without the Lease; empty where it has it.

        Raises:
            BadInput: Another run holds it, an earlier run left something that would be in the way, or this identity may not
                take it and the run may change what it did not make.
            ProvisioningFailed: The API server does not answer.
            CouldNotTell: The Lease, or an original, cannot be read.
        """
        if self._renewing is not None:
            return ""
        try:
            self._await_turn()
        except Forbidden as error:
            return self._without(error)
        self._renew()
        return ""

    @property
    def is_taken(self) -> bool:
        """True once this run has taken the Lease; it may have lost it since."""
        return self._renewing is not None

    def _renew(self) -> None:
        self._renewing = threading.Thread(target=self._renew_until_released, name="lease", daemon=True)
        self._renewing.start()

    def must_hold(self) -> None:
        """Renew the Lease now, because a change of something that the suite did not make is about to come.

        Whoever takes a Lease over watches it for a while first, so a renewal leaves the time for one change.

        Raises:
            HoldLost: Another run or `conformance undo` has it, nobody has it, or this run never took it.
            ProvisioningFailed: The API server refuses, or does not answer.
            CouldNotTell: The Lease cannot be read, or others keep changing it.
        """
        if self._renewing is not None:
            eventually("this run renews its Lease", self._renew_once, Pace(_FINAL, 0.5))
        elif self._may == DISRUPTIVE:  # any other run goes on without the Lease, and has said so
            raise self._lost or self._loss("that it has not taken it")

    def take_over(self) -> None:
        """Take the Lease to restore or remove what a run left, also from a run that was killed.

        Clocks of two machines differ, so this one watches whether the holder renews it.

        Raises:
            BadInput: The holder is alive.
            ProvisioningFailed: The API server refuses, or does not answer.
            CouldNotTell: The Lease cannot be read.
        """
        lease = read(self._objects)
        if lease is not None and lease.is_held:
            self._must_be_dead(lease)
        self._maybe_taken = True
        write(self._objects, lease, self._as_holder(lease))
        self._renew()

    def _must_be_dead(self, lease: Lease) -> None:
        long_ago = lease.is_stale(datetime.now(UTC) - timedelta(seconds=LONG * DURATION))
        patience = 2 * self._renewal if long_ago else DURATION

        def look() -> Lease:
            now = read(self._objects)
            if now is None or now.version == lease.version:
                raise NotYet(f"not renewed since {lease.renewed_at}")
            return now

        try:
            now = eventually("the holder renews the Lease", look, Pace(patience, min(_LOOKS, patience / 4)))
        except CouldNotTell as silent:
            if isinstance(silent.__cause__, NotYet):
                return
            raise
        raise BadInput(
            expected="the Lease of a run that was killed",
            seen=f"{now.holder if now.is_held else 'a run that has ended'}, which has just renewed or released it",
            where=WHERE,
            remedy="wait for its end, or end it with Ctrl-C: it restores what it changed by itself",
        )

    def release(self) -> str:
        """Release the Lease.

        Returns:
            What went wrong with it, as a sentence; empty if this run had it until now.
        """
        self._released.set()
        if self._renewing is not None:
            # A renewal that hangs in a request changes nothing any more: the Lease has another version by then.
            self._renewing.join(_FINAL)
        if not self._maybe_taken:
            return ""
        self._maybe_taken = False
        try:
            eventually("the Lease is released", self._let_go, Pace(_FINAL, 0.5))
        except (CouldNotTell, ProvisioningFailed) as error:
            return f"expected to release {WHERE}; saw {error.seen}. {WHAT_TO_DO}: {self._ways.undo}"
        return str(self._lost or "")

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Release the Lease for another program of the suite that takes or watches it, and take it again afterwards.

        Meanwhile this run may change nothing: `must_hold` raises. A run without the Lease lends nothing.

        Raises:
            HoldLost: The Lease was lost before.
            BadInput: Another run took it meanwhile, or left something; this run does not get it again.
            ProvisioningFailed: The API server does not answer.
            CouldNotTell: The Lease, or an original, cannot be read.
        """
        if self._renewing is None:
            yield
            return
        if wrong := self.release():
            raise self._lost or self._loss(wrong)
        self._renewing, self._returns = None, True
        try:
            yield
        finally:
            self._released.clear()
            self._maybe_let_go = False
            self.take()

    def abandon(self) -> None:
        """Stop renewing a Lease that went with its cluster."""
        self._released.set()
        self._maybe_taken = False

    def _without(self, error: Forbidden) -> str:
        """Return why a run goes on without the Lease, or refuse it."""
        expected = "the right to take the Lease by which runs keep off each other's cluster"
        remedy = "grant the rights on leases and configmaps in kube-system, see docs/existing-cluster.md"
        refused = BadInput(expected=expected, seen=error.seen, where=WHERE, remedy=remedy)
        if self._may == DISRUPTIVE:
            raise refused from error
        return str(refused)

    def _await_turn(self) -> None:
        try:
            eventually("no other run holds the Lease", self._attempt, Pace(self._wait, _LOOKS))
        except CouldNotTell as late:
            if not isinstance(late.__cause__, NotYet):
                raise
            raise BadInput(
                expected="no other run that may change this cluster",
                seen=str(late.__cause__),
                where=WHERE,
                remedy="run again once it has ended, or wait for it: --wait-for-run SECONDS",
            ) from late

    def _attempt(self) -> None:
        lease = read(self._objects)
        if lease is not None and lease.is_held and lease.session != self._session:
            if not lease.is_stale(datetime.now(UTC)):
                if self._wait and not self._waits:
                    self._waits = True
                    self._say(f"waiting up to {self._wait:g} s for {lease.holder}")
                raise NotYet(lease.holder)
            raise BadInput(
                expected="no other run that may change this cluster",
                seen=f"{lease.holder}, which has not renewed the Lease since {lease.renewed_at} and was probably killed",
                where=WHERE,
                remedy=f"restore what it changed: {self._ways.undo}; then remove what it left: {self._ways.down(lease.run)}",
            )
        self._must_find_nothing()
        self._maybe_taken = True  # before the change: Ctrl-C may come right after it
        try:
            write(self._objects, lease, self._as_holder(lease))
        except Conflict as other:
            raise NotYet("a run that took it at the same moment") from other

    def _must_find_nothing(self) -> None:
        """Refuse a cluster on which something of an earlier run would be in the way."""
        if left := Originals(self._objects).all():
            raise BadInput(
                expected="a cluster on which earlier runs have restored everything",
                seen=", ".join(dict.fromkeys(f"{each.change}, changed by run {each.run}" for each in left)),
                where=f"ConfigMaps in {NAMESPACE}",
                remedy=self._ways.undo,
            )
        if self._returns:  # after `lent`: what is there of this run's id is this run's own
            return
        own = self._objects.run_id
        labelled = self._objects.all_of("v1", "Namespace", label_selector=f"{RUN_LABEL}={own}")
        names = [str(each["metadata"]["name"]) for each in labelled]
        if same := [name for name in names if name.startswith(SCRATCH)]:
            raise BadInput(
                expected="a run-id that no earlier run on this cluster has",
                seen=f"namespaces of a run {own}: {', '.join(same)}",
                where="the cluster",
                remedy=f"give another --run-id, or remove what that run left: {self._ways.down(own)}",
            )

    def _as_holder(self, lease: Lease | None) -> dict[str, Any]:
        now = _now()
        count = lease.disruptive_runs if lease else 0
        counted = {DISRUPTIVE_RUNS: str(count + 1), LAST_DISRUPTIVE: self._objects.run_id}
        annotations = {SESSION: self._session, BY: _user_and_host(), MAY: self._may}
        return {
            "metadata": {"annotations": annotations | (counted if self._may == DISRUPTIVE else {})},
            "spec": {
                "holderIdentity": self._objects.run_id,
                "acquireTime": now,
                "renewTime": now,
                "leaseDurationSeconds": DURATION,
            },
        }

    def _renew_until_released(self) -> None:
        while not self._released.wait(self._renewal):
            try:
                self._renew_once()
            except HoldLost:
                return
            # An API server that is away for a while is what some scenarios are about; the next renewal tries again.
            except (ConformanceError, NotYet):
                continue
            # Without renewals others take a run for dead while it lives, so no odd answer may end them.
            except Exception as error:
                self._say(f"the Lease was not renewed, and will be tried again: {type(error).__name__}: {error}")

    def _renew_once(self) -> None:
        with self._one_at_a_time:
            lease = read(self._objects)
            if lease is None or lease.session != self._session:
                self._lost = self._lost or self._loss(_holder_of(lease))
                raise self._lost
            try:
                write(self._objects, lease, {"spec": {"renewTime": _now()}})
            except Conflict as other:
                raise NotYet(other.seen) from other

    def _let_go(self) -> None:
        try:
            lease = read(self._objects)
            if lease is not None and lease.session == self._session:
                write(self._objects, lease, RELEASED)
            elif self._renewing is not None and not (self._maybe_let_go and lease is not None and not lease.is_held):
                self._lost = self._lost or self._loss(_holder_of(lease))
        except Conflict as error:
            raise NotYet(error.seen) from error
        except ProvisioningFailed as error:
            self._maybe_let_go = True  # the answer may be lost, and the Lease released
            raise NotYet(error.seen) from error

    def _loss(self, seen: str) -> HoldLost:
        return HoldLost(
            expected="this run to hold the Lease until its end",
            seen=f"{seen} at {_now()}: another run or `conformance undo` may have changed the cluster meanwhile",
            where=WHERE,
            remedy="run again, alone",
        )


def _holder_of(lease: Lease | None) -> str:
    if lease is None:
        return "no Lease"
    return lease.holder if lease.is_held else "no holder"


RELEASED: dict[str, Any] = {
    "metadata": {"annotations": {SESSION: None, BY: None, MAY: None}},
    "spec": {"holderIdentity": None, "acquireTime": None, "renewTime": None},
}
"""Patch that takes the holder from the Lease."""


def read(objects: Objects) -> Lease | None:
    """Return the Lease, or None if no run has ever taken it.

    Raises:
        ProvisioningFailed: The API server refuses, or does not answer.
        CouldNotTell: It cannot be read.
    """
    found = objects.get(_API, "Lease", NAME, namespace=NAMESPACE)
    return None if found is None else parse_lease(found)


def write(objects: Objects, lease: Lease | None, change: dict[str, Any]) -> None:
    """Change the Lease from exactly this state, or make it.

    Raises:
        Conflict: It is in another state by now.
        ProvisioningFailed: The API server refuses, or does not answer.
    """
    metadata = change.get("metadata", {})
    if lease is None:
        named = {**metadata, "name": NAME, "namespace": NAMESPACE}
        objects.create({"apiVersion": _API, "kind": "Lease", **change, "metadata": named})
    else:
        versioned = {**change, "metadata": {**metadata, "resourceVersion": lease.version}}
        objects.patch(_API, "Lease", NAME, versioned, namespace=NAMESPACE)


def _now() -> str:
    """Return the time as the API server takes it: with microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _user_and_host() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container without an entry for its user
        user = f"uid {os.getuid()}"
    return "".join(c for c in f"{user}@{socket.gethostname()}" if c.isprintable())[:100]
