"""Configuration dumps of a proxy's TLS, built by hand and not captured.

They follow what Istio 1.31 and Envoy 1.40 were seen to write for each setting (transport socket matches, endpoint metadata,
filter chains by PeerAuthentication), Istio's own tables of filter chain matches, and Envoy's API reference. Only what Envoy
leaves after the masks of `facts.proxies.tls` is in them. Captured ones are in `tests/data/tls`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

TRUST_DOMAIN = "teleport.example.com"
_ADMIN = "type.googleapis.com/envoy.admin.v3."
_TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3."
HTTP_ALPN = ["istio-http/1.0", "istio-http/1.1", "istio-h2"]
ALL_ALPN = ["istio", "istio-peer-exchange", *HTTP_ALPN]


def secret(name: str, cluster: str = "sds-grpc") -> dict[str, Any]:
    return {
        "name": name,
        "sds_config": {
            "api_config_source": {
                "api_type": "GRPC",
                "transport_api_version": "V3",
                "grpc_services": [{"envoy_grpc": {"cluster_name": cluster}}],
                "set_node_on_first_message_only": True,
            },
            "initial_fetch_timeout": "0s",
            "resource_api_version": "V3",
        },
    }


def common(names: Iterable[dict[str, str]], *, certificate: str = "default", validation: str = "ROOTCA") -> dict[str, Any]:
    return {
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_2", "tls_maximum_protocol_version": "TLSv1_3"},
        "tls_certificate_sds_secret_configs": [secret(certificate)],
        "combined_validation_context": {
            "default_validation_context": {"match_subject_alt_names": [*names]},
            "validation_context_sds_secret_config": secret(validation),
        },
    }


def downstream(prefixes: Sequence[str] = (f"spiffe://{TRUST_DOMAIN}/",), **changes: Any) -> dict[str, Any]:
    """The transport socket of a sidecar's listener."""
    typed = {
        "@type": f"{_TLS}DownstreamTlsContext",
        "common_tls_context": {**common({"prefix": p} for p in prefixes), "alpn_protocols": ["h2", "http/1.1"]},
        "require_client_certificate": True,
        **changes,
    }
    return {"name": "envoy.transport_sockets.tls", "typed_config": typed}


def upstream(host: str, port: int, accounts: Iterable[str], **changes: Any) -> dict[str, Any]:
    """The transport socket of a sidecar's cluster."""
    typed = {
        "@type": f"{_TLS}UpstreamTlsContext",
        "common_tls_context": {**common({"exact": a} for a in accounts), "alpn_protocols": ["istio-peer-exchange", "istio"]},
        "sni": f"outbound_.{port}_._.{host}",
        **changes,
    }
    return {"name": "envoy.transport_sockets.tls", "typed_config": typed}


