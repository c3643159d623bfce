"""Identities beside each other: ID-09."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from facts.finding import Finding
from facts.kubernetes.objects import Pod
from facts.proxies.identity import ProxyIdentity
from facts.proxies.sds_mode import SdsMode
from judge.identity.issuance import (
    identities_are_told_apart,
    kinds_are_certified_alike,
)
from judge.identity.proxies import Lifetime
from judge.identity.sweep import Expectation
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import holds, unknown, violated
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
