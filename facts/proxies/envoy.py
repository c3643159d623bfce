"""Answers of Envoy's admin interface and of Istio's agent about one proxy.

Sources: Envoy's admin documentation (``/config_dump``, ``/clusters``, ``/stats``), Istio's bootstrap template. Envoy itself
puts ``[redacted]`` where a private key would stand.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import Any

from facts.document import counter, damaged, mappings, maybe, need, when
from facts.masks import KEY, TEXT, Fields, Items, Mask, Prepared, at, keeps, lines, merged, only
from facts.masks import LEAF as VALUE
from facts.redaction import beginning
from facts.svid import Certificate, parse_certificates
from facts.versions import Version

LEAF = "default"
ROOT = "ROOTCA"

STREAMS = 2
"""SDS streams of a healthy proxy: one for `LEAF`, one for `ROOT`."""

# What to ask: a dump of everything is a hundred times as long (312 kB against 3 kB for the secrets alone).
ACTIVE_SECRETS = "/config_dump?resource=dynamic_active_secrets"
WARMING_SECRETS = "/config_dump?resource=dynamic_warming_secrets"
BOOTSTRAP = (
    "/config_dump?mask=bootstrap.node.metadata,bootstrap.node.user_agent_build_version,bootstrap.static_resources.clusters"
)
SDS_HOSTS = "/clusters?format=json&filter=^sds-grpc$"
SERVER = r"/stats?format=json&filter=^server\.(state|uptime)$"
INBOUND_LISTENERS = "/config_dump?resource=dynamic_listeners&name_regex=^virtualInbound$"
ALL_LISTENERS = "/config_dump?resource=dynamic_listeners"
AGENT_METRICS = "/stats/prometheus"
IDENTITY = (ACTIVE_SECRETS, WARMING_SECRETS, BOOTSTRAP, SDS_HOSTS, SERVER)
"""Paths of Envoy's admin interface that a proxy's identity is read from; the agent's metrics come on top."""


class Validator(StrEnum):
    """The kind of validation that the secret ``ROOTCA`` configures."""

    SPIFFE = "spiffe"
    TRUSTED_CA = "trusted_ca"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Secret:
    """One secret of a dump.

    Attributes:
        name: ``default``, ``ROOTCA``, or another.
        version_info: The SDS server's version; ``uninitialized`` while it never answered.
        last_updated: UTC; None when not given.
        chain: Certificates of ``default``, leaf first; empty for other secrets, whatever they hold.
        validator: Of ``ROOTCA``.
        authorities: Of ``ROOTCA``, by trust domain; under ``trusted_ca`` the only key is an empty text.
    """

    name: str
    version_info: str
    last_updated: datetime | None
    chain: tuple[Certificate, ...]
    validator: Validator
    authorities: Mapping[str, tuple[Certificate, ...]]


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """The bootstrap that Envoy was started with.

    Attributes:
        envoy_version: As its build says.
        has_files_cluster: There is a static cluster ``sds-files-grpc``: the agent serves file certificates only.
        socket_path: Pipe of the static cluster ``sds-grpc``; empty when there is none.
        file_credential: Node metadata ``file-credential`` is ``"true"``.
    """

    envoy_version: Version
    has_files_cluster: bool
    socket_path: str
    file_credential: bool


@dataclass(frozen=True, slots=True)
class SdsStreams:
    """The connection of Envoy to its SDS server: statistics of the one host of ``sds-grpc``.

    Attributes:
        cx_active: Connections open now.
        rq_active: Streams open now; two (``default`` and ``ROOTCA``) when all is well.
        cx_total: Connections ever.
        cx_connect_fail: Failed connections ever.
    """

    cx_active: int
    rq_active: int
    cx_total: int
    cx_connect_fail: int


