"""Judgments about who was issued what: ID-10, Teleport's audit log."""

from __future__ import annotations

from facts.audit import AuditTrail, IssuedSvid
from facts.finding import Finding
from facts.proxy import ProxyIdentity
from judge.findings import listed, not_applicable
from judge.fleet import each_of, of_proxies
from judge.identity import Sidecars
from judge.istio import NO_WORKLOAD


def certificates_are_audited(sidecars: Sidecars, trail: AuditTrail) -> Finding:
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
        so=each_of(sidecars.fleet.proxies, lambda p: f"serial {p.leaf.serial if p.leaf else 'none'}"),
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
