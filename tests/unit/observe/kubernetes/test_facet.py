"""Pods of the cluster that belong to the install under judgement."""

from __future__ import annotations

from dataclasses import replace

import pytest

from facts.errors import CouldNotTell, NotGiven
from provision.objects import RUN_LABEL
from settings import Names
from tests.unit.judge import builders as make
from tests.unit.observe.doubles import Cluster, install

RUN = {RUN_LABEL: "20260301T120000Z-1a2b"}


def test_what_a_run_made_for_itself_is_not_judged_and_what_it_installed_is() -> None:
    """A cluster that was brought up here carries the run's label on everything."""
    names = ("test-app", "conformance-20260301t120000z-1a2b", "conformance-of-quality")
    labels: tuple[dict[str, str], ...] = (RUN, RUN, {})
    namespaces = tuple(make.namespace(n, labels=label) for n, label in zip(names, labels, strict=True))
    cluster = Cluster(*(make.pod(f"in-{n}", namespace=n) for n in names), namespaces=namespaces)
    read = install(cluster)
    assert [p.namespace for p in read.proxies.pods()] == ["test-app", "conformance-of-quality"]
    assert [p.namespace for p in read.cluster.pods()] == list(names)
    assert [p.namespace for p in read.cluster.pods_of_install()] == ["test-app", "conformance-of-quality"]


def test_namespaces_are_read_after_the_pods_and_once() -> None:
    """One that was made in between is in the list; one that holds a listed pod cannot be missing from it."""
    cluster = Cluster(make.pod())
    read = install(cluster)
    read.proxies.pods()
    read.cluster.living_pods()
    assert [asked for asked in cluster.asked if asked != "nodes"] == ["pods", "namespaces"]


def test_pods_of_nodes_that_do_not_report_are_left_out() -> None:
    """What the API server has of them is old, and the kubelet forwards no port."""
    nodes = (make.node("up"), replace(make.node("down"), ready=False))
    cluster = Cluster(make.pod("here", node="up"), make.pod("there", node="down"), nodes=nodes)
    read = install(cluster)
    assert [p.name for p in read.cluster.living_pods()] == ["here"]
    assert [p.name for p in read.proxies.pods()] == ["here"]
    assert (sorted(read.proxies.pods_by_node()), read.cluster.workload_nodes()) == (["up"], ("up",))
    names = Names()
    assert [p.namespace for p in (*read.application.pods(), *read.application.silent_pods())] == [names.app_namespace] * 2
    assert [p.name for p in read.application.silent_pods()] == ["there"]
    assert [p.name for p in read.cluster.silent_pods()] == ["there"]


def test_a_node_that_hosts_only_a_waypoint_of_ambient_mode_needs_no_tbot() -> None:
    waypoint = make.pod("w", node="node-2", socket=make.EMPTY_DIR, proxy=make.istio_proxy(args=("proxy", "waypoint")))
    read = install(Cluster(make.pod(), waypoint, nodes=(make.node(), make.node("node-2"))))
    assert [p.name for p in read.proxies.pods()] == ["app", "w"]
    assert {node: [p.name for p in pods] for node, pods in read.proxies.pods_by_node().items()} == {"node-1": ["app"]}


def test_nodes_that_the_api_server_does_not_list() -> None:
    read = install(Cluster(make.pod(), nodes=(make.node(),)))
    assert read.cluster.unlisted(["node-1", "gone"]) == {"gone"}
    denied = NotGiven(expected="the right to list nodes", seen="denied", where="nodes", remedy="grant it")
    assert install(Cluster(nodes=denied)).cluster.unlisted(["node-1"]) == frozenset()


def test_a_node_that_joined_before_the_pods_were_listed_again_is_not_listed() -> None:
    """The reading of tbot is older than such a node, and would show that it lacks tbot."""
    cluster = Cluster(make.pod(), make.pod("late", node="late"), nodes=(make.node(),))
    read = install(cluster)
    read.cluster.living_pods()
    cluster._nodes = (make.node(), make.node("late"))
    read.cluster.list_pods_again()
    assert read.cluster.unlisted(pod.node for pod in read.cluster.living_pods()) == {"late"}


def test_without_the_right_to_list_nodes_no_pod_is_left_out() -> None:
    denied = NotGiven(expected="the right to list nodes", seen="denied", where="nodes", remedy="grant it")
    read = install(Cluster(make.pod(), nodes=denied))
    assert [p.name for p in read.cluster.living_pods()] == ["app"]
    assert read.cluster.silent_nodes() == frozenset()
    lost = CouldNotTell(expected="nodes", seen="no answer", where="nodes", remedy="look")
    with pytest.raises(CouldNotTell, match="no answer"):
        install(Cluster(make.pod(), nodes=lost)).cluster.living_pods()


def test_the_suites_own_pods_are_read_apart_for_the_ways_that_lead_to_them() -> None:
    names = ("test-app", "conformance-20260301t120000z-1a2b")
    namespaces = tuple(make.namespace(n, labels=RUN) for n in names)
    pods = [make.pod(f"in-{n}", namespace=n) for n in names]
    gone = make.pod("gone", namespace=names[1], terminating=True)
    read = install(Cluster(*pods, gone, namespaces=namespaces))
    assert [p.name for p in read.cluster.pods_of_the_suite()] == ["in-conformance-20260301t120000z-1a2b"]
    assert read.cluster.pods_of_the_suite() is read.cluster.pods_of_the_suite()
