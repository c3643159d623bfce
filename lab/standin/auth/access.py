"""What a bot's roles let it do with workload identities."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping
from typing import Any

Document = Mapping[str, Any]


def may(roles: Iterable[Document], verb: str) -> bool:
    """Whether the roles' rules grant ``verb`` on ``workload_identity`` and none denies it."""
    roles = list(roles)
    return any(_grants(_side(role, "allow"), verb) for role in roles) and not any(
        _grants(_side(role, "deny"), verb) for role in roles
    )


def matches_labels(roles: Iterable[Document], labels: Mapping[str, str]) -> bool:
    """Whether the roles' ``workload_identity_labels`` select a resource with ``labels`` and none denies it.

    A role without labels selects nothing.
    """
    roles = list(roles)
    return any(_selects(_side(role, "allow"), labels) for role in roles) and not any(
        _selects(_side(role, "deny"), labels) for role in roles
    )


def selects(wanted: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether every wanted label is there with one of its values (``*`` patterns and ``^…$`` expressions allowed)."""
    if not wanted:
        return False
    for key, values in wanted.items():
        patterns = values if isinstance(values, list) else [values]
        if key == "*" and "*" in patterns:
            continue
        if key not in labels or not any(_matches(str(pattern), str(labels[key])) for pattern in patterns):
            return False
    return True


def _side(role: Document, side: str) -> Mapping[str, Any]:
    return (role.get("spec") or {}).get(side) or {}


def _grants(conditions: Mapping[str, Any], verb: str) -> bool:
    return any(
        {"workload_identity", "*"} & set(rule.get("resources") or []) and {verb, "*"} & set(rule.get("verbs") or [])
        for rule in conditions.get("rules") or []
    )


def _selects(conditions: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    return selects(conditions.get("workload_identity_labels") or {}, labels)


def _matches(pattern: str, value: str) -> bool:
    if pattern.startswith("^") and pattern.endswith("$"):
        return re.fullmatch(pattern[1:-1], value) is not None
    return fnmatch.fnmatchcase(value, pattern)
