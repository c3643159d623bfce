"""Which requirement is broken by which fault; and that none is left out. A check that nothing can fail proves nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from facts.catalogue import Catalogue
from provision.faults.fault import Fault

WITHOUT_FAULT = "without-fault.txt"
"""Below ``features/``: ids of requirements that no fault breaks, one a line, each with its reason behind a ``#``."""


def read_listed(file: Path) -> list[tuple[str, str]]:
    """The entries of such a list: an id and its reason, which may be empty; there are none where there is no file."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    parted = [line.partition("#") for line in lines]
    return [(word.strip(), reason.strip()) for word, _, reason in parted if word.strip()]


def breaking(requirement: str, faults: Iterable[Fault]) -> list[Fault]:
    """The faults that break a requirement."""
    return [fault for fault in faults if requirement in fault.breaks]


def lint_coverage(listed_in: Path, catalogue: Catalogue, faults: Iterable[Fault]) -> Iterator[str]:
    """What is wrong with the faults' coverage of the catalogue, one sentence each.

    Args:
        listed_in: The list of requirements without a fault.
        catalogue: All requirements.
        faults: All faults.
    """
    faults, entries = list(faults), read_listed(listed_in)
    listed = [requirement for requirement, _ in entries]
    for requirement in catalogue.requirements:
        by = breaking(requirement, faults)
        if not by and requirement not in listed:
            yield f"{requirement} is broken by no fault: write one in provision/faults/, or nobody knows that it can fail"
        if by and requirement in listed:
            yield f"{listed_in.name}: {requirement} is broken by {by[0].name}; take it off the list"
    for requirement, times in Counter(listed).items():
        if requirement not in catalogue:
            yield f"{listed_in.name}: {requirement} is not in the catalogue"
        if times > 1:
            yield f"{listed_in.name}: {requirement} is listed {times} times"
    for requirement, reason in entries:
        if not reason:
            yield f"{listed_in.name}: {requirement} is listed without a reason: write it behind a #"
    yield from _lint_definitions(catalogue, faults)


def _lint_definitions(catalogue: Catalogue, faults: Sequence[Fault]) -> Iterator[str]:
    for fault in faults:
        for unknown in sorted(fault.judged - {*catalogue.requirements}):
            yield f"the fault {fault.name} names {unknown}, which is not in the catalogue"
        for both in sorted(fault.breaks & fault.blinds):
            yield f"the fault {fault.name} both breaks {both} and makes it impossible to tell"
        if not fault.breaks:
            yield f"the fault {fault.name} breaks nothing"
    for name, times in Counter(fault.name for fault in faults).items():
        if times > 1:
            yield f"{times} faults are called {name}"
