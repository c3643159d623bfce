"""Entries of faults: what each step does and undoes, in which order, also where something fails; and what is refused."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import pytest
import yaml

from facts.errors import BadInput, ProvisioningFailed
from facts.recorder import KeptInMemory
from providers.teleport.faults.verbs import VERBS as OF_TELEPORT
from provision.faults import FAULTS, Fault, Operator, Scene
from provision.faults.entries import parse_faults, read_faults
from provision.faults.reach import TBOT
from provision.faults.steps import Place
from provision.faults.verbs import VERBS, taking_back
from provision.installing.variant import RECOMMENDED
from settings import Timeouts
from tests.unit.providers.teleport.installing.test_resources import JWKS, Teleport
from tests.unit.provision.test_manifests import VARIABLES

PLACE = Place("providers.teleport.faults.teleport", {**VERBS, **OF_TELEPORT})
CAUSES = ("a-cause", "another-cause")
REQUIREMENTS = frozenset({"INST-01", "INST-03", "INST-06", "INST-12", "INST-15", "CHK-9", "A-1"}) | TBOT
TEXT = "version: v2 # as it is\nservices: [{type: t, listen: l}]\n"


class Objects:
    """A ConfigMap and tbot's DaemonSet, and what was done to them, in order."""

    def __init__(self, fail_at: str = "") -> None:
        self.done: list[str] = []
        self.fail_at, self.text = fail_at, TEXT
        (self.daemon_set,) = RECOMMENDED.documents("tbot-daemonset.yaml", VARIABLES)

    def note(self, what: str) -> None:
        self.done.append(what)
        if what == self.fail_at:
            raise ProvisioningFailed(expected="", seen=what, where="", remedy="")

    def get(self, *_object: str, **_namespace: str) -> dict[str, Any]:
        return {"data": {"file": self.text}}

    def must_get(self, _version: str, kind: str, name: str, *, namespace: str) -> dict[str, Any]:
        self.note(f"read {kind} {namespace}/{name}")
        found: dict[str, Any] = copy.deepcopy(self.daemon_set)
        return found

    def patch(self, _version: str, kind: str, name: str, change: dict[str, Any], *, namespace: str) -> None:
        if kind == "ConfigMap":
            self.text = change["data"]["file"]
            self.note("put" if self.text == TEXT else "edit")
        else:
            self.note(f"patch {kind} {namespace}/{name} {yaml.safe_dump(change['spec'], default_flow_style=True).strip()}")

    def apply_all(self, documents: list[dict[str, Any]]) -> None:
        self.note(f"apply {' '.join(each['metadata']['name'] for each in documents)}")

    def delete(self, _version: str, _kind: str, name: str, *, namespace: str) -> None:
        self.note(f"delete {namespace}/{name}")

    def restart(self, kind: str, name: str, *, namespace: str) -> None:
        self.note(f"restart {kind} {namespace}/{name}")

    def raw(self, _path: str) -> str:
        return JWKS


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> None:
    def noting(name: str) -> Any:
        return lambda scene, *words: scene.installation.objects.note(" ".join([name, *words[:2]]))

    for name in ("await_tbot", "await_app", "await_refusal", "await_injected", "await_rollout"):
        monkeypatch.setattr(Scene, name, noting(name))


