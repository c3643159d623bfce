"""tbot on the nodes, from the manifests; and what only code changes in them."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping
from typing import Any

import yaml

from provision.installing.variant import Variant

_FILES = ("tbot-rbac.yaml", "tbot-config.yaml", "tbot-daemonset.yaml")

LISTENING = "Listener opened for Workload API endpoint"
"""What tbot logs when it has joined and listens: in the guide's installation, which has no probe, nothing else tells."""

CONFIG_DIGEST = "conformance.teleport-istio/config"


def objects(
    variant: Variant, variables: Mapping[str, str], *, insecure: bool, host_aliases: Mapping[str, str]
) -> list[dict[str, Any]]:
    """The objects to apply, in order.

    Args:
        variant: The installation.
        variables: For the manifests.
        insecure: Teleport's proxy has a self-signed certificate. A person would mount its CA and set SSL_CERT_FILE; a
            Teleport that lives as long as one run makes its certificate when it starts.
        host_aliases: Address by name, for a Teleport whose name is in no DNS.
    """
    made = [document for name in _FILES for document in variant.documents(name, variables)]
    config = next(document for document in made if document["kind"] == "ConfigMap")
    if insecure:
        config["data"]["tbot.yaml"] = yaml.safe_dump(
            {**yaml.safe_load(config["data"]["tbot.yaml"]), "insecure": True}, sort_keys=False
        )
    return [with_pod_template(document, config["data"]["tbot.yaml"], host_aliases) for document in made]


def with_pod_template(document: dict[str, Any], config: str, host_aliases: Mapping[str, str]) -> dict[str, Any]:
    """A DaemonSet with host aliases and the digest of its configuration; any other object as it is.

    tbot reads its configuration once. With the digest in the pod template, applying another one also restarts tbot, which
    the guide's note 9 asks a person to do.
    """
    if document["kind"] != "DaemonSet":
        return document
    changed = copy.deepcopy(document)
    template = changed["spec"]["template"]
    template["metadata"].setdefault("annotations", {})[CONFIG_DIGEST] = hashlib.sha256(config.encode()).hexdigest()[:16]
    if host_aliases:
        template["spec"]["hostAliases"] = [
            {"ip": address, "hostnames": [name]} for name, address in sorted(host_aliases.items())
        ]
    return changed
