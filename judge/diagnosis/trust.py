"""Rules about certificates that keep two proxies from each other: of two authorities, or past their end."""

from __future__ import annotations

from collections.abc import Iterable

from facts.finding import Problem
from facts.proxies.identity import ProxyIdentity
from facts.proxies.sds_mode import SdsMode
from judge.findings import listed, problem
from judge.identity.proxies import FROM_TELEPORT


def of_two_authorities(proxies: Iterable[ProxyIdentity]) -> list[Problem]:
    """Proxies that istiod certifies, in a mesh in which the provider certifies others: they refuse each other.

    Args:
        proxies: Proxies of the mesh, without those that ambient mode certifies by design.
    """
    every = list(proxies)
    provided = sum(proxy.sds_mode in FROM_TELEPORT for proxy in every)
    return [
        problem(
            proxy,
            f"istiod certifies it, and the provider certifies {provided} proxies of the mesh: each refuses the other",
            "mixed-authorities",
        )
        for proxy in every
        if provided and proxy.sds_mode is SdsMode.ISTIO_CA
    ]


def takers(proxies: Iterable[ProxyIdentity]) -> list[Problem]:
    """Proxies whose Istio agent serves the node's socket to other pods, which carry its SPIFFE ID and share its key.

    Args:
        proxies: Proxies of the mesh.
    """
    every = list(proxies)
    served: dict[tuple[str, str], list[ProxyIdentity]] = {}
    for proxy in every:
        if proxy.sds_mode is SdsMode.TAKEOVER:
            for name in proxy.spiffe_ids:
                served.setdefault((proxy.pod.node, name), []).append(proxy)
    found = []
    for proxy in every:
        others = [
            each
            for name in proxy.spiffe_ids
            for each in served.get((proxy.pod.node, name), [])
            if proxy.leaf and each.leaf and proxy.leaf.key_sha256 == each.leaf.key_sha256
        ]
        if others and proxy.sds_mode is SdsMode.ISTIO_CA:
            said = f"its Istio agent serves the socket of its node to {listed(str(each.ref) for each in others)}"
            found.append(problem(proxy, f"{said}: they carry its SPIFFE ID {listed(proxy.spiffe_ids)}", "socket-taken-over"))
    return found


def past_their_end(proxies: Iterable[ProxyIdentity]) -> list[Problem]:
    """Proxies whose certificate has ended: every peer refuses a new connection of theirs.

    Args:
        proxies: Proxies of the mesh.
    """
    return [
        problem(proxy, f"its certificate ended at {proxy.leaf.not_after:%F %T} UTC", "certificate-expired")
        for proxy in proxies
        if proxy.leaf is not None and proxy.leaf.not_after <= proxy.read_at
    ]


def refused_by_policy(proxies: Iterable[ProxyIdentity]) -> list[Problem]:
    """Proxies that have answered requests over mutual TLS with 403: the handshakes completed, so identity is not the reason.

    Args:
        proxies: Proxies of the mesh.
    """
    return [
        problem(
            proxy,
            f"it has answered {proxy.forbidden} requests over mutual TLS with 403 since it started: it knew who called, and"
            " a policy or the application refused",
            "refused-by-policy",
        )
        for proxy in proxies
        if proxy.forbidden
    ]