@pytest.fixture(autouse=True)
def code(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module beside the entries."""
    module = ModuleType(f"{PLACE.package}.own")
    module.__spec__ = cast("Any", SimpleNamespace(name=module.__name__))

    @contextmanager
    def noted(scene: Scene, word: str = "code") -> Iterator[Operator]:
        cast("Objects", scene.installation.objects).note(f"enter {word}")
        try:
            yield Operator(Path("k"), word, ())
        finally:
            cast("Objects", scene.installation.objects).note(f"leave {word}")

    @contextmanager
    def wrapping(scene: Scene, change: Any, word: str) -> Iterator[None]:
        with noted(scene, word), change():
            yield

    def done(scene: Scene, *, word: str) -> None:
        cast("Objects", scene.installation.objects).note(f"do {word}")

    vars(module).update(noted=noted, wrapping=wrapping, done=done, _hidden=done)
    monkeypatch.setitem(sys.modules, module.__name__, module)


def entry(inject: object, **changes: object) -> dict[str, Any]:
    given = {"name": "f", "description": "It is broken.", "cause": "a-cause", "breaks": ["A-1"], "inject": inject}
    return given | {"touches": "it", "undo": "The suite mends it."} | changes


def parse(*entries: object) -> list[Fault]:
    return parse_faults(list(entries), PLACE, "some.yaml", causes=CAUSES, requirements=REQUIREMENTS)


def injected(inject: str, objects: Objects, teleport: Teleport | None = None, directory: Path | None = None) -> Any:
    (fault,) = parse(entry(yaml.safe_load(inject)))
    installation = SimpleNamespace(
        objects=objects, authority=teleport, directory=directory, run_id="run-1", variant=RECOMMENDED, variables=VARIABLES,
        sources=SimpleNamespace(tbot_affected_image="t:1"),
    )  # fmt: skip
    there = Scene(cast("Any", installation), Operator(Path("kubeconfig"), "c", ()), Timeouts(), KeptInMemory())
    made: AbstractContextManager[Operator | None] = fault.inject(there)
    return made


EDIT = "edit: {configmap: n/m, key: file, set: {services.*.listen: '${SOCKET_DIRECTORY}'}, delete: [version]}"
BINDING = "{apiVersion: v1, kind: Secret, metadata: {name: %s, namespace: n}}"
STEPS = {
    f"- {EDIT}": ["edit", "BODY", "put"],
    f"- {EDIT}\n  undone: {{restart: tbot}}": [
        "edit", "BODY", "put", "restart DaemonSet teleport-system/tbot", "await_tbot",
    ],
    f"- apply: [{BINDING % 'a'}, {BINDING % 'b'}]": ["apply a b", "BODY", "delete n/b", "delete n/a"],
    "- apply: policy-for-every-caller": ["apply every-caller", "BODY", "delete istio-system/every-caller"],
    "- patch: {object: tbot, pod: {hostPID: null}}\n  undone: [{wait: rollout of tbot}, {wait: tbot}]": [
        "read DaemonSet teleport-system/tbot",
        "patch DaemonSet teleport-system/tbot {template: {spec: {hostPID: null}}}",
        "BODY",
        "patch DaemonSet teleport-system/tbot {template: {spec: {hostPID: true}}}",
        "await_rollout DaemonSet tbot",
        "await_tbot",
    ],
    "- patch: {object: istiod, spec: {replicas: 0}, undo: {replicas: 2}}": [
        "patch Deployment istio-system/istiod {replicas: 0}",
        "BODY",
        "patch Deployment istio-system/istiod {replicas: 2}",
    ],
    "- code: own.noted\n  with: {word: '${TRUST_DOMAIN}'}\n  undone: {wait: app}": [
        "enter teleport.test", "BODY", "leave teleport.test", "await_app",
    ],
    f"- code: own.wrapping\n  with: {{word: w}}\n  around: [{{{EDIT}}}, {{wait: app}}]": [
        "enter w", "edit", "await_app", "BODY", "put", "leave w",
    ],
    f"- finally: [{{restart: app}}, {{do: own.done, with: {{word: w}}}}]\n- {EDIT}\n- wait: refusal": [
        "edit", "await_refusal", "BODY", "put", "restart Deployment test-app/test-app", "await_app", "do w",
    ],
    f"- after: {{wait: injected}}\n- {EDIT}": ["edit", "BODY", "put", "await_injected"],
}  # fmt: skip


@pytest.mark.parametrize(("inject", "done"), STEPS.items())
def test_a_step_is_taken_and_taken_back_exactly(inject: str, done: list[str]) -> None:
    objects = Objects()
    with injected(inject, objects):
        objects.note("BODY")
    assert (objects.done, objects.text) == (done, TEXT)


@pytest.mark.parametrize(("inject", "done"), STEPS.items())
def test_a_step_is_taken_back_when_the_body_raises(inject: str, done: list[str]) -> None:
    objects = Objects("BODY")
    with pytest.raises(ProvisioningFailed, match="BODY"), injected(inject, objects):
        objects.note("BODY")
    unless_an_error = {"await_injected"} if inject.startswith("- after") else set()
    assert (objects.done, objects.text) == ([each for each in done if each not in unless_an_error], TEXT)


AT_ZERO = "patch Deployment test-app/test-app {replicas: 0}"


@pytest.mark.parametrize(
    ("inject", "fails", "done"),
    [
        (f"- finally: {{wait: app}}\n- {EDIT}", "edit", ["edit", "await_app"]),
        (f"- {EDIT}\n  undone: {{wait: app}}", "edit", ["edit"]),
        (f"- {EDIT}\n  undone: {{wait: app}}", "put", ["edit", "put", "await_app"]),
        ("- patch: {object: app, spec: {replicas: 0}, undo: {replicas: 2}}", AT_ZERO, [AT_ZERO]),
        (f"- apply: [{BINDING % 'a'}]", "apply a", ["apply a", "delete n/a"]),
        (f"- {EDIT}\n- wait: refusal", "await_refusal", ["edit", "await_refusal", "put"]),
    ],
)  # fmt: skip
def test_what_a_step_leaves_where_it_fails_itself(inject: str, fails: str, done: list[str]) -> None:
    objects = Objects(fails)
    with pytest.raises(ProvisioningFailed, match=fails.split(maxsplit=1)[0]), injected(inject, objects):
        pytest.fail("it is not in force")
    assert objects.done == done


def test_the_operator_is_the_one_that_a_step_yields() -> None:
    with injected(f"- {EDIT}\n- code: own.noted\n- wait: app", Objects()) as operator:
        assert operator.context == "code"
    with injected(f"- {EDIT}", Objects()) as operator:
        assert operator is None


def test_an_edit_of_settings_and_of_texts() -> None:
    for edit, text in (
        (EDIT, "services:\n- listen: /run/spire/sockets\n  type: t\n"),
        ("edit: {configmap: n/m, key: file, replace: {'type:': 'kind:'}, append: \"debug: false\\n\"}",
         TEXT.replace("type:", "kind:") + "debug: false\n"),
    ):  # fmt: skip
        objects = Objects()
        with injected(f"- {edit}", objects):
            assert objects.text == text
        assert objects.text == TEXT


def test_a_setting_below_the_only_element_of_a_list_needs_that_there_is_one() -> None:
    objects = Objects()
    objects.text = TEXT.replace("[{", "[{}, {")
    with pytest.raises(ValueError, match="too many values"), injected(f"- {EDIT}", objects):
        pytest.fail("it is not in force")
    assert objects.done == []


def test_a_patch_is_taken_back_to_what_was_there() -> None:
    former: dict[str, Any] = {
        "replicas": 2,
        "strategy": {"type": "RollingUpdate"},
        "args": ["a"],
        "containers": [{"name": "tbot", "image": "i:1", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}],
    }
    patch = {
        "replicas": 0,
        "paused": True,
        "strategy": {"type": "Recreate", "why": "so"},
        "args": ["b"],
        "containers": [
            {"name": "tbot", "env": [{"name": "A", "$patch": "delete"}, {"name": "B", "value": "3"}, {"name": "C"}]},
            {"name": "other", "image": "i:2"},
        ],
    }
    assert taking_back(patch, former) == {
        "replicas": 2,
        "paused": None,
        "strategy": {"type": "RollingUpdate", "why": None},
        "args": ["a"],
        "containers": [
            {"name": "tbot", "env": [*former["containers"][0]["env"], {"name": "C", "$patch": "delete"}]},
            {"name": "other", "$patch": "delete"},
        ],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("inject", "asked"),
    [
        ("- teleport: {change: role, set: {allow.rules: []}}", ["create role", "create role"]),
        ("- teleport: {change: token, set: {bot_name: b}}", ["create token", "create token"]),
        ("- teleport: {remove: bot}", ["create bot", "rm bot/istio-tbot", "create bot"]),
        ("- teleport: {beside: role, name: r}", ["create role", "rm role/r"]),
    ],
)
def test_a_resource_of_teleport_is_changed_and_as_before(tmp_path: Path, inject: str, asked: list[str]) -> None:
    teleport = Teleport(is_own=True)
    with pytest.raises(RuntimeError), injected(inject, Objects(), teleport, tmp_path):
        raise RuntimeError
    changes = [(argv, stdin) for argv, stdin in teleport.asked if argv[0] != "get"]
    told = [f"{argv[0]} {yaml.safe_load(stdin)['kind'] if stdin else argv[1]}" for argv, stdin in changes]
    assert told == asked


def test_the_operator_does_something_after_each_change_of_a_resource() -> None:
    objects = Objects()
    with injected(
        "- teleport: {change: role, set: {allow.rules: []}}\n  each_time: {wait: app}", objects, Teleport(is_own=True)
    ):
        objects.note("BODY")
    assert objects.done == ["await_app", "BODY", "await_app"]


TOLD = {
    f"- {EDIT}\n  undone: {{restart: tbot}}": (
        "ConfigMap n/m",
        "The suite restores the entry exactly, restarts tbot, and waits until every Envoy has its streams again.",
    ),
    f"- after: {{wait: injected}}\n- {EDIT}\n- wait: refusal": (
        "ConfigMap n/m",
        "The suite restores the entry exactly and waits until the API server accepts an injected pod again.",
    ),
    "- apply: policy-for-every-caller": ("AuthorizationPolicy istio-system/every-caller", "The suite deletes it."),
    "- patch: {object: tbot, pod: {hostPID: null}}\n  undone: {wait: tbot}": (
        "DaemonSet teleport-system/tbot",
        "The suite restores the template and waits until every Envoy has its streams again.",
    ),
    "- teleport: {change: bot, set: {roles: []}}\n  each_time: {restart: app}": (
        "Teleport bot/istio-tbot; Deployment test-app/test-app",
        "The suite creates the resource again from its manifest and restarts the test application.",
    ),
}


@pytest.mark.parametrize(("inject", "told"), TOLD.items())
def test_the_steps_tell_what_a_fault_touches_and_how_it_is_undone(inject: str, told: tuple[str, str]) -> None:
    given = entry(yaml.safe_load(inject))
    del given["touches"], given["undo"]
    (fault,) = parse(given)
    assert (fault.touches, fault.undo) == told


def test_a_set_of_requirements_has_names_and_ids_and_leaves_some_out() -> None:
    (fault,) = parse(entry({"wait": "app"}, breaks=["A-1"], reach=["TBOT", "INST-01", "not INST-14"]))
    assert fault.reach == (TBOT | {"INST-01"}) - {"INST-14"}


REFUSED = {
    "an unknown key": (entry({"wait": "app"}, causes="x"), "causes: Extra inputs are not permitted"),
    "an unknown cause": (entry({"wait": "app"}, cause="no-cause"), "cause no-cause, which is not in judge/explain/causes"),
    "an unknown further cause": (entry({"wait": "app"}, further_causes=["no-cause"]), "the cause no-cause"),
    "an unknown requirement": (entry({"wait": "app"}, breaks=["A-2"]), "A-2, which is not in features/catalogue.yaml"),
    "an unknown set": (entry({"wait": "app"}, reach=["TBOTS"]), "'TBOTS' is neither a requirement nor a set"),
    "no list": (entry({"wait": "app"}, breaks="A-1"), "expected a list of requirements"),
    "no step": (entry([]), "inject: Value should have at least 1 item"),
    "an unknown verb": (entry({"wat": "app"}), "inject.0: Value error, a step has one verb of apply,"),
    "two verbs": (entry({"wait": "app", "restart": "app"}), "this one has wait and restart"),
    "an unknown fact": (entry({"wait": "lunch"}), "wait: Input should be 'tbot'"),
    "an unknown key of a step": (entry({"wait": "app", "then": 1}), "then: Extra inputs are not permitted"),
    "an unknown module": (entry({"code": "nowhere.noted"}), "no module 'nowhere' beside the entries of"),
    "an unknown function": (entry({"code": "own.nothing"}), "no public function 'nothing'"),
    "a private function": (entry({"do": "own._hidden"}), "no public function '_hidden'"),
    "arguments that do not fit": (entry({"do": "own.done", "with": {"letter": "w"}}), "missing a required argument: 'word'"),
    "nothing to wrap": (entry({"code": "own.wrapping", "with": {"word": "w"}}), "missing a required argument: 'change'"),
    "a change at the end": (entry({"finally": {"apply": "policy-for-every-caller"}}), "only wait, restart and do may stand"),
    "an unknown manifest": (entry({"apply": "no-manifest"}), "there is no manifest"),
    "an unknown object": (entry({"patch": {"object": "envoy", "spec": {"a": 1}}}), "patch.object: Input should be 'tbot'"),
    "an empty patch": (entry({"patch": {"object": "app"}}), "a patch has spec, or pod, or both"),
    "an edit of both kinds": (
        entry({"edit": {"configmap": "n/m", "key": "k", "set": {"a": 1}, "append": "x"}}), "an edit has set and delete",
    ),
    "an unknown resource": (entry({"teleport": {"change": "user", "set": {"a": 1}}}), "teleport.change: Input should be"),
    "a change of nothing": (entry({"teleport": {"change": "role"}}), "change has set, and remove has not"),
    "two things at once": (entry({"teleport": {"change": "role", "remove": "bot"}}), "one of change, remove and beside"),
    "steps that do not tell": (entry({"code": "own.noted"}, undo=None), "do not tell how it is undone; say it"),
}  # fmt: skip


@pytest.mark.parametrize(("given", "said"), REFUSED.values(), ids=REFUSED)
def test_a_bad_entry_is_refused_with_its_place(given: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput) as refused:
        parse(given)
    assert said in refused.value.seen
    assert refused.value.where == "some.yaml: f"


def test_entries_of_one_cause_stand_together() -> None:
    entries = [
        entry({"wait": "app"}, name=name, cause=cause) for name, cause in zip("abc", (*CAUSES, CAUSES[0]), strict=True)
    ]
    with pytest.raises(BadInput, match="whose other entries stand further up"):
        parse(*entries)


def test_a_file_that_is_no_list_of_entries_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("name: f\n")
    with pytest.raises(BadInput, match=r"x\.yaml"):
        read_faults(tmp_path / "x.yaml", PLACE, causes=CAUSES, requirements=REQUIREMENTS)


def test_every_variable_of_an_entry_has_a_value() -> None:
    known = {*VARIABLES, "TBOT_AFFECTED_IMAGE"}
    root = Path(__file__).resolve().parents[3]
    files = [*root.glob("provision/faults/*/*.yaml"), *root.glob("providers/*/faults/*/*.yaml")]
    assert sum(len(yaml.safe_load(file.read_text(encoding="utf-8"))) for file in files) == len(FAULTS)
    for file in files:
        for part in file.read_text(encoding="utf-8").split("${")[1:]:
            assert part.partition("}")[0] in known, file
