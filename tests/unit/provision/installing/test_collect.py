"""What is kept of a part of the installation that failed."""

from __future__ import annotations

import json
from typing import cast

import pytest

from facts.errors import CouldNotTell
from facts.recorder import KeptInMemory
from provision.installing.collect import keep_state
from provision.objects import Objects

POD = {
    "metadata": {"name": "p", "namespace": "ns", "uid": "u", "managedFields": [{"manager": "m"}]},
    "spec": {"containers": [{"name": "app", "image": "i", "env": [{"name": "DB_PASSWORD", "value": "of-somebody"}]}]},
    "status": {"containerStatuses": [{"name": "app", "restartCount": 1, "state": {"running": {}}}]},
}
EVENT = {"reason": "Failed", "message": "password: of-somebody", "involvedObject": {"kind": "Pod", "name": "p"}}


class Answers:
    """A cluster with one pod that has restarted."""

    def raw(self, path: str) -> str:
        if "previous" in path:
            raise CouldNotTell(expected="a log", seen="none", where=path, remedy="none")
        if "/log" in path:
            return '{"level": "error"}'
        return json.dumps({"kind": "List", "items": [EVENT if path.endswith("events") else POD]})


def test_pods_and_events_are_kept_as_they_are_judged_and_logs_as_text(recorder: KeptInMemory) -> None:
    keep_state("ns", cast("Objects", Answers()), recorder)
    pods, events, log, previous = recorder.evidence.values()
    assert "of-somebody" not in pods.body + events.body
    assert '"restartCount":1' in pods.body
    assert "managedFields" not in pods.body
    assert (pods.parser, events.parser) == (
        "facts.kubernetes.objects.parse_pod",
        "facts.kubernetes.objects.parse_event",
    )
    assert log.body == '{"level": "error"}'
    assert previous.body.startswith("no answer: expected a log")


@pytest.fixture
def recorder() -> KeptInMemory:
    return KeptInMemory()
