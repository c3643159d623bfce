"""Named, reversible ways to break an installation, by means that a real operator has.

Each module of a sub-package here, or of the package ``faults`` of a provider, lists its faults in ``FAULTS``; this package
collects them all. To add a fault, add it to the list of one of these modules, or write a new module.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules

from provision.faults.fault import Fault, Operator, Scene, by_name


def _packages() -> Iterator[str]:
    """Yield the dotted names of all packages of faults: those here, and those of each provider, which are found by name."""
    of_providers = (f"providers.{each.name}.faults" for each in iter_modules(import_module("providers").__path__))
    for parent in (__name__, *of_providers):
        for each in iter_modules(import_module(parent).__path__):
            if each.ispkg:
                yield f"{parent}.{each.name}"


def _discover() -> Iterator[Fault]:
    """Yield the faults of every module of the packages, in the order of their names."""
    for package in sorted(_packages(), key=lambda name: name.rpartition(".")[2]):
        for module in sorted(each.name for each in iter_modules(import_module(package).__path__)):
            yield from import_module(f"{package}.{module}").FAULTS


FAULTS: dict[str, Fault] = by_name(_discover())
"""Every fault by its name; those that CI injects come first."""

__all__ = ["FAULTS", "Fault", "Operator", "Scene"]
