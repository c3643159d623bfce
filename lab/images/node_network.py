#!/usr/bin/env python3
"""Pod network of one node: a bridge for its own pods and a static route to the pods of every other node.

Runs on every node with the node's own network. It reads which pod addresses each node was given from the API server,
brings this node in line with that, and does so again whenever a node changes (or after half a minute). Standard library
only; `ip` and `iptables` do the work.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import os
import ssl
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
CONFIGURATION = Path("/etc/cni/net.d/10-bridge.conflist")
RECONCILE_SECONDS = 30
RETRY_SECONDS = 0.5


@dataclass(frozen=True)
class Node:
    """One node: its name, the addresses of its pods in CIDR notation, and its own address."""

    name: str
    pods: str
    address: str


def parse_nodes(document: dict[str, Any]) -> tuple[list[Node], bool]:
    """Read a NodeList.

    Returns:
        The nodes whose pod addresses and own IPv4 address are known, and whether that is all of them.
    """
    nodes = []
    for item in document["items"]:
        pods = item["spec"].get("podCIDR", "")
        addresses = [a["address"] for a in item.get("status", {}).get("addresses", []) if a["type"] == "InternalIP"]
        own = [a for a in addresses if ipaddress.ip_address(a).version == 4]
        if pods and own:
            nodes.append(Node(item["metadata"]["name"], pods, own[0]))
    return nodes, len(nodes) == len(document["items"])


def configuration(pods: str) -> str:
    """The CNI configuration of a node with these pod addresses.

    The bridge masquerades nothing: one rule of the node does, so that pods see each other's addresses.
    """
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "ipMasq": False,
        "hairpinMode": True,
        "ipam": {"type": "host-local", "ranges": [[{"subnet": pods}]], "routes": [{"dst": "0.0.0.0/0"}]},
    }
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return json.dumps({"cniVersion": "1.0.0", "name": "pods", "plugins": [bridge, ports]}, indent=1) + "\n"


def routes(nodes: list[Node], own_name: str) -> list[list[str]]:
    """The commands that make the pods of all other nodes reachable."""
    return [["ip", "route", "replace", n.pods, "via", n.address] for n in nodes if n.name != own_name]


def masquerade_rule(subnet: str) -> list[str]:
    """The rule under which pods leave the pod network with the address of their node."""
    return ["POSTROUTING", "-s", subnet, "!", "-d", subnet, "-j", "MASQUERADE"]


def reconcile(nodes: list[Node], own_name: str, subnet: str) -> None:
    """Bring routes, masquerading and, last because it makes the node Ready, the CNI configuration in line."""
    for command in routes(nodes, own_name):
        subprocess.run(command, check=True)
    rule = masquerade_rule(subnet)
    table = ["iptables", "-w", "5", "-t", "nat"]
    if subprocess.run([*table, "-C", *rule], capture_output=True, check=False).returncode != 0:
        subprocess.run([*table, "-A", *rule], check=True)
    for node in nodes:
        text = configuration(node.pods)
        if node.name == own_name and not (CONFIGURATION.is_file() and CONFIGURATION.read_text() == text):
            draft = CONFIGURATION.with_suffix(".draft")
            draft.write_text(text)
            draft.rename(CONFIGURATION)
            print(f"{own_name}: pods have {node.pods}", flush=True)


def get(path: str, timeout: float) -> http.client.HTTPResponse:
    """GET from the API server as this pod's service account.

    Raises:
        OSError: The API server cannot be reached or answered with anything but 200.
    """
    trust = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    connection = http.client.HTTPSConnection(os.environ["CONTROL_PLANE_ENDPOINT"], timeout=timeout, context=trust)
    connection.request("GET", path, headers={"Authorization": f"Bearer {(ACCOUNT / 'token').read_text()}"})
    response = connection.getresponse()
    if response.status != 200:
        raise OSError(f"GET {path}: {response.status} {response.read(200)!r}")
    return response


def wait_for_change(version: str) -> None:
    """Return at the first change of any node after `version`, or when the API server ends the watch."""
    path = f"/api/v1/nodes?watch=1&resourceVersion={version}&timeoutSeconds={RECONCILE_SECONDS}"
    get(path, RECONCILE_SECONDS + 5).readline()


def main() -> None:
    """Reconcile for ever."""
    own_name, subnet = os.environ["NODE_NAME"], os.environ["POD_SUBNET"]
    while True:
        try:
            document = json.loads(get("/api/v1/nodes", 5).read())
            nodes, complete = parse_nodes(document)
            reconcile(nodes, own_name, subnet)
            if complete:
                wait_for_change(document["metadata"]["resourceVersion"])
            else:
                time.sleep(RETRY_SECONDS)
        except (OSError, ValueError, http.client.HTTPException, subprocess.CalledProcessError) as error:
            print(f"{own_name}: {error}; next try in {RETRY_SECONDS} s", file=sys.stderr, flush=True)
            time.sleep(RETRY_SECONDS)


if __name__ == "__main__":
    main()
