"""MTL-04: refusals by identity break it, refusals by policy are noted, each with its cause where it is known."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from facts.finding import Finding, Holds, Problem
from facts.proxies.envoy import Validator
from facts.proxies.sds_mode import SdsMode
from judge.install.istio import NO_WORKLOAD
from judge.mtls.handshakes import handshakes_complete, refused_by_setting
from judge.mtls.pairs import table_of
from judge.mtls.peers import Refusal
from judge.mtls.prediction import Unpredictable
from judge.mtls.table import Meant
from judge.waivers import Waiver, not_accepted
from tests.unit.facts import tls_dumps as built
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import holds, inapplicable, unknown, violated
from tests.unit.judge.certificates import NOW, TRUST_DOMAIN, authority, svid
from tests.unit.judge.mtls.meshes import DISABLED, PERMISSIVE, PORT, ROUTER, Workload, between, ends

A, B = Workload("a"), Workload("b")
IN_A_MINUTE = svid("shop", "b", starts=NOW + timedelta(minutes=1))
BOTH = {TRUST_DOMAIN: (authority(), authority("next"))}
PAST = {"annotations": {"traffic.sidecar.istio.io/excludeInboundPorts": "8080"}}


def judged(*workloads: Workload, meant: Meant | None = None, without: tuple[str, ...] = ()) -> Finding:
    made = ends(*workloads)
    return handshakes_complete(made, table_of(made, meant or Meant(), without), meant or Meant(), without)


def set_apart(*workloads: Workload, meant: Meant | None = None) -> list[Problem]:
    made = ends(*workloads)
    return refused_by_setting(made, table_of(made, meant or Meant(), ()))


def of(**changes: Any) -> Any:
    return lambda pod: make.proxy(pod, **changes)


def certified(**changes: Any) -> Any:
    return lambda pod: make.proxy(pod, chain=(svid(pod.namespace, pod.service_account, **changes),))


def test_every_handshake_completes() -> None:
    finding = judged(A, replace(B, inbound=PERMISSIVE))
    holds(finding, "MTL-04", "ev-pods", "ev-tls-a", "ev-tls-b", "ev-proxy-a", "ev-proxy-b")
    assert finding.confirmed == "the handshake completes on 4 ways; plain text goes through on 0 ways"
    assert finding.where == "4 ways between 1 classes of proxies"
    assert not finding.left_out


def test_plain_text_that_goes_through_is_an_outcome_of_its_own() -> None:
    finding = judged(A, replace(B, inbound=PERMISSIVE, marked=False))
    holds(finding, "MTL-04")
    assert finding.confirmed == "the handshake completes on 2 ways; plain text goes through on 2 ways"


def on_istiod(**pod: Any) -> Any:
    """A workload whose pod has no socket and whose proxy fell back to istiod."""
    return replace(B, identity=make.istiod_proxy, pod={"socket": make.EMPTY_DIR, **pod})


@pytest.mark.parametrize(
    ("client", "server", "causes"),
    [
        (A, on_istiod(), {"template-not-requested"}),
        (
            A,
            on_istiod(annotations={"inject.istio.io/templates": "sidecar,spire"}),
            {"template-without-node-socket"},
        ),
        (A, replace(B, identity=certified(issuer="next")), {""}),
        (
            replace(A, identity=of(root_authorities=BOTH)),
            replace(B, identity=certified(issuer="next")),
            {"rotation-not-followed"},
        ),
        (
            A,
            replace(B, identity=of(chain=(svid("shop", "b", issuer="next"),), root_authorities=BOTH)),
            {"bundle-not-delivered"},
        ),
        (A, replace(B, identity=of(sds_mode=SdsMode.TAKEOVER, chain=(svid(issuer="istiod"),))), {"socket-taken-over"}),
        (A, replace(B, identity=certified(minutes=5)), {""}),
        (A, replace(B, identity=certified(starts=NOW + timedelta(minutes=1))), {"issuer-clock-off"}),
        (A, replace(B, identity=of(sds_mode=SdsMode.FILES, chain=(IN_A_MINUTE,))), {""}),
        (replace(A, identity=of(root_authorities={"other.example": (authority(),)})), B, {""}),
        (A, replace(B, identity=certified(uri=f"spiffe://{TRUST_DOMAIN}/ns/shop/b")), {"identity-template-without-sa"}),
        (A, replace(B, identity=certified(uri=f"spiffe://{TRUST_DOMAIN}/ns/shop/sa/x")), {""}),
        (
            replace(A, clusters={"b": built.auto_mutual(B.host, 80, [f"spiffe://{TRUST_DOMAIN}/ns/x/sa/y"])}),
            B,
            {"expected-names-differ"},
        ),
        (
            replace(A, clusters={"b": built.auto_mutual(B.host, 80, ["spiffe://cluster.local/ns/shop/sa/b"])}),
            B,
            {"trust-domain-differs"},
        ),
        (
            A,
            replace(B, inbound=built.virtual_inbound(built.strict(PORT, built.downstream(["spiffe://cluster.local/"])))),
            {"trust-domain-differs"},
        ),
        (
            A,
            replace(
                B, inbound=built.virtual_inbound(built.strict(PORT, built.downstream([f"spiffe://{TRUST_DOMAIN}/ns/x/"])))
            ),
            {"clients-restricted-by-name"},
        ),
        (A, replace(B, identity=of(validator=Validator.NONE, root_authorities={})), {""}),
    ],
)
def test_a_refusal_by_identity_breaks_it(client: Workload, server: Workload, causes: set[str]) -> None:
    finding = judged(client, server)
    violated(finding, "MTL-04", evidence=("ev-tls-a", "ev-tls-b"))
    assert {p.cause for p in finding.problems} == causes


def test_a_client_without_a_certificate_has_had_its_context_replaced() -> None:
    common = built.common([])
    del common["tls_certificate_sds_secret_configs"]
    bare = built.istio_mutual(B.host, 80, [], common_tls_context=common)
    violated(
        judged(replace(A, clusters={"b": bare}), B), "MTL-04", "presents no certificate", causes=("tls-context-replaced",)
    )


def simple(**changes: Any) -> dict[str, Any]:
    """A client's transport socket as a DestinationRule with mode SIMPLE makes it, without a certificate."""
    common: dict[str, Any] = {"alpn_protocols": ["h2", "http/1.1"], **changes}
    return built.upstream("b.example.com", 80, [], common_tls_context=common, sni="b.example.com")


