"""What intruders are made of: forged certificates, narrowed rules, a tbot of another service account."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from facts.agent import Agent
from facts.attempts import NotRun
from facts.errors import NotGiven, ProvisioningFailed
from facts.evidence import KeptInMemory
from facts.kubernetes import Pod
from facts.mesh import Mesh
from facts.svid import parse_certificates, verify_chain
from observe.command import CommandResult
from provision.forgery import forged
from provision.intruders import Intruders
from provision.joiner import config_maps_of, joiner
from provision.render import MANIFESTS, documents
from provision.rules import Rules, without
from settings import Names
from tests.unit.judge import builders as make
from tests.unit.judge.certificates import authority

VARIABLES = {
    "TRUST_DOMAIN": "teleport.example.com",
    "PROXY_SERVER": "teleport.example.com:443",
    "SOCKET_DIRECTORY": "/run/spire/sockets",
    "TBOT_IMAGE": "registry.example/tbot:18.6.4",
    "WORKLOAD_IMAGE": "registry.example/python:1",
}


# Forged certificates.


def test_a_forged_certificate_is_sound_but_for_its_issuer() -> None:
    claim = "spiffe://teleport.example.com/ns/a/sa/b"
    made = forged(claim)
    (leaf,) = parse_certificates(made.certificate, "a test")

    assert leaf.uri_sans == (claim,)
    assert leaf.is_valid_at(datetime.now(UTC))
    assert not leaf.is_ca
    assert leaf.extended_key_usage == {"server_auth", "client_auth"}
    assert leaf.san_critical
    assert "digital_signature" in leaf.key_usage
    assert not verify_chain(leaf, [authority()], datetime.now(UTC)).ok
    assert "PRIVATE KEY" in made.key


# Rules.

IDENTITY: dict[str, Any] = {
    "kind": "workload_identity",
    "version": "v1",
    "metadata": {"name": "istio-workloads", "labels": {"env": "dev"}, "revision": "r1"},
    "spec": {"spiffe": {"id": "/ns/x"}},
}
NOT_REFUSED = {"attribute": "workload.kubernetes.service_account", "not_eq": {"value": "refused-1"}}


def with_rules(*allow: dict[str, Any]) -> dict[str, Any]:
    """The identity with those allow rules."""
    return {**IDENTITY, "spec": {**IDENTITY["spec"], "rules": {"allow": list(allow)}}}


@pytest.mark.parametrize(
    ("identity", "allow"),
    [
        (IDENTITY, [{"conditions": [NOT_REFUSED]}]),
        ({**IDENTITY, "spec": {**IDENTITY["spec"], "rules": None}}, [{"conditions": [NOT_REFUSED]}]),
        (with_rules({"conditions": [{"attribute": "a", "eq": {"value": "b"}}]}),
         [{"conditions": [{"attribute": "a", "eq": {"value": "b"}}, NOT_REFUSED]}]),
        (with_rules({"expression": "a == b || c"}),
         [{"expression": '(a == b || c) && !(workload.kubernetes.service_account == "refused-1")'}]),
        (with_rules({"conditions": [{"attribute": "a", "eq": {"value": "b"}}]}, {"expression": "c"}),
         [{"conditions": [{"attribute": "a", "eq": {"value": "b"}}, NOT_REFUSED]},
          {"expression": '(c) && !(workload.kubernetes.service_account == "refused-1")'}]),
    ],
    ids=["none", "null", "conditions", "expression", "both"],
)  # fmt: skip
def test_every_rule_leaves_the_service_account_out(identity: dict[str, Any], allow: list[dict[str, Any]]) -> None:
    before = json.dumps(identity)
    assert without(identity, "refused-1")["spec"]["rules"]["allow"] == allow
    assert json.dumps(identity) == before


class Tctl:
    """A Teleport with one workload identity; `says` is the exit code of what changes it."""

    def __init__(self, says: int = 0) -> None:
        self.holds: dict[str, Any] = IDENTITY
        self.says = says

    def __call__(self, words: Sequence[str], stdin: str) -> CommandResult:
        out = ""
        if words[0] == "get":
            out = json.dumps([self.holds])
        elif self.says == 0:
            self.holds = yaml.safe_load(stdin)
        return CommandResult(("tctl", *words), 0 if words[0] == "get" else self.says, out, "no", datetime.now(UTC))


def test_rules_are_put_back_to_the_letter() -> None:
    tctl = Tctl()
    rules = Rules(tctl, KeptInMemory())
    former = rules.leave_out("istio-workloads", "refused-1")
    assert (former.name, former.rules) == ("istio-workloads", ())
    assert tctl.holds["spec"]["rules"] == {"allow": [{"conditions": [NOT_REFUSED]}]}
    rules.restore()
    assert tctl.holds["spec"] == IDENTITY["spec"]
    assert tctl.holds["metadata"]["labels"] == {"env": "dev"}


def test_rules_that_were_not_changed_are_left_alone() -> None:
    tctl = Tctl(says=1)
    Rules(tctl, KeptInMemory()).restore()
    assert tctl.holds is IDENTITY


def test_a_change_that_was_refused_is_taken_back_all_the_same() -> None:
    tctl = Tctl(says=1)
    rules = Rules(tctl, KeptInMemory())
    with pytest.raises(ProvisioningFailed) as refused:
        rules.leave_out("istio-workloads", "refused-1")
    assert "exit code 1: no" in refused.value.seen
    tctl.says = 0
    rules.restore()
    assert tctl.holds["spec"] == IDENTITY["spec"]


def test_what_could_not_be_put_back_is_told_with_the_resource() -> None:
    tctl = Tctl()
    rules = Rules(tctl, KeptInMemory())
    rules.leave_out("istio-workloads", "refused-1")
    tctl.says = 1
    with pytest.raises(ProvisioningFailed) as refused:
        rules.restore()
    assert json.dumps(IDENTITY["spec"]["spiffe"]) in refused.value.remedy


def test_without_an_admin_session_rules_are_not_evaluated() -> None:
    with pytest.raises(NotGiven):
        Rules(None, KeptInMemory()).leave_out("istio-workloads", "refused-1")


# A tbot of another service account.


def installed(**changes: Any) -> tuple[dict[str, Any], dict[str, dict[str, str]]]:
    """Tbot's DaemonSet and ConfigMap as the manifests have them."""
    (daemon_set,) = documents(MANIFESTS / "tbot-daemonset.yaml", VARIABLES)
    (config,) = documents(MANIFESTS / "tbot-config.yaml", VARIABLES)
    daemon_set["spec"]["template"]["spec"].update(changes)
    return daemon_set, {config["metadata"]["name"]: config["data"]}


