"""Originals in a cluster in memory."""

from __future__ import annotations

from typing import Any, cast

from provision.runs.originals import Change, Kept, Originals
from tests.unit.provision.cluster import ApiServer, Objects


def nowhere() -> Originals:
    """Originals for a test that is not about the cluster that they are kept in."""
    return Originals(cast("Any", Objects(ApiServer())))


def changes_kept(originals: Originals) -> list[Change]:
    """The changes whose originals are kept now."""
    return [each.change for each in originals.all() if isinstance(each, Kept)]
