"""What the node probe's log says, as the program in the manifests prints it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from facts.errors import CouldNotTell
from facts.probe import SeenContainer, parse_node_probe

POD = "6d1c5f0a-0000-4000-8000-000000000001"
CONTAINER = "a" * 64
ROOT = f"/kubepods/burstable/pod{POD}/{CONTAINER}"


def report(**changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "kubelet": {"address": "10.0.0.1:10250", "status": 401, "error": ""},
        "processes": {
            "containers": [{"container": CONTAINER, "pod": POD, "ids_in_path": 1, "root": ROOT}],
            "unreadable": 3,
        },
    }
    return {**made, **changes}


def test_a_whole_report() -> None:
    probe = parse_node_probe(json.dumps(report()) + "\n", "node-1", ("ev-log",))
    assert (probe.node, probe.kubelet_address, probe.kubelet_status) == ("node-1", "10.0.0.1:10250", 401)
    assert probe.containers == (SeenContainer(CONTAINER, POD, 1, ROOT),)
    assert (probe.unreadable, probe.evidence) == (3, ("ev-log",))


def test_a_kubelet_that_did_not_answer_is_a_fact_and_no_damage() -> None:
    silent = {"address": "10.0.0.1:10250", "status": 0, "error": "TimeoutError: timed out"}
    probe = parse_node_probe(json.dumps(report(kubelet=silent)), "node-1")
    assert (probe.kubelet_status, probe.kubelet_error) == (0, "TimeoutError: timed out")


def test_a_node_on_which_no_container_was_seen() -> None:
    assert parse_node_probe(json.dumps(report(processes={"containers": [], "unreadable": 0})), "node-1").containers == ()


@pytest.mark.parametrize(
    ("log", "seen"),
    [
        ("", "nothing"),
        ("  \n", "nothing"),
        ("Traceback (most recent call last):\n  NameError: x", "NameError: x"),
        (json.dumps(report()) + "\na line too many", "a line too many"),
    ],
)
def test_a_log_that_is_not_one_document(log: str, seen: str) -> None:
    with pytest.raises(CouldNotTell, match="expected one JSON document") as raised:
        parse_node_probe(log, "node-1")
    assert raised.value.seen.endswith(seen)
    assert raised.value.where == "log of the node probe on node-1"


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ([], "kubelet.address"),
        ({}, "kubelet.address"),
        (report(kubelet={"address": "x", "error": ""}), "kubelet.status"),
        (report(kubelet={"address": "x", "status": "401", "error": ""}), "kubelet.status"),
        (report(kubelet={"address": "x", "status": True, "error": ""}), "kubelet.status"),
        (report(processes={"containers": []}), "processes.unreadable"),
        (report(processes={"containers": [{"container": "", "pod": POD, "root": ""}], "unreadable": 0}), "ids_in_path"),
        (report(processes={"containers": ["a"], "unreadable": 0}), "processes.containers"),
    ],
)
def test_a_document_that_the_probe_does_not_print(document: Any, field: str) -> None:
    with pytest.raises(CouldNotTell) as raised:
        parse_node_probe(json.dumps(document), "node-1")
    assert field in raised.value.expected
