"""Named, reversible ways to break an installation, by means that a real operator has.

Each YAML file of a sub-package here, or of the package ``faults`` of a provider, has entries (``entries.py``), beside the
Python that some of them need; this package collects them all. To add a fault, add an entry to one of these files, or write a
new file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from pkgutil import iter_modules

from provision.faults.entries import read_faults
from provision.faults.fault import Fault, Operator, Scene, by_name
from provision.faults.steps import Place
from provision.faults.verbs import VERBS

ROOT = Path(__file__).resolve().parents[2]
CAUSES, CATALOGUE = (ROOT / "judge" / "explain" / "causes",), ROOT / "features" / "catalogue.yaml"
"""Read as files: provision does not import judge."""


def _places() -> Iterator[Place]:
    """Yield all packages of faults: those here, and those of each provider, which are found by name."""
    of_providers = (f"providers.{each.name}.faults" for each in iter_modules(import_module("providers").__path__))
    for parent in (__name__, *of_providers):
        verbs = VERBS | (import_module(f"{parent}.verbs").VERBS if find_spec(f"{parent}.verbs") else {})
        for each in iter_modules(import_module(parent).__path__):
            if each.ispkg:
                yield Place(f"{parent}.{each.name}", verbs)


def _discover() -> Iterator[Fault]:
    """Yield the faults of every file of the packages, in the order of their names."""
    causes = frozenset(each for folder in CAUSES for file in folder.glob("*.yaml") for each in _ids_in(file))
    requirements = _ids_in(CATALOGUE)
    for place in sorted(_places(), key=lambda place: place.package.rpartition(".")[2]):
        for folder in import_module(place.package).__path__:
            for file in sorted(Path(folder).glob("*.yaml")):
                yield from read_faults(file, place, causes=causes, requirements=requirements)


def _ids_in(file: Path) -> frozenset[str]:
    """Return the ids in a list of mappings; without YAML, which would take half a second whenever the suite starts."""
    return frozenset(re.findall(r"^ *- id: (\S+)$", file.read_text(encoding="utf-8"), re.MULTILINE))


FAULTS: dict[str, Fault] = by_name(_discover())
"""Every fault by its name; those that CI injects come first."""

__all__ = ["FAULTS", "Fault", "Operator", "Scene"]
