"""Restorers of fields of Kubernetes objects, and of what the suite changes in Teleport."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from facts.errors import ProvisioningFailed
from observe.wait import NotYet, Pace, eventually
from providers.teleport.disruption import ca
from providers.teleport.facts.ca_rotation import ROLLBACK, STANDBY
from providers.teleport.facts.resources import ClusterStatus, NoSession
from providers.teleport.observe.session import TeleportSession
from provision.negative import rules
from provision.objects import Conflict, Objects
from provision.runs.fields import restored
from provision.runs.originals import Change, restore_fields
from provision.runs.permitted import must_be_permitted
from settings import Names


class KubernetesFields:
    """Restores fields of Kubernetes objects.

    Args:
        objects: Changes the cluster.
        pace: Pace of the waits for what is rolled out.
        names: Names of what the suite may have changed.
    """

    def __init__(self, objects: Objects, pace: Pace, names: Names) -> None:
        self._objects = objects
        self._pace = pace
        self._names = names

    def now(self, change: Change) -> Mapping[str, Any] | None:
        """Return the object as it is now; None where it is gone. Refuse one that the suite never changes."""
        must_be_permitted(change, None, self._objects, self._names)  # before anything is read
        now = self._objects.get(change.api_version, change.kind, change.name, namespace=change.namespace)
        must_be_permitted(change, now, self._objects, self._names)
        return now

    def restore(self, change: Change) -> None:
        """Restore the fields that are as the run left them; retried where the object changes at that moment."""
        eventually(f"{change} is restored", lambda: self._restore(change), self._pace)

    def after(self, change: Change) -> Mapping[str, Any] | None:
        """Return the object as it is after the restoration."""
        return self.now(change)

    def settle(self, change: Change) -> None:
        """Wait until the object, or what reads it, is ready."""
        if change.restart:
            self._objects.await_ready("DaemonSet", change.restart, self._pace, namespace=change.namespace)
        elif change.kind in ("DaemonSet", "Deployment"):
            self._objects.await_ready(change.kind, change.name, self._pace, namespace=change.namespace)

    def _restore(self, change: Change) -> None:
        try:
            restore_fields(self._objects, change, lambda now: must_be_permitted(change, now, self._objects, self._names))
        except Conflict as error:
            raise NotYet(error.seen) from error


class InTeleport:
    """Restores rules of workload identities, and tells whether a rotation is still under way.

    Args:
        identities: Reads and replaces workload identities.
        teleport: Opens a session with the same admin tctl.
    """

    def __init__(self, identities: rules.Rules, teleport: Callable[[], TeleportSession]) -> None:
        self._identities = identities
        self._teleport = teleport

    def now(self, change: Change) -> Mapping[str, Any] | None:
        """Return the resource, or the state of the rotation, as it is now; None where the resource is gone."""
        status = self._status()
        # Another Teleport knows nothing of the change: there the resource is not gone, and no rotation has ended.
        if not status.is_of(change.teleport):
            raise ProvisioningFailed(
                expected=f"an admin session at the Teleport that the run has changed, {change.teleport or 'without a name'}",
                seen=f"one at {status.identity}",
                where="tctl status",
                remedy="give the --tctl of that Teleport",
            )
        if change.kind == ca.KIND:
            return {"phase": "under way" if status.spiffe_phase != STANDBY else STANDBY}
        return self._identity(change)

    def restore(self, change: Change) -> None:
        """Restore the rules; a rotation needs a person, who knows what else trusts the authorities."""
        if change.kind != ca.KIND:
            now = self._identity(change)
            if now is not None and (wanted := restored(now, change.fields)) != now:
                self._identities.replace(change.name, wanted)
            return
        phase = self._status().spiffe_phase
        if phase != STANDBY:
            words = f"tctl {' '.join(ca.ROTATE)} --phase="
            raise ProvisioningFailed(
                expected="no rotation of the SPIFFE authority to be under way",
                seen=f"it is in the phase {phase}",
                where="tctl status",
                remedy=f"{words}{ROLLBACK}; once no proxy needs the new authority (ROT-07): {words}{STANDBY}",
            )

    def after(self, change: Change) -> Mapping[str, Any] | None:
        """Return the resource, or the state of the rotation: Teleport may have forgotten what it was told."""
        return self.now(change)

    def settle(self, change: Change) -> None:
        """Nothing to wait for: Teleport has it at once."""

    def _identity(self, change: Change) -> dict[str, Any] | None:
        """Return the workload identity, None where it is gone; refuse one whose owner does not let the suite change it."""
        now = self._identities.now(_name_of_identity(change))
        if now is not None:
            self._identities.must_be_changeable(now)
        return now

    def _status(self) -> ClusterStatus:
        status = self._teleport().status()
        if isinstance(status, NoSession):
            raise ProvisioningFailed(
                expected="an admin session at Teleport",
                seen=status.said,
                where="tctl status",
                remedy="log in again with `tsh login`",
            )
        return status


def _name_of_identity(change: Change) -> str:
    """Return the name of the workload identity; refuse a change that is none of the suite's, whoever wrote its original."""
    others = [str(field) for field in change.fields if not rules.is_narrowing(field)]
    if change.kind != rules.KIND or others:
        raise ProvisioningFailed(
            expected=f"a change that leaves one of the suite's service accounts out of the rules of a {rules.KIND}",
            seen=", ".join([change.kind, *others]),
            where=str(change),
            remedy="this version of the suite makes no such change: use the version that did",
        )
    return change.name
