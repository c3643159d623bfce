"""One way at a time: what each end speaks, and which of them objects first."""

from __future__ import annotations

from dataclasses import replace

import pytest

from facts.proxies.envoy import Validator
from facts.proxies.tls.context import PLAIN, Layer, MatchKind, NameMatch, Socket, TlsContext
from judge.mtls.peers import Check, Peer, Refusal, Standing
from judge.mtls.prediction import (
    COMPLETES,
    GOES_PLAIN,
    Client,
    Outcome,
    Prediction,
    Server,
    Side,
    Unpredictable,
    predict,
    refused,
)

NAMES = (NameMatch(MatchKind.PREFIX, "spiffe://a/"),)
PEER = Peer(
    standing=Standing.VALID,
    is_authority=False,
    trust_domain="a",
    anchors=frozenset({"1"}),
    lapsed=frozenset(),
    fits=frozenset({NAMES}),
    holds=Check(Validator.SPIFFE, frozenset({("a", "1")})),
)
EMPTY = replace(PEER, standing=Standing.ABSENT, holds=Check(Validator.NONE, frozenset()))
STRANGER = replace(PEER, anchors=frozenset({"2"}))
OFFERED = TlsContext("default", "ROOTCA")
TAKEN = TlsContext("default", "ROOTCA", names=NAMES, demands_certificate=True)
BARE, UNCHECKED = replace(OFFERED, certificate=""), replace(OFFERED, validation="")


def tls(context: TlsContext) -> Socket:
    return Socket(Layer.TLS, context)


def way(
    offered: TlsContext = OFFERED,
    taken: TlsContext = TAKEN,
    *,
    caller: Peer = PEER,
    called: Peer = PEER,
    expects: bool = True,
) -> Prediction | Unpredictable:
    return predict(Client(tls(offered), caller, expects), Server(tls(taken), called))


def onto_plain_text(caller: Peer) -> Prediction | Unpredictable:
    return predict(Client(tls(OFFERED), caller, expects_peer=True), Server(PLAIN, PEER))


def test_both_accept_each_other() -> None:
    assert way() == COMPLETES
    assert str(COMPLETES) == "the handshake completes"


@pytest.mark.parametrize(
    ("found", "by", "refusal"),
    [
        (way(caller=STRANGER), Side.SERVER, Refusal.AUTHORITY),
        (way(called=STRANGER), Side.CLIENT, Refusal.AUTHORITY),
        (way(caller=STRANGER, called=STRANGER), Side.CLIENT, Refusal.AUTHORITY),
        (way(expects=False), Side.CLIENT, Refusal.NAME),
        (way(caller=replace(PEER, fits=frozenset())), Side.SERVER, Refusal.NAME),
        (way(caller=EMPTY), Side.CLIENT, Refusal.SILENT),
        (way(called=EMPTY), Side.SERVER, Refusal.SILENT),
        (way(caller=replace(PEER, standing=Standing.ABSENT)), Side.CLIENT, Refusal.SILENT),
        (way(caller=replace(PEER, holds=EMPTY.holds)), Side.CLIENT, Refusal.SILENT),
        (way(called=replace(PEER, standing=Standing.ABSENT)), Side.SERVER, Refusal.SILENT),
        (way(called=replace(PEER, holds=EMPTY.holds)), Side.SERVER, Refusal.SILENT),
        (way(BARE), Side.SERVER, Refusal.MISSING),
        (onto_plain_text(replace(PEER, holds=EMPTY.holds)), Side.CLIENT, Refusal.SILENT),
        (onto_plain_text(replace(PEER, standing=Standing.ABSENT)), Side.CLIENT, Refusal.SILENT),
        (way(BARE, called=STRANGER), Side.CLIENT, Refusal.AUTHORITY),
    ],
)
def test_one_of_them_refuses(found: Prediction, by: Side, refusal: Refusal) -> None:
    assert found == refused(by, refusal)
    assert str(found) == f"the {by} refuses: {refusal}"
    assert found.outcome is Outcome.REFUSED


