"""Negative probes: pods that ask for what they must not get, each beside a pod that asks the same and must get it.

The suite makes all that a run needs at the same time, and waits for each when a step asks for it. The pods live in two
namespaces of the suite, one with injection and one without, which the suite removes at the end.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import pytest

from facts.kubernetes.probes import Refused, SdsProbe
from provision.negative.joining import UnauthorizedJoin
from provision.negative.outside import OutsideProcesses
from provision.negative.probe import ProbeNamespaces
from provision.negative.restricted import RestrictedPods
from provision.negative.rules import Rules
from provision.negative.untrusted_client import UntrustedClient
from provision.negative.without_socket import PodsWithoutSocket

IDS = ("NEG-01", "NEG-02", "NEG-03", "NEG-04", "NEG-05", "NEG-06")
"""Requirements that need a negative probe."""

OF_TEST_PODS = frozenset({"NEG-01", "NEG-05"})
"""Those of them in which the untrusted client dials a test pod."""


def requirements_of(scenarios: Iterable[pytest.Item], allowed: Collection[str]) -> set[str]:
    """Return the ids of the requirements whose scenarios will run.

    Args:
        scenarios: Scenarios that pytest has selected.
        allowed: Safety classes that this run allows.
    """
    return {
        mark.kwargs["id"]
        for item in scenarios
        if all(mark.kwargs["kind"] in allowed for mark in item.iter_markers("safety"))
        for mark in item.iter_markers("requirement")
    }


class NegativeProbes:
    """Negative probes, by what they try.

    Args:
        probe_namespaces: Namespaces that they live in.
        rules: Rules of the workload identity.

    Attributes:
        outside: Processes in no pod.
        restricted: Pods under narrowed rules.
        without_socket: Pods whose socket directory is empty.
        untrusted_client: Client that presents certificates that Teleport has not issued.
        join: tbot of another service account.
    """

    def __init__(self, probe_namespaces: ProbeNamespaces, rules: Rules) -> None:
        self._namespaces = probe_namespaces
        self._wanted: set[str] = set()
        self.outside = OutsideProcesses(probe_namespaces)
        self.restricted = RestrictedPods(probe_namespaces, rules)
        self.without_socket = PodsWithoutSocket(probe_namespaces)
        self.untrusted_client = UntrustedClient(probe_namespaces)
        self.join = UnauthorizedJoin(probe_namespaces)

    def begin(self, wanted: Iterable[str]) -> None:
        """Make what some requirements need, without waiting for it.

        Args:
            wanted: Ids of the requirements; ids that are not in `IDS` need nothing.

        Raises:
            ProvisioningFailed: The API server refused an object other than a pod.
            CouldNotTell: The suite could not read the install that the probes try to get into.
        """
        self._wanted = {*wanted} & {*IDS}
        made: list[dict[str, Any]] = []
        if "NEG-02" in self._wanted:
            made += self.outside.documents()
        if "NEG-06" in self._wanted:
            made += self.join.documents()
        if self._wanted & {"NEG-01", "NEG-03", "NEG-04", "NEG-05"}:
            self._namespaces.open()
        if self._wanted & {"NEG-01", "NEG-04", "NEG-05"}:
            made += self.untrusted_client.documents()
        if "NEG-04" in self._wanted:
            made += self.without_socket.documents()
        self._namespaces.make(made)
        if "NEG-02" not in self._wanted:
            self._begin_under_rules()

    def beside(self) -> tuple[SdsProbe | Refused, ...]:
        """Return the answers of the same sockets to a probe pod.

        Only then does the suite narrow the rules: a rule of its own would refuse a process in no pod that the install lets
        in.
        """
        found = self.outside.beside()
        self._begin_under_rules()
        return found

    def _begin_under_rules(self) -> None:
        if "NEG-03" in self._wanted:
            self.restricted.begin()

    def remove(self) -> None:
        """Restore the rules and remove the namespace with injection; the other one goes with the probe pods."""
        self._namespaces.pods.interrupt()
        try:
            self.restricted.restore()
        finally:
            self._namespaces.close()
