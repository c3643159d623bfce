"""A run and the Lease of its cluster: taken before anything is changed, looked at by a run that changes nothing."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web

from facts.kubernetes.leases import BY, MAY, SESSION, parse_lease
from observe.wait import NotYet, Pace, eventually
from tests.plugin.test_bad_input import Suite, suite
from tests.unit.observe.api_server import CONTEXT, ApiServer, running
from tests.unit.provision.lease import LEASE, with_a_lease

__all__ = ["suite"]

OPTIONS = ("--cluster", "existing", "--kubeconfig", "kubeconfig", "--context", CONTEXT)


@pytest.fixture
def server(suite: Suite) -> Iterator[ApiServer]:
    with running() as started:
        known(started, suite)
        yield started


def known(server: ApiServer, suite: Suite) -> None:
    """Tells the API server which kinds there are, and the suite where it is."""
    server.kubeconfig(suite.directory)
    leases = ("coordination.k8s.io/v1", "leases", "Lease")
    server.know(leases, ("v1", "configmaps", "ConfigMap"), ("v1", "namespaces", "Namespace"))


def with_kinds_and_nothing_else(server: ApiServer, suite: Suite) -> None:
    """An API server with a Lease that can be changed, without originals and without namespaces of runs."""
    known(server, suite)
    empty = {"kind": "List", "items": []}
    server.answer("GET /api/v1/namespaces/kube-system/configmaps", empty)
    server.answer("GET /api/v1/namespaces", empty)
    server.answer(f"PATCH {LEASE}", {})


def lease(renewed: datetime, may: str = "disruptive") -> dict[str, Any]:
    annotations = {SESSION: "abc", BY: "amy@laptop", MAY: may}
    spec = {"holderIdentity": "run-1", "acquireTime": "2026-01-01T10:00:00Z", "renewTime": renewed.isoformat()}
    return {"kind": "Lease", "metadata": {"resourceVersion": "7", "annotations": annotations}, "spec": spec}


def test_a_second_run_that_may_change_something_is_refused_by_the_name_of_the_first(suite: Suite, server: ApiServer) -> None:
    server.answer(f"GET {LEASE}", lease(datetime.now(UTC)))

    ran = suite.run(*OPTIONS, "--allow", "namespaced", "--run-id", "mine")

    ran.must_say("saw run run-1 of amy@laptop, since 2026-01-01T10:00:00Z", exit_code=4)
    assert "--wait-for-run SECONDS" in ran.said
    assert {method for method, _, _ in server.asked} == {"GET"}
    assert not (suite.directory / "reports/mine").exists()


def test_a_run_takes_the_lease_and_releases_it(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ApiServer, "handle", with_a_lease)
    with running() as server:
        with_kinds_and_nothing_else(server, suite)

        ran = suite.run(*OPTIONS, "--allow", "namespaced", "-k", "every and right")

        assert not any("Lease" in error for error in ran.report["run_errors"]), ran.report["run_errors"]
        found = parse_lease(server.answers[f"GET {LEASE}"].body)
    assert not found.is_held
    assert (found.session, found.disruptive_runs) == ("", 0)
    verbs = [method for method, target, _ in server.asked if "leases" in target and method != "GET"]
    assert verbs == ["POST", "PATCH"], "made, and released"


def test_a_run_whose_first_look_got_no_answer_is_refused_before_it_changes_anything(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = 0

    async def away_at_first(server: ApiServer, request: web.Request) -> web.StreamResponse:
        nonlocal looked
        looked += request.path == LEASE
        if request.path == LEASE and looked == 1:
            return web.json_response({"message": "etcd is away"}, status=500)
        return await with_a_lease(server, request)

    monkeypatch.setattr(ApiServer, "handle", away_at_first)
    with running() as server:
        with_kinds_and_nothing_else(server, suite)
        server.answer(f"GET {LEASE}", lease(datetime.now(UTC)))

        ran = suite.run(*OPTIONS, "--allow", "disruptive", "-k", "every and right")

    ran.must_say("saw run run-1 of amy@laptop, since 2026-01-01T10:00:00Z", exit_code=4)
    assert {method for method, _, _ in server.asked} == {"GET"}


RIGHTS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


def test_of_two_runs_at_once_the_second_is_refused_and_a_third_waits_for_the_first(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three processes on one cluster: the first is kept in its scenario, holding the Lease, until the others have asked."""
    may_end = threading.Event()

    async def keeping(server: ApiServer, request: web.Request) -> web.StreamResponse:
        while request.path == RIGHTS and not may_end.is_set():
            await asyncio.sleep(0.05)
        return await with_a_lease(server, request)

    monkeypatch.setattr(ApiServer, "handle", keeping)
    suite.patience = 300
    one = (*OPTIONS, "--allow", "namespaced", "-k", "every and right", "--timeout-scale", "20", "--run-id")
    with running() as server, ThreadPoolExecutor() as runs:
        with_kinds_and_nothing_else(server, suite)
        try:
            first = runs.submit(suite.run, *one, "first")
            eventually("the first run holds the Lease", lambda: must_hold(server, "first"), PATIENCE)

            second = suite.run(*one, "second")
            second.must_say("saw run first of ", exit_code=4)
            assert "--wait-for-run SECONDS" in second.said
            must_hold(server, "first")

            asked = looks(server)
            third = runs.submit(suite.run, *one, "third", "--wait-for-run", "250")
            eventually("the third run has looked twice", lambda: must_be_more(looks(server), asked + 1), PATIENCE)
            must_hold(server, "first")
        finally:
            may_end.set()
        ended, waited = first.result(), third.result()

    assert "waiting up to 250 s for run first of " in waited.said
    assert {ended.exit_code, waited.exit_code} <= {0, 1, 6}, "not refused"
    holders = [body["spec"]["holderIdentity"] for _, target, body in server.asked if "/leases" in target and holds(body)]
    assert holders == ["first", "third"]
    for run in ("first", "third"):
        errors = json.loads((suite.directory / "reports" / run / "report.json").read_text())["run_errors"]
        assert not [error for error in errors if "Lease" in error]
    assert not parse_lease(server.answers[f"GET {LEASE}"].body).is_held


