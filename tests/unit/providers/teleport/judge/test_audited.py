"""What Teleport audited beside what proxies hold: ID-10."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from facts.proxies.sds_mode import SdsMode
from judge.explain.cause import CAUSES
from providers.teleport.facts.audit import AuditTrail, IssuedSvid
from providers.teleport.facts.resources import BACKDATED
from providers.teleport.judge.audited import certificates_are_audited
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import holds, inapplicable, unknown, violated
from tests.unit.judge.certificates import NOW, svid

PROXY = make.proxy()
assert PROXY.leaf is not None
EVENT = IssuedSvid(
    serial=PROXY.leaf.serial,
    spiffe_id=PROXY.spiffe_ids[0],
    has_attributes=True,
    attested=True,
    namespace="test-app",
    service_account="test-app",
    pod_name="app",
    pod_uid="uid-app",
)


def trail(*events: IssuedSvid) -> AuditTrail:
    return AuditTrail("events.log", events, ("ev-audit",))


def test_an_event_for_each_certificate() -> None:
    finding = certificates_are_audited(make.sidecars(PROXY), trail(EVENT, replace(EVENT, serial="1", pod_name="other")))
    holds(finding, "ID-10", "ev-audit", "ev-proxy-app", "ev-pods")
    assert finding.seen == f"Pod test-app/app: serial {EVENT.serial}"


def test_a_certificate_without_an_audit_event() -> None:
    finding = certificates_are_audited(make.sidecars(PROXY), trail(replace(EVENT, serial="1")))
    violated(finding, "ID-10", evidence=("ev-audit",), causes=())
    words = f"Pod test-app/app: the audit log has no event for its certificate with the serial {EVENT.serial}"
    assert finding.seen == words
    without = certificates_are_audited(make.sidecars(PROXY), trail())
    violated(without, "ID-10", evidence=("ev-audit",), causes=("audit-events-not-collected",))
    assert without.seen == words
    assert "Turn the audit log on" in CAUSES["audit-events-not-collected"].remedy[0]


def ending(seconds: float, *events: IssuedSvid) -> AuditTrail:
    """Events the newest of which is that many seconds younger than the proxy's certificate."""
    assert PROXY.leaf is not None
    return replace(trail(*events), ends=PROXY.leaf.not_before + BACKDATED + timedelta(seconds=seconds))


def test_events_that_end_before_a_certificate_was_issued_tell_nothing_of_it() -> None:
    """They may have been exported earlier; the other certificates are judged all the same."""
    other = replace(EVENT, serial="1")
    finding = certificates_are_audited(make.sidecars(PROXY), ending(-1, other))
    unknown(finding, "ID-10", "Pod test-app/app: it was issued its certificate after the newest event")
    assert finding.settle.startswith("export Teleport's audit events again")
    newer = make.proxy(make.pod("newer"), chain=(svid(key="newer", starts=NOW - timedelta(minutes=1)),))
    both = certificates_are_audited(make.sidecars(PROXY, newer), ending(0, replace(EVENT, attested=False)))
    violated(both, "ID-10", "Kubernetes did not attest", causes=())
    assert [str(each.subject) for each in both.unclear] == ["Pod test-app/newer"]


def test_events_that_go_on_after_a_certificate_was_issued_must_tell_of_it() -> None:
    for seconds in (0, 1):
        finding = certificates_are_audited(make.sidecars(PROXY), ending(seconds, replace(EVENT, serial="1")))
        violated(finding, "ID-10", "the audit log has no event for its certificate", causes=())
    holds(certificates_are_audited(make.sidecars(PROXY), ending(-1, EVENT)), "ID-10")


@pytest.mark.parametrize("mode", SdsMode)
def test_only_a_certificate_of_teleport_can_be_newer_than_its_events(mode: SdsMode) -> None:
    finding = certificates_are_audited(make.sidecars(replace(PROXY, sds_mode=mode)), ending(-1, replace(EVENT, serial="1")))
    judged = unknown if mode in (SdsMode.EXTERNAL, SdsMode.RACE) else violated
    judged(finding, "ID-10")


@pytest.mark.parametrize("mode", SdsMode)
def test_a_certificate_that_is_not_teleports_lacks_no_audit_log(mode: SdsMode) -> None:
    finding = certificates_are_audited(make.sidecars(replace(PROXY, sds_mode=mode)), trail())
    causes = ("audit-events-not-collected",) if mode in (SdsMode.EXTERNAL, SdsMode.RACE) else ()
    violated(finding, "ID-10", "no event for its certificate", causes=causes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"attested": False}, "Kubernetes did not attest"),
        ({"spiffe_id": "spiffe://a/b"}, "is about spiffe://a/b"),
        ({"namespace": "other"}, "names the namespace other, not test-app"),
        ({"service_account": ""}, "names the service account (none), not test-app"),
        ({"pod_name": "first"}, "names the pod first, not app"),
        ({"pod_uid": "uid-first"}, "names the pod uid uid-first, not uid-app"),
    ],
)
def test_an_event_about_another_workload(changes: dict[str, Any], words: str) -> None:
    """A certificate that was issued to another pod and is used here was carried over."""
    finding = certificates_are_audited(make.sidecars(PROXY), trail(replace(EVENT, **changes)))
    violated(finding, "ID-10", causes=())
    assert finding.seen.startswith(f"Pod test-app/app: the event of serial {EVENT.serial} ")
    assert words in finding.seen


OF_AN_OLDER_RELEASE = replace(
    EVENT, has_attributes=False, attested=False, namespace="", service_account="", pod_name="", pod_uid=""
)


def test_an_event_without_attributes_tells_the_id_alone() -> None:
    """Releases before about 17.5 leave the attributes out; that says nothing about the attestation."""
    finding = certificates_are_audited(make.sidecars(PROXY), trail(OF_AN_OLDER_RELEASE))
    unknown(finding, "ID-10", "Pod test-app/app: the event of its certificate has no attributes")
    assert "17.5" in finding.settle
    other = replace(OF_AN_OLDER_RELEASE, spiffe_id="spiffe://a/b")
    finding = certificates_are_audited(make.sidecars(PROXY), trail(other))
    violated(finding, "ID-10", "is about spiffe://a/b", causes=())
    assert "attest" not in finding.seen


def test_without_certificates_or_sidecars() -> None:
    finding = certificates_are_audited(make.sidecars(make.proxy(chain=())), trail(EVENT))
    violated(finding, "ID-10", "Pod test-app/app: it holds no certificate", causes=())
    inapplicable(certificates_are_audited(make.sidecars(), trail()), "ID-10", "ev-pods")
    unknown(certificates_are_audited(make.sidecars(make.unread()), trail()), "ID-10", "the suite could not read it")
    unknown(certificates_are_audited(make.sidecars(make.left_out()), trail()), "ID-10", "every proxy went away")
