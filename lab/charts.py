"""Helm and the charts of the lab's Istio: built on request, since no cluster of the lab needs them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab import parts
from lab.components import helm_component
from lab.host import Host
from lab.parts import Part, Progress, keys, outdated
from lab.recipes import charts_part, go_part
from lab.store import Store
from lab.versions import Versions


@dataclass(frozen=True, slots=True)
class Charts:
    """What installs Istio as its documentation of Helm does.

    Attributes:
        helm: Helm's program.
        directory: Directory with the charts ``base``, ``istiod`` and ``gateway``.
    """

    helm: Path
    directory: Path


def chart_parts(versions: Versions) -> tuple[Part, Part]:
    """Helm, and the charts of the default Istio."""
    return go_part(helm_component(versions)), charts_part(versions.istio)


def prepared(versions: Versions, store: Store, progress: Progress, say: Callable[[str], None]) -> Charts:
    """Build what is missing or out of date of the two, and return where they are.

    Args:
        versions: Versions of both.
        store: The cache.
        progress: Told how the build goes.
        say: Told in a sentence whom the build waits for.

    Raises:
        LabError: Go is missing or too old, or a part could not be built.
    """
    wanted = chart_parts(versions)
    with store.lock("build", say):
        if stale := outdated(wanted, store):
            Host(store.directory, say).require_for_build(versions, [part.name for part in stale])
            parts.build(wanted, store, progress)
    found = keys(wanted)
    helm, charts = (store.part_directory(part.name, found[part.name]) for part in wanted)
    return Charts(helm / "helm", charts)
