"""TLS contexts, by documents that are built (`tests.unit.facts.tls_dumps`), not captured."""

from __future__ import annotations

from typing import Any

import pytest

from facts.errors import CouldNotTell
from facts.proxies.envoy import Validator
from facts.proxies.tls.context import (
    INLINE,
    NOTHING,
    PLAIN,
    Layer,
    MatchKind,
    NameMatch,
    TlsContext,
    expects,
    parse_context,
    parse_socket,
)
from tests.unit.facts import tls_dumps as built
from tests.unit.facts.authorities import Authority, inline

CART = "spiffe://teleport.example.com/ns/shop/sa/cart"


def test_the_context_of_a_server() -> None:
    socket = parse_socket(built.downstream())
    assert socket.layer is Layer.TLS
    assert socket.tls == TlsContext(
        certificate="default",
        validation="ROOTCA",
        sources=frozenset({"sds-grpc"}),
        inline=NOTHING,
        names=(NameMatch(MatchKind.PREFIX, "spiffe://teleport.example.com/"),),
        demands_certificate=True,
        alpn=("h2", "http/1.1"),
    )


def test_the_context_of_a_client() -> None:
    context = parse_socket(built.upstream("cart.shop.svc.cluster.local", 80, [CART])).tls
    assert context is not None
    assert context.sni == "outbound_.80_._.cart.shop.svc.cluster.local"
    assert context.names == (NameMatch(MatchKind.EXACT, CART),)
    assert context.alpn == ("istio-peer-exchange", "istio")
    assert not context.demands_certificate


@pytest.mark.parametrize(
    ("document", "layer"),
    [
        (None, Layer.PLAIN),
        ({}, Layer.PLAIN),
        (built.RAW_BUFFER, Layer.PLAIN),
        ({"name": "renamed", "typed_config": {"@type": "type.googleapis.com/a.b.v3.RawBuffer"}}, Layer.PLAIN),
        ({"name": "envoy.transport_sockets.raw_buffer"}, Layer.PLAIN),
        ({"name": "envoy.transport_sockets.internal_upstream", "typed_config": {"@type": "a.B"}}, Layer.TUNNEL),
        ({"name": "x", "typed_config": {"@type": "a.InternalUpstreamTransport"}}, Layer.TUNNEL),
        ({"name": "envoy.transport_sockets.starttls", "typed_config": {"@type": "a.StartTlsConfig"}}, Layer.OTHER),
    ],
)
def test_the_layer_of_a_socket(document: Any, layer: Layer) -> None:
    socket = parse_socket(document)
    assert socket.layer is layer
    assert socket.tls is None
    assert (socket == PLAIN) is (layer is Layer.PLAIN)


def test_authorities_and_certificates_in_the_context_itself() -> None:
    authority = Authority("istiod")
    context = parse_context(
        {
            "common_tls_context": {
                "tls_certificates": [{"certificate_chain": {}}],
                "validation_context": {"trusted_ca": inline(authority.pem), "match_subject_alt_names": [{"prefix": "a"}]},
            }
        }
    )
    assert (context.certificate, context.validation, context.sources) == (INLINE, "", frozenset())
    assert context.inline.validator is Validator.TRUSTED_CA
    assert context.inline.authorities == (("", (authority.certificate,)),)
    assert context.names == (NameMatch(MatchKind.PREFIX, "a"),)


def test_a_context_without_anything() -> None:
    assert parse_context({}) == TlsContext()


def test_a_validation_secret_without_a_combined_context_and_a_source_over_ads() -> None:
    common = {
        "tls_certificate_sds_secret_configs": [{"name": "kubernetes://c", "sds_config": {"ads": {}}}],
        "validation_context_sds_secret_config": {"name": "ROOTCA", "sds_config": {}},
    }
    context = parse_context({"common_tls_context": common})
    assert (context.certificate, context.validation, context.sources) == ("kubernetes://c", "ROOTCA", frozenset({"ads"}))


