"""The Lease of a cluster: who holds it, whether it is stale, and what a look before and a look after tell."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from facts.document import Absent
from facts.errors import CouldNotTell
from facts.evidence import ObjectRef
from facts.kubernetes.leases import (
    BY,
    DISRUPTIVE_RUNS,
    DURATION,
    LAST_DISRUPTIVE,
    MAY,
    NAME,
    NAMESPACE,
    SESSION,
    Lease,
    disturbed_by,
    parse_lease,
)
from facts.masks import kept_for, kept_of
from facts.redaction import Hiding

DELETED = "an unknown run: the Lease that would name it was deleted"
RENEWED = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)
NONE = Absent(ObjectRef("Lease", NAME, NAMESPACE), ())


def lease(
    run: str = "", may: str = "disruptive", count: str = "", last: str = "", *, by: str = "amy@laptop", uid: str = "one"
) -> Lease:
    annotations = {DISRUPTIVE_RUNS: count, LAST_DISRUPTIVE: last}
    spec: dict[str, Any] = {}
    if run:
        annotations |= {SESSION: "abc", BY: by, MAY: may}
        spec = {"holderIdentity": run, "acquireTime": "2026-03-01T09:00:00Z", "renewTime": RENEWED.isoformat()}
    metadata = {
        "resourceVersion": "7",
        "uid": uid,
        "annotations": {key: value for key, value in annotations.items() if value},
    }
    return parse_lease({"metadata": metadata, "spec": spec}, ("ev",))


def test_a_held_lease_says_by_whom() -> None:
    held = lease("run-1", count="3")
    assert (held.version, held.session, held.evidence) == ("7", "abc", ("ev",))
    assert (held.is_held, held.may_disrupt, held.disruptive_runs) == (True, True, 3)
    assert held.holder == "run run-1 of amy@laptop, since 2026-03-01T09:00:00Z"
    assert lease("run-1", by="").holder == "run run-1, since 2026-03-01T09:00:00Z"
    assert not lease("run-1", may="namespaced").may_disrupt


def test_a_released_lease_has_no_holder() -> None:
    free = lease(count="many")
    assert (free.is_held, free.may_disrupt, free.disruptive_runs, free.session) == (False, False, 0, "")
    assert not free.is_stale(RENEWED)
    assert lease(count="9" * 5000).disruptive_runs == 0, "no number of runs, whoever wrote it"


def test_a_lease_is_stale_when_it_was_not_renewed_in_time() -> None:
    held = lease("run-1")
    assert not held.is_stale(RENEWED)
    assert not held.is_stale(RENEWED + timedelta(seconds=DURATION))
    assert held.is_stale(RENEWED + timedelta(seconds=DURATION, microseconds=1))
    with pytest.raises(CouldNotTell, match=f"{NAMESPACE}/{NAME}"):
        parse_lease({"spec": {"holderIdentity": "run-1"}}).is_stale(RENEWED)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (NONE, NONE, ""),
        (NONE, lease(), ""),
        (lease(count="2"), lease(count="2"), ""),
        (lease("run-1", may="namespaced"), lease("run-2", may="namespaced"), ""),
        (lease("run-1"), lease(count="1"), "run run-1 of amy@laptop, since 2026-03-01T09:00:00Z"),
        (NONE, lease("run-1", count="1"), "run run-1 of amy@laptop, since 2026-03-01T09:00:00Z"),
        (NONE, lease(count="1", last="run-1"), "run run-1, which has ended since"),
        (lease(count="1", last="run-1"), lease(count="2", last="run-2"), "run run-2, which has ended since"),
        (lease(count="1"), lease(count="2"), "run of unknown id, which has ended since"),
        (lease(count="1"), lease(count="1", uid="another"), f"{DELETED}, and another one made"),
        (lease(), lease(uid="another"), f"{DELETED}, and another one made"),
        (lease(count="2"), lease(count="1", last="run-1", uid="another"), f"{DELETED}, and another one made"),
        (lease(), lease("run-1", uid="another"), "run run-1 of amy@laptop, since 2026-03-01T09:00:00Z"),
        (lease(count="1"), NONE, DELETED),
    ],
)
def test_a_disruptive_run_at_any_moment_in_between_is_noticed(
    before: Lease | Absent, after: Lease | Absent, said: str
) -> None:
    assert disturbed_by(before, after) == said


def test_evidence_keeps_what_the_suite_writes_and_nothing_else() -> None:
    annotations = {SESSION: "abc", BY: "amy@laptop", MAY: "disruptive", DISRUPTIVE_RUNS: "3", LAST_DISRUPTIVE: "run-1"}
    written: dict[str, dict[str, Any]] = {
        "metadata": {"resourceVersion": "7", "uid": "one", "annotations": annotations},
        "spec": {"holderIdentity": "run-1", "acquireTime": "2026-03-01T09:00:00Z", "renewTime": RENEWED.isoformat()},
    }
    others = {"annotations": annotations | {"someone/note": "theirs"}, "managedFields": [{"manager": "kubectl"}]}
    answer = json.dumps({"metadata": written["metadata"] | others, "spec": written["spec"] | {"leaseDurationSeconds": 60}})
    assert json.loads(kept_of(answer, kept_for(parse_lease), Hiding())) == written
