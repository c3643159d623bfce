"""Judgments about who was issued what: ID-09, workloads compared with each other, and ID-10, Teleport's audit log."""

from __future__ import annotations

from collections.abc import Collection
from itertools import combinations

from facts.finding import Finding
from facts.proxies.identity import ProxyIdentity
from facts.teleport.audit import AuditTrail, IssuedSvid
from judge.findings import listed, not_applicable
from judge.fleet import each_of, of_proxies
from judge.identity.proxies import ObservedProxies, name_problems, request_problems
from judge.identity.sweep import Expectation, failures_of
from judge.install.istio import NO_WORKLOAD


def identities_are_told_apart(sidecars: ObservedProxies, trust_domain: str) -> Finding:
    """ID-09: each its own name, the same for one service account and never for two; no key and no serial twice.

    Args:
        sidecars: At least two.
        trust_domain: Teleport's cluster name.
    """
    proxies = sidecars.fleet.proxies
    problems = [problem for proxy in proxies for problem in name_problems(proxy, trust_domain)]
    for one, other in combinations(proxies, 2):
        if one.leaf is None or other.leaf is None:
            continue  # which is a problem already
        accounts = [(p.pod.namespace, p.pod.service_account) for p in (one, other)]
        if accounts[0] != accounts[1] and set(one.spiffe_ids) & set(other.spiffe_ids):
            problems.append(f"{one.pod} and {other.pod} are of two service accounts and carry {listed(one.spiffe_ids)}")
        if one.leaf.key_sha256 == other.leaf.key_sha256:
            problems.append(f"{one.pod} and {other.pod} hold the same key")
        if one.leaf.serial == other.leaf.serial:
            problems.append(f"{one.pod} and {other.pod} hold the same certificate, serial {one.leaf.serial}")
    return of_proxies(
        "ID-09",
        sidecars.pods,
        sidecars.fleet,
        expected="a name for each service account, and a key and a serial for each workload",
        problems=problems,
        confirmed=each_of(
            proxies, lambda p: f"{listed(p.spiffe_ids)} on {p.pod.node}, serial {p.leaf.serial if p.leaf else ''}"
        ),
        where=f"{len(sidecars.pods)} workloads of the run on {listed(p.node for p in sidecars.pods)}",
        evidence=sidecars.evidence,
    )


def kinds_are_certified_alike(sidecars: ObservedProxies, classic: Collection[str], expectation: Expectation) -> Finding:
    """ID-09, third part: whatever kind of sidecar a pod has, it meets ID-01 to ID-06 and its agent never asked istiod.

    Args:
        sidecars: The workloads.
        classic: Uids of the pods that asked for a classic sidecar; the others left the kind to the mesh.
        expectation: What each is held against.
    """
    problems = [
        f"{pod.ref} asked for a classic sidecar and has a native one"
        for pod in sidecars.pods
        if pod.uid in classic and pod.native_sidecar
    ]
    for proxy in sidecars.fleet.proxies:
        failed = failures_of(proxy, expectation)
        if requests := request_problems(proxy):
            failed["ID-07"] = requests
        problems += [f"{proxy.pod} fails {requirement}: {'; '.join(why)}" for requirement, why in failed.items()]
    native = {pod.uid for pod in sidecars.pods if pod.native_sidecar}
    return of_proxies(
        "ID-09",
        sidecars.pods,
        sidecars.fleet,
        expected="sidecars of either kind that meet ID-01 to ID-07",
        problems=problems,
        confirmed=each_of(
            sidecars.fleet.proxies, lambda p: "a native sidecar" if p.pod.uid in native else "a classic sidecar"
        ),
        where=listed(pod.ref for pod in sidecars.pods),
        evidence=(*sidecars.evidence, *expectation.evidence),
    )


def certificates_are_audited(sidecars: ObservedProxies, trail: AuditTrail) -> Finding:
    """ID-10: each serial in use is in Teleport's audit log as issued, with the attributes of the pod that uses it.

    Args:
        sidecars: The sidecars.
        trail: The audited issuances of their serials.
    """
    where = f"{len(sidecars.pods)} sidecars, events in {trail.source}"
    if not sidecars.pods:
        return not_applicable("ID-10", NO_WORKLOAD, where=where, evidence=sidecars.evidence)
    by_serial: dict[str, list[IssuedSvid]] = {}
    for event in trail.issued:
        by_serial.setdefault(event.serial, []).append(event)
    return of_proxies(
        "ID-10",
        sidecars.pods,
        sidecars.fleet,
        expected="an audit event for each certificate in use, with the attributes of the pod that uses it",
        problems=[problem for p in sidecars.fleet.proxies for problem in _trail_problems(p, by_serial)],
        confirmed=each_of(sidecars.fleet.proxies, lambda p: f"serial {p.leaf.serial if p.leaf else 'none'}"),
        where=where,
        evidence=(*sidecars.evidence, *trail.evidence),
    )


def _trail_problems(proxy: ProxyIdentity, by_serial: dict[str, list[IssuedSvid]]) -> list[str]:
    if proxy.leaf is None:
        return [f"{proxy.pod} holds no certificate: {listed(proxy.decided_by)}"]
    events = by_serial.get(proxy.leaf.serial, [])
    if not events:
        return [f"{proxy.pod}: no event for its certificate with the serial {proxy.leaf.serial}"]
    # A serial is issued once; of several events each must be right.
    return [f"{proxy.pod}: the event of serial {event.serial} {w}" for event in events for w in _differences(proxy, event)]


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
