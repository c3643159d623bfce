"""Nothing that a run did not make is changed without asking first whether the run still holds the cluster."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, cast

import pytest

from facts.recorder import KeptInMemory
from observe.wait import Pace
from providers.teleport.disruption import ca
from providers.teleport.disruption.ca import Rotation
from provision.disruption import absence, lifetimes, node_outages
from provision.disruption.absence import Absence
from provision.disruption.lifetimes import Lifetimes, ShortLived
from provision.disruption.machines import Machines
from provision.disruption.node_outages import NodeOutages
from provision.disruption.outages import Outages
from provision.negative.rules import Rules
from provision.objects import Objects
from provision.runs.claim import HoldLost
from provision.runs.originals import Originals
from tests.unit.judge import builders as make
from tests.unit.observe.api_server import CONTEXT
from tests.unit.observe.api_server import running as api_server
from tests.unit.providers.teleport.disruption import test_ca
from tests.unit.provision.disruption.test_absence import Objects as TwoNodes
from tests.unit.provision.disruption.test_lifetimes import TBOT, TEXT
from tests.unit.provision.disruption.test_lifetimes import Cluster as ReadyCluster
from tests.unit.provision.disruption.test_outages import POD
from tests.unit.provision.disruption.test_outages import Cluster as Mesh
from tests.unit.provision.negative.doubles import Tctl

ROOT = Path(__file__).parents[4]
ASKED, BEGUN = "asked", "begun"
PACE = Pace(0.3, 0.01)
PHASES = ("init", "update_clients", "update_servers", "standby")


class Log(list[str]):
    """Every question of the fence and every change, in their order, until a disruption has begun."""

    def __init__(self) -> None:
        super().__init__()
        self.lost = False

    def fence(self) -> None:
        if self.lost:
            raise HoldLost(expected="the hold", seen="none", where="the Lease", remedy="run again")
        self.append(ASKED)

    def noting(self, verb: str, kind: str) -> None:
        """Notes a change of the API server in memory; what is kept in kube-system is the suite's own."""
        if verb in ("patch", "restart") or (verb, kind) == ("delete", "Pod"):
            self.append(f"{verb} {kind}")

    @property
    def changes(self) -> list[str]:
        """The changes up to the beginning."""
        until = self.index(BEGUN) if BEGUN in self else len(self)
        return [each for each in self[:until] if each != ASKED]

    @property
    def unasked(self) -> list[str]:
        """Changes up to the beginning that do not follow a question."""
        until = self.index(BEGUN) if BEGUN in self else len(self)
        return [each for before, each in zip(["", *self], self[:until], strict=False) if ASKED not in (before, each)]


class Answer:
    """Of Docker."""

    def __init__(self, stdout: str) -> None:
        self.stdout = stdout

    def as_evidence(self, *_: Any) -> Any:
        return None


def on_docker(log: Log, monkeypatch: pytest.MonkeyPatch) -> Machines:
    """The real machines, with a Docker that notes what changes something."""
    state = {"state": "running"}

    def docker(_self: Machines, *argv: str, patience: float = 1) -> Any:
        verb, *rest = argv
        looks = verb == "inspect" or (verb == "exec" and rest[1] in ("stat", "sh"))
        if not looks:
            log.append(f"docker {verb}")
        state["state"] = {"pause": "paused", "unpause": "running"}.get(verb, state["state"])
        said = "/proc/11/cgroup" if "grep" in " ".join(argv) else "755" if verb == "exec" else state["state"]
        return Answer(said)

    monkeypatch.setattr(Machines, "_docker", docker)
    return Machines((make.NODE, "n1"), "teleport", KeptInMemory(), 5, log.fence)


def mesh_of(log: Log) -> Mesh:
    mesh = Mesh()
    mesh.may_change = log.fence
    mesh.server.before = log.noting
    return mesh


@contextmanager
def outages(log: Log, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Outages, NodeOutages, Mesh]]:
    mesh, machines = mesh_of(log), on_docker(log, monkeypatch)
    monkeypatch.setattr(KeptInMemory, "record", lambda *_: "ev")
    monkeypatch.setattr(node_outages, "read_fleet", lambda *_: make.fleet())
    changed, looked_at = cast("Any", mesh), cast("Any", mesh)
    originals = Originals(changed)
    tbot, istiod = make.tbot(), make.mesh().istiod
    whole = Outages(changed, originals, looked_at, tbot=tbot, istiod=istiod, machines=lambda: machines, pace=PACE)
    yield (
        whole,
        NodeOutages(changed, originals, looked_at, tbot=tbot, outages=whole, machines=machines, pace=PACE),
        mesh,
    )


