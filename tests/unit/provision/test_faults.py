"""Faults break requirements that exist, and put back to the letter what they changed, whatever happens meanwhile."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml

from facts.document import when
from facts.errors import ProvisioningFailed
from facts.kubernetes.access import Right
from facts.kubernetes.jwks import parse_jwks
from facts.kubernetes.objects import Pod
from facts.kubernetes.pod_spec import TEMPLATES
from facts.recorder import KeptInMemory
from observe.wait import NotYet, Pace, eventually
from providers.teleport.facts.resources import ClusterStatus, NoSession
from providers.teleport.facts.tbot_config import parse_tbot_config
from providers.teleport.faults.tbot import daemon_set, pod_template, sockets
from providers.teleport.faults.tbot.takeover import FIRST
from providers.teleport.faults.teleport import ca
from providers.teleport.faults.teleport.resources import jwks_of_another_cluster
from providers.teleport.judge.join_tokens import NOTICE
from providers.teleport.judge.tbot import LONGEST_TOKEN
from provision.faults import FAULTS, Fault, Operator, Scene
from provision.faults.changes import applied, manifest, patched
from provision.faults.fault import WITH_SPIRE
from provision.faults.istio import workloads
from provision.faults.istio.istio_settings import _past_the_proxy
from provision.faults.surroundings.operator import NAMESPACE, VIEWER, _restamp, _with_minor
from provision.installing.variant import RECOMMENDED
from provision.names import APP, ISTIO_NAMESPACE
from settings import Timeouts
from tests.unit.judge import builders as make
from tests.unit.providers.teleport.installing.test_resources import JWKS, Teleport
from tests.unit.provision.test_manifests import VARIABLES

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("fault", FAULTS.values(), ids=lambda fault: fault.name)
def test_a_fault_says_in_sentences_what_it_does_and_how_it_is_undone(fault: Fault) -> None:
    assert fault.description.endswith(".")
    assert fault.undo.endswith(".")
    assert fault.touches


class Objects:
    """One ConfigMap, and the answers to a dry run that it leads to."""

    def __init__(self, key: str, text: str) -> None:
        self.data = {key: text}

    def get(self, _version: str, _kind: str, _name: str, *, namespace: str) -> dict[str, Any]:
        return {"metadata": {"namespace": namespace}, "data": dict(self.data)}

    def patch(self, _version: str, _kind: str, _name: str, change: dict[str, Any], *, namespace: str) -> None:
        assert namespace == "istio-system"
        self.data.update(change["data"])

    def would_create(self, pod: dict[str, Any]) -> dict[str, Any]:
        if "PILOT_CERT_PROVIDER" in self.data["config"]:
            raise ProvisioningFailed(expected="", seen="Duplicate value", where="", remedy="")
        return pod

    def raw(self, _path: str) -> str:
        return JWKS


OPERATOR = Operator(Path("kubeconfig"), "kind-test", ("docker", "exec", "-i", "t", "tctl"))


def scene(objects: Objects, authority: Teleport | None = None, directory: Path | None = None) -> Scene:
    installation = SimpleNamespace(
        objects=objects, authority=authority, directory=directory, run_id="run-1", variant=RECOMMENDED,
        sources=SimpleNamespace(workload_image="w:1", tbot_affected_image="t:1"),
        variables=VARIABLES,
    )  # fmt: skip
    return Scene(cast("Any", installation), OPERATOR, Timeouts(), KeptInMemory())


MESH = "trustDomain: teleport.test # as it is\npathNormalization: {normalization: NONE}\n"


def test_the_trust_domain_is_put_back_to_the_letter() -> None:
    objects = Objects("mesh", MESH)
    with FAULTS["trust-domain-cluster-local"].inject(scene(objects)):
        mesh = yaml.safe_load(objects.data["mesh"])
        assert mesh == {"trustDomain": "cluster.local", "pathNormalization": {"normalization": "NONE"}}
    assert objects.data["mesh"] == MESH


def test_it_is_put_back_when_what_runs_meanwhile_fails() -> None:
    objects = Objects("mesh", MESH)
    with pytest.raises(RuntimeError), FAULTS["trust-domain-cluster-local"].inject(scene(objects)):
        raise RuntimeError
    assert objects.data["mesh"] == MESH


def test_the_guides_template_replaces_only_itself() -> None:
    config = yaml.safe_dump({"policy": "enabled", "templates": {"sidecar": "spec: {}", "spire": "spec: {volumes: []}"}})
    objects = Objects("config", config)
    with FAULTS["guides-template-on-native-sidecars"].inject(scene(objects)):
        broken = yaml.safe_load(objects.data["config"])
        assert broken["policy"] == "enabled"
        assert broken["templates"]["sidecar"] == "spec: {}"
        assert list(yaml.safe_load(broken["templates"]["spire"])["spec"]) == ["containers", "volumes"]
    assert objects.data["config"] == config


def test_the_identity_lacks_sa_and_gets_it_back() -> None:
    teleport = Teleport(is_own=True)
    with FAULTS["identity-without-sa"].inject(scene(Objects("mesh", MESH), teleport)):
        pass
    broken, sound = (yaml.safe_load(stdin)["spec"]["spiffe"]["id"] for _, stdin in teleport.asked)
    assert broken == "/ns/{{ workload.kubernetes.namespace }}/{{ workload.kubernetes.service_account }}"
    assert sound == "/ns/{{ workload.kubernetes.namespace }}/sa/{{ workload.kubernetes.service_account }}"


def test_the_tokens_keys_are_others_and_then_the_clusters_own_again(tmp_path: Path) -> None:
    teleport = Teleport(is_own=True)
    with FAULTS["jwks-of-another-cluster"].inject(scene(Objects("mesh", MESH), teleport, tmp_path)):
        pass
    foreign, own = (
        json.loads(yaml.safe_load(stdin)["spec"]["kubernetes"]["static_jwks"]["jwks"]) for _, stdin in teleport.asked
    )
    assert own == json.loads(JWKS)
    assert foreign["keys"][0]["kid"] != own["keys"][0]["kid"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "file", "path", "value"),
    [
        ("role-for-every-label", "role", "allow.workload_identity_labels", {"*": ["*"]}),
        ("role-for-production", "role", "allow.workload_identity_labels", {"env": ["prod"]}),
        ("role-taken-from-bot", "bot", "roles", []),
        ("role-misspelt-in-bot", "bot", "roles", ["istio-workload-identity-isuer"]),
        ("role-without-read", "role", "allow.rules", [{"resources": ["workload_identity"], "verbs": ["list"]}]),
        ("placeholder-in-the-token", "token", "kubernetes.static_jwks.jwks", "PASTE_JWKS_HERE"),
        ("token-for-a-missing-bot", "token", "bot_name", "istio-tbot-of-the-guide"),
        ("token-for-another-service-account", "token", "kubernetes.allow", [{"service_account": "default:tbot"}]),
    ],
)
def test_one_field_of_one_resource_is_another_and_then_as_it_was(
    tmp_path: Path, name: str, file: str, path: str, value: object
) -> None:
    teleport = Teleport(is_own=True)
    with FAULTS[name].inject(scene(Objects("mesh", MESH), teleport, tmp_path)):
        pass
    broken, sound = (yaml.safe_load(stdin) for _, stdin in teleport.asked)
    assert broken["kind"] == sound["kind"] == file
    parents, _, key = path.rpartition(".")
    inner, outer = broken["spec"], sound["spec"]
    for parent in filter(None, parents.split(".")):
        inner, outer = inner[parent], outer[parent]
    assert inner[key] == value != outer[key]
    assert broken == sound | {"spec": broken["spec"]}
    inner[key] = outer[key]
    assert broken == sound


@pytest.mark.parametrize(
    ("name", "resource"),
    [
        ("second-token-for-the-bot", "token/istio-tbot-of-another-cluster"),
        ("role-for-another-identity", "workload_identity/payments"),
    ],
)
def test_a_resource_beside_the_sound_one_is_made_and_removed(tmp_path: Path, name: str, resource: str) -> None:
    teleport = Teleport(is_own=True)
    with FAULTS[name].inject(scene(Objects("mesh", MESH), teleport, tmp_path)):
        (beside,) = teleport.there.values()
        assert f"{beside['kind']}/{beside['metadata']['name']}" == resource
        assert (beside["spec"].get("bot_name"), beside["metadata"]["labels"].get("env")) in (
            ("istio-tbot", None),
            (None, "dev"),
        )
    assert teleport.removed() == [resource]


def test_the_bot_has_a_second_role_that_exists_and_then_neither() -> None:
    teleport = Teleport(is_own=True)
    with FAULTS["bot-with-a-second-role"].inject(scene(Objects("mesh", MESH), teleport)):
        bot, role = teleport.there["bot/istio-tbot"], teleport.there["role/payments-issuer"]
        assert bot["spec"]["roles"] == ["istio-workload-identity-issuer", "payments-issuer"]
        assert role["spec"]["allow"] == {"workload_identity_labels": {"team": ["payments"]}, "rules": []}
    assert teleport.there["bot/istio-tbot"]["spec"]["roles"] == ["istio-workload-identity-issuer"]
    assert teleport.removed() == ["role/payments-issuer"]


def test_the_token_is_gone_and_then_there_again(tmp_path: Path) -> None:
    teleport = Teleport(is_own=True)
    with FAULTS["token-removed"].inject(scene(Objects("mesh", MESH), teleport, tmp_path)):
        assert teleport.there == {}
    (back,) = teleport.there.values()
    assert json.loads(back["spec"]["kubernetes"]["static_jwks"]["jwks"]) == json.loads(JWKS)


def test_the_token_expires_within_the_notice_and_then_never(tmp_path: Path) -> None:
    teleport = Teleport(is_own=True)
    with FAULTS["token-that-expires"].inject(scene(Objects("mesh", MESH), teleport, tmp_path)):
        (ending,) = teleport.there.values()
        left = when(ending["metadata"]["expires"], "") - datetime.now(UTC)
        assert timedelta() < left < NOTICE
    (sound,) = teleport.there.values()
    assert "expires" not in sound["metadata"]


class ClusterRole:
    """tbot's ClusterRole, which an authorizer follows."""

    def __init__(self) -> None:
        self.rules = [{"apiGroups": [""], "resources": ["nodes/pods"], "verbs": ["get"]}]

    def must_get(self, _version: str, kind: str, name: str) -> dict[str, Any]:
        assert (kind, name) == ("ClusterRole", "tbot")
        return {"rules": self.rules}

    def patch(self, _version: str, kind: str, name: str, change: dict[str, Any]) -> None:
        assert (kind, name) == ("ClusterRole", "tbot")
        self.rules = change["rules"]

    def may(self, user: str, _groups: tuple[str, ...], verb: str, resource: str) -> Right:
        assert user == "system:serviceaccount:teleport-system:tbot"
        return Right(verb, resource, allowed=any(resource in rule["resources"] for rule in self.rules), evidence=())