PATIENCE = Pace(240, 0.1)


def must_hold(server: ApiServer, run: str) -> None:
    now = server.answers.get(f"GET {LEASE}")
    holder = parse_lease(now.body).run if now else "nobody"
    if holder != run:
        raise NotYet(holder)


def must_be_more(count: int, than: int) -> None:
    if count <= than:
        raise NotYet(str(count))


def looks(server: ApiServer) -> int:
    return sum((method, target) == ("GET", LEASE) for method, target, _ in server.asked)


def holds(body: Any) -> bool:
    """True for a request that takes the Lease."""
    return bool(body and body.get("spec", {}).get("holderIdentity"))


def test_the_lease_of_a_killed_run_names_the_commands_that_clean_up(suite: Suite, server: ApiServer) -> None:
    server.answer(f"GET {LEASE}", lease(datetime.now(UTC) - timedelta(hours=1)))

    ran = suite.run(*OPTIONS, "--allow", "disruptive", "--wait-for-run", "60")

    undo = f"conformance undo --kubeconfig kubeconfig --context {CONTEXT} --yes"
    down = f"conformance down --kubeconfig kubeconfig --context {CONTEXT} --run run-1 --yes"
    ran.must_say(f"restore what it changed: {undo}; then remove what it left: {down}", exit_code=4)


def test_a_read_only_run_names_undo_where_the_disruptive_one_was_killed(suite: Suite, server: ApiServer) -> None:
    server.answer(f"GET {LEASE}", lease(datetime.now(UTC) - timedelta(hours=1)))

    ran = suite.run(*OPTIONS)

    (noted,) = [e for e in ran.report["run_errors"] if "disruptive run" in e]
    undo = f"conformance undo --kubeconfig kubeconfig --context {CONTEXT} --yes"
    assert noted.endswith(f"What to do: restore what it changed: {undo}; then run again")


@pytest.mark.parametrize(
    ("status", "may", "said"),
    [
        (200, "disruptive", "expected no disruptive run while this one looked; saw run run-1 of amy@laptop, since 2026"),
        (403, "disruptive", "it could not be determined whether a disruptive run changed the cluster meanwhile: expected"),
        (200, "namespaced", ""),
    ],
    ids=["disruptive", "no right", "namespaced"],
)
def test_a_read_only_run_says_whether_a_disruptive_one_was_there(
    suite: Suite, server: ApiServer, status: int, may: str, said: str
) -> None:
    server.answer(f"GET {LEASE}", lease(datetime.now(UTC), may) if status == 200 else {"message": "no"}, status)

    ran = suite.run(*OPTIONS)

    noted = [e for e in ran.report["run_errors"] if "disruptive run" in e]
    assert len(noted) == bool(said)
    assert all(said in each for each in noted)
    assert all(each.endswith("run again once it has ended") for each in noted if status == 200)
    assert ran.report["result"] == "inconclusive"
    assert {method for method, target, _ in server.asked if "leases" in target} == {"GET"}
