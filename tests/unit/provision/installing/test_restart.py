"""A restart replaces the pods of a DaemonSet whichever its update strategy is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from provision.objects import Document, Objects


class Asked(Objects):
    """The API server's part: one DaemonSet with two pods, and what was asked for them."""

    def __init__(self, directory: Path, strategy: str) -> None:
        super().__init__(None, "none", "run", timeout=1, discovery=directory / "discovery.json")
        self.strategy = strategy
        self.changes: list[Document] = []
        self.deleted: list[str] = []

    def patch(self, api_version: str, kind: str, name: str, change: Document, *, namespace: str = "") -> dict[str, Any]:
        assert (api_version, kind, name, namespace) == ("apps/v1", "DaemonSet", "tbot", "teleport-system")
        self.changes.append(change)
        return {"spec": {"updateStrategy": {"type": self.strategy}, "selector": {"matchLabels": {"app": "tbot"}}}}

    def all_of(self, api_version: str, kind: str, *, namespace: str = "", label_selector: str = "") -> list[dict[str, Any]]:
        assert (api_version, kind, namespace, label_selector) == ("v1", "Pod", "teleport-system", "app=tbot")
        return [{"metadata": {"name": name}} for name in ("tbot-a", "tbot-b")]

    def delete(self, api_version: str, kind: str, name: str, *, namespace: str = "", grace: int | None = None) -> None:
        assert (api_version, kind, namespace, grace) == ("v1", "Pod", "teleport-system", None)
        self.deleted.append(name)


@pytest.mark.parametrize(("strategy", "deleted"), [("RollingUpdate", []), ("OnDelete", ["tbot-a", "tbot-b"])])
def test_who_replaces_no_pod_by_itself_has_them_deleted(tmp_path: Path, strategy: str, deleted: list[str]) -> None:
    objects = Asked(tmp_path, strategy)
    objects.restart("DaemonSet", "tbot", namespace="teleport-system")
    assert objects.deleted == deleted
    (change,) = objects.changes
    assert change["spec"]["template"]["metadata"]["annotations"], "new pods are told from old ones by another template"
