"""The API server's answer about each right that a run needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from facts.kubernetes.access import Right
from observe.kubernetes.facet import ClusterFacet
from observe.kubernetes.needed import Where, needed_by
from observe.readings import Key, at_once, of_each

ADMIN = ("*", "*", "*", "")
"""The right for provisioning: the guide's cluster admin."""

RIGHTS: Key[tuple[Right, ...]] = Key("rights", of_each, ("cluster",))


@dataclass(frozen=True, slots=True)
class RightsFacet:
    """Readings of this run's rights.

    Attributes:
        namespaces_of: Returns the namespaces of a place; an empty name stands for all. It may read the install.
        allowed: Safety classes of this run; they decide which rights it needs.
        profiles: Names of the profiles to certify; they decide which further rights it needs.
        provisions: This run installs, and so needs admin rights.
    """

    cluster: ClusterFacet
    namespaces_of: Callable[[Where], tuple[str, ...]]
    allowed: frozenset[str]
    profiles: frozenset[str]
    provisions: bool

    def reviewed(self) -> tuple[Right, ...]:
        """The API server's answer about each right that this run needs."""
        wanted = list(dict.fromkeys(self._wanted()))
        return self.cluster.once(RIGHTS, lambda: at_once(lambda right: self.cluster.reader.can_i(*right), wanted))

    def _wanted(self) -> Iterator[tuple[str, str, str, str]]:
        """Verb, API group, resource and namespace of each right."""
        if self.provisions:
            # An administrator has every other right, and asks before there is an install to read names from.
            yield ADMIN
        gateway_api = "namespaced" in self.allowed and not self.provisions and self._knows_the_gateway_api()
        version, _evidence = self.cluster.version()
        server = (version.major, version.minor)
        for row in needed_by(self.allowed, self.profiles, gateway_api=gateway_api, server=server):
            for namespace in self.namespaces_of(row.where):
                for verb, group, resource in row.each():
                    yield verb, group, resource, namespace

    def _knows_the_gateway_api(self) -> bool:
        return self.cluster.gateway_api().document is not None
