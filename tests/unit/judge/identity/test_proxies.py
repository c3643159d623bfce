"""The identity of each sidecar: ID-01 to ID-07, each with what it must see and what its neighbours see instead."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from facts.errors import CouldNotTell
from facts.finding import Finding, Holds, Remark
from facts.kubernetes.objects import Pod
from facts.proxies.envoy import Validator
from facts.proxies.identity import PodRef, ProxyIdentity
from facts.proxies.sds_mode import SdsMode
from facts.svid import Certificate
from judge.explain.cause import CAUSES
from judge.identity.proxies import (
    Lifetime,
    ObservedProxies,
    authorities_are_teleports,
    effective_lifetime,
    leaves_are_svids,
    names_are_the_pods_own,
    names_are_well_formed,
    no_request_went_to_istiod,
    secrets_come_from_the_socket,
    teleport_issued,
)
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import holds, inapplicable, unknown, violated
from tests.unit.judge.certificates import NOW, SIGNS, TRUST_DOMAIN, authority, intermediate, svid

LIFETIME = Lifetime(timedelta(minutes=61), "tbot asks for 3600 s", ("ev-agent",))

Judgment = Callable[[ObservedProxies], Finding]
ALL: dict[str, Judgment] = {
    "ID-01": secrets_come_from_the_socket,
    "ID-02": lambda sidecars: names_are_the_pods_own(sidecars, make.bundle()),
    "ID-03": lambda sidecars: teleport_issued(sidecars, make.bundle(), make.istiod()),
    "ID-04": lambda sidecars: leaves_are_svids(sidecars, LIFETIME),
    "ID-05": names_are_well_formed,
    "ID-06": lambda sidecars: authorities_are_teleports(sidecars, make.bundle()),
    "ID-07": no_request_went_to_istiod,
}


def judged(*found: ProxyIdentity, pods: tuple[Pod, ...] = ()) -> dict[str, Finding]:
    """The findings that say no of those proxies; none of them may be undecided."""
    findings = {name: judge(make.sidecars(*found, pods=pods)) for name, judge in ALL.items()}
    assert Holds.UNKNOWN not in {f.holds for f in findings.values()}
    return {name: finding for name, finding in findings.items() if finding.holds is Holds.NO}


def failing(*found: ProxyIdentity, pods: tuple[Pod, ...] = ()) -> set[str]:
    """The requirements that do not hold for those proxies."""
    return set(judged(*found, pods=pods))


def causes_of(*found: ProxyIdentity, pods: tuple[Pod, ...] = ()) -> dict[str, tuple[str, ...]]:
    """The causes by the requirement whose finding names them."""
    return {name: finding.causes for name, finding in judged(*found, pods=pods).items() if finding.causes}


@pytest.mark.parametrize("item", ALL)
def test_healthy_sidecars(item: str) -> None:
    a, b = make.proxy(make.pod("a")), make.proxy(make.pod("b", service_account="other", node="node-2"))
    holds(ALL[item](make.sidecars(a, b)), item, "ev-pods", "ev-pod-a", "ev-proxy-a", "ev-proxy-b")


@pytest.mark.parametrize("item", ALL)
def test_a_mesh_without_sidecars(item: str) -> None:
    inapplicable(ALL[item](make.sidecars()), item, "ev-pods")


@pytest.mark.parametrize("item", ALL)
def test_what_cannot_be_read_is_not_dropped(item: str) -> None:
    a, b = make.pod("a"), make.pod("b")
    finding = ALL[item](make.sidecars(make.proxy(a), make.unread(b)))
    unknown(finding, item, evidence=("ev-proxy-a", "ev-pod-b"))
    assert finding.seen == "Pod test-app/b: the suite could not read it: forbidden"
    assert finding.settle == "grant the right"
    assert [str(each.subject) for each in finding.held] == ["Pod test-app/a"]


@pytest.mark.parametrize("item", ALL)
def test_a_pod_that_is_not_in_the_fleet_is_not_passed_over(item: str) -> None:
    left_out = ObservedProxies([make.pod("a"), make.pod("b")], make.fleet(make.proxy(make.pod("a"))), ("ev-pods",))
    finding = ALL[item](left_out)
    unknown(finding, item)
    assert finding.seen == "Pod test-app/b: the suite did not ask it"
    assert finding.settle == "run again; the suite must ask every pod that it judges"


@pytest.mark.parametrize("item", ALL)
def test_a_crashing_proxy_has_no_identity_and_a_starting_one_is_still_open(item: str) -> None:
    down = make.istio_proxy(ready=False, started=False, state="waiting", reason="CrashLoopBackOff", restarts=2)
    crashing = make.pod("b", proxy=down, ready=False)
    finding = ALL[item](make.sidecars(make.unread(crashing), pods=[crashing]))
    violated(finding, item, causes=())
    assert finding.seen == "Pod test-app/b: it holds no identity: its istio-proxy is not up (CrashLoopBackOff)"
    waiting = make.istio_proxy(ready=False, started=False, state="waiting", reason="PodInitializing")
    starting = make.pod("b", proxy=waiting, ready=False, created_at="2026-03-01T11:59:30Z")
    open_one = ALL[item](make.sidecars(make.unread(starting), pods=[starting]))
    unknown(open_one, item)
    assert open_one.seen == "Pod test-app/b: the suite could not read it: forbidden"
    stuck = replace(starting, created_at="2026-03-01T11:50:00Z")
    finding = ALL[item](make.sidecars(make.unread(stuck), pods=[stuck]))
    violated(finding, item, causes=())
    assert finding.seen == "Pod test-app/b: it holds no identity: its istio-proxy is not up (PodInitializing)"


# Whole situations: exactly these requirements fail.


def test_a_pod_without_the_template_is_istiods_whatever_it_is_called() -> None:
    """2/2, the right name, mTLS with its like. Its certificate lives a day, too."""
    day = svid(issuer="istiod", minutes=24 * 60)
    assert failing(make.istiod_proxy()) == {"ID-01", "ID-03", "ID-06", "ID-07"}
    assert failing(make.istiod_proxy(chain=(day, authority("istiod", uri="")))) == {
        "ID-01", "ID-03", "ID-04", "ID-06", "ID-07",
    }  # fmt: skip


def test_a_certificate_of_istiods_has_many_causes_and_names_none() -> None:
    """Its pod's volume and annotation tell which; its times are not of Teleport's clock or tbot's configuration."""
    day, early = svid(issuer="istiod", minutes=24 * 60), svid(issuer="istiod", starts=NOW + timedelta(hours=1))
    assert causes_of(make.istiod_proxy()) == {}
    for leaf in (day, early):
        assert causes_of(make.istiod_proxy(chain=(leaf, authority("istiod", uri="")))) == {}