def test_a_users_own_tls_that_a_server_refuses_is_of_no_known_cause() -> None:
    own = built.cluster(B.host, 80, transport_socket=simple())
    violated(judged(replace(A, clusters={"b": own}), B), "MTL-04", "presents no certificate", causes=())


@pytest.mark.parametrize("server", [replace(B, inbound=PERMISSIVE), replace(B, inbound=DISABLED), replace(B, pod=PAST)])
@pytest.mark.parametrize(
    "own",
    [
        simple(),
        simple(validation_context_sds_secret_config=built.secret("file-root:/etc/ca")),
        simple(tls_certificate_sds_secret_configs=[built.secret("file-cert:/etc/c~/etc/k")]),
    ],
)
def test_a_users_own_tls_that_reaches_the_application_is_neither_completed_nor_refused(
    server: Workload, own: dict[str, Any]
) -> None:
    cluster = built.cluster(B.host, 80, transport_socket=own)
    mutual = Workload("c", clusters={"b": built.istio_mutual(B.host, 80, [B.account])})
    of = ends(replace(A, clusters={"b": cluster}), mutual, server)
    table = table_of(of)
    assert table.unpredictable[Unpredictable.OTHER_TLS] == 1
    assert between(table, "a", "b") == []
    assert between(table, "c", "b") != []


def test_what_goes_to_a_users_own_tls_without_mutual_tls_may_be_the_applications_own() -> None:
    """Such as a gateway's HTTPS server with a certificate for its host."""
    https = built.downstream(
        common_tls_context={"tls_certificate_sds_secret_configs": [built.secret("kubernetes://shop")]},
        require_client_certificate=False,
    )
    chain = built.chain("shop", transport="tls", socket=https, server_names=["shop.example"])
    gateway = replace(
        B, inbound=built.dump(built.listener("0.0.0.0_8080", PORT, [chain])), marked=False, pod={"proxy": ROUTER}
    )
    server = replace(B, inbound=built.virtual_inbound(built.strict(), built.strict(PORT, https)))
    plain = replace(A, clusters={"b": built.cluster(B.host, 80)})
    for each in (server, gateway):
        table = table_of(ends(plain, each))
        assert table.unpredictable[Unpredictable.OTHER_TLS]
        assert between(table, "a", "b") == []
        assert set_apart(plain, each) == []


