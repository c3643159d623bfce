"""Audit events of issued SVIDs, shaped as Teleport documents them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from facts.errors import CouldNotTell
from providers.teleport.facts.audit import parse_issued


def event(**changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "ei": 0,
        "event": "spiffe.svid.issued",
        "uid": "5f1c",
        "code": "TSPIFFE000I",
        "time": "2026-03-01T11:50:00.123Z",
        "cluster_name": "teleport.example.com",
        "spiffe_id": "spiffe://teleport.example.com/ns/shop/sa/cart",
        "svid_type": "x509",
        "serial_number": "45:29:a5:b7:f9:5c:d8:6f",
        "workload_identity": "istio-workloads",
        "attributes": {
            "workload": {
                "kubernetes": {
                    "attested": True, "namespace": "shop", "service_account": "cart", "pod_name": "cart-1", "pod_uid": "u-1",
                }
            }
        },
    }  # fmt: skip
    return made | changes


def lines(*events: Any) -> str:
    return "".join(json.dumps(e) + "\n" for e in events)


def test_an_issuance() -> None:
    (found,) = parse_issued(lines(event()))
    assert found.serial == "4529a5b7f95cd86f"
    assert (found.namespace, found.service_account, found.pod_name, found.pod_uid) == ("shop", "cart", "cart-1", "u-1")
    assert found.attested


def test_other_events_are_passed_over() -> None:
    assert parse_issued(lines({"event": "bot.join"}, event(svid_type="jwt"))) == ()
    assert parse_issued("") == ()


def test_a_workload_that_was_not_attested_by_kubernetes() -> None:
    (found,) = parse_issued(lines(event(attributes={"workload": {"unix": {"pid": 1}}})))
    assert not found.attested
    assert found.namespace == ""


WITHOUT_SERIAL = {key: value for key, value in event().items() if key != "serial_number"}
OF_ANOTHER_SHAPE = event(attributes={"workload": {"kubernetes": "yes"}})


@pytest.mark.parametrize(
    "text",
    [
        "not json\n",
        "[1]\n",
        '{"time": "now"}\n',
        lines(event(serial_number="xyz")),
        lines(WITHOUT_SERIAL),
        lines(OF_ANOTHER_SHAPE),
    ],
)
def test_what_is_no_event(text: str) -> None:
    with pytest.raises(CouldNotTell):
        parse_issued(text)