def test_a_pod_that_started_before_tbot_has_the_right_identity_and_an_istiod_certificate_beside_it() -> None:
    raced = make.proxy(sds_mode=SdsMode.RACE, csr_count=1, agent_certificate_held=True, has_files_cluster=False)
    assert failing(raced) == {"ID-01", "ID-07"}
    cause = "pod-started-before-tbot"
    assert causes_of(raced) == {"ID-01": (cause,), "ID-07": (cause,)}
    (step, prevention) = CAUSES[cause].remedy
    assert "Restart the pod" in step
    assert "a socket name other than `socket`" in prevention


def _taken() -> tuple[Pod, Pod, ProxyIdentity, ProxyIdentity]:
    first, second = make.pod("first", service_account="gamma"), make.pod("second", service_account="delta")
    shared = svid("test-app", "gamma", issuer="istiod")
    served = make.istiod_proxy(first, chain=(shared, authority("istiod", uri="")))
    taken = make.istiod_proxy(
        second,
        sds_mode=SdsMode.TAKEOVER,
        decided_by=("the URI SAN is not the pod's own",),
        chain=(shared, authority("istiod", uri="")),
        version_info="2026-03-01T11:50:00Z/12",
        csr_count=0,
        agent_certificate_held=False,
        has_files_cluster=True,
    )
    return first, second, served, taken


@pytest.mark.parametrize(
    ("proxy", "failures", "causes"),
    [
        ({"ready": False, "started": False}, 3, ("istiod-unreachable",)),
        ({"ready": False, "started": False}, 0, ()),
        ({"ready": True}, 3, ()),
    ],
)
def test_a_proxy_that_asks_for_nothing_because_it_has_no_configuration(
    proxy: dict[str, bool], failures: int, causes: tuple[str, ...]
) -> None:
    pod = make.pod(proxy=make.istio_proxy(**proxy))
    unasked = make.proxy(pod, sds_mode=SdsMode.UNASKED, istiod_failures=failures)
    finding = secrets_come_from_the_socket(make.sidecars(unasked, pods=[pod]))
    violated(finding, "ID-01", "its Envoy asks no SDS server", causes=causes)
    assert ("failed 3 times to connect to istiod" in finding.seen) is bool(causes)


