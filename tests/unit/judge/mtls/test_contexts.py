"""MTL-01: contexts for peers of the mesh, those of others, and workloads that use none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from facts.evidence import ObjectRef
from facts.finding import Finding, Holds, Remark
from judge.install.istio import NO_WORKLOAD
from judge.mtls.contexts import TrustDomains, secrets_are_the_providers, stranger_of
from judge.mtls.table import Meant
from tests.unit.facts import tls_dumps as built
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import holds, inapplicable, unknown, violated
from tests.unit.judge.certificates import TRUST_DOMAIN, authority
from tests.unit.judge.mtls.meshes import DISABLED, PERMISSIVE, PORT, ROUTER, STRICT, Workload, ends

A, B = Workload("a"), Workload("b")


def judged(*workloads: Workload, domains: tuple[str, ...] = (TRUST_DOMAIN,), **more: Any) -> Finding:
    return secrets_are_the_providers(ends(*workloads), TrustDomains(domains, ("ev-ping",)), **more)


def served(**changes: Any) -> Any:
    """A listener whose context for one port differs."""
    return built.virtual_inbound(built.strict(), built.strict(PORT, built.downstream(**changes)))


def common(**changes: Any) -> dict[str, Any]:
    return built.common([{"prefix": f"spiffe://{TRUST_DOMAIN}/"}], **changes)


@pytest.mark.parametrize("inbound", [STRICT, PERMISSIVE])
def test_contexts_as_istio_makes_them(inbound: Any) -> None:
    finding = judged(replace(A, inbound=inbound), B)
    holds(finding, "MTL-01", "ev-pods", "ev-tls-a", "ev-tls-b", "ev-proxy-a", "ev-pod-a", "ev-ping")
    # Each proxy: two chains for any port, one for its own, and one cluster for each service.
    assert finding.confirmed == "10 TLS contexts of 2 proxies use default and ROOTCA of the external socket"


INLINE = {
    "tls_certificate_sds_secret_configs": [built.secret("default")],
    "validation_context": {
        "trusted_ca": {"inline_string": authority().pem},
        "match_subject_alt_names": [{"prefix": f"spiffe://{TRUST_DOMAIN}/"}],
    },
}
BESIDE = common()
BESIDE["combined_validation_context"]["default_validation_context"] |= {"trusted_ca": {"inline_string": authority().pem}}
NOWHERE = {"tls_certificate_sds_secret_configs": [built.secret("default")]}


@pytest.mark.parametrize(
    ("changes", "said", "cause"),
    [
        ({"require_client_certificate": False}, "let clients in without a certificate", "client-certificate-not-required"),
        ({"common_tls_context": INLINE}, "validate peers with authorities of their own", "foreign-authority-trusted"),
        ({"common_tls_context": BESIDE}, "have authorities of their own beside", "foreign-authority-trusted"),
        ({"common_tls_context": common(validation="other")}, "with the secret other", "foreign-authority-trusted"),
        ({"common_tls_context": NOWHERE}, "validate peers with nothing", "foreign-authority-trusted"),
        ({"common_tls_context": common(certificate="other")}, "present other instead", "tls-context-replaced"),
        ({"prefixes": ["spiffe://cluster.local/"]}, "beyond spiffe://teleport.example.com/", "trust-domain-differs"),
        ({"prefixes": ["spiffe://cluster.local/"]}, "do not accept clients by the prefix", "trust-domain-differs"),
        ({"prefixes": ["spiffe://"]}, "accept clients by prefix spiffe://, beyond", "trust-domain-differs"),
        ({"prefixes": []}, "accept a client of any name", "tls-context-replaced"),
    ],
)
def test_a_server_whose_context_differs(changes: dict[str, Any], said: str, cause: str) -> None:
    finding = judged(replace(A, inbound=served(**changes)), B)
    where = "1 of its 5 TLS contexts for peers"
    violated(finding, "MTL-01", where, said, "such as listener virtualInbound, port 8080", evidence=("ev-tls-a",))
    assert {p.subject.name for p in finding.problems} == {"a"}
    assert cause in finding.causes


def test_secrets_from_another_server() -> None:
    elsewhere = common()
    elsewhere["tls_certificate_sds_secret_configs"] = [built.secret("default", "sds-files-grpc")]
    finding = judged(replace(A, inbound=served(common_tls_context=elsewhere)))
    violated(finding, "MTL-01", "ask sds-files-grpc, sds-grpc for their secrets", causes=("tls-context-replaced",))


def test_a_client_whose_context_differs_for_one_service() -> None:
    socket = {"common_tls_context": built.common([{"exact": B.account}], certificate="other")}
    swapped = built.auto_mutual(B.host, 80, [], **socket)
    finding = judged(replace(A, clusters={"b": swapped}), B)
    violated(
        finding,
        "MTL-01",
        "1 of its 5 TLS contexts for peers present other instead of the secret default "
        "(such as cluster outbound|80||b.shop.svc.cluster.local)",
        causes=("tls-context-replaced",),
    )
    explicit = judged(replace(A, clusters={"b": built.istio_mutual(B.host, 80, [], **socket)}), B)
    violated(explicit, "MTL-01", "present other instead", causes=("tls-context-replaced",))


def test_a_client_that_presents_nothing() -> None:
    bare = built.common([])
    del bare["tls_certificate_sds_secret_configs"]
    finding = judged(replace(A, clusters={"b": built.istio_mutual(B.host, 80, [], common_tls_context=bare)}), B)
    violated(finding, "MTL-01", "present nothing", "accept a server of any name")
    assert set(finding.causes) == {"tls-context-replaced", "server-not-verified"}


def to_b(names: list[dict[str, Any]], **validation: Any) -> dict[str, Any]:
    """A client's cluster that leads to B, with some expected names and other fields of the validation context."""
    common = built.common(names)
    common["combined_validation_context"]["default_validation_context"] |= validation
    return built.istio_mutual(B.host, 80, [], common_tls_context=common)


