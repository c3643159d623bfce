"""Steps: what the entries of faults say an injection does, in order, each taken back in the reverse order.

A step is a mapping with one verb; the verbs of all entries are in ``verbs.py``. This module reads steps, and takes them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Annotated, Any, ClassVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    ValidationInfo,
)

from provision.faults.fault import Operator, Scene
from provision.render import render


def variables(scene: Scene) -> dict[str, str]:
    """Return the values of the variables that entries may have: those of the manifests, and one of the faults alone."""
    return {**scene.installation.variables, "TBOT_AFFECTED_IMAGE": scene.installation.sources.tbot_affected_image}


def filled(value: Any, scene: Scene) -> Any:
    """Return a copy of a value of an entry, with the variables in all of its texts filled in."""
    if isinstance(value, str):
        return render(value, variables(scene), where="an entry of a fault") if "${" in value else value
    if isinstance(value, Mapping):
        return {key: filled(each, scene) for key, each in value.items()}
    return [filled(each, scene) for each in value] if isinstance(value, list | tuple) else value


# References to Python.


@dataclass(frozen=True, slots=True)
class Place:
    """Where an entry stands, which decides what it may refer to.

    Attributes:
        package: The package of its file: an entry may refer to all modules of it, of the packages beside it, and of those
            in ``provision.faults``.
        verbs: The steps that its entries may have, by verb.
    """

    package: str
    verbs: Mapping[str, type[Step]]

    def module(self, name: str) -> str | None:
        """Return the dotted name of a module that an entry calls ``firewall`` or ``surroundings.firewall``."""
        parents = (self.package, self.package.rpartition(".")[0], "provision.faults")
        return next((found for parent in parents if _is_module(found := f"{parent}.{name}")), None)


def _is_module(dotted: str) -> bool:
    try:
        return find_spec(dotted) is not None
    except ModuleNotFoundError:
        return False


@dataclass(frozen=True, slots=True)
class Reference:
    """A function of a module beside the entries.

    Attributes:
        module: Dotted name of the module.
        name: Name of the function.
    """

    module: str
    name: str

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Call the function that has this name now."""
        return self.function(*arguments, **named)

    @property
    def function(self) -> Callable[..., Any]:
        """The function."""
        found: Callable[..., Any] = getattr(import_module(self.module), self.name)
        return found


def _found(value: object, info: ValidationInfo) -> Reference:
    place: Place = (info.context or {})["place"]
    before, _, name = str(value).rpartition(".")
    module = place.module(before) if before else None
    if module is None:
        raise ValueError(f"no module {before!r} beside the entries of {place.package}")
    if name.startswith("_") or not callable(getattr(import_module(module), name, None)):
        raise ValueError(f"no public function {name!r} in {module}")
    return Reference(module, name)


Referred = Annotated[Reference, PlainValidator(_found)]
"""``module.function``, or ``package.module.function`` of a package beside that of the entry."""


def _list(value: object) -> object:
    return value if isinstance(value, list) else [value]


def _step_of(value: object, info: ValidationInfo) -> Step:
    place: Place = (info.context or {})["place"]
    verbs = [verb for verb in place.verbs if isinstance(value, dict) and verb in value]
    if len(verbs) != 1:
        seen = " and ".join(verbs) or (", ".join(map(str, value)) if isinstance(value, dict) else repr(value))
        raise ValueError(f"a step has one verb of {', '.join(place.verbs)}; this one has {seen}")
    try:
        return place.verbs[verbs[0]].model_validate(value, context=info.context)
    except ValidationError as error:
        told = [f"{'.'.join(map(str, each['loc'])) or verbs[0]}: {each['msg']}" for each in error.errors()]
        raise ValueError("; ".join(told)) from error


def _act_of(value: object, info: ValidationInfo) -> Step:
    step = _step_of(value, info)
    if not step.is_act:
        raise ValueError("only wait, restart and do may stand here")
    return step


@dataclass(frozen=True, slots=True)
class Told:
    """What a step says of itself for docs/faults.md.

    Attributes:
        touches: Objects that it changes; None where only the entry can tell.
        undo: What the suite does to take it back, as verbs with their objects, and for an act what it does; None likewise.
    """

    touches: tuple[str, ...] | None = ()
    undo: tuple[str, ...] | None = ()


def together(told: Iterable[Told]) -> Told:
    """Return what several steps say, one after the other."""
    every = list(told)
    return Told(_joined(each.touches for each in every), _joined(each.undo for each in every))


def _joined(parts: Iterable[tuple[str, ...] | None]) -> tuple[str, ...] | None:
    known = list(parts)
    return None if None in known else tuple(word for part in known for word in part or ())


class Step(BaseModel):
    """A step of an injection; refuses unknown keys and converts nothing.

    Attributes:
        is_act: True where the step is something to do once, which nothing has to take back.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, arbitrary_types_allowed=True)
    is_act: ClassVar[bool] = False

    def made(self, scene: Scene) -> AbstractContextManager[object]:
        """Return the context manager that takes the step, and on exit takes it back."""
        raise NotImplementedError

    @property
    def told(self) -> Told:
        """What it says of itself."""
        return Told(() if self.is_act else None, None)


Steps = Annotated[
    tuple[Annotated[Step, PlainValidator(_step_of)], ...], BeforeValidator(_list), Field(strict=False, min_length=1)
]
"""One step, or a list of them."""
Acts = Annotated[tuple[Annotated[Step, PlainValidator(_act_of)], ...], BeforeValidator(_list), Field(strict=False)]
"""One act, or a list of them."""
Arguments = Annotated[dict[str, Any], Field(default_factory=dict, alias="with")]


def taken(steps: Sequence[Step], scene: Scene) -> AbstractContextManager[Operator | None]:
    """Take steps in order, and take them back in the reverse order; yield the operator that one of them yields.

    What the first step reads, it reads before it is entered: where that fails, nothing has to be taken back.
    """
    first, *others = steps
    return _taken(first.made(scene), others, scene)


@contextmanager
def _taken(first: AbstractContextManager[object], others: Sequence[Step], scene: Scene) -> Iterator[Operator | None]:
    with ExitStack() as stack:
        given = [stack.enter_context(first)]
        given += [stack.enter_context(step.made(scene)) for step in others]
        yield next((each for each in given if isinstance(each, Operator)), None)


def do(acts: Iterable[Step], scene: Scene) -> None:
    """Do one thing after the other."""
    for act in acts:
        with act.made(scene):
            pass


@contextmanager
def then(change: AbstractContextManager[object], acts: Sequence[Step], scene: Scene) -> Iterator[None]:
    """Make a change and, if it was made, do something after it was taken back, even where that failed."""
    changed = False
    try:
        with change:
            changed = True
            yield
    finally:
        if changed:
            do(acts, scene)


def must_take(reference: Reference, arguments: tuple[object, ...], named: Mapping[str, Any]) -> None:
    """Refuse arguments that a function does not take.

    Raises:
        ValueError: It does not take them.
    """
    try:
        inspect.signature(reference.function).bind(*arguments, **named)
    except TypeError as error:
        raise ValueError(f"{reference.name} of {reference.module}: {error}") from error
