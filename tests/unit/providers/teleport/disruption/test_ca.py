"""A rotation, taken through its phases and brought to its end whatever happens in between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from facts.errors import CouldNotTell, NotGiven, ProvisioningFailed
from facts.proxies.identity import ProxyIdentity
from facts.recorder import KeptInMemory
from facts.svid import Certificate
from observe.command import CommandResult
from observe.tools import no_admin_session
from observe.wait import Pace
from providers.teleport.disruption import ca
from providers.teleport.disruption.ca import Rotation, under_way
from providers.teleport.facts.ca_rotation import NEW, OLD, PhaseExpectation
from providers.teleport.facts.resources import NoSession
from provision.runs.originals import Originals
from tests.unit.judge import builders as make
from tests.unit.judge.certificates import TRUST_DOMAIN, authority, svid
from tests.unit.provision.originals import changes_kept, nowhere

BEFORE, AFTER = authority("before"), authority("after")
NAMES = {BEFORE.sha256: "before", AFTER.sha256: "after"}
QUICK = Pace(timeout=0.05, interval=0.01)
PODS = tuple(make.pod(name, node=f"node-{name}") for name in ("app", "web"))


class Teleport:
    """A Teleport that enters each phase on command, and refuses one out of order."""

    def __init__(self) -> None:
        self.phase = "standby"
        self.active: tuple[Certificate, ...] = (BEFORE,)
        self.asked: list[str] = []
        self.refuses: str = ""
        self.session = True

    def bundle(self) -> Any:
        return make.bundle(authorities=self.active)

    def status(self) -> Any:
        if not self.session:
            return NoSession("not logged in", expired=True)
        rotation = "standby" if self.phase == "standby" else f"in progress (mode: manual, phase: {self.phase})"
        return make.status(spiffe_rotation=rotation)

    def tctl(self, words: Sequence[str]) -> CommandResult:
        *head, phase = words
        assert head == ["auth", "rotate", "--manual", "--type=spiffe"]
        phase = phase.removeprefix("--phase=")
        self.asked.append(phase)
        if phase == self.refuses:
            return CommandResult(("tctl", *words), 1, "", "ERROR: no", datetime.now(UTC))
        first, *others = self.active
        match phase:
            case "init":
                self.active = (first, AFTER)
            case "update_clients":
                self.active = (*others, first)
            case "rollback":
                self.active = (BEFORE, AFTER)
            case "standby":
                self.active = (first,)
        self.phase = phase
        return CommandResult(("tctl", *words), 0, f"Updated rotation phase to {phase}", "", datetime.now(UTC))


class Mesh:
    """Two pods whose proxies follow Teleport at once, but for those that are cut off."""

    def __init__(self, teleport: Teleport, monkeypatch: pytest.MonkeyPatch) -> None:
        self._teleport = teleport
        self._held: dict[str, ProxyIdentity] = {}
        self.cut_off: set[str] = set()
        self.present = list(PODS)
        monkeypatch.setattr(ca, "read_fleet", lambda _cluster, pods: make.fleet(*(self.read(pod) for pod in pods)))

    def recording_to(self, _recorder: Any) -> Any:
        return self

    def pods(self) -> list[Any]:
        return self.present

    def read(self, pod: Any) -> ProxyIdentity:
        if pod.name not in self.cut_off:
            active = self._teleport.active
            chain = (svid(issuer=NAMES[active[0].sha256]),)
            self._held[pod.name] = make.proxy(pod, chain=chain, root_authorities={TRUST_DOMAIN: active})
        return self._held[pod.name]


@pytest.fixture
def teleport() -> Teleport:
    return Teleport()


@pytest.fixture
def mesh(teleport: Teleport, monkeypatch: pytest.MonkeyPatch) -> Mesh:
    return Mesh(teleport, monkeypatch)


@pytest.fixture
def recorder() -> KeptInMemory:
    return KeptInMemory()


@pytest.fixture
def originals() -> Originals:
    return nowhere()


@pytest.fixture
def rotation(teleport: Teleport, mesh: Mesh, recorder: KeptInMemory, originals: Originals) -> Rotation:
    return Rotation(cast("Any", teleport), cast("Any", mesh), recorder, originals, QUICK)


def test_it_begins_where_everybody_stands_by_the_present_authority(rotation: Rotation, teleport: Teleport) -> None:
    generations = rotation.begin([])
    assert (generations.old, generations.new) == ((BEFORE,), ())
    assert teleport.asked == []


def test_it_does_not_begin_in_the_middle_of_another(rotation: Rotation, teleport: Teleport) -> None:
    teleport.phase = "update_clients"
    with pytest.raises(CouldNotTell) as refused:
        rotation.begin([])
    assert "in the phase update_clients" in refused.value.seen
    assert not rotation.end()


def test_it_does_not_begin_where_a_proxy_is_already_behind(rotation: Rotation, teleport: Teleport, mesh: Mesh) -> None:
    mesh.read(PODS[1])
    mesh.cut_off.add("web")
    teleport.active = (AFTER,)
    with pytest.raises(CouldNotTell) as refused:
        rotation.begin([])
    assert "Pod test-app/web on node-web trusts another" in refused.value.seen


def test_each_phase_is_told_by_whether_it_was_followed(
    rotation: Rotation, teleport: Teleport, mesh: Mesh, recorder: KeptInMemory
) -> None:
    generations, init = rotation.begin([]), PhaseExpectation("init", (OLD, NEW), OLD)
    assert rotation.published(init, generations, 0.05) == generations, "Teleport has not been told yet"
    rotation.enter("init")
    generations = rotation.published(init, generations, 0.05)
    assert generations.new == (AFTER,)
    assert rotation.is_followed(init, generations, 0.05)
    mesh.cut_off.add("web")
    rotation.enter("update_clients")
    clients = PhaseExpectation("update_clients", (OLD, NEW), NEW)
    assert not rotation.is_followed(clients, generations, 0.05)
    assert rotation.is_followed(clients, generations, 0.05, but_on="node-web")
    assert [e.question for e in recorder.evidence.values()] == [
        f"tctl auth rotate --manual --type=spiffe --phase={phase}" for phase in ("init", "update_clients")
    ]


def test_a_rotation_that_came_to_its_end_is_left_as_it_is(
    rotation: Rotation, teleport: Teleport, originals: Originals
) -> None:
    rotation.begin([])
    for phase in ("init", "update_clients", "update_servers", "standby"):
        rotation.enter(phase)
        assert changes_kept(originals) == [under_way(TRUST_DOMAIN)]
    assert rotation.end()
    assert originals.all() == ()
    assert teleport.asked == ["init", "update_clients", "update_servers", "standby"]
    assert not rotation.end()


@pytest.mark.parametrize("entered", [("init",), ("init", "update_clients"), ("init", "update_clients", "rollback")])
def test_one_that_was_left_in_the_middle_is_taken_back(
    rotation: Rotation, teleport: Teleport, entered: tuple[str, ...]
) -> None:
    rotation.begin([])
    for phase in entered:
        rotation.enter(phase)
    assert rotation.end()
    assert teleport.asked[-2:] == ["rollback", "standby"]
    assert teleport.active == (BEFORE,)


def test_who_needs_nothing_new_does_not_hold_up_the_way_back(rotation: Rotation, teleport: Teleport, mesh: Mesh) -> None:
    """Cut off before anything had changed: it trusts the old authority alone, and so does Teleport in the end."""
    rotation.begin([])
    mesh.cut_off.add("web")
    rotation.enter("init")
    assert rotation.end()
    assert teleport.phase == "standby"


def test_it_is_not_ended_while_a_proxy_needs_the_new_authority(
    rotation: Rotation, teleport: Teleport, mesh: Mesh, originals: Originals
) -> None:
    rotation.begin([])
    for phase in ("init", "update_clients"):
        rotation.enter(phase)
    mesh.read(PODS[1])
    mesh.cut_off.add("web")
    with pytest.raises(CouldNotTell) as left:
        rotation.end()
    assert "Pod test-app/web on node-web has a certificate of the new" in left.value.seen
    assert "left in rollback" in left.value.remedy
    assert "tctl auth rotate --manual --type=spiffe --phase=standby" in left.value.remedy
    assert teleport.phase == "rollback"
    assert changes_kept(originals) == [under_way(TRUST_DOMAIN)]
    mesh.cut_off.clear()
    assert rotation.end()
    assert (teleport.phase, teleport.active) == ("standby", (BEFORE,))


def test_a_rotation_that_another_user_has_ended_is_not_ended_again(
    rotation: Rotation, teleport: Teleport, originals: Originals
) -> None:
    rotation.begin([])
    rotation.enter("init")
    (kept,) = originals.all()
    originals.forget(kept.key)  # as `conformance undo` does once it is in standby
    assert not rotation.end()
    assert teleport.asked == ["init"]


def test_a_pod_that_has_gone_meanwhile_holds_up_nothing(rotation: Rotation, mesh: Mesh) -> None:
    rotation.begin([PODS[1].uid])
    rotation.enter("init")
    mesh.present = [PODS[0], replace(PODS[1], terminating=True)]
    mesh.cut_off.add("web")
    assert rotation.end()


def test_a_proxy_of_teleport_that_is_a_moment_behind_is_waited_for(
    rotation: Rotation, teleport: Teleport, monkeypatch: pytest.MonkeyPatch
) -> None:
    generations = rotation.begin([])
    rotation.enter("init")
    late = [make.bundle(authorities=(BEFORE,)), make.bundle(authorities=teleport.active)]
    monkeypatch.setattr(teleport, "bundle", lambda: late.pop(0))
    assert rotation.published(PhaseExpectation("init", (OLD, NEW), OLD), generations, 5).new == (AFTER,)


def test_a_phase_that_teleport_refuses_says_so(rotation: Rotation, teleport: Teleport) -> None:
    rotation.begin([])
    teleport.refuses = "init"
    with pytest.raises(ProvisioningFailed) as refused:
        rotation.enter("init")
    assert "exit code 1: ERROR: no" in refused.value.seen
    assert rotation.end(), "Teleport may have accepted the phase nevertheless"
    assert teleport.asked == ["init"]


def test_without_a_session_nothing_is_begun(rotation: Rotation, teleport: Teleport, monkeypatch: pytest.MonkeyPatch) -> None:
    teleport.session = False
    with pytest.raises(CouldNotTell) as refused:
        rotation.begin([])
    assert "tsh login" in refused.value.remedy

    def none() -> Any:
        raise no_admin_session("tctl status")

    monkeypatch.setattr(teleport, "status", none)
    with pytest.raises(NotGiven):
        rotation.begin([])
