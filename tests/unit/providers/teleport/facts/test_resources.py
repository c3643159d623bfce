"""Teleport's resources and public answers, captured and changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from facts.errors import CouldNotTell
from providers.teleport.facts.resources import (
    BACKDATED,
    DEFAULT_MAXIMUM_TTL,
    ClusterStatus,
    WorkloadIdentities,
    parse_bot,
    parse_bot_instances,
    parse_join_token,
    parse_ping,
    parse_role,
    parse_status,
    parse_workload_identities,
    parse_workload_identity,
)
from tests.data import document, text


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
    assert status.cluster_name == "teleport.conformance.test"
    assert (status.spiffe_rotation, status.spiffe_phase) == ("standby (never rotated)", "standby")


def test_a_status_is_of_the_same_cluster_where_name_and_a_pin_are_the_same() -> None:
    pins = [f"sha256:{digit * 64}" for digit in "123"]

    def status(name: str, *pins: str) -> ClusterStatus:
        return parse_status(f"Cluster: {name}\nVersion: 18.6.4\n" + (f"CA pins: {', '.join(pins)}\n" if pins else ""))

    kept = status("example.org", *pins[:2])
    assert kept.identity == f"example.org {pins[0]} {pins[1]}"
    assert status("example.org", *pins[1:]).is_of(kept.identity), "a rotation of the host authority"
    for other in (status("example.org", pins[2]), status("example.com", *pins), status("example.org")):
        assert not other.is_of(kept.identity)
        assert not kept.is_of(other.identity)
    assert status("example.org").is_of("example.org")
    assert not kept.is_of("")
    pin = "sha256:7c1a3095c6be4478321f16a83d54bf2125fe8c060e43c5067066b99bab78b8d1"
    for captured in ("status.15", "status-manual.17.7.1", "status.18.2.0"):
        assert parse_status(text(f"teleport/real/{captured}.txt")).ca_pins == (pin,)


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
    assert role({"spiffe": [{"path": "/*"}], "impersonate": {}}, {}).other_access == ("spiffe",)
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
    assert [bool(rule.expression) for rule in identity.rules] == [True, False, False]
    assert [[each.attribute for each in rule.conditions] for rule in identity.rules] == [
        [],
        ["workload.kubernetes.namespace"],
        ["x"],
    ]
    (named,), (other,) = identity.rules[1].conditions, identity.rules[2].conditions
    assert (named.among, named.equal, other.unequal) == (("a", "b"), "", "y")


@pytest.mark.parametrize("damage", [[], [{}, {}], {"kind": "role"}, "text", {"kind": "token", "metadata": {}}, None])
def test_a_damaged_resource_is_not_guessed_at(damage: Any) -> None:
    with pytest.raises(CouldNotTell):
        parse_join_token(damage)


def test_where_an_identity_names_no_longest_life_teleport_takes_a_day() -> None:
    assert DEFAULT_MAXIMUM_TTL == 24 * 3600
    assert BACKDATED.total_seconds() == 60


@pytest.mark.parametrize("parse", [parse_workload_identities, parse_bot_instances])
def test_all_resources_of_a_kind_are_a_list(parse: Any) -> None:
    found = parse([])
    assert (found.identities if isinstance(found, WorkloadIdentities) else found) == ()
    damaged: tuple[Any, ...] = ({}, "text", None, [{"kind": "role"}])
    for damage in damaged:
        with pytest.raises(CouldNotTell, match="tctl get"):
            parse(damage)


@pytest.mark.parametrize(
    ("document", "seen"),
    [
        ({"kind": ""}, "no kind"),
        ({"kind": "role"}, "role"),
        ([], "0 resources"),
        ([{}, {}], "2 resources"),
        ({}, "it is missing"),
    ],
)
def test_a_resource_of_another_kind_says_which(document: Any, seen: str) -> None:
    with pytest.raises(CouldNotTell) as caught:
        parse_bot(document)
    assert (caught.value.seen, caught.value.where) == (seen, "tctl get bot")


@pytest.mark.parametrize(("namespace", "name", "joined"), [("a", "b", "a:b"), ("", "b", ""), ("a", "", ""), ("", "", "")])
def test_a_bot_joins_as_a_whole_service_account_or_as_none(namespace: str, name: str, joined: str) -> None:
    attributes = {"kubernetes": {"service_account": {"namespace": namespace, "name": name}, "pod": {"name": "p"}}}
    (instance,) = parse_bot_instances(
        [
            {
                "kind": "bot_instance",
                "spec": {"instance_id": "i", "bot_name": "b"},
                "status": {"initial_authentication": {"join_attrs": attributes}},
            }
        ]
    )
    assert (instance.joined_as, instance.joined_from, instance.version, instance.hostname) == (joined, "p", None, "")
