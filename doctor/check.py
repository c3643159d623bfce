"""A check of the doctor: a title, the judgment that it runs, and what it needs."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from checks.mtls import Sweeps
from facts.finding import Finding, OpenPoint, Problem
from observe.install import Install
from provision.pods.probes import Probes
from settings import Settings


@dataclass(frozen=True, slots=True)
class Case:
    """An install that is broken, and what may be done to find out why.

    Attributes:
        install: Its readings.
        settings: The settings.
        sweeps: Makes the mesh of the readings of its proxies, once.
        probes: Makes probe pods on nodes; None unless ``--allow namespaced`` allows it.
    """

    install: Install
    settings: Settings
    sweeps: Sweeps
    probes: Probes | None = None


class Needs(StrEnum):
    """What a check needs beyond reading; without it the check is not run."""

    SESSION = "an admin session at Teleport (--tctl)"
    PROBES = "probe pods on the nodes (--allow namespaced)"
    AUDIT_EVENTS = "Teleport's audit events (the setting audit_events)"


Answer = Iterable[Finding | Problem | OpenPoint]
"""Findings of judgments; of rules of the diagnosis (`judge.diagnosis`) the problems, and what they could not look at."""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the doctor's table.

    Attributes:
        title: What must be so.
        run: Reads what it needs, and judges it.
        requirement: Id of the requirement whose judgment it runs; empty for a rule of the diagnosis alone.
        needs: What it needs beyond reading.
        of_effects: See `judge.explain.results.CheckResult`.
        harms: False for a rule about what is so by design; of a judgment, the level of its requirement decides.
    """

    title: str
    run: Callable[[Case], Answer]
    requirement: str = ""
    needs: frozenset[Needs] = frozenset()
    of_effects: bool = False
    harms: bool = True


@dataclass(frozen=True, slots=True)
class Section:
    """Checks of one part of the install, in the order in which the parts depend on each other.

    Attributes:
        name: The part.
        checks: Its checks.
    """

    name: str
    checks: tuple[Check, ...]


REPORT_IT = "report it; the other lines are not touched by it"
"""The next step where the suite has a defect."""


def defect(error: Exception) -> str:
    """A defect of the suite, in words, with its place. It must not hide the answers of other checks."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"a defect in the suite: {type(error).__name__}: {error} (in {place.name}, {place.filename}:{place.lineno})"


def probes_of(case: Case) -> Probes:
    """The probe pods of a case, for a check that needs them.

    Raises:
        LookupError: The check does not say that it needs them.
    """
    if case.probes is None:
        raise LookupError("a check that makes probe pods must say so in `needs`")
    return case.probes
