"""The vocabulary in which entries say how a fault is injected: steps in order, each taken back in the reverse order.

A step is a mapping with one verb. What truly needs code stays a context manager in Python, to which the verb `code` refers.
A provider has verbs of its own (``VERBS`` in its package ``faults``).
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial, reduce
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from provision.faults.changes import Document, applied, edited_text, patched, pod_template
from provision.faults.fault import Operator, Scene
from provision.names import APP, GATEWAY, ISTIO_NAMESPACE, ISTIOD, TBOT, TBOT_NAMESPACE
from provision.render import MANIFESTS, documents, render

OBJECTS = {
    "tbot": ("DaemonSet", TBOT, TBOT_NAMESPACE),
    "app": ("Deployment", APP, APP),
    "gateway": ("Deployment", GATEWAY, ISTIO_NAMESPACE),
    "istiod": ("Deployment", ISTIOD, ISTIO_NAMESPACE),
}
"""What `patch` changes, and what `wait` waits for the rollout of: kind, name and namespace."""

OTHER_VARIABLES = {"TBOT_AFFECTED_IMAGE": "tbot_affected_image"}
"""Variables of entries beside those of the manifests, each with the attribute of the sources that has its value."""


class Variables(Mapping[str, str]):
    """The variables of the manifests, and a few of the faults alone; each value is read when it is asked for."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def __getitem__(self, name: str) -> str:
        if name in OTHER_VARIABLES:
            return str(getattr(self._scene.installation.sources, OTHER_VARIABLES[name]))
        return self._scene.installation.variables[name]

    def __iter__(self) -> Iterator[str]:
        return iter((*self._scene.installation.variables, *OTHER_VARIABLES))

    def __len__(self) -> int:
        return len(self._scene.installation.variables) + len(OTHER_VARIABLES)


def filled(value: Any, scene: Scene) -> Any:
    """Return a copy of a value of an entry, with the variables in all of its texts filled in."""
    if isinstance(value, str):
        return render(value, Variables(scene), where="an entry of a fault") if "${" in value else value
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


def _must_take(reference: Reference, arguments: tuple[object, ...], named: Mapping[str, Any]) -> None:
    try:
        inspect.signature(reference.function).bind(*arguments, **named)
    except TypeError as error:
        raise ValueError(f"{reference.name} of {reference.module}: {error}") from error


class Wait(Step):
    """Waits for a fact of the scene; the methods of `Scene` say what each means."""

    is_act = True
    wait: Literal[
        "tbot", "app", "injected", "refusal", "rollout of tbot", "rollout of app", "rollout of gateway", "rollout of istiod"
    ]

    @contextmanager
    def made(self, scene: Scene) -> Iterator[None]:
        """Wait."""
        if self.wait.startswith(ROLLOUT):
            scene.await_rollout(*OBJECTS[self.wait.removeprefix(ROLLOUT)])
        else:
            getattr(scene, f"await_{self.wait}")()
        yield

    @property
    def told(self) -> Told:
        """What it waits for."""
        return Told(undo=(f"waits {WAITS_FOR.get(self.wait, 'for the rollout')}",))


ROLLOUT = "rollout of "
WAITS_FOR = {
    "tbot": "until every Envoy has its streams again",
    "injected": "until the API server accepts an injected pod again",
    "refusal": "until the API server refuses an injected pod",
}


class Restart(Step):
    """Restarts tbot or the test application, and waits until it is as it was."""

    is_act = True
    restart: Literal["tbot", "app"]

    @contextmanager
    def made(self, scene: Scene) -> Iterator[None]:
        """Restart it."""
        {"tbot": scene.restart_tbot, "app": scene.restart_app}[self.restart]()
        yield

    @property
    def told(self) -> Told:
        """The restart."""
        if self.restart == "app":
            return Told((f"Deployment {APP}/{APP}",), ("restarts the test application",))
        return Told(undo=("restarts tbot", f"waits {WAITS_FOR['tbot']}"))


class Do(Step):
    """Calls a function of Python with the scene, and with arguments by their names."""

    is_act = True
    do: Referred
    arguments: Arguments

    @model_validator(mode="after")
    def _arguments_fit(self) -> Do:
        _must_take(self.do, (object(),), self.arguments)
        return self

    @contextmanager
    def made(self, scene: Scene) -> Iterator[None]:
        """Call it."""
        self.do(scene, **filled(self.arguments, scene))
        yield