def test_the_joiner_joins_as_tbot_does_with_another_service_account() -> None:
    daemon_set, config_maps = installed(hostAliases=[{"ip": "10.0.0.1", "hostnames": ["teleport.example.com"]}])
    account, config, pod = joiner(
        daemon_set, config_maps, container="tbot", name="joiner-1", account="joiner", namespace="run"
    )

    assert (account["kind"], account["metadata"]) == ("ServiceAccount", {"name": "joiner", "namespace": "run"})
    assert pod["metadata"]["name"] == "joiner-1"
    spec = pod["spec"]
    (container,) = spec["containers"]
    assert spec["serviceAccountName"] == "joiner"
    assert spec["hostAliases"] == [{"ip": "10.0.0.1", "hostnames": ["teleport.example.com"]}]
    assert container["image"] == VARIABLES["TBOT_IMAGE"]
    assert container["args"] == ["start", "-c", "/config/tbot.yaml"]
    (token,) = [v["projected"]["sources"][0]["serviceAccountToken"] for v in spec["volumes"] if "projected" in v]
    assert token["audience"] == VARIABLES["TRUST_DOMAIN"]
    written = yaml.safe_load(config["data"]["tbot.yaml"])
    assert written["onboarding"] == {"join_method": "kubernetes", "token": "istio-tbot-k8s-join"}
    assert config["metadata"]["namespace"] == pod["metadata"]["namespace"] == "run"


