"""tbot on the nodes, from the manifests, with the changes that only code can make."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from facts.versions import Version
from provision.installing.variant import Variant
from provision.names import CA_FILE

_RIGHTS, _RIGHTS_BEFORE, _REST = "tbot-rbac.yaml", "tbot-rbac-before-1.33.yaml", ("tbot-config.yaml", "tbot-daemonset.yaml")

FINE_GRAINED = (1, 33)
"""First minor version of Kubernetes in which ``nodes/pods`` suffices for a kubelet's pods (KubeletFineGrainedAuthz)."""

LISTENING = "Listener opened for Workload API endpoint"
"""tbot logs this when it has joined and listens; the guide's installation has no probe that would show it."""

CONFIG_DIGEST = "conformance.teleport-istio/config"


def rights(variant: Variant, kubernetes: Version) -> tuple[str, ...]:
    """Return the manifests of tbot's rights, in the order to apply them: a later ClusterRole replaces the earlier one."""
    older = not variant.as_guide and (kubernetes.major, kubernetes.minor) < FINE_GRAINED
    return (_RIGHTS, _RIGHTS_BEFORE) if older else (_RIGHTS,)


def objects(
    variant: Variant,
    variables: Mapping[str, str],
    *,
    kubernetes: Version,
    insecure: bool,
    ca: Path | None,
    host_aliases: Mapping[str, str],
) -> list[dict[str, Any]]:
    """Return the objects to apply, in order.

    Args:
        variant: Variant of the installation.
        variables: Variables of the manifests.
        kubernetes: Version of the API server, and so of the kubelets of a cluster that kind made.
        insecure: True where the user asked not to verify the certificate of Teleport's proxy.
        ca: File with the certificates to verify it with; None for those of the image.
        host_aliases: Address by name, for a Teleport whose name is in no DNS.
    """
    made = [document for name in (*rights(variant, kubernetes), *_REST) for document in variant.documents(name, variables)]
    config = next(document for document in made if document["kind"] == "ConfigMap")["data"]
    if insecure:
        config["tbot.yaml"] = yaml.safe_dump({**yaml.safe_load(config["tbot.yaml"]), "insecure": True}, sort_keys=False)
    template = next(document for document in made if document["kind"] == "DaemonSet")["spec"]["template"]
    if ca is not None:
        config[CA_FILE] = ca.read_text(encoding="ascii")
        _trust_in(template["spec"]["containers"][0])
    # tbot reads its configuration once. With the digest in the pod template, applying another configuration also restarts
    # tbot, which the guide's note 9 asks the user to do.
    digest = hashlib.sha256("".join(config.values()).encode()).hexdigest()[:16]
    template["metadata"].setdefault("annotations", {})[CONFIG_DIGEST] = digest
    if host_aliases:
        aliases = [{"ip": address, "hostnames": [name]} for name, address in sorted(host_aliases.items())]
        template["spec"]["hostAliases"] = aliases
    return made


def _trust_in(container: dict[str, Any]) -> None:
    """Let tbot trust the certificates that lie beside its configuration: Go's own variable, which adds no volume."""
    mount = next(m["mountPath"] for m in container["volumeMounts"] if m["name"] == "config")
    container.setdefault("env", []).append({"name": "SSL_CERT_FILE", "value": f"{mount}/{CA_FILE}"})
