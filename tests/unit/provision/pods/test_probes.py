"""Probe pods: what an interruption does to those that are waited for."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, cast

import pytest

from facts.errors import CouldNotTell
from facts.traffic.refusal import AttemptOutcome, of_sds
from observe.wait import NotYet, Pace, eventually
from provision.objects import NotThere, Objects
from provision.pods.probes import REFUSALS, Probes, refused_for_good


def test_an_interruption_does_not_wait_for_pods_that_never_come() -> None:
    probes = Probes(cast("Any", None), cast("Any", None), image="", patience=60)
    waiting = threading.Event()
    main = threading.get_ident()

    def look() -> str:
        waiting.set()
        raise NotYet("Pending")

    def interrupt() -> None:
        waiting.wait()
        signal.pthread_kill(main, signal.SIGINT)

    threading.Thread(target=interrupt).start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        probes._each(("a", "b"), lambda node: eventually(f"the probe pod of {node}", look, probes._pods.pace(60)))

    assert time.monotonic() - began < 10


def test_each_socket_is_asked_at_its_own_path(monkeypatch: pytest.MonkeyPatch) -> None:
    applied: dict[str, dict[str, Any]] = {}

    def apply(document: dict[str, Any]) -> None:
        applied[document["metadata"]["name"]] = document

    probes = Probes(cast("Any", SimpleNamespace(apply=apply, run_id="Run")), cast("Any", None), image="", patience=60)
    monkeypatch.setattr(probes, "_sds_probe", lambda node, pod: (node, pod))
    found = cast("Any", probes.of_sockets([("a", "/run/a/socket"), ("b", "/run/b/b.sock"), ("b", "/run/a/socket")], "proxy"))
    seen = []
    for node, pod in found:
        config, directory = pod["spec"]["volumes"]
        envoy = applied[config["configMap"]["name"]]["data"]["envoy.yaml"]
        pipes = [f"{directory['hostPath']['path']}/{name}" for name in ("socket", "b.sock") if f"uds/{name}" in envoy]
        seen.append((node, *pipes))
    assert seen == [("a", "/run/a/socket"), ("b", "/run/b/b.sock"), ("b", "/run/a/socket")]


def test_teleport_is_dialled_with_the_network_settings_of_tbot(monkeypatch: pytest.MonkeyPatch) -> None:
    network = {"hostNetwork": True, "dnsPolicy": "Default", "hostAliases": [{"ip": "10.1.2.3", "hostnames": ["t.test"]}]}
    template = {"spec": {"template": {"spec": {**network, "hostPID": True, "serviceAccountName": "tbot"}}}}

    def must_get(_version: str, kind: str, name: str, *, namespace: str) -> dict[str, Any]:
        assert (kind, namespace, name) == ("DaemonSet", "teleport-system", "tbot")
        return template

    objects = SimpleNamespace(apply=lambda _document: None, must_get=must_get, run_id="Run")
    probes = Probes(cast("Any", objects), cast("Any", None), image="i", patience=60)
    monkeypatch.setattr(probes, "_printed", lambda _node, pod, _parse: pod)
    (pod,) = cast("Any", probes.of_teleport(["a"], "[fd00::1]:3080", ("teleport-system", "tbot")))
    assert pod["spec"]["containers"][0]["command"][-2:] == ["fd00::1", "3080"]
    assert {key: pod["spec"].get(key) for key in network} == network
    assert (pod["spec"]["serviceAccountName"], "hostPID" in pod["spec"]) == ("probe", False)


def test_a_namespace_is_removed_although_its_making_was_interrupted() -> None:
    class Interrupted:
        """Makes what it is asked to make, and is interrupted before it can say so."""

        run_id = "Run"
        there: ClassVar[set[str]] = set()

        def apply(self, document: dict[str, Any]) -> None:
            self.there.add(document["metadata"]["name"])
            raise KeyboardInterrupt

        def delete(self, _api_version: str, _kind: str, name: str) -> None:
            self.there.remove(name)

    probes = Probes(cast("Any", Interrupted()), cast("Any", None), image="", patience=60)
    with pytest.raises(KeyboardInterrupt):
        probes.namespace()
    assert Interrupted.there == {"conformance-run"}
    probes.remove()
    assert Interrupted.there == set()


class Slow:
    """An API server on which a namespace goes after so many looks, or never."""

    def __init__(self, looks: int) -> None:
        self.looks = looks

    def __call__(self, _document: Any, verb: str, **_arguments: Any) -> dict[str, Any]:
        if verb == "get":
            self.looks -= 1
            if not self.looks:
                raise NotThere(expected="it", seen="HTTP 404", where="Namespace mine", remedy="")
            return {
                "status": {"conditions": [{"status": "True", "message": "Some content in the namespace has finalizers"}]}
            }
        return {}


def test_the_pods_of_a_namespace_are_sent_off_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """By itself Kubernetes begins with them after five seconds."""
    asked: list[tuple[str, str, str | None]] = []

    def ask(document: Any, verb: str, **_arguments: Any) -> dict[str, Any]:
        metadata = document["metadata"]
        asked.append((verb, document["kind"], metadata.get("name") or None))
        return {"items": [{"metadata": {"name": name}} for name in ("a", "b")]} if verb == "get" else {}

    objects = Objects(None, "none", "run", timeout=1, discovery=tmp_path / "discovery.json")
    monkeypatch.setattr(objects, "_ask", ask)
    objects.delete("v1", "Namespace", "mine")
    gone = [("delete", "Pod", "a"), ("delete", "Pod", "b")]
    assert asked == [("delete", "Namespace", "mine"), ("get", "Pod", None), *gone]


@pytest.mark.parametrize("looks", [3, -1])
def test_a_namespace_is_awaited_until_it_is_gone(looks: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    objects = Objects(None, "none", "run", timeout=1, discovery=tmp_path / "discovery.json")
    monkeypatch.setattr(objects, "_ask", Slow(looks))
    pace = Pace(timeout=0.05, interval=0.01)
    objects.await_departures(pace)
    objects.delete("v1", "Namespace", "mine")
    if looks > 0:
        objects.await_departures(pace)
    else:
        with pytest.raises(CouldNotTell, match=r"Namespace mine is gone.*finalizers.*kubectl get namespace mine"):
            objects.await_departures(pace)


DENIED, FROZEN = of_sds(7, "did not pass rule evaluation"), of_sds(14, "connection timeout")


@pytest.mark.parametrize(
    ("ended", "for_good"),
    [
        ([DENIED] * REFUSALS, True),
        ([FROZEN, *[DENIED] * REFUSALS], True),
        ([DENIED] * (REFUSALS - 1), False),
        ([FROZEN] * REFUSALS, False),
        ([*[DENIED] * REFUSALS, of_sds(7, "access denied")], False),
        ([*[DENIED] * REFUSALS, FROZEN], False),
        ([], False),
    ],
)
def test_a_probe_is_refused_for_good_when_the_server_has_said_so_again_and_again(
    ended: list[AttemptOutcome], *, for_good: bool
) -> None:
    assert refused_for_good(ended) is for_good
