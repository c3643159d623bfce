"""The verb of faults in Teleport's resources, which they change as by ``tctl create --force`` and ``tctl rm``."""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import reduce
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from providers.teleport.installing.resources import TOKEN_TEMPLATE, token_file
from provision.faults.changes import Document
from provision.faults.fault import Scene
from provision.faults.steps import Acts, Step, Told, do, filled, together
from provision.installing.variant import RECOMMENDED

Change = Callable[[Document], Document]
"""Returns a changed copy of a resource."""

TOKEN = "token"
FILES = {
    "role": "teleport-bot-role.yaml",
    "bot": "teleport-bot.yaml",
    "workload_identity": "teleport-workload-identity.yaml",
}
"""The manifest of each resource; the join token has a template, because it has keys of the cluster."""

Kind = Literal["role", "bot", "workload_identity", "token"]


def sound_of(scene: Scene, kind: str) -> Document:
    """Return a resource of the installation as its manifest has it; the join token with the keys of this cluster."""
    if kind == TOKEN:
        return token_with(scene, scene.installation.objects.raw("/openid/v1/jwks"))
    (document,) = scene.installation.variant.documents(FILES[kind], {})
    return document


def token_with(scene: Scene, jwks: str) -> Document:
    """Return the join token of the installation with these keys."""
    with token_file(scene.installation.directory, jwks) as file:
        document: Document = yaml.safe_load(file.read_text(encoding="utf-8"))
    return document


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


class Changed(BaseModel):
    """What happens to a resource, as `OfTeleport` describes it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    change: Kind | None = None
    remove: Kind | None = None
    beside: Kind | None = None
    name: Annotated[str, StringConstraints(min_length=1)] | None = None
    set: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_of_three(self) -> Changed:
        if sum(each is not None for each in (self.change, self.remove, self.beside)) != 1:
            raise ValueError("one of change, remove and beside says what happens to a resource")
        if (self.beside is None) is not (self.name is None):
            raise ValueError("beside has the name of the further resource, and nothing else has one")
        if bool(self.set) is not bool(self.change) and not self.beside:
            raise ValueError("change has set, and remove has not")
        return self

    @property
    def kind(self) -> str:
        """Kind of the resource."""
        return str(self.change or self.remove or self.beside)


class OfTeleport(Step):
    """Changes or removes the role, bot, workload identity or join token of the installation, or makes one beside it.

    Attributes:
        teleport: `change` creates the resource again with other fields of its specification (`set`, by paths such as
            ``spiffe.id``), and afterwards as its manifest has it; `remove` removes it, and creates it again; `beside`
            creates a copy with another `name`, in which `set` changes fields, and removes that.
        each_time: What the operator does after a change, and again after it is taken back.
    """

    teleport: Changed
    each_time: Acts = ()

    @model_validator(mode="after")
    def _each_time_of_a_change(self) -> OfTeleport:
        if self.each_time and not self.teleport.change:
            raise ValueError("each_time follows a change")
        return self

    def made(self, scene: Scene) -> AbstractContextManager[None]:
        """Do what the step says."""
        sound = sound_of(scene, self.teleport.kind)
        if self.teleport.remove:
            return removed(scene, sound)
        if self.teleport.name:
            copied = self._with_fields(sound, scene)
            return beside(scene, {**copied, "metadata": {**sound["metadata"], "name": self.teleport.name}})
        return recreated(scene, sound, lambda was: self._with_fields(was, scene), lambda _scene: do(self.each_time, scene))

    def _with_fields(self, sound: Document, scene: Scene) -> Document:
        return reduce(lambda was, field: with_field(*field)(was), filled(self.teleport.set, scene).items(), sound)

    @property
    def told(self) -> Told:
        """The resource, and how it is as before again."""
        name = self.teleport.name or _name_of(self.teleport.kind)
        back = "creates the resource again from its manifest"
        if self.teleport.kind == TOKEN:
            back = "creates the token again with this cluster's JWKS"
        own = Told((f"Teleport {self.teleport.kind}/{name}",), ("removes it" if self.teleport.name else back,))
        return together([own, *(act.told for act in self.each_time)])


def _name_of(kind: str) -> str:
    if kind == TOKEN:
        document = yaml.safe_load(TOKEN_TEMPLATE.read_text(encoding="utf-8"))
    else:
        (document,) = RECOMMENDED.documents(FILES[kind], {})
    return str(document["metadata"]["name"])


VERBS: dict[str, type[Step]] = {"teleport": OfTeleport}
"""Steps of the entries of this provider, beside those of all entries."""