UNCHECKED = {"tls_certificate_sds_secret_configs": [built.secret("default")]}
OF_B = [{"exact": B.account}]


@pytest.mark.parametrize(
    ("cluster", "said"),
    [
        (to_b([]), "accept a server of any name"),
        (to_b([{"prefix": "spiffe://"}]), "accept a server of any name"),
        (to_b([{"prefix": f"spiffe://{TRUST_DOMAIN}/"}, *OF_B]), "accept a server of any name"),
        (to_b([{"contains": "/ns/"}]), "accept a server of any name"),
        (to_b([{"safe_regex": {"regex": "spiffe://.*"}}]), "accept a server of any name"),
        (built.auto_mutual(B.host, 80, []), "accept a server of any name"),
        (built.istio_mutual(B.host, 80, [], common_tls_context=UNCHECKED), "validate peers with nothing"),
        (to_b(OF_B, trust_chain_verification="ACCEPT_UNTRUSTED"), "accept certificates that do not verify"),
        (to_b(OF_B, allow_expired_certificate=True), "accept certificates that do not verify"),
    ],
)
def test_a_client_that_does_not_verify_who_the_server_is(cluster: dict[str, Any], said: str) -> None:
    finding = judged(replace(A, clusters={"b": cluster}), B)
    violated(finding, "MTL-01", f"1 of its 5 TLS contexts for peers {said}", causes=("server-not-verified",))
    assert {p.subject.name for p in finding.problems} == {"a"}


@pytest.mark.parametrize(
    "cluster",
    [
        to_b([{"prefix": f"spiffe://{TRUST_DOMAIN}/ns/shop/"}]),
        to_b([{"safe_regex": {"regex": f"spiffe://{TRUST_DOMAIN.replace('.', chr(92) + '.')}/ns/shop/sa/[^/]+"}}]),
        to_b(OF_B, trust_chain_verification="VERIFY_TRUST_CHAIN"),
    ],
)
def test_a_client_that_expects_some_of_the_trust_domains_workloads(cluster: dict[str, Any]) -> None:
    holds(judged(replace(A, clusters={"b": cluster}), B), "MTL-01")


def test_a_stranger_has_names_that_kubernetes_allows_nobody() -> None:
    assert stranger_of("a.example") == "spiffe://a.example/ns/-/sa/-"