def test_what_is_not_asked_for_is_not_refused() -> None:
    assert way(BARE, replace(TAKEN, demands_certificate=False)) == COMPLETES
    assert way(BARE, replace(TAKEN, demands_certificate=False), caller=replace(PEER, standing=Standing.ABSENT)) == COMPLETES
    assert way(UNCHECKED, called=STRANGER, expects=False) == COMPLETES
    assert way(taken=replace(TAKEN, validation=""), caller=STRANGER) == COMPLETES
    assert way(taken=replace(TAKEN, names=()), caller=replace(PEER, fits=frozenset())) == COMPLETES
    assert way(taken=replace(TAKEN, demands_certificate=False), caller=STRANGER) == refused(Side.SERVER, Refusal.AUTHORITY)


def test_what_a_lenient_proxy_would_refuse_otherwise_is_not_predicted() -> None:
    offered, taken = replace(OFFERED, accepts_invalid=True), replace(TAKEN, accepts_invalid=True)
    assert way(offered) == COMPLETES
    assert way(offered, called=STRANGER) is Unpredictable.LENIENT
    assert way(offered, caller=STRANGER) == refused(Side.SERVER, Refusal.AUTHORITY)
    assert way(taken=taken, caller=STRANGER) is Unpredictable.LENIENT
    assert way(taken=taken, called=STRANGER) == refused(Side.CLIENT, Refusal.AUTHORITY)


@pytest.mark.parametrize(
    "found",
    [
        way(replace(OFFERED, certificate="other")),
        way(replace(OFFERED, validation="other")),
        way(taken=replace(TAKEN, certificate="other")),
        way(taken=replace(TAKEN, certificate="")),
        way(taken=replace(TAKEN, validation="other")),
        predict(Client(tls(OFFERED), None, expects_peer=True), Server(tls(TAKEN), PEER)),
    ],
)
def test_secrets_that_nothing_tells(found: Prediction | Unpredictable) -> None:
    assert found is Unpredictable.OTHER_SECRET


@pytest.mark.parametrize(
    ("client", "server", "comes_to"),
    [
        (PLAIN, PLAIN, GOES_PLAIN),
        (PLAIN, tls(TAKEN), refused(Side.SERVER, Refusal.PLAIN_AGAINST_TLS)),
        (PLAIN, None, refused(Side.SERVER, Refusal.PLAIN_AGAINST_TLS)),
        (tls(OFFERED), PLAIN, refused(Side.SERVER, Refusal.TLS_AGAINST_PLAIN)),
        (tls(OFFERED), None, refused(Side.SERVER, Refusal.TLS_AGAINST_PLAIN)),
        (Socket(Layer.TUNNEL), tls(TAKEN), Unpredictable.TUNNEL),
        (Socket(Layer.OTHER), tls(TAKEN), Unpredictable.OTHER_TRANSPORT),
        (PLAIN, Socket(Layer.OTHER), Unpredictable.OTHER_TRANSPORT),
        (tls(OFFERED), Socket(Layer.TUNNEL), Unpredictable.OTHER_TRANSPORT),
    ],
)
def test_transports(client: Socket, server: Socket | None, comes_to: Prediction | Unpredictable) -> None:
    assert predict(Client(client, PEER, expects_peer=True), Server(server, PEER)) == comes_to


def test_an_end_without_a_proxy() -> None:
    assert predict(Client(PLAIN, None, expects_peer=True), Server(PLAIN, None)) == GOES_PLAIN
    assert predict(Client(tls(OFFERED), PEER, expects_peer=True), Server(PLAIN, None)) == refused(
        Side.SERVER, Refusal.TLS_AGAINST_PLAIN
    )
    assert predict(Client(tls(OFFERED), PEER, expects_peer=True), Server(tls(TAKEN), None)) == refused(
        Side.SERVER, Refusal.TLS_AGAINST_PLAIN
    )
