"""Issuance: what an SVID looks like, who gets which, and in which words the others are refused."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from tests.contract import resources, sds_client
from tests.contract.agent import Agent, openssl
from tests.contract.conftest import Create, MakeAgent
from tests.contract.driver import Teleport, wait_for_line
from tests.contract.node import Node, Pod
from tests.contract.sds_client import Certificate, Refused


def issued(tbot: Agent) -> Certificate:
    return sds_client.ask_once(tbot.socket, "default").certificates["default"]


def refused(tbot: Agent) -> Refused:
    with pytest.raises(Refused) as info:
        sds_client.ask_once(tbot.socket, "default")
    return info.value


def test_leaf_has_the_profile_of_a_spiffe_svid(tbot: Agent, pod: Pod) -> None:
    text = openssl("x509", "-noout", "-text", stdin=issued(tbot).chain_pem)

    assert re.search(r"Subject: *\n", text)
    assert re.search(r"Basic Constraints: critical\s+CA:FALSE", text)
    assert re.search(r"Key Usage: critical\s+Digital Signature, Key Encipherment, Key Agreement\s*\n", text)
    assert "TLS Web Server Authentication, TLS Web Client Authentication" in text
    # RFC 5280: with an empty subject the alternative name is critical.
    names = re.search(r"Subject Alternative Name: critical\s+(.*)\n", text)
    assert names is not None
    assert names.group(1) == "URI:spiffe://teleport.example.com/ns/shop/sa/checkout"


def test_leaf_verifies_against_the_public_bundle_and_nothing_else(
    tbot: Agent, pod: Pod, teleport: Teleport, tmp_path: Path
) -> None:
    keys = teleport.public("/webapi/spiffe/bundle.json")["keys"]
    entry = next(key["x5c"][0] for key in keys if key["use"] == "x509-svid")
    authority, leaf = tmp_path / "ca.pem", tmp_path / "leaf.pem"
    authority.write_text(f"-----BEGIN CERTIFICATE-----\n{entry}\n-----END CERTIFICATE-----\n")
    leaf.write_bytes(issued(tbot).chain_pem)

    for purpose in ("sslclient", "sslserver"):
        assert "OK" in openssl("verify", "-x509_strict", "-purpose", purpose, "-CAfile", str(authority), str(leaf))


def test_lifetime_is_what_tbot_asks_backdated_by_a_minute(tbot: Agent, pod: Pod) -> None:
    leaf = issued(tbot).leaf

    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc == timedelta(minutes=61)
    backdated = datetime.now(UTC) - leaf.not_valid_before_utc
    assert timedelta(seconds=59) < backdated < timedelta(seconds=75)


def test_serial_has_up_to_128_bits_and_is_random(tbot: Agent, pod: Pod) -> None:
    serials = {issued(tbot).leaf.serial_number for _ in range(3)}

    assert len(serials) == 3
    assert all(64 < serial.bit_length() <= 128 for serial in serials)


def test_lifetime_is_cut_to_the_maximum_of_the_identity(tbot: Agent, pod: Pod, create: Create) -> None:
    create(resources.identity(x509={"maximum_ttl": "600s"}))
    leaf = issued(tbot).leaf
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc == timedelta(minutes=11)


def test_templates_of_names_hint_and_subject(tbot: Agent, pod: Pod, create: Create) -> None:
    create(
        resources.identity(
            x509={
                "dns_sans": ["{{ workload.kubernetes.service_account }}.shop.svc"],
                "subject_template": {"common_name": '{{ workload.kubernetes.labels["app"] }}'},
            }
        )
    )
    leaf = issued(tbot).leaf
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value

    assert names.get_values_for_type(x509.DNSName) == ["checkout.shop.svc"]
    assert leaf.subject.rfc4514_string() == "CN=checkout"


@pytest.mark.parametrize(
    ("spiffe_id", "path"),
    [
        ("/ns/{{ workload.kubernetes.namespace }}/{{workload.kubernetes.service_account}}", "/ns/shop/checkout"),
        ("/ns/{{ workload.kubernetes.namespace }}/sa/x/", "/ns/shop/sa/x/"),
        ("/uid/{{ workload.unix.uid }}/{{ workload.kubernetes.container.name }}", "/uid/1337/app"),
        ("/{{ workload.kubernetes.container.type }}/app", "/TYPE_REGULAR/app"),
        ("/join/{{ join.kubernetes.service_account.name }}/{{ user.bot_name }}", "/join/tbot/istio-tbot"),
    ],
    ids=["without sa", "trailing slash", "unix and container", "kind of container", "join and user"],
)
def test_the_path_is_what_the_template_says(tbot: Agent, pod: Pod, create: Create, spiffe_id: str, path: str) -> None:
    create(resources.identity(spiffe_id=spiffe_id))
    assert issued(tbot).spiffe_ids == [f"spiffe://teleport.example.com{path}"]


def test_a_native_sidecar_is_another_kind_of_container(tbot: Agent, node: Node, pod: Pod, create: Create) -> None:
    create(resources.identity(spiffe_id="/{{ workload.kubernetes.container.type }}/proxy"))
    node.enter(os.getpid(), pod.cgroup("istio-proxy"))
    assert issued(tbot).spiffe_ids == ["spiffe://teleport.example.com/TYPE_INIT/proxy"]


@pytest.mark.parametrize(
    ("spiffe", "said"),
    [
        (
            {"spiffe_id": '/app/{{ workload.kubernetes.labels["team"] }}'},
            ["workload identity failed evaluation", "templating spec.spiffe.id", "evaluating expression: ",
             'no value for key: "team"'],
        ),
        (
            {"x509": {"dns_sans": ["{{ workload.kubernetes.pod_uid }}_!"]}},
            ["templating spec.spiffe.x509.dns_sans[0] resulted in an invalid DNS name"],
        ),
    ],
    ids=["label missing", "invalid DNS name"],
)  # fmt: skip
def test_a_template_that_cannot_be_filled_in(
    tbot: Agent, pod: Pod, create: Create, spiffe: dict[str, Any], said: list[str]
) -> None:
    create(resources.identity(**spiffe))
    details = refused(tbot).details
    for text in said:
        assert text in details


NAMESPACE = "workload.kubernetes.namespace"


@pytest.mark.parametrize(
    "rule",
    [
        {"expression": f'{NAMESPACE} == "shop" && !(workload.kubernetes.service_account != "checkout")'},
        {"expression": f'{NAMESPACE} == "elsewhere" || workload.unix.uid == 1337'},
        {"expression": 'workload.kubernetes.labels["app"] == "checkout"'},
        {"conditions": [{"attribute": NAMESPACE, "eq": {"value": "shop"}}]},
        {"conditions": [{"attribute": NAMESPACE, "not_eq": {"value": "elsewhere"}}]},
        {"conditions": [{"attribute": NAMESPACE, "in": {"values": ["a", "shop"]}}]},
        {
            "conditions": [
                {"attribute": NAMESPACE, "not_in": {"values": ["a", "b"]}},
                {"attribute": "workload.kubernetes.attested", "eq": {"value": "true"}},
            ]
        },
    ],
    ids=["and", "or", "label", "eq", "not_eq", "in", "not_in and eq"],
)
def test_a_rule_lets_the_workload_pass(tbot: Agent, pod: Pod, create: Create, rule: dict[str, Any]) -> None:
    never = {"conditions": [{"attribute": NAMESPACE, "eq": {"value": "never"}}]}
    create(resources.identity(allow=[never, rule]))
    assert issued(tbot).spiffe_ids == ["spiffe://teleport.example.com/ns/shop/sa/checkout"]


@pytest.mark.parametrize(
    "rule",
    [
        {"expression": f'{NAMESPACE} == "elsewhere"'},
        {"expression": 'workload.kubernetes.labels["team"] == "x"'},
        {
            "conditions": [
                {"attribute": NAMESPACE, "eq": {"value": "shop"}},
                {"attribute": "workload.kubernetes.service_account", "eq": {"value": "other"}},
            ]
        },
    ],
    ids=["expression", "label missing", "second condition"],
)
def test_no_rule_lets_the_workload_pass(tbot: Agent, pod: Pod, create: Create, rule: dict[str, Any]) -> None:
    create(resources.identity(allow=[rule]))
    answer = refused(tbot)

    assert answer.code == "UNKNOWN"
    assert answer.details == (
        "fetching X509 SVIDs\n\tworkload identity failed evaluation"
        "\n\t\tattributes did not pass rule evaluation\n\t\t\tno matching rule found"
    )


@pytest.mark.parametrize(
    ("documents", "said"),
    [
        ([resources.role(labels={})], "access to workload_identity denied"),
        ([resources.role(labels={"env": ["prod"]})], "access to workload_identity denied"),
        ([resources.role(verbs=("list",))], 'access denied to perform action "read" on "workload_identity"'),
        ([resources.role(verbs=())], 'access denied to perform action "read" on "workload_identity"'),
        ([resources.bot()], 'access denied to perform action "read" on "workload_identity"'),
    ],
    ids=["role without labels", "other label", "list only", "no rules", "bot without role"],
)
def test_the_roles_of_the_bot_do_not_allow_it(
    tbot: Agent, pod: Pod, create: Create, documents: list[dict[str, Any]], said: str
) -> None:
    create(*documents)
    answer = refused(tbot)
    assert answer.code == "UNKNOWN"
    assert said in answer.details


@pytest.mark.parametrize(
    "labels",
    [{"*": "*"}, {"env": ["prod", "d*"]}, {"env": "^de(v|mo)$"}, {"env": "*", "*": "*"}],
    ids=["all", "pattern", "regular expression", "key and all"],
)
def test_role_labels_may_be_patterns(tbot: Agent, pod: Pod, create: Create, labels: dict[str, Any]) -> None:
    create(resources.role(labels=labels))
    assert issued(tbot).spiffe_ids


def test_the_identity_is_not_there(tbot: Agent, pod: Pod, teleport: Teleport) -> None:
    teleport.must("rm", f"workload_identity/{resources.IDENTITY}")
    assert f'workload_identity "{resources.IDENTITY}" doesn\'t exist' in refused(tbot).details


def test_sds_refusals_are_not_in_the_log_of_tbot(tbot: Agent, pod: Pod, create: Create) -> None:
    create(resources.identity(allow=[{"expression": f'{NAMESPACE} == "quiet-refusal"'}]))
    refused(tbot)
    assert "no matching rule found" not in tbot.log


def test_each_svid_is_in_the_audit_log_and_in_the_log_of_tbot(tbot: Agent, pod: Pod, teleport: Teleport) -> None:
    serial = f"{issued(tbot).leaf.serial_number:x}"
    colons = ":".join(re.findall("..", serial.zfill(len(serial) + len(serial) % 2)))

    event = next(entry for entry in teleport.audit_events() if entry.get("serial_number") == colons)
    assert (event["event"], event["code"]) == ("spiffe.svid.issued", "TSPIFFE000I")
    assert event["spiffe_id"] == "spiffe://teleport.example.com/ns/shop/sa/checkout"
    assert event["svid_type"] == "x509"
    assert event["user"] == "bot-istio-tbot"
    assert event["attributes"]["workload"]["kubernetes"]["pod_uid"] == pod.uid
    assert tbot.running is not None
    log = wait_for_line(tbot.running, f"credential.serial_number:{colons}")
    assert "INFO [TBOT:SVC:] Issued Workload Identity Credential credential.type:x509-svid" in log


def test_labels_select_what_is_allowed_and_leave_the_rest_out(
    make_agent: MakeAgent, teleport: Teleport, pod: Pod, create: Create
) -> None:
    front = {"tier": "front"}
    names = [f"selected-{index}" for index in range(11)]
    create(
        resources.role(labels={"team": ["a"]}),
        resources.identity(names[0], "/first", {**front, "team": "a"}),
        resources.identity(names[1], "/of-another-team", {**front, "team": "b"}),
        resources.identity(names[2], "/by-rule", {**front, "team": "a"}, [{"expression": f'{NAMESPACE} == "x"'}]),
        resources.identity(names[3], "/last", {**front, "team": "a"}),
    )
    selecting = make_agent(selector={"labels": {"tier": ["front"]}}).start()
    nothing = make_agent(selector={"labels": {"tier": ["back"]}}).start()
    try:
        assert {name for name in sds_client.ask_once(selecting.socket).names if name.count("/") > 2} == {
            "spiffe://teleport.example.com/first",
            "spiffe://teleport.example.com/last",
        }
        assert issued(selecting).spiffe_ids == ["spiffe://teleport.example.com/first"]
        assert "unknown resource names: [default]" in refused(nothing).details

        many = (resources.identity(name, f"/{name}", {**front, "team": "a"}) for name in names)
        create(resources.role(labels={"team": ["a"]}), *many)
        assert "exceeds maximum permitted (max = 10), use more specific labels" in refused(selecting).details

        create(resources.role(verbs=("read",), labels={"team": ["a"]}))
        assert 'action "list" on "workload_identity"' in refused(selecting).details
    finally:
        for name in names:
            teleport.tctl("rm", f"workload_identity/{name}")
