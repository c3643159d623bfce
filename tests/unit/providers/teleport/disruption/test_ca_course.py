"""The course of a rotation: which phases are entered, and where it stops."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from facts.errors import CouldNotTell
from providers.teleport.disruption import ca_course
from providers.teleport.disruption.ca_course import Course
from providers.teleport.facts.ca_rotation import NEW, OLD, STANDBY, Generations, PhaseExpectation
from provision.disruption.trial import TOO_LATE
from tests.unit.judge import builders as make
from tests.unit.judge.certificates import TRUST_DOMAIN, authority, svid

BEFORE = authority("before")
APP, WATCHED = make.pod("app", node="node-1"), make.pod("watched", node="node-2")
INIT, UPDATED = PhaseExpectation("init", (OLD,), OLD), PhaseExpectation(STANDBY, (OLD,), OLD)


class Rotation:
    """Enters any phase; the proxies follow those that are not among `lost`."""

    def __init__(self) -> None:
        self.entered: list[str] = []
        self.lost: set[str] = set()
        self.uids: list[str] = []
        self.waited: list[tuple[float, str]] = []

    def begin(self, uids: list[str]) -> Generations:
        self.uids = uids
        return Generations((BEFORE,))

    def enter(self, phase: str) -> None:
        self.entered.append(phase)

    def published(self, _wanted: object, generations: Generations, _timeout: float) -> Generations:
        return generations

    def is_followed(self, wanted: PhaseExpectation, _known: object, timeout: float, *, but_on: str) -> bool:
        self.waited.append((timeout, but_on))
        return wanted.phase not in self.lost


def proxy(pod: Any) -> Any:
    return make.proxy(pod, chain=(svid(issuer="before"),), root_authorities={TRUST_DOMAIN: (BEFORE,)})


class Install:
    """Supplies one pod, whose proxy has followed; counts how often its authority is said to have changed."""

    def __init__(self) -> None:
        self.changed = 0
        self.cluster = SimpleNamespace(reader=None)
        self.proxies = SimpleNamespace(pods_on_sockets=lambda: (APP,), fleet_on_sockets=lambda: make.fleet(proxy(APP)))
        self.teleport = SimpleNamespace(status=make.status, bundle=lambda: make.bundle(authorities=(BEFORE,)))

    def authority_changed(self) -> None:
        self.changed += 1


class Trial:
    """Watches one more pod."""

    pods = (WATCHED,)
    slowest_renewal = 30
    watch = SimpleNamespace(acting=lambda _words: nullcontext())

    def __init__(self) -> None:
        self.awaited: list[str] = []

    def await_each(self, what: str, lacks: Any, _patience: float) -> None:
        assert lacks(proxy(WATCHED)) == ""
        self.awaited.append(what)


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> tuple[Rotation, Install, Trial]:
    monkeypatch.setattr(ca_course, "read_fleet", lambda _cluster, pods: make.fleet(*(proxy(pod) for pod in pods)))
    return Rotation(), Install(), Trial()


def begun(parts: tuple[Rotation, Install, Trial]) -> Course:
    return Course(*cast("tuple[Any, Any, Any]", parts))


def test_each_phase_that_is_followed_leads_to_the_next(parts: tuple[Rotation, Install, Trial]) -> None:
    rotation, install, trial = parts
    course = begun(parts)
    before = datetime.now(UTC)
    assert course.enter([INIT, UPDATED])
    assert rotation.uids == [APP.uid, WATCHED.uid]
    assert rotation.entered == [stage.wanted.phase for stage in course.stages] == ["init", "standby"]
    assert rotation.waited == [(30 + TOO_LATE, "")] * 2
    assert (install.changed, len(trial.awaited)) == (2, 2)
    assert [p.pod.name for p in course.stages[0].fleet.proxies] == ["app", "watched"]
    assert course.entered(STANDBY) == course.stages[1].entered >= before


def test_a_phase_that_is_not_followed_is_the_last(parts: tuple[Rotation, Install, Trial]) -> None:
    rotation, _install, trial = parts
    rotation.lost = {"init"}
    course = begun(parts)
    assert not course.enter([INIT, UPDATED])
    assert (rotation.entered, trial.awaited) == (["init"], [])
    assert course.plan == [INIT, UPDATED]


def test_what_the_judgment_will_go_by_has_the_last_word(parts: tuple[Rotation, Install, Trial]) -> None:
    """The rotation saw every proxy follow, and the fleet that is read for the judgment does not show it."""
    course = begun(parts)
    ahead = PhaseExpectation("update_clients", (OLD, NEW), NEW)
    parts[2].await_each = lambda *_: None  # type: ignore[method-assign]
    with pytest.raises(CouldNotTell, match=r"app on node-1 .*watched on node-2 .*in update_clients"):
        course.must_enter([ahead, UPDATED])
    assert parts[0].entered == ["update_clients"]


def test_proxies_on_a_deserted_node_are_not_waited_for(parts: tuple[Rotation, Install, Trial]) -> None:
    course = begun(parts)
    parts[2].await_each = lambda *_: None  # type: ignore[method-assign]
    ahead = PhaseExpectation("update_clients", (OLD, NEW), NEW)
    assert not course.enter([ahead], but_on="node-2")
    assert parts[0].waited == [(30 + TOO_LATE, "node-2")]
    assert not course.stages[0].has_been_followed(but_on="node-2")