def test_a_pod_that_wears_anothers_identity_and_key_is_named_with_the_one_that_gave_it() -> None:
    first, second, served, taken = _taken()
    assert failing(taken, pods=(second,)) == {"ID-01", "ID-02", "ID-03", "ID-06"}
    finding = secrets_come_from_the_socket(make.sidecars(served, taken, pods=[first, second]))
    violated(finding, "ID-01", causes=("socket-taken-over",))
    assert finding.seen == (
        "Pod test-app/first: its Istio agent supplies its certificate, which istiod issued (mode istio-ca):"
        " the agent found no socket at its start;"
        " Pod test-app/second: another pod's Istio agent, which listens on the node's socket, supplies its"
        " secrets (mode takeover): the URI SAN is not the pod's own;"
        " the key is that of Pod test-app/first, whose Istio agent serves the node's socket"
    )
    assert [(p.subject.name, p.cause) for p in finding.problems] == [("first", ""), ("second", "socket-taken-over")]
    assert causes_of(taken, pods=(second,)) == {"ID-01": ("socket-taken-over",)}
    assert "Take the directory back" in CAUSES["socket-taken-over"].remedy[0]
    name = names_are_the_pods_own(make.sidecars(served, taken, pods=[first, second]), make.bundle())
    violated(name, "ID-02", causes=())
    ids = f"spiffe://{TRUST_DOMAIN}/ns/test-app/sa"
    assert name.seen == f"Pod test-app/second: it carries {ids}/gamma, its own SPIFFE ID is {ids}/delta"
    assert [str(each.subject) for each in name.held] == ["Pod test-app/first"]


def test_another_nodes_pod_with_that_key_is_not_blamed() -> None:
    _first, _second, served, taken = _taken()
    elsewhere = replace(served, pod=replace(served.pod, node="node-2"))
    assert "the key is that of" not in secrets_come_from_the_socket(make.sidecars(elsewhere, taken)).seen


def test_a_pod_without_a_certificate() -> None:
    silent = make.proxy(
        sds_mode=SdsMode.SILENT, chain=(), validator=Validator.NONE, root_authorities={}, streams=make.streams(rq_active=0)
    )
    assert failing(silent) == {"ID-01", "ID-02", "ID-03", "ID-04", "ID-05", "ID-06"}


# ID-01


@pytest.mark.parametrize("mode", [m for m in SdsMode if m is not SdsMode.EXTERNAL])
def test_every_mode_but_the_external_socket(mode: SdsMode) -> None:
    finding = secrets_come_from_the_socket(make.sidecars(make.proxy(sds_mode=mode, decided_by=("why", "and why"))))
    causes = {SdsMode.RACE: ("pod-started-before-tbot",), SdsMode.TAKEOVER: ("socket-taken-over",)}.get(mode, ())
    violated(finding, "ID-01", causes=causes)
    assert finding.seen == f"Pod test-app/app: {mode.told}: why; and why"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"streams": make.streams(cx_active=0, rq_active=0, cx_connect_fail=66)},
            "it has 0 of 2 live streams on its socket: 0 connected, 66 failed attempts to connect",
        ),
        (
            {"streams": make.streams(rq_active=1)},
            "it has 1 of 2 live streams on its socket: 1 connected, 0 failed attempts to connect",
        ),
        ({"csr_count": 3}, "its Istio agent sent 3 certificate requests to istiod"),
        ({"agent_certificate_held": True}, "its Istio agent holds a certificate of its own"),
    ],
)
def test_the_right_mode_and_yet_not_supplied(changes: dict[str, Any], words: str) -> None:
    finding = secrets_come_from_the_socket(make.sidecars(make.proxy(**changes)))
    violated(finding, "ID-01", causes=())
    assert finding.seen == f"Pod test-app/app: {words}"


# ID-02 and ID-05


