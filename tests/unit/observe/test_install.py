"""Readings of an install that are made again after a change."""

from __future__ import annotations

from tests.unit.judge import builders as make
from tests.unit.observe.doubles import Cluster, install


def test_a_changed_authority_is_read_anew() -> None:
    cluster = Cluster(make.pod("before"))
    read = install(cluster)
    assert [p.name for p in read.cluster.pods()] == ["before"]
    cluster._pods = (make.pod("after"),)
    assert [p.name for p in read.cluster.pods()] == ["before"]
    read.authority_changed()
    assert [p.name for p in read.cluster.pods()] == ["after"]
    assert cluster.asked == ["pods", "pods"]
