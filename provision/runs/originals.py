"""Originals of what the suite changes and did not make, kept in the cluster until they are restored.

Each is a ConfigMap in kube-system. It is there before the change and goes after the restoration, so that a run that was
killed leaves what `conformance undo` needs. It never holds a secret: a change that would need to keep one is refused.

The run itself restores what it has kept, and from no other reading: so it restores what was there right before its change,
and nothing at all once the original is gone, because another user has restored it. While an original is kept, no other is
kept of the same fields: what a change left there never becomes an original.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from facts.document import damaged, decoded, need
from facts.errors import CouldNotTell, ProvisioningFailed
from facts.kubernetes.leases import NAMESPACE
from facts.redaction import is_too_deep
from provision.objects import FIELD_MANAGER, RUN_LABEL, Document, Objects, config_map
from provision.runs.fields import (
    MISSING,
    Field,
    Standing,
    changed_fields,
    patch_to,
    restored,
    secrets_in,
    standing,
)

ORIGINAL_LABEL = "conformance.teleport-istio/original"
"""Label of every such ConfigMap."""

KEPT_AT = "conformance.teleport-istio/kept-at"
"""Annotation with the time, to the microsecond, at which the suite kept it: the API server's own has whole seconds."""

_KEY = "change.json"


class System(Enum):
    """Where the changed thing is."""

    KUBERNETES = "kubernetes"
    TELEPORT = "teleport"
    MACHINE = "machine"
    """A node or a container that the suite made, reached through Docker."""


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the suite to something that it did not make.

    Attributes:
        system: Where the thing is.
        kind: Kind of the thing.
        name: Name of the thing.
        fields: Fields that the change changes.
        namespace: Namespace of the thing; empty for none.
        api_version: API version of a Kubernetes object.
        restart: DaemonSet in the same namespace that must be restarted once the fields are restored; empty for none.
        teleport: Teleport cluster that has the thing, as `ClusterStatus.identity` names it; empty for none.
    """

    system: System
    kind: str
    name: str
    fields: tuple[Field, ...]
    namespace: str = ""
    api_version: str = ""
    restart: str = ""
    teleport: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"

    def overlaps(self, other: Change) -> bool:
        """Return True where both change a field of the same thing, or one a field of which the other is a part."""
        if (self.system, self.kind, self.namespace, self.name) != (other.system, other.kind, other.namespace, other.name):
            return False
        if not (self.fields and other.fields):  # a change that changes nothing, perhaps because the other one is in force
            return True
        pairs = ((mine.path, its.path) for mine in self.fields for its in other.fields)
        return any(mine[: len(its)] == its or its[: len(mine)] == mine for mine, its in pairs)


@dataclass(frozen=True, slots=True)
class Kept:
    """A change with the run that made it.

    Attributes:
        key: Name of the ConfigMap.
        run: Id of the run.
    """

    key: str
    run: str
    change: Change


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A ConfigMap with the label of originals that is none of the suite's, or that this version cannot read.

    Attributes:
        key: Name of the ConfigMap.
        run: Id of the run that its label names; empty for none.
        why: What is wrong with it.
    """

    key: str
    run: str
    why: str

    @property
    def change(self) -> str:
        """What stands for the change, in a sentence."""
        return f"something that ConfigMap {NAMESPACE}/{self.key} does not tell"