@dataclass(frozen=True, slots=True)
class AgentMetrics:
    """Dealings of Istio's agent with istiod, by its own metrics, and of its Envoy's what they say about refusals.

    Attributes:
        csr_count: Certificate signing requests sent; 0 when the metric is absent, as it is until the first one.
        certificate_held: It holds a certificate of its own making (``istio_agent_cert_expiry_seconds`` is there).
        istiod_failures: Attempts to connect to istiod that failed; 0 when the metrics are absent, as until the first one.
        forbidden: Requests over mutual TLS that the proxy took as a server and that were answered with 403.
    """

    csr_count: int
    certificate_held: bool
    istiod_failures: int = 0
    forbidden: int = 0


@dataclass(frozen=True, slots=True)
class HttpNormalization:
    """Path normalization in force in one kind of HTTP connection manager.

    Attributes:
        normalize_path: ``normalize_path``.
        merge_slashes: ``merge_slashes``.
        escaped_slashes: ``path_with_escaped_slashes_action``; Envoy's default shows as ``IMPLEMENTATION_SPECIFIC_DEFAULT``.
    """

    normalize_path: bool
    merge_slashes: bool
    escaped_slashes: str


STATISTICS = Fields({"stats": Items(only("name", "value"))})
"""What is kept of an answer to ``/stats?format=json``."""


def _identity_alone(entry: Any) -> Any:
    """A secret that is no identity, such as a gateway's own for its clients, without its content."""
    if not isinstance(entry, Mapping) or entry.get("name") in (LEAF, ROOT) or "secret" not in entry:
        return entry
    return {key: value for key, value in entry.items() if key != "secret"}


_SOURCE = Fields(only("inline_string", "inline_bytes").known, others=KEY)
AUTHORITIES = merged(
    at("trusted_ca", _SOURCE),
    Fields({"custom_validator_config": Fields({"name": VALUE}, others=KEY)}),
    at("custom_validator_config.typed_config.trust_domains[].name", VALUE),
    at("custom_validator_config.typed_config.trust_domains[].trust_bundle", _SOURCE),
)
"""What `parse_authorities` reads."""
_CONTENT = merged(
    Fields({"@type": VALUE, "name": VALUE}, others=KEY),
    at("tls_certificate.certificate_chain", _SOURCE),
    Fields({"validation_context": AUTHORITIES}),
)
_SECRET = merged(only("@type", "name", "version_info", "last_updated"), Fields({"secret": _CONTENT}))
_ENTRY = Prepared(_identity_alone, _SECRET)
_SECRETS = Prepared(
    _identity_alone,
    merged(_SECRET, Fields({"dynamic_active_secrets": Items(_ENTRY), "dynamic_warming_secrets": Items(_ENTRY)})),
)
_BOOTSTRAP = merged(
    at("node.metadata.file-credential", VALUE),
    at("node.user_agent_build_version.version", only("major_number", "minor_number", "patch")),
    at("static_resources.clusters[].name", VALUE),
    at("static_resources.clusters[].load_assignment.endpoints[].lb_endpoints[].endpoint.address.pipe.path", VALUE),
)
_STREAMS = merged(only("name"), Fields({"host_statuses": Items(STATISTICS)}))


def listeners_with(typed_config: Mask) -> Mask:
    """What is kept of a listeners dump.

    Args:
        typed_config: What is kept of the configuration of each network filter.
    """
    chain = Fields({"filters": Items(Fields({"name": VALUE, "typed_config": typed_config}))})
    return dump_of_listeners(Fields({"filter_chains": Items(chain), "default_filter_chain": chain}))


def dump_of_listeners(listener: Mask) -> Mask:
    """What is kept of a listeners dump.

    Args:
        listener: What is kept of each listener.
    """
    config = merged(only("@type", "name"), at("active_state.listener", listener))
    return at("configs[]", merged(config, Fields({"dynamic_listeners": Items(config)})))


