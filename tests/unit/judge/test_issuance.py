"""Teleport's audit log: ID-10."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from facts.audit import AuditTrail, IssuedSvid
from judge.issuance import certificates_are_audited
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import holds, inapplicable, unknown, violated
from tests.unit.judge.certificates import NOW

PROXY = make.proxy()
assert PROXY.leaf is not None
EVENT = IssuedSvid(
    serial=PROXY.leaf.serial,
    spiffe_id=PROXY.spiffe_ids[0],
    time=NOW,
    workload_identity="istio-workloads",
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


def test_a_certificate_that_nobody_audited() -> None:
    finding = certificates_are_audited(make.sidecars(PROXY), trail(replace(EVENT, serial="1")))
    violated(finding, "ID-10", f"no event for its certificate with the serial {EVENT.serial}", evidence=("ev-audit",))
    violated(certificates_are_audited(make.sidecars(PROXY), trail()), "ID-10", "no event")


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
    violated(certificates_are_audited(make.sidecars(PROXY), trail(replace(EVENT, **changes))), "ID-10", words)


def test_without_certificates_or_sidecars() -> None:
    violated(certificates_are_audited(make.sidecars(make.proxy(chain=())), trail(EVENT)), "ID-10", "holds no certificate")
    inapplicable(certificates_are_audited(make.sidecars(), trail()), "ID-10", "ev-pods")
    unknown(certificates_are_audited(make.sidecars(make.unread()), trail()), "ID-10", "could not be read")