class AtEnd(Step):
    """Does something once all later steps are taken back.

    Attributes:
        finally_: What it does whatever has happened.
        after: What it does unless there was an error.
    """

    finally_: Annotated[Acts, Field(alias="finally")] = ()
    after: Acts = ()

    @contextmanager
    def made(self, scene: Scene) -> Iterator[None]:
        """Do it on exit."""
        try:
            yield
            do(self.after, scene)
        finally:
            do(self.finally_, scene)

    @property
    def told(self) -> Told:
        """What it does."""
        return together(act.told for act in (*self.after, *self.finally_))


class Code(Step):
    """Enters a context manager of Python, which gets the scene, and arguments by their names.

    Attributes:
        code: The context manager.
        arguments: Its arguments.
        around: Steps that it takes itself, where it has to do something before and after them: it gets a function that
            makes a context manager of them, after the scene.
        undone: What follows its exit, where it was entered.
    """

    code: Referred
    arguments: Arguments
    around: Steps | None = None
    undone: Acts = ()

    @model_validator(mode="after")
    def _arguments_fit(self) -> Code:
        _must_take(self.code, (object(), object()) if self.around else (object(),), self.arguments)
        return self

    def made(self, scene: Scene) -> AbstractContextManager[object]:
        """Enter it."""
        inner = (partial(taken, self.around, scene),) if self.around else ()
        made: AbstractContextManager[object] = self.code(scene, *inner, **filled(self.arguments, scene))
        return then(made, self.undone, scene) if self.undone else made


class Apply(Step):
    """Applies the objects of a manifest of ``manifests/faults/``, or objects that stand in the entry; then deletes them."""

    apply: str | Annotated[tuple[dict[str, Any], ...], Field(strict=False)]

    @model_validator(mode="after")
    def _manifest_exists(self) -> Apply:
        if isinstance(self.apply, str) and not self._file.is_file():
            raise ValueError(f"there is no manifest {self._file}")
        return self

    @property
    def _file(self) -> Path:
        return MANIFESTS / "faults" / f"{self.apply}.yaml"

    def made(self, scene: Scene) -> AbstractContextManager[None]:
        """Apply them, and delete the last one first."""
        if isinstance(self.apply, str):
            return applied(scene, *documents(self._file, Variables(scene)))
        return applied(scene, *filled(self.apply, scene))

    @property
    def told(self) -> Told:
        """The objects, and their deletion."""
        named = self.apply
        made = yaml.safe_load_all(self._file.read_text(encoding="utf-8")) if isinstance(named, str) else named
        objects = tuple(f"{each['kind']} {_ref(each['metadata'])}" for each in made)
        return Told(objects, ("deletes it" if len(objects) == 1 else "deletes them",))


def _ref(metadata: Mapping[str, str]) -> str:
    return "/".join(metadata[key] for key in ("namespace", "name") if key in metadata)


