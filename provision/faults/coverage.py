"""Coverage: every requirement is broken by a fault, and every cause of a broken install has a fault.

A check that cannot fail proves nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

from facts.catalogue import Catalogue
from provision.faults.fault import Fault

WITHOUT_FAULT = "without-fault.txt"
"""File in ``features/``: ids of requirements that no fault breaks, one a line, each with its reason after a ``#``."""

CAUSES_WITHOUT_FAULT = Path(__file__).with_name("causes-without-fault.txt")
"""File with the ids of causes that no fault has, in the same form."""


def read_listed(file: Path) -> list[tuple[str, str]]:
    """Return the entries of such a list, each an id and its reason (or ""); none where there is no file."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    parted = [line.partition("#") for line in lines]
    return [(word.strip(), reason.strip()) for word, _, reason in parted if word.strip()]


def breaking(requirement: str, faults: Iterable[Fault]) -> list[Fault]:
    """Return the faults that break a requirement."""
    return [fault for fault in faults if requirement in fault.breaks]


def lint_coverage(listed_in: Path, catalogue: Catalogue, faults: Iterable[Fault]) -> Iterator[str]:
    """Yield what is wrong with the faults' coverage of the catalogue, one sentence each.

    Args:
        listed_in: The list of requirements without a fault.
        catalogue: All requirements.
    """
    faults, entries = list(faults), read_listed(listed_in)
    listed = [requirement for requirement, _ in entries]
    for requirement in catalogue.requirements:
        by = breaking(requirement, faults)
        if not by and requirement not in listed:
            yield f"{requirement} is broken by no fault: write one in provision/faults/, to show that it can fail"
        if by and requirement in listed:
            yield f"{listed_in.name}: {requirement} is broken by {by[0].name}; take it off the list"
    for requirement in dict.fromkeys(listed):
        if requirement not in catalogue:
            yield f"{listed_in.name}: {requirement} is not in the catalogue"
    yield from _lint_list(listed_in, entries)
    yield from _lint_definitions(catalogue, faults)


def lint_causes(listed_in: Path, causes: Collection[str], faults: Iterable[Fault]) -> Iterator[str]:
    """Yield what is wrong with the causes that faults name, one sentence each.

    Args:
        listed_in: The list of causes without a fault.
        causes: Ids of all causes.
    """
    faults, entries = list(faults), read_listed(listed_in)
    named = {cause: fault.name for fault in faults for cause in (fault.cause, *fault.further_causes)}
    listed = {cause for cause, _ in entries}
    for fault in faults:
        if fault.cause not in causes:
            yield f"the fault {fault.name} names the cause {fault.cause}, which is not in judge/explain/causes"
    for cause in causes:
        if cause not in named and cause not in listed:
            yield f"no fault has the cause {cause}: write one in provision/faults/, or list it in {listed_in.name}"
        if cause in named and cause in listed:
            yield f"{listed_in.name}: {named[cause]} has the cause {cause}; take it off the list"
    for cause in sorted(listed.difference(causes)):
        yield f"{listed_in.name}: {cause} is not in judge/explain/causes"
    yield from _lint_list(listed_in, entries)


def _lint_list(listed_in: Path, entries: Sequence[tuple[str, str]]) -> Iterator[str]:
    for each, times in Counter(each for each, _ in entries).items():
        if times > 1:
            yield f"{listed_in.name}: {each} is listed {times} times"
    for each, reason in entries:
        if not reason:
            yield f"{listed_in.name}: {each} is listed without a reason: write it behind a #"


def _lint_definitions(catalogue: Catalogue, faults: Sequence[Fault]) -> Iterator[str]:
    for fault in faults:
        for unknown in sorted(fault.judged - {*catalogue.requirements}):
            yield f"the fault {fault.name} names {unknown}, which is not in the catalogue"
        for both in sorted(fault.breaks & fault.blinds):
            yield f"the fault {fault.name} both breaks and blinds {both}"
        if not fault.breaks:
            yield f"the fault {fault.name} breaks nothing"
