"""The ports of a workload: those that it declares, those that its proxy knows, and every other one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from judge.mtls.ends import Ends, Takes
from judge.mtls.ports import ANY_OTHER, named, ports_of, takes_plain_text, takes_without_identity
from tests.unit.facts import tls_dumps as built
from tests.unit.judge import builders as make
from tests.unit.judge.mtls.meshes import DISABLED, PERMISSIVE, PORT, STRICT, Workload, ends

A = Workload("a")


def one(**changes: Any) -> Ends:
    return ends(replace(A, **changes))


def ports(of: Ends) -> list[int]:
    return ports_of(of, of.mesh.pods[0])


def plain(of: Ends) -> dict[int, Takes]:
    return takes_plain_text(of, of.mesh.pods[0])


def test_declared_ports_and_ports_with_a_chain() -> None:
    assert ports(one()) == [PORT]
    assert ports(one(inbound=built.virtual_inbound(built.strict(), built.strict(9090)))) == [PORT, 9090]
    assert ports(one(inbound=built.virtual_inbound(built.strict(), built.strict(15021)))) == [PORT]


def test_a_workload_without_a_known_port() -> None:
    bare = {"containers": (make.istio_proxy(tcp_ports=(15090,)),)}
    assert ports(one(spec=bare, inbound=built.virtual_inbound(built.strict()))) == [ANY_OTHER]
    assert ports(one(spec=bare, inbound=built.virtual_inbound(built.strict(), built.strict(9090)))) == [9090]


def test_chains_of_other_listeners_are_no_ports_of_the_application() -> None:
    elsewhere = built.listener("0.0.0.0_9090", 9090, built.strict(9090))
    assert ports(one(inbound=built.dump(elsewhere))) == [PORT]


@pytest.mark.parametrize(
    ("inbound", "pod", "takes"),
    [
        (STRICT, {}, {}),
        (PERMISSIVE, {}, {PORT: Takes.BOTH, ANY_OTHER: Takes.BOTH}),
        (DISABLED, {}, {PORT: Takes.PLAIN, ANY_OTHER: Takes.PLAIN}),
        (built.virtual_inbound(built.strict(), built.permissive(PORT)), {}, {PORT: Takes.BOTH}),
        (built.virtual_inbound(built.permissive(), built.strict(PORT)), {}, {ANY_OTHER: Takes.BOTH}),
        (STRICT, {"traffic.sidecar.istio.io/excludeInboundPorts": "8080"}, {PORT: Takes.PAST}),
        (STRICT, {"traffic.sidecar.istio.io/includeInboundPorts": "8080"}, {}),
        (PERMISSIVE, {"traffic.sidecar.istio.io/includeInboundPorts": "9090"}, {PORT: Takes.PAST}),
        (PERMISSIVE, {"traffic.sidecar.istio.io/includeInboundPorts": "x"}, {}),
        (built.virtual_inbound(), {}, {}),
    ],
)
def test_ports_on_which_plain_text_gets_in(inbound: Any, pod: dict[str, str], takes: dict[int, Takes]) -> None:
    assert plain(one(inbound=inbound, pod={"annotations": pod})) == takes


def test_tls_that_asks_clients_for_no_identity_is_no_plain_text() -> None:
    own: dict[str, Any] = {"tls_certificate_sds_secret_configs": [built.secret("file-cert:/etc/c~/etc/k")]}
    simple = built.downstream(common_tls_context=own, require_client_certificate=False)
    made = one(inbound=built.virtual_inbound(built.strict(), built.strict(PORT, simple)))
    assert (plain(made), takes_without_identity(made, made.mesh.pods[0])) == ({}, {PORT: Takes.ONE_SIDED})
    mutual = built.downstream(common_tls_context=own)
    asking = one(inbound=built.virtual_inbound(built.strict(), built.strict(PORT, mutual)))
    assert takes_without_identity(asking, asking.mesh.pods[0]) == {}
    lenient = built.downstream(require_client_certificate=False)
    validating = one(inbound=built.virtual_inbound(built.strict(), built.strict(PORT, lenient)))
    assert takes_without_identity(validating, validating.mesh.pods[0]) == {}


def test_a_port_by_its_name() -> None:
    assert (named(PORT), named(ANY_OTHER)) == ("port 8080", "any other port")
