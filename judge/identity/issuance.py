"""Judgments about who was issued what: ID-09, workloads compared with each other, and ID-10, Teleport's audit log."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import combinations

from facts.finding import Finding, Problem
from facts.proxies.identity import ProxyIdentity
from facts.teleport.audit import AuditTrail, IssuedSvid
from judge.findings import Claim, listed, problem
from judge.fleet import each_of, of_proxies
from judge.identity.proxies import FROM_TELEPORT, ObservedProxies, name_problems, request_problems, without_certificate
from judge.identity.sweep import Expectation, failures_of
from judge.install.istio import NO_WORKLOAD


def identities_are_told_apart(sidecars: ObservedProxies, trust_domain: str) -> Finding:
    """ID-09: each its own name, the same for one service account and never for two; no key and no serial twice.

    Args:
        sidecars: At least two.
        trust_domain: Teleport's cluster name.
    """
    proxies = sidecars.fleet.proxies
    problems = [each for proxy in proxies for each in name_problems(proxy, trust_domain)]
    for one, other in combinations(proxies, 2):
        if one.leaf is None or other.leaf is None:
            continue  # which is a problem already
        accounts = [(p.pod.namespace, p.pod.service_account) for p in (one, other)]
        if accounts[0] != accounts[1] and set(one.spiffe_ids) & set(other.spiffe_ids):
            said = f"has another service account than {other.pod} and carries {listed(one.spiffe_ids)} as well"
            problems.append(problem(one, said))
        if one.leaf.key_sha256 == other.leaf.key_sha256:
            problems.append(problem(one, f"holds the same key as {other.pod}"))
        if one.leaf.serial == other.leaf.serial:
            problems.append(problem(one, f"holds the same certificate as {other.pod}, serial {one.leaf.serial}"))
    return of_proxies(
        Claim(
            "ID-09",
            expected="a name for each service account, and a key and a serial for each workload",
            where=f"{len(sidecars.pods)} test pods on {listed(p.node for p in sidecars.pods)}",
            evidence=sidecars.evidence,
        ),
        sidecars.pods,
        sidecars.fleet,
        problems,
        held=each_of(proxies, lambda p: f"{listed(p.spiffe_ids)} on {p.pod.node}, serial {p.leaf.serial if p.leaf else ''}"),
    )


def kinds_are_certified_alike(sidecars: ObservedProxies, classic: Collection[str], expectation: Expectation) -> Finding:
    """ID-09, third part: whatever kind of sidecar a pod has, it meets ID-01 to ID-06 and its agent never asked istiod.

    Args:
        sidecars: The workloads.
        classic: Uids of the pods that asked for a classic sidecar; the others left the kind to the mesh.
        expectation: What each is held against.
    """
    problems = [
        problem(pod, "asked for a classic sidecar and has a native one")
        for pod in sidecars.pods
        if pod.uid in classic and pod.native_sidecar
    ]
    for proxy in sidecars.fleet.proxies:
        failed = failures_of(proxy, expectation)
        if requests := request_problems(proxy):
            failed["ID-07"] = requests
        problems += [
            replace(each, said=f"fails {requirement}: {each.said}") for requirement, why in failed.items() for each in why
        ]
    native = {pod.uid for pod in sidecars.pods if pod.native_sidecar}
    return of_proxies(
        Claim(
            "ID-09",
            expected="sidecars of either kind that meet ID-01 to ID-07",
            where=listed(pod.ref for pod in sidecars.pods),
            evidence=(*sidecars.evidence, *expectation.evidence),
        ),
        sidecars.pods,
        sidecars.fleet,
        problems,
        held=each_of(sidecars.fleet.proxies, lambda p: "a native sidecar" if p.pod.uid in native else "a classic sidecar"),
    )


def certificates_are_audited(sidecars: ObservedProxies, trail: AuditTrail) -> Finding:
    """ID-10: each serial in use is in Teleport's audit log as issued, with the attributes of the pod that uses it.

    Args:
        sidecars: The sidecars.
        trail: The audited issuances of their serials.
    """
    claim = Claim(
        "ID-10",
        expected="an audit event for each certificate in use, with the attributes of the pod that uses it",
        where=f"{len(sidecars.pods)} sidecars, events in {trail.source}",
        evidence=(*sidecars.evidence, *trail.evidence),
    )
    if not sidecars.pods:
        return claim.not_applicable(NO_WORKLOAD)
    by_serial: dict[str, list[IssuedSvid]] = {}
    for event in trail.issued:
        by_serial.setdefault(event.serial, []).append(event)
    # With no event at all for any certificate of Teleport's, it is the log that is missing.
    nothing = "" if trail.issued else "audit-events-not-collected"
    found = [(proxy, _trail_problems(proxy, by_serial, nothing)) for proxy in sidecars.fleet.proxies]
    return of_proxies(
        claim,
        sidecars.pods,
        sidecars.fleet,
        [each for _, wrong in found for each in wrong],
        held=each_of([p for p, wrong in found if not wrong], lambda p: f"serial {p.leaf.serial if p.leaf else 'none'}"),
    )


def _trail_problems(proxy: ProxyIdentity, by_serial: Mapping[str, Sequence[IssuedSvid]], nothing: str) -> list[Problem]:
    if proxy.leaf is None:
        return [without_certificate(proxy)]
    events = by_serial.get(proxy.leaf.serial, ())
    if not events:
        cause = nothing if proxy.sds_mode in FROM_TELEPORT else ""
        return [problem(proxy, f"no event for its certificate with the serial {proxy.leaf.serial}", cause)]
    # A serial is issued once; of several events each must be right.
    return [
        problem(proxy, f"the event of serial {event.serial} {wrong}")
        for event in events
        for wrong in _differences(proxy, event)
    ]


def _differences(proxy: ProxyIdentity, event: IssuedSvid) -> list[str]:
    pod = proxy.pod
    wrong = [] if event.attested else ["says that Kubernetes did not attest the workload"]
    if (event.spiffe_id,) != proxy.spiffe_ids:
        wrong.append(f"is about {event.spiffe_id}")
    for what, audited, own in (
        ("namespace", event.namespace, pod.namespace),
        ("service account", event.service_account, pod.service_account),
        ("pod", event.pod_name, pod.name),
        ("pod uid", event.pod_uid, pod.uid),
    ):
        if audited != own:
            wrong.append(f"names the {what} {audited or '(none)'}, not {own}")
    return wrong
