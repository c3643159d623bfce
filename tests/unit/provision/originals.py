"""Originals that are written down instead of kept in a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from provision.runs.originals import Change, Originals


class Noted:
    """What is kept, by key, and everything that ever was.

    Attributes:
        kept: Changes, or patches of objects, that are not restored yet.
        ever: Every one.
    """

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}
        self.ever: list[Any] = []

    def keep(self, change: Change) -> str:
        return self._note(change)

    def before_patch(
        self, _version: str, kind: str, name: str, change: Mapping[str, Any], *, namespace: str, restart: str = ""
    ) -> str:
        return self._note((f"{kind} {namespace}/{name}", change, restart))

    def forget(self, key: str) -> None:
        self.kept.pop(key, None)

    def _note(self, change: Any) -> str:
        self.ever.append(change)
        key = f"key-{len(self.ever)}"
        self.kept[key] = change
        return key


def nowhere() -> Originals:
    """Originals for a test that is not about them."""
    return cast("Originals", Noted())
