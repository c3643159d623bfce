"""Types of the table of checks: a check reads what it needs and judges it, for scenarios, the doctor and the docs alike."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from checks.mtls import Sweeps
from facts.finding import Finding, OpenPoint, Problem
from facts.kubernetes.probes import KubeletAddress, NodeProbe, Refused, SdsProbe, SocketDirectoryProbe, TeleportProbe
from observe.install import Install
from settings import Settings

T = TypeVar("T")


class ProbePods(Protocol):
    """Makes probe pods on nodes; each method waits for the answers of its pods."""

    service_account: str

    def namespace(self) -> str:
        """Return the namespace of the probe pods, which is made at the first call."""

    def on_nodes(self, nodes: Sequence[str], kubelet: KubeletAddress) -> tuple[NodeProbe | Refused, ...]:
        """Probe nodes as tbot would use them."""

    def of_sockets(self, sockets: Sequence[tuple[str, str]], image: str) -> tuple[SdsProbe | Refused, ...]:
        """Ask sockets, each by node and path, for the probe's own identity, with a proxy image."""

    def of_socket_directories(
        self, nodes: Sequence[str], socket_directory: str
    ) -> tuple[SocketDirectoryProbe | Refused, ...]:
        """Report what a workload on each node can do to a directory there."""

    def of_teleport(self, nodes: Sequence[str], address: str, tbot: tuple[str, str]) -> tuple[TeleportProbe | Refused, ...]:
        """Dial an address from each node with the network settings of the pods of a DaemonSet, by namespace and name."""


class Kept:
    """What the steps of one scenario have read, so that its conclusions stand on the same readings."""

    def __init__(self) -> None:
        self._made: dict[Callable[..., Any], Any] = {}
        self._lock = threading.RLock()

    def of(self, case: Case, reading: Callable[[Case], T]) -> T:
        """Return what a reading gave, made at the first call."""
        with self._lock:
            if reading not in self._made:
                self._made[reading] = reading(case)
            made: T = self._made[reading]
            return made

    def has(self, reading: Callable[[Case], Any]) -> bool:
        """Tell whether a step has asked for a reading."""
        return reading in self._made


@dataclass(frozen=True, slots=True)
class Case:
    """An install under examination, and what may be done to find out about it.

    Attributes:
        install: Its readings.
        sweeps: Makes the mesh of the readings of its proxies, once.
        probes: Makes probe pods on nodes; None where no pod may be made.
        kept: What earlier steps of the scenario have read; None outside of a scenario.
    """

    install: Install
    settings: Settings
    sweeps: Sweeps
    probes: ProbePods | None = None
    kept: Kept | None = None

    def of(self, reading: Callable[[Case], T]) -> T:
        """Return what a reading gives: within a scenario, what its first call gave."""
        return reading(self) if self.kept is None else self.kept.of(self, reading)

    def asked_for(self, reading: Callable[[Case], T]) -> T | None:
        """Return what a reading gave to an earlier step; None where no step asked for it."""
        return self.of(reading) if self.kept is not None and self.kept.has(reading) else None

    @property
    def probe_pods(self) -> ProbePods:
        """The probe pods, for a check that needs them.

        Raises:
            LookupError: The check does not say that it needs them.
        """
        if self.probes is None:
            raise LookupError("a check that makes probe pods must say so in `needs`")
        return self.probes


class Needs(StrEnum):
    """What a check needs beyond reading; without it the doctor does not run the check."""

    SESSION = "an admin session at Teleport (--tctl)"
    PROBES = "probe pods on the nodes (--allow namespaced)"
    AUDIT_EVENTS = "Teleport's audit events (the setting audit_events)"


SESSION, PROBES = frozenset({Needs.SESSION}), frozenset({Needs.PROBES})

Answer = Iterable[Finding | Problem | OpenPoint]
"""Findings of judgments; of rules of the diagnosis the problems, and what they could not look at."""

Judged = Callable[[Case], Iterable[Finding]]
"""Reads what a judgment needs, and judges it."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a Given or a When of a scenario reads.

    Attributes:
        sentences: The sentences of the features that ask for it.
        read: Makes the reading; a check that takes it by `Case.of` gets what the step read.
        needs: What it needs beyond reading.
    """

    sentences: tuple[str, ...]
    read: Callable[[Case], object]
    needs: frozenset[Needs] = frozenset()


@dataclass(frozen=True, slots=True)
class Check:
    """One question about an install.

    Attributes:
        title: What must be so, as the doctor prints it.
        run: Reads what it needs, and judges it.
        requirement: Id of the requirement that it judges; empty for a rule of the diagnosis alone.
        needs: What it needs beyond reading.
        then: The sentence of the scenario that concludes with it; empty where `parts` have theirs, or no scenario asks it.
        parts: The judgments that it consists of where a scenario has a sentence for each: sentence and judgment.
        of_effects: It names those who feel a defect, such as a proxy that refuses its peer, not those who have it.
        harms: False for a rule about what is so by design; of a judgment, the level of its requirement decides.
        left_out: Why the doctor does not run it; empty if it does.
    """

    title: str
    run: Callable[[Case], Answer]
    requirement: str = ""
    needs: frozenset[Needs] = frozenset()
    then: str = ""
    parts: tuple[tuple[str, Judged], ...] = ()
    of_effects: bool = False
    harms: bool = True
    left_out: str = ""

    @classmethod
    def of_parts(
        cls, title: str, requirement: str, *parts: tuple[str, Judged], needs: frozenset[Needs] = frozenset()
    ) -> Check:
        """Return a check that runs several judgments, each with its own sentence, one after the other."""
        run = lambda case: [finding for _then, judged in parts for finding in judged(case)]  # noqa: E731
        return cls(title, run, requirement, needs, parts=parts)

    @property
    def sentences(self) -> tuple[tuple[str, Callable[[Case], Answer]], ...]:
        """The sentences of scenarios that conclude with it, each with what it runs."""
        return self.parts or (((self.then, self.run),) if self.then else ())


@dataclass(frozen=True, slots=True)
class Part:
    """Checks of one part of the install, in the order in which the parts depend on each other.

    Attributes:
        name: The part.
        checks: Its checks, in the order in which the doctor prints them.
        readings: What scenarios about it read first.
    """

    name: str
    checks: tuple[Check, ...]
    readings: tuple[Reading, ...] = ()
