"""Changes that faults make to Teleport's resources, as by ``tctl create --force`` and ``tctl rm``, and undo afterwards."""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import reduce

from provision.faults.changes import Document
from provision.faults.fault import Scene

Change = Callable[[Document], Document]
"""Returns a changed copy of a resource."""

CREATED_AGAIN = "The suite creates the resource again from its manifest."
"""Undoes a change of a resource, as a sentence."""


@contextmanager
def recreated(
    scene: Scene, sound: Document, change: Change, then: Callable[[Scene], None] = lambda _scene: None
) -> Iterator[None]:
    """Create a resource of Teleport again with a change, and afterwards as it was; after each of the two, do `then`."""
    teleport = scene.teleport
    try:
        teleport.create(change(sound))
        then(scene)
        yield
    finally:
        teleport.create(sound)
        then(scene)


def of_manifest(
    file: str, change: Change, then: Callable[[Scene], None] = lambda _scene: None
) -> Callable[[Scene], AbstractContextManager[None]]:
    """Change the resource of a manifest; `then` is what the operator does after each change."""

    def inject(scene: Scene) -> AbstractContextManager[None]:
        (sound,) = scene.installation.variant.documents(file, {})
        return recreated(scene, sound, change, then)

    return inject


def with_field(path: str, value: object) -> Change:
    """Set one field of a resource's specification, such as ``spiffe.id``."""

    def change(sound: Document) -> Document:
        changed = copy.deepcopy(sound)
        *parents, key = path.split(".")
        reduce(operator.getitem, parents, changed["spec"])[key] = value
        return changed

    return change


@contextmanager
def beside(scene: Scene, further: Document) -> Iterator[None]:
    """Create a further resource of Teleport, and remove it afterwards."""
    teleport = scene.teleport
    try:
        teleport.create(further)
        yield
    finally:
        teleport.remove()


@contextmanager
def removed(scene: Scene, sound: Document) -> Iterator[None]:
    """Remove a resource of Teleport, and create it again afterwards."""
    teleport = scene.teleport
    try:
        teleport.create(sound)  # as this run's own, which alone it removes
        teleport.remove()
        yield
    finally:
        teleport.create(sound)
