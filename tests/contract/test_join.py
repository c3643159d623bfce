"""Joining: who gets in, and in which words the others are refused."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from providers.teleport.facts.tbot_log import Obstacle, parse_last_attempt
from tests.contract import resources
from tests.contract.agent import Agent
from tests.contract.conftest import MakeAgent
from tests.contract.driver import AFFECTED, FIXED, Teleport, free_port, wait_for_line
from tests.contract.node import ServiceAccountKeys

Claims = dict[str, Any]


@pytest.mark.parametrize("release", [FIXED, AFFECTED])
def test_a_joined_tbot_is_an_instance_with_heartbeat_and_version(
    teleport: Teleport, make_agent: MakeAgent, release: str
) -> None:
    before = set(instances(teleport))
    agent = make_agent(release=release).start()
    wait_for_line(agent.running_or_fail(), "Sent heartbeat")

    after = instances(teleport)
    (name,) = set(after) - before
    status = after[name]["status"]
    assert status["latest_heartbeats"][-1]["version"] == release
    assert status["latest_heartbeats"][-1]["hostname"]
    assert status["latest_heartbeats"][-1]["join_method"] == "kubernetes"
    row = next(line for line in teleport.must("bots", "instances", "ls").splitlines() if name in line)
    assert row.split()[:3] == [f"{resources.BOT}/{name}", "kubernetes", release]
    joined = status["initial_authentication"]
    assert joined["join_token"] == resources.TOKEN
    assert joined["join_attrs"]["kubernetes"]["service_account"] == {"namespace": "teleport-system", "name": "tbot"}


def test_log_lines_of_a_healthy_start(tbot: Agent) -> None:
    lines = tbot.log.splitlines()

    assert "18.6.4" in lines[0]
    opened = next(line for line in lines if "Listener opened for Workload API endpoint" in line)
    assert f"INFO [TBOT:SVC:] Listener opened for Workload API endpoint addr:{tbot.socket}" in opened
    assert any("INFO [TBOT:HEAR] Sent heartbeat" in line for line in lines)
    assert any("Successfully initialized trust bundle cache" in line for line in lines)
    assert parse_last_attempt(tbot.log, "").opened is True


def long_ago() -> Claims:
    return {"iat": int(time.time()) - 700, "nbf": int(time.time()) - 700, "exp": int(time.time()) - 60}


def in_the_future() -> Claims:
    return {"iat": int(time.time()) + 60, "nbf": int(time.time()) + 60}


def of_an_hour() -> Claims:
    return {"exp": int(time.time()) + 3600}


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        (lambda: {"aud": ["127.0.0.1:3080"]}, ["validating jwt claims", "invalid audience claim (aud)"]),
        (long_ago, ["validating jwt claims", "token is expired (exp)"]),
        (in_the_future, ["validating jwt claims", "token not valid yet (nbf)"]),
        (of_an_hour, ["with a TTL of less than 30m0s"]),
        (lambda: {"exp": None}, ["service account token with `exp`"]),
        (lambda: {"iat": None, "nbf": None}, ["service account token with `iat`"]),
        (
            lambda: {"kubernetes.io": {"namespace": "teleport-system"}},
            ["requires the use of projected pod bound service account token"],
        ),
        (lambda: {"sub": "system:serviceaccount:teleport-system:other"}, ["did not match any allow rules"]),
        (lambda: {"sub": "system:serviceaccount:other:tbot"}, ["did not match any allow rules"]),
    ],
    ids=["audience", "expired", "not yet", "an hour", "no exp", "no iat", "no pod", "other name", "other namespace"],
)
def test_a_token_that_may_not_join(
    make_agent: MakeAgent, teleport: Teleport, keys: ServiceAccountKeys, claims: Callable[[], Claims], said: list[str]
) -> None:
    output = make_agent(token=keys.token(**claims())).refused()

    assert "ERROR: " in output
    for text in said:
        assert text in output
    verifies = "allow rules" not in said[0]
    assert ("reviewing kubernetes token with static_jwks" in output) is verifies
    assert parse_last_attempt(output, teleport.proxy).obstacle is (Obstacle.TOKEN if verifies else Obstacle.ACCOUNT)


def test_ten_seconds_of_clock_skew_are_forgiven(make_agent: MakeAgent, keys: ServiceAccountKeys) -> None:
    moment = int(time.time())
    make_agent(token=keys.token(iat=moment + 8, nbf=moment + 8)).start()


@pytest.mark.parametrize(
    ("signer", "said"),
    [
        (lambda: ServiceAccountKeys("kid-of-another-cluster"), "go-jose/go-jose: unsupported key type/format"),
        (lambda: ServiceAccountKeys("kid-1"), "go-jose/go-jose: error in cryptographic primitive"),
    ],
    ids=["unknown kid", "known kid"],
)
def test_a_token_of_another_cluster(
    make_agent: MakeAgent, teleport: Teleport, signer: Callable[[], ServiceAccountKeys], said: str
) -> None:
    output = make_agent(token=signer().token()).refused()

    assert "reviewing kubernetes token with static_jwks" in output
    assert "validating jwt signature" in output
    assert said in output
    assert parse_last_attempt(output, teleport.proxy).obstacle is Obstacle.KEYS


def test_a_token_file_that_holds_no_token(make_agent: MakeAgent) -> None:
    assert "parsing jwt" in make_agent(token="not a token").refused()


def test_the_placeholder_of_the_guide_is_taken_and_then_no_tbot_joins(
    make_agent: MakeAgent, teleport: Teleport, keys: ServiceAccountKeys
) -> None:
    placeholder = resources.token(keys, static_jwks={"jwks": "PASTE_JWKS_HERE"})
    teleport.must("create", "-f", stdin=resources.as_yaml(placeholder))

    output = make_agent().refused()

    assert "parsing provided jwks" in output
    assert "invalid character 'P'" in output


def test_a_join_token_that_is_not_there(make_agent: MakeAgent) -> None:
    agent = make_agent()
    agent.config["onboarding"]["token"] = "no-such-token"
    assert "not found" in agent.refused()


@pytest.mark.parametrize(("expires", "joins"), [("2020-01-01T00:00:00Z", False), ("2120-01-01T00:00:00Z", True)])
def test_a_join_token_that_has_expired_is_gone(
    make_agent: MakeAgent, teleport: Teleport, keys: ServiceAccountKeys, expires: str, *, joins: bool
) -> None:
    token = resources.token(keys, "istio-tbot-for-a-time")
    token["metadata"]["expires"] = expires
    teleport.must("create", "-f", stdin=resources.as_yaml(token))
    agent = make_agent()
    agent.config["onboarding"]["token"] = "istio-tbot-for-a-time"
    if joins:
        agent.start()
        teleport.must("rm", "token/istio-tbot-for-a-time")
    else:
        assert parse_last_attempt(agent.refused(), teleport.proxy).obstacle is Obstacle.NO_JOIN_TOKEN
        assert teleport.tctl("get", "token/istio-tbot-for-a-time").returncode == 1


def test_a_time_that_is_none_is_refused(teleport: Teleport, keys: ServiceAccountKeys) -> None:
    token = resources.token(keys, "istio-tbot-for-a-time")
    token["metadata"]["expires"] = "next week"
    refused = teleport.tctl("create", "-f", stdin=resources.as_yaml(token))
    assert refused.returncode == 1
    assert 'cannot parse "next week"' in refused.stderr


def test_a_bot_that_was_never_created(make_agent: MakeAgent, teleport: Teleport) -> None:
    teleport.must("rm", f"bot/{resources.BOT}")
    assert 'user "bot-istio-tbot" not found' in make_agent().refused()


def test_joins_and_refusals_are_audited(make_agent: MakeAgent, teleport: Teleport, keys: ServiceAccountKeys) -> None:
    make_agent().start()
    make_agent(token=keys.token(aud=["elsewhere"])).refused()

    joins = [event for event in teleport.audit_events() if event["event"] == "bot.join"]
    assert [(event["code"], event["success"]) for event in joins[-2:]] == [("TJ001I", True), ("TJ001E", False)]
    assert joins[-2]["bot_name"] == resources.BOT
    assert joins[-2]["token_name"] == resources.TOKEN
    assert joins[-2]["method"] == "kubernetes"


def test_no_service_account_token(make_agent: MakeAgent) -> None:
    agent = make_agent()
    running = agent.begin(KUBERNETES_TOKEN_PATH="/nonexistent/token")
    assert running.exit_status() != 0
    assert "/nonexistent/token" in running.log


def test_nothing_listens_at_the_proxy_address(make_agent: MakeAgent) -> None:
    agent = make_agent()
    agent.config["proxy_server"] = f"127.0.0.1:{free_port()}"
    assert "connection refused" in agent.refused()


def test_the_proxy_is_not_trusted_without_insecure(make_agent: MakeAgent) -> None:
    agent = make_agent()
    agent.config["insecure"] = False
    assert "x509: certificate signed by unknown authority" in agent.refused()


def test_a_mounted_ca_makes_the_proxy_trusted(make_agent: MakeAgent, teleport: Teleport) -> None:
    agent = make_agent()
    agent.config["insecure"] = False
    agent.start(SSL_CERT_FILE=str(teleport.data_dir / "webproxy_cert.pem"))


def through_auth(agent: Agent, teleport: Teleport, *pins: str) -> Agent:
    del agent.config["proxy_server"], agent.config["insecure"]
    agent.config["auth_server"] = f"127.0.0.1:{teleport.auth_port}"
    agent.config["onboarding"]["ca_pins"] = list(pins)
    return agent


def test_the_pin_of_tctl_status_is_good_for_the_auth_service(make_agent: MakeAgent, teleport: Teleport) -> None:
    status = teleport.must("status")
    pin = next(line.split()[-1] for line in status.splitlines() if line.startswith("CA pin"))
    through_auth(make_agent(), teleport, pin).start()


def test_a_wrong_pin_is_refused(make_agent: MakeAgent, teleport: Teleport) -> None:
    pin = f"sha256:{'00' * 32}"
    assert "pin" in through_auth(make_agent(), teleport, pin).refused()


def test_without_pin_the_auth_service_is_joined_with_a_warning(make_agent: MakeAgent, teleport: Teleport) -> None:
    agent = through_auth(make_agent(), teleport).start()
    assert "WARN" in agent.log
    assert "Joining cluster without validating the identity of the Auth Server" in agent.log


def test_a_proxy_address_is_no_auth_server(make_agent: MakeAgent, teleport: Teleport) -> None:
    agent = through_auth(make_agent(), teleport)
    agent.config["auth_server"] = teleport.proxy
    assert "proxy_server" in agent.refused()


def test_in_cluster_needs_a_cluster(make_agent: MakeAgent, teleport: Teleport, keys: ServiceAccountKeys) -> None:
    token = resources.token(keys, "in-cluster", type="in_cluster", static_jwks=None)
    teleport.must("create", "-f", stdin=resources.as_yaml(token))
    agent = make_agent()
    agent.config["onboarding"]["token"] = "in-cluster"

    output = agent.refused()

    assert "reviewing kubernetes token with in_cluster" in output
    assert "failed to initialize in-cluster Kubernetes config" in output


def test_storage_on_disk_keeps_the_bot_instance_over_a_restart(make_agent: MakeAgent, teleport: Teleport) -> None:
    agent = make_agent()
    agent.config["storage"] = {"type": "directory", "path": str(agent.directory / "storage")}

    before = set(instances(teleport))
    agent.start().stop()
    once = set(instances(teleport)) - before
    agent.start().stop()
    twice = set(instances(teleport)) - before

    assert len(once) == 1
    assert twice == once


def instances(teleport: Teleport) -> dict[str, Any]:
    """All bot instances by their id."""
    listing = json.loads(teleport.must("get", "bot_instance", "--format=json"))
    return {entry["spec"]["instance_id"]: entry for entry in listing}