@pytest.mark.parametrize(
    ("matcher", "name", "fits"),
    [
        ({"exact": CART}, CART, True),
        ({"exact": CART}, f"{CART}2", False),
        ({"exact": CART.upper(), "ignore_case": True}, CART, True),
        ({"exact": CART.upper()}, CART, False),
        ({"prefix": "spiffe://teleport.example.com/"}, CART, True),
        ({"prefix": "spiffe://teleport.example.com/"}, "spiffe://teleport.example.community/ns/a/sa/b", False),
        ({"suffix": "/sa/cart"}, CART, True),
        ({"suffix": "/sa/car"}, CART, False),
        ({"contains": "/ns/shop/"}, CART, True),
        ({"contains": "/ns/bank/"}, CART, False),
        ({"safe_regex": {"regex": "spiffe://.*/sa/cart"}}, CART, True),
        ({"safe_regex": {"regex": "/sa/cart"}}, CART, False),
        ({"safe_regex": {"regex": r"spiffe://teleport\.example\.com/ns/[^/]+/sa/[^/]+"}}, CART, True),
        ({"safe_regex": {"regex": r"spiffe://teleport\.example\.com/ns/[^/]+"}}, CART, False),
    ],
)
def test_an_expected_name(matcher: dict[str, Any], name: str, fits: bool) -> None:
    context = parse_context({"common_tls_context": {"validation_context": {"match_subject_alt_names": [matcher]}}})
    assert expects(context.names, [name]) is fits
    assert expects(context.names, ["spiffe://x/y", name]) is fits
    assert not expects(context.names, [])


@pytest.mark.parametrize(("kind", "fits"), [("URI", True), ("", True), ("SAN_TYPE_UNSPECIFIED", True), ("DNS", False)])
def test_an_expected_name_with_its_type(kind: str, fits: bool) -> None:
    typed = [{"san_type": kind, "matcher": {"exact": CART}}]
    both = {"match_typed_subject_alt_names": typed, "match_subject_alt_names": [{"exact": "other"}]}
    context = parse_context({"common_tls_context": {"validation_context": both}})
    assert expects(context.names, [CART]) is fits
    assert not expects(context.names, ["other"])


def test_an_expected_name_in_words() -> None:
    assert str(NameMatch(MatchKind.EXACT, CART)) == CART
    assert str(NameMatch(MatchKind.PREFIX, "spiffe://a/")) == "prefix spiffe://a/"


def test_the_first_of_several_certificates_counts() -> None:
    both = {"tls_certificate_sds_secret_configs": [built.secret("default"), built.secret("other", "elsewhere")]}
    context = parse_context({"common_tls_context": both})
    assert context.certificate == "default"
    assert context.sources == {"sds-grpc", "elsewhere"}


def test_without_an_expected_name_every_name_is_one() -> None:
    assert expects((), [CART])
    assert expects((), [])


@pytest.mark.parametrize(
    ("common", "said"),
    [
        ({"validation_context": {"match_subject_alt_names": [{"custom": {}}]}}, "safe_regex custom"),
        ({"validation_context": {"match_subject_alt_names": [{}]}}, "nothing"),
        ({"validation_context": {"match_subject_alt_names": [{"safe_regex": {"regex": "("}}]}}, "a regular expression"),
        ({"validation_context": {"match_subject_alt_names": [{"safe_regex": {"regex": "(a|a)*b"}}]}}, "(a|a)*b"),
        ({"validation_context": {"match_subject_alt_names": ["a"]}}, "a list of mappings"),
        ({"tls_certificate_sds_secret_configs": [{}]}, "the field name"),
        ({"combined_validation_context": {"validation_context_sds_secret_config": {"sds_config": {}}}}, "the field name"),
        ({"validation_context": {"custom_validator_config": {"name": "x"}}}, "envoy.tls.cert_validator.spiffe"),
    ],
)
def test_a_damaged_context_is_said_to_be_damaged(common: dict[str, Any], said: str) -> None:
    with pytest.raises(CouldNotTell) as caught:
        parse_context({"common_tls_context": common}, "a cluster")
    assert said in f"{caught.value.expected} {caught.value.seen}"
