"""The manifests as files: they render, hold nothing secret, use the guide's names and agree with each other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from facts.kubernetes.jwks import LITERAL_PLACEHOLDER
from facts.versions import Version
from providers.teleport.installing import tbot
from providers.teleport.installing.resources import TOKEN_TEMPLATE
from provision.installing.variant import RECOMMENDED, Variant
from provision.render import MANIFESTS, documents, render
from settings import Names

VARIABLES = {
    "TRUST_DOMAIN": "teleport.test",
    "PROXY_SERVER": "teleport.test:443",
    "SOCKET_DIRECTORY": "/run/spire/sockets",
    "TBOT_IMAGE": "registry.test/tbot:18.6.4",
    "TBOT_FLOATING_IMAGE": "registry.test/tbot:18",
    "WORKLOAD_IMAGE": "registry.test/python:3",
}


def every(name: str) -> list[dict[str, Any]]:
    return documents(MANIFESTS / name, VARIABLES)


def one(name: str, kind: str) -> dict[str, Any]:
    (found,) = [document for document in every(name) if document["kind"] == kind]
    return found


def test_the_variables_here_are_all_that_there_are() -> None:
    texts = [path.read_text() for folder in (MANIFESTS, MANIFESTS / "as-guide") for path in folder.glob("*.yaml")]
    assert set(VARIABLES) == {name for text in texts for name in re.findall(r"\$\{(\w+)\}", text)}


@pytest.mark.parametrize("path", sorted(MANIFESTS.glob("*.yaml")), ids=lambda path: path.name)
def test_every_manifest_renders_and_has_a_name(path: Any) -> None:
    for document in documents(path, VARIABLES):
        assert document["kind"]
        assert document["kind"] == "IstioOperator" or document["metadata"]["name"]


def test_names_are_the_guides() -> None:
    names = Names()
    assert one("tbot-daemonset.yaml", "DaemonSet")["metadata"] == {
        "name": names.tbot, "namespace": names.tbot_namespace, "labels": {"app": names.tbot},
    }  # fmt: skip
    assert one("teleport-bot.yaml", "bot")["metadata"]["name"] == names.bot
    assert one("teleport-bot-role.yaml", "role")["metadata"]["name"] == names.role
    assert one("teleport-workload-identity.yaml", "workload_identity")["metadata"]["name"] == names.workload_identity
    assert one("test-app-deployment.yaml", "Deployment")["metadata"]["namespace"] == names.app_namespace


def test_the_token_template_holds_only_the_placeholder_and_fits_the_bot() -> None:
    text = TOKEN_TEMPLATE.read_text()
    token = yaml.safe_load(text)
    assert token["spec"]["kubernetes"]["static_jwks"]["jwks"] == LITERAL_PLACEHOLDER
    assert token["metadata"]["name"] == Names().token
    assert token["spec"]["bot_name"] == one("teleport-bot.yaml", "bot")["metadata"]["name"]
    account = one("tbot-rbac.yaml", "ServiceAccount")["metadata"]
    assert token["spec"]["kubernetes"]["allow"] == [{"service_account": f"{account['namespace']}:{account['name']}"}]


def test_role_bot_and_identity_fit() -> None:
    role = one("teleport-bot-role.yaml", "role")
    identity = one("teleport-workload-identity.yaml", "workload_identity")
    assert one("teleport-bot.yaml", "bot")["spec"]["roles"] == [role["metadata"]["name"]]
    labels = {key: values[0] for key, values in role["spec"]["allow"]["workload_identity_labels"].items()}
    assert labels == identity["metadata"]["labels"]
    config = yaml.safe_load(one("tbot-config.yaml", "ConfigMap")["data"]["tbot.yaml"])
    assert config["services"][0]["selector"] == {"name": identity["metadata"]["name"]}
    assert config["onboarding"]["token"] == Names().token


def test_every_side_means_the_same_socket() -> None:
    config = yaml.safe_load(one("tbot-config.yaml", "ConfigMap")["data"]["tbot.yaml"])
    assert config["services"][0]["listen"] == "unix:///run/spire/sockets/socket"
    pod = one("tbot-daemonset.yaml", "DaemonSet")["spec"]["template"]["spec"]
    paths = {v["name"]: v["hostPath"]["path"] for v in pod["volumes"] if "hostPath" in v}
    mounts = {m["name"]: m["mountPath"] for m in pod["containers"][0]["volumeMounts"]}
    assert paths["sockets"] == mounts["sockets"] == "/run/spire/sockets"
    istio = one("istio-config.yaml", "IstioOperator")
    template = istio["spec"]["values"]["sidecarInjectorWebhook"]["templates"]["spire"]
    assert "path: /run/spire/sockets\n" in template
    (gateway,) = istio["spec"]["components"]["ingressGateways"]
    values = [patch["value"] for patch in gateway["k8s"]["overlays"][0]["patches"]]
    assert [v["hostPath"] for v in values if "hostPath" in v] == [
        {"path": "/run/spire/sockets", "type": "Directory"},
        {"path": "/run/spire/sockets/socket", "type": "Socket"},
    ]


@pytest.mark.parametrize("list_name", ["initContainers", "containers"])
def test_the_template_is_a_pod_for_native_and_for_classic_sidecars(list_name: str) -> None:
    template = one("istio-config.yaml", "IstioOperator")["spec"]["values"]["sidecarInjectorWebhook"]["templates"]["spire"]
    head, _, tail = template.partition("{{ if ")
    condition, _, tail = tail.partition("}}")
    assert "sidecar.istio.io/nativeSidecar" in condition
    assert ".NativeSidecars" in condition
    assert tail.startswith("initContainers{{ else }}containers{{ end }}:")
    pod = yaml.safe_load(head + list_name + tail[tail.index("{{ end }}") + len("{{ end }}") :])["spec"]
    (proxy,) = pod[list_name]
    assert proxy["name"] == "istio-proxy"
    assert proxy["volumeMounts"] == [
        {"name": "workload-socket", "mountPath": "/var/run/secrets/workload-spiffe-uds", "readOnly": True}
    ]
    assert [v["name"] for v in pod["volumes"]] == ["workload-socket"]


def test_tbot_joins_with_a_short_lived_token_for_the_cluster_name() -> None:
    pod = one("tbot-daemonset.yaml", "DaemonSet")["spec"]["template"]["spec"]
    token = next(v for v in pod["volumes"] if v["name"] == "join-token")["projected"]["sources"][0]["serviceAccountToken"]
    assert (token["audience"], token["expirationSeconds"]) == ("teleport.test", 600)
    env = {e["name"]: e for e in pod["containers"][0]["env"]}
    assert env["KUBERNETES_TOKEN_PATH"]["value"] == f"/var/run/secrets/tokens/{token['path']}"
    assert env["TELEPORT_NODE_NAME"]["valueFrom"]["fieldRef"]["fieldPath"] == "status.hostIP"


def test_no_port_of_tbot_serves_its_profiler_to_the_cluster() -> None:
    """With debug on, tbot serves it beside its diagnostics."""
    for variant in (RECOMMENDED, Variant(as_guide=True)):
        (found,) = [d for d in variant.documents("tbot-config.yaml", VARIABLES) if d["kind"] == "ConfigMap"]
        config = yaml.safe_load(found["data"]["tbot.yaml"])
        assert not (config.get("debug") and "diag_addr" in config), variant


def test_the_readme_names_every_variable() -> None:
    text = (MANIFESTS / "README.md").read_text()
    assert [name for name in VARIABLES if f"`{name}`" not in text] == []


class TestTbot:
    """Changes that only code makes in tbot's manifests."""

    def made(
        self,
        *,
        insecure: bool = False,
        ca: Path | None = None,
        aliases: dict[str, str] | None = None,
        variant: Variant = RECOMMENDED,
    ) -> dict[str, dict[str, Any]]:
        version = Version.parse("1.34.4")
        found = tbot.objects(variant, VARIABLES, kubernetes=version, insecure=insecure, ca=ca, host_aliases=aliases or {})
        return {document["kind"]: document for document in found}

    def test_a_proxy_with_an_unverifiable_certificate_is_insecure_for_tbot(self) -> None:
        plain, insecure = (yaml.safe_load(self.made(insecure=i)["ConfigMap"]["data"]["tbot.yaml"]) for i in (False, True))
        assert "insecure" not in plain
        assert insecure == {**plain, "insecure": True}

    @pytest.mark.parametrize("variant", [RECOMMENDED, Variant(as_guide=True)])
    def test_a_certificate_lies_beside_the_configuration_and_is_what_tbot_trusts(
        self, variant: Variant, tmp_path: Path
    ) -> None:
        ca = tmp_path / "ca.pem"
        ca.write_text("-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n")
        made = self.made(ca=ca, variant=variant)
        data = made["ConfigMap"]["data"]
        assert data["teleport-ca.pem"] == ca.read_text()
        assert "insecure" not in yaml.safe_load(data["tbot.yaml"])
        pod = made["DaemonSet"]["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        mounted = {m["name"]: m["mountPath"] for m in container["volumeMounts"]}
        (volume,) = [
            v for v in pod["volumes"] if v.get("configMap", {}).get("name") == made["ConfigMap"]["metadata"]["name"]
        ]
        assert {"name": "SSL_CERT_FILE", "value": f"{mounted[volume['name']]}/teleport-ca.pem"} in container["env"]
        assert "items" not in volume["configMap"], "all its keys are files"
        digest = pod_digest(made)
        ca.write_text("another")
        assert pod_digest(self.made(ca=ca, variant=variant)) != digest, "tbot reads it once"

    def test_a_name_in_no_dns_gets_a_host_alias(self) -> None:
        assert "hostAliases" not in self.made()["DaemonSet"]["spec"]["template"]["spec"]
        pod = self.made(aliases={"teleport.test": "172.18.0.4"})["DaemonSet"]["spec"]["template"]["spec"]
        assert pod["hostAliases"] == [{"ip": "172.18.0.4", "hostnames": ["teleport.test"]}]

    @pytest.mark.parametrize(
        ("kubernetes", "rights"),
        [
            ("1.32.9", ["nodes/proxy"]),
            ("1.33.0-rc.1", ["nodes/pods"]),
            ("1.33.0", ["nodes/pods"]),
            ("1.34.4", ["nodes/pods"]),
        ],
    )
    def test_tbot_may_list_the_pods_of_its_node_and_nothing_else(self, kubernetes: str, rights: list[str]) -> None:
        version = Version.parse(kubernetes)
        made = tbot.objects(RECOMMENDED, VARIABLES, kubernetes=version, insecure=False, ca=None, host_aliases={})
        *_, role = [document for document in made if document["kind"] == "ClusterRole"]
        assert role["metadata"]["name"] == one("tbot-rbac.yaml", "ClusterRole")["metadata"]["name"]
        assert role["rules"] == [{"apiGroups": [""], "resources": rights, "verbs": ["get"]}]

    def test_the_guides_rights_are_the_guides_on_every_kubernetes(self) -> None:
        guide = Variant(as_guide=True)
        for version in ("1.32.9", "1.34.4"):
            made = tbot.objects(
                guide, VARIABLES, kubernetes=Version.parse(version), insecure=False, ca=None, host_aliases={}
            )
            (role,) = [document for document in made if document["kind"] == "ClusterRole"]
            assert role["rules"][0]["resources"] == ["pods", "nodes", "nodes/proxy"]

    def test_another_configuration_restarts_tbot(self) -> None:
        assert pod_digest(self.made(insecure=True)) == pod_digest(self.made(insecure=True))
        assert pod_digest(self.made(insecure=True)) != pod_digest(self.made(insecure=False))


def pod_digest(made: dict[str, dict[str, Any]]) -> str:
    """The digest of tbot's configuration in the template of its pods."""
    return str(made["DaemonSet"]["spec"]["template"]["metadata"]["annotations"][tbot.CONFIG_DIGEST])


def test_a_manifest_with_an_unknown_variable_is_refused() -> None:
    with pytest.raises(Exception, match=r"\$\{TBOT_IMAGE\}"):
        render("${TBOT_IMAGE}", {}, where="tbot-daemonset.yaml")