@keeps(at("configs[]", _SECRETS))
def parse_secrets(document: Any) -> tuple[Secret, ...]:
    """Reads a secrets dump, whole or as ``?resource=`` cuts it; an empty dump has no secrets.

    Raises:
        CouldNotTell: It is no dump, or a certificate in it is damaged.
    """
    found: list[Secret] = []
    foreign: list[str] = []
    whole = False
    for config in configs(document, "secrets dump"):
        kind = maybe(config, "@type", "", "secrets dump").rpartition("/")[2]
        if kind.endswith("SecretsConfigDump"):
            whole = True
            for key in ("dynamic_active_secrets", "dynamic_warming_secrets"):
                found.extend(_secret(entry) for entry in mappings(config, key, "secrets dump"))
        elif kind.endswith("SecretsConfigDump.DynamicSecret"):
            found.append(_secret(config))
        else:
            foreign.append(kind or "something without a type")
    if foreign and not whole:
        # An answer to another question has no secrets either, and would look like a proxy without any certificate.
        raise damaged("secrets in the dump", ", ".join(sorted(set(foreign))), "secrets dump")
    return tuple(found)


@keeps(at("configs[]", merged(only("@type"), Fields({"bootstrap": _BOOTSTRAP}))))
def parse_bootstrap(document: Any) -> Bootstrap:
    """Reads a bootstrap dump, whole or as the mask of `BOOTSTRAP` cuts it.

    Raises:
        CouldNotTell: It holds no bootstrap.
    """
    where = "bootstrap dump"
    for config in configs(document, where):
        if config.get("bootstrap"):
            bootstrap = need(config, "bootstrap", dict, where)
            break
    else:
        raise damaged("a bootstrap in the dump", "none", where)
    clusters = {need(c, "name", str, where): c for c in mappings(bootstrap, "static_resources.clusters", where)}
    if not clusters:
        raise damaged("static clusters in the bootstrap", "none", where)
    metadata = maybe(bootstrap, "node.metadata", dict[str, Any](), where)
    version = maybe(bootstrap, "node.user_agent_build_version.version", dict[str, Any](), where)
    return Bootstrap(
        envoy_version=Version(
            need(version, "major_number", int, where),
            maybe(version, "minor_number", 0, where),
            maybe(version, "patch", 0, where),
        ),
        has_files_cluster="sds-files-grpc" in clusters,
        socket_path=_pipe(clusters.get("sds-grpc", {}), where),
        file_credential=str(metadata.get("file-credential", "")).lower() == "true",
    )


@keeps(at("cluster_statuses[]", _STREAMS))
def parse_streams(document: Any) -> SdsStreams:
    """Reads the host statistics of ``sds-grpc`` from ``/clusters?format=json``; a counter that is missing is 0.

    Raises:
        CouldNotTell: There is no such cluster.
    """
    where = "/clusters"
    need(document, "cluster_statuses", list, where)
    for cluster in mappings(document, "cluster_statuses", where):
        if cluster.get("name") == "sds-grpc":
            hosts = list(mappings(cluster, "host_statuses", where))
            if len(hosts) != 1:
                raise damaged("one host in the cluster sds-grpc", f"{len(hosts)}", where)
            stats = {
                maybe(stat, "name", "", where): counter(stat.get("value", 0), f"{where}: a counter of sds-grpc")
                for stat in mappings(hosts[0], "stats", where)
            }
            return SdsStreams(**{f.name: stats.get(f.name, 0) for f in fields(SdsStreams)})
    raise damaged("a cluster sds-grpc", "none", where)


@keeps(STATISTICS)
def parse_uptime(document: Any) -> int:
    """Reads Envoy's uptime in seconds from ``/stats?format=json``; Envoy refreshes it at each flush, every 5 s in Istio.

    Raises:
        CouldNotTell: The statistic is missing.
    """
    for stat in mappings(document, "stats", "/stats"):
        if stat.get("name") == "server.uptime":
            return need(stat, "value", int, "/stats: server.uptime")
    raise damaged("the statistic server.uptime", "none", "/stats")


_METRIC = re.compile(r"^(?P<name>istio_agent_[a-z0-9_]+)(?:\{(?P<labels>[^}\n]*)\})?[ \t]+(?P<value>\S+)", re.MULTILINE)


