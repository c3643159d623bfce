"""Named, reversible ways to break an installation, by means that a real operator has.

Each fault is defined and registered in a module of a sub-package here; this package imports them all. To add a fault, write
``register(Fault(…))`` in one of these modules, or in a new one.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from provision.faults.fault import Fault, Operator, Scene, registered


def _discover() -> None:
    """Import every module of the sub-packages, in the order of their names."""
    for package in sorted(each.name for each in iter_modules(__path__) if each.ispkg):
        path = import_module(f"{__name__}.{package}").__path__
        for module in sorted(each.name for each in iter_modules(path)):
            import_module(f"{__name__}.{package}.{module}")


_discover()

FAULTS: dict[str, Fault] = registered()
"""Every fault by its name; those that CI injects come first."""

__all__ = ["FAULTS", "Fault", "Operator", "Scene"]
