"""The section of a report: plain data that comes back from its JSON as it was."""

from __future__ import annotations

import json
from dataclasses import replace

from pydantic import TypeAdapter

from facts.proxies.envoy import Validator
from judge.mtls.ends import Takes
from judge.mtls.pairs import table_of
from judge.mtls.peers import Refusal, Standing
from judge.mtls.prediction import Outcome, Side
from judge.mtls.table import Meant
from judge.mtls.told import MEMBERS, SERVICES, Handshakes, ToldNamespace, told
from tests.unit.facts import tls_dumps as built
from tests.unit.judge import builders as make
from tests.unit.judge.certificates import TRUST_DOMAIN
from tests.unit.judge.mtls.meshes import PERMISSIVE, PORT, ROUTER, Workload, ends


def section(*workloads: Workload, meant: Meant | None = None) -> Handshakes:
    made = ends(*workloads)
    return told(made, table_of(made, meant or Meant()))


def test_a_mesh_as_plain_data() -> None:
    workloads = [Workload(f"w{number}") for number in range(MEMBERS + 1)]
    made = section(*workloads, Workload("plain", inbound=PERMISSIVE, marked=False, identity=make.istiod_proxy))
    first, second = made.classes
    assert (first.number, first.issuer, first.trust_domain) == (1, "CN=teleport", TRUST_DOMAIN)
    assert (first.certificate, first.is_authority, first.validator) == (Standing.VALID, False, Validator.SPIFFE)
    assert (first.members, len(first.examples), first.examples[0]) == (MEMBERS + 1, MEMBERS, "shop/w0")
    assert (second.issuer, second.validator, second.members) == ("CN=istiod", Validator.TRUSTED_CA, 1)
    assert [(p.client, p.server, p.outcome, p.ways) for p in made.pairs] == [
        (2, 1, Outcome.REFUSED, 6),
        (1, 2, Outcome.PLAIN, 6),
        (2, 2, Outcome.PLAIN, 1),
        (1, 1, Outcome.COMPLETED, 36),
    ]
    refused, plain, _, completed = made.pairs
    assert (refused.refused_by, refused.reason, refused.port) == (Side.CLIENT, Refusal.AUTHORITY, PORT)
    assert (refused.clients, refused.servers, refused.expects_server, refused.speaks) == (1, 6, True, "TLS")
    assert refused.examples[0] == "Pod shop/plain to Pod shop/w0 as w0.shop.svc.cluster.local:80"
    assert refused.services == {f"w{number}.shop.svc.cluster.local:80": 1 for number in range(MEMBERS + 1)}
    assert (refused.cause, plain.cause) == ("", "")
    assert (plain.takes, plain.speaks, plain.services) == (Takes.BOTH, "plain text", {"plain.shop.svc.cluster.local:80": 6})
    assert (completed.refused_by, completed.reason, completed.services) == (None, None, {})
    assert made.not_predictable == {}


def test_it_comes_back_from_its_json_as_it_was() -> None:
    adapter = TypeAdapter(Handshakes)
    made = section(Workload("a", more=[built.passthrough()]), Workload("b", identity=make.istiod_proxy))
    document = json.loads(adapter.dump_json(made))
    assert adapter.validate_python(document) == made
    assert document["not_predictable"] == {"any address outside of the mesh's Services": 1}


def test_services_are_those_with_the_most_ways() -> None:
    workloads = [Workload(f"w{number:02}") for number in range(SERVICES + 2)]
    made = section(*workloads[:-1], replace(workloads[-1], identity=make.istiod_proxy))
    (to_many,) = [p for p in made.pairs if p.client == 2 and p.server == 1]
    assert list(to_many.services) == [f"w{number:02}.shop.svc.cluster.local:80" for number in range(SERVICES)]


def test_what_is_declared_closed_comes_last() -> None:
    far = Workload("far", namespace="far", identity=make.istiod_proxy)
    made = section(Workload("a"), far, meant=Meant(closed=frozenset({("shop", "far")})))
    assert [(p.outcome, p.declared_closed) for p in made.pairs] == [
        (Outcome.REFUSED, False),
        (Outcome.COMPLETED, False),
        (Outcome.COMPLETED, False),
        (Outcome.REFUSED, True),
    ]


def test_who_takes_plain_text_by_namespace() -> None:
    past = {"annotations": {"traffic.sidecar.istio.io/excludeInboundPorts": str(PORT)}}
    workloads = (
        Workload("strict"),
        Workload("open", namespace="legacy", inbound=PERMISSIVE),
        Workload("past", namespace="legacy", inbound=PERMISSIVE, pod=past),
        Workload("off", namespace="old", inbound=built.virtual_inbound(built.disabled(), built.disabled(PORT))),
        Workload("unread", namespace="old", identity=None),
    )
    assert section(*workloads).plain_text == (ToldNamespace("legacy", 2, 2, 0, 1), ToldNamespace("old", 1, 0, 1, 0))
    made = ends(*workloads)
    assert told(made, table_of(made), ["uid-open", "uid-past", "uid-off"]).plain_text == ()


def test_a_pair_names_the_cause_of_its_refusal() -> None:
    odd = Workload("odd", identity=make.istiod_proxy, pod={"socket": make.EMPTY_DIR})
    assert {pair.cause for pair in section(Workload("a"), odd).refused} == {"template-not-requested"}


def test_gateways_are_told_apart_from_sidecars_of_their_class() -> None:
    made = section(Workload("a"), Workload("gateway", inbound={}, marked=False, pod={"proxy": ROUTER}))
    assert {(p.client, p.from_gateways, p.to_gateways, p.ways) for p in made.pairs} == {
        (1, False, False, 1),
        (1, True, False, 1),
    }