RAW_BUFFER = {
    "name": "envoy.transport_sockets.raw_buffer",
    "typed_config": {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"},
}


# Inbound.


def chain(
    name: str,
    *,
    port: int = 0,
    transport: str = "",
    alpn: Sequence[str] = (),
    socket: dict[str, Any] | None = None,
    **match: Any,
) -> dict[str, Any]:
    criteria: dict[str, Any] = {
        key: value
        for key, value in {
            "destination_port": port,
            "transport_protocol": transport,
            "application_protocols": [*alpn],
            **match,
        }.items()
        if value
    }
    return {
        "filter_chain_match": criteria,
        "filters": [{"name": "envoy.filters.network.tcp_proxy"}],
        "name": name,
        **({"transport_socket": socket} if socket else {}),
    }


def permissive(port: int = 0, socket: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """Of a port that serves HTTP, and of every other port."""
    tls = socket or downstream()
    if port:
        name = f"0.0.0.0_{port}"
        return [
            chain(name, port=port, transport="tls", alpn=ALL_ALPN, socket=tls),
            chain(name, port=port, transport="raw_buffer"),
        ]
    return [
        chain("virtualInbound-catchall-http", transport="tls", alpn=HTTP_ALPN, socket=tls),
        chain("virtualInbound-catchall-http", transport="raw_buffer", alpn=["http/1.1", "h2c"]),
        chain("virtualInbound", transport="tls", alpn=["istio-peer-exchange", "istio"], socket=tls),
        chain("virtualInbound", transport="raw_buffer"),
        chain("virtualInbound", transport="tls"),
    ]


def strict(port: int = 0, socket: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    tls = socket or downstream()
    if port:
        return [chain(f"0.0.0.0_{port}", port=port, transport="tls", socket=tls)]
    return [
        chain("virtualInbound-catchall-http", transport="tls", alpn=HTTP_ALPN, socket=tls),
        chain("virtualInbound", transport="tls", socket=tls),
    ]


def disabled(port: int = 0) -> list[dict[str, Any]]:
    if port:
        return [chain(f"0.0.0.0_{port}", port=port, transport="raw_buffer")]
    return [
        chain("virtualInbound-catchall-http", transport="raw_buffer", alpn=["http/1.1", "h2c"]),
        chain("virtualInbound", transport="raw_buffer"),
    ]


def listener(name: str, port: int, chains: Sequence[dict[str, Any]], **more: Any) -> dict[str, Any]:
    address = {"socket_address": {"address": "10.0.0.1", "port_value": port}}
    return {
        "@type": f"{_ADMIN}ListenersConfigDump.DynamicListener",
        "name": name,
        "active_state": {
            "listener": {
                "@type": "type.googleapis.com/envoy.config.listener.v3.Listener",
                "name": name,
                "address": address,
                "filter_chains": [*chains],
                **more,
            }
        },
    }


def virtual_inbound(*chains: list[dict[str, Any]]) -> dict[str, Any]:
    """A dump of the listener of everything that comes in."""
    blackhole = chain("virtualInbound-blackhole", port=15006)
    return dump(listener("virtualInbound", 15006, [blackhole, *(each for some in chains for each in some)]))


# Outbound.


def cluster(host: str, port: int, *, subset: str = "", kind: str = "EDS", **sockets: Any) -> dict[str, Any]:
    inner: dict[str, Any] = {
        "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
        "name": f"outbound|{port}|{subset}|{host}",
    }
    # Envoy leaves a field out that has its default, which is STATIC.
    inner |= {"type": kind} if kind != "STATIC" else {}
    return {"@type": f"{_ADMIN}ClustersConfigDump.DynamicCluster", "cluster": inner | sockets}


def auto_mutual(host: str, port: int, accounts: Iterable[str], **changes: Any) -> dict[str, Any]:
    """A cluster with Istio's automatic mutual TLS."""
    matches = [
        {
            "name": "tlsMode-istio",
            "match": {"tlsMode": "istio"},
            "transport_socket": upstream(host, port, accounts, **changes),
        },
        {"name": "tlsMode-disabled", "match": {}, "transport_socket": RAW_BUFFER},
    ]
    return cluster(host, port, transport_socket_matches=matches)


def istio_mutual(host: str, port: int, accounts: Iterable[str], **changes: Any) -> dict[str, Any]:
    """A cluster of a DestinationRule with ISTIO_MUTUAL."""
    return cluster(host, port, transport_socket=upstream(host, port, accounts, **changes))


def passthrough() -> dict[str, Any]:
    made = cluster("x", 1, kind="ORIGINAL_DST")
    made["cluster"]["name"] = "PassthroughCluster"
    return made


def endpoints(host: str, port: int, *each: dict[str, Any], subset: str = "") -> dict[str, Any]:
    return {
        "@type": f"{_ADMIN}EndpointsConfigDump.DynamicEndpointConfig",
        "endpoint_config": {
            "@type": "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
            "cluster_name": f"outbound|{port}|{subset}|{host}",
            "endpoints": [{"locality": {}, "lb_endpoints": [*each], "load_balancing_weight": len(each)}],
        },
    }


def endpoint(
    address: str, port: int, *, tls: bool = True, workload: str = "cart;shop;cart;latest;Kubernetes"
) -> dict[str, Any]:
    metadata: dict[str, Any] = {"istio": {"workload": workload}}
    if tls:
        metadata["envoy.transport_socket_match"] = {"tlsMode": "istio"}
    return {
        "endpoint": {"address": {"socket_address": {"address": address, "port_value": port}}, "health_check_config": {}},
        "health_status": "HEALTHY",
        "metadata": {"filter_metadata": metadata},
        "load_balancing_weight": 1,
    }


def dump(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"configs": [*entries]} if entries else {}


def count(clusters: int) -> dict[str, Any]:
    return {"stats": [{"name": "cluster_manager.active_clusters", "value": clusters}]}


def pattern(question: str) -> re.Pattern[str]:
    """The pattern of names in a question; Envoy compares it with a whole name."""
    (found,) = parse_qs(urlsplit(question.replace("+", "%2B")).query)["name_regex"]
    return re.compile(found)
