"""The verbs of entries: what a fault does to a cluster, waits for, and calls.

What truly needs code stays a context manager in Python, to which the verb `code` refers.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial, reduce
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from provision.faults.changes import Document, applied, edited_text, patched, pod_template
from provision.faults.fault import Scene
from provision.faults.steps import (
    Acts,
    Arguments,
    Referred,
    Step,
    Steps,
    Told,
    do,
    filled,
    must_take,
    taken,
    then,
    together,
    variables,
)
from provision.names import APP, GATEWAY, ISTIO_NAMESPACE, ISTIOD, TBOT, TBOT_NAMESPACE
from provision.render import MANIFESTS, documents

OBJECTS = {
    "tbot": ("DaemonSet", TBOT, TBOT_NAMESPACE),
    "app": ("Deployment", APP, APP),
    "gateway": ("Deployment", GATEWAY, ISTIO_NAMESPACE),
    "istiod": ("Deployment", ISTIOD, ISTIO_NAMESPACE),
}
"""What `patch` changes, and what `wait` waits for the rollout of: kind, name and namespace."""


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
        must_take(self.do, (object(),), self.arguments)
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
        must_take(self.code, (object(), object()) if self.around else (object(),), self.arguments)
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
            return applied(scene, *documents(self._file, variables(scene)))
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


VERBS: dict[str, type[Step]] = {
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
"""The steps of every entry by their verbs; a provider has further ones, in the module ``faults.verbs`` of its package."""