def during(log: Log, taken: AbstractContextManager[Any]) -> None:
    """Goes through an outage; what must return does not return in these doubles."""
    with suppress(Exception), taken:
        log.append(BEGUN)


def restart_tbot(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    with outages(log, monkeypatch) as (whole, _node, _mesh):
        whole.restart_tbot()


def without_tbot(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    with outages(log, monkeypatch) as (whole, _node, _mesh):
        during(log, whole.without_tbot())


def without_istiod(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    with outages(log, monkeypatch) as (whole, _node, _mesh):
        during(log, whole.without_istiod(POD))


def without_teleport(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    with outages(log, monkeypatch) as (whole, _node, _mesh):
        during(log, whole.without_teleport())


def beside_its_socket(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    with outages(log, monkeypatch) as (_whole, node, mesh):
        pods = mesh.pods
        monkeypatch.setattr(mesh, "pods", lambda *words: pods(*words)[:1])
        during(log, node.without_tbot_beside_its_socket(make.NODE))


def another_directory(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    with outages(log, monkeypatch) as (_whole, node, _mesh):
        during(log, node.with_another_directory(make.NODE, 0.05))


def restarted(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    with outages(log, monkeypatch) as (_whole, node, mesh):
        monkeypatch.setattr(mesh, "pods", lambda *_: ())
        during(log, node.restarted(make.NODE, 0.05))


def absent(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(absence, "supplied", lambda _cluster: frozenset())
    objects = TwoNodes()
    objects.may_change, objects.server.before = log.fence, log.noting
    changed = cast("Any", objects)
    Absence(changed, Originals(changed), cast("Any", ReadyCluster()), make.tbot(), PACE).begin("node-2")


def short_lived(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifetimes, "supplied", lambda _cluster: frozenset())
    mesh = mesh_of(log)
    where = {"name": TBOT.config_map, "namespace": TBOT.daemon_set.namespace}
    mesh.server.put({"kind": "ConfigMap", "metadata": where, "data": {"tbot.yaml": TEXT}})
    changed = cast("Any", mesh)
    short = ShortLived(changed, Originals(changed), cast("Any", ReadyCluster()), TBOT, PACE)
    short.begin(Lifetimes(60, 20), Lifetimes(90, 30))


def rotation(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    teleport = test_ca.Teleport()
    cluster = test_ca.Mesh(teleport, monkeypatch)
    enter = ca.enter_phase

    def entered(*words: Any) -> None:
        log.append("tctl auth rotate")
        enter(*words)

    monkeypatch.setattr(ca, "enter_phase", entered)
    originals = Originals(cast("Any", mesh_of(log)))
    made = Rotation(cast("Any", teleport), cast("Any", cluster), KeptInMemory(), originals, PACE)
    made.begin([])
    for phase in PHASES:
        made.enter(phase)


def rules(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    class Noting(Tctl):
        def __call__(self, words: Any, stdin: str) -> Any:
            if words[0] == "create":
                log.append("tctl create")
            return super().__call__(words, stdin)

    Rules(Noting(), KeptInMemory(), Originals(cast("Any", mesh_of(log)))).leave_out("istio-workloads", "refused-1")


DISRUPTIONS: Mapping[Callable[[Log, pytest.MonkeyPatch], None], list[str]] = {
    restart_tbot: ["restart DaemonSet"],
    without_tbot: ["patch DaemonSet"],
    without_istiod: ["patch Deployment"],
    without_teleport: ["docker pause"],
    beside_its_socket: ["docker exec", "patch DaemonSet", "docker exec"],
    another_directory: ["docker exec", "delete Pod", "delete Pod"],
    restarted: ["docker restart"],
    absent: ["patch DaemonSet", "patch DaemonSet"],
    short_lived: ["patch ConfigMap", "restart DaemonSet"],
    rotation: ["tctl auth rotate"] * len(PHASES),
    rules: ["tctl create"],
}
"""Each disruption with its changes until it has begun."""


@pytest.mark.parametrize("disrupt", DISRUPTIONS, ids=lambda disrupt: disrupt.__name__)
def test_each_change_of_a_disruption_asks_first(
    disrupt: Callable[[Log, pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log()
    disrupt(log, monkeypatch)
    assert log.changes == DISRUPTIONS[disrupt]
    assert log.unasked == []


@pytest.mark.parametrize("disrupt", DISRUPTIONS, ids=lambda disrupt: disrupt.__name__)
def test_a_run_that_has_lost_its_hold_begins_no_disruption(
    disrupt: Callable[[Log, pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log()
    log.lost = True
    with suppress(HoldLost):
        disrupt(log, monkeypatch)
    assert (log.changes, BEGUN in log) == ([], False)


CHANGES: Mapping[str, Callable[[Objects], object]] = {
    "patch": lambda o: o.patch("v1", "ConfigMap", "one", {}, namespace="x"),
    "restart": lambda o: o.restart("DaemonSet", "one", namespace="x"),
    "replace_pod": lambda o: o.replace_pod("one", namespace="x"),
}


@pytest.mark.parametrize("verb", CHANGES)
def test_the_fence_stands_before_each_request_that_changes_something(verb: str, tmp_path: Path) -> None:
    log = Log()
    log.lost = True
    with api_server() as server:
        config = server.kubeconfig(tmp_path)
        objects = Objects(config, CONTEXT, "run-1", timeout=2, discovery=tmp_path / "discovery.json").fenced(log.fence)
        with pytest.raises(HoldLost):
            CHANGES[verb](objects)
        assert server.asked == []


PAST_THE_FENCE = {
    "unfenced": {
        "originals.Originals.__init__": "keeps and restores; `keep` asks itself",
        "node_outages.NodeOutages.put_directory_back": "restores",
        "node_outages.NodeOutages.make_whole": "restores",
    },
    "on_node": {
        "machines.Machines.change": "asks itself",
        "machines.processes_of": "looks",
        "node_outages.NodeOutages.without_tbot_beside_its_socket": "looks: the processes of tbot",
        "node_outages.NodeOutages._let_go_on": "restores",
        "node_outages.NodeOutages.put_directory_back": "restores",
        "node_outages.NodeOutages.restarted": "looks: the mode of the directory",
        "node_outages.NodeOutages.make_whole": "restores",
        "restoring.OfMachines._continue": "restores",
    },
    "_docker": {
        "machines.Machines.on_node": "see there",
        "machines.Machines.read": "looks",
        "machines.Machines.state": "looks",
        "machines.Machines.paused": "asks itself",
        "machines.Machines.resume": "restores",
        "machines.Machines.restart": "asks itself",
    },
    "resume": {
        "machines.Machines.paused": "restores",
        "restoring.OfMachines.restore": "restores",
    },
    "enter_phase": {"ca.Rotation._take": "see there"},
    "_take": {"ca.Rotation.enter": "asks itself", "ca.Rotation.end": "restores"},
    "_write": {
        "rules.Rules.leave_out": "keeps an original right before, which asks",
        "rules.Rules.restore": "restores",
        "rules.Rules.replace": "of `conformance undo`, which holds the cluster",
    },
    "restore_fields": {
        "originals.Originals.restore": "restores",
        "restorers.KubernetesFields._restore": "of `conformance undo`, which holds the cluster",
    },
    "delete": {
        "objects.Objects.restart": "has asked",
        "objects.Objects.replace_pod": "asks itself",
        "objects.Objects.delete": "the pods of a namespace of the suite",
        "probe.ProbeNamespaces.close": "the suite's own namespace",
        "planted.planted": "the suite's own namespace",
        "probes.Probes.remove": "the suite's own namespace",
        "probes.Probes._printed": "the suite's own pod",
        "probes.Probes._sds_probe": "the suite's own pod",
        "clients_and_servers.TestPods.remove": "the suite's own namespaces",
        "originals.Originals.forget": "the suite's own original",
        "leftovers._delete": "of `conformance down`, which holds the cluster",
    },
}
"""Calls that reach a cluster, its machines or Teleport without the fence: each caller, with the reason why it may."""


def test_nothing_else_passes_the_fence_by() -> None:
    found: dict[str, set[str]] = {name: set() for name in PAST_THE_FENCE}
    paths = [ROOT / "provision" / "objects.py", *(ROOT / "steps").rglob("*.py")]
    for folder in ("disruption", "negative", "pods", "runs"):
        paths += (ROOT / "provision" / folder).rglob("*.py")
        paths += ROOT.glob(f"providers/*/{folder}/**/*.py")
    for path in paths:
        for called, caller in calls_in(ast.parse(path.read_text(encoding="utf-8")), path.stem):
            if called in found:
                found[called].add(caller)
    assert found == {name: set(callers) for name, callers in PAST_THE_FENCE.items()}


def calls_in(node: ast.AST, inside: str, *, in_function: bool = False) -> Iterator[tuple[str, str]]:
    """The names of what is called or passed on, each with the method or function that does it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef | ast.FunctionDef) and not in_function:
            yield from calls_in(child, f"{inside}.{child.name}", in_function=isinstance(child, ast.FunctionDef))
            continue
        if in_function and isinstance(child, ast.Attribute):
            yield child.attr, inside
        elif in_function and isinstance(child, ast.Name):
            yield child.id, inside
        yield from calls_in(child, inside, in_function=in_function)
