"""Repairs of the guide's installation: each is the smallest change that removes one defect.

One defect can hide others, which show only once it is repaired. A repair takes what it adds from the recommended manifests.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from provision.render import MANIFESTS, documents

Document = dict[str, Any]
Change = Callable[[Document, Mapping[str, str]], Document]


@dataclass(frozen=True, slots=True)
class Repair:
    """One repair.

    Attributes:
        name: Name in ``--repair`` and of the defect in the catalogue.
        sentence: Effect of the repair.
        change: Takes a parsed document of the guide and the manifests' variables; returns the document to apply, which is
            the same one unless it has the defect.
        adds: Files of the recommended manifests that the guide lacks, for Teleport.
        applies: Files for the mesh, applied once istiod runs.
        recommended: True where the recommended manifests keep the guide's value, so that the repair applies to them as well.
        wants: Repairs without which this one breaks the installation.
    """

    name: str
    sentence: str
    change: Change = lambda document, _variables: document
    adds: tuple[str, ...] = ()
    applies: tuple[str, ...] = ()
    recommended: bool = False
    wants: tuple[str, ...] = ()


FAIL_CLOSED_NAME = "workload.sock"
"""Name of the socket with the repair `socket-name`; any name except `socket` works."""


def _of(kind: str, edit: Callable[[Document, Mapping[str, str]], None]) -> Change:
    """Return a change of the documents of one kind."""

    def change(document: Document, variables: Mapping[str, str]) -> Document:
        if document["kind"] != kind:
            return document
        changed = copy.deepcopy(document)
        edit(changed, variables)
        return changed

    return change


def _recommended(variables: Mapping[str, str]) -> Document:
    (document,) = documents(MANIFESTS / "istio-config.yaml", variables)
    return document


def _templates(document: Document) -> Document:
    found: Document = document["spec"]["values"]["sidecarInjectorWebhook"]["templates"]
    return found


def _patch_the_list_of_the_proxy(document: Document, variables: Mapping[str, str]) -> None:
    recommended = _templates(_recommended(variables))["spire"].splitlines()
    which = next(line for line in recommended if line.strip().endswith("containers{{ end }}:"))
    templates = _templates(document)
    templates["spire"] = templates["spire"].replace("  containers:\n", f"{which}\n", 1)


def _any_node(document: Document, _variables: Mapping[str, str]) -> None:
    document["spec"]["template"]["spec"].pop("nodeSelector", None)


def _overlay(document: Document, variables: Mapping[str, str]) -> None:
    gateways = _recommended(variables)["spec"]["components"]["ingressGateways"]
    document["spec"]["components"]["ingressGateways"] = gateways


def _exact_tag(document: Document, variables: Mapping[str, str]) -> None:
    (container,) = document["spec"]["template"]["spec"]["containers"]
    container["image"] = variables["TBOT_IMAGE"]


def _normalize(document: Document, _variables: Mapping[str, str]) -> None:
    document["spec"]["meshConfig"]["pathNormalization"]["normalization"] = "DECODE_AND_MERGE_SLASHES"


def _rename_in_istio(document: Document, variables: Mapping[str, str]) -> None:
    metadata = document["spec"]["meshConfig"].setdefault("defaultConfig", {}).setdefault("proxyMetadata", {})
    metadata["WORKLOAD_IDENTITY_SOCKET_FILE"] = FAIL_CLOSED_NAME
    former = f"{variables['SOCKET_DIRECTORY']}/socket"
    for gateway in document["spec"]["components"].get("ingressGateways", []):
        patches = [p for overlay in gateway["k8s"]["overlays"] for p in overlay["patches"]]
        for volume in (p["value"] for p in patches if p["value"].get("hostPath", {}).get("path") == former):
            volume["hostPath"]["path"] = f"{variables['SOCKET_DIRECTORY']}/{FAIL_CLOSED_NAME}"


def _rename_in_tbot(document: Document, variables: Mapping[str, str]) -> None:
    former = f"unix://{variables['SOCKET_DIRECTORY']}/socket"
    for key, text in document.get("data", {}).items():
        document["data"][key] = text.replace(f'"{former}"', f'"unix://{variables["SOCKET_DIRECTORY"]}/{FAIL_CLOSED_NAME}"')


def _rename(document: Document, variables: Mapping[str, str]) -> Document:
    return _of("ConfigMap", _rename_in_tbot)(_of("IstioOperator", _rename_in_istio)(document, variables), variables)


REPAIRS: Mapping[str, Repair] = {
    repair.name: repair
    for repair in (
        Repair("bot", "Creates the bot that the join token is for.", adds=("teleport-bot.yaml",)),
        Repair(
            "template",
            "Lets the injection template patch `initContainers` where sidecars are native.",
            _of("IstioOperator", _patch_the_list_of_the_proxy),
        ),
        Repair("node-selector", "Lets the test application run on any node.", _of("Deployment", _any_node)),
        Repair("gateway", "Gives the ingress gateway the overlay with tbot's socket.", _of("IstioOperator", _overlay)),
        Repair("tbot-tag", "Runs tbot under the tag of an exact version.", _of("DaemonSet", _exact_tag)),
        Repair(
            "socket-name",
            f"Calls the socket `{FAIL_CLOSED_NAME}`, so that no sidecar starts without it.",
            _rename,
            recommended=True,
            # A gateway without tbot's socket directory would not start at all.
            wants=("gateway",),
        ),
        Repair(
            "path-normalization",
            "Sets the mesh's path normalization to DECODE_AND_MERGE_SLASHES.",
            _of("IstioOperator", _normalize),
            recommended=True,
        ),
        Repair(
            "strict-mtls",
            "Lets every workload of the mesh take mutual TLS only.",
            applies=("strict-mtls.yaml",),
            recommended=True,
        ),
    )
}
"""Every repair by its name, in the order in which one defect hides the next."""
