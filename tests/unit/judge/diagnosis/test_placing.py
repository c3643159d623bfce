"""Why a node has no tbot, and for which workloads no sidecar speaks."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from facts.evidence import ObjectRef
from facts.finding import OpenPoint, Problem
from facts.kubernetes.objects import Condition, Pod
from judge.diagnosis.placing import (
    HOST_NAME,
    INJECT_THEM,
    LET_A_NODE_TAKE_IT,
    NAME_A_REVISION,
    SEE_WHAT_HOLDS_IT,
    in_ambient_mode,
    out_of_sight,
    tbots_that_stay,
    without_node,
    without_sidecar,
    without_tbot,
)
from judge.install.application import SEE_NODES
from providers.teleport.facts.tbot import OtherTbot
from tests.unit.judge import builders as make
from tests.unit.judge.certificates import NOW
from tests.unit.judge.diagnosis.told import named

HOSTS = {"node-1": [make.pod()]}
ELSEWHERE = make.tbot(make.tbot_pod(node="node-2"))
NODE = make.node()


def said_of(node: Any = NODE, tbot: Any = ELSEWHERE, pods: Any = ()) -> str:
    found = without_tbot(make.tbots(tbot), HOSTS, [node], pods)
    assert named(found) == [("Node node-1", "tbot-not-on-node")]
    return found[0].said.removeprefix("it hosts 1 injected pods and no tbot: ")


def test_a_taint_keeps_tbot_away() -> None:
    tainted = replace(NODE, taints=("reserved=batch:NoSchedule", "slow=:PreferNoSchedule"))
    assert said_of(tainted) == "the node is tainted reserved=batch:NoSchedule"


def test_a_selector_of_tbot_leaves_the_node_out() -> None:
    spec = replace(ELSEWHERE.daemon_set.template.spec, node_selector={"pool": "mesh", "kubernetes.io/hostname": "node-1"})
    template = replace(ELSEWHERE.daemon_set.template, spec=spec)
    tbot = replace(ELSEWHERE, daemon_set=replace(ELSEWHERE.daemon_set, template=template))
    assert said_of(tbot=tbot) == "DaemonSet teleport-system/tbot selects nodes with pool=mesh"


def test_a_tbot_whose_pod_is_about_to_be_made_is_not_missing() -> None:
    coming = replace(ELSEWHERE, daemon_set=replace(ELSEWHERE.daemon_set, desired=2, updated=1))
    assert without_tbot(make.tbots(coming), HOSTS, [NODE], []) == []
    assert said_of(tbot=coming, node=replace(NODE, taints=("a=b:NoSchedule",))) == "the node is tainted a=b:NoSchedule"


def test_a_tbot_whose_pod_is_terminating_is_missing_only_where_its_controller_wants_no_other() -> None:
    tainted = replace(NODE, taints=("control-plane=:NoSchedule",))
    gone = replace(ELSEWHERE, leaving=frozenset({"node-1"}))
    assert said_of(tbot=gone, node=tainted) == "the node is tainted control-plane=:NoSchedule"
    replaced = replace(gone, daemon_set=replace(gone.daemon_set, desired=2, updated=2))
    for node in (NODE, tainted):
        assert without_tbot(make.tbots(replaced), HOSTS, [node], []) == []


def test_a_pod_of_tbot_that_never_goes_away_keeps_another_one_off_its_node() -> None:
    stays = make.tbot_pod("tbot-9", terminating=True, due="2026-03-01T06:00:00Z")
    held = replace(ELSEWHERE, overstaying={"node-1": stays})
    words = "was deleted and is still there after its grace period, so that no other one is made"
    for updated in (1, 2):
        tbot = replace(held, daemon_set=replace(held.daemon_set, desired=2, updated=updated))
        assert said_of(tbot=tbot) == f"Pod teleport-system/tbot-9 there {words}"
        (left,) = tbots_that_stay(make.tbots(tbot), HOSTS)
        assert (left.about.subject, left.settle) == (stays.ref, SEE_WHAT_HOLDS_IT)
        assert left.about.said == f"it {words} on node node-1; that period ended at 2026-03-01T06:00:00Z"
        assert left.about.evidence
    two_pods = {"node-1": [make.pod(), make.pod("b", socket=make.OTHER_NODES_SOCKET)]}
    assert len(tbots_that_stay(make.tbots(held), two_pods)) == 1
    # Its successor runs there, or nothing of the mesh does.
    assert tbots_that_stay(make.tbots(replace(make.tbot(), overstaying={"node-1": stays})), HOSTS) == []
    assert tbots_that_stay(make.tbots(held), {"node-2": [make.pod(node="node-2")]}) == []


def test_tbot_was_evicted() -> None:
    evicted = replace(make.tbot_pod("tbot-9"), phase="Failed", message="The node was low on resource: memory.")
    assert said_of(pods=[evicted]) == "Pod teleport-system/tbot-9 there has ended (The node was low on resource: memory.)"
    of_others = replace(evicted, owner="DaemonSet/fluent")
    assert said_of(pods=[of_others]) == "no taint, node selector or waiting pod shows why"


def test_tbot_waits_for_a_node() -> None:
    waits = Condition("PodScheduled", "False", "Unschedulable", "0/2 nodes are available: 1 Insufficient memory.")
    pending = replace(make.tbot_pod("tbot-9", node=""), phase="Pending", ready=False, conditions=(waits,))
    assert said_of(pods=[pending]) == (
        "Pod teleport-system/tbot-9 is Pending: 0/2 nodes are available: 1 Insufficient memory."
    )


def test_a_node_that_is_not_listed_has_no_cause() -> None:
    assert without_tbot(make.tbots(ELSEWHERE), HOSTS, [make.node("node-2")], []) == []


def test_nodes_with_tbot_or_with_one_that_may_be_theirs() -> None:
    tainted = replace(NODE, taints=("reserved=batch:NoSchedule",))
    assert without_tbot(make.tbots(), HOSTS, [tainted], ()) == []
    other = OtherTbot(ObjectRef("DaemonSet", "tbot-b", "batch"), "it is in a Secret", unread=True)
    assert without_tbot(make.tbots(ELSEWHERE, left_out=[other]), HOSTS, [tainted], ()) == []


def test_pods_with_a_proxy_that_nobody_can_ask_are_open_points() -> None:
    evicted: dict[str, Any] = {"terminating": True, "due": "2026-03-01T11:59:30Z"}
    pods = [
        make.pod("here"),
        make.pod("dark", node="node-2"),
        make.pod("evicted", node="node-2", **evicted),
        make.pod("going", **evicted),
        make.pod("stays", terminating=True, due="2026-03-01T11:50:00Z"),
        make.pod("without-proxy", node="node-2", injected=False),
        make.pod("ended", node="node-2", phase="Failed"),
    ]
    found = out_of_sight(pods, frozenset({"node-2"}), NOW)
    assert [(each.about.subject.name, each.settle) for each in found] == [
        ("dark", SEE_NODES), ("evicted", SEE_NODES), ("stays", SEE_WHAT_HOLDS_IT)
    ]  # fmt: skip
    assert all(each.about.evidence for each in found)
    assert out_of_sight(pods[:1], frozenset({"node-2"}), NOW) == []  # nothing of the mesh is on that node


UNFIT = "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector"


def unscheduled(minutes: float, node_selector: dict[str, str] | None = None, **changes: Any) -> Pod:
    """A pod with a sidecar that has waited for a node for some minutes."""
    waits = Condition("PodScheduled", "False", "Unschedulable", UNFIT)
    created = f"{NOW - timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%SZ}"
    made = make.pod(node="", phase="Pending", ready=False, conditions=(waits,), created_at=created, **changes)
    return replace(made, spec=replace(made.spec, node_selector=node_selector or {}))


def test_a_pod_with_a_proxy_that_no_node_takes_is_an_open_point_with_the_schedulers_words() -> None:
    (left,) = without_node([unscheduled(2), make.pod("runs")], [NODE], NOW)
    assert isinstance(left, OpenPoint)
    assert (left.about.said, left.settle) == (f"no node takes it, so that it does not run: {UNFIT}", LET_A_NODE_TAKE_IT)
    assert without_node([unscheduled(0.5)], [NODE], NOW) == []  # the scheduler has its time
    assert without_node([unscheduled(60, injected=False)], [NODE], NOW) == []
    (untold,) = without_node([replace(unscheduled(2), conditions=())], [NODE], NOW)
    assert isinstance(untold, OpenPoint)
    assert untold.about.said.endswith("no scheduler says why")


def test_a_selector_that_fits_no_node_is_the_cause_once_no_new_node_is_to_be_expected() -> None:
    of_pool, by_name = {"pool": "mesh"}, {HOST_NAME: "k8s-worker-1"}
    for pod in (unscheduled(11, of_pool), unscheduled(2, by_name)):
        (found,) = without_node([pod], [NODE], NOW)
        assert isinstance(found, Problem)
        assert named([found]) == [("Pod test-app/app", "node-selector-fits-no-node")]
        assert "; none of the nodes has that: node-1" in found.said
    for pod, nodes in (
        (unscheduled(2, of_pool), [NODE]),  # an autoscaler may be making it
        (unscheduled(11, of_pool), None),
        (unscheduled(11, of_pool), [NODE, replace(make.node("node-2"), labels=of_pool)]),  # it has no room, say
    ):
        (left,) = without_node([pod], nodes, NOW)
        assert isinstance(left, OpenPoint)


BARE = make.pod(injected=False, socket=None)
INJECTED = make.namespace("test-app", labels={"istio-injection": "enabled"})


def test_a_namespace_that_injects_and_has_no_sidecar_at_all_is_left_open() -> None:
    others = make.pod("other", namespace="shop")
    (left,) = without_sidecar([BARE, others], [INJECTED, make.namespace("shop")], make.planes())
    assert (str(left.about.subject), left.settle) == ("Pod test-app/app", INJECT_THEM)
    assert left.about.said.startswith("the namespace test-app injects, and no pod there has a sidecar")
    assert left.about.evidence
    beside = make.pod("beside")  # the sweep over the mesh looks at the namespace then
    assert without_sidecar([BARE, beside], [INJECTED], make.planes()) == []


def test_a_pod_that_asks_for_injection_itself_and_has_no_sidecar_is_left_open() -> None:
    asking = replace(BARE, labels={"sidecar.istio.io/inject": "true"})
    plain = make.namespace("test-app", labels={})
    (left,) = without_sidecar([asking, make.pod("beside"), BARE], [plain], make.planes())
    assert (left.about.subject, left.about.said.partition(":")[0]) == (
        asking.ref,
        "it asks for injection itself, and has no sidecar",
    )


def test_pods_whose_injector_is_not_there_are_left_open_with_its_name() -> None:
    """Without a webhook that fits, the API server makes them as they are, and nothing fails."""
    lost = make.namespace("test-app", labels={"istio.io/rev": "1-20"})
    (left,) = without_sidecar([BARE], [lost], make.planes())
    assert left.about.said.startswith(
        "the namespace test-app asks the revision 1-20 of Istio for injection, which no control plane"
    )
    assert left.settle == NAME_A_REVISION
    asking = replace(BARE, labels={"istio.io/rev": "1-20"})
    (itself,) = without_sidecar([asking], [make.namespace("test-app", labels={})], make.planes())
    assert itself.about.said.startswith("it asks the revision 1-20")
    refusing = replace(BARE, labels={"istio.io/rev": "1-20", "sidecar.istio.io/inject": "false"})
    assert without_sidecar([refusing], [lost], make.planes()) == []
    tagged = replace(make.planes(), tags={"1-20": "default"})
    assert [each.settle for each in without_sidecar([BARE], [lost], tagged)] == [INJECT_THEM]


def test_pods_that_are_meant_to_be_without_a_sidecar_leave_nothing_open() -> None:
    refusing = replace(BARE, labels={"sidecar.istio.io/inject": "false"})
    on_the_node = replace(BARE, spec=replace(BARE.spec, host_network=True))
    assert without_sidecar([refusing, on_the_node], [INJECTED], make.planes()) == []
    enrolled = make.namespace("test-app", labels={"istio-injection": "enabled", "istio.io/dataplane-mode": "ambient"})
    assert without_sidecar([BARE], [enrolled], make.planes()) == []
    assert without_sidecar([BARE], [make.namespace("test-app", labels={"istio-injection": "disabled"})], make.planes()) == []
    assert without_sidecar([BARE], [], make.planes()) == []


AMBIENT = make.namespace("test-app", labels={"istio.io/dataplane-mode": "ambient"})


def test_workloads_in_ambient_mode() -> None:
    plain = make.pod(injected=False, socket=None)
    assert named(in_ambient_mode([plain], [AMBIENT])) == [("Pod test-app/app", "ambient-by-design")]


def test_workloads_with_a_sidecar_or_outside_of_the_mesh() -> None:
    assert in_ambient_mode([make.pod()], [AMBIENT]) == []
    assert in_ambient_mode([make.pod(injected=False)], [make.namespace("test-app")]) == []


def test_of_several_tbots_each_ones_pods_count() -> None:
    left, right = make.pool("left", "/run/left", "node-2"), make.pool("right", "/run/right", "node-3")
    waits = Condition("PodScheduled", "False", "Unschedulable", "0/3 nodes are available.")
    pending = replace(make.tbot_pod("right-9", node=""), owner="DaemonSet/right", phase="Pending", ready=False)
    of_others = replace(pending, name="fluent-9", owner="DaemonSet/fluent")
    pending, of_others = (replace(each, conditions=(waits,)) for each in (pending, of_others))
    ended = replace(make.tbot_pod("left-9"), owner="DaemonSet/left", phase="Failed")
    for pods, words in (
        ([of_others, pending], "Pod teleport-system/right-9 is Pending: 0/3 nodes are available."),
        ([pending, ended], "Pod teleport-system/left-9 there has ended (Failed)"),
    ):
        (found,) = without_tbot(make.tbots(left, right), HOSTS, [NODE], pods)
        assert found.said == f"it hosts 1 injected pods and no tbot: {words}"


def test_a_pod_whose_tbot_is_missing_beside_another_tbot_of_its_node() -> None:
    left, right = make.pool("left", make.SOCKETS, "node-1", "node-2"), make.pool("right", make.OTHER_SOCKETS, "node-2")
    pods = [make.pod("of-left"), make.pod("of-right", socket=make.OTHER_NODES_SOCKET)]
    # Only what keeps its own tbot away counts.
    of_left = replace(make.tbot_pod("left-9"), owner="DaemonSet/left", phase="Failed")
    tainted = replace(NODE, taints=("gpu=true:NoSchedule",))
    found = without_tbot(make.tbots(left, right), {"node-1": pods}, [tainted], [of_left])
    assert named(found) == [("Pod test-app/of-right", "tbot-not-on-node")]
    assert found[0].said.endswith("and node node-1 has no pod of it: the node is tainted gpu=true:NoSchedule")
    assert without_tbot(make.tbots(left, right), {"node-1": pods[:1]}, [tainted], [of_left]) == []


def test_a_tbot_that_has_ended_on_another_node_says_nothing_about_this_one() -> None:
    evicted = replace(make.tbot_pod("tbot-9", node="node-2"), phase="Failed", message="low on memory")
    assert said_of(pods=[evicted]) == "no taint, node selector or waiting pod shows why"
    running = make.tbot_pod("tbot-9")
    assert said_of(pods=[running]) == "no taint, node selector or waiting pod shows why"
