"""Who was issued what: ID-09 and ID-10."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from facts.finding import Finding
from facts.kubernetes.objects import Pod
from facts.proxies.identity import ProxyIdentity
from facts.proxies.sds_mode import SdsMode
from facts.teleport.audit import AuditTrail, IssuedSvid
from judge.identity.issuance import (
    certificates_are_audited,
    identities_are_told_apart,
    kinds_are_certified_alike,
)
from judge.identity.proxies import Lifetime
from judge.identity.sweep import Expectation
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import holds, inapplicable, unknown, violated
from tests.unit.judge.certificates import TRUST_DOMAIN, svid

# ID-09


def workload(name: str, account: str = "alpha", *, node: str = "node-1", **leaf: Any) -> ProxyIdentity:
    pod = make.pod(name, namespace="run", service_account=account, node=node)
    return make.proxy(pod, chain=(svid("run", account, **({"key": name} | leaf)),))


def told_apart(*proxies: ProxyIdentity) -> Finding:
    return identities_are_told_apart(make.sidecars(*proxies), TRUST_DOMAIN)


def test_two_service_accounts_and_one_on_two_nodes() -> None:
    holds(told_apart(workload("alpha"), workload("beta", "beta")), "ID-09", "ev-proxy-alpha", "ev-proxy-beta")
    holds(told_apart(workload("alpha"), workload("alpha-far", node="node-2")), "ID-09")


def test_two_service_accounts_under_one_name() -> None:
    fixed = f"spiffe://{TRUST_DOMAIN}/ns/run/sa/alpha"
    finding = told_apart(workload("alpha"), workload("beta", "beta", uri=fixed))
    violated(finding, "ID-09", "of two service accounts and carry", "run/beta carries", "its own is")


def test_one_service_account_under_two_names() -> None:
    finding = told_apart(workload("alpha"), workload("far", uri=f"spiffe://{TRUST_DOMAIN}/ns/run/sa/alpha-2"))
    violated(finding, "ID-09", "run/far carries")


def test_a_key_or_a_certificate_that_two_pods_hold() -> None:
    """A takeover by a pod of the same service account shows nowhere in the names."""
    shared = workload("alpha", key="shared"), workload("far", key="shared", minutes=50)
    finding = told_apart(*shared)
    violated(finding, "ID-09", "hold the same key")
    assert "the same certificate" not in finding.seen
    one = workload("alpha")
    violated(told_apart(one, replace(workload("far"), chain=one.chain)), "ID-09", "hold the same certificate, serial")


def test_a_workload_without_a_certificate_or_an_answer() -> None:
    violated(told_apart(workload("alpha"), replace(workload("beta", "beta"), chain=())), "ID-09", "holds no certificate")
    finding = identities_are_told_apart(make.sidecars(workload("alpha"), make.unread()), TRUST_DOMAIN)
    unknown(finding, "ID-09", "could not be read")


EXPECTED = Expectation(make.bundle(), make.istiod(), Lifetime(timedelta(minutes=61), "an hour", ("ev-agent",)))
CLASSIC = make.pod("classic", proxy=make.istio_proxy(is_init=False, restart_policy=""))


def alike(*proxies: ProxyIdentity, pods: tuple[Pod, ...] = (CLASSIC,)) -> Finding:
    return kinds_are_certified_alike(make.sidecars(*proxies, pods=pods), {"uid-classic"}, EXPECTED)


def test_both_kinds_of_sidecars() -> None:
    finding = alike(make.proxy(), make.proxy(CLASSIC))
    holds(finding, "ID-09", "ev-proxy-classic", "ev-pod-classic", "ev-bundle")
    assert finding.seen == "Pod test-app/app: a native sidecar; Pod test-app/classic: a classic sidecar"


def test_a_classic_sidecar_that_started_before_tbot() -> None:
    raced = make.proxy(CLASSIC, sds_mode=SdsMode.RACE, csr_count=1)
    violated(alike(make.proxy(), raced), "ID-09", "classic fails ID-01: ", "classic fails ID-07: ")


def test_a_pod_that_did_not_get_the_kind_it_asked_for() -> None:
    native = replace(make.pod(), name="classic", uid="uid-classic")
    violated(alike(make.proxy(native), pods=(native,)), "ID-09", "asked for a classic sidecar and has a native one")


# ID-10


PROXY = make.proxy()
assert PROXY.leaf is not None
EVENT = IssuedSvid(
    serial=PROXY.leaf.serial,
    spiffe_id=PROXY.spiffe_ids[0],
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