@pytest.mark.parametrize(
    ("uris", "fails"),
    [
        ((f"spiffe://{TRUST_DOMAIN}/ns/test-app/test-app",), {"ID-02"}),
        ((f"spiffe://{TRUST_DOMAIN}/ns/test-app/sa/test-app/",), {"ID-02", "ID-05"}),
        ((f"spiffe://{TRUST_DOMAIN}/ns//sa/test-app",), {"ID-02", "ID-05"}),
        ((f"spiffe://{TRUST_DOMAIN}/ns/test-app/sa/Test-App",), {"ID-02"}),
        (("spiffe://cluster.local/ns/test-app/sa/test-app",), {"ID-02"}),
        ((f"spiffe://{TRUST_DOMAIN.upper()}/ns/test-app/sa/test-app",), {"ID-02", "ID-05"}),
        ((f"spiffe://{TRUST_DOMAIN}",), {"ID-02", "ID-05"}),
        ((f"spiffe://{TRUST_DOMAIN}/{'x' * 2048}",), {"ID-02", "ID-05"}),
        ((f"spiffe://{TRUST_DOMAIN}/ns/test-app/sa/test-app", "spiffe://other/a"), {"ID-02", "ID-04"}),
        ((), {"ID-02", "ID-04", "ID-05"}),
    ],
    ids=["no /sa/", "slash", "empty segment", "case", "domain", "upper", "no path", "long", "two names", "no name"],
)
def test_names(uris: tuple[str, ...], fails: set[str]) -> None:
    assert failing(make.proxy(chain=(svid(uris=uris),))) == fails


def test_a_certificate_without_a_name_is_told_from_none() -> None:
    for chain, words in (((svid(uris=()),), "it carries no URI name"), ((), "it holds no certificate")):
        violated(judged(make.proxy(chain=chain))["ID-05"], "ID-05", words, causes=())


def test_a_service_account_that_only_looks_alike_is_another() -> None:
    """The pod's own, as the API server has it, decides: not its labels, not its name."""
    pod = make.pod(service_account="test-app-2")
    finding = names_are_the_pods_own(make.sidecars(make.proxy(pod, chain=(svid(),)), pods=[pod]), make.bundle())
    violated(
        finding,
        "ID-02",
        "/sa/test-app, its own SPIFFE ID is spiffe://teleport.example.com/ns/test-app/sa/test-app-2",
        causes=(),
    )


# ID-03


def test_the_issuer_is_what_is_confirmed() -> None:
    (remark,) = teleport_issued(make.sidecars(make.proxy()), make.bundle(), make.istiod()).held
    assert remark.said == f"issued by {make.proxy().chain[0].issuer}"


def test_a_certificate_of_neither() -> None:
    finding = ALL["ID-03"](make.sidecars(make.proxy(chain=(svid(issuer="rogue"), authority("rogue")))))
    violated(finding, "ID-03", "none of the 1 authorities signed it", evidence=("ev-bundle", "ev-istiod"), causes=())
    assert "istiod's authority" not in finding.seen


def test_istiod_under_an_authority_of_teleports_is_still_istiod() -> None:
    """Where both have one root, the first half alone would let every istiod certificate pass."""
    shared = make.istiod(authorities=(authority(),))
    finding = teleport_issued(make.sidecars(make.proxy()), make.bundle(), shared)
    violated(finding, "ID-03", causes=())
    assert finding.seen == "Pod test-app/app: its certificate descends from istiod's authority"
    assert "not Teleport's" not in finding.seen


def test_an_expired_istiod_certificate_is_istiods_all_the_same() -> None:
    old = svid(issuer="istiod", starts=NOW - timedelta(days=2))
    finding = ALL["ID-03"](make.sidecars(make.istiod_proxy(chain=(old, authority("istiod", uri="")))))
    violated(finding, "ID-03", "none of the 1 authorities signed it", "descends from istiod's authority")


def test_any_of_teleports_authorities_will_do() -> None:
    two = make.bundle(authorities=(authority("old"), authority()))
    holds(teleport_issued(make.sidecars(make.proxy()), two, make.istiod()), "ID-03", "ev-bundle")


@pytest.mark.parametrize("item", ALL)
def test_an_authority_may_sign_over_an_intermediate(item: str) -> None:
    chain = (svid(issuer="between"), intermediate("between"))
    holds(ALL[item](make.sidecars(make.proxy(chain=chain))), item)


