"""The ``services`` of tbot's configuration; the stand-in has ``workload-identity-api`` only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from lab.standin import durations, shapes
from lab.standin.failure import Kind, Refusal, within

TYPE = "workload-identity-api"
_MOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_OTHER_ATTESTORS = ("docker", "podman", "systemd", "sigstore")
_HASH_LIMIT = 1 << 30


@dataclass(frozen=True, slots=True)
class Kubelet:
    """How the kubelet is asked for its pods.

    Attributes:
        port: the port to dial.
        secure: HTTPS with the token, else plain HTTP.
        token_path: file with the bearer token.
        ca_path: file with the kubelet's CA.
        skip_verify: accept any certificate.
        anonymous: send no token.
    """

    port: int = 10250
    secure: bool = True
    token_path: Path = _MOUNT / "token"
    ca_path: Path = _MOUNT / "ca.crt"
    skip_verify: bool = False
    anonymous: bool = False


@dataclass(frozen=True, slots=True)
class WorkloadIdentityApi:
    """One listener for workloads.

    Attributes:
        name: for logs and ``/readyz/NAME``.
        listen: ``unix:///path`` or ``tcp://host:port``.
        selector_name: name of the workload identity, or none.
        selector_labels: label → values, empty if selected by name.
        kubelet: where Kubernetes attestation asks, none if it is off.
        hash_limit: largest program that is hashed, in bytes; -1 for any.
        credential_ttl: lifetime asked for SVIDs.
        renewal_interval: how often SVIDs are renewed.
    """

    name: str
    listen: str
    selector_name: str | None
    selector_labels: Mapping[str, tuple[str, ...]]
    kubelet: Kubelet | None
    hash_limit: int
    credential_ttl: timedelta
    renewal_interval: timedelta


def read_services(documents: Sequence[Any], inherited: tuple[timedelta, timedelta]) -> tuple[WorkloadIdentityApi, ...]:
    """The services in the file.

    Raises:
        Refusal: one is not acceptable, or of a type that the stand-in does not have.
    """
    services = []
    for index, document in enumerate(documents):
        with within(f"validating service[{index}]"):
            services.append(_read(document, f"{TYPE}-{index + 1}", inherited))
    return tuple(services)


def _read(document: Any, default_name: str, inherited: tuple[timedelta, timedelta]) -> WorkloadIdentityApi:
    document = shapes.mapping({"service": document}, "service")
    if shapes.text(document, "type") != TYPE:
        raise Refusal(
            Kind.NOT_IMPLEMENTED,
            f'service type "{shapes.text(document, "type")}" is not part of the stand-in for Teleport, it has "{TYPE}" only',
        )
    listen = shapes.text(document, "listen")
    if not listen:
        raise Refusal(Kind.BAD_PARAMETER, "listen: should not be empty")
    scheme, _, address = listen.partition("://")
    if scheme == "tcp":
        shapes.host_and_port(address, "listen")
    elif scheme != "unix" or not address.startswith("/"):
        raise Refusal(Kind.BAD_PARAMETER, f'listen: expected unix:///path or tcp://host:port, got "{listen}"')
    with within("validating selector"):
        name, labels = _selector(shapes.mapping(document, "selector"))
    attestors = shapes.mapping(document, "attestors")
    with within("validating attestors"):
        kubelet, limit = _kubelet(shapes.mapping(attestors, "kubernetes")), _hash_limit(attestors)
    ttl, renewal = durations.lifetimes(document, inherited)
    # Of its own lifetimes tbot only warns; a service's it refuses.
    if document.get("renewal_interval") is not None and ttl < renewal:
        raise Refusal(
            Kind.BAD_PARAMETER,
            f"credential_ttl {durations.show(ttl)} is shorter than the renewal_interval {durations.show(renewal)}",
        )
    return WorkloadIdentityApi(
        name=shapes.text(document, "name", default_name),
        listen=listen,
        selector_name=name,
        selector_labels=labels,
        kubelet=kubelet,
        hash_limit=limit,
        credential_ttl=ttl,
        renewal_interval=renewal,
    )


def _selector(selector: Mapping[str, Any]) -> tuple[str | None, dict[str, tuple[str, ...]]]:
    name, labels = shapes.text(selector, "name"), shapes.mapping(selector, "labels")
    if name and labels:
        raise Refusal(Kind.BAD_PARAMETER, "workload identity name and label selectors are mutually exclusive")
    if not name and not labels:
        raise Refusal(Kind.BAD_PARAMETER, "workload identity name or label selectors must be set")
    return name or None, {
        key: tuple(shapes.texts(labels, key) if isinstance(values, list) else [shapes.text(labels, key)])
        for key, values in labels.items()
    }


def _kubelet(kubernetes: Mapping[str, Any]) -> Kubelet | None:
    if not kubernetes.get("enabled"):
        return None
    kubelet = shapes.mapping(kubernetes, "kubelet")
    read_only, secure = shapes.port(kubelet, "read_only_port"), shapes.port(kubelet, "secure_port")
    if read_only and secure:
        raise Refusal(Kind.BAD_PARAMETER, "kubernetes.kubelet: readOnlyPort and securePort options are mutually exclusive")
    return Kubelet(
        port=read_only or secure or 10250,
        secure=not read_only,
        token_path=Path(shapes.text(kubelet, "token_path", str(_MOUNT / "token"))),
        ca_path=Path(shapes.text(kubelet, "ca_path", str(_MOUNT / "ca.crt"))),
        skip_verify=bool(kubelet.get("skip_verify")),
        anonymous=bool(kubelet.get("anonymous")),
    )


def _hash_limit(attestors: Mapping[str, Any]) -> int:
    for other in _OTHER_ATTESTORS:
        if shapes.mapping(attestors, other).get("enabled"):
            raise Refusal(Kind.NOT_IMPLEMENTED, f"{other}: not part of the stand-in for Teleport")
    return shapes.number(shapes.mapping(attestors, "unix"), "binary_hash_max_size_bytes", _HASH_LIMIT)