def test_a_service_without_endpoints_in_the_mesh_has_no_names_to_expect() -> None:
    # Istio takes the names from the service's endpoints, so that one with none, such as one scaled to 0, has none either.
    empty = built.auto_mutual("idle.shop.svc.cluster.local", 80, [])
    outside = Workload("plain", pod={"injected": False}, marked=False)
    holds(judged(replace(A, more=[empty], clusters={"plain": built.auto_mutual(outside.host, 80, [])}), outside), "MTL-01")


def test_a_server_that_accepts_certificates_that_do_not_verify() -> None:
    lenient = common()
    lenient["combined_validation_context"]["default_validation_context"]["trust_chain_verification"] = "ACCEPT_UNTRUSTED"
    finding = judged(replace(A, inbound=served(common_tls_context=lenient)))
    violated(finding, "MTL-01", "accept certificates that do not verify", causes=("foreign-authority-trusted",))


@pytest.mark.parametrize("name", [{"exact": A.account}, {"prefix": f"spiffe://{TRUST_DOMAIN}/ns/shop/"}])
def test_a_sidecar_that_lets_in_certain_clients_alone(name: dict[str, str]) -> None:
    finding = judged(replace(A, inbound=served(common_tls_context=built.common([name]))))
    violated(finding, "MTL-01", "do not accept clients by the prefix", causes=("clients-restricted-by-name",))


def test_a_sidecar_that_lets_in_an_alias_alone_has_another_trust_domain() -> None:
    finding = judged(replace(A, inbound=served(prefixes=["spiffe://old.example/"])), domains=(TRUST_DOMAIN, "old.example"))
    violated(finding, "MTL-01", "do not accept clients by the prefix", causes=("trust-domain-differs",))


def test_names_within_aliases_are_as_they_should_be() -> None:
    both = served(prefixes=[f"spiffe://{TRUST_DOMAIN}/", "spiffe://old.example/"])
    everywhere = built.virtual_inbound(
        *(built.strict(port, built.downstream([f"spiffe://{TRUST_DOMAIN}/", "spiffe://old.example/"])) for port in (0, PORT))
    )
    holds(judged(replace(A, inbound=everywhere), domains=(TRUST_DOMAIN, "old.example")), "MTL-01")
    violated(judged(replace(A, inbound=both)), "MTL-01", "accept clients by prefix spiffe://old.example/, beyond")


def of_others(**socket: Any) -> Any:
    """A cluster of a DestinationRule for a host outside of the mesh."""
    typed = {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        "common_tls_context": built.common([], certificate="file-cert:/etc/c~/etc/k", validation="file-root:/etc/ca"),
        "sni": "api.example.com",
        **socket,
    }
    socket_of = {"name": "envoy.transport_sockets.tls", "typed_config": typed}
    return built.cluster("api.example.com", 443, kind="STRICT_DNS", transport_socket=socket_of)


def test_certificates_for_parties_outside_of_the_mesh_are_not_judged() -> None:
    own_port = built.strict(
        8443, built.downstream(common_tls_context=common(certificate="kubernetes://own", validation="x"))
    )
    inbound = built.virtual_inbound(built.strict(), built.strict(PORT), own_port)
    finding = judged(replace(A, inbound=inbound, more=[of_others()]))
    holds(finding, "MTL-01")
    assert finding.confirmed.startswith("4 TLS contexts")


def test_a_gateways_certificates_for_its_clients_are_not_judged() -> None:
    own = built.downstream(
        common_tls_context=built.common([], certificate="kubernetes://shop", validation="kubernetes://ca")
    )
    of_a_server = built.downstream(common_tls_context=built.common([], certificate="shop-sds", validation="shop-ca"))
    mesh = built.downstream(require_client_certificate=False)
    for socket, contexts in ((own, 1), (of_a_server, 1), (mesh, 2)):
        inbound = built.dump(
            built.listener("0.0.0.0_8443", 8443, [built.chain("a", server_names=["a.example"], socket=socket)])
        )
        finding = judged(replace(A, inbound=inbound, pod={"proxy": ROUTER}))
        assert f"{contexts} TLS contexts" in finding.where
        assert bool(finding.problems) is (contexts == 2)


