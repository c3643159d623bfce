"""Certificates of two authorities in one mesh, and certificates past their end."""

from __future__ import annotations

from datetime import timedelta

from facts.proxies.sds_mode import SdsMode
from judge.diagnosis.trust import of_two_authorities, past_their_end, refused_by_policy, takers
from judge.identity.proxies import authorities_are_teleports
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import violated
from tests.unit.judge.certificates import NOW, TRUST_DOMAIN, authority, svid
from tests.unit.judge.diagnosis.told import named

OLD, NEW = make.pod("old", namespace="before"), make.pod("new")


def test_a_mesh_between_two_authorities() -> None:
    found = of_two_authorities(
        [make.istiod_proxy(OLD), make.istiod_proxy(make.pod("b", namespace="before")), make.proxy(NEW)]
    )
    assert named(found) == [("Pod before/old", "mixed-authorities"), ("Pod before/b", "mixed-authorities")]
    assert found[0].said.startswith("istiod certifies it, and the provider certifies 1 proxies of the mesh")


def test_a_mesh_of_one_authority() -> None:
    assert of_two_authorities([make.proxy(NEW), make.proxy(OLD)]) == []
    assert of_two_authorities([make.istiod_proxy(NEW), make.istiod_proxy(OLD)]) == []
    assert of_two_authorities([]) == []


def test_the_pod_that_serves_the_socket_of_its_node_to_others() -> None:
    taker = make.pod("first", namespace="before")
    taken = make.proxy(NEW, sds_mode=SdsMode.TAKEOVER, chain=(svid("before", "test-app", issuer="istiod"),))
    found = takers([make.istiod_proxy(taker), taken, make.proxy(OLD), make.istiod_proxy(make.pod("other"))])
    assert named(found) == [("Pod before/first", "socket-taken-over")]
    assert f"to Pod test-app/new: they carry its SPIFFE ID spiffe://{TRUST_DOMAIN}/ns/before/sa/test-app" in found[0].said


def test_nobody_serves_a_socket_on_another_node_or_where_nobody_carries_the_name() -> None:
    taken = make.proxy(NEW, sds_mode=SdsMode.TAKEOVER, chain=(svid("before", "test-app", issuer="istiod"),))
    replica = make.istiod_proxy(
        make.pod("twin", namespace="before"), chain=(svid("before", issuer="istiod", key="its own"),)
    )
    assert takers([replica, taken]) == []
    elsewhere = make.istiod_proxy(make.pod("first", namespace="before", node="node-far"))
    assert takers([elsewhere, taken]) == []
    assert takers([make.istiod_proxy(make.pod("first", namespace="before"))]) == []


def test_a_certificate_that_has_ended() -> None:
    ended = make.proxy(NEW, read_at=NOW + timedelta(days=1))
    assert named(past_their_end([ended])) == [("Pod test-app/new", "certificate-expired")]


def test_certificates_that_are_valid_or_absent() -> None:
    assert past_their_end([make.proxy(NEW), make.proxy(OLD, chain=())]) == []


def test_another_provider_answers_on_the_socket() -> None:
    of_others = {"example.org": (authority("spire", uri="spiffe://example.org"),)}
    other = make.proxy(NEW, chain=(svid("test-app", "test-app"),), root_authorities=of_others)
    finding = authorities_are_teleports(make.sidecars(other), make.bundle())
    violated(finding, "ID-06", "trusts the trust domains example.org instead", causes=("other-provider-on-socket",))


def test_a_trust_domain_beside_teleports_is_of_no_other_provider() -> None:
    both = {TRUST_DOMAIN: (authority(),), "example.org": (authority("spire", uri="spiffe://example.org"),)}
    finding = authorities_are_teleports(make.sidecars(make.proxy(NEW, root_authorities=both)), make.bundle())
    violated(finding, "ID-06", "trusts the trust domains example.org as well", causes=())


def test_requests_that_a_policy_refused() -> None:
    found = refused_by_policy([make.proxy(NEW, forbidden=3), make.proxy(OLD)])
    assert named(found) == [("Pod test-app/new", "refused-by-policy")]
    assert "3 requests over mutual TLS with 403" in found[0].said
