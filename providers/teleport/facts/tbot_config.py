"""tbot's configuration file, version 2. Source: Teleport's reference of tbot's configuration.

Facts only repeat the file; a judgment decides what is wrong with it. tbot ignores unknown keys silently (its releases 17.0
and 17.1 refuse them, except inside a service), hence `unknown_keys`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from typing import Annotated, Any

from pydantic import Field

from facts.declared import At, Declared, Flag, Only, Read, Selector, Text, mask_of, part, read
from facts.document import damaged, maybe, parse_yaml, yaml_as_written
from facts.masks import JOIN_NAME, KEYS, NAME, Decoded, Mask, at, merged, only, yaml_document

DEFAULT_CREDENTIAL_TTL = 3600.0
DEFAULT_RENEWAL_INTERVAL = 1200.0

LIFETIMES = {"credential_ttl": ("credential_ttl", "certificate_ttl"), "renewal_interval": ("renewal_interval",)}
"""The two lifetimes, each with the keys that it has or had. tbot refuses a section that has one of them alone."""

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")

_METHOD = re.compile(r"""\bjoin_method["']?\s*:\s*["']?([\w-]+)""")
_TOKEN = re.compile(r"""(?<![\w-])token["']?\s*:\s*(?:[&!]\S{0,64}\s+){0,4}(?:[|>][-+0-9]{0,2}\s+)?["']?([^\s"',{}]+)""")
"""The value after its tag and anchor; that of a block begins on the next line."""
_COMMENT = re.compile(r"(?m)(?:^|(?<=\s))#.*")
KUBERNETES = "kubernetes"
"""The join method of the guide."""
BY_NAME = "token"
"""The join method of a tbot whose file names none."""
BY_NAME_ALONE = ("", BY_NAME, "null", "~")
"""Join methods for which the name of the token is all that is needed; ``token`` is the default."""

_ROOT_KEYS = frozenset(
    {
        "version", "onboarding", "storage", "services", "outputs", "debug", "auth_server", "proxy_server", "credential_ttl",
        "certificate_ttl", "renewal_interval", "leeway", "oneshot", "fips", "diag_addr", "tracing", "insecure", "join_uri",
        "scoped",
    }
)  # fmt: skip
_SECTION_KEYS: dict[str, frozenset[str]] = {
    "onboarding.": frozenset(
        {
            "token", "ca_path", "ca_pins", "join_method", "azure", "terraform", "gitlab", "bound_keypair", "generic_oidc",
            "kubernetes",
        }
    ),
    "onboarding.kubernetes.": frozenset({"token_path"}),
    "tracing.": frozenset({"enabled", "exporter_url", "sampling_rate_per_million", "ca_certs", "keypairs"}),
}  # fmt: skip
_SERVICE_KEYS: dict[str, frozenset[str]] = {
    "": frozenset(
        {"type", "name", "listen", "selector", "attestors", "credential_ttl", "renewal_interval", "trust_domains"}
    ),
    "selector.": frozenset({"name", "labels"}),
    "attestors.": frozenset({"kubernetes", "docker", "podman", "systemd", "sigstore", "unix"}),
    "attestors.kubernetes.": frozenset({"enabled", "kubelet"}),
    "attestors.kubernetes.kubelet.": frozenset(
        {"read_only_port", "secure_port", "token_path", "ca_path", "skip_verify", "anonymous"}
    ),
}


def _looked_through(ways: Iterable[str]) -> Iterator[Mask]:
    """Masks that keep the keys of mappings, for the ways to them, each with a dot at its end."""
    return (at(way.removesuffix("."), KEYS) if way else KEYS for way in ways)


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


def _seconds(value: Any) -> float | None:
    return parse_duration(str(value), "") if value != "" else None


@dataclass(frozen=True, slots=True)
class KubernetesAttestor(Declared):
    """tbot's way to ask the kubelet about a caller.

    Attributes:
        enabled: Default false.
        secure_port: Default 10250.
        read_only_port: Port without authentication; 0 where tbot uses the secure one.
        anonymous: tbot sends no token.
        token_path: File with a token of its own choice; empty for that of its service account.
    """

    enabled: Flag
    secure_port: Annotated[int, Field(default=10250), At("kubelet.secure_port")]
    read_only_port: Annotated[int, Field(default=0), At("kubelet.read_only_port")] = 0
    anonymous: Annotated[Flag, At("kubelet.anonymous")] = False
    token_path: Annotated[Text, At("kubelet.token_path")] = ""

    @property
    def asks_as_service_account(self) -> bool:
        """The kubelet decides by the rights of the service account of tbot's pods."""
        return not (self.read_only_port or self.anonymous or self.token_path)


def _attestor(kubernetes: Mapping[str, Any]) -> KubernetesAttestor | None:
    return part(KubernetesAttestor, kubernetes) if kubernetes else None


@dataclass(frozen=True, slots=True)
class WorkloadApi(Declared):
    """A service of type ``workload-identity-api``.

    Attributes:
        listen: As in the file, e.g. ``unix:///run/spire/sockets/socket``.
        selector_name: Name of the workload_identity to issue.
        selector_labels: Or labels of it: for each key the values that match.
        kubernetes: The Kubernetes attestor; None when the file does not speak of it.
        credential_ttl: Seconds, the service's own, else the file's, else the default.
        renewal_interval: Seconds, likewise.
        own_lifetimes: Those of the two that the service has itself.
    """

    listen: Text
    selector_name: Annotated[Text, At("selector.name")]
    selector_labels: Annotated[Selector, At("selector.labels")]
    kubernetes: Annotated[
        KubernetesAttestor | None,
        Field(default=None),
        At("attestors.kubernetes"),
        Read(dict[str, Any], _attestor),
        mask_of(KubernetesAttestor),
    ]
    credential_ttl: Annotated[float, Read(Any, _seconds)]
    renewal_interval: Annotated[float, Read(Any, _seconds)]
    own_lifetimes: tuple[str, ...] = ()

    @classmethod
    def kept_with(cls, fields: Mask) -> Mask:
        """Unknown keys stay, in each mapping that is looked through for them."""
        return merged(fields, only("type", *chain(*LIFETIMES.values())), *_looked_through(_SERVICE_KEYS))

    @property
    def socket_path(self) -> str:
        """Path of a unix socket; empty for TCP."""
        return self.listen.removeprefix("unix://") if self.listen.startswith(("unix://", "/")) else ""


@dataclass(frozen=True, slots=True)
class _Lifetimes(Declared):
    credential_ttl: Annotated[float | None, Field(default=None), Read(Any, _seconds)]
    certificate_ttl: Annotated[float | None, Field(default=None), Read(Any, _seconds)]
    renewal_interval: Annotated[float | None, Field(default=None), Read(Any, _seconds)]

    def of(self, service: Any) -> Any:
        """A service of the file, with the lifetimes of the file where it has none of its own."""
        if not isinstance(service, Mapping):
            return service
        own = {key: value for key, value in service.items() if value not in (None, "")}
        own["own_lifetimes"] = _given(own)
        ttls = (self.credential_ttl, self.certificate_ttl, DEFAULT_CREDENTIAL_TTL)
        intervals = (self.renewal_interval, DEFAULT_RENEWAL_INTERVAL)
        return {"credential_ttl": _first(ttls), "renewal_interval": _first(intervals), **own}


def _given(section: Mapping[str, Any]) -> tuple[str, ...]:
    """Lifetimes that a section of the file has, under the present name or an older one."""
    return tuple(name for name, keys in LIFETIMES.items() if any(section.get(key) not in (None, "") for key in keys))


def _first(seconds: tuple[float | None, ...]) -> str:
    return next(f"{each:f}s" for each in seconds if each is not None)


@dataclass(frozen=True, slots=True)
class _Service(Declared):
    type: str


@dataclass(frozen=True, slots=True)
class OtherSelector(Declared):
    """The selector of a service that issues workload identities in another way, such as into files.

    Attributes:
        name: Name of the workload_identity.
        labels: Or labels of it: for each key the values that match.
    """

    name: Annotated[Text, At("selector.name")]
    labels: Annotated[Selector, At("selector.labels")]


def _issues_otherwise(service: Mapping[str, Any]) -> bool:
    return part(_Service, service).type.startswith("workload-identity-") and not _is_workload_api(service)


def _is_workload_api(service: Mapping[str, Any]) -> bool:
    return part(_Service, service).type == "workload-identity-api"


@dataclass(frozen=True, slots=True)
class TbotConfig(Declared):
    """The whole file.

    Attributes:
        version: ``v2``; empty when not given, which tbot takes for ``v1``.
        proxy_server: HOST:PORT, empty when not given.
        join_method: E.g. ``kubernetes``.
        token_path: ``onboarding.kubernetes.token_path``, empty when not given.
        insecure: Whether tbot takes any certificate for that of Teleport.
        services: Services of type workload-identity-api, those under ``outputs`` last.
        unknown_keys: Keys that tbot's reference does not have, as dotted paths; a misspelt ``attestor`` is one.
        own_lifetimes: Those of ``credential_ttl`` and ``renewal_interval`` that the file has for all of tbot.
        scoped: tbot expects its bot to belong to a scope.
        evidence: Ids of the readings.
        other_selectors: Selectors of services of other types that issue workload identities.
        auth_server: HOST:PORT of an Auth Service, empty when not given.
    """

    version: Text
    proxy_server: Annotated[Text, NAME]
    token: Annotated[Text, At("onboarding.token"), JOIN_NAME]
    join_method: Annotated[Text, At("onboarding.join_method")]
    token_path: Annotated[Text, At("onboarding.kubernetes.token_path")]
    insecure: Flag
    services: Annotated[
        tuple[WorkloadApi, ...], Field(default=()), At("services", "outputs"), Only(WorkloadApi, _is_workload_api)
    ]
    unknown_keys: tuple[str, ...]
    own_lifetimes: tuple[str, ...]
    scoped: Flag
    evidence: tuple[str, ...] = ()
    other_selectors: Annotated[
        tuple[OtherSelector, ...], Field(default=()), At("services", "outputs"), Only(OtherSelector, _issues_otherwise)
    ] = ()
    auth_server: Text = ""

    @property
    def teleport(self) -> str:
        """HOST:PORT at which it looks for Teleport; empty where it names none."""
        return self.proxy_server or self.auth_server

    @classmethod
    def kept_with(cls, fields: Mask) -> Mask:
        """Keys that tbot does not know stay, and those of settings that are not judged."""
        return merged(fields, mask_of(_Lifetimes), KEYS, *_looked_through(_SECTION_KEYS))


KEPT = Decoded(yaml_document, mask_of(TbotConfig))
"""What is kept of the file."""


def join_secrets(text: str) -> tuple[str, ...]:
    """Names of tokens in a configuration that are all that a stranger needs to join: those of the join method ``token``.

    The name in the decoded file comes first, then those that the text shows, which is all there is where the file cannot be
    parsed. An absolute path is no secret: it is where a file with one lies.
    """
    found = [token for token, method in _onboardings(text) if method in BY_NAME_ALONE]
    methods = set(_METHOD.findall(_COMMENT.sub("", text)))
    if not methods or "token" in methods:
        found += _TOKEN.findall(text)
    return tuple(token for token in dict.fromkeys(found) if not token.startswith("/"))


def public_join_names(text: str) -> tuple[str, ...]:
    """Names of tokens in a configuration that are no secrets, because its join method asks for more than the name."""
    if join_secrets(text):
        return ()
    return tuple(dict.fromkeys([*(token for token, _method in _onboardings(text)), *_TOKEN.findall(text)]))


def _onboardings(text: str) -> Iterator[tuple[str, str]]:
    """Name of the token and join method in each document of a file; none where the file is not YAML."""
    try:
        documents = yaml_as_written(text)
    except ValueError:
        return
    for document in documents:
        onboarding = document.get("onboarding") if isinstance(document, Mapping) else None
        if isinstance(onboarding, Mapping) and isinstance(token := onboarding.get("token"), str) and token:
            yield token, str(onboarding.get("join_method", ""))


def parse_tbot_config(file: Any, evidence: tuple[str, ...] = (), where: str = "tbot.yaml") -> TbotConfig:
    """Reads tbot's configuration file.

    Args:
        file: The YAML, or what was decoded from it.
        evidence: Ids of the readings.
        where: The ConfigMap and key it comes from, for messages.

    Raises:
        CouldNotTell: It is not YAML, not a mapping, or a field is damaged.
    """
    document = parse_yaml(file, where) if isinstance(file, str) else file
    lifetimes = read(_Lifetimes, document, where)
    sections = [(key, maybe(document, key, list[Any](), where)) for key in ("services", "outputs")]
    listed = [lifetimes.of(service) for _key, services in sections for service in services]
    found = {"unknown_keys": (), "own_lifetimes": _given(document), "evidence": evidence}
    config = read(TbotConfig, {**document, "services": listed}, where, **found)
    unknown = [str(name) for name in document if name not in _ROOT_KEYS]
    unknown += _unknown_in(document, _SECTION_KEYS, where)
    for key, services in sections:
        for index, service in enumerate(services):
            if _is_workload_api(service):
                unknown += [f"{key}[{index}].{name}" for name in _unknown_in(service, _SERVICE_KEYS, where)]
    return replace(config, unknown_keys=tuple(unknown))


def _unknown_in(section: Any, keys: Mapping[str, frozenset[str]], where: str) -> Iterator[str]:
    for way, known in keys.items():
        here = maybe(section, [key for key in way.split(".") if key], dict[str, Any](), where)
        yield from (f"{way}{key}" for key in here if key not in known)
