"""A kept kind cluster: who changes it or removes it holds it first, whatever this machine knows about it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import cli
from facts.errors import ProvisioningFailed
from facts.kubernetes.leases import BY, MAY, SESSION, parse_lease
from facts.recorder import KeptInMemory
from providers.teleport.installing import teleport
from provision.clusters.directory import NameLock, directory_of, make_directory
from provision.clusters.sources import Sources
from provision.installing import install
from provision.installing.install import Installer, kind_of
from provision.runs import aftermath
from provision.runs.claim import Claim
from provision.target import claim_of, objects_of, ways_of
from settings import Settings, load
from tests.unit.observe.api_server import CONTEXT, ApiServer, running
from tests.unit.provision.lease import LEASE, with_a_lease
from tests.unit.test_cli import conformance

NAME = "kept"
EMPTY = {"kind": "List", "items": []}


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    """An API server with a Lease that can be changed, of a kind cluster that kind alone knows."""
    for name in [n for n in os.environ if n.upper().startswith("CONFORMANCE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONFORMANCE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(ApiServer, "handle", with_a_lease)
    monkeypatch.setattr(teleport, "docker_must_answer", lambda: None)
    monkeypatch.setattr(aftermath, "docker_must_answer", lambda: None)
    monkeypatch.setattr(teleport, "remove_all", lambda _name: None)
    program = tmp_path / "kind"
    program.write_text(
        f"""#!/bin/sh
        echo "$@" >> {tmp_path}/asked
        case "$1 $2" in
        "get clusters") [ -e {tmp_path}/deleted ] || echo {NAME};;
        "export kubeconfig") sed 's/{CONTEXT}$/kind-{NAME}/' {tmp_path}/kubeconfig > "$6"; echo "$6" > {tmp_path}/exported;;
        "delete cluster") touch {tmp_path}/deleted;;
        esac
        """
    )
    program.chmod(0o755)
    sources = Sources("upstream", program, program, program, "node:1", "", "", "t:1", "b:18.6.4", "b:18", "b:18.6.3", "w:1")
    for module in (cli, install):
        monkeypatch.setattr(module, "resolve", lambda _settings: sources, raising=False)
    with running() as started:
        started.kubeconfig(tmp_path)
        leases = ("coordination.k8s.io/v1", "leases", "Lease")
        started.know(leases, ("v1", "configmaps", "ConfigMap"), ("v1", "namespaces", "Namespace"))
        started.answer("GET /readyz", "ok")
        started.answer("GET /api/v1/namespaces/kube-system/configmaps", EMPTY)
        started.answer("GET /api/v1/namespaces", EMPTY)
        started.answer(f"PATCH {LEASE}", {})
        yield started


def asked(directory: Path) -> list[str]:
    return [line.partition(" --")[0] for line in (directory / "asked").read_text().splitlines()]


def held(server: ApiServer, renewed: datetime) -> None:
    annotations = {SESSION: "abc", BY: "amy@laptop", MAY: "disruptive"}
    spec = {"holderIdentity": "run-1", "acquireTime": "2026-01-01T10:00:00Z", "renewTime": renewed.isoformat()}
    metadata = {"resourceVersion": "7", "uid": "u", "annotations": annotations}
    server.answer(f"GET {LEASE}", {"kind": "Lease", "metadata": metadata, "spec": spec})


def settings_of(**given: Any) -> Settings:
    return load(kind_name=NAME, keep=True, reuse=True, **given)


def changes_of(server: ApiServer) -> set[str]:
    return {method for method, _target, _body in server.asked} - {"GET"}


def test_up_holds_a_cluster_of_which_only_kind_knows_before_it_installs(
    server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another cache, or a kubeconfig that was lost: this machine has no kubeconfig of it."""
    held(server, datetime.now(UTC))
    installed: list[str] = []
    monkeypatch.setattr(Installer, "installation", lambda _installer: installed.append("begun"))

    assert conformance(monkeypatch, "up", "--kind-name", NAME) == 4
    assert installed == []
    assert changes_of(server) == set()
    assert "create cluster" not in asked(tmp_path)
    NameLock(directory_of(settings_of())).release()  # the refused one has given it up


