"""The whole command against an API server: what it asks, and what it can tell where it may read little."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

import pytest
from aiohttp import web

import cli
from doctor import opened as module
from doctor.opened import opened
from facts.errors import CouldNotTell
from facts.proxies.endpoint_requests import ENDPOINTS
from facts.proxies.requests import REQUESTS
from facts.recorder import KeptInMemory, QuestionsKept
from settings import load
from tests.unit.observe.api_server import CONTEXT
from tests.unit.observe.simulated_fleet import TRUST_DOMAIN, SimulatedFleet, simulated


@pytest.fixture
def fleet() -> Iterator[SimulatedFleet]:
    with simulated(3) as made:
        made.has_a_mesh(2)
        yield made


class Examining:
    """The command, and every request that it makes."""

    def __init__(self, fleet: SimulatedFleet, kubeconfig: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
        self._fleet = fleet
        self._kubeconfig = kubeconfig
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        self.asked: list[tuple[str, str]] = []
        """Method and path of each request."""
        self.denied: frozenset[str] = frozenset()
        """Subresources of pods that this identity may not use."""

    def __call__(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        """The exit code and the document."""
        self._fleet.server.handler = self._handle
        words = ["conformance", "doctor", "--context", CONTEXT, "--kubeconfig", str(self._kubeconfig), "--json", *arguments]
        self._monkeypatch.setattr("sys.argv", words)
        self._monkeypatch.setattr(cli, "recorder", QuestionsKept())
        with pytest.raises(SystemExit) as end:
            cli.main()
        return int(end.value.code or 0), json.loads(self._capsys.readouterr().out)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.method, unquote(request.path_qs)))
        resource = request.path.rpartition("/")[2]
        if resource in self.denied:
            said = f'cannot create resource "pods/{resource}" in API group "" in the namespace "fleet"'
            message = f'pods "fleet-001" is forbidden: User "reader" {said}'
            return web.json_response({"kind": "Status", "message": message, "code": 403}, status=403)
        return await self._fleet.handle(request)


@pytest.fixture
def examining(
    fleet: SimulatedFleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Examining:
    monkeypatch.chdir(tmp_path)
    return Examining(fleet, fleet.server.kubeconfig(tmp_path), monkeypatch, capsys)


def outcomes(document: dict[str, Any]) -> dict[str, str]:
    return {check["title"]: check["outcome"] for check in document["checks"]}


def test_it_only_reads_and_asks_for_no_secret_and_nothing_of_istiod(examining: Examining) -> None:
    _code, document = examining()
    reviews = ("/selfsubjectaccessreviews", "/subjectaccessreviews")
    writing = [
        (method, path)
        for method, path in examining.asked
        if method != "GET" and not path.endswith(reviews) and "dryRun=All" not in path
    ]
    assert writing == []
    paths = [path for _method, path in examining.asked]
    assert [path for path in paths if "/secrets" in path or "/exec" in path] == []
    # Port 15000 is Envoy's admin interface, 15020 its agent's metrics: nothing else of any pod is asked.
    ports = {path.partition("?")[2] for path in paths if "/portforward" in path}
    assert ports == {"ports=15000&ports=15020"}
    assert {path.split("/")[6] for path in paths if "/portforward" in path} <= {f"fleet-{n:03}" for n in (1, 2, 3)}
    assert document["requests_by_kind"]["API server"] == len(examining.asked)


def test_it_reads_every_proxy_in_one_pass(examining: Examining) -> None:
    _code, document = examining()
    found = outcomes(document)
    assert found["secrets come from the external SDS socket"] == "holds"
    assert found["no port takes plain text"] == "holds"
    assert [path for _, path in examining.asked if path.endswith("/portforward?ports=15000&ports=15020")] != []
    assert len([path for _, path in examining.asked if "/portforward" in path]) == 3


def test_a_proxy_on_istiod_is_found(examining: Examining, fleet: SimulatedFleet) -> None:
    fleet.add(falls_back=True)
    fleet.has_a_mesh(2)
    code, document = examining("--pod", "fleet/fleet-004")
    # Teleport does not answer here, so that nobody knows whose certificate it is; its name of the mode is Envoy's own.
    assert code in (1, 6)
    assert document["pod"]["pod"] == {"kind": "Pod", "namespace": "fleet", "name": "fleet-004"}
    titles = [line["title"] for line in document["pod"]["lines"]]
    assert titles[:5] == ["injection", "template", "socket mount", "tbot", "SDS mode"]
    assert titles[-1] == "refused updates"


def test_who_may_only_list_is_told_what_can_be_told_and_what_is_missing(examining: Examining) -> None:
    examining.denied = frozenset({"portforward", "exec"})
    code, document = examining()
    found = outcomes(document)
    assert code == 6
    assert found["secrets come from the external SDS socket"] == "could not tell"
    assert found["no CronJob restarts workloads of the mesh"] == "holds"
    assert [each for each in document["undetermined"] if "portforward" in each["said"]]


def test_without_the_teleport_that_you_expect_the_authority_is_what_tbot_claims(examining: Examining) -> None:
    assert examining()[1]["authority"].startswith("unknown: tbot's own configuration claims ")
    assert examining("--teleport-proxy", "127.0.0.1:1")[1]["authority"] == "unknown: Teleport did not answer"


def test_lines_on_which_nobody_verifies_who_answers_are_named(fleet: SimulatedFleet, tmp_path: Path) -> None:
    settings = load(
        cluster="existing", context=CONTEXT, kubeconfig=fleet.server.kubeconfig(tmp_path), teleport_insecure=True
    )
    with opened(settings, KeptInMemory(), "doctor-1", is_scratch=lambda _: False, say=print) as patient:
        assert patient.authority().endswith("; nobody verified Teleport's proxy (--teleport-insecure)")


def test_an_api_server_that_does_not_answer_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], fleet: SimulatedFleet
) -> None:
    config = fleet.server.kubeconfig(tmp_path)
    config.write_text(config.read_text().replace(str(fleet.server.port), "1"))
    monkeypatch.setattr("sys.argv", ["conformance", "doctor", "--context", CONTEXT, "--kubeconfig", str(config)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    printed = capsys.readouterr()
    assert end.value.code == 6
    assert printed.out == ""
    assert "What would settle it: check that `kubectl --context" in printed.err


@pytest.fixture
def _anchors(fleet: SimulatedFleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Teleport's authority, given to the command as a file: no Teleport answers here."""
    anchors = tmp_path / "bundle.json"
    x5c = [b64encode(fleet.teleport.der).decode()]
    anchors.write_text(json.dumps({"keys": [{"use": "x509-svid", "x5c": x5c}]}))
    monkeypatch.setenv("CONFORMANCE_TRUST_BUNDLE", str(anchors))
    monkeypatch.setenv("CONFORMANCE_TRUST_DOMAIN", TRUST_DOMAIN)


