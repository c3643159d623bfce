"""Listeners and their filter chains, by documents that are built (`tests.unit.facts.tls_dumps`), not captured."""

from __future__ import annotations

from typing import Any

import pytest

from facts.errors import CouldNotTell
from facts.proxies.tls.context import PLAIN, Layer
from facts.proxies.tls.inbound import Connection, FilterChain, Listener, parse_listeners
from tests.data import document
from tests.unit.facts import tls_dumps as built

ISTIO = ("istio-peer-exchange", "istio")
TLS = Connection(8080, encrypted=True, alpn=ISTIO)
RAW = Connection(8080, encrypted=False)


def only(*chains: list[dict[str, Any]]) -> Listener:
    (listener,) = parse_listeners(built.virtual_inbound(*chains))
    return listener


def layers(listener: Listener, port: int = 8080) -> tuple[Layer | None, Layer | None]:
    """What takes a handshake of the mesh, and what takes plain text."""
    found = [listener.taking(Connection(port, encrypted, alpn=ISTIO if encrypted else ())) for encrypted in (True, False)]
    return tuple(chain.socket.layer if chain else None for chain in found)  # type: ignore[return-value]


@pytest.mark.parametrize("port", [8080, 9999])
def test_permissive_takes_both(port: int) -> None:
    assert layers(only(built.permissive(), built.permissive(8080)), port) == (Layer.TLS, Layer.PLAIN)


@pytest.mark.parametrize("port", [8080, 9999])
def test_strict_takes_tls_alone(port: int) -> None:
    assert layers(only(built.strict(), built.strict(8080)), port) == (Layer.TLS, None)


@pytest.mark.parametrize("port", [8080, 9999])
def test_disabled_takes_plain_text_alone(port: int) -> None:
    assert layers(only(built.disabled(), built.disabled(8080)), port) == (None, Layer.PLAIN)


def test_a_port_of_its_own_does_not_fall_back_on_the_chains_of_all_others() -> None:
    listener = only(built.strict(), built.disabled(8080))
    assert layers(listener, 8080) == (None, Layer.PLAIN)
    assert layers(listener, 9090) == (Layer.TLS, None)


def test_a_handshake_without_the_meshs_protocols_passes_through_a_permissive_listener() -> None:
    chain = only(built.permissive()).taking(Connection(9999, encrypted=True, alpn=("h2",)))
    assert chain is not None
    assert (chain.name, chain.socket) == ("virtualInbound", PLAIN)


def test_the_chain_of_nothing_has_neither() -> None:
    chain = only(built.permissive()).taking(Connection(15006, encrypted=False))
    assert chain is not None
    assert chain.name == "virtualInbound-blackhole"


def test_what_the_chains_are_for() -> None:
    listener = only(built.permissive(8080))
    assert [(c.port, c.transport, c.is_for_the_mesh) for c in listener.chains[1:]] == [
        (8080, "tls", True),
        (8080, "raw_buffer", False),
    ]


def test_the_default_chain_takes_what_no_chain_takes() -> None:
    default = built.chain("last", socket=built.downstream())
    entry = built.listener("virtualInbound", 15006, built.disabled(8080), default_filter_chain=default)
    (listener,) = parse_listeners(built.dump(entry))
    taking = listener.taking(TLS)
    assert taking is not None
    assert taking.name == "last"
    assert listener.taking(RAW) == listener.chains[0]
    assert [c.name for c in listener.all_chains] == ["0.0.0.0_8080", "last"]


def chain(name: str, **match: Any) -> FilterChain:
    entry = built.listener("0.0.0.0_8443", 8443, [built.chain(name, **match)])
    return parse_listeners(built.dump(entry))[0].chains[0]


@pytest.mark.parametrize(
    ("sni", "name"),
    [
        ("a.example.com", "exact"),
        ("A.EXAMPLE.com", "exact"),
        ("b.example.com", "wildcard"),
        ("c.b.example.com", "deeper"),
        ("example.com", "any"),
        ("", "any"),
    ],
)
def test_a_gateway_goes_by_the_server_name(sni: str, name: str) -> None:
    chains = (
        chain("any"),
        chain("wildcard", server_names=["*.example.com"]),
        chain("deeper", server_names=["*.b.example.com", "x"]),
        chain("exact", server_names=["a.example.com"]),
    )
    taking = Listener("0.0.0.0_8443", 8443, chains).taking(Connection(8443, encrypted=True, sni=sni))
    assert taking is not None
    assert taking.name == name


