"""What a run left is found by label and field manager, and nothing else is deleted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from facts.errors import BadInput, CouldNotTell, ProvisioningFailed
from facts.kubernetes.leases import NAME, NAMESPACE, parse_lease
from observe.command import CommandResult
from observe.wait import Pace
from providers.teleport.installing.teleport import CLUSTER_LABEL
from provision.objects import FIELD_MANAGER, MADE_LABEL, MAY_CHANGE_LABEL, RUN_LABEL, Forbidden
from provision.runs.claim import Claim, Ways
from provision.runs.fields import Field
from provision.runs.leftovers import down
from provision.runs.originals import Change, Originals, System
from provision.runs.undo import Line, State, exit_code
from tests.unit.provision.cluster import ApiServer, Objects

PACE = Pace(0.05, 0.01)
HOURS_AGO = (datetime.now(UTC) - timedelta(hours=2)).isoformat()
MINUTES_AGO = (datetime.now(UTC) - timedelta(minutes=2)).isoformat()


def thing(kind: str, name: str, run: str = "run-1", namespace: str = "", **labels: str) -> dict[str, Any]:
    metadata = {"name": name, "labels": {RUN_LABEL: run, **labels}}
    return {"kind": kind, "metadata": metadata | ({"namespace": namespace} if namespace else {})}


@pytest.fixture
def server() -> ApiServer:
    made = ApiServer()
    for document in (
        thing("Namespace", "conformance-run-1"),
        thing("Pod", "probe", namespace="conformance-run-1"),
        thing("Namespace", "conformance-run-2", run="run-2"),
        thing("Pod", "stray", namespace="default"),
        thing("ClusterRole", "made-by-run-1"),
        thing("ClusterRole", "tbot", **{CLUSTER_LABEL: "kept"}),
        thing("Namespace", "teleport-system"),
    ):
        made.put(document, FIELD_MANAGER)
    made.put(thing("Pod", "labelled-by-another-user", namespace="default"))
    made.put({"kind": "Namespace", "metadata": {"name": "conformance-of-theirs", "labels": {}}}, FIELD_MANAGER)
    return made


def left(server: ApiServer, run: str = "run-1", tctl: Any = None, pace: Pace | None = None) -> list[Line]:
    return downed(Objects(server, "down-1"), tctl, run, pace)


def downed(objects: Objects, tctl: Any, run: str, pace: Pace | None) -> list[Line]:
    claim = claimed(objects, renewal=0.02)
    return down(cast("Any", objects), tctl, run, "conformance undo …", pace, claim=claim)


def claimed(objects: Objects, renewal: float) -> Claim:
    return Claim(cast("Any", objects), may="namespaced", ways=Ways("--context c"), renewal=renewal)


def test_what_one_run_left_is_listed(server: ApiServer) -> None:
    lines = left(server)
    assert [line.text for line in lines] == [
        "Namespace conformance-run-1, of run run-1",
        "Pod default/stray, of run run-1",
        "ClusterRole made-by-run-1, of run run-1",
    ]
    assert exit_code(lines) == 1
    assert server.changes == []


def test_it_is_deleted_and_nothing_else(server: ApiServer) -> None:
    lines = left(server, pace=PACE)
    assert {line.state for line in lines} == {State.DONE}
    assert exit_code(lines) == 0
    assert [name for verb, _, name in server.changes if verb == "delete"] == ["conformance-run-1", "stray", "made-by-run-1"]
    assert len(left(server, run="")) == 1, "the namespace of the other run"


def test_of_every_run(server: ApiServer) -> None:
    assert "Namespace conformance-run-2, of run run-2" in [line.text for line in left(server, run="")]


def test_originals_stay_for_undo(server: ApiServer) -> None:
    change = Change(System.KUBERNETES, "DaemonSet", "tbot", (Field(("a",), 1, 2),), "teleport-system")
    Originals(cast("Any", Objects(server, "run-1"))).keep(change)
    lines = left(server, pace=PACE)
    assert exit_code(lines) == 1
    assert lines[0].text.endswith("changed by run run-1 and not restored. What to do: conformance undo …")
    assert len(Originals(cast("Any", Objects(server))).all()) == 1
    assert exit_code(left(server, run="run-2", pace=PACE)) == 0


@pytest.mark.parametrize(("run", "refused"), [("run-1", True), ("", True), ("run-2", False)])
def test_what_a_living_run_made_is_not_listed_as_left(server: ApiServer, run: str, *, refused: bool) -> None:
    namespace = server.found.pop(("Namespace", "", "conformance-run-1"))
    living = claimed(Objects(server, "run-1"), renewal=60)
    living.take()
    server.put(namespace, FIELD_MANAGER)
    if refused:
        with pytest.raises(BadInput, match="expected a run that has ended; saw run run-1"):
            left(server, run)
    else:
        assert left(server, run)
    assert living.release() == ""


@pytest.mark.parametrize("run", ["run-1", "", "run-2"])
def test_nothing_is_deleted_under_a_living_run_whatever_the_clocks_say(
    server: ApiServer, monkeypatch: pytest.MonkeyPatch, run: str
) -> None:
    monkeypatch.setattr("provision.runs.claim._LOOKS", 0.01)
    namespace = server.found.pop(("Namespace", "", "conformance-run-1"))
    living = claimed(Objects(server, "run-1"), renewal=0.03)
    living.take()
    server.put(namespace, FIELD_MANAGER)
    # As a clock that is ahead of the holder's sees the latest renewal.
    server.of("Lease", NAME, NAMESPACE)["spec"]["renewTime"] = MINUTES_AGO
    with pytest.raises(BadInput, match="expected the Lease of a run that was killed; saw run run-1"):
        left(server, run, pace=PACE)
    assert ("Namespace", "", "conformance-run-1") in server.found
    assert living.release() == ""


def test_no_run_begins_while_what_others_left_is_deleted(server: ApiServer) -> None:
    refusals: list[str] = []

    def meanwhile(verb: str, kind: str) -> None:
        if (verb, kind) == ("list", "Namespace") and not refusals:
            refusals.append("")
            with pytest.raises(BadInput, match="saw run down-1") as refused:
                claimed(Objects(server, "run-9"), renewal=60).take()
            refusals.append(str(refused.value))

    server.before = meanwhile
    assert exit_code(left(server, pace=PACE)) == 0
    assert len(refusals) == 2
    assert not parse_lease(server.of("Lease", NAME, NAMESPACE)).is_held


def test_the_lease_of_a_killed_run_is_released_and_named(server: ApiServer) -> None:
    server.found.pop(("Namespace", "", "conformance-run-1"))
    killed = claimed(Objects(server, "run-1"), renewal=60)
    killed.take()
    server.of("Lease", NAME, NAMESPACE)["spec"]["renewTime"] = HOURS_AGO
    lines = left(server, pace=PACE)
    assert lines[-1].text.startswith("the Lease of run run-1 of ")
    assert exit_code(lines) == 0
    assert not parse_lease(server.of("Lease", NAME, NAMESPACE)).is_held
    assert "saw no holder" in killed.release()


def test_the_hold_ends_where_the_listing_fails(server: ApiServer) -> None:
    teleport = Teleport()
    teleport.refuses = True
    with pytest.raises(ProvisioningFailed, match="access denied"):
        left(server, tctl=teleport, pace=PACE)
    assert not parse_lease(server.of("Lease", NAME, NAMESPACE)).is_held


def test_a_kind_that_may_not_be_listed_is_told(server: ApiServer) -> None:
    def refuse(_verb: str, kind: str) -> None:
        if kind.startswith("ClusterRole"):
            raise Forbidden(expected="", seen="clusterroles is forbidden", where="", remedy="")

    server.before = refuse
    lines = left(server, pace=PACE)
    assert [line.state for line in lines].count(State.UNKNOWN) == 2
    assert exit_code(lines) == 6


def test_what_cannot_be_deleted_is_left(server: ApiServer) -> None:
    def refuse(verb: str, kind: str) -> None:
        if (verb, kind) == ("delete", "Pod"):
            raise ProvisioningFailed(expected="", seen="a webhook refuses", where="", remedy="")

    server.before = refuse
    lines = left(server, pace=PACE)
    assert "a webhook refuses" in next(line.text for line in lines if line.state is State.LEFT)
    assert exit_code(lines) == 1


def test_a_namespace_that_lingers_is_told(server: ApiServer) -> None:
    objects = Objects(server, "down-1")

    def lingers(_pace: Any) -> None:
        raise CouldNotTell(expected="it gone", seen="finalizers", where="Namespace", remedy="look")

    objects.await_departures = lingers  # type: ignore[method-assign]
    assert exit_code(downed(objects, None, "run-1", PACE)) == 6


OF_THE_OWNER = {
    "workload_identity/production": {"env": "prod", MAY_CHANGE_LABEL: "yes"},
    "workload_identity/named-after-a-run": {RUN_LABEL: "run-1", MAY_CHANGE_LABEL: "yes"},
    "workload_identity/with-the-runs-label": {RUN_LABEL: "yes"},
}


class Teleport:
    """Resources by kind and name, with their labels."""

    def __init__(self) -> None:
        self.there = {
            "role/mine": {RUN_LABEL: "run-1", MADE_LABEL: "true"},
            "bot/kept": {RUN_LABEL: "run-1", MADE_LABEL: "true", CLUSTER_LABEL: "kind-of-a-colleague"},
            "role/theirs": {"team": "platform"},
            "token/other": {RUN_LABEL: "run-2", MADE_LABEL: "true"},
            **OF_THE_OWNER,
        }
        self.refuses = False

    def __call__(self, words: Sequence[str], _stdin: str) -> CommandResult:
        kind_or_name = words[1]
        if words[0] == "rm" and not self.refuses:
            del self.there[kind_or_name]
        found = [
            {"kind": kind_or_name, "metadata": {"name": each.partition("/")[2], "labels": labels}}
            for each, labels in self.there.items()
            if each.startswith(f"{kind_or_name}/")
        ]
        return CommandResult(("tctl", *words), int(self.refuses), json.dumps(found), "access denied", datetime.now(UTC))


def test_resources_in_teleport_go_by_the_mark_of_their_creation(server: ApiServer) -> None:
    teleport = Teleport()
    texts = [line.text for line in left(server, tctl=teleport) if "in Teleport" in line.text]
    assert texts == ["role mine in Teleport, of run run-1"]
    assert exit_code(left(server, tctl=teleport, pace=PACE)) == 0
    assert [*teleport.there] == ["bot/kept", "role/theirs", "token/other", *OF_THE_OWNER]


def test_of_every_run_what_belongs_to_a_kept_cluster_or_to_an_owner_stays(server: ApiServer) -> None:
    teleport = Teleport()
    left(server, run="", tctl=teleport, pace=PACE)
    assert [*teleport.there] == ["bot/kept", "role/theirs", *OF_THE_OWNER]


def test_a_teleport_that_refuses_is_told(server: ApiServer) -> None:
    teleport = Teleport()
    teleport.refuses = True
    with pytest.raises(ProvisioningFailed, match="access denied"):
        left(server, tctl=teleport)
