"""The recorder in memory."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from facts.evidence import Evidence, ObjectRef, evidence_of
from facts.finding import Finding, Holds
from facts.recorder import KeptInMemory
from facts.secret_forms import MARK

SECRET = "the-name-of-a-token"


def reading(body: str) -> Evidence:
    return evidence_of("q", ObjectRef("Teleport", "token"), body, read_at=datetime(2026, 3, 1, tzinfo=UTC))


def finding(where: str) -> Finding:
    return Finding("INST-01", Holds.YES, "x", where, confirmed="so", evidence=("ev-1",))


def test_it_keeps_readings_by_their_ids_and_findings_in_order() -> None:
    recorder, one, two = KeptInMemory(), reading("1"), reading("2")
    assert [recorder.record(one), recorder.record(two)] == [one.id, two.id]
    assert recorder.evidence == {one.id: one, two.id: two}
    recorder.conclude(finding("a"))
    recorder.conclude(finding("b"))
    assert [f.where for f in recorder.findings] == ["a", "b"]


def test_only_recorded_readings_can_be_attached() -> None:
    recorder, one, two = KeptInMemory(), reading("1"), reading("2")
    recorder.record(one)
    recorder.attach([])
    recorder.attach([one.id])
    with pytest.raises(KeyError) as caught:
        recorder.attach([one.id, two.id])
    assert two.id in str(caught.value)
    assert one.id not in str(caught.value)


def test_a_hidden_value_goes_from_what_came_before_and_from_what_comes_later() -> None:
    recorder, before, later = KeptInMemory(), reading(f"a {SECRET}"), reading(f"b {SECRET}")
    recorder.record(before)
    recorder.conclude(finding(f"token/{SECRET}"))
    recorder.hide(SECRET, "")
    recorder.record(later)
    recorder.conclude(finding(f"later/{SECRET}"))
    assert [e.body for e in recorder.evidence.values()] == [f"a {MARK}", f"b {MARK}"]
    assert [f.where for f in recorder.findings] == [f"token/{MARK}", f"later/{MARK}"]
    assert [*recorder.evidence] == [before.id, later.id]


def test_an_empty_value_hides_nothing() -> None:
    recorder, one = KeptInMemory(), reading("1")
    recorder.hide("")
    recorder.record(one)
    assert recorder.evidence[one.id] is one
