"""MTL-05: the prediction is right. What the suite predicts for its own test pods is what their handshakes come to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from facts.evidence import readings
from facts.finding import Finding, Problem, Remark
from facts.proxies.tls.context import PLAIN, Socket
from facts.traffic.handshakes import Ended, SeenHandshake
from judge.findings import Claim
from judge.mtls.ends import Ends
from judge.mtls.prediction import Client, Outcome, Prediction, Server, Unpredictable, predict

BORNE_OUT: Mapping[Outcome, frozenset[Ended]] = {
    Outcome.COMPLETED: frozenset({Ended.MUTUAL, Ended.LET_IN}),
    Outcome.PLAIN: frozenset({Ended.PLAIN, Ended.LET_IN}),
    Outcome.REFUSED: frozenset({Ended.REFUSED}),
}
"""The ends that bear out a predicted outcome."""


def predictions_are_right(ends: Ends, seen: Sequence[SeenHandshake]) -> Finding:
    """MTL-05: every handshake in the ledger ended as predicted.

    Args:
        ends: The proxies, read while the ledger was written.
        seen: The ledger; at least one end of each entry has a proxy.
    """
    claim = Claim(
        "MTL-05",
        "each handshake between the suite's test pods to end as predicted",
        f"{len(seen)} handshakes",
        (*ends.mesh.all_evidence, *readings(*seen)),
    )
    if not seen:
        open_point = claim.problem("the ledger has no entry")
        return claim.judged(unclear=[open_point], settle="see why the test pods made no connection")
    problems, unclear, held = [], [], []
    for each in seen:
        predicted = {*predicted_ways(ends, each)}
        if each.ended is Ended.UNTOLD or not predicted or any(isinstance(p, Unpredictable) for p in predicted):
            told = ", ".join(sorted(map(str, predicted))) or "no cluster of the client leads there"
            unclear.append(_problem(each, f"predicted: {told}; seen: {each.ended} ({each.said})"))
            continue
        outcomes = [p for p in predicted if isinstance(p, Prediction)]
        told = " or ".join(sorted(map(str, outcomes)))
        # A port of a pod can be behind several services, and a gateway can have several pods; the ledger's connection went
        # over one of them.
        if any(each.ended in BORNE_OUT[p.outcome] for p in outcomes):
            held.append(Remark(each.server, f"{each.client}, port {each.port}: {told}"))
        else:
            problems.append(_problem(each, f"predicted: {told}; seen: {each.ended} ({each.said})"))
    return claim.judged(
        problems,
        held=held,
        unclear=unclear,
        settle="make the connection again, and read both proxies before and after it",
    )


def _problem(seen: SeenHandshake, said: str) -> Problem:
    return Problem(seen.server, f"{seen.client}, port {seen.port}: {said}", evidence=seen.evidence)


def predicted_ways(ends: Ends, seen: SeenHandshake) -> list[Prediction | Unpredictable]:
    """The predictions for one entry of a ledger, one for each way that it may be; none where no cluster leads there."""
    return [each for client, server in seen.pairs for each in _between(ends, client.uid, server.uid, seen.port)]


def _between(ends: Ends, client_uid: str, server_uid: str, port: int) -> list[Prediction | Unpredictable]:
    client, server = ends.pods.get(client_uid), ends.pods.get(server_uid)
    if server is None or client is None:
        return []
    if client.is_injected and client.uid not in ends.tls:
        return [Unpredictable.UNREAD]
    sockets = [PLAIN] if not client.is_injected else _sockets(ends, client.uid, server.ip, port)
    found: list[Prediction | Unpredictable] = []
    for socket in dict.fromkeys(sockets):
        far = ends.server(server, port, socket) if server.is_injected else Server(PLAIN, None)
        if isinstance(far, Unpredictable):
            found.append(far)
        else:
            expected = ends.is_expected(server, socket)
            found.append(predict(Client(socket, ends.peer(client), expected), far))
    return found


def _sockets(ends: Ends, client: str, address: str, port: int) -> list[Socket]:
    return [
        destination.socket_to(endpoint)
        for destination in ends.tls[client].destinations
        for endpoint in destination.endpoints
        if (endpoint.address, endpoint.port) == (address, port)
    ]