def test_tbots_cluster_role_is_the_guides_and_then_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    role = ClusterRole()
    sound = role.rules
    monkeypatch.setattr(Scene, "looking", lambda _scene: nullcontext(role))
    with FAULTS["the-guides-cluster-role"].inject(scene(cast("Any", role))):
        assert role.rules[0]["resources"] == ["pods", "nodes", "nodes/proxy"]
    assert role.rules == sound
    with FAULTS["cluster-role-without-rules"].inject(scene(cast("Any", role))):
        assert role.rules == []
    assert role.rules == sound


def test_what_cannot_be_changed_is_told_and_not_passed_over() -> None:
    objects = Objects("tbot.yaml", "services: []\n")
    with (
        pytest.raises(ProvisioningFailed, match="none of them changed"),
        FAULTS["attestor-misspelt"].inject(scene(objects)),
    ):
        pass
    assert objects.data == {"tbot.yaml": "services: []\n"}


TBOT_FILE = """\
version: v2 # as it is
onboarding: {join_method: kubernetes, token: t}
services:
- {type: workload-identity-api, listen: "unix:///s/socket", selector: {name: istio-workloads}, attestors: {}}
"""


class TbotFile(Objects):
    """tbot's ConfigMap."""

    def __init__(self) -> None:
        super().__init__("tbot.yaml", TBOT_FILE)
        self.restarted_with = list[str]()

    def patch(self, _version: str, _kind: str, _name: str, change: dict[str, Any], *, namespace: str) -> None:
        assert namespace == "teleport-system"
        self.data.update(change["data"])

    def restart(self, kind: str, name: str, *, namespace: str) -> None:
        assert (kind, name, namespace) == ("DaemonSet", "tbot", "teleport-system")
        self.restarted_with.append(self.data["tbot.yaml"])


