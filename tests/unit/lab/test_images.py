"""What goes into the node image: the script of the pod network, the entrypoint and the two data files."""

from __future__ import annotations

import importlib.util
import json
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from lab.recipes import IMAGES


@pytest.fixture(scope="module")
def network() -> ModuleType:
    spec = importlib.util.spec_from_file_location("node_network", IMAGES / "node_network.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # dataclasses looks its class's module up
    import sys

    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _node(name: str, pods: str, *addresses: str) -> dict[str, Any]:
    listed = [{"type": "Hostname", "address": name}, *({"type": "InternalIP", "address": a} for a in addresses)]
    return {"metadata": {"name": name}, "spec": {"podCIDR": pods} if pods else {}, "status": {"addresses": listed}}


def test_nodes_without_pod_addresses_are_left_out_until_they_have_them(network: ModuleType) -> None:
    items = [_node("a", "10.244.0.0/24", "fc00::2", "172.18.0.2"), _node("b", "", "172.18.0.3")]
    nodes, complete = network.parse_nodes({"items": items})
    assert [(n.name, n.pods, n.address) for n in nodes] == [("a", "10.244.0.0/24", "172.18.0.2")]
    assert not complete


def test_every_other_node_gets_a_route(network: ModuleType) -> None:
    items = [_node("a", "10.244.0.0/24", "172.18.0.2"), _node("b", "10.244.1.0/24", "172.18.0.3")]
    nodes, complete = network.parse_nodes({"items": items})
    assert complete
    assert network.routes(nodes, "a") == [["ip", "route", "replace", "10.244.1.0/24", "via", "172.18.0.3"]]


class Commands:
    """Stands in for `subprocess.run`: remembers commands, and whether the masquerade rule exists."""

    def __init__(self) -> None:
        self.rule = False
        self.ran: list[list[str]] = []

    def run(self, command: list[str], **_: object) -> subprocess.CompletedProcess[bytes]:
        self.ran.append(command)
        missing = "-C" in command and not self.rule
        self.rule = self.rule or "-A" in command
        return subprocess.CompletedProcess(command, int(missing))


def test_reconcile_adds_the_rule_once_and_writes_its_own_subnet(
    network: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    commands = Commands()
    monkeypatch.setattr(network.subprocess, "run", commands.run)
    monkeypatch.setattr(network, "CONFIGURATION", tmp_path / "10-bridge.conflist")
    nodes = [network.Node("a", "10.244.0.0/24", "172.18.0.2"), network.Node("b", "10.244.1.0/24", "172.18.0.3")]
    network.reconcile(nodes, "b", "10.244.0.0/16")
    written = json.loads((tmp_path / "10-bridge.conflist").read_text())
    before = (tmp_path / "10-bridge.conflist").stat().st_mtime_ns
    network.reconcile(nodes, "b", "10.244.0.0/16")
    assert written["plugins"][0]["ipam"]["ranges"] == [[{"subnet": "10.244.1.0/24"}]]
    assert written["plugins"][0]["ipMasq"] is False
    assert sum("-A" in command for command in commands.ran) == 1
    assert (tmp_path / "10-bridge.conflist").stat().st_mtime_ns == before
    assert [path.name for path in tmp_path.iterdir()] == ["10-bridge.conflist"]


def test_the_cni_manifest_is_a_template_and_a_patch_target_of_kind() -> None:
    text = (IMAGES / "default-cni.yaml").read_text(encoding="utf-8")
    assert "would you kindly template this file" in text
    assert "would you kindly patch this file" in text
    filled = text.replace("{{ .PodSubnet }}", "10.244.0.0/16").replace("@NETWORK_IMAGE@", "localhost/x:1")
    daemon = next(item for item in yaml.safe_load_all(filled) if item["kind"] == "DaemonSet")
    spec = daemon["spec"]["template"]["spec"]
    assert spec["hostNetwork"] is True
    assert spec["tolerations"] == [{"operator": "Exists"}]
    assert {"name": "POD_SUBNET", "value": "10.244.0.0/16"} in spec["containers"][0]["env"]


def test_the_kind_patch_configures_the_kubelet_for_a_cgroup_of_its_own() -> None:
    patch = yaml.safe_load((IMAGES / "kind-patch.yaml").read_text(encoding="utf-8"))
    (kubelet,) = (yaml.safe_load(text) for text in patch["kubeadmConfigPatches"])
    assert kubelet["kind"] == "KubeletConfiguration"
    assert (kubelet["cgroupDriver"], kubelet["cgroupRoot"], kubelet["failCgroupV1"]) == ("cgroupfs", "/", False)


def test_the_istio_overlay_leaves_identity_to_the_installation() -> None:
    text = (IMAGES / "istio-overlay.yaml").read_text(encoding="utf-8")
    spec = yaml.safe_load(text)["spec"]
    assert spec["values"]["telemetry"] == {"enabled": False}
    assert spec["values"]["pilot"]["env"] == {
        "PILOT_ENABLE_METADATA_EXCHANGE": "false",
        "PILOT_ENABLE_ALPN_FILTER": "false",
    }
    assert "trustDomain" not in text
    assert "templates" not in text


_FAKES = {
    "ip": "echo 'default via 172.18.0.1 dev eth0'",
    "iptables-save": (
        "echo '-A DOCKER_OUTPUT -d 127.0.0.11/32 -p tcp -m tcp --dport 53 -j DNAT --to-destination 127.0.0.11:4001'; "
        "echo '-A DOCKER_OUTPUT -d 127.0.0.11/32 -p udp -m udp --dport 53 -j DNAT --to-destination 127.0.0.11:4002'"
    ),
    "iptables": 'echo "iptables $*" >> "$JOURNAL"',
    "mount": 'echo "mount $*" >> "$JOURNAL"',
    "sysctl": 'echo "sysctl $*" >> "$JOURNAL"',
    "systemd-machine-id-setup": 'echo machine-id >> "$JOURNAL"',
}


def test_the_entrypoint_publishes_dockers_dns_and_becomes_its_arguments(tmp_path: Path) -> None:
    programs, etc, journal = tmp_path / "bin", tmp_path / "etc", tmp_path / "journal"
    programs.mkdir()
    etc.mkdir()
    for name, script in _FAKES.items():
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)
    (etc / "machine-id").write_text("of the image")
    (etc / "resolv.conf").write_text("nameserver 127.0.0.11\noptions ndots:0\n")
    done = subprocess.run(
        ["bash", IMAGES / "node-entrypoint.sh", "echo", "init"],
        env={"PATH": f"{programs}:/usr/bin:/bin", "NODE_ETC": str(etc), "JOURNAL": str(journal)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "init\n"
    assert (etc / "resolv.conf").read_text() == "nameserver 172.18.0.1\noptions ndots:0\n"
    assert not (etc / "machine-id").exists()
    lines = journal.read_text().splitlines()
    assert "mount --make-rshared /" in lines
    rule = "iptables -t nat -I {} -d 172.18.0.1 -p {} --dport 53 -j DNAT --to-destination 127.0.0.11:{}"
    for protocol, port in (("tcp", 4001), ("udp", 4002)):
        assert rule.format("OUTPUT", protocol, port) in lines
        assert rule.format("PREROUTING", protocol, port) in lines
