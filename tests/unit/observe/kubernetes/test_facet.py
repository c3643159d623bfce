"""Pods of the cluster that belong to the install under judgement."""

from __future__ import annotations

from provision.objects import RUN_LABEL
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


def test_namespaces_are_read_after_the_pods_and_once() -> None:
    """One that was made in between is in the list; one that holds a listed pod cannot be missing from it."""
    cluster = Cluster(make.pod())
    read = install(cluster)
    read.proxies.pods()
    read.cluster.living_pods()
    assert cluster.asked == ["pods", "namespaces"]


def test_the_suites_own_pods_are_read_apart_for_the_ways_that_lead_to_them() -> None:
    names = ("test-app", "conformance-20260301t120000z-1a2b")
    namespaces = tuple(make.namespace(n, labels=RUN) for n in names)
    pods = [make.pod(f"in-{n}", namespace=n) for n in names]
    gone = make.pod("gone", namespace=names[1], terminating=True)
    read = install(Cluster(*pods, gone, namespaces=namespaces))
    assert [p.name for p in read.cluster.pods_of_the_suite()] == ["in-conformance-20260301t120000z-1a2b"]
    assert read.cluster.pods_of_the_suite() is read.cluster.pods_of_the_suite()
