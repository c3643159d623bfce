"""A rule about SPIFFE IDs as a wrong template makes them, which only the workload identity can show to be wrong still."""

from __future__ import annotations

from collections.abc import Iterable

from facts.finding import Problem
from facts.proxies.identity import ProxyIdentity
from judge.findings import listed, problem
from judge.identity.proxies import template_of


def misnamed(proxies: Iterable[ProxyIdentity]) -> list[Problem]:
    """Proxies with a SPIFFE ID that is their own but for what a wrong template does to it.

    Args:
        proxies: Proxies of the mesh.
    """
    return [
        problem(proxy, f"it carries {listed(proxy.spiffe_ids)}, as a wrong template makes it", cause)
        for proxy in proxies
        if (cause := template_of(proxy.spiffe_ids, proxy.pod))
    ]