_ISTIOD_FAILURES = {
    "istio_agent_istiod_connection_failures": "",
    "istio_agent_istiod_connection_terminations": 'type="error"',
}
"""Counters, with the label that counts, of attempts that ended before a stream, and of streams that ended with an error.
Source: Istio, pkg/istio-agent, and an agent of 1.30 behind a firewall, which counts under the second name alone."""


_OF_REFUSALS = ('reporter="destination"', 'connection_security_policy="mutual_tls"', 'response_code="403"')


def is_refusal(line: str) -> bool:
    """Tell whether a line counts requests over mutual TLS that a server answered with 403."""
    return line.startswith("istio_requests_total{") and all(label in line for label in _OF_REFUSALS)


@keeps(TEXT)
def parse_agent_metrics(text: str) -> AgentMetrics:
    """Reads the metrics of Istio's agent in Prometheus' text format.

    Raises:
        CouldNotTell: The text has no metric of the agent at all, so that a missing one proves nothing.
    """
    found = list(_METRIC.finditer(text))
    if not found:
        raise damaged("metrics that start with istio_agent_", "none", "agent metrics on port 15020")
    csr = sum(
        _sample(m["value"])
        for m in found
        if m["name"] == "istio_agent_num_outgoing_requests" and 'request_type="csr"' in (m["labels"] or "")
    )
    failures = sum(
        _sample(m["value"])
        for m in found
        if (label := _ISTIOD_FAILURES.get(m["name"])) is not None and label in (m["labels"] or "")
    )
    forbidden = sum(_sample(line.rpartition(" ")[2]) for line in lines(text) if is_refusal(line))
    return AgentMetrics(csr, any(m["name"] == "istio_agent_cert_expiry_seconds" for m in found), failures, forbidden)


def _sample(text: str) -> int:
    """The value of a counter in Prometheus' text format, which writes floating-point numbers."""
    try:
        return counter(int(float(text)), "agent metrics on port 15020")
    except (ValueError, OverflowError) as error:
        raise damaged("a number of requests", repr(beginning(text, 80)), "agent metrics on port 15020") from error


CONNECT_TERMINATE = "connect_terminate"
"""Listener in which a waypoint ends tunnels. Its requests are CONNECT, without a path; another one takes those inside."""


@keeps(listeners_with(only("@type", "normalize_path", "merge_slashes", "path_with_escaped_slashes_action")))
def parse_normalization(document: Any) -> tuple[HttpNormalization, ...]:
    """Reads every distinct setting of the HTTP connection managers of a listeners dump; none when there is no such filter.

    The listener `CONNECT_TERMINATE` does not count.

    Raises:
        CouldNotTell: It is no dump.
    """
    where = "listeners dump"
    found = {
        HttpNormalization(
            normalize_path=maybe(typed, "normalize_path", False, where),
            merge_slashes=maybe(typed, "merge_slashes", False, where),
            escaped_slashes=maybe(typed, "path_with_escaped_slashes_action", "", where) or "IMPLEMENTATION_SPECIFIC_DEFAULT",
        ): None
        for typed in network_filters(document, but_of=CONNECT_TERMINATE)
        if str(typed.get("@type", "")).endswith("HttpConnectionManager")
    }
    return tuple(found)


def network_filters(document: Any, *, but_of: str = "") -> Iterator[dict[str, Any]]:
    """The configuration of every network filter of a listeners dump, with its ``@type``.

    Args:
        document: The decoded dump.
        but_of: Name of a listener whose filters are left out.

    Raises:
        CouldNotTell: It is no dump.
    """
    where = "listeners dump"
    for config in configs(document, where):
        for listener in [config, *mappings(config, "dynamic_listeners", where)]:
            if but_of and maybe(listener, "name", "", where) == but_of:
                continue
            chains = [*mappings(listener, "active_state.listener.filter_chains", where)]
            default = maybe(listener, "active_state.listener.default_filter_chain", dict[str, Any](), where)
            for chain in [*chains, default]:
                for network_filter in mappings(chain, "filters", where):
                    yield maybe(network_filter, "typed_config", dict[str, Any](), where)


