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
from facts.teleport.resources import BACKDATED
from judge.causes import CAUSES
from judge.identity.issuance import (
    certificates_are_audited,
    identities_are_told_apart,
    kinds_are_certified_alike,
)
from judge.identity.proxies import Lifetime
from judge.identity.sweep import Expectation
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import holds, inapplicable, unknown, violated
from tests.unit.judge.certificates import NOW, TRUST_DOMAIN, svid

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
    violated(finding, "ID-09", causes=())
    assert finding.seen == (
        f"Pod run/beta: it carries {fixed}, its own SPIFFE ID is spiffe://{TRUST_DOMAIN}/ns/run/sa/beta;"
        f" Pod run/alpha: it carries {fixed}, as Pod run/beta does, which has another service account"
    )
    assert finding.held == ()


def test_one_service_account_under_two_names() -> None:
    finding = told_apart(workload("alpha"), workload("far", uri=f"spiffe://{TRUST_DOMAIN}/ns/run/sa/alpha-2"))
    violated(finding, "ID-09", causes=())
    ids = f"spiffe://{TRUST_DOMAIN}/ns/run/sa"
    assert finding.seen == f"Pod run/far: it carries {ids}/alpha-2, its own SPIFFE ID is {ids}/alpha"
    assert [str(each.subject) for each in finding.held] == ["Pod run/alpha"]


def test_a_key_or_a_certificate_that_two_pods_hold() -> None:
    """A takeover by a pod of the same service account shows nowhere in the names."""
    shared = workload("alpha", key="shared"), workload("far", key="shared", minutes=50)
    finding = told_apart(*shared)
    violated(finding, "ID-09", causes=())
    assert finding.seen == "Pod run/alpha: it holds the same key as Pod run/far"
    one = workload("alpha")
    assert one.leaf is not None
    same = told_apart(one, replace(workload("far"), chain=one.chain))
    violated(same, "ID-09", causes=())
    assert same.seen == (
        "Pod run/alpha: it holds the same key as Pod run/far;"
        f" it holds the same certificate as Pod run/far, serial {one.leaf.serial}"
    )


def test_a_workload_without_a_certificate_or_an_answer() -> None:
    without = told_apart(workload("alpha"), replace(workload("beta", "beta"), chain=()))
    violated(without, "ID-09", "Pod run/beta: it holds no certificate", causes=())
    finding = identities_are_told_apart(make.sidecars(workload("alpha"), make.unread()), TRUST_DOMAIN)
    unknown(finding, "ID-09")
    assert finding.seen == "Pod test-app/app: the suite could not read it: forbidden"


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
    finding = alike(make.proxy(), raced)
    violated(finding, "ID-09", causes=("pod-started-before-tbot",))
    assert finding.seen == (
        "Pod test-app/classic: it fails ID-01: its certificate comes from the node's socket, which its Istio"
        " agent found too late (mode race): the agent found a socket at its start;"
        " it fails ID-07: its Istio agent sent 1 certificate requests to istiod"
    )
    assert [str(each.subject) for each in finding.held] == ["Pod test-app/app"]


def test_a_classic_sidecar_of_istiods_names_no_cause() -> None:
    finding = alike(make.proxy(), make.istiod_proxy(CLASSIC))
    violated(finding, "ID-09", "fails ID-01: ", "fails ID-03: ", "fails ID-06: ", "fails ID-07: ", causes=())


def test_a_pod_that_did_not_get_the_kind_it_asked_for() -> None:
    native = replace(make.pod(), name="classic", uid="uid-classic")
    finding = alike(make.proxy(native), pods=(native,))
    violated(finding, "ID-09", causes=())
    assert finding.seen == "it asked for a classic sidecar and has a native one"
    assert finding.where == "Pod test-app/classic"


# ID-10


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
