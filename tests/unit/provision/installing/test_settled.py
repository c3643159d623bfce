"""Waits in the guide's installation, and their end when its defects keep a part from becoming ready."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import settings
from facts.errors import CouldNotTell, ProvisioningFailed
from facts.recorder import KeptInMemory
from observe.wait import Pace
from providers.teleport.installing import teleport
from providers.teleport.installing.tbot import LISTENING
from provision.clusters.sources import Sources
from provision.installing import collect, install, istio
from provision.installing.install import Installer
from provision.objects import Objects

Document = dict[str, Any]

CRASHING = {
    "name": "tbot",
    "state": {"waiting": {"reason": "CrashLoopBackOff"}},
    "lastState": {"terminated": {"exitCode": 1}},
}
NO_POD = {"type": "ReplicaFailure", "status": "True", "message": "the API server refuses it"}


def workload(*, ready: bool, conditions: Sequence[Document] = ()) -> Document:
    """A Deployment or DaemonSet of one pod."""
    counts = {"replicas": 1, "updatedReplicas": 1, "desiredNumberScheduled": 1, "updatedNumberScheduled": 1}
    up = {"availableReplicas": int(ready), "numberAvailable": int(ready)}
    return {
        "metadata": {"generation": 1},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "a"}}},
        "status": {"observedGeneration": 1, **counts, **up, "conditions": list(conditions)},
    }


def pod(*, node: str = "node-1", container: Document | None = None) -> Document:
    statuses = [container] if container else []
    return {"metadata": {"name": "p"}, "spec": {"nodeName": node}, "status": {"containerStatuses": statuses}}


class Script(Objects):
    """A cluster that goes from one state to the next each time that a workload is looked at; it stays in the last one.

    A state is the workload, its pod if it has one, and the log of the pod.
    """

    def __init__(self, tmp_path: Path, *states: tuple[Document, Document | None, str]) -> None:
        super().__init__(None, "context", "run", timeout=1, discovery=tmp_path / "discovery")
        self.states = list(states)
        self.applied: list[str] = []
        self.now = states[0]

    def get(self, *_: Any, **__: Any) -> Document | None:
        self.now = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return self.now[0]

    def all_of(self, *asked: Any, **_: Any) -> list[Document]:
        if "Node" in asked:
            return [{"metadata": {"name": "node-1"}}]
        return [self.now[1]] if self.now[1] else []

    def raw(self, path: str) -> str:
        return json.dumps({"gitVersion": "v1.34.4"}) if path == "/version" else self.now[2]

    def apply(self, document: Any) -> Document:
        self.applied.append(document["kind"])
        return dict(document)


@pytest.fixture
def an_installer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Installer]:
    """An installer of the guide on a cluster from a script; waits take no time, what is collected is noted."""
    program = tmp_path / "program"
    sources = Sources("upstream", program, program, program, "node:1", "", "", "t:1", "b:18.6.4", "b:18", "b:18.6.3", "w:1")
    monkeypatch.setattr(install, "resolve", lambda _settings: sources)
    monkeypatch.setattr(teleport, "docker_must_answer", lambda: None)

    class Authority:
        cluster_name, proxy_for_pods, insecure, ca = "teleport.test", "teleport.test:443", False, None

    def make(*states: tuple[Document, Document | None, str], **given: Any) -> Installer:
        chosen = settings.load(cache=tmp_path / "cache", kind_name="a", install="as-guide", **given)
        made = Installer(chosen, KeptInMemory(), "run")
        made.objects = Script(tmp_path, *states)
        monkeypatch.setattr(made, "authority", Authority)
        monkeypatch.setattr(made._phases, "pace", lambda timeout: Pace(timeout, sleep=lambda _seconds: None))
        return made

    return make


@pytest.fixture
def collected(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    monkeypatch.setattr(collect, "keep_state", lambda namespace, _objects, _recorder: found.append(namespace))
    return found


UP, DOWN = workload(ready=True), workload(ready=False)
HEARD = f"INFO {LISTENING} addr:unix:///run/spire/sockets/socket"


def test_a_tbot_that_has_only_started_is_not_ready_until_it_says_that_it_listens(
    an_installer: Callable[..., Installer], collected: list[str]
) -> None:
    installer = an_installer((DOWN, pod(), ""), (UP, pod(), "INFO joining"), (UP, pod(), HEARD))
    assert installer._install_tbot() == ""
    assert isinstance(installer.objects, Script)
    assert len(installer.objects.states) == 1, "it was looked at until the last state"
    assert collected == []


def test_a_tbot_that_ends_again_and_again_is_remarked_and_what_explains_it_is_collected(
    an_installer: Callable[..., Installer], collected: list[str]
) -> None:
    installer = an_installer((UP, pod(), ""), (DOWN, pod(), ""), (DOWN, pod(container=CRASHING), "ERROR: no such bot"))
    remark = installer._install_tbot()
    assert remark == "DaemonSet tbot was applied and does not become ready: p/tbot exits again and again, with exit code 1"
    assert collected == ["teleport-system"]


@pytest.mark.parametrize(
    ("states", "why"),
    [
        ([(DOWN, pod(node=""), ""), (workload(ready=False, conditions=[NO_POD]), None, "")], "the API server refuses it"),
        ([(DOWN, None, ""), (DOWN, pod(node=""), ""), (UP, pod(), "")], ""),
    ],
)
def test_the_application_is_waited_for_until_it_is_ready_or_is_refused(
    an_installer: Callable[..., Installer], collected: list[str], states: list[Any], why: str
) -> None:
    remark = an_installer(*states)._deploy_app()
    assert remark.removeprefix("Deployment test-app was applied and does not become ready: ") == why
    assert collected == (["test-app"] if why else [])


def test_where_tbot_is_not_ready_a_placed_sidecar_waits_for_it_in_vain(
    an_installer: Callable[..., Installer], collected: list[str]
) -> None:
    installer = an_installer((DOWN, pod(node=""), ""), (DOWN, pod(), ""))
    installer._not_ready["tbot"] = "it is not ready"
    assert installer._deploy_app().endswith("its sidecar waits for tbot, which is not ready")


def test_what_neither_comes_up_nor_shows_that_it_cannot_is_an_error_of_provisioning(
    an_installer: Callable[..., Installer], collected: list[str]
) -> None:
    installer = an_installer((DOWN, pod(), ""), timeouts={"rollout": 0.01})
    with pytest.raises(CouldNotTell, match="0 of 1 replicas are available"):
        installer._deploy_app()
    assert collected == []


class TestGateway:
    """istioctl waits for the ingress gateway, and the gateway for tbot if it has the overlay."""

    @pytest.fixture
    def vain(self, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
        """Runs istioctl up to its first check of whether to give up; istioctl gives up if so."""
        asked: list[bool] = []

        def run(*_: Any, stop: Callable[[], bool], **__: Any) -> None:
            asked.append(stop())
            if asked[-1]:
                raise CouldNotTell(expected="istioctl to end", seen="it was told to give up", where="here", remedy="none")

        monkeypatch.setattr(istio, "install", run)
        return asked

    def installed(self, installer: Installer, monkeypatch: pytest.MonkeyPatch, *, istiod: bool = True) -> str:
        monkeypatch.setattr(installer._phases, "has_ended", lambda name: istiod and name == "istiod")
        return installer._install_istio()

    @pytest.mark.parametrize(
        "case",
        [
            {"repairs": "gateway", "not_ready": {"tbot": "no bot"}, "istiod": True, "given_up": True},
            {"repairs": "gateway", "not_ready": {"tbot": "no bot"}, "istiod": False, "given_up": False},
            {"repairs": "gateway", "not_ready": {}, "istiod": True, "given_up": False},
            {"repairs": "", "not_ready": {"tbot": "no bot"}, "istiod": True, "given_up": False},
        ],
    )
    @pytest.mark.usefixtures("collected")
    def test_only_one_with_the_overlay_is_given_up_and_only_when_tbot_is_not_ready(
        self, an_installer: Callable[..., Installer], vain: list[bool], monkeypatch: pytest.MonkeyPatch, case: Document
    ) -> None:
        installer = an_installer((DOWN, None, ""), repairs=case["repairs"])
        installer._not_ready.update(case["not_ready"])
        remark = self.installed(installer, monkeypatch, istiod=case["istiod"])
        assert vain == [case["given_up"]]
        assert bool(remark) is case["given_up"]

    @pytest.mark.usefixtures("vain")
    def test_a_tbot_that_failed_stays_the_failure(
        self, an_installer: Callable[..., Installer], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        installer = an_installer((DOWN, None, ""), repairs="gateway")
        failure = ProvisioningFailed(expected="tbot", seen="no image", where="phase agent", remedy="pull it")
        monkeypatch.setattr(installer._phases, "failure_of", lambda name: failure if name == "tbot" else None)
        with pytest.raises(ProvisioningFailed, match="no image"):
            self.installed(installer, monkeypatch)
