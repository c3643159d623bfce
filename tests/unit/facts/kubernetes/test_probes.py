"""What the logs of probes say, as the programs in the manifests print them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from facts.errors import CouldNotTell
from facts.kubernetes.probes import (
    ANSWERS,
    NOBODY,
    SILENT,
    SeenContainer,
    SocketDirectoryProbe,
    parse_node_probe,
    parse_socket_directory_probe,
)

ROOT_DIRECTORY = Path(__file__).parents[4]
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
    assert raised.value.where == "log of the probe pod on node-1"


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ([], "a mapping"),
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


def directory_report(**changes: Any) -> dict[str, Any]:
    entry = {"name": "socket", "uid": 0, "gid": 0, "mode": "0777", "socket": True, "listener": "nobody"}
    made: dict[str, Any] = {
        "uid": 1337,
        "gid": 1337,
        "directory": {"name": "sockets", "uid": 0, "gid": 0, "mode": "1755", "socket": False},
        "writable": False,
        "searchable": True,
        "mount_read_only": False,
        "entries": [entry],
    }
    return made | changes


def test_a_report_on_the_directory_of_the_socket() -> None:
    probe = parse_socket_directory_probe(json.dumps(directory_report()), "node-1", ("ev-log",), path="/run/spire/sockets")
    assert (probe.node, probe.path) == ("node-1", "/run/spire/sockets")
    assert (probe.uid, probe.gid, probe.writable, probe.evidence) == (1337, 1337, False, ("ev-log",))
    assert str(probe.directory) == "mode 1755, owner 0:0"
    assert probe.entries is not None
    assert [(e.name, e.mode, e.is_socket, e.listener) for e in probe.entries] == [("socket", 0o777, True, NOBODY)]
    assert parse_socket_directory_probe(json.dumps(directory_report(entries=None)), "n").entries is None


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        directory_report(writable="no"),
        directory_report(directory={"name": "s", "uid": 0, "gid": 0, "mode": "rwx", "socket": False}),
        directory_report(directory={"name": "s", "uid": 0, "gid": 0, "socket": False}),
        directory_report(entries=["socket"]),
    ],
)
def test_a_damaged_report_on_the_directory(document: Any) -> None:
    with pytest.raises(CouldNotTell) as raised:
        parse_socket_directory_probe(json.dumps(document), "node-1")
    assert raised.value.where == "log of the probe pod for the socket's directory on node-1"


def test_the_program_of_the_probe_prints_what_is_read(tmp_path: Path) -> None:
    """The program itself, on a directory of this machine."""
    (tmp_path / "file").touch(mode=0o640)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
    tmp_path.chmod(0o750)
    probe = looked_at(tmp_path)
    assert (probe.uid, probe.directory.mode, probe.writable) == (os.getuid(), 0o750, True)
    assert [(e.name, e.is_socket) for e in probe.entries or ()] == [("file", False), ("socket", True)]
    assert not list(tmp_path.glob("*.py*"))


def test_a_long_log_is_cut_to_its_end() -> None:
    with pytest.raises(CouldNotTell) as raised:
        parse_node_probe("x" * 10 + "y" * 400, "node-1")
    assert raised.value.seen == "y" * 400
    assert raised.value.where == "log of the probe pod on node-1"


def looked_at(directory: Path) -> SocketDirectoryProbe:
    program = ROOT_DIRECTORY / "manifests" / "probes" / "socket_directory.py"
    done = subprocess.run([sys.executable, "-I", str(program), str(directory)], capture_output=True, text=True, check=True)
    return parse_socket_directory_probe(done.stdout, "here")


def listening(path: Path, backlog: int = 5) -> socket.socket:
    made = socket.socket(socket.AF_UNIX)
    made.bind(str(path))
    made.listen(backlog)
    return made


def test_the_program_tells_a_server_that_greets_from_one_that_stands_still_and_from_a_socket_that_was_left(
    tmp_path: Path,
) -> None:
    listening(tmp_path / "left").close()
    greeted: list[bytes] = []

    def greet(at: socket.socket) -> None:
        connection = at.accept()[0]
        greeted.append(connection.recv(100))
        connection.sendall(bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
        connection.close()

    def hang_up(at: socket.socket) -> None:
        at.accept()[0].close()

    with (
        listening(tmp_path / "tbot") as tbot,
        listening(tmp_path / "frozen"),
        listening(tmp_path / "full", 0) as full,
        listening(tmp_path / "rude") as rude,
        socket.socket(socket.AF_UNIX) as waiting,
    ):
        waiting.connect(full.getsockname())
        ends = [threading.Thread(target=greet, args=(tbot,)), threading.Thread(target=hang_up, args=(rude,))]
        for end in ends:
            end.start()
        probe = looked_at(tmp_path)
        for end in ends:
            end.join(10)
    seen = {entry.name: entry.listener for entry in probe.entries or ()}
    assert seen == {"left": NOBODY, "tbot": ANSWERS, "frozen": SILENT, "full": SILENT, "rude": ""}
    assert greeted[0].startswith(b"PRI * HTTP/2.0")
