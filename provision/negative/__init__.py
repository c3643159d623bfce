"""Negative probes: pods that ask for what they must not get, and beside each one that asks the same and must get it.

All that a run needs are made at the same time; each is awaited, and looked at, when a step asks for it. They live in two
namespaces of the run, one with injection and one without, which are removed at the end.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from facts.kubernetes.probes import Refused, SdsProbe
from provision.negative.joining import Joining
from provision.negative.outside import Outside
from provision.negative.probe import ProbeNamespaces
from provision.negative.ruled import Ruled
from provision.negative.rules import Rules
from provision.negative.socketless import Socketless
from provision.negative.untrusted_client import UntrustedClient

IDS = ("NEG-01", "NEG-02", "NEG-03", "NEG-04", "NEG-05", "NEG-06")
"""The requirements that need an intruder."""


class NegativeProbes:
    """The intruders of a run, by what they try.

    Args:
        probe_namespaces: Where they live.
        rules: Of the workload identity.

    Attributes:
        outside: Processes in no pod.
        ruled: Workloads under narrowed rules.
        socketless: Workloads without a socket.
        stranger: A client that shows what it wants.
        joining: A tbot of another service account.
    """

    def __init__(self, probe_namespaces: ProbeNamespaces, rules: Rules) -> None:
        self._namespaces = probe_namespaces
        self._wanted: set[str] = set()
        self.outside = Outside(probe_namespaces)
        self.ruled = Ruled(probe_namespaces, rules)
        self.socketless = Socketless(probe_namespaces)
        self.stranger = UntrustedClient(probe_namespaces)
        self.joining = Joining(probe_namespaces)

    def begin(self, wanted: Iterable[str]) -> None:
        """Makes what some requirements need, without waiting for it.

        Args:
            wanted: Their ids; others than `IDS` need nothing.

        Raises:
            ProvisioningFailed: The API server refused something that is no pod.
            CouldNotTell: What they try to get into could not be read.
        """
        self._wanted = {*wanted} & {*IDS}
        made: list[dict[str, Any]] = []
        if "NEG-02" in self._wanted:
            made += self.outside.documents()
        if "NEG-06" in self._wanted:
            made += self.joining.documents()
        if self._wanted & {"NEG-01", "NEG-03", "NEG-04", "NEG-05"}:
            self._namespaces.open()
        if self._wanted & {"NEG-01", "NEG-04", "NEG-05"}:
            made += self.stranger.documents()
        if "NEG-04" in self._wanted:
            made += self.socketless.documents()
        self._namespaces.make(made)
        if "NEG-02" not in self._wanted:
            self._begin_under_rules()

    def beside(self) -> tuple[SdsProbe | Refused, ...]:
        """The answers of the same sockets to a probe in a pod.

        The rules are narrowed only then: one of the run's own would refuse a process in no pod that the install lets in.
        """
        found = self.outside.beside()
        self._begin_under_rules()
        return found

    def _begin_under_rules(self) -> None:
        if "NEG-03" in self._wanted:
            self.ruled.begin()

    def remove(self) -> None:
        """Puts the rules back and removes the namespace; that of the probes goes with the probes."""
        self._namespaces.pods.interrupt()
        try:
            self.ruled.restore()
        finally:
            self._namespaces.close()
