"""`conformance handshakes`: what it reads, what it prints, and its exit codes."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

import cli
from facts.proxies.identity import Fleet, LeftOut
from facts.proxies.tls.proxy import TlsOfFleet
from tests.unit.judge import builders as make
from tests.unit.judge.mtls.meshes import Workload, mesh

A, B = Workload("a"), Workload("b")
PLAIN = Workload("plain", pod={"injected": False}, marked=False)
ON_ISTIOD = replace(B, identity=make.istiod_proxy, pod={"socket": make.EMPTY_DIR})


class Asking:
    """The command, on a cluster that is a small mesh."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        self.read: list[list[str]] = []
        self.gone: tuple[LeftOut, ...] = ()

    def __call__(self, *arguments: str, of: tuple[Workload, ...]) -> tuple[int, str]:
        """The exit code, and what was printed."""
        made = mesh(*of)
        api = SimpleNamespace(must_answer=lambda: None)
        cluster = SimpleNamespace(api=api, pods=lambda: made.pods, close=lambda: None)
        self._monkeypatch.setattr(cli, "must_have_context", lambda *_: None)
        self._monkeypatch.setattr(cli, "Cluster", lambda *_: cluster)
        kinds: tuple[tuple[Any, Any], ...] = ((Fleet, made.identities), (TlsOfFleet, made.tls))
        self._monkeypatch.setattr(cli, "read_ends", lambda _, pods: tuple(self._of(*each, pods) for each in kinds))
        self._monkeypatch.setattr("sys.argv", ["conformance", "handshakes", "--context", "staging", *arguments])
        self._monkeypatch.setenv("COLUMNS", "300")
        with pytest.raises(SystemExit) as end:
            cli.main()
        printed = self._capsys.readouterr()
        return int(end.value.code or 0), printed.out + printed.err

    def _of(self, kind: Any, whole: Any, pods: Any) -> Any:
        uids = {pod.uid for pod in pods} - {left.pod.uid for left in self.gone}
        self.read.append([pod.name for pod in pods])
        return kind(
            tuple(p for p in whole.proxies if p.pod.uid in uids),
            tuple(u for u in whole.unread if u.pod.uid in uids),
            self.gone,
        )


@pytest.fixture
def asking(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Asking:
    return Asking(monkeypatch, capsys)


def test_two_pods_that_can_talk_and_only_these_are_read(asking: Asking) -> None:
    code, said = asking("--from", "shop/a", "--to", "shop/b", of=(A, B, Workload("c"), PLAIN))
    assert code == 0
    assert "they can: 1 way with mutual TLS, 0 ways in plain text, 0 ways refused" in said
    assert asking.read == [["a", "b"], ["a", "b"]]


def test_two_pods_that_cannot_and_what_to_do(asking: Asking) -> None:
    code, said = asking("--from", "shop/a", "--to", "shop/b", of=(A, ON_ISTIOD))
    assert code == 1
    assert "✕ Pod shop/a: as the client it refuses: the certificate leads to no authority" in said
    assert "template-not-requested: " in said
    assert "What to do:\n  - " in said
    assert "they cannot: 0 ways with mutual TLS, 0 ways in plain text, 1 way refused" in said


def test_a_whole_mesh(asking: Asking) -> None:
    code, said = asking(of=(A, B, PLAIN))
    assert code == 0
    assert "they can: 4 ways with mutual TLS" in said
    assert "? 2 ways: no reading decides ways to a pod without a proxy" in said
    assert asking.read == [["a", "b"], ["a", "b"]]
    assert asking("--to", "shop/b", of=(A, B))[1].startswith("they can: 2 ways with mutual TLS")


def test_a_pod_and_itself_is_read_once(asking: Asking) -> None:
    code, said = asking("--from", "shop/a", "--to", "shop/a", of=(A, B))
    assert code == 0
    assert "they can: 1 way with mutual TLS" in said
    assert asking.read == [["a"], ["a"]]


def test_what_was_not_read_is_not_determined(asking: Asking) -> None:
    code, said = asking("--from", "shop/a", "--to", "shop/b", of=(A, replace(B, configured=False)))
    assert code == 6
    assert "? Pod shop/b: the suite could not read it" in said


@pytest.mark.parametrize("name", ["a", "b"])
def test_a_pod_that_went_away_before_it_was_read_is_not_determined(asking: Asking, name: str) -> None:
    gone = next(pod for pod in mesh(A, B).pods if pod.name == name)
    asking.gone = (make.left_out(of=gone),)
    code, said = asking("--from", "shop/a", "--to", "shop/b", of=(A, B))
    assert code == 6
    assert f"? Pod shop/{name}: {make.GONE}" in said
    assert "run again when the workloads are not being rolled out" in said
    assert "no Service" not in said
    code, said = asking("--json", "--from", "shop/a", "--to", "shop/b", of=(A, B))
    assert (code, [gone["subject"]["name"] for gone in json.loads(said)["gone"]]) == (6, [name])


def test_what_went_away_keeps_nothing_else_from_being_told(asking: Asking) -> None:
    gone = next(pod for pod in mesh(A, B, Workload("c")).pods if pod.name == "c")
    asking.gone = (make.left_out(of=gone),)
    code, said = asking(of=(A, B, Workload("c")))
    assert code == 0
    assert f"? Pod shop/c: {make.GONE}" in said
    assert "they can: 4 ways with mutual TLS" in said


def test_a_way_that_no_service_opens_is_not_determined(asking: Asking) -> None:
    alone = Workload("c")
    elsewhere = replace(alone, clusters={"b": {"cluster": {"name": f"outbound|81||{B.host}", "type": "EDS"}}})
    code, said = asking("--from", "shop/c", "--to", "shop/b", of=(elsewhere, B))
    assert code == 6
    assert "no Service whose endpoints istiod tells leads from such a client to such a server" in said


def test_everything_as_json(asking: Asking) -> None:
    code, said = asking("--json", of=(A, ON_ISTIOD))
    answer = json.loads(said)
    assert (code, answer["says"]) == (1, "they cannot")
    assert len(answer["handshakes"]["classes"]) == 2
    assert answer["causes"][0]["id"] == "template-not-requested"


def test_no_secret_in_a_text_of_the_json(asking: Asking) -> None:
    _code, said = asking("--json", of=(A, replace(ON_ISTIOD, name="password=hunter2hunter2")))
    assert "hunter2hunter2" not in said
    assert any(
        "password=[redacted]" in example for pair in json.loads(said)["handshakes"]["pairs"] for example in pair["examples"]
    )


@pytest.mark.parametrize(
    ("name", "such"), [("shop/plain", "such as shop/a, shop/b"), ("a", "such as one of another namespace")]
)
def test_a_pod_without_a_proxy_is_refused(asking: Asking, name: str, such: str) -> None:
    code, said = asking("--from", name, of=(A, B, PLAIN))
    assert code == 4
    assert f"expected NAMESPACE/POD of a running pod with an istio-proxy, {such}; saw {name} (--from)" in said
    assert asking.read == []