@pytest.mark.parametrize(
    ("between", "words"),
    [
        ((), "none of the 1 authorities signed it (its issuer is CN=between)"),
        (
            (intermediate("between", issuer="rogue"),),
            "or an intermediate above it (its issuer is CN=between, whose issuer is CN=rogue",
        ),
        ((authority("between", issuer="teleport", is_ca=False),), "its certificate does not come from Teleport: "),
        ((intermediate("between", days=1, issuer="teleport"),), "the intermediate CN=between is valid from 2026-02-28"),
    ],
    ids=["not presented", "of another authority", "no CA", "expired"],
)
def test_not_any_intermediate_will_do(between: tuple[Certificate, ...], words: str) -> None:
    later = NOW + timedelta(minutes=1)
    proxy = make.proxy(chain=(svid(issuer="between"), *between), read_at=later)
    violated(ALL["ID-03"](make.sidecars(proxy)), "ID-03", words)


# ID-04

CLOCK, LONG = "issuer-clock-off", "lifetime-above-maximum"


@pytest.mark.parametrize(
    ("certificate", "words", "causes"),
    [
        (svid(is_ca=True), "its certificate is that of a CA", ()),
        (svid(usage=None), "its certificate has no key usage", ()),
        (svid(usage_critical=False), "its certificate has a key usage that is not critical", ()),
        (svid(usage=frozenset({"key_encipherment"})), "its certificate lacks the key usage digital_signature", ()),
        (
            svid(usage=SIGNS | {"key_cert_sign"}),
            "its certificate has the key usage of an authority: key_cert_sign",
            (),
        ),
        (svid(usage=SIGNS | {"crl_sign"}), "its certificate has the key usage of an authority: crl_sign", ()),
        (
            svid(extended=(ExtendedKeyUsageOID.SERVER_AUTH,)),
            "its certificate lacks the extended key usage client_auth",
            (),
        ),
        (svid(extended=()), "its certificate lacks the extended key usage client_auth, server_auth", ()),
        (svid(san_critical=False), "its certificate has an empty subject, and an alternative name that is not critical", ()),
        (
            svid(starts=NOW + timedelta(minutes=1)),
            "its certificate is valid from 2026-03-01 12:01:00 UTC; at 2026-03-01 12:00:00 UTC a peer"
            " whose clock is 30 s slow refuses it",
            (CLOCK,),
        ),
        (
            svid(starts=NOW - timedelta(seconds=10)),
            "its certificate is valid from 2026-03-01 11:59:50 UTC; at 2026-03-01 12:00:00 UTC a peer"
            " whose clock is 30 s slow refuses it",
            (CLOCK,),
        ),
        (
            svid(minutes=5),
            "its certificate is valid until 2026-03-01 11:55:00 UTC; at 2026-03-01 12:00:00 UTC a peer"
            " whose clock is 30 s fast refuses it",
            (),
        ),
        (
            svid(minutes=10.25),
            "its certificate is valid until 2026-03-01 12:00:15 UTC; at 2026-03-01 12:00:00 UTC a peer"
            " whose clock is 30 s fast refuses it",
            (),
        ),
        (svid(minutes=62), "its certificate lives 3720 s, more than 3660 s", (LONG,)),
        (
            svid(starts=NOW + timedelta(hours=1), minutes=62),
            "its certificate is valid from 2026-03-01 13:00:00 UTC; at 2026-03-01 12:00:00 UTC a peer"
            " whose clock is 30 s slow refuses it;"
            " its certificate lives 3720 s, more than 3660 s",
            (CLOCK, LONG),
        ),
    ],
)
def test_leaves_that_are_no_svids(certificate: Any, words: str, causes: tuple[str, ...]) -> None:
    finding = leaves_are_svids(make.sidecars(make.proxy(chain=(certificate,))), LIFETIME)
    violated(finding, "ID-04", evidence=("ev-agent",), causes=causes)
    assert finding.seen == f"Pod test-app/app: {words}"


@pytest.mark.parametrize("mode", SdsMode)
@pytest.mark.parametrize(("leaf", "cause"), [(svid(minutes=62), LONG), (svid(starts=NOW), CLOCK)], ids=["long", "early"])
def test_only_the_times_of_teleports_certificates_have_causes(mode: SdsMode, leaf: Any, cause: str) -> None:
    finding = leaves_are_svids(make.sidecars(make.proxy(sds_mode=mode, chain=(leaf,))), LIFETIME)
    from_teleport = mode in (SdsMode.EXTERNAL, SdsMode.RACE)
    violated(finding, "ID-04", causes=(cause,) if from_teleport else ())


