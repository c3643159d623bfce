"""What the programs of the intruders print."""

from __future__ import annotations

import json
from typing import Any

import pytest

from facts.errors import CouldNotTell
from facts.traffic.attempts import OutsideProbe, parse_relay, parse_tls_client
from facts.traffic.refusal import AttemptEnd, AttemptOutcome
from facts.traffic.tls_alerts import Objection
from provision.negative.forgery import forged

CLAIM = "spiffe://other.conformance.invalid/ns/run/sa/stranger"
UID = "12345678-1234-1234-1234-123456789abc"


def relay(**changes: str) -> str:
    """What the relay prints when it has gone over to the node's mounts."""
    return json.dumps({"mounts": "mnt:[1]", "mounts_of_node": "mnt:[1]", "root": "/"} | changes)


def test_a_relay_tells_what_it_has_become() -> None:
    assert parse_relay(relay() + "\n" + '{"error": "later"}\n') == (True, "/")
    assert parse_relay(relay(mounts="mnt:[2]")) == (False, "/")


@pytest.mark.parametrize("text", ["", "PermissionError: [Errno 1] Operation not permitted: '/proc/1/ns/mnt'", "{}"])
def test_a_relay_that_could_not_go_over(text: str) -> None:
    with pytest.raises(CouldNotTell):
        parse_relay(text)


@pytest.mark.parametrize(
    ("mounts", "root", "outside"),
    [
        (True, "/", True),
        (True, "/system.slice/kubelet.service", True),
        (True, f"/kubepods/burstable/pod{UID}/{'a' * 64}", False),
        (True, f"/kubelet-kubepods-pod{UID.replace('-', '_')}.slice/cri-containerd-{'a' * 64}.scope", False),
        (False, "/", False),
    ],
)
def test_a_process_is_outside_where_tbot_can_see_no_pod(mounts: bool, root: str, outside: bool) -> None:
    probe = OutsideProbe("node-1", mounts, root, None, AttemptOutcome(AttemptEnd.SDS), ("ev",))
    assert probe.is_outside is outside


def client(**changes: Any) -> str:
    """What the TLS client prints after it was refused."""
    said = {"certificate": forged(CLAIM).certificate, "protocol": "TLSv1.3", "answer": ""}
    said |= {"error": "SSLError", "text": "[SSL: SSLV3_ALERT_CERTIFICATE_UNKNOWN] sslv3 alert certificate unknown"}
    return json.dumps(said | changes)


def test_the_tls_client_tells_what_it_showed_and_how_it_was_refused() -> None:
    shown, outcome = parse_tls_client(client())
    assert shown[0].uri_sans == (CLAIM,)
    assert outcome.objection is Objection.UNSAID


@pytest.mark.parametrize(
    ("answer", "error", "kind"),
    [
        ("HTTP/1.1 200 OK\r\n\r\nhello", "", AttemptEnd.GRANTED),
        ("HTTP/1.1 403 Forbidden\r\n\r\nRBAC: access denied", "", AttemptEnd.GRANTED),
        ("", "", AttemptEnd.CLOSED),
        ("something else", "", AttemptEnd.OTHER),
        ("", "TimeoutError", AttemptEnd.TIMEOUT),
    ],
)
def test_an_answer_whatever_its_status_means_that_the_certificate_was_taken(
    answer: str, error: str, kind: AttemptEnd
) -> None:
    assert parse_tls_client(client(answer=answer, error=error, text=""))[1].kind is kind


@pytest.mark.parametrize("text", ["", "Traceback (most recent call last)", "{}"])
def test_a_tls_client_that_did_not_run(text: str) -> None:
    with pytest.raises(CouldNotTell):
        parse_tls_client(text)


@pytest.mark.parametrize("parse", [parse_relay, parse_tls_client])
def test_a_long_answer_is_cut_to_its_end_and_none_is_said_to_be_none(parse: Any) -> None:
    for text, seen in (("x" * 200 + "y" * 300, "y" * 300), ("", "nothing")):
        with pytest.raises(CouldNotTell) as caught:
            parse(text)
        assert caught.value.seen.endswith(seen)
        assert len(caught.value.seen) <= 400


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        ("HTTP/1.1 200 OK\r\nserver: x", AttemptEnd.GRANTED, "HTTP/1.1 200 OK"),
        ("HTTP/1.0 503 x", AttemptEnd.GRANTED, "HTTP/1.0 503 x"),
        ("", AttemptEnd.CLOSED, "closed without an answer"),
        ("z" * 300, AttemptEnd.OTHER, "z" * 200),
    ],
)
def test_the_end_of_a_handshake_by_its_answer(answer: str, kind: AttemptEnd, said: str) -> None:
    assert parse_tls_client(client(answer=answer, error="", text=""))[1] == AttemptOutcome(kind, "", said)
