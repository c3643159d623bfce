"""Pods of the suite: the policy that refused one, if a policy did."""

from __future__ import annotations

import pytest

from provision.pods.running import _ended
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
