"""Originals of what the suite changes and did not make, kept in the cluster until they are restored.

Each is a ConfigMap in kube-system. It is there before the change and goes after the restoration, so that a run that was
killed leaves what `conformance undo` needs. It never holds a secret: a change that would need to keep one is refused.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from facts.document import damaged, decoded, need
from facts.errors import CouldNotTell, ProvisioningFailed
from facts.kubernetes.leases import NAMESPACE
from provision.objects import FIELD_MANAGER, RUN_LABEL, Document, Objects, config_map
from provision.runs.fields import MISSING, Field, changed_fields, secrets_in

ORIGINAL_LABEL = "conformance.teleport-istio/original"
"""Label of every such ConfigMap."""

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
    """

    system: System
    kind: str
    name: str
    fields: tuple[Field, ...]
    namespace: str = ""
    api_version: str = ""
    restart: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Kept:
    """A change with the run that made it.

    Attributes:
        key: Name of the ConfigMap.
        run: Id of the run.
        change: The change.
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
        objects: Changes the cluster; its run is the one that makes the changes.
        may_change: Called before each change; raises where the run no longer holds the cluster.
    """

    def __init__(self, objects: Objects, may_change: Callable[[], None] = lambda: None) -> None:
        self._objects = objects
        self._may_change = may_change

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
            ProvisioningFailed: A field holds a secret, the API server does not take the ConfigMap, or the run has lost its
                hold on the cluster.
            CouldNotTell: Whether the run holds it could not be determined.
        """
        if not change.fields:
            return ""
        if secret := change.fields if change.kind == "Secret" else secrets_in(change.fields):
            raise ProvisioningFailed(
                expected="a change whose original can be kept in the cluster until it is restored",
                seen=f"{secret[0]} holds a secret, which the suite stores nowhere, so it changed nothing",
                where=str(change),
                remedy="keep the secret outside this object, as tbot does with the join method kubernetes",
            )
        self._may_change()
        body = json.dumps(_written(change), sort_keys=True)
        key = f"conformance-{self._objects.run_id.lower()}-{hashlib.sha256(body.encode()).hexdigest()[:10]}"
        document = config_map(NAMESPACE, key, {_KEY: body})
        document["metadata"]["labels"] = {ORIGINAL_LABEL: "true"}
        try:
            self._objects.apply(document)
        except BaseException:  # Ctrl-C, or an answer that was lost: the ConfigMap may be there, and the change will not
            with contextlib.suppress(ProvisioningFailed):
                self.forget(key)
            raise
        return key

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
        found = self._objects.all_of("v1", "ConfigMap", namespace=NAMESPACE, label_selector=f"{ORIGINAL_LABEL}=true")
        found.sort(key=lambda each: str(each["metadata"].get("creationTimestamp", "")), reverse=True)
        return tuple(_kept(each) for each in found)


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


def _written(change: Change) -> dict[str, Any]:
    return {
        "system": change.system.value,
        "kind": change.kind,
        "name": change.name,
        "namespace": change.namespace,
        "apiVersion": change.api_version,
        "restart": change.restart,
        "fields": [
            {"path": list(f.path), "made": f.made}
            | ({} if f.was is MISSING else {"was": f.was})
            | ({} if f.ours is MISSING else {"ours": f.ours})
            for f in change.fields
        ],
    }


def _read(document: Any, where: str) -> Change:
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
    )


def _read_field(document: Any, where: str) -> Field:
    path: list[Any] = need(document, "path", list, where)
    if not path or not all(isinstance(key, str) for key in path):
        raise damaged("the field path to be a list of keys", repr(path), where)
    return Field(
        tuple(path), document.get("was", MISSING), document.get("ours", MISSING), need(document, "made", int, where)
    )
