"""Pushes of secrets to an Envoy, with or without new content, by Envoy's own statistics.

Source: Envoy's statistics of an SDS subscription, ``sds.SECRET.*``. A proxy of Istio keeps them only where its pod asks for
them (annotation ``sidecar.istio.io/statsInclusionPrefixes``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from facts.document import mappings, maybe, need, when
from facts.errors import CouldNotTell
from facts.masks import keeps
from facts.proxies.envoy import STATISTICS

PUSHES = r"/stats?format=json&filter=^sds\.default\."
"""The question for Envoy's admin interface."""


@dataclass(frozen=True, slots=True)
class Pushes:
    """The last push of the secret ``default``.

    Attributes:
        version: The SDS server's version of the last push, from ``version_text``.
        evidence: Ids of the readings.
        rejected: Pushes that Envoy refused so far, from ``update_rejected``.
    """

    version: str
    evidence: tuple[str, ...] = ()
    rejected: int = 0

    @property
    def last(self) -> datetime | None:
        """The time of the last push, which tbot writes as the version; None for another server's version."""
        return pushed_at(self.version)


def pushed_at(version: str) -> datetime | None:
    """The time that a version names, as tbot's do; None for any other version."""
    try:
        return when(version, "version")
    except CouldNotTell:
        return None


@keeps(STATISTICS)
def parse_pushes(document: Any, evidence: tuple[str, ...] = ()) -> Pushes | None:
    """Reads an answer to `PUSHES`; None where the proxy keeps no such statistic.

    Raises:
        CouldNotTell: It is damaged.
    """
    where = "/stats: sds.default"
    need(document, "stats", list, where)
    version, rejected = None, 0
    for stat in mappings(document, "stats", where):
        name = maybe(stat, "name", "", where)
        if version is None and name.endswith("version_text"):
            version = need(stat, "value", str, where)
        elif name.endswith("update_rejected"):
            rejected = need(stat, "value", int, where)
    return None if version is None else Pushes(version, evidence, rejected)
