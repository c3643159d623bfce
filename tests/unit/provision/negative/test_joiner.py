"""A tbot of another service account."""

from __future__ import annotations

import yaml

from provision.negative.joiner import config_maps_of, joiner
from tests.unit.provision.negative.doubles import VARIABLES, installed


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


def test_the_joiner_has_only_the_token_that_it_joins_with() -> None:
    daemon_set, config_maps = installed()
    (container,) = daemon_set["spec"]["template"]["spec"]["containers"]
    for named in (True, False):
        if not named:
            container["env"] = [e for e in container["env"] if e["name"] != "KUBERNETES_TOKEN_PATH"]
        *_, pod = joiner(daemon_set, config_maps, container="tbot", name="j", account="j", namespace="run")
        assert pod["spec"]["automountServiceAccountToken"] is not named


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


def test_the_joiner_trusts_the_same_teleport_as_tbot() -> None:
    certificates = "-----BEGIN CERTIFICATE-----\nMIIB+a/b==\n-----END CERTIFICATE-----\n" * 2
    daemon_set, config_maps = installed()
    trusted = {"name": "SSL_CERT_FILE", "value": "/config/teleport-ca.pem"}
    daemon_set["spec"]["template"]["spec"]["containers"][0]["env"].append(trusted)
    config_maps["tbot-config"]["teleport-ca.pem"] = certificates
    _, config, pod = joiner(daemon_set, config_maps, container="tbot", name="j", account="j", namespace="run")

    assert config["data"]["teleport-ca.pem"] == certificates
    assert trusted in pod["spec"]["containers"][0]["env"]