class Originals:
    """Keeps originals, and forgets them once they are restored.

    Args:
        objects: Changes the cluster; its run is the one that makes the changes, and its fence stands before each.
    """

    def __init__(self, objects: Objects) -> None:
        self.may_change = objects.may_change
        self._objects = objects.unfenced()
        self._kept: dict[str, Change] = {}

    def before_patch(
        self, api_version: str, kind: str, name: str, change: Document, *, namespace: str = "", restart: str = ""
    ) -> str:
        """Keep what a patch of an object will change; see `keep` for the result.

        Args:
            api_version: API version of the object.
            kind: Kind of the object.
            name: Name of the object.
            change: Patch, as `Objects.patch` takes it.
            namespace: Namespace of the object.
            restart: See `Change`.

        Raises:
            ProvisioningFailed: See `keep`; or there is no such object.
            CouldNotTell: See `keep`.
        """
        fields = changed_fields(self._objects.must_get(api_version, kind, name, namespace=namespace), change)
        return self.keep(Change(System.KUBERNETES, kind, name, fields, namespace, api_version, restart))

    def keep(self, change: Change) -> str:
        """Keep the original of a change that is about to be made.

        Returns:
            The key to `forget` it by; empty where the change changes nothing.

        Raises:
            ProvisioningFailed: A field holds a secret, an earlier change of it is not restored, the API server does not take
                the ConfigMap, or the run has lost its hold on the cluster.
            CouldNotTell: Whether the run holds it could not be determined.
        """
        self._must_be_as_it_was(change)
        if not change.fields:
            return ""
        if secret := change.fields if change.kind == "Secret" else secrets_in(change.fields):
            raise ProvisioningFailed(
                expected="a change whose original can be kept in the cluster until it is restored",
                seen=f"{secret[0]} holds a secret, which the suite stores nowhere, so it changed nothing",
                where=str(change),
                remedy="keep the secret outside this object, as tbot does with the join method kubernetes",
            )
        self.may_change()
        body = _body(change)
        key = f"conformance-{self._objects.run_id.lower()}-{hashlib.sha256(body.encode()).hexdigest()[:10]}"
        document = config_map(NAMESPACE, key, {_KEY: body})
        document["metadata"]["labels"] = {ORIGINAL_LABEL: "true"}
        document["metadata"]["annotations"] = {KEPT_AT: datetime.now(UTC).isoformat(timespec="microseconds")}
        try:
            self._objects.apply(document)
        except BaseException:  # Ctrl-C, or an answer that was lost: the ConfigMap may be there, and the change will not
            with contextlib.suppress(ProvisioningFailed):
                self.forget(key)
            raise
        self._kept[key] = change
        return key

    def _must_be_as_it_was(self, change: Change) -> None:
        """Refuse to change what an earlier change has left: its original would be no original."""
        for kept in self.all():
            if isinstance(kept, Kept) and kept.change.overlaps(change):
                raise ProvisioningFailed(
                    expected="what the suite is about to change to be as it was before this run",
                    seen=f"an earlier change of run {kept.run} that is not restored",
                    where=str(change),
                    remedy="end this run, and restore it: conformance undo",
                )

    def restore(self, key: str) -> None:
        """Restore the fields of a Kubernetes object from its original, and forget that; nothing happens for an empty key.

        Nothing happens either where the original is not kept any more: another user has restored it since.

        Raises:
            ProvisioningFailed: The API server refuses, or does not answer; harmless to try again.
            CouldNotTell: Another user has changed a field since, or the original; it stays kept, and nothing is changed.
        """
        found = self._found().get(key)
        if found is None:
            return
        change = self._kept[key]
        # Who may write there must not make this run change something else.
        if (found.get("data") or {}).get(_KEY) != _body(change):
            raise _not_restored(f"ConfigMap {NAMESPACE}/{key}", "another user has changed the original", key)
        restore_fields(self._objects, change, lambda now: _must_be_ours(change, now, key))
        self.forget(key)

    def fields(self, key: str) -> tuple[Field, ...]:
        """Return the fields of a change of this run by its key; none for an empty key."""
        return self._kept[key].fields if key else ()

    def is_gone(self, key: str) -> bool:
        """Return True where the API server says that an original is not kept any more: another user has restored it."""
        try:
            return bool(key) and key not in self._found()
        except ProvisioningFailed:  # what was taken must be given back also where the API server does not answer
            return False

    def forget(self, key: str) -> None:
        """Delete an original, because the thing is as it was; nothing happens for an empty key.

        Raises:
            ProvisioningFailed: The API server refuses it; `conformance undo` does it then.
        """
        if key:
            self._objects.delete("v1", "ConfigMap", key, namespace=NAMESPACE)

    def all(self) -> tuple[Kept | Unreadable, ...]:
        """Return the originals of every run, the newest first.

        Raises:
            ProvisioningFailed: The API server does not list them.
        """
        found = [*self._found().values()]
        found.sort(key=_kept_at, reverse=True)
        return tuple(_kept(each) for each in found)

    def _found(self) -> dict[str, dict[str, Any]]:
        """Return the ConfigMaps of all originals by key; the role for disruptive runs may list them, and not get one."""
        found = self._objects.all_of("v1", "ConfigMap", namespace=NAMESPACE, label_selector=f"{ORIGINAL_LABEL}=true")
        return {str(each["metadata"]["name"]): each for each in found}


