"""MTL-05: predictions against a ledger of handshakes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from facts.traffic.handshakes import Ended
from judge.mtls.ends import Ends
from judge.mtls.ledger import predicted_ways, predictions_are_right
from judge.mtls.peers import Refusal
from judge.mtls.prediction import COMPLETES, GOES_PLAIN, Side, Unpredictable, refused
from tests.unit.facts import tls_dumps as built
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import holds, unknown, violated
from tests.unit.judge.mtls.meshes import DISABLED, PERMISSIVE, ROUTER, STRICT, Workload, ends, seen

A, B, PLAIN = Workload("a"), Workload("b"), Workload("plain", pod={"injected": False}, marked=False)


@pytest.mark.parametrize(
    ("server", "ended"),
    [
        (B, Ended.MUTUAL),
        (B, Ended.LET_IN),
        (replace(B, inbound=PERMISSIVE, marked=False), Ended.PLAIN),
        (replace(B, inbound=PERMISSIVE, marked=False), Ended.LET_IN),
        (replace(B, inbound=DISABLED), Ended.REFUSED),
        (replace(B, identity=make.istiod_proxy), Ended.REFUSED),
    ],
)
def test_a_prediction_that_is_borne_out(server: Workload, ended: Ended) -> None:
    of = ends(A, server)
    finding = predictions_are_right(of, [seen(of, "a", "b", ended)])
    holds(finding, "MTL-05", "ev-a-b", "ev-tls-a", "ev-proxy-b")
    assert finding.where == "1 handshakes"


@pytest.mark.parametrize(
    ("server", "ended", "words"),
    [
        (B, Ended.REFUSED, "predicted: the handshake completes; seen: refused (200)"),
        (B, Ended.PLAIN, "predicted: the handshake completes; seen: plain text got through"),
        (replace(B, inbound=PERMISSIVE, marked=False), Ended.MUTUAL, "predicted: plain text goes through"),
        (replace(B, inbound=PERMISSIVE, marked=False), Ended.REFUSED, "predicted: plain text goes through"),
        (replace(B, inbound=DISABLED), Ended.LET_IN, "predicted: the server refuses: it does not take the TLS"),
        (replace(B, identity=make.istiod_proxy), Ended.MUTUAL, "predicted: the client refuses: the certificate leads to no"),
    ],
)
def test_a_prediction_that_is_wrong(server: Workload, ended: Ended, words: str) -> None:
    of = ends(A, server)
    finding = predictions_are_right(of, [seen(of, "a", "b", ended), seen(of, "a", "a")])
    violated(finding, "MTL-05", "Pod shop/b: Pod shop/a, port 8080: ", words, evidence=("ev-a-b",))
    assert finding.problems[0].evidence == ("ev-a-b",)
    assert [str(each.subject) for each in finding.held] == ["Pod shop/a"]


def test_what_could_not_be_compared_is_open() -> None:
    of = ends(A, B)
    unknown(predictions_are_right(of, [seen(of, "a", "b", Ended.UNTOLD)]), "MTL-05", "nothing shows how it ended")
    unknown(predictions_are_right(of, [seen(of, "a", "b", port=9090)]), "MTL-05", "no cluster of the client leads there")
    unknown(predictions_are_right(of, []), "MTL-05", "the ledger has no entry")
    without = ends(A, replace(B, identity=None))
    unknown(predictions_are_right(without, [seen(without, "a", "b")]), "MTL-05", "a proxy that could not be read")


def ways(*workloads: Workload, client: str, server: str) -> list[Any]:
    of = ends(*workloads)
    return predicted_ways(of, seen(of, client, server))


@pytest.mark.parametrize(
    ("inbound", "comes_to"), [(STRICT, refused(Side.SERVER, Refusal.PLAIN_AGAINST_TLS)), (PERMISSIVE, GOES_PLAIN)]
)
def test_a_client_without_a_proxy_speaks_for_itself(inbound: Any, comes_to: Any) -> None:
    assert ways(PLAIN, replace(B, inbound=inbound), client="plain", server="b") == [comes_to]


def test_a_server_without_a_proxy_takes_plain_text() -> None:
    assert ways(A, PLAIN, client="a", server="plain") == [GOES_PLAIN]
    mutual = replace(A, clusters={"plain": built.istio_mutual(PLAIN.host, 80, [])})
    assert ways(mutual, PLAIN, client="a", server="plain") == [refused(Side.SERVER, Refusal.TLS_AGAINST_PLAIN)]


def test_a_pod_behind_two_services_has_a_prediction_for_each_way() -> None:
    of = ends(A, replace(B, inbound=PERMISSIVE))
    (proxy, server) = of.mesh.tls.proxies
    other = ends(replace(A, clusters={"b": built.cluster(B.host, 80)}), B).mesh.tls.proxies[0]
    both = replace(proxy, destinations=(*proxy.destinations, other.destinations[1]))
    of = Ends(replace(of.mesh, tls=replace(of.mesh.tls, proxies=(both, server))))
    assert predicted_ways(of, seen(of, "a", "b")) == [COMPLETES, GOES_PLAIN]
    for ended in (Ended.MUTUAL, Ended.PLAIN):
        holds(predictions_are_right(of, [seen(of, "a", "b", ended)]), "MTL-05")
    violated(
        predictions_are_right(of, [seen(of, "a", "b", Ended.REFUSED)]), "MTL-05", "plain text goes through or the handshake"
    )


def test_pods_that_are_unknown_or_whose_client_was_not_read() -> None:
    of = ends(A, B)
    stranger = replace(seen(of, "a", "b"), client=make.pod("x").ref)
    assert predicted_ways(of, stranger) == []
    assert predicted_ways(of, replace(stranger, client=of.mesh.pods[0].ref, server=make.pod("x").ref)) == []
    unread = Ends(replace(of.mesh, tls=replace(of.mesh.tls, proxies=of.mesh.tls.proxies[1:])))
    assert predicted_ways(unread, seen(unread, "a", "b")) == [Unpredictable.UNREAD]


def test_handshakes_with_a_gateway_are_predicted_in_both_directions() -> None:
    gateway = Workload("gate", inbound=built.dump(built.listener("0.0.0.0_8080", 8080, [built.chain("http")])), marked=False)
    of = ends(A, PLAIN, replace(gateway, pod={"proxy": ROUTER}), replace(B, identity=make.istiod_proxy))
    assert predicted_ways(of, seen(of, "a", "gate")) == [GOES_PLAIN]
    assert predicted_ways(of, seen(of, "plain", "gate")) == [GOES_PLAIN]
    assert predicted_ways(of, seen(of, "plain", "gate", port=8443)) == [Unpredictable.NO_LISTENER]
    assert predicted_ways(of, seen(of, "gate", "plain")) == [GOES_PLAIN]
    assert predicted_ways(of, seen(of, "gate", "a")) == [COMPLETES]
    assert predicted_ways(of, seen(of, "gate", "b")) == [refused(Side.CLIENT, Refusal.AUTHORITY)]


def test_any_pod_of_a_gateway_may_have_been_the_end_that_was_seen() -> None:
    other = replace(B, name="c", identity=make.istiod_proxy)
    of = ends(A, B, other)
    both = replace(seen(of, "a", "b"), or_server=(seen(of, "a", "c").server,))
    assert predicted_ways(of, both) == [COMPLETES, refused(Side.CLIENT, Refusal.AUTHORITY)]
    turned = replace(seen(of, "b", "a"), or_client=(seen(of, "c", "a").client,))
    assert predicted_ways(of, turned) == [COMPLETES, refused(Side.CLIENT, Refusal.AUTHORITY)]
    for ended in (Ended.MUTUAL, Ended.REFUSED):
        holds(predictions_are_right(of, [replace(both, ended=ended)]), "MTL-05")
    violated(predictions_are_right(of, [replace(both, ended=Ended.PLAIN)]), "MTL-05", " or the handshake completes; seen")