def test_the_refusal_names_the_holder_and_an_option_that_there_is(
    server: ApiServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    held(server, datetime.now(UTC))
    assert conformance(monkeypatch, "up", "--kind-name", NAME, "--wait-for-run", "0") == 4
    said = capsys.readouterr().err
    assert "saw run run-1 of amy@laptop, since 2026-01-01T10:00:00Z" in said
    assert "--wait-for-run SECONDS" in said
    assert said.count("What to do: ") == 1


def test_a_kept_cluster_that_does_not_answer_is_not_taken_for_none(
    server: ApiServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    server.answer("GET /readyz", {"message": "etcd is away"}, 500)
    (tmp_path / "conformance.toml").write_text("[timeouts]\nnodes_ready = 0.1\n")
    assert conformance(monkeypatch, "up", "--kind-name", NAME) == 6
    said = capsys.readouterr().err
    assert "expected the API server is ready within 0.1 s; saw " in said
    assert "etcd is away" in said
    assert said.count("What would settle it: ") == 1
    assert "create cluster" not in asked(tmp_path)


def test_the_hold_lasts_until_no_phase_changes_the_cluster_any_more(
    server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of()
    claim = claim_of(settings, "run-2")
    assert claim is not None
    while_stopping: list[bool] = []
    installer = Installer(settings, KeptInMemory(), "run-2", claim=claim)
    stop = installer._phases.stop

    def stopped() -> None:
        while_stopping.append(parse_lease(server.answers[f"GET {LEASE}"].body).is_held)
        stop()

    monkeypatch.setattr(installer._phases, "stop", stopped)
    with installer:
        assert parse_lease(server.answers[f"GET {LEASE}"].body).run == "run-2"
    assert while_stopping == [True]
    assert not parse_lease(server.answers[f"GET {LEASE}"].body).is_held


def test_no_part_begins_once_the_hold_is_lost(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of()
    begun: list[str] = []
    monkeypatch.setattr(Installer, "_start_teleport", lambda _installer: begun.append("teleport"))
    installer = Installer(settings, KeptInMemory(), "run-2", claim=claim_of(settings, "run-2"))
    installer.__enter__()
    held(server, datetime.now(UTC))  # another run has taken it over
    with pytest.raises(ProvisioningFailed, match=r"saw run run-1 .* What to do: run again, alone"):
        installer.ensure("teleport")
    assert begun == []
    installer.tear_down()
    assert "saw run run-1" in installer.lost


def test_a_run_that_reuses_nothing_leaves_a_kept_cluster_and_its_teleport_alone(
    server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its Teleport, its note of it and its kubeconfig lie beside each other: phases that begin there would change them."""
    held(server, datetime.now(UTC))
    settings = load(kind_name=NAME)
    make_directory(directory_of(settings))
    begun: list[str] = []
    monkeypatch.setattr(Installer, "_start_teleport", lambda _installer: begun.append("teleport"))
    installer = Installer(settings, KeptInMemory(), "run-2", claim=claim_of(settings, "run-2"))
    with pytest.raises(ProvisioningFailed, match=f"expected no kind cluster called {NAME}; saw there is one"), installer:
        installer.ensure("teleport")
    assert begun == []
    assert not (tmp_path / "deleted").exists()
    assert changes_of(server) == set()
    NameLock(directory_of(settings)).release()  # the refused one has given it up


def noted(monkeypatch: pytest.MonkeyPatch, of: type, name: str, order: list[str]) -> None:
    """Have a method write its name down when it is called."""
    method = getattr(of, name)

    def noting(self: object) -> object:
        order.append(name)
        return method(self)

    monkeypatch.setattr(of, name, noting)


def test_a_cluster_that_is_just_made_is_held_before_another_process_may_use_it(
    server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of()
    (tmp_path / "deleted").touch()
    order: list[str] = []
    noted(monkeypatch, Claim, "take", order)
    noted(monkeypatch, NameLock, "release", order)
    installer = Installer(settings, KeptInMemory(), "run-2", claim=claim_of(settings, "run-2"))

    def made(*, reuse: bool) -> None:
        installer.kind.take_up()

    monkeypatch.setattr(installer.kind, "make", made)
    monkeypatch.setattr(installer, "_await_nodes", lambda: None)
    with installer:
        assert order == []
        installer._make_cluster()
        assert order == ["take", "release"]


def test_down_removes_no_cluster_that_a_living_run_holds(
    server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("provision.runs.claim._LOOKS", 0.01)
    settings = settings_of()
    make_directory(directory_of(settings))
    kind_of(settings, KeptInMemory()).take_up()
    living = Claim(objects_of(settings, "run-1"), may="disruptive", ways=ways_of(settings), renewal=0.05)
    living.take()
    assert conformance(monkeypatch, "down", "--kind-name", NAME) == 4
    said = capsys.readouterr().err
    assert re.search(r"saw run run-1 of .+@.+, since 2.+Z, which has just renewed or released it", said)
    assert "What to do: wait for its end, or end it with Ctrl-C" in said
    assert not (tmp_path / "deleted").exists()
    assert living.release() == ""


@pytest.mark.parametrize("before", ["nobody", "a killed run"])
def test_down_holds_the_cluster_that_it_removes(
    server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    monkeypatch.setattr("provision.runs.claim.DURATION", 0.05)
    monkeypatch.setattr("provision.runs.claim.LONG", 1e9)  # so that the holder is watched for that long
    if before == "a killed run":
        held(server, datetime.now(UTC) - timedelta(minutes=5))
    assert conformance(monkeypatch, "down", "--kind-name", NAME) == 0
    assert (tmp_path / "deleted").exists()
    assert parse_lease(server.answers[f"GET {LEASE}"].body).run.startswith("down-"), "held, and gone with the cluster"
    assert not directory_of(settings_of()).exists()


def test_down_removes_a_cluster_whose_api_server_stays_away_and_says_what_it_waits_for(
    server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(aftermath, "DURATION", 0.05)
    server.answer(f"GET {LEASE}", {"message": "etcd is away"}, 500)
    assert conformance(monkeypatch, "down", "--kind-name", NAME) == 0
    assert f"waiting up to 0.05 s for the API server of {NAME}: HTTP 500: etcd is away" in capsys.readouterr().out
    assert (tmp_path / "deleted").exists()


def test_down_asks_through_the_kubeconfig_that_it_has_while_kind_cannot_export_one(
    server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run restarts the node at that moment."""
    settings = settings_of()
    make_directory(directory_of(settings))
    kind_of(settings, KeptInMemory()).take_up()
    program = tmp_path / "kind"
    program.write_text(program.read_text().replace('"export kubeconfig") ', '"export kubeconfig") exit 1; '))
    monkeypatch.setattr("provision.runs.claim._LOOKS", 0.01)
    living = Claim(objects_of(settings, "run-1"), may="disruptive", ways=ways_of(settings), renewal=0.05)
    living.take()
    assert conformance(monkeypatch, "down", "--kind-name", NAME) == 4
    assert not (tmp_path / "deleted").exists()
    assert living.release() == ""


def test_down_removes_half_a_cluster_which_no_run_can_be_using(
    server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "kind"
    program.write_text(program.read_text().replace('"export kubeconfig") ', '"export kubeconfig") exit 1; '))
    assert conformance(monkeypatch, "down", "--kind-name", NAME) == 0
    assert (tmp_path / "deleted").exists()
    assert server.asked == []


def test_down_without_a_cluster_asks_nobody(server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "deleted").touch()
    assert conformance(monkeypatch, "down", "--kind-name", NAME) == 0
    assert server.asked == []