def restore_fields(
    objects: Objects, change: Change, must_be: Callable[[Mapping[str, Any]], None]
) -> None:  # fmt: skip
    """Restore the fields of a Kubernetes object that are as the suite left them, and restart what reads them.

    It is one patch of exactly the state that was looked at. A run may have been ended after it and before the restart.

    Args:
        objects: Changes the cluster.
        change: The change of the object.
        must_be: Raises where the object, as it is now, must not be restored.

    Raises:
        ProvisioningFailed: There is no such object, or the API server refuses.
    """
    what = (change.api_version, change.kind, change.name)
    now = objects.must_get(*what, namespace=change.namespace)
    must_be(now)
    if patch := patch_to(now, restored(now, change.fields)):
        versioned = {**patch, "metadata": {"resourceVersion": now["metadata"]["resourceVersion"]}}
        now = objects.patch(*what, versioned, namespace=change.namespace)
    if change.restart and any(standing(field, now) is Standing.ORIGINAL for field in change.fields):
        objects.restart("DaemonSet", change.restart, namespace=change.namespace)


def _must_be_ours(change: Change, now: Mapping[str, Any], key: str) -> None:
    theirs = [str(field) for field in change.fields if standing(field, now) is Standing.OTHERS]
    if theirs:
        raise _not_restored(str(change), f"another user has changed {', '.join(theirs)} meanwhile", key)


def _not_restored(where: str, seen: str, key: str) -> CouldNotTell:
    there = f"configmap {key} -n {NAMESPACE}"
    return CouldNotTell(
        expected="what this run has changed to be as the run has left it",
        seen=f"{seen}, so the suite did not restore it",
        where=where,
        remedy=f"restore it by hand (kubectl get {there} -o yaml has the original), then: kubectl delete {there}",
    )


def _kept_at(document: Mapping[str, Any]) -> tuple[str, str]:
    """When an original was kept: two changes of one object within a second are restored in the order against theirs."""
    metadata = document["metadata"]
    return str(metadata.get("creationTimestamp", "")), str((metadata.get("annotations") or {}).get(KEPT_AT, ""))


def _kept(document: Mapping[str, Any]) -> Kept | Unreadable:
    metadata = document["metadata"]
    key, run = str(metadata["name"]), str(metadata["labels"].get(RUN_LABEL, ""))
    where = f"ConfigMap {NAMESPACE}/{key}"
    managers = sorted({str(entry.get("manager")) for entry in metadata.get("managedFields") or []})
    if FIELD_MANAGER not in managers:
        return Unreadable(key, run, f"{where} was written by {', '.join(managers) or 'another user'}, not by the suite")
    try:
        return Kept(key, run, _read(decoded(need(document, ("data", _KEY), str, where)), where))
    except CouldNotTell as error:
        return Unreadable(key, run, str(error))


def _body(change: Change) -> str:
    return json.dumps(_written(change), sort_keys=True)


def _written(change: Change) -> dict[str, Any]:
    return {
        "system": change.system.value,
        "kind": change.kind,
        "name": change.name,
        "namespace": change.namespace,
        "apiVersion": change.api_version,
        "restart": change.restart,
        "teleport": change.teleport,
        "fields": [
            {"path": list(f.path), "made": f.made}
            | ({} if f.was is MISSING else {"was": f.was})
            | ({} if f.ours is MISSING else {"ours": f.ours})
            for f in change.fields
        ],
    }


def _read(document: Any, where: str) -> Change:
    if is_too_deep(document):
        raise damaged("a document as flat as any of an API", "one that is nested too deeply", where)
    fields: Sequence[Any] = need(document, "fields", list, where)
    system: str = need(document, "system", str, where)
    if system not in {each.value for each in System}:
        raise damaged("the field system to name one that this version knows", system, where)
    return Change(
        System(system),
        need(document, "kind", str, where),
        need(document, "name", str, where),
        tuple(_read_field(each, where) for each in fields),
        need(document, "namespace", str, where),
        need(document, "apiVersion", str, where),
        need(document, "restart", str, where),
        str(document.get("teleport", "")),  # earlier versions kept none
    )


def _read_field(document: Any, where: str) -> Field:
    path: list[Any] = need(document, "path", list, where)
    if not path or not all(isinstance(key, str) for key in path):
        raise damaged("the field path to be a list of keys", repr(path), where)
    return Field(
        tuple(path), document.get("was", MISSING), document.get("ours", MISSING), need(document, "made", int, where)
    )