@pytest.mark.usefixtures("_anchors")
def test_the_advice_on_a_migration_only_reads_and_says_who_holds_what(examining: Examining, fleet: SimulatedFleet) -> None:
    fleet.add(falls_back=True)
    fleet.has_a_mesh(2)
    code, document = examining("--migration")
    assert (code, document["moves"]) == (1, "there is something to move")
    assert document["by_issuer"] == {"Teleport": 3, "another authority": 1}  # this API server has no istio-ca-root-cert
    assert "istio-ca-root-cert does not exist" in document["istiod_unread"]
    writing = [path for method, path in examining.asked if method != "GET" and not path.endswith("accessreviews")]
    assert writing == []
    assert [path for _method, path in examining.asked if "/secrets" in path or "/exec" in path] == []
    assert document["requests_by_kind"]["API server"] == len(examining.asked)


@pytest.mark.usefixtures("_anchors")
def test_only_the_advice_on_a_migration_asks_for_counted_requests_once_a_proxy_and_over_the_same_connection(
    examining: Examining, fleet: SimulatedFleet
) -> None:
    def asked() -> list[str]:
        paths = [unquote(path) for method, path, _body in fleet.server.asked if method == "FORWARDED"]
        fleet.server.asked.clear()
        return paths

    examining()
    assert not [path for path in asked() if "istio_requests_total" in path]
    _code, document = examining("--migration")
    assert (document["calls"]["assumed"], document["calls_are_assumed"]) == ([], False)
    of_migration = asked()
    # These proxies count, and have sent nothing: the long answer about endpoints would say no more.
    assert (of_migration.count(REQUESTS), of_migration.count(ENDPOINTS)) == (3, 0)
    assert not [path for path in of_migration if "sds" in path and path.startswith("/stats")]  # of a diagnosis alone
    assert len([path for _method, path in examining.asked if "/portforward" in path]) == 2 * 3


