"""Every parser on what Teleport itself prints, release by release; ``tests/data/teleport/README.md`` has the sources."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from facts.errors import CouldNotTell
from facts.provider.trust import parse_bundle
from facts.traffic.refusal import AttemptEnd, of_tbots_log
from facts.versions import Version
from providers.teleport.facts.audit import parse_issued
from providers.teleport.facts.resources import (
    parse_bot,
    parse_bot_instances,
    parse_join_token,
    parse_ping,
    parse_role,
    parse_status,
    parse_workload_identity,
)
from tests.data import document, text


@pytest.mark.parametrize(
    ("release", "cluster", "phase"),
    [
        ("status.18.2.0", "teleport.farm.evil", "standby"),
        ("status-manual.17.7.1", "conf.example", "update_clients"),
        ("status-automatic.18.2.0", "conf.example", "init"),
        ("status.15", "conf.example", ""),
    ],
)
def test_status(release: str, cluster: str, phase: str) -> None:
    status = parse_status(text(f"teleport/real/{release}.txt"))
    assert (status.cluster_name, status.spiffe_phase) == (cluster, phase)


@pytest.mark.parametrize("release", ["17", "18"])
def test_a_bot(release: str) -> None:
    bot = parse_bot(document(f"teleport/real/bot.{release}.json"))
    assert (bot.name, bot.roles, bot.scope) == ("istio-tbot", ("istio-workload-identity-issuer",), "")


def test_a_bot_and_a_workload_identity_of_a_scope() -> None:
    (bot,) = document("teleport/real/bot.18.json")
    (identity,) = document("teleport/real/workload_identity.json")
    assert parse_bot({**bot, "scope": "/staging", "spec": {}}).scope == "/staging"
    assert parse_workload_identity({**identity, "scope": "/staging"}).scope == "/staging"


@pytest.mark.parametrize(
    ("release", "version", "second", "joined_as"),
    [
        ("17.4", "17.4.2", datetime(2025, 4, 17, 14, 0, 1, 57126, UTC), ""),
        ("17.5", "18.2.0", datetime(2025, 10, 1, 10, 0, 1, 57126, UTC), "teleport-system:tbot"),
    ],
)
def test_bot_instances(release: str, version: str, second: datetime, joined_as: str) -> None:
    (instance,) = parse_bot_instances(document(f"teleport/real/bot_instances.{release}.json"))
    assert (instance.bot_name, instance.version) == ("istio-tbot", Version.parse(version))
    assert (instance.last_heartbeat, instance.joined_as) == (second, joined_as)
    assert instance.hostname == "conf-worker"


def test_a_token_a_role_and_a_workload_identity() -> None:
    token = parse_join_token(document("teleport/real/token.json"))
    assert (token.join_method, token.kubernetes_type, token.bot_name) == ("kubernetes", "static_jwks", "istio-tbot")
    assert token.allow == ("teleport-system:tbot",)
    role = parse_role(document("teleport/real/role.json"))
    assert role.labels == {"env": ("dev",)}
    assert role.verbs_on("workload_identity") == {"list", "read"}
    assert (role.denials, role.other_access) == ((), ())
    identity = parse_workload_identity(document("teleport/real/workload_identity.json"))
    assert role.matches(identity.labels)
    assert (len(identity.rules), identity.maximum_ttl) == (2, 3600)


def test_ping() -> None:
    ping = parse_ping(document("teleport/real/ping.18.2.0.json"))
    assert (ping.cluster_name, ping.server_version, ping.stand_in) == ("conf.example", Version.parse("18.2.0"), False)


def test_a_bundle_with_keys_for_jwts_a_hint_and_no_sequence() -> None:
    (certificate,) = document("teleport/bundle.json")["keys"]
    jwt = {"use": "jwt-svid", "kty": "RSA", "kid": "k", "n": "AQ", "e": "AQAB"}
    bundle = parse_bundle({"keys": [certificate, jwt], "spiffe_refresh_hint": 300})
    assert len(bundle.authorities) == 1


def test_issuances_with_and_without_attributes() -> None:
    before, after = parse_issued(text("teleport/real/audit-events.jsonl"))
    assert (before.serial, after.serial) == ("d1f0033a4bbc59e1207fe610a0b0c0d", "d1f0033a4bbc59e1207fe610a0b0c0e")
    assert before.spiffe_id == after.spiffe_id == "spiffe://conf.example/ns/app/sa/web"
    assert (before.has_attributes, before.attested, before.pod_name) == (False, False, "")
    assert (after.has_attributes, after.attested, after.pod_name) == (True, True, "web-1")


def test_the_log_of_a_tbot_that_joined() -> None:
    assert of_tbots_log(text("teleport/real/tbot.log")).kind is AttemptEnd.GRANTED


Timestamps = list[tuple[Any, str]]
DAMAGED: Timestamps = [
    ({"seconds": "1"}, "a whole number"),
    ({"nanos": 1}, "seconds"),
    ({"seconds": -1}, "greater than or equal to 0"),
    ({"seconds": 10**15}, "less than or equal"),
    ({"seconds": 1, "nanos": 10**9}, "less than 1000000000"),
    (17, "recorded_at"),
    ("yesterday", "a time"),
]


@pytest.mark.parametrize(("time", "expected"), DAMAGED)
def test_a_time_that_is_none_is_not_guessed_at(time: Any, expected: str) -> None:
    (instance,) = document("teleport/real/bot_instances.17.4.json")
    instance["status"]["latest_heartbeats"][0]["recorded_at"] = time
    with pytest.raises(CouldNotTell, match=expected):
        parse_bot_instances([instance])