def test_the_joiner_has_nothing_of_the_node_and_leaves_nothing_behind() -> None:
    daemon_set, config_maps = installed(hostNetwork=True)
    *_, config, pod = joiner(daemon_set, config_maps, container="tbot", name="joiner-1", account="joiner", namespace="run")

    spec = pod["spec"]
    assert not any(key in spec for key in ("hostPID", "hostNetwork", "nodeSelector", "tolerations"))
    assert not any("hostPath" in volume for volume in spec["volumes"])
    assert spec["containers"][0]["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert "readinessProbe" not in spec["containers"][0]
    written = yaml.safe_load(config["data"]["tbot.yaml"])
    assert written["storage"] == {"type": "memory"}
    assert "diag_addr" not in written


def test_secrets_are_left_out_with_what_refers_to_them() -> None:
    daemon_set, config_maps = installed()
    spec = daemon_set["spec"]["template"]["spec"]
    spec["volumes"].append({"name": "ca", "secret": {"secretName": "ca"}})
    spec["containers"][0]["volumeMounts"].append({"name": "ca", "mountPath": "/ca"})
    spec["containers"][0]["env"].append({"name": "X", "valueFrom": {"secretKeyRef": {"name": "x", "key": "y"}}})
    *_, pod = joiner(daemon_set, config_maps, container="tbot", name="joiner-1", account="joiner", namespace="run")

    assert "ca" not in {v["name"] for v in pod["spec"]["volumes"]}
    assert "ca" not in {m["name"] for m in pod["spec"]["containers"][0]["volumeMounts"]}
    assert "X" not in {e["name"] for e in pod["spec"]["containers"][0]["env"]}


def test_config_maps_that_are_no_configuration_are_copied_as_they_are() -> None:
    daemon_set, config_maps = installed()
    daemon_set["spec"]["template"]["spec"]["volumes"].append({"name": "ca", "configMap": {"name": "ca"}})
    assert config_maps_of(daemon_set) == ["tbot-config", "ca"]
    made = joiner(
        daemon_set, config_maps | {"ca": {"ca.pem": "-----BEGIN"}}, container="tbot", name="j", account="j", namespace="run"
    )
    assert [d["data"] for d in made if d["metadata"]["name"] == "ca"] == [{"ca.pem": "-----BEGIN"}]


# What is made for whom, and when.


class Objects:
    """Takes every object but pods of the names that it refuses."""

    run_id = "Run-1"

    def __init__(self, *refuses: str) -> None:
        self.refuses = refuses
        self.made: list[str] = []
        self.removed: list[str] = []

    def apply(self, document: dict[str, Any]) -> dict[str, Any]:
        name = document["metadata"]["name"]
        if document["kind"] == "Pod" and name in self.refuses:
            raise ProvisioningFailed(expected="it", seen="HTTP 403: violates PodSecurity", where=name, remedy="")
        self.made.append(f"{document['kind']}/{name}")
        return document

    def get(self, _version: str, kind: str, name: str, *, namespace: str = "") -> dict[str, Any]:
        del namespace
        daemon_set, config_maps = installed()
        return daemon_set if kind == "DaemonSet" else {"data": config_maps[name]}

    def delete(self, _version: str, kind: str, name: str) -> None:
        self.removed.append(f"{kind}/{name}")


class Cluster:
    """Has no pods."""

    def pods(self, _namespace: str) -> tuple[Pod, ...]:
        return (make.pod("outside", namespace="conformance-run-1"),)


class Probes:
    """Has a namespace, and finds nothing."""

    def namespace(self) -> str:
        return "conformance-run-1"

    def of_sockets(self, **_arguments: object) -> tuple[()]:
        return ()


class Install:
    """As the guide installs it, on one node."""

    names = Names()

    def agent(self) -> Agent:
        return make.agent()

    def mesh(self) -> Mesh:
        return make.mesh()

    def injected_by_node(self) -> dict[str, list[Pod]]:
        return {"node-1": [make.pod()]}

    def proxy_image(self) -> str:
        return "registry.example/proxyv2:1"

    def socket_directory(self) -> str:
        return "/run/spire/sockets"

    def socket_name(self) -> str:
        return "socket"


class JoinsOtherwise(Install):
    """Its tbot joins by a method that knows nothing of service accounts."""

    def agent(self) -> Agent:
        return make.agent(config=make.tbot_config(join_method="iam"))


def intruders(objects: Objects, tctl: Tctl | None = None, install: Install | None = None) -> Intruders:
    """Intruders of a run on that cluster."""
    rules = Rules(tctl, KeptInMemory())
    parts: list[Any] = [objects, Cluster(), install or Install(), Probes(), rules]
    return Intruders(*parts, image="registry.example/python:1", patience=0.1)


REFUSED = "Pod/refused"


def test_only_what_is_wanted_is_made() -> None:
    objects = Objects()
    intruders(objects).begin(["NEG-04", "NEG-07", "ID-01"])
    pods = {name for name in objects.made if name.startswith("Pod/")}
    assert pods == {"Pod/stranger", "Pod/fail-closed"}


def test_nobody_tries_to_join_where_he_would_be_let_in_as_the_bot() -> None:
    objects = Objects()
    made = intruders(objects, install=JoinsOtherwise())
    made.begin({"NEG-06"})
    assert objects.made == []
    attempt = made.joiner()
    assert isinstance(attempt, NotRun)
    assert "by the method iam" in attempt.reason
    assert attempt.evidence == ("ev-agent",)


def test_rules_are_narrowed_only_when_who_is_in_no_pod_has_been_asked() -> None:
    objects, tctl = Objects(), Tctl()
    made = intruders(objects, tctl)
    made.begin(["NEG-02", "NEG-03"])
    assert tctl.holds is IDENTITY
    assert REFUSED not in objects.made
    made.beside()
    assert tctl.holds["spec"]["rules"]["allow"]
    assert REFUSED in objects.made
    assert made.former_rules().rules == ()
    made.restore_rules()
    assert "rules" not in tctl.holds["spec"]


def test_rules_are_narrowed_at_once_where_nobody_asks_from_outside() -> None:
    objects, tctl = Objects(), Tctl()
    intruders(objects, tctl).begin(["NEG-03"])
    assert tctl.holds["spec"]["rules"]["allow"]
    assert {REFUSED, "Pod/allowed"} <= {*objects.made}


def test_rules_that_cannot_be_narrowed_concern_nobody_else() -> None:
    objects = Objects()
    made = intruders(objects)
    made.begin(["NEG-03", "NEG-04"])
    assert "Pod/fail-closed" in objects.made
    assert REFUSED not in objects.made
    with pytest.raises(NotGiven):
        made.former_rules()


def test_a_pod_that_the_cluster_does_not_admit_is_told_as_that() -> None:
    made = intruders(Objects("outside-node-1"))
    made.begin(["NEG-02"])
    (outside,) = made.outside()
    assert isinstance(outside, NotRun)
    assert outside.by_policy
    assert "violates PodSecurity" in outside.reason
    assert outside.evidence


def test_everything_is_put_back_and_removed() -> None:
    objects, tctl = Objects(), Tctl()
    made = intruders(objects, tctl)
    made.begin(["NEG-03"])
    made.remove()
    assert "rules" not in tctl.holds["spec"]
    assert objects.removed == ["Namespace/conformance-run-1-intruders"]


def test_nothing_was_made_and_nothing_is_removed() -> None:
    objects = Objects()
    made = intruders(objects)
    made.begin(["ID-01"])
    made.remove()
    assert (objects.made, objects.removed) == ([], [])
