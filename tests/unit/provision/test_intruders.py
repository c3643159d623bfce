"""What intruders are made of: forged certificates, narrowed rules, a tbot of another service account."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from facts.errors import NotGiven, ProvisioningFailed
from facts.evidence import KeptInMemory
from facts.svid import parse_certificates, verify_chain
from observe.command import CommandResult
from provision.forgery import forged
from provision.joiner import config_maps_of, joiner
from provision.render import MANIFESTS, documents
from provision.rules import Rules, without
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
    account, config, pod = joiner(daemon_set, config_maps, container="tbot", name="joiner", namespace="run")

    assert (account["kind"], account["metadata"]) == ("ServiceAccount", {"name": "joiner", "namespace": "run"})
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
    *_, config, pod = joiner(daemon_set, config_maps, container="tbot", name="joiner", namespace="run")

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
    *_, pod = joiner(daemon_set, config_maps, container="tbot", name="joiner", namespace="run")

    assert "ca" not in {v["name"] for v in pod["spec"]["volumes"]}
    assert "ca" not in {m["name"] for m in pod["spec"]["containers"][0]["volumeMounts"]}
    assert "X" not in {e["name"] for e in pod["spec"]["containers"][0]["env"]}


def test_config_maps_that_are_no_configuration_are_copied_as_they_are() -> None:
    daemon_set, config_maps = installed()
    daemon_set["spec"]["template"]["spec"]["volumes"].append({"name": "ca", "configMap": {"name": "ca"}})
    assert config_maps_of(daemon_set) == ["tbot-config", "ca"]
    made = joiner(daemon_set, config_maps | {"ca": {"ca.pem": "-----BEGIN"}}, container="tbot", name="j", namespace="run")
    assert [d["data"] for d in made if d["metadata"]["name"] == "ca"] == [{"ca.pem": "-----BEGIN"}]
