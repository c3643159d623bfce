"""Red herrings say what they are, show before the doctor looks, and leave nothing behind."""

from __future__ import annotations

import base64
from contextlib import nullcontext
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from facts.guide import FILE_MOUNTED, FOUND
from facts.recorder import KeptInMemory
from observe.wait import Pace
from provision.faults import FAULTS, Scene
from provision.herrings import HERRINGS, Herring
from provision.herrings.beside_the_mesh import WARNING, _backs_off
from provision.herrings.herring import is_ready, manifest
from provision.herrings.in_the_mesh import CREDENTIAL, _waits_for_its_own, expired_pair
from settings import Timeouts
from tests.unit.provision.test_faults import OPERATOR

RUNNING = {"conditions": [{"type": "Ready", "status": "True"}]}
BACKING_OFF = {"containerStatuses": [{"state": {"waiting": {"reason": "CrashLoopBackOff"}}}]}
HELD = {"initContainerStatuses": [{"name": "waits-for-a-migration", "state": {"running": {}}}]}


class Objects:
    """Objects by kind and name; a pod has the status that it will have in the end, the test application a rollout."""

    def __init__(self) -> None:
        self.there: dict[tuple[str, str], dict[str, Any]] = {
            ("Deployment", "test-app"): {
                "spec": {"replicas": 2, "progressDeadlineSeconds": 600},
                "status": {"updatedReplicas": 1, "replicas": 3},
            }
        }
        self.made: list[tuple[str, str]] = []
        self.changes: list[dict[str, Any]] = []

    def apply_all(self, documents: Any) -> None:
        for document in documents:
            key = (document["kind"], document["metadata"]["name"])
            statuses = {"caller-of": RUNNING, "crashing": BACKING_OFF, "held-up": HELD}
            shown = next((status for name, status in statuses.items() if key[1].startswith(name)), None)
            self.there[key] = document | {"status": shown or {"conditions": [_unknown()]}}
            self.made.append(key)

    def delete(self, _version: str, kind: str, name: str, **_options: Any) -> None:
        del self.there[kind, name]

    def must_get(self, _version: str, kind: str, name: str, **_options: Any) -> dict[str, Any]:
        return self.there[kind, name]

    def patch(self, _version: str, _kind: str, _name: str, change: dict[str, Any], **_options: Any) -> None:
        self.changes.append(change["spec"])

    def restart(self, kind: str, name: str, *, namespace: str) -> None:
        self.changes.append({"restarted": f"{kind} {namespace}/{name}"})


def _unknown() -> dict[str, str]:
    return {"type": "Ready", "status": "Unknown"}


class Cluster:
    """A cluster whose pods have logged what each herring waits for."""

    def pods(self, _namespace: str, _label: str) -> list[Any]:
        return [SimpleNamespace(namespace="n", name="p", node="worker", ref="Pod n/p", terminating=False)]

    def logs(self, *_container: str) -> Any:
        return SimpleNamespace(document="\n".join((WARNING, FOUND, FILE_MOUNTED)))


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    """A scene without a cluster, in which all that is waited for is there."""
    sources = SimpleNamespace(workload_image="w:1")
    installation = SimpleNamespace(objects=Objects(), sources=sources, variables={"SOCKET_DIRECTORY": "/run/spire/sockets"})
    on_node: list[tuple[str, ...]] = []
    monkeypatch.setattr(Scene, "nodes", lambda _scene: ["worker", "control-plane"])
    monkeypatch.setattr(Scene, "on_node", lambda _scene, *words: on_node.append(words))
    monkeypatch.setattr(Scene, "looking", lambda _scene: nullcontext(Cluster()))
    monkeypatch.setattr(Scene, "await_app", lambda _scene: None)
    monkeypatch.setattr(Scene, "rollout", Pace(1, 0.1))
    monkeypatch.setattr(
        "provision.herrings.in_the_mesh.read_admin",
        lambda _cluster, _pod, paths: {path: SimpleNamespace(document=f"kubernetes://{CREDENTIAL}") for path in paths},
    )
    made = Scene(cast("Any", installation), OPERATOR, Timeouts(pod_ready=1), KeptInMemory())
    cast("Any", installation).on_node = on_node
    return made


@pytest.mark.parametrize("herring", HERRINGS.values(), ids=lambda herring: herring.name)
def test_a_herring_says_in_sentences_what_it_is_and_how_it_is_undone(herring: Herring) -> None:
    assert herring.description.endswith(".")
    assert herring.undo.endswith(".")
    assert herring.touches
    assert herring.name not in FAULTS
    assert herring.called <= {"refused-by-policy"}


@pytest.mark.parametrize("herring", HERRINGS.values(), ids=lambda herring: herring.name)
def test_nothing_of_a_herring_stays(scene: Scene, herring: Herring) -> None:
    objects = cast("Objects", scene.installation.objects)
    before = dict(objects.there)
    with herring.inject(scene):
        during = dict(objects.there)
    assert objects.there == before
    assert {*during} - {*before} == {*objects.made}


def test_the_proxies_that_counted_refusals_are_replaced(scene: Scene) -> None:
    with HERRINGS["policy-refuses-with-403"].inject(scene):
        assert cast("Objects", scene.installation.objects).changes == []
    assert cast("Objects", scene.installation.objects).changes == [{"restarted": "Deployment test-app/test-app"}]


def test_the_rules_that_lose_questions_are_deleted_on_every_node(scene: Scene) -> None:
    with HERRINGS["slow-name-server"].inject(scene):
        pass
    said = cast("Any", scene.installation).on_node
    inserted = [(node, words) for node, _, _, verb, *words in said if verb == "-I"]
    assert [(node, words) for node, _, _, verb, *words in said if verb == "-D"] == inserted[::-1]
    assert [node for node, _ in inserted] == ["worker", "control-plane"]


def test_a_rolling_restart_waits_and_gets_its_pace_back(scene: Scene) -> None:
    with HERRINGS["rolling-restart"].inject(scene):
        pass
    slowly, restarted, undone = cast("Objects", scene.installation.objects).changes
    assert slowly["minReadySeconds"] < slowly["progressDeadlineSeconds"]
    assert restarted == {"restarted": "Deployment test-app/test-app"}
    assert undone == {"minReadySeconds": None, "progressDeadlineSeconds": 600}


def test_the_certificate_of_the_gateway_has_expired() -> None:
    data = expired_pair("shop.example")
    certificate = x509.load_pem_x509_certificate(base64.b64decode(data["tls.crt"]))
    assert certificate.not_valid_after_utc < datetime.now(UTC)
    key = load_pem_private_key(base64.b64decode(data["tls.key"]), None)
    assert cast("Any", key).public_key() == certificate.public_key()


def test_each_wait_tells_a_pod_that_shows_it_from_one_that_does_not() -> None:
    starting = {"phase": "Pending"}
    for look, shows in ((is_ready, RUNNING), (_backs_off, BACKING_OFF), (_waits_for_its_own, HELD)):
        assert look(cast("Any", shows))
        assert not look(cast("Any", starting))


@pytest.mark.parametrize("name", ["crash-loop", "answers-503", "held-up"])
def test_pods_of_a_manifest_have_the_image_of_the_install(scene: Scene, name: str) -> None:
    pods = [document["spec"] for document in manifest(scene, name) if document["kind"] == "Pod"]
    images = {c["image"] for spec in pods for c in (*spec["containers"], *spec.get("initContainers", ()))}
    assert images == {"w:1"}
