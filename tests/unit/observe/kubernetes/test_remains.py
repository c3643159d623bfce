"""The reader of what has the label of a run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from facts.errors import CouldNotTell
from facts.kubernetes.remains import FIELD_MANAGER, MADE_LABEL, RUN_LABEL
from facts.recorder import KeptInMemory
from observe.command import CommandResult
from observe.kubernetes.cluster import Cluster
from observe.kubernetes.remains import read_remains
from providers.teleport.observe.session import is_not_there
from tests.unit.observe.api_server import ApiServer

QUERY = "labelSelector=conformance.teleport-istio%2Frun%3Dr&limit=500"
DENIED = 'jobs.batch is forbidden: User "u" cannot list resource "jobs" in API group "batch" at the cluster scope'


def item(name: str) -> dict[str, Any]:
    managed = [{"manager": FIELD_MANAGER}]
    return {"metadata": {"name": name, "namespace": "ns", "labels": {RUN_LABEL: "r"}, "managedFields": managed}}


def test_every_kind_but_secrets_is_listed_by_the_runs_label(
    cluster: Cluster, server: ApiServer, recorder: KeptInMemory
) -> None:
    server.know(
        ("v1", "pods", "Pod"),
        ("v1", "secrets", "Secret"),
        ("apps/v1", "deployments", "Deployment"),
        ("batch/v1", "jobs", "Job"),
    )
    server.answer(f"GET /api/v1/pods?{QUERY}", {"items": [item("left")]})
    server.answer(f"GET /apis/apps/v1/deployments?{QUERY}", {"items": []})
    server.answer(f"GET /apis/batch/v1/jobs?{QUERY}", {"message": DENIED}, 403)
    found = read_remains(cluster, None, "r", is_not_there, {""})
    assert [(str(kind), each.name) for kind, each in found.objects] == [("pods", "left")]
    assert [str(kind) for kind in found.looked_at] == ["pods", "deployments.apps"]
    assert [str(kind) for kind in found.denied] == ["jobs.batch"]
    assert found.unread == ()
    assert not found.asked_teleport
    assert {*found.evidence} <= {*recorder.evidence}
    assert not any("secrets" in target for _method, target, _body in server.asked)


def test_a_server_that_does_not_answer_is_told(cluster: Cluster, server: ApiServer) -> None:
    server.know(("v1", "pods", "Pod"), ("metrics.k8s.io/v1", "nodes", "NodeMetrics"))
    server.answer("GET /apis/metrics.k8s.io/v1", {"message": "unavailable"}, 503)
    server.answer(f"GET /api/v1/pods?{QUERY}", {"message": "busy"}, 500)
    found = read_remains(cluster, None, "r", is_not_there, {""})
    assert found.unread == (("pods", "HTTP 500: busy"),)
    assert found.silent == (("/apis/metrics.k8s.io/v1", "HTTP 503: unavailable"),), "the run made nothing of this group"
    found = read_remains(cluster, None, "r", is_not_there, {"metrics.k8s.io"})
    assert [what for what, _why in found.unread] == ["/apis/metrics.k8s.io/v1"]
    assert [what for what, _why in found.silent] == ["pods"]


def test_a_kind_that_the_admin_session_may_not_list_is_named(cluster: Cluster, server: ApiServer) -> None:
    server.know(("v1", "pods", "Pod"))
    server.answer(f"GET /api/v1/pods?{QUERY}", {"items": []})

    def without_tokens(words: Sequence[str], _stdin: str) -> CommandResult:
        if words[1] != "token":
            return CommandResult(("tctl", *words), 0, "[]", "", datetime.now(UTC))
        said = 'ERROR: access denied to perform action "list" on "token"\n'
        return CommandResult(("tctl", *words), 1, "", said, datetime.now(UTC))

    found = read_remains(cluster, without_tokens, "r", is_not_there, {""})
    assert found.denied_in_teleport == ("token",)
    assert found.asked_teleport


def tctl(answers: dict[str, Any], exit_code: int = 0) -> Any:
    def run(words: Sequence[str], _stdin: str) -> CommandResult:
        assert [words[0], words[2]] == ["get", "--format=json"]
        return CommandResult(("tctl", *words), exit_code, json.dumps(answers.get(words[1], [])), "", datetime.now(UTC))

    return run


def test_resources_of_teleport(cluster: Cluster, server: ApiServer, recorder: KeptInMemory) -> None:
    server.know(("v1", "pods", "Pod"))
    server.answer(f"GET /api/v1/pods?{QUERY}", {"items": []})
    made = {"metadata": {"name": "ours", "labels": {RUN_LABEL: "r", MADE_LABEL: "yes"}}}
    of_another = {"metadata": {"name": "earlier", "labels": {RUN_LABEL: "q", MADE_LABEL: "yes"}}}
    answers = {"role": [made, of_another], "token": [{"metadata": {"name": "a-name-that-is-a-secret"}}]}
    found = read_remains(cluster, tctl(answers), "r", is_not_there, {""})
    assert [(kind, each.name) for kind, each in found.resources] == [("role", "ours")]
    assert found.asked_teleport
    assert not any("a-name-that-is-a-secret" in each.body for each in recorder.evidence.values())
    with pytest.raises(CouldNotTell, match="exit code 1"):
        read_remains(cluster, tctl({}, 1), "r", lambda _answer, _kind: False, {""})