def egress(*names: dict[str, str]) -> Workload:
    """An egress gateway with a server of mode ISTIO_MUTUAL, whose user names some subjectAltNames."""
    socket = built.downstream(common_tls_context=built.common(names))
    listener = built.listener("0.0.0.0_8080", PORT, [built.chain("a", transport="tls", socket=socket)])
    return Workload("egress", inbound=built.dump(listener), pod={"proxy": ROUTER})


def test_a_gateway_need_not_expect_the_prefix_that_istio_writes_for_sidecars_alone() -> None:
    for names in ([], [{"exact": A.account}], [{"prefix": f"spiffe://{TRUST_DOMAIN}/ns/shop/"}]):
        holds(judged(A, egress(*names)), "MTL-01")
    beyond = judged(A, egress({"prefix": "spiffe://"}))
    violated(beyond, "MTL-01", "accept clients by prefix spiffe://, beyond", causes=("trust-domain-differs",))


def test_contexts_that_use_one_of_the_meshs_secrets_are_judged() -> None:
    half = built.downstream(common_tls_context=common(certificate="kubernetes://shop"))
    inbound = built.dump(built.listener("0.0.0.0_8443", 8443, [built.chain("a", socket=half)]))
    violated(judged(replace(A, inbound=inbound, pod={"proxy": ROUTER})), "MTL-01", "present kubernetes://shop instead")
    other_half = built.common([], validation="file-root:/etc/ca")
    cluster = of_others(common_tls_context=other_half)
    violated(judged(replace(A, more=[cluster])), "MTL-01", "validate peers with the secret file-root:/etc/ca")


# Workloads that take mutual TLS nowhere.


def test_a_workload_that_takes_mutual_tls_on_no_port() -> None:
    finding = judged(A, replace(B, inbound=DISABLED, marked=False))
    violated(
        finding,
        "MTL-01",
        "Pod shop/b: it takes mutual TLS on none of its 1 ports",
        evidence=("ev-tls-b", "ev-pod-b"),
        causes=("mutual-tls-disabled",),
    )


def test_a_workload_whose_ports_all_go_past_its_proxy() -> None:
    past = {"annotations": {"traffic.sidecar.istio.io/includeInboundPorts": ""}}
    violated(judged(replace(A, pod=past)), "MTL-01", "on none of its 1 ports", causes=("port-bypasses-proxy",))


def test_a_workload_with_ports_past_its_proxy_and_others_in_plain_text() -> None:
    past = {"annotations": {"traffic.sidecar.istio.io/excludeInboundPorts": str(PORT)}}
    inbound = built.virtual_inbound(built.disabled(), built.disabled(PORT), built.disabled(9090))
    finding = judged(replace(A, pod=past, inbound=inbound))
    violated(finding, "MTL-01", "on none of its 2 ports", causes=("mutual-tls-disabled",))


def test_a_workload_whose_only_port_asks_clients_for_no_identity() -> None:
    own: dict[str, Any] = {"tls_certificate_sds_secret_configs": [built.secret("file-cert:/etc/c~/etc/k")]}
    simple = built.downstream(common_tls_context=own, require_client_certificate=False)
    finding = judged(A, replace(B, inbound=built.virtual_inbound(built.strict(), built.strict(PORT, simple))))
    violated(finding, "MTL-01", "Pod shop/b: it takes mutual TLS on none of its 1 ports", causes=())


def test_a_proxy_without_any_chain_takes_nothing() -> None:
    violated(judged(replace(A, inbound=built.virtual_inbound())), "MTL-01", "on none of its 1 ports", causes=())


def test_ports_of_istio_itself_are_not_judged() -> None:
    lenient = built.downstream(require_client_certificate=False)
    own = built.virtual_inbound(built.strict(), built.strict(PORT), built.strict(15021, lenient))
    holds(judged(replace(A, inbound=own)), "MTL-01")
    gateway = built.dump(built.listener("stats", 15090, [built.chain("a", socket=lenient)]))
    holds(judged(replace(A, inbound=gateway, pod={"proxy": ROUTER})), "MTL-01")