def test_the_remedies_for_times_name_the_settings_and_the_clock() -> None:
    assert "Set `credential_ttl`" in CAUSES[LONG].remedy[0]
    assert "`spec.spiffe.x509.maximum_ttl`" in CAUSES[LONG].remedy[0]
    assert "clock of Teleport's host" in CAUSES[CLOCK].remedy[0]


def test_a_certificate_just_issued_is_valid_for_a_clock_that_is_off() -> None:
    """Teleport backdates a minute, which is more than the margin."""
    fresh = svid(starts=NOW - timedelta(minutes=1), minutes=61)
    holds(leaves_are_svids(make.sidecars(make.proxy(chain=(fresh,))), LIFETIME), "ID-04")


def test_the_longest_life_is_the_lesser_of_the_two_and_the_minute() -> None:
    def longest(ttl: float, maximum: float | None) -> float:
        service = make.workload_api(credential_ttl=ttl)
        issuing = make.issuing(make.identity(maximum_ttl=maximum), service=service)
        return effective_lifetime(make.tbots(), [issuing]).longest.total_seconds()

    assert longest(3600, None) == 3660
    assert longest(3600, 600) == 660
    assert longest(600, 3600) == 660
    assert longest(200_000, None) == 86_460


def test_what_the_identity_allows_may_be_unknown() -> None:
    lifetime = effective_lifetime(make.tbots(), [make.issuing()])
    assert lifetime.longest == timedelta(minutes=61)
    assert "is not known" in lifetime.said
    known = effective_lifetime(make.tbots(), [make.issuing(make.identity())])
    assert "is not known" not in known.said
    assert "ev-identity" in known.evidence
    missing = effective_lifetime(make.tbots(), [make.issuing(make.absent("workload_identity/istio-workloads"))])
    assert "is not known" in missing.said


def test_of_several_the_most_generous_counts() -> None:
    short, long = make.identity(maximum_ttl=600), make.identity(name="long", maximum_ttl=1800)
    lifetime = effective_lifetime(make.tbots(), [make.issuing(short, long)])
    assert lifetime.longest == timedelta(minutes=31)
    assert lifetime.said == ("tbot asks for 3600 s, the workload identity allows 1800 s, Teleport backdates 60 s")
    brief = make.workload_api(credential_ttl=60)
    of_two = effective_lifetime(make.tbots(), [make.issuing(long, service=brief), make.issuing(short)])
    assert of_two.longest == timedelta(minutes=11)


def test_without_a_service_the_longest_life_is_unknown() -> None:
    with pytest.raises(CouldNotTell, match="credential_ttl"):
        effective_lifetime(make.tbots(make.tbot(config=make.tbot_config(services=()))), [])


# ID-06


@pytest.mark.parametrize(
    ("changes", "words", "causes"),
    [
        ({"root_authorities": {TRUST_DOMAIN: (authority(), authority("rogue"))}}, "it trusts CN=rogue", ()),
        ({"root_authorities": {TRUST_DOMAIN: (authority("old"),)}}, "it lacks CN=teleport", ("bundle-not-delivered",)),
        ({"root_authorities": {TRUST_DOMAIN: ()}}, "it lacks CN=teleport", ()),
        ({"root_authorities": {}}, "it lacks CN=teleport", ()),
        (
            {"root_authorities": {TRUST_DOMAIN: (authority(),), "other": (authority("o"),)}},
            "trust domains other as well",
            (),
        ),
        (
            {"root_authorities": {"cluster.local": (authority(),)}},
            "trust domains cluster.local instead",
            ("other-provider-on-socket",),
        ),
        (
            {"validator": Validator.TRUSTED_CA, "root_authorities": {"": (authority(),)}},
            "it validates its peers with a plain trusted_ca (CN=teleport), not with the SPIFFE validator",
            (),
        ),
        ({"validator": Validator.NONE, "root_authorities": {}}, "it holds no authority to validate its peers with", ()),
    ],
)
def test_authorities(changes: dict[str, Any], words: str, causes: tuple[str, ...]) -> None:
    proxy = make.proxy(**changes)
    finding = authorities_are_teleports(make.sidecars(proxy), make.bundle())
    violated(finding, "ID-06", words, evidence=("ev-bundle",), causes=causes)
    assert failing(proxy) == {"ID-06"}


