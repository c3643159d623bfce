"""Rotation of the SPIFFE CA: phases, what is trusted in each, and what streams see of it."""

from __future__ import annotations

import base64

from cryptography import x509

from tests.contract.conftest import MakeAgent
from tests.contract.driver import Teleport
from tests.contract.node import Pod
from tests.contract.sds_client import Answer, SdsStream

DOMAIN = "teleport.example.com"


def rotate(teleport: Teleport, phase: str) -> None:
    teleport.must("auth", "rotate", "--type=spiffe", "--manual", f"--phase={phase}")


def published(teleport: Teleport) -> set[int]:
    """Serial numbers of the authorities in the public bundle."""
    keys = teleport.public("/webapi/spiffe/bundle.json")["keys"]
    entries = [key["x5c"][0] for key in keys if key["use"] == "x509-svid"]
    return {x509.load_der_x509_certificate(base64.b64decode(entry)).serial_number for entry in entries}


def trusted(answer: Answer) -> set[int]:
    return {authority.serial_number for authority in answer.validations["ROOTCA"].bundles[DOMAIN]}


def issuer(answer: Answer) -> int:
    """Serial number of the authority that signed the leaf."""
    certificate = answer.certificates["default"].leaf
    for authority in answer.validations["ROOTCA"].bundles[DOMAIN]:
        if authority.subject == certificate.issuer:
            certificate.verify_directly_issued_by(authority)
            return authority.serial_number
    raise AssertionError("the leaf is signed by none of the bundle's authorities")


def test_a_rotation_reaches_every_stream(make_agent: MakeAgent, own_teleport: Teleport, pod: Pod) -> None:
    agent = make_agent(teleport=own_teleport).start()
    with SdsStream(agent.socket, "default", "ROOTCA") as stream:
        before = stream.answer()
        (old,) = trusted(before)
        assert published(own_teleport) == {old}
        assert "standby (never rotated)" in own_teleport.must("status")

        rotate(own_teleport, "init")
        init = stream.answer()
        (new,) = trusted(init) - {old}
        assert trusted(init) == published(own_teleport) == {old, new}
        assert issuer(init) == old
        status = own_teleport.must("status")
        assert "in progress (mode: manual, phase: init)" in status
        column = next(line.index("protocol") for line in status.splitlines() if line.startswith("authority"))
        keys = [tuple(line[column:].split()[:2]) for line in status.splitlines()[-4:]]
        assert keys == [("JWT", "active"), ("TLS", "active"), ("JWT", "trusted"), ("TLS", "trusted")]

        rotate(own_teleport, "update_clients")
        clients = stream.answer()
        assert trusted(clients) == published(own_teleport) == {old, new}
        assert issuer(clients) == new

        rotate(own_teleport, "update_servers")
        assert stream.silent(0.5)
        assert published(own_teleport) == {old, new}

        rotate(own_teleport, "standby")
        after = stream.answer()
        assert trusted(after) == published(own_teleport) == {new}
        assert issuer(after) == new
    assert "Processed update for trust bundle" in agent.log
    assert "standby (last rotated: " in own_teleport.must("status")


def test_phases_have_an_order_and_a_way_back(own_teleport: Teleport) -> None:
    for phase in ("standby", "update_clients", "nonsense"):
        result = own_teleport.tctl("auth", "rotate", "--type=spiffe", "--manual", f"--phase={phase}")
        assert result.returncode == 1
        assert result.stderr.startswith("\x1b[31mERROR: ")
        assert phase in result.stderr
    assert "standby (never rotated)" in own_teleport.must("status")

    before = published(own_teleport)
    for phase in ("init", "update_clients", "rollback"):
        rotate(own_teleport, phase)
    during = published(own_teleport)
    assert len(during) == 2
    own_teleport.stop()
    own_teleport.start()
    assert published(own_teleport) == during, "a rotation survives a restart"
    rotate(own_teleport, "standby")
    assert published(own_teleport) == before


def test_standby_comes_after_update_servers_and_not_before(own_teleport: Teleport) -> None:
    for phase in ("init", "update_clients"):
        rotate(own_teleport, phase)
        assert own_teleport.tctl("auth", "rotate", "--type=spiffe", "--manual", "--phase=standby").returncode == 1
        assert f"in progress (mode: manual, phase: {phase})" in own_teleport.must("status")
    for phase in ("update_servers", "standby"):
        rotate(own_teleport, phase)
    assert len(published(own_teleport)) == 1


def test_nobody_is_waited_for_and_who_was_away_comes_back_to_the_new_authority(
    make_agent: MakeAgent, own_teleport: Teleport, pod: Pod
) -> None:
    agent = make_agent(teleport=own_teleport).start()
    with SdsStream(agent.socket, "default", "ROOTCA") as stream:
        (old,) = trusted(stream.answer())
    agent.stop()
    for phase in ("init", "update_clients", "update_servers", "standby"):
        rotate(own_teleport, phase)
    agent.start()
    with SdsStream(agent.socket, "default", "ROOTCA") as stream:
        back = stream.answer()
    assert trusted(back) == published(own_teleport) == {issuer(back)}
    assert issuer(back) != old
