"""The mesh, tbot and Teleport's resources."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from facts.errors import CouldNotTell
from facts.istio.mesh import Injector, Mesh, image_tag, parse_injector, parse_mesh_config
from facts.kubernetes.objects import ConfigMap, parse_config_map
from facts.teleport.resources import (
    parse_bot,
    parse_bot_instances,
    parse_join_token,
    parse_ping,
    parse_role,
    parse_status,
    parse_workload_identity,
)
from facts.teleport.tbot_config import join_secrets, parse_duration, parse_tbot_config
from tests.data import document, text

TBOT = parse_config_map(document("cluster/config_map_tbot.json")).data["tbot.yaml"]


def _map(**data: str) -> ConfigMap:
    return ConfigMap("istio-system", "istio", "u", "1", data, ("ev-1",))


def test_a_captured_mesh() -> None:
    config = parse_mesh_config(parse_config_map(document("cluster/config_map_istio.json"), ("ev-1",)))
    assert (config.trust_domain, config.normalization) == ("teleport.conformance.test", "NONE")
    assert config.evidence == ("ev-1",)
    injector = parse_injector(parse_config_map(document("cluster/config_map_injector.json")))
    assert {"sidecar", "spire"} <= set(injector.templates)
    assert "workload-socket" in injector.templates["spire"]
    assert (injector.hub, injector.tag) == ("localhost/istio", "1.31.0-lab")


def test_where_the_mesh_says_nothing_istios_defaults_hold() -> None:
    config = parse_mesh_config(_map(mesh=""))
    assert (config.trust_domain, config.trust_domain_aliases, config.normalization) == ("cluster.local", (), "DEFAULT")


@pytest.mark.parametrize("data", [{}, {"mesh": "{"}, {"mesh": "text"}, {"mesh": "trustDomain: [a]"}])
def test_a_damaged_mesh_is_not_guessed_at(data: dict[str, str]) -> None:
    with pytest.raises(CouldNotTell) as caught:
        parse_mesh_config(_map(**data))
    assert "istio-system/istio" in caught.value.where


@pytest.mark.parametrize(
    "data", [{"config": "templates: {}"}, {"config": "a: 1", "values": "{}"}, {"config": "templates: {}", "values": "{"}]
)
def test_a_damaged_injector_is_not_guessed_at(data: dict[str, str]) -> None:
    with pytest.raises(CouldNotTell):
        parse_injector(_map(**data))


@pytest.mark.parametrize(
    ("image", "tag"),
    [
        ("host:5000/a/pilot:1.2", "1.2"),
        ("pilot", ""),
        ("host:5000/pilot", ""),
        ("a/b:1@sha256:00", "1"),
        ("a/b@sha256:00", ""),
        ("auto", ""),
    ],
)
def test_tags_of_images(image: str, tag: str) -> None:
    assert image_tag(image) == tag


def test_captured_tbot_configuration() -> None:
    config = parse_tbot_config(TBOT, ("ev-1",))
    (service,) = config.services
    assert (config.version, config.join_method, config.token) == ("v2", "kubernetes", "istio-tbot-k8s-join")
    assert service.socket_path == "/run/spire/sockets/socket"
    assert service.selector_name == "istio-workloads"
    assert service.kubernetes is not None
    assert service.kubernetes.enabled
    assert (service.credential_ttl, service.renewal_interval) == (3600, 1200)
    assert config.unknown_keys == ()


def _tbot(**change: Any) -> str:
    config = yaml.safe_load(TBOT)
    config["services"][0] |= change.pop("service", {})
    return yaml.safe_dump(config | change)


def test_the_misspelt_attestor_is_noted_and_attests_nothing() -> None:
    config = yaml.safe_load(TBOT)
    config["services"][0]["attestor"] = config["services"][0].pop("attestors")
    read = parse_tbot_config(yaml.safe_dump(config))
    assert read.unknown_keys == ("services[0].attestor",)
    assert read.services[0].kubernetes is None


def test_unknown_keys_at_every_level() -> None:
    attestors = {"kubernetes": {"enable": True, "kubelet": {"skip_verfy": True}}, "kube": {}}
    read = parse_tbot_config(_tbot(frobnicate=1, service={"attestors": attestors, "selector": {"names": "x"}}))
    assert set(read.unknown_keys) == {
        "frobnicate",
        "services[0].selector.names",
        "services[0].attestors.kube",
        "services[0].attestors.kubernetes.enable",
        "services[0].attestors.kubernetes.kubelet.skip_verfy",
    }


def test_a_services_own_lifetime_wins_over_the_files() -> None:
    read = parse_tbot_config(_tbot(credential_ttl="30m", renewal_interval="10m", service={"credential_ttl": "2m"}))
    assert (read.credential_ttl, read.renewal_interval) == (1800, 600)
    assert (read.services[0].credential_ttl, read.services[0].renewal_interval) == (120, 600)


def test_older_spellings_and_other_services() -> None:
    read = parse_tbot_config("outputs: [{type: identity}]\ncertificate_ttl: 1h\nauth_server: a:3025\n")
    assert read.other_services == ("identity",)
    assert (read.services, read.auth_server, read.version, read.storage) == ((), "a:3025", "v2", "directory")


@pytest.mark.parametrize("damage", ["{", "[]", "text", "services: [{}]", "credential_ttl: soon", "services: text", ""])
def test_a_damaged_configuration_is_not_guessed_at(damage: str) -> None:
    with pytest.raises(CouldNotTell):
        parse_tbot_config(damage)


@pytest.mark.parametrize(
    ("written", "seconds"), [("1h30m", 5400), ("3600s", 3600), ("90s", 90), ("1.5h", 5400), ("500ms", 0.5), ("0", 0)]
)
def test_durations(written: str, seconds: float) -> None:
    assert parse_duration(written, "x") == seconds


@given(st.integers(0, 100), st.integers(0, 59), st.integers(0, 59))
def test_durations_add_up(hours: int, minutes: int, secs: int) -> None:
    assert parse_duration(f"{hours}h{minutes}m{secs}s", "x") == hours * 3600 + minutes * 60 + secs


@pytest.mark.parametrize("damage", ["", "1", "h", "1d", "1h 30m", "-1h", "1hm"])
def test_what_is_no_duration(damage: str) -> None:
    with pytest.raises(CouldNotTell):
        parse_duration(damage, "x")


def test_captured_resources() -> None:
    token = parse_join_token(document("teleport/token.json"), ("ev-1",))
    assert (token.name, token.join_method, token.kubernetes_type) == ("istio-tbot-k8s-join", "kubernetes", "static_jwks")
    assert (token.allow, token.bot_name, token.roles) == (("teleport-system:tbot",), "istio-tbot", ("Bot",))
    role = parse_role(document("teleport/role.json"))
    assert role.verbs_on("workload_identity") == {"list", "read"}
    identity = parse_workload_identity(document("teleport/workload_identity.json"))
    assert role.matches(identity.labels)
    assert identity.spiffe_id.endswith("/sa/{{ workload.kubernetes.service_account }}")
    assert (identity.maximum_ttl, identity.rules) == (None, ())
    assert parse_bot(document("teleport/bot.json")).roles == ("istio-workload-identity-issuer",)
    instances = parse_bot_instances(document("teleport/bot_instances.json"))
    assert {str(i.version) for i in instances} == {"18.6.4"}
    assert all(i.last_heartbeat and i.hostname.startswith("tbot-") for i in instances)


def test_a_bot_instance_is_known_by_its_service_account_before_it_has_a_host_name() -> None:
    captured = parse_bot_instances(document("teleport/bot_instances.json"))
    assert {(i.joined_as, i.joined_from) for i in captured} == {
        ("teleport-system:tbot", "tbot-89f6m"),
        ("teleport-system:tbot", "tbot-pcjhk"),
    }
    starting = replace(captured[0], hostname="")
    assert starting.is_of("teleport-system:tbot", "joiner")
    assert starting.is_of("run:joiner", "tbot-89f6m")
    assert not starting.is_of("run:joiner", "joiner")
    elsewhere = replace(captured[0], joined_as="", joined_from="", hostname="joiner")
    assert elsewhere.is_of("run:joiner", "joiner")
    assert not elsewhere.is_of("run:joiner", "")


def test_ping_says_whether_it_is_a_stand_in() -> None:
    assert parse_ping(document("teleport/ping.json")).stand_in
    real = parse_ping({"cluster_name": "example.teleport.sh", "server_version": "18.6.4", "auth": {}})
    assert not real.stand_in
    for damage in ({}, "text", {"cluster_name": "x"}, {"cluster_name": "x", "server_version": "new"}):
        with pytest.raises(CouldNotTell):
            parse_ping(damage)


def test_captured_status() -> None:
    status = parse_status(text("teleport/status.txt"))
    assert (status.cluster_name, str(status.version)) == ("teleport.conformance.test", "18.6.4")
    assert (status.spiffe_rotation, status.spiffe_phase) == ("standby (never rotated)", "standby")
    assert len(status.ca_pins) == 1


def test_status_in_rotation_and_in_the_older_spelling() -> None:
    table = (
        "Cluster: example.org\nVersion: 18.6.4\n\n"
        "authority rotation                                  protocol status\n"
        "--------- ----------------------------------------- -------- -------\n"
        "host      standby (never rotated)                   SSH      active\n"
        "spiffe    in progress (mode: manual, phase: init)   JWT      active\n"
        "                                                    TLS      active\n"
    )
    assert parse_status(table).spiffe_phase == "init"
    of_an_x509_key_alone = table.replace("JWT      active\n" + " " * 52 + "TLS", "TLS")
    assert "JWT" not in of_an_x509_key_alone
    assert parse_status(of_an_x509_key_alone) == parse_status(table)
    for_a_person = "> Profile URL:   https://proxy.example:443\n  Cluster:       another.example\n\n" + table
    assert parse_status(for_a_person) == parse_status(table)
    older = parse_status("Cluster  example.org\nVersion  16.4.0\nhost CA  never updated\n")
    assert (older.cluster_name, older.spiffe_rotation, older.spiffe_phase) == ("example.org", "", "")
    with pytest.raises(CouldNotTell):
        parse_status("ERROR: not logged in")


def test_labels_are_matched_as_teleport_matches_them() -> None:
    def role(labels: dict[str, Any]) -> Any:
        return parse_role(
            {"kind": "role", "metadata": {"name": "r"}, "spec": {"allow": {"workload_identity_labels": labels}}}
        )

    assert role({"env": ["dev", "prod"]}).matches({"env": "prod", "x": "y"})
    assert role({"*": "*"}).matches({})
    assert role({"env": "*"}).matches({"env": "x"})
    assert not role({"env": "*"}).matches({})
    assert not role({"env": "dev", "team": "a"}).matches({"env": "dev"})
    assert not role({}).matches({"env": "dev"})


def test_what_a_role_denies_and_what_else_it_opens() -> None:
    def role(allow: dict[str, Any], deny: dict[str, Any]) -> Any:
        return parse_role({"kind": "role", "metadata": {"name": "r"}, "spec": {"allow": allow, "deny": deny}})

    filled_in = role({"namespaces": ["default"], "kubernetes_resources": [{"kind": "pod"}]}, {"namespaces": ["default"]})
    assert (filled_in.denials, filled_in.other_access) == ((), ())
    rule = {"resources": ["workload_identity"], "verbs": ["read"], "where": "false"}
    made = role(
        {"workload_identity_labels": {"env": "dev"}, "node_labels": {"*": "*"}, "app_labels": {}, "rules": [rule]},
        {"workload_identity_labels": {"env": "dev"}, "rules": [{"resources": ["*"], "verbs": ["*"]}]},
    )
    assert made.denials == ("workload_identity_labels", "rules")
    assert made.other_access == ("node_labels",)
    assert made.rules[0].where == "false"
    assert role({}, {"rules": [{"resources": ["session"], "verbs": ["list"]}]}).denials == ()


def test_allow_rules_of_an_identity() -> None:
    rules = [
        {"expression": 'workload.kubernetes.namespace == "a"'},
        {"conditions": [{"attribute": "workload.kubernetes.namespace", "in": {"values": ["a", "b"]}}]},
        {"conditions": [{"attribute": "x", "not_eq": {"value": "y"}}]},
    ]
    spec = {"spiffe": {"id": "/x", "x509": {"maximum_ttl": "1200s"}}, "rules": {"allow": rules}}
    identity = parse_workload_identity({"kind": "workload_identity", "metadata": {"name": "w"}, "spec": spec})
    assert identity.maximum_ttl == 1200
    assert identity.rules[0].expression
    assert [(c.operator, c.values) for r in identity.rules for c in r.conditions] == [("in", ("a", "b")), ("not_eq", ("y",))]


@pytest.mark.parametrize("damage", [[], [{}, {}], {"kind": "role"}, "text", {"kind": "token", "metadata": {}}, None])
def test_a_damaged_resource_is_not_guessed_at(damage: Any) -> None:
    with pytest.raises(CouldNotTell):
        parse_join_token(damage)


@pytest.mark.parametrize(
    ("text", "secrets"),
    [
        (TBOT, ()),
        ("onboarding:\n  token: abc-123\n  join_method: token\n", ("abc-123",)),
        ("onboarding:\n  token: 'abc-123'\n", ("abc-123",)),
        ('{"onboarding": {"join_method": "token", "token": "abc-123"}}', ("abc-123",)),
        ("onboarding: {token: abc-123, join_method: token}\n  broken", ("abc-123",)),
        ("onboarding:\n  token: /var/lib/tbot/token\n  join_method: token\n", ()),
        ("onboarding:\n  token: abc-123\n  join_method: bound_keypair\n", ()),
        ("", ()),
    ],
)
def test_the_name_of_a_token_is_a_secret_where_nothing_else_is_needed_to_join(text: str, secrets: tuple[str, ...]) -> None:
    assert join_secrets(text) == secrets


def _mesh(**templates: str) -> Mesh:
    config = parse_mesh_config(parse_config_map(document("cluster/config_map_istio.json")))
    return Mesh("istio-system", "default", config, Injector(templates, ("sidecar",), "hub", "tag"), (), (), ())


EMPTY = "volumes:\n- name: workload-socket\n  emptyDir: {}\n"
HOST = "volumes:\n- name: workload-socket\n  hostPath:\n    path: /run/x\n"
SORTED = "volumes:\n- hostPath:\n    path: /run/x\n    type: Directory\n  name: workload-socket\n"
CSI = 'volumes:\n  - name: "workload-socket"\n    csi: {driver: csi.spiffe.io}\n'
OTHER = "volumes:\n- hostPath:\n    path: /run/x\n- name: workload-socket\n  emptyDir: {}\n"


@pytest.mark.parametrize(
    ("templates", "found"),
    [
        ({"spire": EMPTY, "tbot": HOST}, "spire"),
        ({"sidecar": EMPTY, "tbot": HOST}, "tbot"),
        ({"sidecar": EMPTY, "tbot": SORTED}, "tbot"),
        ({"sidecar": OTHER, "tbot": CSI}, "tbot"),
        ({"a": HOST, "b": CSI}, "spire"),
        ({"sidecar": EMPTY, "other": OTHER}, "spire"),
    ],
)
def test_the_template_is_the_named_one_or_the_only_other_one_that_mounts_the_nodes_socket(
    templates: dict[str, str], found: str
) -> None:
    assert _mesh(**templates).socket_template("spire") == found
