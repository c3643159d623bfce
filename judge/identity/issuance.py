"""ID-09: issued identities beside each other; each workload has its own."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from itertools import combinations

from facts.evidence import readings
from facts.finding import Finding
from judge.findings import Claim, listed, problem
from judge.identity.proxies import ObservedProxies, name_problems, request_problems
from judge.identity.sweep import Expectation, failures_of


def identities_are_told_apart(sidecars: ObservedProxies, trust_domain: str) -> Finding:
    """ID-09: each service account has its own SPIFFE ID, and no two workloads share a key or a serial.

    Args:
        sidecars: Two sidecars or more.
        trust_domain: Teleport's cluster name.
    """
    proxies = sidecars.fleet.proxies
    problems = [each for proxy in proxies for each in name_problems(proxy, trust_domain)]
    for one, other in combinations(proxies, 2):
        if one.leaf is None or other.leaf is None:
            continue  # `name_problems` reports it
        accounts = [(p.pod.namespace, p.pod.service_account) for p in (one, other)]
        if accounts[0] != accounts[1] and set(one.spiffe_ids) & set(other.spiffe_ids):
            said = f"it carries {listed(one.spiffe_ids)}, as {other.pod} does, which has another service account"
            problems.append(problem(one, said))
        if one.leaf.key_sha256 == other.leaf.key_sha256:
            problems.append(problem(one, f"it holds the same key as {other.pod}"))
        if one.leaf.serial == other.leaf.serial:
            problems.append(problem(one, f"it holds the same certificate as {other.pod}, serial {one.leaf.serial}"))
    claim = Claim(
        "ID-09",
        expected="a SPIFFE ID for each service account, and a key and a serial for each workload",
        where=f"{len(sidecars.pods)} test pods on {listed(p.node for p in sidecars.pods)}",
        evidence=sidecars.evidence,
    )
    return sidecars.judged(
        claim, problems, lambda p: f"{listed(p.spiffe_ids)} on {p.pod.node}, serial {p.leaf.serial if p.leaf else ''}"
    )


def kinds_are_certified_alike(sidecars: ObservedProxies, classic: Collection[str], expectation: Expectation) -> Finding:
    """ID-09, third part: pods with native and with classic sidecars meet ID-01 to ID-07.

    Args:
        classic: Uids of the pods that asked for a classic sidecar; the others left the kind to the mesh.
        expectation: Expected authorities and lifetime.
    """
    problems = [
        problem(pod, "it asked for a classic sidecar and has a native one")
        for pod in sidecars.pods
        if pod.uid in classic and pod.native_sidecar
    ]
    for proxy in sidecars.fleet.proxies:
        failed = failures_of(proxy, expectation)
        if requests := request_problems(proxy):
            failed["ID-07"] = requests
        problems += [
            replace(each, said=f"it fails {requirement}: {each.said}") for requirement, why in failed.items() for each in why
        ]
    native = {pod.uid for pod in sidecars.pods if pod.native_sidecar}
    expected = "native and classic sidecars to meet ID-01 to ID-07"
    claim = Claim("ID-09", expected, listed(pod.ref for pod in sidecars.pods), readings(sidecars, expectation))
    return sidecars.judged(claim, problems, lambda p: "a native sidecar" if p.pod.uid in native else "a classic sidecar")