class Patched(BaseModel):
    """A patch, as `Patch` describes it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    object: Literal["tbot", "app", "gateway", "istiod"]
    spec: Document = Field(default_factory=dict)
    pod: Document = Field(default_factory=dict)
    undo: Document | None = None

    @model_validator(mode="after")
    def _undo_of_one(self) -> Patched:
        if not (self.spec or self.pod) or (self.spec and self.pod and self.undo is not None):
            raise ValueError("a patch has spec, or pod, or both; an undo takes back one of them")
        return self


class Patch(Step):
    """Patches the specification of a Deployment or DaemonSet without waiting; on exit patches it back and does `undone`.

    `spec` is a strategic merge patch; `pod` is the part of it for the specification of the pods. `undo` takes it back;
    without it, the step reads before what the object has there.
    """

    patch: Patched
    undone: Acts = ()

    @contextmanager
    def made(self, scene: Scene) -> Iterator[None]:
        """Patch it."""
        kind, name, namespace = OBJECTS[self.patch.object]
        spec = filled(self.patch.spec | (pod_template(**self.patch.pod) if self.patch.pod else {}), scene)
        if self.patch.undo is None:
            former = scene.installation.objects.must_get("apps/v1", kind, name, namespace=namespace)
            undo = taking_back(spec, former["spec"])
        else:
            undo = filled(pod_template(**self.patch.undo) if self.patch.pod else self.patch.undo, scene)
        with patched(scene, kind, name, namespace, spec=spec, undo=undo, then=lambda: do(self.undone, scene)):
            yield

    @property
    def told(self) -> Told:
        """The object, and its restoration."""
        kind, name, namespace = OBJECTS[self.patch.object]
        back = f"restores the {'template' if self.patch.pod else 'specification'}"
        return together([Told((f"{kind} {namespace}/{name}",), (back,)), *(act.told for act in self.undone)])


def taking_back(patch: Mapping[str, Any], former: Mapping[str, Any]) -> Document:
    """Return the strategic merge patch that takes another one back.

    Elements of a list that have names are merged by these, as the API server does it for containers, their variables, and
    volumes; any other list is replaced as a whole.

    Args:
        patch: The patch.
        former: What it is a patch of, as that was before.
    """

    def of(value: Any, was: Any) -> Any:
        if isinstance(value, Mapping) and isinstance(was, Mapping):
            return taking_back(value, was)
        if isinstance(value, list) and value and all(isinstance(e, Mapping) and "name" in e for e in value):
            named = {each["name"]: each for each in was or ()}
            return [of_element(each, named.get(each["name"])) for each in value]
        return copy.deepcopy(was)

    def of_element(element: Mapping[str, Any], was: Mapping[str, Any] | None) -> Document:
        if was is None:
            return {"name": element["name"], "$patch": "delete"}
        if "$patch" in element:
            return dict(copy.deepcopy(was))
        return {"name": element["name"], **taking_back({k: v for k, v in element.items() if k != "name"}, was)}

    return {key: of(value, former.get(key)) for key, value in patch.items()}


class Edited(BaseModel):
    """An edit, as `Edit` describes it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    configmap: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]+/[a-z0-9-]+$")]
    key: str
    set: dict[str, Any] = Field(default_factory=dict)
    delete: Annotated[tuple[str, ...], Field(strict=False)] = ()
    replace: dict[str, str] = Field(default_factory=dict)
    append: str = ""

    @model_validator(mode="after")
    def _one_way(self) -> Edited:
        if bool(self.set or self.delete) is bool(self.replace or self.append):
            raise ValueError("an edit has set and delete, for the document, or replace and append, for its text")
        return self

    def changed(self, text: str, scene: Scene) -> str:
        """Return the text after the edit."""
        if self.replace or self.append:
            replaced = reduce(lambda changed, pair: changed.replace(*pair), self.replace.items(), text)
            return replaced + self.append
        document = yaml.safe_load(text)
        for path, value in self.set.items():
            parent, key = _parent(document, path)
            parent[key] = filled(value, scene)
        for path in self.delete:
            parent, key = _parent(document, path)
            parent.pop(key, None)
        return yaml.safe_dump(document)


class Edit(Step):
    """Edits the YAML document under a key of a ConfigMap, and restores its text exactly; then does `undone`.

    A path such as ``services.*.selector`` names a setting; ``*`` is the only element of a list.
    """

    edit: Edited
    undone: Acts = ()

    def made(self, scene: Scene) -> AbstractContextManager[None]:
        """Edit it."""
        namespace, _, name = self.edit.configmap.partition("/")
        change = edited_text(scene, namespace, name, self.edit.key, lambda text: self.edit.changed(text, scene))
        return then(change, self.undone, scene)

    @property
    def told(self) -> Told:
        """The ConfigMap, and its restoration."""
        own = Told((f"ConfigMap {self.edit.configmap}",), ("restores the entry exactly",))
        return together([own, *(act.told for act in self.undone)])


def _parent(document: Any, path: str) -> tuple[Any, str]:
    """Return what has the last key of a path, and that key."""
    *parents, key = path.split(".")
    for each in parents:
        if each == "*":
            (document,) = document
        else:
            document = document[each]
    return document, key


STEPS: Mapping[str, type[Step]] = {
    "apply": Apply,
    "patch": Patch,
    "edit": Edit,
    "code": Code,
    "wait": Wait,
    "restart": Restart,
    "do": Do,
    "finally": AtEnd,
    "after": AtEnd,
}
"""The steps of every entry by their verbs; a provider's own come on top."""
