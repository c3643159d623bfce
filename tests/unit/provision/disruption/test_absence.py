"""tbot kept off one node, and let back."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, cast

import pytest

from facts.errors import CouldNotTell, ProvisioningFailed
from observe.wait import Pace
from provision.disruption import absence
from provision.disruption.absence import REQUIRED, Absence, kept_off
from provision.runs.fields import restored
from provision.runs.originals import Originals
from provision.runs.permitted import must_be_permitted
from settings import Names
from tests.unit.judge import builders as make
from tests.unit.provision.cluster import ApiServer
from tests.unit.provision.cluster import Objects as InMemory
from tests.unit.provision.originals import changes_kept

QUICK = Pace(timeout=0.05, interval=0.01)
HERE = {"key": "metadata.name", "operator": "NotIn", "values": ["node-2"]}


class Objects(InMemory):
    """A DaemonSet on two nodes, whose controller follows its affinity."""

    def __init__(self, affinity: dict[str, Any] | None = None) -> None:
        super().__init__(ApiServer())
        template = {"spec": {"containers": [{"name": "tbot"}], **({"affinity": affinity} if affinity else {})}}
        strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}}
        spec = {"selector": {"matchLabels": {"app": "tbot"}}, "template": template, "updateStrategy": strategy}
        self.server.put({"kind": "DaemonSet", "metadata": {"name": "tbot", "namespace": "teleport-system"}, "spec": spec})
        self.sound: dict[str, Any] = copy.deepcopy(spec)
        self.lingers = False
        self.strategies: list[str] = []

    @property
    def spec(self) -> dict[str, Any]:
        """The spec of the DaemonSet."""
        spec: dict[str, Any] = self.server.of("DaemonSet", "tbot", "teleport-system")["spec"]
        return spec

    def patch(
        self, _version: str, kind: str, name: str, change: Mapping[str, Any], *, namespace: str = ""
    ) -> dict[str, Any]:
        assert (name, namespace) == ("tbot", "teleport-system")
        if "template" in change["spec"]:
            self.strategies.append(self.spec["updateStrategy"]["type"])
        return super().patch(_version, kind, name, change, namespace=namespace)

    def all_of(self, _version: str, kind: str, *, namespace: str = "", label_selector: str = "") -> list[dict[str, Any]]:
        if kind != "Pod":
            return super().all_of(_version, kind, namespace=namespace, label_selector=label_selector)
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


def tbot(objects: Objects) -> Absence:
    changed = cast("Any", objects)
    return Absence(changed, Originals(changed), cast("Any", Cluster()), make.tbot(), QUICK)


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
    objects = Objects(affinity)
    originals = Originals(cast("Any", objects))
    kept = tbot(objects)
    kept.begin("node-2")
    fields = [field for change in changes_kept(originals) for field in change.fields]
    assert restored({"spec": objects.spec}, fields) == {"spec": objects.sound}
    for change in changes_kept(originals):
        must_be_permitted(change, None, cast("Any", objects), Names())
    kept.end()
    assert originals.all() == ()


def test_what_another_user_has_restored_is_not_restored_again() -> None:
    objects = Objects(OTHERS)
    originals = Originals(cast("Any", objects))
    kept = tbot(objects)
    kept.begin("node-2")
    for each in originals.all():
        originals.forget(each.key)
    theirs = {
        "nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [{"matchExpressions": [{"key": "b", "operator": "Exists"}]}]}}
    }
    objects.spec["template"]["spec"]["affinity"] = theirs
    objects.spec["updateStrategy"] = objects.sound["updateStrategy"]
    objects.sound["template"]["spec"]["affinity"] = theirs
    kept.end()
    assert objects.spec == objects.sound


def test_what_an_earlier_absence_left_is_no_original() -> None:
    objects = Objects(OTHERS)
    tbot(objects).begin("node-2")
    before = copy.deepcopy(objects.spec)
    with pytest.raises(ProvisioningFailed, match="an earlier change of run run-1 that is not restored"):
        tbot(objects).begin("node-1")
    assert objects.spec == before


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
    objects.server.found.clear()
    with pytest.raises(ProvisioningFailed):
        tbot(objects).begin("node-2")
