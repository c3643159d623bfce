"""Red herrings: loud things beside an install that have nothing to do with identities, made by means that an operator has.

The doctor must blame none of them. They are kept like the faults (`provision.faults`): data with a context manager.
"""

from __future__ import annotations

from provision.herrings import beside_the_mesh, in_the_mesh
from provision.herrings.herring import Herring

HERRINGS: dict[str, Herring] = {each.name: each for each in (*beside_the_mesh.HERRINGS, *in_the_mesh.HERRINGS)}
"""Every red herring by its name."""

__all__ = ["HERRINGS", "Herring"]
