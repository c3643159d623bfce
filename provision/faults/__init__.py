"""Named, reversible ways to break an installation, by means that a real operator has.

Each module of a sub-package here defines faults and lists them in its ``FAULTS``; this package collects them all. To add a
fault, add it to the list of one of these modules, or write a new module.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules

from provision.faults.fault import Fault, Operator, Scene, by_name


def _discover() -> Iterator[Fault]:
    """Yield the faults of every module of the sub-packages, in the order of their names."""
    for package in sorted(each.name for each in iter_modules(__path__) if each.ispkg):
        path = import_module(f"{__name__}.{package}").__path__
        for module in sorted(each.name for each in iter_modules(path)):
            yield from import_module(f"{__name__}.{package}.{module}").FAULTS


FAULTS: dict[str, Fault] = by_name(_discover())
"""Every fault by its name; those that CI injects come first."""

__all__ = ["FAULTS", "Fault", "Operator", "Scene"]