def test_plain_text_to_a_gateway_that_demands_the_meshs_identity_is_refused() -> None:
    mutual = built.chain("mesh", transport="tls", socket=built.downstream())
    inbound = built.dump(built.listener("0.0.0.0_8080", PORT, [mutual]))
    gateway = replace(B, inbound=inbound, marked=False, pod={"proxy": ROUTER})
    (row,) = between(table_of(ends(replace(A, clusters={"b": built.cluster(B.host, 80)}), gateway)), "a", "b")
    assert row.prediction.refusal is Refusal.PLAIN_AGAINST_TLS


def test_a_client_that_differs_from_a_users_own_in_its_server_name_alone_is_of_the_mesh() -> None:
    bare = built.upstream(B.host, 80, [], common_tls_context={"alpn_protocols": ["h2", "http/1.1"]})
    clients = [
        replace(A, clusters={"b": built.cluster(B.host, 80, transport_socket=simple())}),
        Workload("c", clusters={"b": built.cluster(B.host, 80, transport_socket=bare)}),
    ]
    table = table_of(ends(*clients, replace(B, inbound=DISABLED, marked=False)))
    assert table.unpredictable[Unpredictable.OTHER_TLS] == 1
    (row,) = between(table, "c", "b")
    assert row.prediction.refusal is Refusal.TLS_AGAINST_PLAIN


def test_a_gateway_without_the_socket() -> None:
    gateway = on_istiod(proxy=ROUTER)
    violated(judged(A, replace(gateway, inbound={})), "MTL-04", causes=("gateway-without-socket",))


def test_the_refusing_side_is_the_subject_and_the_sentence_has_both() -> None:
    finding = judged(A, Workload("c"), replace(B, identity=certified(uri=f"spiffe://{TRUST_DOMAIN}/ns/shop/b")))
    (problem,) = finding.problems
    assert str(problem.subject) == "Pod shop/a"
    assert problem.said == (
        "as the client it refuses: no name in the certificate is an expected one"
        " (3 ways: 3 clients of class 1, 1 servers of class 1, port 8080;"
        " such as Pod shop/a to Pod shop/b as b.shop.svc.cluster.local:80)"
    )
    assert problem.evidence == ("ev-proxy-a", "ev-tls-a", "ev-proxy-b", "ev-tls-b")
    other = judged(A, replace(B, inbound=built.virtual_inbound(built.strict(PORT, built.downstream(["spiffe://x/"])))))
    assert {str(p.subject) for p in other.problems} == {"Pod shop/b"}
    assert other.problems[0].said.startswith("as the server it refuses: no name")


@pytest.mark.parametrize(
    ("client", "server", "cause"),
    [
        (replace(A, clusters={"b": built.cluster(B.host, 80)}), B, "client-sends-plain-text"),
        (A, replace(B, inbound=DISABLED), "mutual-tls-disabled"),
        (
            A,
            replace(B, pod=PAST),
            "port-bypasses-proxy",
        ),
    ],
)
def test_a_refusal_by_policy_is_noted(client: Workload, server: Workload, cause: str) -> None:
    finding = judged(client, server)
    holds(finding, "MTL-04")
    assert {note.cause for note in finding.notes} == {cause}
    assert all(note.said.startswith("as the server it refuses: it ") for note in finding.notes)
    past = cause == "port-bypasses-proxy"  # who calls such a port may speak for itself; MTL-02 names it
    assert {each.cause for each in set_apart(client, server)} == (set() if past else {cause})


def test_a_refusal_by_policy_that_the_owner_wants_is_no_problem() -> None:
    far = replace(B, inbound=DISABLED, namespace="far")
    assert set_apart(A, far)
    assert set_apart(A, far, meant=Meant(closed=frozenset({("shop", "far"), ("far", "shop"), ("far", "far")}))) == []


def test_a_proxy_without_configuration_has_no_setting_that_refuses() -> None:
    bare = replace(B, inbound={})
    finding = judged(A, bare)
    assert {note.cause for note in finding.notes} == {""}
    assert set_apart(A, bare) == []


def test_a_refusal_because_of_a_certificate_is_none_of_settings() -> None:
    assert set_apart(A, on_istiod()) == []


