"""``tbot``: its configuration with its strictness, its diagnostics, its logs."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import requests

from tests.contract import sds_client
from tests.contract.agent import Agent
from tests.contract.conftest import MakeAgent
from tests.contract.driver import Platform, free_port, wait_for_line
from tests.contract.node import Pod

Change = Callable[[dict[str, Any]], object]


def service(config: dict[str, Any]) -> dict[str, Any]:
    only: dict[str, Any] = config["services"][0]
    return only


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c.update(version="v7"), "v7"),
        (lambda c: c.update(auth_server="127.0.0.1:3025"), "mutually exclusive"),
        (lambda c: c.pop("proxy_server"), "proxy_server"),
        (lambda c: c.update(proxy_server="no-port"), "no-port"),
        (
            lambda c: c["onboarding"].update(ca_pins=["sha256:00"]),
            "the option ca-pin is mutually exclusive with --insecure",
        ),
        (
            lambda c: c.update(credential_ttl="1h"),
            "credential_ttl and renewal_interval must both be specified if either is",
        ),
        (lambda c: c.update(credential_ttl="1h", renewal_interval="-1m"), "must be positive"),
        (lambda c: c.update(credential_ttl="an hour", renewal_interval="1m"), "an hour"),
        (lambda c: c["storage"].update(type="floppy"), "floppy"),
        (lambda c: service(c).update(listen=""), "listen: should not be empty"),
        (lambda c: service(c).update(listen="/run/socket"), "/run/socket"),
        (lambda c: service(c).update(selector={"name": "a", "labels": {"b": ["c"]}}), "validating selector"),
        (lambda c: service(c).update(selector={}), "validating selector"),
        (
            lambda c: service(c)["attestors"]["kubernetes"]["kubelet"].update(read_only_port=10255),
            "mutually exclusive",
        ),
        (lambda c: service(c).update(renewal_interval="1m"), "must both be specified if either is"),
        (lambda c: service(c).update(credential_ttl="1m", renewal_interval="2m"), "shorter than the renewal_interval"),
        (lambda c: service(c).update(type="nonsense"), "nonsense"),
        (lambda c: c.update(services="none"), "services"),
    ],
    ids=[
        "version", "both servers", "no server", "no port", "pin and insecure", "ttl alone",
        "negative", "no duration", "storage", "no listen", "listen form", "two selectors", "no selector", "two ports",
        "service ttl alone", "service ttl below its interval", "service type", "services no list",
    ],
)  # fmt: skip
def test_a_configuration_that_is_not_acceptable(make_agent: MakeAgent, change: Change, said: str) -> None:
    agent = make_agent()
    change(agent.config)

    output = agent.refused()

    assert "\x1b[31mERROR: \x1b[0m" in output
    assert said in output
    assert "Traceback" not in output


UNKNOWN_KEYS: list[tuple[Change, str]] = [
    (lambda c: c.update(proxy_sever="x:1"), "field proxy_sever not found in type config.BotConfig"),
    (lambda c: c["onboarding"].update(tokn="x"), "field tokn not found"),
]


@pytest.mark.parametrize(("change", "said"), UNKNOWN_KEYS, ids=["root", "onboarding"])
def test_an_unknown_key_is_refused_by_the_first_releases_alone(make_agent: MakeAgent, change: Change, said: str) -> None:
    early, later = make_agent(release="17.1.6"), make_agent()
    for agent in (early, later):
        change(agent.config)
    assert said in early.refused()
    assert said not in later.start().log


def test_without_a_version_the_services_are_dropped_or_tbot_refuses(make_agent: MakeAgent) -> None:
    migrates, refuses = make_agent(), make_agent(release="19.0.0")
    for agent in (migrates, refuses):
        del agent.config["version"]
    assert "configuration version v1 is no longer supported" in refuses.refused()
    assert "Listener opened" not in wait_for_line(migrates.begin(), "Sent heartbeat")


def test_services_and_outputs_are_merged(make_agent: MakeAgent) -> None:
    agent = make_agent()
    second = {**service(agent.config), "listen": f"unix://{agent.directory}/second"}
    agent.config["outputs"] = [second]
    agent.start(last="/second")


@pytest.mark.parametrize("kind", ["identity", "application", "ssh-multiplexer"])
def test_other_services_are_said_to_be_no_part_of_the_stand_in(make_agent: MakeAgent, kind: str) -> None:
    assert f'service type "{kind}" is not part of the stand-in' in make_agent(type=kind).refused()


def test_a_misspelt_key_inside_a_service_is_silently_ignored(make_agent: MakeAgent, pod: Pod) -> None:
    agent = make_agent()
    service(agent.config)["attestor"] = service(agent.config).pop("attestors")
    agent.start()
    with pytest.raises(sds_client.Refused) as refused:
        sds_client.ask_once(agent.socket, "default")
    assert "workload.kubernetes is unset" in refused.value.details
    assert "attestor" not in agent.log.replace("attestors", "")


def test_a_missing_file(platform: Platform) -> None:
    result = platform.run("tbot", "start", "-c", "/nonexistent/tbot.yaml")
    assert result.returncode == 1
    assert "/nonexistent/tbot.yaml" in result.stderr
    assert "Traceback" not in result.stderr


def test_diagnostics_of_a_healthy_tbot(tbot: Agent, pod: Pod) -> None:
    assert tbot.running is not None
    wait_for_line(tbot.running, "Sent heartbeat")
    url = f"http://{tbot.diag_addr}"

    alive = requests.get(f"{url}/livez", timeout=5)
    assert (alive.status_code, alive.text) == (200, "OK")
    ready = requests.get(f"{url}/readyz", timeout=5)
    assert ready.status_code == 200
    assert ready.json()["status"] == "healthy"
    services = ready.json()["services"]
    assert {"identity", "heartbeat", "spiffe-trust-bundle-cache", "workload-identity-api-1"} <= set(services)
    assert all(entry["status"] == "healthy" for entry in services.values())
    assert requests.get(f"{url}/readyz/identity", timeout=5).status_code == 200
    assert requests.get(f"{url}/readyz/nonsense", timeout=5).status_code == 404
    metrics = requests.get(f"{url}/metrics", timeout=5).text
    for metric in ("total", "failed", "successful"):
        assert f"tbot_task_iterations_{metric}{{" in metrics
    assert "tbot_task_iterations_duration_seconds_count{" in metrics


def test_wait_returns_when_tbot_is_healthy(tbot: Agent, platform: Platform) -> None:
    for arguments in ([], ["--service=workload-identity-api-1"]):
        result = platform.run("tbot", "wait", f"--diag-addr={tbot.diag_addr}", "--timeout=20s", *arguments)
        assert result.returncode == 0, result.stderr


def test_wait_gives_up(platform: Platform) -> None:
    result = platform.run("tbot", "wait", f"--diag-addr=127.0.0.1:{free_port()}", "--timeout=300ms")
    assert result.returncode == 1
    assert "timed out" in result.stderr


def test_the_name_of_a_service_is_its_name_in_readyz(make_agent: MakeAgent) -> None:
    agent = make_agent(name="workloads")
    del agent.config["diag_addr"]
    address = f"127.0.0.1:{free_port()}"
    agent.start("--diag-addr", address)
    assert requests.get(f"http://{address}/readyz/workloads", timeout=5).status_code == 200


def test_json_lines(make_agent: MakeAgent, pod: Pod) -> None:
    agent = make_agent().start("--log-format", "json")
    sds_client.ask_once(agent.socket, "default")
    assert agent.running is not None
    log = wait_for_line(agent.running, "Issued Workload Identity Credential")

    lines = [json.loads(line) for line in log.splitlines()]
    opened = next(line for line in lines if line["message"] == "Listener opened for Workload API endpoint")
    assert opened["level"] == "info"
    assert opened["addr"] == agent.socket
    issued = next(line for line in lines if line["message"] == "Issued Workload Identity Credential")
    assert issued["credential"]["type"] == "x509-svid"
    assert issued["credential"]["spiffe_id"] == "spiffe://teleport.example.com/ns/shop/sa/checkout"
    assert issued["credential"]["ttl"] == 3600
    assert issued["workload"]["kubernetes"]["pod_uid"] == pod.uid


def test_without_debug_sds_is_not_in_the_log(make_agent: MakeAgent, pod: Pod) -> None:
    agent = make_agent()
    del agent.config["debug"]
    agent.start()
    sds_client.ask_once(agent.socket, "default")
    agent.stop()

    assert "Issued Workload Identity Credential" in agent.log
    assert "StreamSecrets" not in agent.log
    assert "DEBUG" not in agent.log
    assert "Shut down Workload API endpoint" in agent.log


def test_no_secret_is_in_the_log(make_agent: MakeAgent, pod: Pod) -> None:
    agent = make_agent().start()
    key = sds_client.ask_once(agent.socket, "default").certificates["default"].key_pem.decode()
    agent.stop()

    assert agent.token not in agent.log
    assert "PRIVATE KEY" not in agent.log
    assert key.splitlines()[1] not in agent.log
