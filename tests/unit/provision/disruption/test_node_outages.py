"""Outages of a node are undone in the right order on every way out."""

from __future__ import annotations

from typing import Any, cast

import pytest

from facts.kubernetes.objects import Pod
from facts.recorder import KeptInMemory
from observe.wait import Pace
from provision.disruption.machine_changes import moved, stopped
from provision.disruption.node_outages import NodeOutages
from provision.disruption.outages import Outages
from tests.unit.judge import builders as make
from tests.unit.provision.disruption.test_outages import Cluster as Mesh
from tests.unit.provision.originals import changes_kept

NODE = make.NODE
PROCESSES = ("11", "12")


class Cluster(Mesh):
    """The same with a tbot that is replaced where its pod is deleted, and that can be told to go."""

    def __init__(self) -> None:
        super().__init__()
        self.recreates = True

    @property
    def deleted(self) -> int:
        """Number of pods of tbot that were deleted."""
        return sum((verb, kind) == ("delete", "Pod") for verb, kind, _name in self.server.changes)

    def pods(self, namespace: str = "", selector: str = "") -> tuple[Pod, ...]:
        found = super().pods(namespace, selector)[:1]
        if self.deleted:
            return (make.pod(f"tbot-{self.deleted}", namespace=namespace),) if self.recreates else ()
        return found


class Machines:
    """Writes down what is done to a node."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def on_node(self, node: str, *argv: str) -> str:
        assert node == NODE
        if "grep -ls" in " ".join(argv):
            assert argv[-1]
            return "\n".join(f"/proc/{each}/cgroup" for each in PROCESSES)
        self.done.append(" ".join(argv[:2]) if argv[0] == "kill" else argv[0])
        return "755"

    change = on_node

    def read(self, node: str, *argv: str) -> tuple[str, str]:
        self.on_node(node, *argv)
        return ("2" if argv[0] == "sh" else "1"), f"ev-{len(self.done)}"


def on(cluster: Cluster, machines: Machines) -> NodeOutages:
    changed, looked_at, done = cast("Any", cluster), cast("Any", cluster), cast("Any", machines)
    tbot = make.tbot()
    pace = Pace(0.3, 0.01)
    originals = cast("Any", cluster.originals)
    outages = Outages(changed, originals, looked_at, tbot=tbot, istiod=(), machines=lambda: done, pace=pace)
    return NodeOutages(changed, originals, looked_at, tbot=tbot, outages=outages, machines=done, pace=pace)


def test_tbot_is_stopped_sent_away_and_killed_and_its_socket_is_seen() -> None:
    cluster, machines = Cluster(), Machines()
    with on(cluster, machines).without_tbot_beside_its_socket(NODE) as going:
        assert machines.done == ["kill -STOP", "kill -KILL", "stat"]
        assert stopped(NODE, make.tbot().pods[NODE].containers[0].container_id) in changes_kept(cluster.originals)
        assert len(cluster.originals.all()) == 2
    assert machines.done[-1] == "sh"  # a process that is still stopped continues
    assert cluster.selector == {}
    assert cluster.originals.all() == ()
    assert "ev-3" in going.outage.evidence


def test_another_directory_and_then_the_one_of_before() -> None:
    cluster, machines = Cluster(), Machines()
    with on(cluster, machines).with_another_directory(NODE, 0.3) as relocation:
        assert machines.done == ["stat", "mv", "sh"]
        assert relocation.inodes == ("1", "2")
        assert relocation.back is not None
        assert changes_kept(cluster.originals) == [moved(NODE, "/run/spire/sockets")]
    assert machines.done[3:] == ["sh"]
    assert cluster.originals.all() == ()
    assert cluster.deleted == 2


def test_a_tbot_that_does_not_come_back_is_told_and_the_directory_put_back() -> None:
    cluster, machines = Cluster(), Machines()
    cluster.recreates = False
    with on(cluster, machines).with_another_directory(NODE, 0.1) as relocation:
        assert relocation.back is None
        assert "no other tbot" in relocation.words
        cluster.recreates = True
    assert machines.done[-1] == "sh"


def test_ctrl_c_puts_the_directory_back() -> None:
    cluster, machines = Cluster(), Machines()
    with pytest.raises(KeyboardInterrupt), on(cluster, machines).with_another_directory(NODE, 0.3):
        raise KeyboardInterrupt
    assert machines.done[-1] == "sh"
    assert cluster.deleted == 2
    assert isinstance(cluster.recorder, KeptInMemory)
