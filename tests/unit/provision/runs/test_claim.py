"""One run at a time may change a cluster, and every other is told which one does."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from facts.errors import BadInput, ProvisioningFailed
from facts.kubernetes.leases import NAME, NAMESPACE, Lease, disturbed_by, parse_lease
from observe.wait import NotYet, Pace, eventually
from provision.objects import RUN_LABEL, Forbidden
from provision.runs.claim import Claim, HoldLost, Ways, write
from provision.runs.fields import Field
from provision.runs.originals import Change, Originals, System
from provision.target import fence
from tests.unit.provision.cluster import ApiServer, Objects

WAYS = Ways("--context staging")
CHANGE = Change(System.KUBERNETES, "DaemonSet", "tbot", (Field(("a",), 1, 2),), "teleport-system")
HOURS_AGO = (datetime.now(UTC) - timedelta(hours=2)).isoformat()


@pytest.fixture
def server() -> ApiServer:
    return ApiServer()


def claim(server: ApiServer, run: str, may: str = "disruptive", wait: float = 0, renewal: float = 60) -> Claim:
    return Claim(cast("Any", Objects(server, run)), may=may, ways=WAYS, wait=wait, renewal=renewal)


def lease(server: ApiServer) -> Lease:
    return parse_lease(server.of("Lease", NAME, NAMESPACE))


def killed(server: ApiServer, run: str = "run-1") -> None:
    """A run that took the Lease and was killed hours ago."""
    holding = claim(server, run)
    holding.take()
    holding._released.set()
    server.of("Lease", NAME, NAMESPACE)["spec"]["renewTime"] = HOURS_AGO


def test_a_run_takes_the_lease_and_releases_it_for_the_next(server: ApiServer) -> None:
    first = claim(server, "run-1")
    assert first.take() == first.take() == ""
    assert re.fullmatch(r"run run-1 of .+@.+, since 2.+Z", lease(server).holder)
    assert first.release() == ""
    assert not lease(server).is_held

    second = claim(server, "run-2")
    second.take()
    assert lease(server).run == "run-2"
    assert second.release() == ""
    assert second.release() == ""


@pytest.mark.parametrize("run", ["run-2", "run-1"], ids=["another run", "another process with the same run-id"])
def test_a_second_run_is_refused_by_the_name_of_the_first(server: ApiServer, run: str) -> None:
    first = claim(server, "run-1")
    first.take()
    with pytest.raises(BadInput, match=r"saw run run-1 of .+@.+, since .+ What to do: .+--wait-for-run SECONDS"):
        claim(server, run).take()
    assert first.release() == "", "a refused run has touched nothing"


def test_a_run_waits_for_another_when_it_is_told_to(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("provision.runs.claim._LOOKS", 0.01)
    first = claim(server, "run-1")
    first.take()
    threading.Timer(0.1, first.release).start()
    said: list[str] = []
    objects = cast("Any", Objects(server, "run-2"))
    second = Claim(objects, may="namespaced", ways=WAYS, wait=10, say=said.append)
    second.take()
    assert lease(server).run == "run-2"
    assert [words.partition(" of ")[0] for words in said] == ["waiting up to 10 s for run run-1"]
    second.release()


def test_the_lease_of_a_killed_run_is_taken_by_no_run(server: ApiServer) -> None:
    killed(server)
    with pytest.raises(BadInput) as refused:
        claim(server, "run-2", wait=60).take()
    assert "probably killed" in refused.value.seen
    assert "conformance undo --context staging --yes" in refused.value.remedy
    assert "conformance down --context staging --run run-1 --yes" in refused.value.remedy
    assert lease(server).run == "run-1"


def test_a_run_lends_the_lease_to_another_program_and_has_it_again(server: ApiServer) -> None:
    lender = claim(server, "run-1", renewal=0.01)
    lender.take()
    server.put({"kind": "Namespace", "metadata": {"name": "conformance-run-1", "labels": {RUN_LABEL: "run-1"}}})
    with lender.lent():
        assert not lease(server).is_held
        before = lease(server)
        with pytest.raises(HoldLost):
            lender.must_hold()
        borrower = claim(server, "doctor", may="namespaced")
        assert borrower.take() == borrower.release() == ""
        assert disturbed_by(before, lease(server)) == "", "who reads only is alone as well"
    assert lease(server).run == "run-1"
    renewed = lease(server).version
    eventually("the Lease is renewed", lambda: _differs(lease(server).version, renewed), Pace(5, 0.01))
    lender.must_hold()
    assert lender.release() == ""


def _differs(now: str, before: str) -> None:
    if now == before:
        raise NotYet(now)


def test_a_lender_does_not_get_the_lease_back_from_a_run_that_took_it(server: ApiServer) -> None:
    lender, other = claim(server, "run-1"), claim(server, "run-2")
    lender.take()
    with pytest.raises(BadInput, match="saw run run-2"), lender.lent():
        other.take()
    with pytest.raises(HoldLost):
        lender.must_hold()
    assert (lender.release(), other.release()) == ("", "")


def test_who_has_no_lease_lends_none(server: ApiServer) -> None:
    with claim(server, "run-1").lent():
        assert ("Lease", NAMESPACE, NAME) not in server.found


def test_what_an_earlier_run_did_not_put_back_keeps_the_next_run_off(server: ApiServer) -> None:
    Originals(cast("Any", Objects(server, "run-1"))).keep(CHANGE)
    with pytest.raises(BadInput, match=r"DaemonSet .*/tbot, changed by run run-1.* What to do: conformance undo"):
        claim(server, "run-2").take()
    assert ("Lease", NAMESPACE, NAME) not in server.found


def test_namespaces_of_an_earlier_run_with_this_id_keep_it_off(server: ApiServer) -> None:
    def labelled(name: str) -> dict[str, Any]:
        return {"kind": "Namespace", "metadata": {"name": name, "labels": {RUN_LABEL: "run-1"}}}

    server.put(labelled("teleport-system"))  # of an installation that this run once made
    claim(server, "run-1").take()
    server.found.clear()
    server.put(labelled("conformance-run-1"))
    with pytest.raises(BadInput, match="namespaces of a run run-1: conformance-run-1"):
        claim(server, "run-1").take()


def test_two_runs_that_see_a_free_lease_at_once_do_not_both_get_it(server: ApiServer) -> None:
    other = claim(server, "run-2")

    def meanwhile(verb: str, kind: str) -> None:
        if (verb, kind) == ("create", "Lease"):
            server.before = lambda _verb, _kind: None
            other.take()

    server.before = meanwhile
    with pytest.raises(BadInput, match="took it at the same moment"):
        claim(server, "run-1").take()
    assert lease(server).run == "run-2"


def refusing(kind: str, error: type[ProvisioningFailed]) -> Callable[[str, str], None]:
    def refuse(_verb: str, its: str) -> None:
        if its == kind:
            raise error(expected="", seen="HTTP 403: leases is forbidden", where="", remedy="")

    return refuse


def _breaking(_verb: str, _kind: str) -> None:
    raise ValueError("an error that nothing of the suite expects")


def test_without_the_right_a_disruptive_run_is_refused_and_a_namespaced_one_says_so(server: ApiServer) -> None:
    server.before = refusing("Lease", Forbidden)
    with pytest.raises(BadInput, match="leases is forbidden"):
        claim(server, "run-1").take()
    namespaced = claim(server, "run-1", may="namespaced")
    assert "leases is forbidden" in namespaced.take()
    assert namespaced.release() == ""


def test_an_api_server_that_does_not_answer_is_another_error(server: ApiServer) -> None:
    server.before = refusing("Lease", ProvisioningFailed)
    with pytest.raises(ProvisioningFailed):
        claim(server, "run-1").take()


def test_a_run_renews_its_lease_and_outlives_an_api_server_that_is_away(server: ApiServer) -> None:
    first = claim(server, "run-1", renewal=0.01)
    first.take()
    acquired = lease(server).renewed_at

    def look() -> None:
        if lease(server).renewed_at == acquired:
            raise NotYet(acquired)

    eventually("it is renewed", look, Pace(5, 0.01))
    for odd in (refusing("Lease", ProvisioningFailed), _breaking):
        server.before = odd
        acquired = lease(server).renewed_at
        threading.Event().wait(0.05)
        server.before = lambda _verb, _kind: None
        eventually("it is renewed again", look, Pace(5, 0.01))
    assert first.release() == ""


def test_a_run_that_lost_its_lease_says_so(server: ApiServer) -> None:
    first = claim(server, "run-1", renewal=0.01)
    first.take()
    server.of("Lease", NAME, NAMESPACE)["metadata"]["annotations"].clear()

    def look() -> None:
        if not first._lost:
            raise NotYet("not noticed")

    eventually("it is noticed", look, Pace(5, 0.01))
    assert "another run or `conformance undo` may have changed the cluster" in first.release()
    assert lease(server).run == "run-1", "what is not this run's is not released"


def taken_over(server: ApiServer) -> None:
    """`conformance undo` on another machine, after a pause in which the holder renewed nothing."""
    server.of("Lease", NAME, NAMESPACE)["spec"]["renewTime"] = HOURS_AGO
    undoing = claim(server, "undo-1", renewal=0.02)
    undoing.take_over()
    undoing.release()


def deleted(server: ApiServer) -> None:
    del server.found["Lease", NAMESPACE, NAME]


@pytest.mark.parametrize(("lose", "seen"), [(taken_over, "no holder"), (deleted, "no Lease")])
def test_a_run_that_lost_its_lease_between_two_renewals_changes_nothing_more_and_ends(
    server: ApiServer, lose: Callable[[ApiServer], None], seen: str
) -> None:
    first = claim(server, "run-1")
    first.take()
    ended: list[str] = []
    originals = Originals(cast("Any", Objects(server, "run-1").fenced(fence(first, ended.append))))
    originals.forget(originals.keep(CHANGE))
    lose(server)
    with pytest.raises(HoldLost, match=f"saw {seen} at .* What to do: run again, alone"):
        originals.keep(CHANGE)
    assert len(ended) == 1
    assert originals.all() == ()
    assert first.release() == ended[0]


@pytest.mark.parametrize(("lose", "seen"), [(taken_over, "no holder"), (deleted, "no Lease")])
def test_a_loss_that_nobody_noticed_is_told_at_the_end(
    server: ApiServer, lose: Callable[[ApiServer], None], seen: str
) -> None:
    first = claim(server, "run-1")
    first.take()
    lose(server)
    assert f"saw {seen} at " in first.release()


def test_before_a_change_the_run_renews_its_lease(server: ApiServer) -> None:
    first = claim(server, "run-1")
    first.take()
    server.of("Lease", NAME, NAMESPACE)["spec"]["renewTime"] = HOURS_AGO
    before = lease(server).version
    first.must_hold()
    assert lease(server).version != before
    assert not lease(server).is_stale(datetime.now(UTC))
    server.before = refusing("Lease", ProvisioningFailed)
    with pytest.raises(ProvisioningFailed, match="leases is forbidden"):
        first.must_hold()
    server.before = lambda _verb, _kind: None
    assert first.release() == "", "it did not answer once, which is no loss"


def test_only_a_run_that_may_go_on_without_the_lease_changes_something_without_it(server: ApiServer) -> None:
    with pytest.raises(HoldLost, match="that it has not taken it"):
        claim(server, "run-1").must_hold()
    claim(server, "run-1", may="namespaced").must_hold()
    fence(None, pytest.fail)()


def test_an_answer_to_the_release_that_was_lost_is_no_loss_of_the_lease(
    server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = claim(server, "run-1")
    first.take()

    def answer_lost(objects: Any, before: Lease | None, change: dict[str, Any]) -> None:
        monkeypatch.undo()
        write(objects, before, change)
        raise ProvisioningFailed(expected="", seen="the connection was reset", where="", remedy="")

    monkeypatch.setattr("provision.runs.claim.write", answer_lost)
    assert first.release() == ""
    assert not lease(server).is_held


def test_a_lease_that_cannot_be_released_is_told(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("provision.runs.claim._FINAL", 0.01)
    first = claim(server, "run-1")
    first.take()
    server.before = refusing("Lease", ProvisioningFailed)
    assert "What to do: conformance undo" in first.release()


def test_a_read_only_run_learns_of_one_that_came_and_went(server: ApiServer) -> None:
    first = claim(server, "run-1")
    first.take()
    first.release()
    before = lease(server)
    second = claim(server, "run-2")
    second.take()
    second.release()
    assert "run run-2, which has ended since" in disturbed_by(before, lease(server))
    before = lease(server)
    deleted(server)
    anew = claim(server, "run-3")
    anew.take()
    anew.release()
    assert "an unknown run" in disturbed_by(before, lease(server))


def test_a_namespaced_run_disturbs_no_read_only_run(server: ApiServer) -> None:
    first = claim(server, "run-1")
    first.take()
    first.release()
    third = claim(server, "run-3", may="namespaced")
    before = lease(server)
    third.take()
    third.release()
    assert disturbed_by(before, lease(server)) == ""
