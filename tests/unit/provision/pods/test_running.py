"""Pods of the suite: the policy that refused one, if a policy did."""

from __future__ import annotations

from typing import Any, cast

import pytest

from provision.pods.running import Pods, _ended
from tests.unit.judge import builders as make


@pytest.mark.parametrize(
    ("reason", "by_policy"),
    [
        ("not there after 60 s: Pending; FailedMount: hostPath type check failed: /run/spire/sockets is not there", True),
        ("not there after 60 s: ContainerCreating; FailedScheduling: 0/2 nodes are available", False),
        ("Error", False),
    ],
)
def test_a_late_or_broken_pod_was_not_refused_by_policy(reason: str, *, by_policy: bool) -> None:
    ended = _ended(make.pod(), reason)
    assert ended.by_policy is by_policy
    assert ended.evidence == ("ev-pod-app",)


@pytest.mark.parametrize(
    ("patience", "given", "deadline"), [(120.0, 600, 600), (1000.0, 600, 3000), (120.0, None, None)], ids=str
)
def test_kubernetes_ends_no_pod_that_the_suite_still_waits_for(
    patience: float, given: int | None, deadline: int | None
) -> None:
    applied: list[dict[str, Any]] = []

    class Objects:
        def apply(self, document: dict[str, Any]) -> None:
            applied.append(document)

    document = {"spec": {} if given is None else {"activeDeadlineSeconds": given}}
    Pods(cast("Any", Objects()), cast("Any", None), patience).make(document)
    assert applied[0]["spec"].get("activeDeadlineSeconds") == deadline
    assert document["spec"].get("activeDeadlineSeconds") == given
