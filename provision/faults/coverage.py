"""Which requirement is broken by which fault; and that none is left out. A check that nothing can fail proves nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from facts.catalogue import Catalogue
from provision.faults.fault import Fault

WITHOUT_FAULT = "without-fault.txt"
"""Below ``features/``: ids of requirements that no fault breaks yet, one a line; ``#`` starts a comment."""


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
    faults = list(faults)
    lines = listed_in.read_text(encoding="utf-8").splitlines() if listed_in.exists() else []
    listed = [word for line in lines if (word := line.split("#", 1)[0].strip())]
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
