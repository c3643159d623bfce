"""ID-10: the proxies' certificates beside Teleport's audit log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from facts.evidence import readings
from facts.finding import Finding, Problem
from facts.proxies.identity import ProxyIdentity
from judge.findings import Claim, problem
from judge.identity.proxies import FROM_TELEPORT, ObservedProxies, without_certificate
from judge.install.istio import NO_SIDECAR
from providers.teleport.facts.audit import AuditTrail, IssuedSvid
from providers.teleport.facts.resources import BACKDATED

WITHOUT_ATTRIBUTES = (
    "Teleport's Auth Service writes the attributes of workloads into its audit events from about 17.5 on (teleport#53016):"
    " upgrade it, then let the certificates be renewed"
)
"""Next step where an audit event does not tell the workload that a certificate was issued for."""

EXPORTED_EARLIER = (
    "export Teleport's audit events again, now, or name a source to which Teleport goes on writing (--audit-events), and run"
    " again"
)
"""Next step where certificates are newer than all events."""


def certificates_are_audited(sidecars: ObservedProxies, trail: AuditTrail) -> Finding:
    """ID-10: Teleport's audit log has the issuance of each serial in use, with the attributes of the pod that uses it.

    Args:
        trail: Audit events that issued their serials.
    """
    expected = "an audit event for each certificate in use, with the attributes of the pod that uses it"
    claim = Claim("ID-10", expected, f"{len(sidecars.pods)} sidecars, events in {trail.source}", readings(sidecars, trail))
    if sidecars.is_empty:
        return claim.not_applicable(NO_SIDECAR)
    by_serial: dict[str, list[IssuedSvid]] = {}
    for event in trail.issued:
        by_serial.setdefault(event.serial, []).append(event)
    # Without any event for a certificate of Teleport, the log itself is missing.
    nothing = "" if trail.issued else "audit-events-not-collected"
    proxies = sidecars.fleet.proxies
    silent = [p for p in proxies if p.leaf and any(not e.has_attributes for e in by_serial.get(p.leaf.serial, ()))]
    newer = {p.pod.uid: p for p in proxies if _is_newer(p, trail, by_serial)}
    return sidecars.judged(
        claim,
        [each for p in proxies if p.pod.uid not in newer for each in _trail_problems(p, by_serial, nothing)],
        lambda p: f"serial {p.leaf.serial if p.leaf else 'none'}",
        unclear=[
            *(problem(proxy, "the event of its certificate has no attributes") for proxy in silent),
            *(
                problem(p, f"it was issued its certificate after the newest event, of {trail.ends:%Y-%m-%dT%H:%M:%SZ}")
                for p in newer.values()
            ),
        ],
        settle=WITHOUT_ATTRIBUTES if silent else EXPORTED_EARLIER,
    )


def _is_newer(proxy: ProxyIdentity, trail: AuditTrail, by_serial: Mapping[str, Sequence[IssuedSvid]]) -> bool:
    """Teleport issued the proxy's certificate after the newest event, so that the events cannot tell of it."""
    if proxy.leaf is None or proxy.leaf.serial in by_serial or trail.ends is None or proxy.sds_mode not in FROM_TELEPORT:
        return False
    return proxy.leaf.not_before + BACKDATED > trail.ends


def _trail_problems(proxy: ProxyIdentity, by_serial: Mapping[str, Sequence[IssuedSvid]], nothing: str) -> list[Problem]:
    if proxy.leaf is None:
        return [without_certificate(proxy)]
    events = by_serial.get(proxy.leaf.serial, ())
    if not events:
        cause = nothing if proxy.sds_mode in FROM_TELEPORT else ""
        return [problem(proxy, f"the audit log has no event for its certificate with the serial {proxy.leaf.serial}", cause)]
    # Teleport issues a serial once; if there are several events, each must be right.
    return [
        problem(proxy, f"the event of serial {event.serial} {wrong}")
        for event in events
        for wrong in _differences(proxy, event)
    ]


def _differences(proxy: ProxyIdentity, event: IssuedSvid) -> list[str]:
    pod = proxy.pod
    attributes = (
        ("namespace", event.namespace, pod.namespace),
        ("service account", event.service_account, pod.service_account),
        ("pod", event.pod_name, pod.name),
        ("pod uid", event.pod_uid, pod.uid),
    )
    about = [] if (event.spiffe_id,) == proxy.spiffe_ids else [f"is about {event.spiffe_id}"]
    if not event.has_attributes:
        return about
    return [
        *([] if event.attested else ["says that Kubernetes did not attest the workload"]),
        *about,
        *(f"names the {what} {audited or '(none)'}, not {own}" for what, audited, own in attributes if audited != own),
    ]
