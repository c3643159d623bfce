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
from typing import Annotated, Any, ClassVar, Literal

import yaml
from pydantic import (
    AfterValidator,
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

from provision.faults.changes import Document, applied, edited_text, patched
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
        raise ValueError(
            "; ".join(f"{'.'.join(map(str, e['loc'])) or verbs[0]}: {e['msg']}" for e in error.errors())
        ) from error


def _act_of(step: Step) -> Step:
    if not step.is_act:
        raise ValueError("only wait, restart and do may stand here")
    return step


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
    def touches(self) -> Told:
        """The objects that it changes."""
        return ()

    @property
    def takes_back(self) -> Told:
        """What the suite does to take it back, as verbs with their objects."""
        return ()

    @property
    def does(self) -> Told:
        """What an act does, in the same form."""
        return None


Told = tuple[str, ...] | None
"""What a step says of itself for docs/faults.md; None where only the entry can tell."""
AStep = Annotated[Step, PlainValidator(_step_of)]
AnAct = Annotated[Step, PlainValidator(_step_of), AfterValidator(_act_of)]
Steps = Annotated[tuple[AStep, ...], Field(strict=False)]
Acts = Annotated[tuple[AnAct, ...], BeforeValidator(_list), Field(strict=False)]
"""One thing to do, or a list of them."""
Text = Annotated[str, StringConstraints(min_length=1)]


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


def together(told: Iterable[Told]) -> Told:
    """Return what several steps say, one after the other; None where one of them cannot tell."""
    every = list(told)
    return None if None in every else tuple(word for each in every for word in each or ())


# Acts.


class Wait(Step):
    """Waits for a fact of the scene; the methods of `Scene` say what each means."""

    is_act = True
    wait: Literal[
        "tbot", "app", "injected", "refusal", "rollout of tbot", "rollout of app", "rollout of gateway", "rollout of istiod"
    ]

    @contextmanager
    def made(self, scene: Scene) -> Iterator[None]:
        """Wait; nothing has to be taken back."""
        _, _, name = self.wait.partition("rollout of ")
        if name:
            scene.await_rollout(*OBJECTS[name])
        else:
            waits = {
                "tbot": scene.await_tbot,
                "app": scene.await_app,
                "injected": scene.await_injected,
                "refusal": scene.await_refusal,
            }
            waits[self.wait]()
        yield

    @property
    def does(self) -> Told:
        """What it waits for."""
        what = {
            "tbot": "until every Envoy has its streams again",
            "injected": "until the API server accepts an injected pod again",
            "refusal": "until the API server refuses an injected pod",
        }
        return (f"waits {what.get(self.wait, 'for the rollout')}",)


class Restart(Step):
    """Restarts tbot or the test application, and waits until it is as it was."""

    is_act = True
    restart: Literal["tbot", "app"]

    @contextmanager
    def made(self, scene: Scene) -> Iterator[None]:
        """Restart it; nothing has to be taken back."""
        {"tbot": scene.restart_tbot, "app": scene.restart_app}[self.restart]()
        yield

    @property
    def touches(self) -> Told:
        """The test application; tbot is as before, with the pods that it happens to have."""
        return (f"Deployment {APP}/{APP}",) if self.restart == "app" else ()

    @property
    def does(self) -> Told:
        """The restart, and what it waits for."""
        if self.restart == "app":
            return ("restarts the test application",)
        return ("restarts tbot", "waits until every Envoy has its streams again")


class Do(Step):
    """Calls a function of Python with the scene, and with arguments by their names."""

    is_act = True
    do: Referred
    arguments: dict[str, Any] = Field(default_factory=dict, alias="with")

    @model_validator(mode="after")
    def _arguments_fit(self) -> Do:
        _must_take(self.do, (object(),), self.arguments)
        return self

    @contextmanager
    def made(self, scene: Scene) -> Iterator[None]:
        """Call it; nothing has to be taken back."""
        self.do(scene, **filled(self.arguments, scene))
        yield


def _must_take(reference: Reference, arguments: tuple[object, ...], named: Mapping[str, Any]) -> None:
    try:
        inspect.signature(reference.function).bind(*arguments, **named)
    except TypeError as error:
        raise ValueError(f"{reference.name} of {reference.module}: {error}") from error


# What happens at the end.


class Finally(Step):
    """Does something once all later steps are taken back, whatever has happened."""

    finally_: Acts = Field(alias="finally")

    @contextmanager
    def made(self, scene: Scene) -> Iterator[None]:
        """Do it on exit."""
        try:
            yield
        finally:
            do(self.finally_, scene)

    @property
    def touches(self) -> Told:
        """What it does things to."""
        return together(act.touches for act in self.finally_)

    @property
    def takes_back(self) -> Told:
        """What it does."""
        return together(act.does for act in self.finally_)


class After(Step):
    """Does something once all later steps are taken back, unless there was an error."""

    after: Acts

    @contextmanager
    def made(self, scene: Scene) -> Iterator[None]:
        """Do it on exit."""
        yield
        do(self.after, scene)

    @property
    def takes_back(self) -> Told:
        """What it does."""
        return together(act.does for act in self.after)


# Changes.


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
    arguments: dict[str, Any] = Field(default_factory=dict, alias="with")
    around: Steps = ()
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

    @property
    def touches(self) -> Told:
        """Unknown."""
        return None

    @property
    def takes_back(self) -> Told:
        """Unknown."""
        return None


class Apply(Step):
    """Applies the objects of a manifest of ``manifests/faults/``, or objects that stand in the entry; then deletes them."""

    apply: Text | Annotated[tuple[dict[str, Any], ...], Field(strict=False)]

    @model_validator(mode="after")
    def _manifest_exists(self) -> Apply:
        if isinstance(self.apply, str) and not self._file(self.apply).is_file():
            raise ValueError(f"there is no manifest {self._file(self.apply)}")
        return self

    @staticmethod
    def _file(name: str) -> Any:
        return MANIFESTS / "faults" / f"{name}.yaml"

    def made(self, scene: Scene) -> AbstractContextManager[None]:
        """Apply them, and delete the last one first."""
        if isinstance(self.apply, str):
            return applied(scene, *documents(self._file(self.apply), Variables(scene)))
        return applied(scene, *filled(self.apply, scene))

    @property
    def touches(self) -> Told:
        """The objects."""
        return tuple(_called(document) for document in self._documents())

    @property
    def takes_back(self) -> Told:
        """Their deletion."""
        return ("deletes it" if len(self._documents()) == 1 else "deletes them",)

    def _documents(self) -> list[Document]:
        if isinstance(self.apply, str):
            return list(yaml.safe_load_all(self._file(self.apply).read_text(encoding="utf-8")))
        return list(self.apply)


def _called(document: Document) -> str:
    metadata = document["metadata"]
    namespace = f"{metadata['namespace']}/" if "namespace" in metadata else ""
    return f"{document['kind']} {namespace}{metadata['name']}"


def _with_pods(value: object) -> object:
    """Put what stands under `pod` and `undo.pod` to where a specification has the one of its pods."""
    if not isinstance(value, dict):
        return value
    made = dict(value)
    if "pod" in made:
        made["spec"] = {**made.get("spec", {}), "template": {"spec": made.pop("pod")}}
    if isinstance(undo := made.get("undo"), dict) and "pod" in undo:
        made["undo"] = {**{k: v for k, v in undo.items() if k != "pod"}, "template": {"spec": undo["pod"]}}
    return made


class Patched(BaseModel):
    """A patch, as `Patch` describes it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    object: Literal["tbot", "app", "gateway", "istiod"]
    spec: Document
    undo: Document | None = None


class Patch(Step):
    """Patches the specification of a Deployment or DaemonSet; on exit patches it back and does `undone`.

    `spec` is a strategic merge patch; `pod` is the part of it that stands under ``template.spec``. `undo` is
    what takes it back; without it, the step reads the object's former values of what it patches.
    """

    patch: Annotated[Patched, BeforeValidator(_with_pods)]
    undone: Acts = ()

    @contextmanager
    def made(self, scene: Scene) -> Iterator[None]:
        """Patch it without waiting."""
        kind, name, namespace = OBJECTS[self.patch.object]
        spec, undo = filled(self.patch.spec, scene), self.patch.undo
        if undo is None:
            former = scene.installation.objects.must_get("apps/v1", kind, name, namespace=namespace)
            undo = taking_back(spec, former["spec"])
        change = patched(
            scene, kind, name, namespace, spec=spec, undo=filled(undo, scene), then=lambda: do(self.undone, scene)
        )
        with change:
            yield

    @property
    def touches(self) -> Told:
        """The object."""
        kind, name, namespace = OBJECTS[self.patch.object]
        return (f"{kind} {namespace}/{name}",)

    @property
    def takes_back(self) -> Told:
        """The patch of what was there, and the waits after it."""
        what = "template" if "template" in self.patch.spec else "specification"
        return together([(f"restores the {what}",), *(act.does for act in self.undone)])


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
    key: Text
    set: dict[str, Any] = Field(default_factory=dict)
    delete: Annotated[tuple[Text, ...], Field(strict=False)] = ()
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
    def touches(self) -> Told:
        """The ConfigMap."""
        return (f"ConfigMap {self.edit.configmap}",)

    @property
    def takes_back(self) -> Told:
        """The restoration, and what follows it."""
        return together([("restores the entry exactly",), *(act.does for act in self.undone)])


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
    "finally": Finally,
    "after": After,
}
"""The steps of every entry by their verbs; a provider's own come on top."""