@pytest.mark.parametrize(
    ("name", "path", "wrong"),
    [
        ("attestor-misspelt", ("services", 0, "attestor"), {}),
        ("service-without-selector", ("services", 0), ["attestors", "listen", "type"]),
        ("configuration-without-version", (), ["onboarding", "services"]),
        ("one-lifetime-of-two", ("renewal_interval",), "10m"),
        ("join-method-of-another-token", ("onboarding", "join_method"), "token"),
        ("identity-misspelt-in-selector", ("services", 0, "selector"), {"name": "istio-workload"}),
    ],
)
def test_tbots_file_has_one_wrong_setting_and_is_put_back_to_the_letter(
    name: str, path: tuple[Any, ...], wrong: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Scene, "await_tbot", lambda _scene: None)
    objects = TbotFile()
    with FAULTS[name].inject(scene(objects)):
        found = yaml.safe_load(objects.data["tbot.yaml"])
        assert parse_tbot_config(found).services or name == "configuration-without-version"
        for key in path:
            found = found[key]
        assert (sorted(found) if isinstance(wrong, list) else found) == wrong
        assert not objects.restarted_with
    assert objects.data == {"tbot.yaml": TBOT_FILE}
    assert objects.restarted_with == [TBOT_FILE], "the file that was put back is in force"


