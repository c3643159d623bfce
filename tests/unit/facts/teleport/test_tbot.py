"""tbot as its DaemonSet and configuration describe it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from facts.kubernetes.pod_spec import Container, ProjectedToken, Volume, VolumeMount
from facts.teleport.tbot import KUBELET_PORT, KubeletAddress, Tbot
from tests.unit.judge import builders as make


def tbot(runs: Container | None = None, *, volumes: tuple[Volume, ...] = (), token_path: str = "", listen: str = "") -> Tbot:
    config = replace(make.tbot_config(), token_path=token_path)
    if listen:
        config = replace(config, services=(replace(config.services[0], listen=listen),))
    return make.tbot(runs=runs, volumes=volumes, config=config)


def test_a_tbot_that_takes_any_certificate_names_what_switched_that_off() -> None:
    assert make.tbot().unverified == ""
    by_file = make.tbot(config=make.tbot_config(insecure=True))
    assert by_file.unverified == "tbot's line to Teleport (insecure in its configuration)"
    by_flag = make.tbot(runs=make.tbot_container(args=("start", "-c", "/config/tbot.yaml", "--insecure")))
    assert by_flag.unverified == "tbot's line to Teleport (--insecure)"


@pytest.mark.parametrize(
    ("started", "changed", "older"),
    [
        ("2026-03-01T12:00:00Z", "2026-03-01T12:00:01Z", True),
        ("2026-03-01T12:00:00Z", "2026-03-01T12:00:00Z", False),
        ("2026-03-01T12:00:01Z", "2026-03-01T12:00:00Z", False),
        ("", "2026-03-01T12:00:01Z", False),
        ("2026-03-01T12:00:00Z", "", False),
    ],
)
def test_a_tbot_that_started_before_its_configuration_changed(started: str, changed: str, older: bool) -> None:
    found = make.tbot()
    ((node, pod),) = found.pods.items()
    containers = tuple(replace(c, started_at=started) for c in pod.containers)
    pod = replace(pod, spec=replace(pod.spec, containers=containers))
    found = replace(found, pods={node: pod}, config_changed_at=changed)
    assert found.runs_older_config(node) is older
    assert not found.runs_older_config("another")


@pytest.mark.parametrize(
    ("env", "name", "field"),
    [
        ({"TELEPORT_NODE_NAME": "fieldRef:spec.nodeName"}, "fieldRef:spec.nodeName", "spec.nodeName"),
        ({"TELEPORT_NODE_NAME": "$(IP)", "IP": "fieldRef:status.hostIP"}, "fieldRef:status.hostIP", "status.hostIP"),
        ({"TELEPORT_NODE_NAME": "$(NONE)"}, "", "status.hostIP"),
        ({"TELEPORT_NODE_NAME": "x$(IP)", "IP": "y"}, "x$(IP)", "status.hostIP"),
        ({}, "", "status.hostIP"),
    ],
)
def test_the_address_of_the_kubelet(env: dict[str, str], name: str, field: str) -> None:
    found = tbot(make.tbot_container(env=env))
    assert found.node_name == name
    assert found.kubelet_address == KubeletAddress(field, KUBELET_PORT, found.host_network)
    none = replace(found, config=replace(found.config, services=()))
    assert none.kubelet_address.port == KUBELET_PORT == 10250


def test_the_port_of_the_kubelet_is_the_attestors() -> None:
    found = make.tbot(host_network=True)
    service = replace(found.config.services[0], kubernetes=make.attestor(secure_port=1234))
    found = replace(found, config=replace(found.config, services=(service,)))
    assert found.kubelet_address == KubeletAddress(found.kubelet_address.field, 1234, host_network=True)
    assert (found.host_pid, found.host_network) == (True, True)


@pytest.mark.parametrize(("account", "named"), [("tbot", "teleport-system:tbot"), ("", "teleport-system:default")])
def test_the_service_account_as_a_join_token_names_it(account: str, named: str) -> None:
    found = make.tbot()
    template = found.daemon_set.template
    spec = replace(template.spec, service_account=account)
    found = replace(found, daemon_set=replace(found.daemon_set, template=replace(template, spec=spec)))
    assert found.service_account == named
    assert found.image == found.container.image


TOKEN, OTHER = ProjectedToken("td", 600, "join"), ProjectedToken("td", 600, "other")
VOLUMES = (
    Volume("tokens", "projected", tokens=(OTHER, TOKEN)),
    Volume("sockets", "hostPath", path="/run/spire/sockets/"),
    Volume("deeper", "hostPath", path="/run/deeper"),
    Volume("empty", "emptyDir"),
)
MOUNTS = (
    VolumeMount("tokens", "/var/run/tokens/"),
    VolumeMount("gone", "/gone"),
    VolumeMount("sockets", "/sockets"),
    VolumeMount("deeper", "/sockets/deep/"),
    VolumeMount("empty", "/empty"),
)
RUNS = make.tbot_container(mounts=MOUNTS, env={})


@pytest.mark.parametrize(
    ("path", "token"),
    [
        ("/var/run/tokens/join", TOKEN),
        ("/var/run/tokens/other", OTHER),
        ("/var/run/tokens/none", None),
        ("/var/run/tokensjoin", None),
        ("/gone/join", None),
        ("/elsewhere/join", None),
        ("", None),
    ],
)
def test_the_token_that_it_joins_with(path: str, token: ProjectedToken | None) -> None:
    assert tbot(RUNS, volumes=VOLUMES, token_path=path).join_token_file == token
    by_variable = replace(RUNS, env={"KUBERNETES_TOKEN_PATH": path})
    assert tbot(by_variable, volumes=VOLUMES).join_token_file == token


@pytest.mark.parametrize(
    ("listen", "volume", "on_node"),
    [
        ("unix:///sockets/socket", "sockets", "/run/spire/sockets/socket"),
        ("unix:///sockets/deep/socket", "deeper", "/run/deeper/socket"),
        ("unix:///empty/socket", "empty", ""),
        ("unix:///elsewhere/socket", None, ""),
        ("unix:///socketsx", None, ""),
        ("tcp://0.0.0.0:1", None, ""),
    ],
)
def test_the_socket_on_the_node(listen: str, volume: str | None, on_node: str) -> None:
    found = tbot(RUNS, volumes=VOLUMES, listen=listen)
    assert (found.socket_volume.name if found.socket_volume else None) == volume
    assert found.socket_on_node == on_node
    nothing = replace(found, config=replace(found.config, services=()))
    assert (nothing.socket_volume, nothing.socket_on_node) == (None, "")