class Held:
    """A hold on the cluster, and the probe pods under it: what happens to both, in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.happened: list[str] = []
        claim = SimpleNamespace(take=lambda: self._did("taken"), release=lambda: self._did("released"))
        self.probes = probes = SimpleNamespace(remove=lambda: self._did("probes removed"))
        objects = SimpleNamespace(await_departures=lambda _pace: self._did("probes gone"))
        target = SimpleNamespace(objects=objects, sources=SimpleNamespace(workload_image="python"))
        monkeypatch.setattr(module, "claim_of", lambda *_: claim)
        monkeypatch.setattr(module, "already_there", lambda *_: target)
        monkeypatch.setattr(module, "Probes", lambda *_, **__: probes)
        monkeypatch.setattr(module, "fence", lambda *_: None)

    def _did(self, what: str) -> str:
        self.happened.append(what)
        return ""


def test_probe_pods_are_made_under_the_hold_of_the_cluster_and_are_gone_before_it_is_released(
    fleet: SimulatedFleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(monkeypatch)
    settings = load(cluster="existing", context=CONTEXT, kubeconfig=fleet.server.kubeconfig(tmp_path), allow="namespaced")

    def interrupted() -> None:
        with opened(settings, KeptInMemory(), "doctor-1", is_scratch=lambda _: False, say=held.happened.append) as patient:
            assert patient.case.probes is not None
            assert held.happened == ["taken"]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert held.happened == ["taken", "probes removed", "probes gone", "released"]


def test_a_clean_up_that_fails_is_told_and_loses_nothing(
    fleet: SimulatedFleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(monkeypatch)

    def stays() -> None:
        raise CouldNotTell(expected="no namespace", seen="one that stays", where="staging", remedy="look at its finalizers")

    held.probes.remove = stays
    settings = load(cluster="existing", context=CONTEXT, kubeconfig=fleet.server.kubeconfig(tmp_path), allow="namespaced")
    with opened(settings, KeptInMemory(), "doctor-1", is_scratch=lambda _: False, say=held.happened.append):
        pass
    taken, said, *rest = held.happened
    assert (taken, rest) == ("taken", ["probes gone", "released"])
    assert "one that stays" in said
    assert "conformance down --context CONTEXT --run doctor-1 --yes" in said


def test_a_teleport_that_nobody_asked_did_not_fail_to_answer(fleet: SimulatedFleet, tmp_path: Path) -> None:
    settings = load(cluster="existing", context=CONTEXT, kubeconfig=fleet.server.kubeconfig(tmp_path))
    with opened(settings, KeptInMemory(), "doctor-1", is_scratch=lambda _: False, say=print) as patient:
        assert patient.authority() == "unknown: no check asked Teleport"


def test_without_the_option_no_probe_pod_is_made(fleet: SimulatedFleet, tmp_path: Path) -> None:
    settings = load(cluster="existing", context=CONTEXT, kubeconfig=fleet.server.kubeconfig(tmp_path))
    with opened(settings, KeptInMemory(), "doctor-1", is_scratch=lambda _: False, say=print) as patient:
        assert patient.case.probes is None
