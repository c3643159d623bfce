"""Policies in an Envoy's listeners: whose they are, and what they do."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from facts.document import decoded
from facts.errors import CouldNotTell
from facts.evidence import ObjectRef, evidence_of
from facts.proxies.policies import Policy, parse_policies, principals_in

HTTP = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC"
TCP = "type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC"
MANAGER = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
BETA = "run/beta"


def rules(*names: str, action: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {"policies": {name: {"permissions": [], "principals": []} for name in names}}
    return found | ({"action": action} if action else {})


def listeners(*filters: dict[str, Any]) -> dict[str, Any]:
    chain = {"filters": [{"name": "f", "typed_config": typed} for typed in filters]}
    return {"configs": [{"name": "virtualInbound", "active_state": {"listener": {"filter_chains": [chain]}}}]}


def manager(*filters: dict[str, Any]) -> dict[str, Any]:
    return {"@type": MANAGER, "http_filters": [{"name": "f", "typed_config": typed} for typed in filters]}


def test_policies_over_http_and_tcp_each_once() -> None:
    lets_in = rules("ns[run]-policy[callers-of-beta]-rule[0]", "ns[run]-policy[callers-of-beta]-rule[1]")
    denies = rules("ns[istio-system]-policy[nothing]-rule[0]", action="DENY")
    document = listeners({"@type": TCP, "rules": denies}, manager({"@type": HTTP, "rules": lets_in}, {"@type": "router"}))
    assert parse_policies(document, BETA) == (
        Policy(BETA, "istio-system", "nothing", "DENY"),
        Policy(BETA, "run", "callers-of-beta", "ALLOW"),
    )
    assert str(parse_policies(document, BETA)[0]) == "AuthorizationPolicy istio-system/nothing (DENY)"


def test_a_policy_that_asks_an_authorizer_counts_and_one_in_dry_run_does_not() -> None:
    custom = rules("istio-ext-authz-opa-ns[shop]-policy[ask]-rule[0]", action="DENY")
    tried = rules("ns[shop]-policy[perhaps]-rule[0]", action="DENY")
    document = listeners(manager({"@type": HTTP, "shadow_rules": custom}, {"@type": HTTP, "shadow_rules": tried}))
    assert parse_policies(document, BETA) == (Policy(BETA, "shop", "ask", "CUSTOM"),)


def test_a_proxy_without_policies_and_what_is_none_of_istios() -> None:
    assert parse_policies(listeners(manager()), BETA) == ()
    assert parse_policies({"configs": []}, BETA) == ()
    by_hand = {"@type": HTTP, "rules": rules("by-an-envoy-filter", action="DENY")}
    assert parse_policies(listeners(manager(by_hand)), BETA) == ()
    with pytest.raises(CouldNotTell):
        parse_policies("denied", BETA)


def test_a_name_of_another_form_hides_no_policy_behind_it() -> None:
    mixed = rules("by-an-envoy-filter", "ns[run]-policy[a]-rule[0]", "istio-ext-authz-x-ns[run]-policy[b]-rule[0]")
    document = listeners(manager({"@type": HTTP, "rules": mixed}))
    assert parse_policies(document, BETA) == (Policy(BETA, "run", "a", "ALLOW"),)


def test_the_principals_of_policies_in_force_are_kept() -> None:
    def of(name: str) -> dict[str, Any]:
        matched = {"authenticated": {"principal_name": {"exact": f"spiffe://teleport.test/ns/run/sa/{name}"}}}
        return {"policies": {f"ns[run]-policy[{name}]-rule[0]": {"principals": [{"and_ids": {"ids": [matched]}}]}}}

    http = manager({"@type": HTTP, "rules": of("alpha"), "shadow_rules": of("tried")})
    document = listeners({"@type": TCP, "rules": of("beta")}, http)
    raw, read_at = json.dumps(document), datetime.now(UTC)
    kept = evidence_of("listeners", ObjectRef("Pod", "beta", "run"), raw, read_at=read_at, parser=parse_policies)
    wanted = {f"spiffe://teleport.test/ns/run/sa/{name}" for name in ("alpha", "beta")}
    assert principals_in(document) == principals_in(decoded(kept.body)) == wanted
    assert principals_in(listeners(manager())) == frozenset()
