"""The source of a sidecar's identity: one decision from facts of Envoy and its agent, never from logs.

Log lines are not among them: the two that the guide shows for the healthy mode are printed in others as well. Nor is
version_info by itself, which is the SDS server's own business. Source: Istio's agent and bootstrap (1.28 to 1.31), each mode
seen live.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from facts.document import damaged
from facts.proxies.envoy import AgentMetrics, Bootstrap, Secret, Validator

# Istio's agent counts: RFC 3339 time of its start, a slash, a number. A provider's version has no such tail.
_COUNTED = re.compile(r"\d{4}-\d{2}-\d{2}T[^/]+/\d+")


class SdsMode(StrEnum):
    """The server of the proxy's certificate."""

    EXTERNAL = "external"
    """The provider on the node's socket; the agent knows and serves only files. The one healthy mode."""
    RACE = "race"
    """The provider, but the agent started before it: it holds an unused certificate of istiod, and TLS egress is broken."""
    ISTIO_CA = "istio-ca"
    """Istio's agent, with certificates of istiod."""
    FILES = "files"
    """Istio's agent, with certificates from mounted files."""
    SILENT = "silent"
    """No SDS server has supplied both secrets yet, or the provider refuses this workload."""
    UNASKED = "unasked"
    """Envoy asks no SDS server for a certificate: nothing in its configuration uses one, or it has no configuration yet."""
    TAKEOVER = "takeover"
    """Another pod's agent, which became the node's SDS server: it serves that pod's key and istiod's authorities."""

    @property
    def told(self) -> str:
        """The mode in plain words, as a clause about a proxy, with its name."""
        return f"{_IN_WORDS[self]} (mode {self.value})"


_IN_WORDS = {
    SdsMode.EXTERNAL: "the SDS server on the node's socket supplies its certificate",
    SdsMode.RACE: "its certificate comes from the node's socket, which its Istio agent found too late",
    SdsMode.ISTIO_CA: "its Istio agent supplies its certificate, which istiod issued",
    SdsMode.FILES: "its Istio agent supplies its certificate from mounted files",
    SdsMode.UNASKED: "its Envoy asks no SDS server for a certificate: nothing in the configuration that it has uses one",
    SdsMode.SILENT: "no SDS server has supplied both its certificate and its trust bundle",
    SdsMode.TAKEOVER: "another pod's Istio agent, which listens on the node's socket, supplies its secrets",
}


class SecretState(StrEnum):
    """The progress of the secret ``default`` in Envoy."""

    ACTIVE = "active"
    WARMING = "warming"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Decision:
    """A mode and the facts that decided it, as sentences."""

    mode: SdsMode
    decided_by: tuple[str, ...]


def is_counted(version_info: str) -> bool:
    """Tell whether Istio's agent wrote this version (time, slash, number)."""
    return bool(_COUNTED.fullmatch(version_info))


def decide(
    *,
    bootstrap: Bootstrap,
    state: SecretState,
    leaf: Secret | None,
    root: Secret | None,
    agent: AgentMetrics,
    own_path: str,
) -> Decision:
    """Decide which server a proxy's identity comes from.

    Args:
        bootstrap: Envoy's bootstrap.
        state: Of the secret ``default``.
        leaf: The secret ``default`` when it is active.
        root: The secret ``ROOTCA`` when it is active.
        agent: The agent's own count of certificate requests.
        own_path: ``/ns/NAMESPACE/sa/SERVICE_ACCOUNT`` of the pod as the API server knows it.

    Raises:
        CouldNotTell: The facts contradict each other.
    """
    if bootstrap.has_files_cluster != bootstrap.file_credential:
        raise damaged(
            "the cluster sds-files-grpc and the metadata file-credential together or not at all",
            f"cluster {_there(bootstrap.has_files_cluster)}, metadata {_there(bootstrap.file_credential)}",
            "Envoy's bootstrap",
        )
    found = bootstrap.has_files_cluster
    known = (
        "the bootstrap has sds-files-grpc and file-credential is true: the agent found a socket at its start"
        if found
        else "the bootstrap has no sds-files-grpc and file-credential is not true: the agent found no socket at its start"
    )
    if state is SecretState.ABSENT:
        return Decision(
            SdsMode.UNASKED, (known, "Envoy has no secret default, not even one that it waits for: nothing asks for it")
        )
    if state is not SecretState.ACTIVE or leaf is None:
        return Decision(SdsMode.SILENT, (known, f"the secret default is {state.value}: no SDS server has supplied it"))
    if root is None:
        return Decision(
            SdsMode.SILENT, (known, "the secret default is active, ROOTCA is not: no SDS server has supplied it")
        )
    validator = {
        Validator.SPIFFE: "ROOTCA is a SPIFFE validator, which Istio's agent never writes",
        Validator.TRUSTED_CA: "ROOTCA is a plain trusted_ca",
        Validator.NONE: "ROOTCA holds no authority",
    }[root.validator]
    written_by = _writer("version_info of default", leaf.version_info)
    requests = f"the agent sent {agent.csr_count} certificate requests" + (
        " and holds a certificate of its own" if agent.certificate_held else ""
    )
    plain = root.validator is not Validator.SPIFFE
    if found:
        sans = leaf.chain[0].uri_sans if leaf.chain else ()
        own = any(san.removeprefix("spiffe://").partition("/")[2] == own_path.removeprefix("/") for san in sans)
        # Each secret has a stream of its own: for a while one may come from the provider and one from the other pod's agent.
        leaf_is_an_agents = is_counted(leaf.version_info) and (plain or not own)
        root_is_an_agents = is_counted(root.version_info) and plain
        if not (leaf_is_an_agents or root_is_an_agents):
            return Decision(SdsMode.EXTERNAL, (known, "the secret default is active", validator, written_by, requests))
        whose = (
            "the URI SAN is the pod's own"
            if own
            else f"the URI SAN {', '.join(sans) or 'is missing'} is not the pod's own {own_path}"
        )
        return Decision(
            SdsMode.TAKEOVER,
            (known, validator, written_by, _writer("version_info of ROOTCA", root.version_info), whose),
        )
    if not (plain and is_counted(leaf.version_info)):
        return Decision(SdsMode.RACE, (known, "yet the secret default is active", validator, written_by, requests))
    if agent.csr_count or agent.certificate_held:
        return Decision(SdsMode.ISTIO_CA, (known, validator, written_by, requests))
    return Decision(SdsMode.FILES, (known, validator, written_by, "the agent never asked for a certificate"))


def _writer(what: str, version: str) -> str:
    return f"{what}, {version}, is {'one that' if is_counted(version) else 'not one that'} Istio's agent writes"


def _there(present: bool) -> str:
    return "present" if present else "absent"