def test_what_is_declared_closed_and_what_nothing_decides_is_left_out_by_number() -> None:
    island = replace(on_istiod(), namespace="far", more=[built.passthrough()])
    both = frozenset({("shop", "far"), ("far", "shop")})
    finding = judged(A, island, meant=Meant(closed=both))
    holds(finding, "MTL-04")
    assert [f"{each.subject}: {each.said}" for each in finding.left_out] == [
        "ways that no reading decides: 1 way to any address outside of the mesh's Services",
        "ways between namespaces declared closed: refused on 2 ways",
    ]


def test_a_misspelt_island_is_told() -> None:
    finding = judged(A, replace(on_istiod(), namespace="far"), meant=Meant.of([["fra"]], [], {"shop", "far"}))
    violated(finding, "MTL-04")
    assert [each.said for each in finding.left_out] == ["no pod is in fra, so that what is declared of it has no effect"]


def test_pods_that_do_not_count_and_pods_that_were_not_read() -> None:
    holds(judged(A, on_istiod(), without=("uid-b",)), "MTL-04")
    unknown(judged(A, replace(B, identity=None)), "MTL-04", "the suite could not read it")
    unknown(judged(A, replace(B, configured=False)), "MTL-04", "the suite could not read it")


def test_a_mesh_without_workloads_shows_nothing() -> None:
    finding = judged(replace(A, pod={"injected": False}))
    assert (finding.holds, finding.condition) == (Holds.NOT_APPLICABLE, NO_WORKLOAD)
    assert finding.evidence


def test_a_proxy_that_went_away_during_either_reading_is_left_out() -> None:
    made = ends(A, B, Workload("c"))
    (c,) = (pod for pod in made.mesh.pods if pod.name == "c")
    gone = make.left_out(of=c)
    tls, identities = made.mesh.tls, made.mesh.identities
    of_tls = replace(tls, proxies=tls.proxies[:2], left_out=(gone,))
    of_identities = replace(identities, proxies=identities.proxies[:2], left_out=(gone,))
    both = replace(made.mesh, tls=of_tls, identities=of_identities)
    for mesh in (replace(made.mesh, tls=of_tls), replace(made.mesh, identities=of_identities), both):
        fleet = mesh.fleet_of(mesh.injected)
        assert [proxy.pod.name for proxy in fleet.proxies] == ["a", "b"]
        assert (fleet.unread, fleet.left_out) == ((), (gone,))
    unread = replace(made.mesh, tls=replace(of_tls, left_out=(), unread=(make.unread(c),)), identities=of_identities)
    assert unread.fleet.unread == ()


def test_a_mesh_whose_ways_nothing_decides() -> None:
    dialled = replace(A, clusters={"a": built.cluster(A.host, 80, kind="ORIGINAL_DST")}, more=[built.passthrough()])
    finding = judged(dialled)
    unknown(finding, "MTL-04", "no reading decides any way between proxies of the mesh (1 way)", evidence=("ev-tls-a",))


def test_a_mesh_in_which_no_way_is_left_to_judge() -> None:
    outside = Workload("plain", pod={"injected": False}, marked=False)
    client = replace(A, clusters={"a": built.cluster("db.example", 80)}, more=[built.passthrough()])
    finding = judged(client, outside)
    inapplicable(finding, "MTL-04", "ev-tls-a")
    assert "1 way to a pod without a proxy" in [each.said for each in finding.left_out]
    everywhere = frozenset({("shop", "shop")})
    inapplicable(judged(A, on_istiod(), meant=Meant(closed=everywhere)), "MTL-04")
    unknown(judged(replace(client, configured=False)), "MTL-04", "the suite could not read it")


def test_a_waiver_covers_a_refusal_only_where_it_names_every_pod_that_refuses() -> None:
    others = [replace(on_istiod(), name=name, namespace=namespace) for name, namespace in (("x", "bank"), ("y", "pay"))]
    finding = judged(A, on_istiod(), *others)
    alone, together = (
        Waiver("MTL-04", "o", "j", subjects=subjects)
        for subjects in (("Pod shop/*",), ("Pod shop/*", "Pod bank/x", "pay/y"))
    )
    (left,) = not_accepted(finding.problems, [alone])
    assert [str(subject) for subject in left.subjects] == ["Pod bank/x", "Pod pay/y"]
    assert not_accepted(finding.problems, [together]) == ()
    assert together.idle_in([finding]) == ()
