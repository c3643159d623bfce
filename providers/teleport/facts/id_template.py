"""The SPIFFE ID that a workload identity's template yields. Source: Teleport, workload identity templating."""

from __future__ import annotations

import re
from collections.abc import Mapping

from providers.teleport.facts.resources import WorkloadIdentity

_EXPRESSION = re.compile(r"\{\{([^{}]{0,500})\}\}")


def spiffe_id_by(identity: WorkloadIdentity, trust_domain: str, attributes: Mapping[str, str]) -> str:
    """The SPIFFE ID that Teleport issues by a workload identity now; empty where the suite cannot tell.

    Args:
        trust_domain: Teleport's cluster name.
        attributes: Known attributes of the caller, such as ``workload.kubernetes.namespace``; a template with any other
            expression cannot be told.
    """
    asked = {expression.strip() for expression in _EXPRESSION.findall(identity.spiffe_id)}
    path = _EXPRESSION.sub(lambda found: attributes.get(found[1].strip(), ""), identity.spiffe_id)
    if asked - attributes.keys() or "{{" in path or "}}" in path:
        return ""
    scope = f"{identity.scope.rstrip('/')}/_" if identity.scope else ""
    return f"spiffe://{trust_domain}{scope}{path}"
