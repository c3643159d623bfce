"""An API server in memory: what `Objects` asks of one, with resource versions, labels and field managers."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Mapping
from typing import Any

from provision.objects import FIELD_MANAGER, RUN_LABEL, Conflict, NotThere

Key = tuple[str, str, str]


def merged(document: Any, change: Mapping[str, Any]) -> dict[str, Any]:
    """The object after a merge patch: mappings by key, null removes, anything else replaces."""
    result = copy.deepcopy(document) if isinstance(document, dict) else {}
    for key, value in change.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping):
            result[key] = merged(result.get(key), value)
        else:
            result[key] = copy.deepcopy(value)
    return result


class ApiServer:
    """The objects of a cluster, shared by those that change it.

    Attributes:
        found: Objects by kind, namespace and name.
        changes: Every change, as verb, kind and name.
        before: Called before each request with verb and kind; raises what the API server would refuse with.
    """

    def __init__(self) -> None:
        self.found: dict[Key, dict[str, Any]] = {}
        self.changes: list[tuple[str, str, str]] = []
        self.before: Callable[[str, str], None] = lambda _verb, _kind: None
        self._versions = itertools.count(1)

    def put(self, document: Mapping[str, Any], manager: str = "kubectl") -> None:
        """Put an object there, as another user does."""
        made = copy.deepcopy(dict(document))
        metadata = made["metadata"]
        metadata["resourceVersion"] = str(next(self._versions))
        metadata.setdefault("uid", f"uid-{metadata['resourceVersion']}")
        managers = metadata.setdefault("managedFields", [])
        if manager not in [m["manager"] for m in managers]:
            managers.append({"manager": manager})
        self.found[made["kind"], metadata.get("namespace", ""), metadata["name"]] = made

    def of(self, kind: str, name: str, namespace: str = "") -> dict[str, Any]:
        return self.found[kind, namespace, name]


class Objects:
    """What `provision.objects.Objects` does, on an API server in memory."""

    def __init__(self, server: ApiServer, run_id: str = "run-1") -> None:
        self.server = server
        self.run_id = run_id
        self.awaited: list[str] = []
        self.restarted: list[str] = []
        self.may_change: Callable[[], None] = lambda: None

    def fenced(self, may_change: Callable[[], None]) -> Objects:
        fenced = copy.copy(self)
        fenced.may_change = may_change
        return fenced

    def unfenced(self) -> Objects:
        return self.fenced(lambda: None)

    def apply(self, document: Mapping[str, Any]) -> dict[str, Any]:
        self.server.before("apply", document["kind"])
        metadata = document["metadata"]
        labels = {**metadata.get("labels", {}), RUN_LABEL: self.run_id}
        return self._put("apply", {**document, "metadata": {**metadata, "labels": labels}})

    def create(self, document: Mapping[str, Any]) -> dict[str, Any]:
        self.server.before("create", document["kind"])
        metadata = document["metadata"]
        if (document["kind"], metadata.get("namespace", ""), metadata["name"]) in self.server.found:
            raise Conflict(expected="", seen="already exists", where="", remedy="")
        return self._put("create", document)

    def patch(
        self, _version: str, kind: str, name: str, change: Mapping[str, Any], *, namespace: str = ""
    ) -> dict[str, Any]:
        self.may_change()
        self.server.before("patch", kind)
        now = self.must_get(_version, kind, name, namespace=namespace)
        wanted = change.get("metadata", {}).get("resourceVersion", now["metadata"]["resourceVersion"])
        if wanted != now["metadata"]["resourceVersion"]:
            raise Conflict(expected="", seen="the object has been modified", where="", remedy="")
        return self._put("patch", merged(now, change))

    def restart(self, kind: str, name: str, *, namespace: str) -> None:
        self.may_change()
        self.server.before("restart", kind)
        self.server.changes.append(("restart", kind, name))
        self.restarted.append(f"{kind} {namespace}/{name}")

    def replace_pod(self, name: str, *, namespace: str) -> None:
        self.may_change()
        self.delete("v1", "Pod", name, namespace=namespace)

    def get(self, _version: str, kind: str, name: str, *, namespace: str = "") -> dict[str, Any] | None:
        self.server.before("get", kind)
        found = self.server.found.get((kind, namespace, name))
        return copy.deepcopy(found)

    def must_get(self, version: str, kind: str, name: str, *, namespace: str = "") -> dict[str, Any]:
        found = self.get(version, kind, name, namespace=namespace)
        if found is None:
            raise NotThere(expected="it", seen="HTTP 404", where=f"{kind} {name}", remedy="")
        return found

    def all_of(self, _version: str, kind: str, *, namespace: str = "", label_selector: str = "") -> list[dict[str, Any]]:
        self.server.before("list", kind)
        wanted = [part.partition("=") for part in label_selector.split(",") if part]
        return [
            copy.deepcopy(each)
            for (its, where, _), each in self.server.found.items()
            if its == kind
            and (not namespace or where == namespace)
            and all(
                key in each["metadata"].get("labels", {}) and (not sign or each["metadata"]["labels"][key] == value)
                for key, sign, value in wanted
            )
        ]

    def delete(self, _version: str, kind: str, name: str, *, namespace: str = "", grace: int | None = None) -> None:  # noqa: ARG002
        self.server.before("delete", kind)
        self.server.changes.append(("delete", kind, name))
        self.server.found.pop((kind, namespace, name), None)
        if kind == "Namespace":
            self.server.found = {key: value for key, value in self.server.found.items() if key[1] != name}

    def await_ready(self, kind: str, name: str, _pace: Any, *, namespace: str = "") -> None:
        self.awaited.append(f"{kind} {namespace}/{name}")

    def await_departures(self, _pace: Any) -> None:
        """Nothing lingers here."""

    def _put(self, verb: str, document: Mapping[str, Any]) -> dict[str, Any]:
        self.server.put(document, FIELD_MANAGER)
        self.server.changes.append((verb, document["kind"], document["metadata"]["name"]))
        metadata = document["metadata"]
        return copy.deepcopy(self.server.of(document["kind"], metadata["name"], metadata.get("namespace", "")))
