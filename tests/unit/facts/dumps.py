"""Answers of a proxy in each mode, shaped as a real one's (`tests/data/healthy`), with certificates made for the test."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from facts.proxies import envoy
from facts.proxies.identity import PodRef, ProxyIdentity, identify
from tests.data import document, text
from tests.unit.facts.authorities import Authority, inline

TRUST_DOMAIN = "example.org"
POD = PodRef("shop", "cart-1", "uid-1", "cart", "node-1")
ID = "spiffe://example.org/ns/shop/sa/cart"
READ_AT = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
PUSHED = "2026-06-01T11:59:00.205302389Z"
COUNTED = "2026-06-01T11:59:00Z/1"

TELEPORT = Authority("teleport.example.org")
ISTIOD = Authority("cluster.local")
_TYPE = "type.googleapis.com/envoy.admin.v3.SecretsConfigDump.DynamicSecret"


def leaf_secret(pem: str, version: str = PUSHED) -> dict[str, Any]:
    chain = {"certificate_chain": inline(pem), "private_key": {"inline_bytes": "W3JlZGFjdGVkXQ=="}}
    return _entry("default", version, {"tls_certificate": chain})


def spiffe_root(*authorities: Authority, trust_domain: str = TRUST_DOMAIN) -> dict[str, Any]:
    bundle = inline("".join(a.pem for a in authorities)) if authorities else {}
    config = {"trust_domains": [{"name": trust_domain, "trust_bundle": bundle}]}
    context = {"custom_validator_config": {"name": "envoy.tls.cert_validator.spiffe", "typed_config": config}}
    return _entry("ROOTCA", PUSHED, {"validation_context": context})


def plain_root(*authorities: Authority) -> dict[str, Any]:
    return _entry("ROOTCA", COUNTED, {"validation_context": {"trusted_ca": inline("".join(a.pem for a in authorities))}})


def _entry(name: str, version: str, secret: dict[str, Any]) -> dict[str, Any]:
    return {
        "@type": _TYPE,
        "name": name,
        "version_info": version,
        "last_updated": "2026-06-01T11:59:00.300Z",
        "secret": {"name": name, **secret},
    }


def warming(name: str = "default") -> dict[str, Any]:
    return {"configs": [{"@type": _TYPE, "name": name, "version_info": "uninitialized", "secret": {"name": name}}]}


def dump(*secrets: dict[str, Any]) -> dict[str, Any]:
    return {"configs": list(secrets)} if secrets else {}


def bootstrap(*, found_socket: bool) -> Any:
    answer = copy.deepcopy(document("healthy/bootstrap.json"))
    if not found_socket:
        inner = answer["configs"][0]["bootstrap"]
        inner["node"]["metadata"].pop("file-credential")
        static = inner["static_resources"]
        static["clusters"] = [c for c in static["clusters"] if c["name"] != "sds-files-grpc"]
    return answer


def metrics(*, csr: int = 0) -> str:
    healthy = text("healthy/agent_metrics.txt")
    if not csr:
        return healthy
    return (
        f'{healthy}istio_agent_num_outgoing_requests{{request_type="csr"}} {csr}\n'
        'istio_agent_cert_expiry_seconds{resource_name="default"} 86399.5\n'
    )


QUESTIONS = {
    "active_secrets": envoy.ACTIVE_SECRETS,
    "warming_secrets": envoy.WARMING_SECRETS,
    "bootstrap": envoy.BOOTSTRAP,
    "sds_hosts": envoy.SDS_HOSTS,
    "server": envoy.SERVER,
    "agent_metrics": envoy.AGENT_METRICS,
}
"""What a captured answer answers, by the name of its file."""


def answers(active: Any, *, found_socket: bool = True, csr: int = 0, warm: Any = None) -> dict[str, Any]:
    return {
        envoy.ACTIVE_SECRETS: active,
        envoy.WARMING_SECRETS: warm if warm is not None else {},
        envoy.BOOTSTRAP: bootstrap(found_socket=found_socket),
        envoy.SDS_HOSTS: document("healthy/sds_hosts.json"),
        envoy.SERVER: document("healthy/server.json"),
        envoy.AGENT_METRICS: metrics(csr=csr),
    }


def seen(given: Mapping[str, Any], pod: PodRef = POD) -> ProxyIdentity:
    return identify(pod, given, READ_AT, ("ev-1",))


def external(pem: str = "", *roots: Authority) -> ProxyIdentity:
    """The healthy mode."""
    return seen(answers(dump(leaf_secret(pem or TELEPORT.issue(ID)), spiffe_root(*(roots or (TELEPORT,))))))


def race() -> ProxyIdentity:
    return seen(answers(dump(leaf_secret(TELEPORT.issue(ID)), spiffe_root(TELEPORT)), found_socket=False, csr=1))


def istio_ca() -> ProxyIdentity:
    chain = ISTIOD.issue(ID) + ISTIOD.pem
    return seen(answers(dump(leaf_secret(chain, COUNTED), plain_root(ISTIOD)), found_socket=False, csr=1))


def files() -> ProxyIdentity:
    chain = ISTIOD.issue(ID) + ISTIOD.pem
    return seen(answers(dump(leaf_secret(chain, COUNTED), plain_root(ISTIOD)), found_socket=False))


def silent(*, found_socket: bool = True) -> ProxyIdentity:
    return seen(answers(dump(), warm=warming(), found_socket=found_socket))


def takeover(identity: str = "spiffe://example.org/ns/shop/sa/first") -> ProxyIdentity:
    chain = ISTIOD.issue(identity) + ISTIOD.pem
    return seen(answers(dump(leaf_secret(chain, "2026-06-01T11:59:00Z/12"), plain_root(ISTIOD))))