def test_both_authorities_of_a_rotation_are_wanted() -> None:
    both = make.bundle(authorities=(authority("old"), authority()))
    swapped = make.proxy(root_authorities={TRUST_DOMAIN: (authority(), authority("old"))})
    holds(authorities_are_teleports(make.sidecars(swapped), both), "ID-06")
    behind = authorities_are_teleports(make.sidecars(make.proxy()), both)
    violated(behind, "ID-06", "Pod test-app/app: it lacks CN=old", causes=("bundle-not-delivered",))
    assert "See whether tbot on the node reaches Teleport" in CAUSES["bundle-not-delivered"].remedy[1]
    taken = make.proxy(sds_mode=SdsMode.TAKEOVER, root_authorities={TRUST_DOMAIN: (authority("istiod"),)})
    violated(authorities_are_teleports(make.sidecars(taken), both), "ID-06", "it lacks CN=old", causes=())


# ID-07


def test_requests() -> None:
    for proxy, words in (
        (make.proxy(csr_count=1), "its Istio agent sent 1 certificate requests to istiod"),
        (make.proxy(agent_certificate_held=True), "its Istio agent holds a certificate of its own"),
    ):
        finding = no_request_went_to_istiod(make.sidecars(proxy))
        violated(finding, "ID-07", causes=())
        assert finding.seen == f"Pod test-app/app: {words}"


# The sentence about many sidecars.


def test_of_many_sidecars_the_sentence_names_the_first_and_the_finding_each() -> None:
    many = [make.proxy(make.pod(f"p{n:02}")) for n in range(30)]
    own = f"spiffe://{TRUST_DOMAIN}/ns/test-app/sa/test-app"
    first = ", ".join(f"Pod test-app/p{n:02}" for n in range(10))
    assert ALL["ID-02"](make.sidecars(*many)).seen == f"{first} and 20 more: {own}"
    finding = ALL["ID-02"](make.sidecars(*(replace(p, chain=()) for p in many)))
    assert finding.seen == f"{first} and 20 more: it holds no certificate: the agent found a socket at its start"
    assert [p.subject.name for p in finding.problems] == [f"p{n:02}" for n in range(30)]


def test_one_bad_sidecar_among_many_is_named() -> None:
    good = [make.proxy(make.pod(f"p{n:02}")) for n in range(30)]
    bad = make.istiod_proxy(make.pod("bad"))
    assert PodRef.of(make.pod("bad")) == bad.pod
    finding = ALL["ID-03"](make.sidecars(*good, bad))
    violated(finding, "ID-03", causes=())
    assert finding.seen == (
        "Pod test-app/bad: its certificate does not come from Teleport: none of the 1 authorities signed it"
        " (its issuer is CN=istiod);"
        " its certificate descends from istiod's authority"
    )
    assert len(finding.held) == 30


@pytest.mark.parametrize("item", ALL)
def test_a_pod_that_went_away_is_left_out_and_alone_proves_nothing(item: str) -> None:
    finding = ALL[item](make.sidecars(make.proxy(), make.left_out()))
    holds(finding, item, "ev-gone-gone")
    assert [(str(each.subject), each.said) for each in finding.left_out] == [("Pod test-app/gone", make.GONE)]
    unknown(ALL[item](make.sidecars(make.left_out())), item, "every proxy went away while the suite read it")


def test_some_of_the_proxies_can_be_left_out() -> None:
    pods = [make.pod(name) for name in ("a", "b", "c")]
    observed = make.sidecars(make.proxy(pods[0]), make.proxy(pods[1]), make.unread(pods[2]), pods=tuple(pods))
    left = observed.without([Remark(pods[1].ref, "it needs none"), Remark(pods[2].ref, "nor this one")])
    assert [pod.name for pod in left.pods] == ["a"]
    assert [each.pod.name for each in left.fleet.outcomes] == ["a"]
    assert observed.without([]).fleet.outcomes == observed.fleet.outcomes


@pytest.mark.parametrize("item", ALL)
def test_a_finding_names_the_proxies_that_were_left_out_and_no_others(item: str) -> None:
    pods = [make.pod(name) for name in ("a", "b")]
    needless = [Remark(each.ref, "it needs none") for each in (pods[1], make.pod("elsewhere"))]
    finding = ALL[item](make.sidecars(*map(make.proxy, pods), pods=pods).without(needless))
    assert finding.left_out == (needless[0],)
