"""Refuses to build a wheel: the suite is run from a checkout and is no library."""

from __future__ import annotations

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class RunFromCheckout(BuildHookInterface):  # type: ignore[type-arg]
    """Lets an editable install through, which is what `make venv` makes, and nothing else."""

    PLUGIN_NAME = "run-from-checkout"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before a wheel is built; `version` is ``editable`` or ``standard``."""
        if version != "editable":
            raise SystemExit(
                "istio-teleport-conformance runs from a checkout and cannot be installed. What to do: make venv"
            )
        build_data["pure_python"] = True