def configs(document: Any, where: str) -> Iterator[dict[str, Any]]:
    """The entries of a dump, none where it is empty.

    Raises:
        CouldNotTell: It is no dump.
    """
    if not isinstance(document, Mapping):
        raise damaged("a dump in JSON", repr(beginning(str(document), 80)), where)
    return mappings(document, "configs", where)


def _pipe(cluster: Any, where: str) -> str:
    for group in mappings(cluster, "load_assignment.endpoints", where):
        for endpoint in mappings(group, "lb_endpoints", where):
            return maybe(endpoint, "endpoint.address.pipe.path", "", where)
    return ""


def _secret(entry: Mapping[str, Any]) -> Secret:
    name = need(entry, "name", str, "secrets dump")
    where = f"secret {name}"
    secret = maybe(entry, "secret", dict[str, Any](), where)
    updated = maybe(entry, "last_updated", "", where)
    chain: tuple[Certificate, ...] = ()
    validator: Validator = Validator.NONE
    authorities: dict[str, tuple[Certificate, ...]] = {}
    # Other secrets, such as a gateway's own for its clients, are no identity: their content is not read.
    if name == LEAF and (certificate := _content(secret, "tls_certificate", where)):
        source = need(certificate, "certificate_chain", dict, where)
        chain = parse_certificates(_inline(source, where), where)
    if name == ROOT:
        validator, authorities = parse_authorities(_content(secret, "validation_context", where), where)
    return Secret(
        name=name,
        version_info=maybe(entry, "version_info", "", where),
        last_updated=when(updated, where) if updated else None,
        chain=chain,
        validator=validator,
        authorities=authorities,
    )


def _content(secret: Mapping[str, Any], wanted: str, where: str) -> Any:
    """The content of a secret, which must be of the kind that its name promises; empty until an SDS server supplies it."""
    other = sorted(set(secret) - {"@type", "name", wanted})
    if other:
        raise damaged(f"a {wanted} in it", ", ".join(other), where)
    return maybe(secret, wanted, dict[str, Any](), where)


def parse_authorities(context: Any, where: str) -> tuple[Validator, dict[str, tuple[Certificate, ...]]]:
    """Reads the authorities of a ``CertificateValidationContext``, by trust domain; none where it holds none itself.

    Raises:
        CouldNotTell: It names a validator that this suite does not know, or an authority is damaged.
    """
    custom = maybe(context, "custom_validator_config", dict[str, Any](), where)
    if custom:
        if custom.get("name") != "envoy.tls.cert_validator.spiffe":
            raise damaged("the validator envoy.tls.cert_validator.spiffe", repr(custom.get("name")), where)
        return Validator.SPIFFE, {
            need(domain, "name", str, where): _bundle(maybe(domain, "trust_bundle", dict[str, Any](), where), where)
            for domain in mappings(custom, "typed_config.trust_domains", where)
        }
    trusted = maybe(context, "trusted_ca", dict[str, Any](), where)
    if trusted:
        return Validator.TRUSTED_CA, {"": _bundle(trusted, where)}
    return Validator.NONE, {}


def _bundle(source: Any, where: str) -> tuple[Certificate, ...]:
    # An empty bundle loads in older Envoys and then refuses every peer; it is a fact, not a damaged document.
    pem = _inline(source, where) if source else ""
    return parse_certificates(pem, where) if pem.strip() else ()


def _inline(source: Any, where: str) -> str:
    if "inline_string" in source:
        return need(source, "inline_string", str, where)
    try:
        return base64.b64decode(need(source, "inline_bytes", str, where), validate=True).decode()
    except ValueError as error:
        raise damaged("PEM in base64", str(error), where) from error
