"""tbot kept off one node, and let back."""

from __future__ import annotations

import copy
from typing import Any, cast

import pytest

from facts.errors import CouldNotTell, ProvisioningFailed
from observe.wait import Pace
from provision.disruption import absence
from provision.disruption.absence import REQUIRED, Absence, kept_off
from provision.runs.fields import restored
from provision.runs.originals import Originals
from tests.unit.judge import builders as make
from tests.unit.provision.originals import Noted, nowhere

QUICK = Pace(timeout=0.05, interval=0.01)
HERE = {"key": "metadata.name", "operator": "NotIn", "values": ["node-2"]}


def merge(into: dict[str, Any], change: dict[str, Any]) -> None:
    """Merge a patch as the API server does: maps by key, lists as a whole."""
    for key, value in change.items():
        if value is None:
            into.pop(key, None)
        elif isinstance(value, dict):
            merge(into.setdefault(key, {}), value)
        else:
            into[key] = value


class Objects:
    """A DaemonSet on two nodes, whose controller follows its affinity."""

    def __init__(self, affinity: dict[str, Any] | None = None) -> None:
        template = {"spec": {"containers": [{"name": "tbot"}], **({"affinity": affinity} if affinity else {})}}
        strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}}
        self.spec: dict[str, Any] = {
            "selector": {"matchLabels": {"app": "tbot"}}, "template": template, "updateStrategy": strategy,
        }  # fmt: skip
        self.sound = copy.deepcopy(self.spec)
        self.lingers = False
        self.strategies: list[str] = []

    def get(self, _version: str, _kind: str, _name: str, *, namespace: str) -> dict[str, Any] | None:
        assert namespace == "teleport-system"
        return {"spec": copy.deepcopy(self.spec)} if self.spec else None

    def patch(self, _version: str, _kind: str, name: str, change: dict[str, Any], *, namespace: str) -> None:
        assert (name, namespace) == ("tbot", "teleport-system")
        if "template" in change["spec"]:
            self.strategies.append(self.spec["updateStrategy"]["type"])
        merge(self.spec, change["spec"])

    def all_of(self, _version: str, _kind: str, *, namespace: str, label_selector: str) -> list[dict[str, Any]]:
        assert (namespace, label_selector) == ("teleport-system", "app=tbot")
        affinity = self.spec["template"]["spec"].get("affinity") or {}
        terms = affinity.get("nodeAffinity", {}).get(REQUIRED, {}).get("nodeSelectorTerms", [])
        off = bool(terms) and all(HERE in term.get("matchFields", []) for term in terms) and not self.lingers
        nodes = ["node-1"] if off else ["node-1", "node-2"]
        return [{"metadata": {"name": f"tbot-{node}"}, "spec": {"nodeName": node}} for node in nodes]

    def await_ready(self, *_: Any, **__: Any) -> None:
        assert self.spec == self.sound


class Cluster:
    def recording_to(self, _recorder: Any) -> Any:
        return self


@pytest.fixture(autouse=True)
def awaited(monkeypatch: pytest.MonkeyPatch) -> list[frozenset[str]]:
    """Uids that are waited for in the end."""
    found: list[frozenset[str]] = []
    monkeypatch.setattr(absence, "supplied", lambda _cluster: frozenset({"uid-app"}))
    monkeypatch.setattr(absence, "await_supply", lambda _cluster, _pace, *, of: found.append(of))
    return found


def tbot(objects: Objects, originals: Originals | None = None) -> Absence:
    return Absence(cast("Any", objects), originals or nowhere(), cast("Any", Cluster()), make.tbot(), QUICK)


PODS: dict[str, Any] = {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}}
PREFERRED: dict[str, Any] = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}}
OTHERS = {
    "nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "Exists"}]}, {}]}}
}


@pytest.mark.parametrize("affinity", [None, PODS, PREFERRED, OTHERS], ids=["none", "of pods", "preferred", "required"])
def test_it_leaves_one_node_and_comes_back_as_it_was(affinity: dict[str, Any] | None, awaited: list[frozenset[str]]) -> None:
    objects = Objects(affinity)
    kept = tbot(objects)
    kept.begin("node-2")
    assert objects.spec["updateStrategy"] == {"type": "OnDelete"}
    kept.end()
    assert objects.spec == objects.sound
    assert objects.strategies == ["OnDelete", "OnDelete"], "no other tbot restarts, neither way"
    assert awaited == [frozenset({"uid-app"})]
    kept.end()
    assert awaited == [frozenset({"uid-app"})], "a second time there is nothing to do"


@pytest.mark.parametrize("affinity", [None, PODS, PREFERRED, OTHERS], ids=["none", "of pods", "preferred", "required"])
def test_what_is_kept_meanwhile_would_restore_it_too(affinity: dict[str, Any] | None) -> None:
    objects, originals = Objects(affinity), Noted()
    kept = tbot(objects, cast("Any", originals))
    kept.begin("node-2")
    (change,) = originals.kept.values()
    assert restored({"spec": objects.spec}, change.fields) == {"spec": objects.sound}
    kept.end()
    assert originals.kept == {}


def test_a_node_is_left_out_of_each_term_of_an_affinity() -> None:
    changed = kept_off(OTHERS, "node-2")
    first, second = changed["nodeAffinity"][REQUIRED]["nodeSelectorTerms"]
    assert first == {"matchExpressions": [{"key": "a", "operator": "Exists"}], "matchFields": [HERE]}
    assert second == {"matchFields": [HERE]}
    assert kept_off({}, "node-2") == {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [{"matchFields": [HERE]}]}}}
    assert "matchFields" not in str(OTHERS)


def test_one_that_does_not_leave_is_told_and_let_back() -> None:
    objects = Objects()
    objects.lingers = True
    kept = tbot(objects)
    with pytest.raises(CouldNotTell) as late:
        kept.begin("node-2")
    assert "tbot-node-2 runs there" in late.value.seen
    kept.end()
    assert objects.spec == objects.sound


def test_without_a_daemon_set_nothing_is_changed() -> None:
    objects = Objects()
    objects.spec = {}
    with pytest.raises(ProvisioningFailed):
        tbot(objects).begin("node-2")
