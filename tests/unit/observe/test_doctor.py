"""The doctor is asked in each way with the options that belong to it, and an answer that is none is refused."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from facts.doctor.answer import Way
from facts.errors import CouldNotTell
from facts.recorder import KeptInMemory
from observe.doctor import PROGRAM, Doctor

STAND_IN = """\
import json, os, sys
keys = ["ALLOW", "KUBECONFIG", "TCTL", "TELEPORT_CA", "TELEPORT_INSECURE"]
names = [name for key in keys if os.environ[name := f"CONFORMANCE_{key}"]]
said = [*sys.argv[1:], *(f"{name}={os.environ[name]}" for name in names), f"in {os.getcwd()}"]
answer = ANSWER
print(json.dumps(answer) if isinstance(answer, dict) else answer)
sys.exit(CODE)
"""
ANSWER = {"version": 1, "causes": [], "requests": 3, "seconds": 0.5}


def doctor(directory: Path, answer: str, exit_code: int) -> Doctor:
    """A program in the doctor's place, which says how it was asked."""
    file = directory / "doctor.py"
    file.write_text(STAND_IN.replace("ANSWER", answer).replace("CODE", str(exit_code)), encoding="utf-8")
    (directory / "kubeconfig").touch()
    return Doctor(
        kubeconfig=directory / "kubeconfig",
        context="kind-lab",
        directory=directory,
        proxy="127.0.0.1:3080",
        ca=directory / "ca.pem",
        insecure=False,
        tctl=("docker", "exec", "-i", "a teleport", "tctl"),
        recorder=KeptInMemory(),
        timeout=20,
        program=(sys.executable, str(file)),
    )


ECHO = f"{ANSWER} | {{'undetermined': [{{'said': each}} for each in said]}}"


def asked(directory: Path, way: Way) -> list[str]:
    """How the doctor was asked: its arguments, and the settings in its environment."""
    return [each.said for each in doctor(directory, ECHO, 6).look(way).answer.undetermined]


ALWAYS = ["--context", "kind-lab", "--teleport-proxy", "127.0.0.1:3080", "--json"]
TCTL = ["--tctl", "docker exec -i 'a teleport' tctl"]


@pytest.mark.parametrize(
    ("way", "options"),
    [
        (Way.READER, ALWAYS),
        (Way.SESSION, [*ALWAYS, *TCTL]),
        (Way.PROBES, [*ALWAYS, *TCTL, "--allow", "namespaced"]),
    ],
)
def test_each_way_has_its_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: Way, options: list[str]) -> None:
    monkeypatch.setenv("CONFORMANCE_TCTL", "tctl of the run")
    monkeypatch.setenv("CONFORMANCE_ALLOW", "disruptive")
    assert asked(tmp_path, way) == [
        *options,
        f"CONFORMANCE_KUBECONFIG={tmp_path / 'kubeconfig'}",
        f"CONFORMANCE_TELEPORT_CA={tmp_path / 'ca.pem'}",
        "CONFORMANCE_TELEPORT_INSECURE=false",
        f"in {tmp_path}",
    ]


@pytest.mark.parametrize("exit_code", [0, 1, 6])
def test_an_answer_is_recorded_with_its_exit_code(tmp_path: Path, exit_code: int) -> None:
    recorder = KeptInMemory()
    look = replace(doctor(tmp_path, str(ANSWER), exit_code), recorder=recorder).look(Way.READER)
    assert (look.exit_code, look.way, look.answer.requests) == (exit_code, Way.READER, 3)
    (evidence,) = recorder.evidence.values()
    assert look.answer.evidence == (evidence.id,)
    assert (evidence.exit_code, evidence.parser) == (exit_code, "facts.doctor.answer.parse_answer")
    assert json.loads(evidence.body)["seconds"] == 0.5


@pytest.mark.parametrize(
    ("answer", "exit_code", "words"),
    [
        ("'no such context'", 4, "exit code 4: no such context"),
        ("'all is well'", 0, "expected a mapping"),
        (f"{ANSWER} | {{'version': 2}}", 0, "expected a document of version 1"),
    ],
)
def test_what_is_no_answer_is_refused(tmp_path: Path, answer: str, exit_code: int, words: str) -> None:
    with pytest.raises(CouldNotTell, match=words):
        doctor(tmp_path, answer, exit_code).look(Way.SESSION)


def test_the_doctor_is_the_command_of_this_suite() -> None:
    program, word = PROGRAM
    assert (Path(program).name, word) == ("conformance", "doctor")
    assert Path(program).is_file()


def test_what_it_prints_is_returned_as_it_is(tmp_path: Path) -> None:
    said = doctor(tmp_path, "' '.join(said)", 1).printed("--json")
    assert said.startswith("--context kind-lab --teleport-proxy 127.0.0.1:3080 --json CONFORMANCE_KUBECONFIG=")
    with pytest.raises(CouldNotTell, match="exit code 4: no such context"):
        doctor(tmp_path, "'no such context'", 4).printed()


def test_without_an_address_or_a_file_it_finds_them_as_for_a_person(tmp_path: Path) -> None:
    made = replace(doctor(tmp_path, "' '.join(said)", 0), proxy="", kubeconfig=None, ca=None)
    assert made.printed() == f"--context kind-lab CONFORMANCE_TELEPORT_INSECURE=false in {tmp_path}\n"
