"""Authorization policies as an Envoy enforces them, each with its namespace, name and action.

Source: Istio writes each rule of an AuthorizationPolicy into an RBAC filter under the name
``ns[NAMESPACE]-policy[NAME]-rule[N]``; those of the action CUSTOM, which asks an external authorizer, under the same name
behind a prefix, as shadow rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from facts.document import mappings, maybe
from facts.masks import LEAF, WHOLE, Fields, Items, keeps
from facts.proxies.envoy import ALL_LISTENERS, INBOUND_LISTENERS, listeners_with, network_filters

_MASK = "&mask=name,active_state"
OF_SIDECAR = INBOUND_LISTENERS + _MASK
OF_GATEWAY = ALL_LISTENERS + _MASK
"""The question that yields the policies of a proxy."""

_NAME = re.compile(r"(?P<custom>istio-ext-authz-.*)?ns\[(?P<namespace>[^]]{0,63})\]-policy\[(?P<name>[^]]{0,253})\]")
WHERE = "listeners dump"


@dataclass(frozen=True, slots=True)
class Policy:
    """An AuthorizationPolicy in force in one proxy.

    Attributes:
        enforced_by: The proxy's pod, as ``namespace/name``.
        namespace: Of the policy.
        name: Of the policy.
        action: ``ALLOW``, ``DENY`` or ``CUSTOM``.
    """

    enforced_by: str
    namespace: str
    name: str
    action: str

    def __str__(self) -> str:
        return f"AuthorizationPolicy {self.namespace}/{self.name} ({self.action})"


_RULES = Fields({"action": LEAF, "policies": Fields(others=Fields({"principals": WHOLE}))})
_RBAC = Fields({"@type": LEAF, "rules": _RULES, "shadow_rules": _RULES})
_OF_REQUESTS = Fields({"http_filters": Items(Fields({"typed_config": _RBAC}))})


@keeps(listeners_with(_RBAC.merged(_OF_REQUESTS)))
def parse_policies(document: Any, enforced_by: str) -> tuple[Policy, ...]:
    """Reads the policies of all RBAC filters of a listeners dump, over HTTP and over TCP.

    Args:
        document: The decoded answer to `OF_SIDECAR` or `OF_GATEWAY`.
        enforced_by: The proxy's pod, as ``namespace/name``.

    Raises:
        CouldNotTell: It is no dump.
    """
    found: dict[Policy, None] = {}
    for rbac in _filters(document):
        found |= dict.fromkeys(_of_filter(rbac, enforced_by))
    return tuple(found)


def principals_in(document: Any) -> frozenset[str]:
    """The texts with which the policies of a listeners dump match callers, whole or in part; not those in dry-run mode.

    Args:
        document: The decoded answer to `OF_SIDECAR` or `OF_GATEWAY`.

    Raises:
        CouldNotTell: It is no dump.
    """
    return frozenset(
        text
        for rbac in _filters(document)
        for policy in maybe(rbac, "rules.policies", dict[str, Any](), WHERE).values()
        for principal in mappings(policy, "principals", WHERE)
        for text in _texts(principal)
    )


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(each)


def _filters(document: Any) -> Iterator[Mapping[str, Any]]:
    """The RBAC filters of a listeners dump."""
    for typed in network_filters(document):
        of_requests = (maybe(f, "typed_config", dict[str, Any](), WHERE) for f in mappings(typed, "http_filters", WHERE))
        yield from (f for f in (typed, *of_requests) if str(f.get("@type", "")).endswith(".RBAC"))


def _of_filter(rbac: Mapping[str, Any], enforced_by: str) -> Iterator[Policy]:
    for key in ("rules", "shadow_rules"):
        for full in maybe(rbac, [key, "policies"], dict[str, Any](), WHERE):
            named = _NAME.match(full)
            # A policy in dry-run mode refuses no request.
            if named is None or (key == "shadow_rules") is not bool(named["custom"]):
                continue
            action = "CUSTOM" if named["custom"] else maybe(rbac, [key, "action"], "ALLOW", WHERE)
            yield Policy(enforced_by, named["namespace"], named["name"], action)
