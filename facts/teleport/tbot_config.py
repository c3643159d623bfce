"""tbot's configuration file, version 2. Source: Teleport's reference of tbot's configuration.

Facts only carry what the file says; what is wrong with it is for a judgment. tbot refuses unknown keys at the root and
ignores them silently inside a service, hence `unknown_keys`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from facts.document import damaged, mappings, maybe, need, parse_yaml, texts

DEFAULT_CREDENTIAL_TTL = 3600.0
DEFAULT_RENEWAL_INTERVAL = 1200.0

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")

_METHOD = re.compile(r"""\bjoin_method["']?\s*:\s*["']?([\w-]+)""")
_TOKEN = re.compile(r"""(?<![\w-])token["']?\s*:\s*["']?([^\s"',{}]+)""")

_ROOT_KEYS = frozenset(
    {
        "version", "onboarding", "storage", "services", "outputs", "debug", "auth_server", "proxy_server", "credential_ttl",
        "certificate_ttl", "renewal_interval", "oneshot", "fips", "diag_addr", "diag_socket_for_updater", "insecure",
        "join_uri", "scoped",
    }
)  # fmt: skip
_SERVICE_KEYS = frozenset(
    {"type", "name", "listen", "selector", "attestors", "credential_ttl", "renewal_interval", "trust_domains"}
)
_ATTESTORS = frozenset({"kubernetes", "docker", "podman", "systemd", "sigstore", "unix"})
_KUBERNETES_KEYS = frozenset({"enabled", "kubelet"})
_KUBELET_KEYS = frozenset({"read_only_port", "secure_port", "token_path", "ca_path", "skip_verify", "anonymous"})


@dataclass(frozen=True, slots=True)
class KubernetesAttestor:
    """How tbot asks the kubelet about a caller.

    Attributes:
        enabled: Default false.
        secure_port: Default 10250.
        read_only_port: 0 when not given.
        token_path: Empty for the default mount.
        ca_path: Empty for the default mount.
        skip_verify: The kubelet's certificate is not verified.
        anonymous: No token is sent.
    """

    enabled: bool
    secure_port: int
    read_only_port: int
    token_path: str
    ca_path: str
    skip_verify: bool
    anonymous: bool


@dataclass(frozen=True, slots=True)
class WorkloadApi:
    """A service of type ``workload-identity-api``.

    Attributes:
        name: Empty when it has none.
        listen: As in the file, e.g. ``unix:///run/spire/sockets/socket``.
        selector_name: Name of the workload_identity to issue.
        selector_labels: Or labels of it: for each key the values that match.
        kubernetes: The Kubernetes attestor; None when the file does not speak of it.
        credential_ttl: Seconds, the service's own, else the file's, else the default.
        renewal_interval: Seconds, likewise.
    """

    name: str
    listen: str
    selector_name: str
    selector_labels: Mapping[str, tuple[str, ...]]
    kubernetes: KubernetesAttestor | None
    credential_ttl: float
    renewal_interval: float

    @property
    def socket_path(self) -> str:
        """Path of a unix socket; empty for TCP."""
        return self.listen.removeprefix("unix://") if self.listen.startswith(("unix://", "/")) else ""


@dataclass(frozen=True, slots=True)
class TbotConfig:
    """The whole file.

    Attributes:
        version: E.g. ``v2``; tbot takes v2 where none is given.
        proxy_server: HOST:PORT, empty when not given.
        auth_server: HOST:PORT, empty when not given.
        token: Name of the join token.
        join_method: E.g. ``kubernetes``.
        token_path: ``onboarding.kubernetes.token_path``, empty when not given.
        ca_pins: Pins of the Auth service.
        insecure: The server's certificate is trusted on first connect.
        storage: ``memory``, ``directory``, ``kubernetes_secret``; ``directory`` where none is given.
        diag_addr: Address of the diagnostics service, empty when there is none.
        debug: Debug logging.
        credential_ttl: Seconds, of the file.
        renewal_interval: Seconds, of the file.
        services: Services of type workload-identity-api.
        other_services: Types of all other services.
        unknown_keys: Keys that tbot's reference does not have, as dotted paths; a misspelt ``attestor`` is one.
        evidence: Ids of the readings.
    """

    version: str
    proxy_server: str
    auth_server: str
    token: str
    join_method: str
    token_path: str
    ca_pins: tuple[str, ...]
    insecure: bool
    storage: str
    diag_addr: str
    debug: bool
    credential_ttl: float
    renewal_interval: float
    services: tuple[WorkloadApi, ...]
    other_services: tuple[str, ...]
    unknown_keys: tuple[str, ...]
    evidence: tuple[str, ...] = ()


def parse_duration(text: str, where: str) -> float:
    """A Go duration such as ``1h30m`` or ``3600s`` in seconds.

    Raises:
        CouldNotTell: It is none.
    """
    rest = text.strip()
    if rest == "0":
        return 0.0
    parts = list(_PART.finditer(rest))
    if not parts or "".join(p[0] for p in parts) != rest:
        raise damaged("a duration such as 1h or 20m", repr(text), where)
    return sum(float(p[1]) * _UNITS[p[2]] for p in parts)


def join_secrets(text: str) -> tuple[str, ...]:
    """Names of tokens in a configuration that are all that a stranger needs to join: those of the join method ``token``.

    Told from the text, so that they are known also where the file cannot be parsed. An absolute path is no secret: it is
    where a file with one lies.
    """
    methods = set(_METHOD.findall(text))
    if methods and "token" not in methods:
        return ()
    return tuple(token for token in dict.fromkeys(_TOKEN.findall(text)) if not token.startswith("/"))


def parse_tbot_config(text: str, evidence: tuple[str, ...] = (), where: str = "tbot.yaml") -> TbotConfig:
    """Reads tbot's configuration file.

    Args:
        text: The YAML.
        evidence: Ids of the readings.
        where: The ConfigMap and key it comes from, for messages.

    Raises:
        CouldNotTell: It is not YAML, not a mapping, or a field is damaged.
    """
    document = parse_yaml(text, where)
    if not isinstance(document, Mapping):
        raise damaged("a mapping", type(document).__name__, where)
    ttl = _duration(document, "credential_ttl", _duration(document, "certificate_ttl", DEFAULT_CREDENTIAL_TTL, where), where)
    interval = _duration(document, "renewal_interval", DEFAULT_RENEWAL_INTERVAL, where)
    key = "services" if "services" in document else "outputs"
    entries = list(mappings(document, key, where))
    unknown = [k for k in document if k not in _ROOT_KEYS]
    services: list[WorkloadApi] = []
    others: list[str] = []
    for index, entry in enumerate(entries):
        kind = need(entry, "type", str, where)
        if kind == "workload-identity-api":
            services.append(_service(entry, ttl, interval, where))
            unknown += [f"{key}[{index}].{path}" for path in _unknown_in(entry, where)]
        else:
            others.append(kind)
    return TbotConfig(
        version=maybe(document, "version", "v2", where),
        proxy_server=maybe(document, "proxy_server", "", where),
        auth_server=maybe(document, "auth_server", "", where),
        token=maybe(document, "onboarding.token", "", where),
        join_method=maybe(document, "onboarding.join_method", "", where),
        token_path=maybe(document, "onboarding.kubernetes.token_path", "", where),
        ca_pins=texts(document, "onboarding.ca_pins", where),
        insecure=maybe(document, "insecure", False, where),
        storage=maybe(document, "storage.type", "directory", where),
        diag_addr=maybe(document, "diag_addr", "", where),
        debug=maybe(document, "debug", False, where),
        credential_ttl=ttl,
        renewal_interval=interval,
        services=tuple(services),
        other_services=tuple(others),
        unknown_keys=tuple(str(k) for k in unknown),
        evidence=evidence,
    )


def _service(entry: Any, ttl: float, interval: float, where: str) -> WorkloadApi:
    labels = maybe(entry, "selector.labels", dict[str, Any](), where)
    kubernetes = maybe(entry, "attestors.kubernetes", dict[str, Any](), where)
    return WorkloadApi(
        name=maybe(entry, "name", "", where),
        listen=maybe(entry, "listen", "", where),
        selector_name=maybe(entry, "selector.name", "", where),
        selector_labels={key: texts(labels, [key], where) for key in labels},
        kubernetes=KubernetesAttestor(
            enabled=maybe(kubernetes, "enabled", False, where),
            secure_port=maybe(kubernetes, "kubelet.secure_port", 10250, where),
            read_only_port=maybe(kubernetes, "kubelet.read_only_port", 0, where),
            token_path=maybe(kubernetes, "kubelet.token_path", "", where),
            ca_path=maybe(kubernetes, "kubelet.ca_path", "", where),
            skip_verify=maybe(kubernetes, "kubelet.skip_verify", False, where),
            anonymous=maybe(kubernetes, "kubelet.anonymous", False, where),
        )
        if kubernetes
        else None,
        credential_ttl=_duration(entry, "credential_ttl", ttl, where),
        renewal_interval=_duration(entry, "renewal_interval", interval, where),
    )


def _unknown_in(entry: Any, where: str) -> list[str]:
    attestors = maybe(entry, "attestors", dict[str, Any](), where)
    kubernetes = maybe(attestors, "kubernetes", dict[str, Any](), where)
    kubelet = maybe(kubernetes, "kubelet", dict[str, Any](), where)
    selector = maybe(entry, "selector", dict[str, Any](), where)
    return [
        *(str(k) for k in entry if k not in _SERVICE_KEYS),
        *(f"selector.{k}" for k in selector if k not in ("name", "labels")),
        *(f"attestors.{k}" for k in attestors if k not in _ATTESTORS),
        *(f"attestors.kubernetes.{k}" for k in kubernetes if k not in _KUBERNETES_KEYS),
        *(f"attestors.kubernetes.kubelet.{k}" for k in kubelet if k not in _KUBELET_KEYS),
    ]


def _duration(document: Any, key: str, default: float, where: str) -> float:
    value = document.get(key)
    if value is None or value == "":
        return default
    return parse_duration(str(value), f"{where}: {key}")