class TbotPods:
    """tbot's DaemonSet, which takes patches as the API server does not: it keeps them."""

    def __init__(self) -> None:
        (manifest,) = RECOMMENDED.documents("tbot-daemonset.yaml", VARIABLES)
        self.spec, self.patches = manifest["spec"], list[dict[str, Any]]()

    def must_get(self, _version: str, kind: str, _name: str, *, namespace: str) -> dict[str, Any]:
        assert (kind, namespace) == ("DaemonSet", "teleport-system")
        return {"spec": self.spec}

    def patch(self, _version: str, kind: str, _name: str, change: dict[str, Any], *, namespace: str) -> None:
        assert (kind, namespace) == ("DaemonSet", "teleport-system")
        self.patches.append(change["spec"]["template"]["spec"])


@pytest.mark.parametrize(
    ("name", "broken", "sound"),
    [
        ("tbot-without-host-pid", {"hostPID": None}, {"hostPID": True}),
        (
            "tbot-without-node-name",
            {"containers": [{"name": "tbot", "env": [{"name": "TELEPORT_NODE_NAME", "$patch": "delete"}]}]},
            {
                "containers": [
                    {
                        "name": "tbot",
                        "env": [{"name": "TELEPORT_NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}}],
                    }
                ]
            },
        ),
        (
            "tbot-for-other-nodes",
            {"nodeSelector": {"kubernetes.io/hostname": "control-plane"}},
            {"nodeSelector": None},
        ),
        (
            "sockets-in-another-directory",
            {"volumes": [{"name": "sockets", "hostPath": {"path": "/run/tbot-sockets", "type": "DirectoryOrCreate"}}]},
            {
                "volumes": [
                    {
                        "name": "sockets",
                        "hostPath": {"path": VARIABLES["SOCKET_DIRECTORY"], "type": "DirectoryOrCreate"},
                    }
                ]
            },
        ),
    ],
)
def test_tbots_pods_lack_one_thing_and_get_it_back(
    monkeypatch: pytest.MonkeyPatch, name: str, broken: dict[str, Any], sound: dict[str, Any]
) -> None:
    objects = TbotPods()
    monkeypatch.setattr(Scene, "await_rollout", lambda *_: None)
    monkeypatch.setattr(Scene, "await_tbot", lambda _scene: None)
    monkeypatch.setattr(Scene, "nodes", lambda _scene: ["worker", "control-plane"])
    monkeypatch.setattr(Scene, "on_node", lambda *_command: "")
    for module in (daemon_set, pod_template, sockets):
        monkeypatch.setattr(module, "await_cut_off", lambda *_which, **_every: None)
    with FAULTS[name].inject(scene(cast("Any", objects))):
        assert objects.patches == [broken]
    assert objects.patches == [broken, sound]


class Node:
    """A node with pods of tbot and of the test application, and what is done there, in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.done: list[str] = []
        own = {"nodes": lambda _scene: ["worker", "control-plane"], "on_node": lambda _scene, *words: self.note(*words)}
        for name, replacement in own.items():
            monkeypatch.setattr(Scene, name, replacement)
        for name in ("await_rollout", "await_tbot", "restart_app"):
            monkeypatch.setattr(Scene, name, lambda _scene, *words, name=name: self.note(name, *words[:1]))
        for name in ("_await_waiting", "_await_exits"):
            monkeypatch.setattr(sockets, name, lambda _scene, node, name=name: self.note(name, node))
        (manifest,) = RECOMMENDED.documents("tbot-daemonset.yaml", VARIABLES)
        self.spec = manifest["spec"]

    def note(self, *words: str) -> None:
        self.done.append(" ".join(words))

    def all_of(self, *_kind: str, label_selector: str, **_namespace: str) -> list[dict[str, Any]]:
        name = label_selector.removeprefix("app=")
        return [{"metadata": {"name": f"{name}-on-{node}"}, "spec": {"nodeName": node}} for node in ("worker", "other")]

    def must_get(self, *_object: str, **_namespace: str) -> dict[str, Any]:
        return {"spec": self.spec}

    def patch(self, _version: str, kind: str, _name: str, change: dict[str, Any], **_namespace: str) -> None:
        (volume,) = change["spec"]["template"]["spec"]["volumes"]
        self.note("patch", kind, volume["hostPath"]["type"])

    def delete(self, _version: str, _kind: str, name: str, **_namespace: str) -> None:
        self.note("delete", name)

    def restart(self, _kind: str, name: str, **_namespace: str) -> None:
        self.note("restart", name)


def test_a_lost_directory_is_made_by_tbot_before_what_mounts_it_starts_again(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node(monkeypatch)
    with FAULTS["socket-directory-lost"].inject(scene(cast("Any", node))):
        assert node.done == [
            "patch DaemonSet Directory",
            "await_tbot",
            f"worker rm -rf {VARIABLES['SOCKET_DIRECTORY']}",
            "delete tbot-on-worker",
            "delete test-app-on-worker",
            "_await_waiting worker",
        ]
        node.done.clear()
    assert node.done == [
        "patch DaemonSet DirectoryOrCreate",
        "await_rollout DaemonSet",
        "restart istio-ingressgateway",
        "restart_app",
        "await_rollout Deployment",
        "await_tbot",
    ]


def test_a_socket_that_was_left_is_replaced_by_a_tbot_that_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node(monkeypatch)
    with FAULTS["socket-left-by-a-killed-tbot"].inject(scene(cast("Any", node))):
        left, *others = node.done
        assert left.startswith("worker perl -MSocket -e")
        assert left.endswith(f"{VARIABLES['SOCKET_DIRECTORY']}/socket")
        assert others == ["delete test-app-on-worker", "_await_exits worker"]
        node.done.clear()
    assert node.done == ["restart tbot", "await_rollout DaemonSet", "restart_app", "await_tbot"]


def test_the_program_leaves_a_socket_to_which_no_process_listens(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as former:
        former.bind(str(path))
    subprocess.run(["perl", "-MSocket", "-e", sockets.LEAVES_A_SOCKET, path], check=True)
    assert (path.is_socket(), path.stat().st_mode & 0o777) == (True, 0o777)
    with socket.socket(socket.AF_UNIX) as client, pytest.raises(ConnectionRefusedError):
        client.connect(str(path))


def test_tbot_leaves_out_one_node_while_no_sidecar_may_fall_back(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node(monkeypatch)

    @contextmanager
    def part(name: str) -> Iterator[None]:
        node.note(name)
        try:
            yield
        finally:
            node.note(f"no {name}")

    monkeypatch.setattr(sockets, "another_name", lambda _scene: part("other name"))
    monkeypatch.setattr(sockets, "first_left_out", lambda _scene, _then: part("node left out"))
    with FAULTS["no-tbot-and-no-fallback"].inject(scene(cast("Any", node))):
        assert node.done == ["other name", "node left out", "delete test-app-on-worker", "_await_exits worker"]
        node.done.clear()
    assert node.done == ["no node left out", "no other name"]


def test_tbots_socket_is_renamed_in_its_directory() -> None:
    (service,) = sockets._renamed(yaml.safe_load(TBOT_FILE))["services"]
    assert service["listen"] == "unix:///s/agent.sock"
    assert service["selector"] == {"name": "istio-workloads"}


class Firewall:
    """The firewall of each node."""

    def __init__(self) -> None:
        self.rules: list[tuple[str, str]] = []

    def run(self, node: str, *argv: str) -> str:
        assert argv[:2] == ("iptables", "-w")
        rule = (node, " ".join(argv[3:]))
        {"-I": self.rules.append, "-D": self.rules.remove}[argv[2]](rule)
        return ""


def test_the_firewall_gets_one_rule_and_loses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    firewall = Firewall()
    monkeypatch.setattr(Scene, "nodes", lambda _scene: ["worker", "control-plane"])
    monkeypatch.setattr(Scene, "on_node", lambda _scene, node, *argv: firewall.run(node, *argv))
    monkeypatch.setattr(Scene, "await_refusal", lambda _scene: None)
    monkeypatch.setattr(Scene, "await_injected", lambda _scene: None)
    with FAULTS["injector-cut-off"].inject(scene(Objects("mesh", MESH))):
        rule = "OUTPUT -p tcp --dport 15017 -j REJECT --reject-with tcp-reset"
        assert firewall.rules == [("control-plane", rule)]
    assert firewall.rules == []


class Namespace:
    """The test application's namespace and Deployment; the API server refuses its pods while Pod Security is stricter."""

    def __init__(self, **labels: str) -> None:
        self.labels, self.annotations = dict(labels), dict[str, Any]()
        self.deleted: list[str] = []

    def must_get(self, _version: str, kind: str, _name: str, **_namespace: str) -> dict[str, Any]:
        refused = self.labels.get("pod-security.kubernetes.io/enforce") == "baseline"
        conditions = [{"type": "ReplicaFailure", "status": "True"}] if refused and self.deleted else []
        return {"metadata": {"labels": dict(self.labels)}, "status": {"conditions": conditions}, "kind": kind}

    def patch(self, _version: str, kind: str, name: str, change: dict[str, Any]) -> None:
        assert (kind, name) == ("Namespace", APP)
        for key, values in change["metadata"].items():
            own = getattr(self, key)
            own |= values
            for each in [each for each, value in own.items() if value is None]:
                del own[each]

    def all_of(self, *_kind: str, **_where: str) -> list[dict[str, Any]]:
        return [{"metadata": {"name": "test-app-1"}}, {"metadata": {"name": "test-app-2"}}]

    def delete(self, _version: str, _kind: str, name: str, *, namespace: str) -> None:
        assert namespace == APP
        self.deleted.append(name)


@pytest.mark.parametrize("labels", [{}, {"pod-security.kubernetes.io/enforce": "privileged"}])
def test_pod_security_refuses_one_pod_and_is_as_before(monkeypatch: pytest.MonkeyPatch, labels: dict[str, str]) -> None:
    namespace = Namespace(**labels)
    restarts: list[str] = []
    monkeypatch.setattr(Scene, "restart_app", lambda _scene: restarts.append(APP))
    with FAULTS["pods-refused-by-pod-security"].inject(scene(cast("Any", namespace))):
        assert namespace.labels == {"pod-security.kubernetes.io/enforce": "baseline"}
        assert namespace.deleted == ["test-app-1"]
    assert namespace.labels == labels
    assert restarts == [APP]


def test_the_annotation_moves_to_the_namespace_and_back(monkeypatch: pytest.MonkeyPatch) -> None:
    namespace = Namespace()
    monkeypatch.setattr(workloads, "changed", lambda _scene, template: nullcontext(template))
    monkeypatch.setattr(Scene, "await_app", lambda _scene: None)
    with FAULTS["template-on-the-namespace"].inject(scene(cast("Any", namespace))):
        assert namespace.annotations == {TEMPLATES: WITH_SPIRE}
    assert namespace.annotations == {}


def tbot_in(state: str, *, ready: bool = False, terminating: bool = False) -> list[Pod]:
    """The pods of a tbot whose container is in that state."""
    pod = make.tbot_pod(ready=ready, terminating=terminating)
    return [replace(pod, spec=replace(pod.spec, containers=(make.tbot_container(state=state),)))]


def test_a_token_lives_longer_than_teleport_accepts(monkeypatch: pytest.MonkeyPatch) -> None:
    objects = TbotPods()
    former = tbot_in("terminated", terminating=True)
    looks = [tbot_in("running", ready=True), tbot_in("running"), former, tbot_in("terminated")]
    cluster = SimpleNamespace(pods=lambda _namespace: looks.pop(0))
    monkeypatch.setattr(Scene, "looking", lambda _scene: nullcontext(cluster))
    monkeypatch.setattr(Scene, "rollout", Pace(1, 0.001))
    monkeypatch.setattr(Scene, "await_tbot", lambda _scene: None)
    monkeypatch.setattr(daemon_set, "await_cut_off", lambda _scene: None)
    with FAULTS["token-of-two-hours"].inject(scene(cast("Any", objects))):
        assert looks == []  # a tbot that has not exited yet may be about to join
    broken, sound = (p["volumes"][0]["projected"]["sources"][0]["serviceAccountToken"] for p in objects.patches)
    assert broken == {**sound, "expirationSeconds": 7200}
    assert sound["expirationSeconds"] <= LONGEST_TOKEN < broken["expirationSeconds"]


def test_a_template_is_taken_away_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Scene, "await_refusal", lambda _scene: None)
    monkeypatch.setattr(Scene, "await_injected", lambda _scene: None)
    config = yaml.safe_dump({"templates": {"sidecar": "spec: {}", "spire": "spec: {volumes: []}"}})
    objects = Objects("config", config)
    with FAULTS["injection-template-missing"].inject(scene(objects)):
        assert yaml.safe_load(objects.data["config"]) == {"templates": {"sidecar": "spec: {}"}}
    assert objects.data["config"] == config


def test_a_port_is_left_out_and_the_other_values_stay() -> None:
    values = {"global": {"proxy": {"excludeInboundPorts": "", "clusterDomain": "cluster.local"}, "hub": "h"}}
    changed = json.loads(_past_the_proxy(json.dumps(values)))
    assert changed["global"]["proxy"] == {"excludeInboundPorts": "8080", "clusterDomain": "cluster.local"}
    assert changed["global"]["hub"] == "h"


def test_a_run_with_a_name_lets_its_service_account_into_the_token(tmp_path: Path) -> None:
    teleport = Teleport(is_own=True)
    with FAULTS["token-for-two-service-accounts"].inject(scene(Objects("mesh", MESH), teleport, tmp_path)) as operator:
        assert operator is not None
        assert operator.run_id
    broken, sound = (yaml.safe_load(stdin)["spec"]["kubernetes"]["allow"] for _, stdin in teleport.asked)
    assert sound == [{"service_account": "teleport-system:tbot"}]
    run_id = operator.run_id
    assert broken == [*sound, {"service_account": f"conformance-{run_id}:joiner"}]


def test_an_older_stamp_is_put_on_the_same_program(tmp_path: Path) -> None:
    program, other = tmp_path / "istioctl", tmp_path / "other"
    program.write_bytes(b"\x7fELF 1.31.0-lab \x00 1.31.0-lab")
    assert _with_minor("1.31.0-lab", 27) == "1.27.0-lab"
    _restamp(program, other, "1.31.0-lab", "1.27.0-lab")
    assert other.read_bytes() == b"\x7fELF 1.27.0-lab \x00 1.27.0-lab"
    assert other.stat().st_mode & 0o777 == 0o700
    assert program.read_bytes().count(b"1.31.0-lab") == 2


@pytest.mark.parametrize("wanted", ["1.9.0-lab", "1.127.0-lab"])
def test_a_stamp_of_another_length_cannot_take_its_place(tmp_path: Path, wanted: str) -> None:
    program = tmp_path / "istioctl"
    program.write_bytes(b"\x7fELF 1.31.0-lab")
    with pytest.raises(ProvisioningFailed, match="as many characters"):
        _restamp(program, tmp_path / "other", "1.31.0-lab", wanted)
    assert not (tmp_path / "other").exists()


def test_tctl_runs_as_an_unprivileged_user() -> None:
    with FAULTS["expired-teleport-session"].inject(scene(Objects("mesh", MESH))) as operator:
        assert operator == replace(OPERATOR, tctl=("docker", "exec", "--user", "65534", "-i", "t", "tctl"))


def test_the_foreign_keys_are_such_as_an_api_server_publishes() -> None:
    parsed = parse_jwks(jwks_of_another_cluster())
    assert len(parsed.key_ids) == 1


class _Rotation:
    """Teleport, with a rotation in the phase that is set; tctl does not work where there is none."""

    phase = "standby"

    def __init__(self, _proxy: str, **_options: Any) -> None: ...

    def status(self) -> ClusterStatus | NoSession:
        if not self.phase:
            return NoSession("no container", expired=False)
        return ClusterStatus("t", "standby (never rotated)" if self.phase == "standby" else f"phase: {self.phase}")


class _Node:
    """A scene in which tbot dials one address, and what was done on its node."""

    patience = Timeouts()

    def __init__(self) -> None:
        self.done: list[str] = []
        alias = {"ip": "10.9.8.7", "hostnames": ["teleport.example.com"]}
        tbot = {"spec": {"template": {"spec": {"hostAliases": [alias]}}}}
        objects = SimpleNamespace(must_get=lambda *_, **__: tbot)
        self.installation = SimpleNamespace(objects=objects, authority=SimpleNamespace(proxy="t:1", tctl=None))

    def on_node(self, node: str, *argv: str) -> str:
        assert (node, argv[:2]) == ("node-1", ("sh", "-ec"))
        self.done.append("cut" if " -I " in argv[2] else "mended")
        assert "10.9.8.7" in argv[2]
        return ""


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> _Node:
    monkeypatch.setattr(ca, "TeleportSession", _Rotation)
    monkeypatch.setattr(ca, "INTERVAL", 0.005)
    monkeypatch.setattr(_Rotation, "phase", "standby")
    return _Node()


def _await_done(node: _Node, done: list[str]) -> None:
    def look() -> None:
        if node.done != done:
            raise NotYet(str(node.done))

    eventually(f"{done} was done", look, Pace(timeout=5, interval=0.005))


def test_the_network_is_cut_while_a_rotation_is_under_way(network: _Node, monkeypatch: pytest.MonkeyPatch) -> None:
    cut = ca.Cut(cast("Any", network), "node-1")
    cut.begin()
    for phase, done in (("init", ["cut"]), ("standby", ["cut", "mended"]), ("rollback", ["cut", "mended", "cut"])):
        monkeypatch.setattr(_Rotation, "phase", phase)
        _await_done(network, done)
    cut.end()
    assert network.done == ["cut", "mended", "cut", "mended"]


def test_a_rotation_that_could_not_be_followed_is_an_error_and_the_network_is_repaired(
    network: _Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = ca.Cut(cast("Any", network), "node-1")
    cut.begin()
    monkeypatch.setattr(_Rotation, "phase", "update_clients")
    _await_done(network, ["cut"])
    monkeypatch.setattr(_Rotation, "phase", "")
    cut._follower.join(5)
    with pytest.raises(RuntimeError, match="was not followed to the end"):
        cut.end()
    assert network.done == ["cut", "mended"]


class Cluster:
    """Objects that were patched, applied and deleted, in order."""

    def __init__(self) -> None:
        self.done: list[tuple[str, str]] = []

    def patch(self, _version: str, kind: str, name: str, change: dict[str, Any], *, namespace: str) -> None:
        self.done.append((f"{kind} {namespace}/{name}", json.dumps(change["spec"])))

    def apply_all(self, documents: list[dict[str, Any]]) -> None:
        self.done += [("apply", document["kind"]) for document in documents]

    def delete(self, _version: str, kind: str, _name: str, *, namespace: str) -> None:
        self.done.append((f"delete in {namespace}", kind))


def _in(cluster: Cluster) -> Scene:
    return cast("Scene", SimpleNamespace(installation=SimpleNamespace(objects=cluster)))


def test_a_patch_is_taken_back_before_the_wait_for_what_it_was() -> None:
    cluster = Cluster()
    then = partial(cluster.done.append, ("wait", ""))
    with (
        pytest.raises(RuntimeError),
        patched(_in(cluster), "Deployment", "d", "n", spec={"replicas": 0}, undo={"replicas": 2}, then=then),
    ):
        raise RuntimeError
    assert cluster.done == [("Deployment n/d", '{"replicas": 0}'), ("Deployment n/d", '{"replicas": 2}'), ("wait", "")]


def test_applied_objects_are_deleted_last_first() -> None:
    cluster = Cluster()
    with pytest.raises(RuntimeError), applied(_in(cluster), *manifest("account-with-view")):
        raise RuntimeError
    assert [what for what, _ in cluster.done] == [
        "apply", "apply", "apply", "delete in ", "delete in conformance-faults", "delete in ",
    ]  # fmt: skip
    assert [kind for _, kind in cluster.done[3:]] == ["ClusterRoleBinding", "ServiceAccount", "Namespace"]


def test_the_manifests_of_faults_use_the_names_that_their_faults_use() -> None:
    account, pod = manifest("first-comer", NODE="n", WORKLOAD_IMAGE="w:1")
    assert account["metadata"] == {"name": FIRST, "namespace": APP}
    assert pod["metadata"] == {"name": FIRST, "namespace": APP, "annotations": {TEMPLATES: WITH_SPIRE}}
    namespace, account, _ = manifest("account-with-view")
    assert (namespace["metadata"]["name"], account["metadata"]["name"]) == (NAMESPACE, VIEWER)
    assert manifest("policy-for-every-caller")[0]["metadata"]["namespace"] == ISTIO_NAMESPACE
    (root,) = manifest("root-with-the-nodes-run", WORKLOAD_IMAGE="w:1")
    assert (root["metadata"]["name"], root["metadata"]["namespace"]) == ("root-with-the-nodes-run", APP)
    assert manifest("normalization-left-over")[0]["metadata"]["namespace"] == APP


def test_a_change_of_authority_is_rolled_back_before_anything_needs_the_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Certificates of the old authority are issued again before the phase that drops the new one."""
    done: list[str] = []
    trusted = iter([["old"], ["old", "new"]])

    def stopped(_scene: object, node: str) -> Any:
        done.append(f"stop {node}")
        return nullcontext()

    def reissued(_scene: object, signers: list[str], **_but_on: str) -> None:
        done.append(f"reissue by {signers[0]}")

    def awaited(_scene: object, number: int, **but_on: str) -> None:
        done.append(f"{number} but on {but_on.get('but_on', 'none')}")

    monkeypatch.setattr(daemon_set, "enter_phase", lambda _tctl, _recorder, phase: done.append(phase))
    monkeypatch.setattr(daemon_set, "_stopped", stopped)
    monkeypatch.setattr(daemon_set, "_trusted", lambda _scene, **_but_on: next(trusted))
    monkeypatch.setattr(daemon_set, "_reissue", reissued)
    monkeypatch.setattr(daemon_set, "_await_frozen", lambda _scene, _node: None)
    monkeypatch.setattr(daemon_set, "_await_authorities", awaited)
    authority = SimpleNamespace(tctl=None)
    there = SimpleNamespace(nodes=lambda: ["node-1"], installation=SimpleNamespace(authority=authority), recorder=None)
    with (
        pytest.raises(RuntimeError),
        FAULTS["tbot-frozen-past-a-change-of-authority"].inject(cast("Scene", there)),
    ):
        raise RuntimeError
    assert done == [
        "stop node-1",
        "init",
        "2 but on node-1",
        "update_clients",
        "reissue by new",
        "rollback",
        "reissue by old",
        "standby",
        "1 but on none",
    ]
