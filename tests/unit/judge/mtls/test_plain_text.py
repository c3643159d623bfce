"""MTL-02 and MTL-03: plain text that ports take, and plain text that proxies send."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from facts.evidence import ObjectRef
from facts.finding import Finding, Holds
from judge.install.istio import NO_WORKLOAD
from judge.mtls.pairs import table_of
from judge.mtls.plain_text import no_port_takes_plain_text, nothing_is_sent_in_plain_text, service_ref
from judge.mtls.table import Meant
from tests.unit.facts import tls_dumps as built
from tests.unit.judge.assertions import holds, inapplicable, unknown, violated
from tests.unit.judge.mtls.meshes import DISABLED, PERMISSIVE, PORT, ROUTER, Workload, ends

A, B = Workload("a"), Workload("b")
PAST = "port 8080 is not redirected to the proxy"
EXCLUDED = {"annotations": {"traffic.sidecar.istio.io/excludeInboundPorts": str(PORT)}}

SIMPLE = built.downstream(
    common_tls_context={"tls_certificate_sds_secret_configs": [built.secret("file-cert:/etc/c~/etc/k")]},
    require_client_certificate=False,
)


def taken(*workloads: Workload, **more: Any) -> Finding:
    return no_port_takes_plain_text(ends(*workloads), **more)


def sent(*workloads: Workload, meant: Meant | None = None, without: tuple[str, ...] = ()) -> Finding:
    made = ends(*workloads)
    table = table_of(made, meant or Meant(), without)
    return nothing_is_sent_in_plain_text(made, table, without)


# MTL-02.


def test_strict_ports_take_tls_only() -> None:
    finding = taken(A, B)
    holds(finding, "MTL-02", "ev-tls-a", "ev-tls-b", "ev-pods")
    assert finding.confirmed == "2 ports of 2 pods take TLS only"


def test_a_proxy_without_any_configuration_shows_nothing_about_its_ports() -> None:
    unknown(taken(A, replace(B, inbound={})), "MTL-02", "Pod shop/b: its Envoy has no configuration from istiod yet")
    violated(taken(A, replace(B, inbound={}, pod=EXCLUDED)), "MTL-02", PAST, causes=("port-bypasses-proxy",))


@pytest.mark.parametrize(
    ("workload", "problems", "causes"),
    [
        (
            replace(B, inbound=PERMISSIVE),
            ["port 8080 takes plain text beside TLS (pod b)", "any other port takes plain text beside TLS (pod b)"],
            ("plain-text-accepted",),
        ),
        (
            replace(B, inbound=built.virtual_inbound(built.strict(), built.strict(PORT, SIMPLE))),
            ["port 8080 takes TLS without asking the client for an identity (pod b)"],
            (),
        ),
        (
            replace(B, inbound=DISABLED),
            ["port 8080 takes plain text only (pod b)", "any other port takes plain text only (pod b)"],
            ("mutual-tls-disabled",),
        ),
        (
            replace(B, inbound=built.virtual_inbound(built.strict(), built.disabled(PORT))),
            ["port 8080 takes plain text only (pod b)"],
            ("mutual-tls-disabled",),
        ),
        (
            replace(B, pod=EXCLUDED),
            [f"{PAST} (annotations of the pod: included *, excluded 8080; pod b)"],
            ("port-bypasses-proxy",),
        ),
        (
            replace(B, pod={"annotations": {"traffic.sidecar.istio.io/includeInboundPorts": "9090"}}),
            [f"{PAST} (annotations of the pod: included 9090, excluded none; pod b)"],
            ("port-bypasses-proxy",),
        ),
        (
            replace(B, spec={"host_network": True}),
            [f"{PAST} (the pod is in its node's network, where nothing is redirected; pod b)"],
            ("port-bypasses-proxy",),
        ),
    ],
)
def test_ports_that_take_plain_text(workload: Workload, problems: list[str], causes: tuple[str, ...]) -> None:
    finding = taken(A, workload)
    violated(finding, "MTL-02", *problems, evidence=("ev-tls-b",), causes=causes)
    assert [p.said for p in finding.problems] == problems
    assert {p.subject for p in finding.problems} == {ObjectRef("ReplicaSet", "b", "shop")}
    assert finding.problems[0].evidence == ("ev-tls-b", "ev-pod-b")


def test_pods_of_one_workload_are_one_subject() -> None:
    pair = [Workload(name, inbound=PERMISSIVE, pod={}) for name in ("c-1", "c-2")]
    made = ends(*pair)
    pods = [replace(pod, owner="ReplicaSet/c") for pod in made.mesh.pods]
    finding = no_port_takes_plain_text(type(made)(replace(made.mesh, pods=pods)))
    violated(finding, "MTL-02", "ReplicaSet shop/c: port 8080 takes plain text beside TLS (2 pods, such as c-1)")
    alone = [replace(pod, owner="") for pod in made.mesh.pods[:1]]
    finding = no_port_takes_plain_text(type(made)(replace(made.mesh, pods=alone)))
    assert {str(p.subject) for p in finding.problems} == {"Pod shop/c-1"}


def test_a_gateway_may_take_plain_text() -> None:
    inbound = built.dump(built.listener("0.0.0.0_8080", PORT, [built.chain("http")]))
    holds(taken(A, replace(B, inbound=inbound, pod={"proxy": ROUTER})), "MTL-02")


def test_namespaces_that_are_declared_and_pods_that_do_not_count() -> None:
    wrong = replace(B, namespace="legacy", inbound=PERMISSIVE)
    finding = taken(A, wrong, meant=Meant(plain=frozenset({"legacy"})))
    holds(finding, "MTL-02")
    assert [str(each.subject) for each in finding.left_out] == ["Pod legacy/b"]
    holds(taken(A, wrong, without={"uid-b"}), "MTL-02")
    everywhere = taken(A, wrong, meant=Meant(plain=frozenset({"legacy", "shop"})))
    inapplicable(everywhere, "MTL-02", "ev-tls-a")


def test_a_pods_damaged_settings_leave_only_itself_open() -> None:
    damaged = replace(B, pod={"annotations": {"traffic.sidecar.istio.io/excludeInboundPorts": "eighty"}})
    unknown(taken(A, damaged), "MTL-02", "Pod shop/b: the suite could not tell which ports go past its proxy", "eighty")
    violated(
        taken(replace(A, inbound=PERMISSIVE), damaged), "MTL-02", "ReplicaSet shop/a: port 8080 takes plain text beside TLS"
    )
    unknown(taken(A, replace(B, identity=None)), "MTL-02", "the suite could not read it")
    unknown(taken(A, replace(B, configured=False)), "MTL-02", "the suite could not read it")


# MTL-03.


def test_tls_everywhere() -> None:
    finding = sent(A, B)
    holds(finding, "MTL-03", "ev-tls-a", "ev-pods")
    assert finding.confirmed == "TLS alone is spoken to workloads of the mesh (4 ways)"


@pytest.mark.parametrize(
    ("client", "server", "words", "cause"),
    [
        (
            replace(A, clusters={"b": built.cluster(B.host, 80)}),
            B,
            "plain text goes to port 8080 of its pods, which the server refuses: it takes TLS only, and is sent plain text;"
            " the port takes TLS (1 way, such as Pod shop/a to Pod shop/b)",
            "client-sends-plain-text",
        ),
        (
            replace(A, clusters={"b": built.cluster(B.host, 80)}),
            replace(B, inbound=PERMISSIVE),
            "plain text goes to port 8080 of its pods; the port takes TLS and plain text",
            "client-sends-plain-text",
        ),
        (
            A,
            replace(B, inbound=DISABLED, marked=False),
            "the port takes plain text (2 ways, such as Pod shop/a to Pod shop/b)",
            "mutual-tls-disabled",
        ),
        (A, replace(B, pod=EXCLUDED, marked=False), "the port takes what goes past the proxy", "port-bypasses-proxy"),
        (A, replace(B, marked=False), "the port takes TLS (2 ways", "client-sends-plain-text"),
    ],
)
def test_plain_text_to_a_workload_of_the_mesh(client: Workload, server: Workload, words: str, cause: str) -> None:
    finding = sent(client, server)
    violated(finding, "MTL-03", "Service shop/b: ", words, evidence=("ev-tls-a", "ev-tls-b"), causes=(cause,))
    assert finding.problems[0].subject == ObjectRef("Service", "b", "shop")


def test_plain_text_to_a_gateway_is_left_out_by_number() -> None:
    inbound = built.dump(built.listener("0.0.0.0_8080", PORT, [built.chain("http")]))
    gateway = Workload("gateway", inbound=inbound, marked=False, pod={"proxy": ROUTER})
    finding = sent(A, gateway)
    holds(finding, "MTL-03")
    assert finding.confirmed == "TLS alone is spoken to workloads of the mesh (2 ways)"
    said = "ways to gateways, which serve clients without an identity: plain text on 2 ways"
    assert [f"{each.subject}: {each.said}" for each in finding.left_out] == [said]


def test_plain_text_out_of_the_mesh_is_nobodys_business_here() -> None:
    holds(sent(A, replace(B, pod={"injected": False}, marked=False)), "MTL-03")


def test_ways_that_are_declared_closed_or_do_not_count() -> None:
    closed = replace(A, clusters={"b": built.cluster("b.far.svc.cluster.local", 80)})
    far = replace(B, namespace="far")
    finding = sent(closed, far, meant=Meant(closed=frozenset({("shop", "far")})))
    holds(finding, "MTL-03")
    assert finding.confirmed == "TLS alone is spoken to workloads of the mesh (3 ways)"
    assert [each.said for each in finding.left_out] == ["plain text on 1 way"]
    assert not sent(A, B).left_out
    holds(sent(closed, far, without=("uid-b",)), "MTL-03")
    nowhere = replace(A, clusters={"a": built.cluster("db.example", 80)})
    inapplicable(sent(nowhere), "MTL-03", "ev-tls-a")
    inapplicable(sent(A, meant=Meant(closed=frozenset({("shop", "shop")}))), "MTL-03")
    dialled = replace(A, clusters={"a": built.cluster(A.host, 80, kind="ORIGINAL_DST")})
    unknown(sent(dialled), "MTL-03", "no reading decides any way between proxies of the mesh (1 way)")
    unknown(sent(A, replace(B, identity=None)), "MTL-03", "the suite could not read it")


@pytest.mark.parametrize(
    ("service", "ref"),
    [
        ("b.shop.svc.cluster.local:80", ObjectRef("Service", "b", "shop")),
        ("api.example.com:443", ObjectRef("", "api.example.com")),
        ("localhost:80", ObjectRef("", "localhost")),
    ],
)
def test_a_service_as_a_subject(service: str, ref: ObjectRef) -> None:
    assert service_ref(service) == ref


@pytest.mark.parametrize("judge", [taken, sent])
def test_a_mesh_without_workloads_shows_nothing(judge: Any) -> None:
    finding = judge(replace(A, pod={"injected": False}))
    assert (finding.holds, finding.condition) == (Holds.NOT_APPLICABLE, NO_WORKLOAD)
    assert finding.evidence
