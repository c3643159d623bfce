"""Inventories are equal where only what changes by itself differs, and tell what the suite has changed from the rest."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from provision.objects import FIELD_MANAGER, RESTARTED_AT, RUN_LABEL
from tests.lab.inventory import Differences, differences, of_cluster, of_teleport

TBOT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "DaemonSet",
    "metadata": {
        "name": "tbot",
        "namespace": "teleport-system",
        "resourceVersion": "1",
        "generation": 1,
        "managedFields": [{"manager": "kubectl"}],
        "annotations": {"deprecated.daemonset.template.generation": "1", "team": "platform"},
    },
    "spec": {"template": {"metadata": {"labels": {"app": "tbot"}}, "spec": {"nodeSelector": {"os": "linux"}}}},
    "status": {"numberReady": 2},
}


def changed(**metadata: Any) -> dict[str, Any]:
    document = copy.deepcopy(TBOT)
    document["metadata"] |= metadata
    return document


def pod(name: str, owner: str, owner_kind: str = "ReplicaSet", ready: str = "True", **labels: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "a",
            "labels": labels,
            "ownerReferences": [{"kind": owner_kind, "name": owner}],
        },
        "spec": {"containers": [{"image": "app:1"}], "nodeName": "n0"},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]},
    }


NOTHING = Differences((), ())


def test_what_counts_changes_is_left_out() -> None:
    after = changed(resourceVersion="9", generation=7, managedFields=[{"manager": FIELD_MANAGER}])
    after["metadata"]["annotations"] = {"deprecated.daemonset.template.generation": "7", "team": "platform"}
    after["spec"]["template"]["metadata"]["annotations"] = {RESTARTED_AT: "now"}
    after["status"] = {"numberReady": 1}
    assert differences(of_cluster([TBOT]), of_cluster([after])) == NOTHING


@pytest.mark.parametrize(("manager", "ours"), [(FIELD_MANAGER, True), ("kubectl-edit", False)])
def test_a_change_is_the_suites_where_it_has_touched_the_object(manager: str, *, ours: bool) -> None:
    after = changed(managedFields=[{"manager": manager}])
    after["spec"]["template"]["spec"]["nodeSelector"]["nowhere"] = "here"
    found = differences(of_cluster([TBOT]), of_cluster([after]))
    said = ('DaemonSet.apps teleport-system/tbot.spec.template.spec.nodeSelector.nowhere: nothing before, "here" after',)
    assert found == (Differences(said, ()) if ours else Differences((), said))


def test_what_a_run_left_is_the_suites_by_its_label() -> None:
    left = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "conformance-1", "labels": {RUN_LABEL: "1"}}}
    found = differences(of_cluster([]), of_cluster([left]))
    assert found.ours[0].startswith("Namespace.v1 conformance-1: nothing before")
    assert found.others == ()


def test_pods_are_the_same_when_their_successors_run_the_same() -> None:
    before = of_cluster([pod("a-x1-p", "a-x1", **{"pod-template-hash": "x1"})])
    after = of_cluster([pod("a-y2-q", "a-y2", **{"pod-template-hash": "y2"})])
    assert differences(before, after) == NOTHING
    not_ready = of_cluster([pod("a-y2-q", "a-y2", ready="False", **{"pod-template-hash": "y2"})])
    assert len(differences(before, not_ready).ours) == 1
    on_node = of_cluster([pod("t", "tbot", "DaemonSet")])
    assert [*on_node["pods of DaemonSet a/tbot"].content] == ["app:1 on n0: Ready"]
    assert len(differences(before, {**before, **on_node}).ours) == 1


def test_of_a_secret_only_digests_are_kept() -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"key": "aHVudGVyMg=="}}
    found = of_cluster([secret])
    assert "aHVudGVyMg" not in str(found)
    assert differences(found, of_cluster([{**secret, "data": {"key": "b3RoZXI="}}])).others


def test_resources_in_teleport_are_compared_without_their_revision() -> None:
    identity = {"kind": "workload_identity", "metadata": {"name": "w", "revision": "1"}, "spec": {"rules": {"allow": []}}}
    after = copy.deepcopy(identity)
    after["metadata"] = {"name": "w", "revision": "2"}
    before = of_teleport([identity], "standby")
    assert differences(before, of_teleport([after], "standby")) == NOTHING
    after["spec"] = {"rules": {"allow": [{"expression": "x"}]}}
    found = differences(before, of_teleport([after], "rollback"))
    assert [line.partition(":")[0] for line in found.ours] == [
        "rotation in Teleport",
        "workload_identity w in Teleport.spec.rules.allow",
    ]
