"""Ways between the proxies of small meshes, and the table that they come to."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from facts.proxies.envoy import Validator
from facts.proxies.tls.context import Layer
from facts.proxies.tls.outbound import Endpoint
from facts.proxies.tls.proxy import TlsOfFleet
from facts.svid import parse_certificates
from judge.mtls.ends import Ends, Takes
from judge.mtls.pairs import table_of
from judge.mtls.peers import Refusal
from judge.mtls.prediction import COMPLETES, GOES_PLAIN, Prediction, Side, Unpredictable, refused
from judge.mtls.table import Meant
from tests.unit.facts import tls_dumps as built
from tests.unit.facts.authorities import NOW as LATER
from tests.unit.facts.authorities import Authority
from tests.unit.judge import builders as make
from tests.unit.judge.certificates import NOW, TRUST_DOMAIN, authority, svid
from tests.unit.judge.mtls.meshes import DISABLED, PERMISSIVE, PORT, ROUTER, STRICT, Workload, between, ends, mesh


def way(client: Workload, server: Workload) -> Prediction:
    """What the one way from a client to a server comes to."""
    (row,) = between(table_of(ends(client, server)), client.name, server.name)
    return row.prediction


def of(**changes: Any) -> Any:
    """Makes the identity of a proxy that differs in these fields."""
    return lambda pod: make.proxy(pod, **changes)


def certified(**changes: Any) -> Any:
    """Makes the identity of a proxy whose certificate differs."""
    return lambda pod: make.proxy(pod, chain=(svid(pod.namespace, pod.service_account, **changes),))


CLIENT, SERVER = Workload("client"), Workload("server")
SIGNS_OTHERS = frozenset({"digital_signature", "key_cert_sign"})
BOTH = {TRUST_DOMAIN: (authority(), authority("next"))}


def test_endpoints_of_either_family_lead_to_their_pod() -> None:
    made = mesh(CLIENT, replace(SERVER, identity=make.istiod_proxy, pod={"socket": make.EMPTY_DIR}))
    single = table_of(Ends(made))
    first = [replace(pod, ip=f"fd00::{n}", ips=(f"fd00::{n}", pod.ip)) for n, pod in enumerate(made.pods)]
    both = table_of(Ends(replace(made, pods=first)))
    assert single.rows
    assert (both.rows, both.unpredictable) == (single.rows, {})


# Transport.


@pytest.mark.parametrize(
    ("inbound", "marked", "cluster", "comes_to"),
    [
        (STRICT, True, None, COMPLETES),
        (PERMISSIVE, True, None, COMPLETES),
        (PERMISSIVE, False, None, GOES_PLAIN),
        (STRICT, False, None, refused(Side.SERVER, Refusal.PLAIN_AGAINST_TLS)),
        (DISABLED, False, None, GOES_PLAIN),
        (DISABLED, True, None, refused(Side.SERVER, Refusal.TLS_AGAINST_PLAIN)),
        (STRICT, True, built.cluster(SERVER.host, 80), refused(Side.SERVER, Refusal.PLAIN_AGAINST_TLS)),
        (PERMISSIVE, True, built.cluster(SERVER.host, 80), GOES_PLAIN),
        (STRICT, False, built.istio_mutual(SERVER.host, 80, [SERVER.account]), COMPLETES),
        (DISABLED, False, built.istio_mutual(SERVER.host, 80, []), refused(Side.SERVER, Refusal.TLS_AGAINST_PLAIN)),
    ],
)
def test_transport(inbound: Any, marked: bool, cluster: Any, comes_to: Prediction) -> None:
    client = replace(CLIENT, clusters={"server": cluster} if cluster else {})
    assert way(client, replace(SERVER, inbound=inbound, marked=marked)) == comes_to


def test_a_port_with_a_mode_of_its_own() -> None:
    inbound = built.virtual_inbound(built.strict(), built.disabled(PORT))
    assert way(CLIENT, replace(SERVER, inbound=inbound, marked=False)) == GOES_PLAIN
    assert way(CLIENT, replace(SERVER, inbound=inbound)) == refused(Side.SERVER, Refusal.TLS_AGAINST_PLAIN)


def test_a_port_past_the_proxy() -> None:
    past = {"annotations": {"traffic.sidecar.istio.io/excludeInboundPorts": str(PORT)}}
    assert way(CLIENT, replace(SERVER, pod=past)) == refused(Side.SERVER, Refusal.TLS_AGAINST_PLAIN)
    assert way(CLIENT, replace(SERVER, pod=past, marked=False)) == GOES_PLAIN


def test_a_port_of_a_gateway_on_which_nothing_listens_is_no_way_to_predict() -> None:
    table = table_of(ends(CLIENT, Workload("gateway", inbound={}, marked=False, pod={"proxy": ROUTER})))
    assert table.unpredictable == {Unpredictable.NO_LISTENER: 2}
    assert {(row.client.is_gateway, row.server.is_gateway) for row in table.rows} == {(False, False), (True, False)}


# Identity.


@pytest.mark.parametrize(
    ("client", "server", "comes_to"),
    [
        (make.proxy, make.proxy, COMPLETES),
        (make.istiod_proxy, make.istiod_proxy, COMPLETES),
        (make.proxy, make.istiod_proxy, refused(Side.CLIENT, Refusal.AUTHORITY)),
        (make.istiod_proxy, make.proxy, refused(Side.CLIENT, Refusal.AUTHORITY)),
        # A rotation: who knows the next authority accepts both, who does not know it refuses it.
        (certified(issuer="next"), make.proxy, refused(Side.SERVER, Refusal.AUTHORITY)),
        (make.proxy, certified(issuer="next"), refused(Side.CLIENT, Refusal.AUTHORITY)),
        (certified(issuer="next"), of(root_authorities=BOTH), COMPLETES),
        (of(root_authorities=BOTH), certified(issuer="next"), COMPLETES),
        # The authority is known for another trust domain only.
        (make.proxy, of(root_authorities={"other.example": (authority(),)}), refused(Side.SERVER, Refusal.AUTHORITY)),
        # Dates.
        (make.proxy, certified(minutes=5), refused(Side.CLIENT, Refusal.EXPIRED)),
        (certified(minutes=5), make.proxy, refused(Side.SERVER, Refusal.EXPIRED)),
        (certified(starts=NOW + timedelta(minutes=1)), make.proxy, refused(Side.SERVER, Refusal.NOT_YET)),
        # Kind.
        (certified(is_ca=True), make.proxy, refused(Side.SERVER, Refusal.NO_SVID)),
        (
            certified(usage=frozenset({"digital_signature", "key_cert_sign"})),
            make.proxy,
            refused(Side.SERVER, Refusal.NO_SVID),
        ),
        # Names.
        (make.proxy, certified(uri=f"spiffe://{TRUST_DOMAIN}/ns/shop/server"), refused(Side.CLIENT, Refusal.NAME)),
        (certified(uri=f"spiffe://{TRUST_DOMAIN}/ns/shop/client"), make.proxy, COMPLETES),
        # Nothing to show, nothing to check with.
        (of(chain=()), make.proxy, refused(Side.CLIENT, Refusal.SILENT)),
        (make.proxy, of(chain=()), refused(Side.SERVER, Refusal.SILENT)),
        (of(validator=Validator.NONE, root_authorities={}), make.proxy, refused(Side.CLIENT, Refusal.SILENT)),
        (make.proxy, of(validator=Validator.NONE, root_authorities={}), refused(Side.SERVER, Refusal.SILENT)),
        # An authority without a certificate left in it.
        (make.proxy, of(root_authorities={TRUST_DOMAIN: ()}), refused(Side.SERVER, Refusal.AUTHORITY)),
        # Both would refuse: the client comes first.
        (certified(minutes=5), certified(issuer="next"), refused(Side.CLIENT, Refusal.AUTHORITY)),
    ],
)
def test_identity(client: Any, server: Any, comes_to: Prediction) -> None:
    assert way(replace(CLIENT, identity=client), replace(SERVER, identity=server)) == comes_to


def test_an_authority_that_is_not_valid_any_more() -> None:
    old = authority("old", starts=NOW - timedelta(days=20), days=10)
    leaf = {"issuer": "old", "starts": NOW - timedelta(days=15), "minutes": 60 * 24 * 30}
    trusting = of(root_authorities={TRUST_DOMAIN: (authority(), old)})
    server = replace(SERVER, identity=certified(**leaf))
    assert way(replace(CLIENT, identity=trusting), server) == refused(Side.CLIENT, Refusal.EXPIRED)


def test_a_chain_over_an_intermediate() -> None:
    root, middle = Authority("root"), Authority("middle")
    (leaf,) = parse_certificates(middle.issue(SERVER.account), "a test")
    own = svid("shop", "client", minutes=60 * 24 * 365)
    client = of(chain=(own,), root_authorities={TRUST_DOMAIN: (root.certificate,)}, read_at=LATER)
    for chain, comes_to in (
        ((leaf, root.endorse(middle)), COMPLETES),
        ((leaf,), refused(Side.CLIENT, Refusal.AUTHORITY)),
    ):
        server = of(chain=chain, read_at=LATER)
        assert way(replace(CLIENT, identity=client), replace(SERVER, identity=server)) == comes_to


def test_a_trust_domain_that_the_server_does_not_expect() -> None:
    inbound = built.virtual_inbound(built.strict(PORT, built.downstream(["spiffe://cluster.local/"])))
    client = replace(CLIENT, identity=make.proxy)
    assert way(client, replace(SERVER, inbound=inbound)) == refused(Side.SERVER, Refusal.NAME)
    alias = built.downstream(["spiffe://cluster.local/", f"spiffe://{TRUST_DOMAIN}/"])
    assert way(client, replace(SERVER, inbound=built.virtual_inbound(built.strict(PORT, alias)))) == COMPLETES


# Contexts that differ from Istio's.


def with_context(**changes: Any) -> Any:
    """A listener of strict mutual TLS whose context differs."""
    socket = built.downstream(**changes)
    return built.virtual_inbound(built.strict(socket=socket), built.strict(PORT, socket))


def inline(*authorities: Any) -> dict[str, Any]:
    pem = "".join(each.pem for each in authorities)
    return {
        "tls_certificate_sds_secret_configs": [built.secret("default")],
        "validation_context": {"trusted_ca": {"inline_string": pem}},
    }


def test_a_validation_context_that_was_swapped() -> None:
    swapped = replace(SERVER, inbound=with_context(common_tls_context=inline(authority(), authority("istiod", uri=""))))
    assert way(CLIENT, swapped) == COMPLETES
    only_istiod = replace(SERVER, inbound=with_context(common_tls_context=inline(authority("istiod", uri=""))))
    assert way(CLIENT, only_istiod) == refused(Side.SERVER, Refusal.AUTHORITY)
    trusting = of(root_authorities={TRUST_DOMAIN: (authority("istiod", uri=""), authority())})
    of_istiod = lambda pod: replace(trusting(pod), chain=(svid("shop", "client", issuer="istiod"),))  # noqa: E731
    assert way(replace(CLIENT, identity=of_istiod), swapped) == COMPLETES


def test_a_server_that_validates_nothing() -> None:
    common = {"tls_certificate_sds_secret_configs": [built.secret("default")]}
    stranger = replace(CLIENT, identity=certified(issuer="next"))
    assert way(stranger, replace(SERVER, inbound=with_context(common_tls_context=common))) == COMPLETES


def test_a_client_without_a_certificate() -> None:
    common = built.common([{"exact": SERVER.account}])
    del common["tls_certificate_sds_secret_configs"]
    client = replace(CLIENT, clusters={"server": built.istio_mutual(SERVER.host, 80, [], common_tls_context=common)})
    assert way(client, SERVER) == refused(Side.SERVER, Refusal.MISSING)
    lenient = replace(SERVER, inbound=with_context(require_client_certificate=False))
    assert way(client, lenient) == COMPLETES
    # A certificate that is not demanded is refused all the same if it is a bad one.
    assert way(replace(CLIENT, identity=certified(issuer="next")), lenient) == refused(Side.SERVER, Refusal.AUTHORITY)


# What nothing read decides.


def counted(*workloads: Workload) -> dict[Unpredictable, int]:
    return dict(table_of(ends(*workloads)).unpredictable)


def test_destinations_whose_endpoints_istiod_does_not_tell() -> None:
    more = [
        built.cluster("api.example.com", 443, kind="STRICT_DNS"),
        built.cluster("db.shop.svc.cluster.local", 5432, kind="ORIGINAL_DST"),
        built.cluster("fixed.example.com", 443, kind="STATIC"),
        built.passthrough(),
    ]
    assert counted(replace(CLIENT, more=more)) == {
        Unpredictable.DNS: 1,
        Unpredictable.ORIGINAL_DST: 1,
        Unpredictable.OTHER_DISCOVERY: 1,
        Unpredictable.PASSTHROUGH: 1,
    }


def test_far_ends_that_were_not_read() -> None:
    assert counted(CLIENT, replace(SERVER, identity=None)) == {Unpredictable.UNREAD: 1}
    assert counted(CLIENT, replace(SERVER, pod={"injected": False})) == {Unpredictable.NO_PROXY: 1}
    damaged = {"annotations": {"traffic.sidecar.istio.io/excludeInboundPorts": "eighty"}}
    assert counted(CLIENT, replace(SERVER, pod=damaged)) == {Unpredictable.UNREAD: 2}


def test_an_address_of_no_pod() -> None:
    made = mesh(CLIENT, SERVER)
    gone = replace(made, pods=[pod for pod in made.pods if pod.name != "server"])
    table = table_of(Ends(gone))
    # Both proxies had a cluster for the service of the pod that is gone, and one of them is there.
    assert table.unpredictable == {Unpredictable.NO_POD: 1}


def test_a_pod_without_an_address_is_behind_no_endpoint() -> None:
    made = mesh(replace(CLIENT, clusters={}), SERVER)
    pods = [replace(pod, ip="") if pod.name == "server" else pod for pod in made.pods]
    proxy = made.tls.proxies[0]
    tunnels = tuple(replace(each, endpoints=(Endpoint("", 15008, frozenset(), ""),)) for each in proxy.destinations)
    alone = TlsOfFleet((replace(proxy, destinations=tunnels), made.tls.proxies[1]), ())
    assert table_of(Ends(replace(made, pods=pods, tls=alone))).unpredictable[Unpredictable.NO_POD] == 3


def test_a_pod_in_its_nodes_network_does_not_hide_the_pod_with_the_same_address() -> None:
    made = mesh(CLIENT, SERVER)
    host = make.pod("kube-proxy", injected=False, ip="10.0.0.2")
    host = replace(host, spec=replace(host.spec, host_network=True))
    for pods in ([*made.pods, host], [host, *made.pods]):
        assert table_of(Ends(replace(made, pods=pods))).unpredictable == {}


def test_transports_and_secrets_of_others() -> None:
    tunnel = {"name": "envoy.transport_sockets.internal_upstream"}
    starttls = {"name": "envoy.transport_sockets.starttls", "typed_config": {}}
    own = built.upstream(SERVER.host, 80, [])
    own["typed_config"]["common_tls_context"] = built.common([], certificate="file-cert:a")
    validating = built.upstream(SERVER.host, 80, [])
    validating["typed_config"]["common_tls_context"] = built.common([], validation="file-root:a")
    for socket, kind in (
        (tunnel, Unpredictable.TUNNEL),
        (starttls, Unpredictable.OTHER_TRANSPORT),
        (own, Unpredictable.OTHER_SECRET),
        (validating, Unpredictable.OTHER_SECRET),
    ):
        client = replace(CLIENT, clusters={"server": built.cluster(SERVER.host, 80, transport_socket=socket)})
        assert counted(client, SERVER) == {kind: 1}
    foreign = with_context(common_tls_context=built.common([], certificate="kubernetes://a"))
    assert counted(CLIENT, replace(SERVER, inbound=foreign)) == {Unpredictable.OTHER_SECRET: 2}


# The table.


def test_proxies_that_are_alike_share_a_row() -> None:
    workloads = [Workload(f"w{number}") for number in range(4)]
    table = table_of(ends(*workloads, replace(SERVER, identity=make.istiod_proxy)))
    assert [len(each.members) for each in table.classes] == [4, 1]
    assert table.ways == 25
    assert [(row.client.of, row.server.of, row.ways, row.clients, row.servers) for row in table.rows] == [
        (1, 1, 16, 4, 4),
        (1, 2, 4, 4, 1),
        (2, 1, 4, 1, 4),
        (2, 2, 1, 1, 1),
    ]
    first = table.rows[0]
    assert first.services == {f"w{number}.shop.svc.cluster.local:80": 4 for number in range(4)}
    assert (first.client.speaks, first.client.certificate, first.client.validation) == (Layer.TLS, "default", "ROOTCA")
    assert first.client.expects_peer
    assert (first.server.port, first.server.takes) == (PORT, Takes.TLS)
    assert len(first.examples) == 3
    assert str(first.examples[0]) == "Pod shop/w0 to Pod shop/w0 as w0.shop.svc.cluster.local:80"


def test_classes_are_numbered_and_described() -> None:
    first, second = table_of(ends(CLIENT, replace(SERVER, identity=make.istiod_proxy))).classes
    assert (first.number, first.issuer, first.peer.trust_domain) == (1, "CN=teleport", TRUST_DOMAIN)
    assert first.authorities == (f"{TRUST_DOMAIN}: CN=teleport ({authority().sha256[:16]}…)",)
    assert second.authorities[0].startswith("any trust domain: CN=istiod (")
    (without,) = table_of(ends(replace(CLIENT, identity=of(chain=())))).classes
    assert (without.issuer, without.peer.trust_domain) == ("", "")


def test_some_pods_do_not_count_at_either_end() -> None:
    table = table_of(ends(CLIENT, SERVER), without={"uid-server"})
    assert [(row.ways, row.examples[0].server.name) for row in table.rows] == [(1, "client")]


def test_ways_that_the_owner_declared_closed_are_rows_of_their_own() -> None:
    island = Workload("island", namespace="far", identity=make.istiod_proxy)
    table = table_of(ends(CLIENT, island), Meant(closed=frozenset({("shop", "far")})))
    closed = [(row.examples[0].client.name, row.examples[0].server.name) for row in table.rows if row.is_closed]
    assert closed == [("client", "island")]


@pytest.mark.parametrize(
    ("inbound", "pod", "takes"),
    [
        (STRICT, {}, Takes.TLS),
        (PERMISSIVE, {}, Takes.BOTH),
        (DISABLED, {}, Takes.PLAIN),
        (built.virtual_inbound(), {}, Takes.NOTHING),
        (STRICT, {"annotations": {"traffic.sidecar.istio.io/excludeInboundPorts": "8080"}}, Takes.PAST),
        (STRICT, {"annotations": {"traffic.sidecar.istio.io/excludeInboundPorts": "x"}}, Takes.UNTOLD),
    ],
)
def test_what_a_port_takes(inbound: Any, pod: dict[str, Any], takes: Takes) -> None:
    of_server = ends(replace(SERVER, inbound=inbound, pod=pod))
    (server,) = of_server.mesh.pods
    assert of_server.takes(server, PORT) is takes
    assert of_server.takes(server, PORT) is takes


def test_a_gateway_takes_what_its_own_listeners_take() -> None:
    socket = built.downstream()
    inbound = built.dump(built.listener("0.0.0.0_8080", PORT, [built.chain("a", socket=socket)]))
    gateway = replace(SERVER, inbound=inbound, pod={"proxy": ROUTER})
    assert way(CLIENT, gateway) == COMPLETES
    by_name = [built.chain("a", server_names=["other.example"], socket=socket)]
    elsewhere = replace(gateway, inbound=built.dump(built.listener("0.0.0.0_8080", PORT, by_name)))
    assert way(CLIENT, elsewhere) == refused(Side.SERVER, Refusal.TLS_AGAINST_PLAIN)
    sni = built.istio_mutual(SERVER.host, 80, [SERVER.account], sni="other.example")
    assert way(replace(CLIENT, clusters={"server": sni}), elsewhere) == COMPLETES


def test_chains_by_address() -> None:
    chains = [built.chain("a", prefix_ranges=[{"address_prefix": "10.0.0.2", "prefix_len": 32}], socket=built.downstream())]
    inbound = built.dump(built.listener("virtualInbound", 15006, chains))
    assert way(CLIENT, replace(SERVER, inbound=inbound)) == COMPLETES
    found = table_of(ends(replace(CLIENT, inbound=inbound)))
    assert [row.prediction for row in found.rows] == [refused(Side.SERVER, Refusal.TLS_AGAINST_PLAIN)]


def test_the_names_that_the_refusing_side_expects() -> None:
    inbound = built.virtual_inbound(built.strict(PORT, built.downstream(["spiffe://x/"])))
    rows = table_of(ends(CLIENT, replace(SERVER, inbound=inbound))).rows
    by_side = {row.prediction.side: [str(name) for name in row.names_expected] for row in rows}
    assert by_side == {Side.SERVER: ["prefix spiffe://x/"], None: [f"prefix spiffe://{TRUST_DOMAIN}/"]}
    other = built.auto_mutual(SERVER.host, 80, ["spiffe://x/ns/a/sa/b"])
    (row,) = between(table_of(ends(replace(CLIENT, clusters={"server": other}), SERVER)), "client", "server")
    assert [str(name) for name in row.names_expected] == ["spiffe://x/ns/a/sa/b"]
    plain = table_of(ends(replace(CLIENT, clusters={"server": built.cluster(SERVER.host, 80)}), replace(SERVER, inbound={})))
    assert [row.names_expected for row in between(plain, "client", "server")] == [()]


def test_the_names_that_clients_expect_are_replaced_by_whether_they_have_the_server() -> None:
    other = built.auto_mutual(SERVER.host, 80, ["spiffe://x/ns/a/sa/b"])
    (row,) = between(table_of(ends(replace(CLIENT, clusters={"server": other}), SERVER)), "client", "server")
    assert not row.client.expects_peer
    assert row.prediction == refused(Side.CLIENT, Refusal.NAME)
    anyone = built.auto_mutual(SERVER.host, 80, [])
    assert way(replace(CLIENT, clusters={"server": anyone}), SERVER) == COMPLETES


def test_a_pod_that_went_away_after_its_proxy_was_read_has_no_ways() -> None:
    whole = mesh(CLIENT, SERVER)
    assert {p.pod.name for p in Ends(whole).tls.values()} == {CLIENT.name, SERVER.name}
    without = replace(whole, pods=[pod for pod in whole.pods if pod.name != SERVER.name])
    assert [p.pod.name for p in Ends(without).tls.values()] == [CLIENT.name]