def test_a_workload_without_a_known_port_takes_what_any_port_takes() -> None:
    bare = replace(make.pod().spec, containers=(make.istio_proxy(),))
    workload = replace(A, spec={"containers": bare.containers}, inbound=built.virtual_inbound(built.strict()))
    holds(judged(workload), "MTL-01")
    without = replace(workload, inbound=built.virtual_inbound(built.disabled()))
    violated(judged(without), "MTL-01", "on none of its 1 ports", causes=("mutual-tls-disabled",))


def test_a_workload_that_is_a_client_alone_has_to_take_nothing() -> None:
    # As in a Job: no container declares a port, and none is redirected to the proxy.
    spec = {"containers": (make.istio_proxy(), make.container("job"))}
    past = {"annotations": {"traffic.sidecar.istio.io/includeInboundPorts": ""}}
    client = Workload("job", marked=False, spec=spec, pod=past, inbound=built.virtual_inbound(built.strict()))
    holds(judged(A, client), "MTL-01")


def test_a_proxy_without_any_configuration_is_an_open_point() -> None:
    finding = judged(A, replace(B, inbound={}))
    unknown(finding, "MTL-01", "Pod shop/b: its Envoy has no configuration from istiod yet", evidence=("ev-tls-b",))
    assert "istioctl proxy-status" in finding.settle


def test_one_port_with_mutual_tls_is_enough() -> None:
    inbound = built.virtual_inbound(built.disabled(), built.disabled(PORT), built.strict(9090))
    holds(judged(replace(A, inbound=inbound, marked=False)), "MTL-01")


def test_a_namespace_that_is_declared_to_take_none_is_left_out_by_name() -> None:
    finding = judged(
        A, replace(B, namespace="legacy", inbound=DISABLED, marked=False), meant=Meant(plain=frozenset({"legacy"}))
    )
    holds(finding, "MTL-01")
    assert finding.left_out == (
        Remark(ObjectRef("Pod", "b", "legacy", "uid-b"), "its namespace is declared to take no mutual TLS"),
    )


def test_pods_that_do_not_count_and_pods_that_were_not_read() -> None:
    wrong = replace(B, inbound=DISABLED, marked=False)
    holds(judged(A, wrong, without={"uid-b"}), "MTL-01")
    unknown(judged(A, replace(B, identity=None)), "MTL-01", "the suite could not read it")
    unknown(judged(A, replace(B, configured=False)), "MTL-01", "the suite could not read it")


def test_a_mesh_without_workloads_shows_nothing() -> None:
    finding = judged(replace(A, pod={"injected": False}))
    assert (finding.holds, finding.condition) == (Holds.NOT_APPLICABLE, NO_WORKLOAD)
    assert finding.evidence


def test_a_mesh_in_which_nothing_speaks_mutual_tls_and_nothing_is_meant_to() -> None:
    declared = Meant(plain=frozenset({"shop"}))
    off = replace(A, inbound=DISABLED, marked=False, clusters={"a": built.cluster(A.host, 80)})
    finding = judged(off, meant=declared)
    inapplicable(finding, "MTL-01", "ev-tls-a", "ev-ping")
    assert [each.said for each in finding.left_out] == ["its namespace is declared to take no mutual TLS"]
    violated(judged(off), "MTL-01", "on none of its 1 ports")
    unknown(judged(replace(off, configured=False), meant=declared), "MTL-01", "the suite could not read it")


def test_a_name_that_looks_like_a_secret_beside_a_foreign_one_hides_no_failure() -> None:
    """Whoever names what is only told (a host, a name that an EnvoyFilter accepts) must not leave the judgment open."""
    own = f"spiffe://{TRUST_DOMAIN}/"
    beside = replace(A, inbound=served(prefixes=[own, "spiffe://evil/", "[redacted]"]))
    violated(judged(beside, B), "MTL-01", "accept clients by", "spiffe://evil/", "[redacted words]")
    alone = replace(A, inbound=served(prefixes=[own, "[redacted]"]))
    unknown(judged(alone, B), "MTL-01", "[redacted] stands for a value")
    socket = {"common_tls_context": built.common([{"exact": B.account}], certificate="other")}
    swapped = built.auto_mutual("[redacted]", 80, [], **socket)
    violated(judged(replace(A, clusters={"b": swapped}), B), "MTL-01", "[redacted words])")