@pytest.mark.parametrize(
    ("address", "name"),
    [("10.1.2.3", "narrow"), ("10.9.9.9", "wide"), ("192.0.2.1", "any"), ("", "any"), ("fd00::1", "six")],
)
def test_the_narrowest_address_range_decides(address: str, name: str) -> None:
    chains = (
        chain("any"),
        chain("wide", prefix_ranges=[{"address_prefix": "10.0.0.0", "prefix_len": 8}]),
        chain("narrow", prefix_ranges=[{"address_prefix": "10.1.0.0", "prefix_len": 16}]),
        chain("six", prefix_ranges=[{"address_prefix": "fd00::", "prefix_len": 8}]),
    )
    taking = Listener("virtualInbound", 15006, chains).taking(Connection(80, encrypted=False, address=address))
    assert taking is not None
    assert taking.name == name


def test_the_clients_first_protocol_decides() -> None:
    chains = (chain("h2", alpn=["h2"]), chain("istio", alpn=["istio"]))
    listener = Listener("virtualInbound", 15006, chains)
    for offered, name in ((("istio", "h2"), "istio"), (("h2", "istio"), "h2")):
        taking = listener.taking(Connection(80, encrypted=True, alpn=offered))
        assert taking is not None
        assert taking.name == name
    assert listener.taking(Connection(80, encrypted=True)) is None


def test_a_chain_for_any_of_the_clients_protocols_is_more_specific_than_one_for_all() -> None:
    chains = (chain("any"), chain("istio", alpn=["istio"]))
    taking = Listener("virtualInbound", 15006, chains).taking(Connection(80, encrypted=True, alpn=("x", "istio")))
    assert taking is not None
    assert taking.name == "istio"


def test_an_exact_server_name_wins_over_the_longest_that_ends_alike() -> None:
    chains = (chain("wildcard", server_names=["*.b.c"]), chain("exact", server_names=["a.b.c"]))
    for each in (chains, chains[::-1]):
        taking = Listener("x", 443, each).taking(Connection(443, encrypted=True, sni="a.b.c"))
        assert taking is not None
        assert taking.name == "exact"


def test_a_listener_of_a_gateway_is_bound_to_its_port() -> None:
    listeners = parse_listeners(
        built.dump(built.listener("0.0.0.0_8080", 8080, [built.chain("a")]), built.listener("internal", 0, []))
    )
    assert [(each.name, each.port, each.is_virtual) for each in listeners] == [
        ("0.0.0.0_8080", 8080, False),
        ("internal", 0, False),
    ]


def test_a_whole_dump_and_a_listener_that_is_not_active() -> None:
    inactive = {"name": "warming"}
    entry = built.listener("virtualInbound", 15006, built.strict(8080))
    listeners = parse_listeners({"configs": [{"@type": "x.ListenersConfigDump", "dynamic_listeners": [entry, inactive]}]})
    assert [each.name for each in listeners] == ["virtualInbound"]
    assert parse_listeners({}) == ()


def test_the_captured_listener_has_its_ports() -> None:
    """The capture was cut down to what path normalization is read from, so it has no transport sockets."""
    (listener,) = parse_listeners(document("healthy/inbound_listeners.json"))
    assert listener.is_virtual
    assert {c.port for c in listener.chains} == {None, 8080, 15006}
    taking = listener.taking(TLS)
    assert taking is not None
    assert taking.port == 8080
    assert taking.is_for_the_mesh


def with_match(**match: Any) -> dict[str, Any]:
    return built.dump(built.listener("virtualInbound", 15006, [{"filter_chain_match": match}]))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("no JSON", "a dump in JSON"),
        ({"configs": [{"active_state": {"listener": {"name": 3}}}]}, "the field name"),
        (with_match(destination_port="a"), "destination_port"),
        (with_match(prefix_ranges=[{"address_prefix": "a"}]), "an address prefix"),
    ],
)
def test_a_damaged_dump_is_said_to_be_damaged(answer: Any, said: str) -> None:
    with pytest.raises(CouldNotTell) as caught:
        parse_listeners(answer)
    assert said in caught.value.expected
