"""Which pods belong to the install under judgement."""

from __future__ import annotations

from functools import partial
from typing import Any, cast

import pytest

from facts.document import Reading
from facts.evidence import KeptInMemory
from facts.istio.gateway_api import CONTROLLER, GatewayClass
from facts.kubernetes.access import Right
from observe.install import Install
from observe.proxies import observed as proxies
from provision.objects import RUN_LABEL, is_scratch
from settings import Names
from tests.unit.judge import builders as make
from tests.unit.judge.certificates import NOW

ROUTER = make.istio_proxy(is_init=False, args=("proxy", "router"))
RUN = {RUN_LABEL: "20260301T120000Z-1a2b"}


class Cluster:
    """A cluster of these pods and namespaces."""

    context = "test"

    def __init__(self, *pods: Any, namespaces: tuple[Any, ...] = ()) -> None:
        self._pods, self._namespaces = pods, namespaces
        self.asked: list[str] = []

    def pods(self) -> tuple[Any, ...]:
        self.asked.append("pods")
        return self._pods

    def namespaces(self) -> tuple[Any, ...]:
        self.asked.append("namespaces")
        return self._namespaces


def install(cluster: Cluster, *allowed: str, provisions: bool = False, profiles: frozenset[str] = frozenset()) -> Install:
    return Install(
        cluster=cast("Any", cluster),
        teleport=cast("Any", None),
        tools=cast("Any", None),
        names=Names(),
        recorder=cast("Any", _Anything()),
        allowed=frozenset({"read-only", *allowed}),
        provisions=provisions,
        profiles=profiles,
        is_scratch=is_scratch,
    )


class _Anything(KeptInMemory):
    def attach(self, evidence_ids: Any) -> None:
        """The readings of this test were never recorded."""


def test_pods_that_ended_or_leave_or_are_not_placed_have_no_proxy_to_ask() -> None:
    pods = [
        make.pod("runs"),
        make.pod("finished", phase="Succeeded"),
        make.pod("failed", phase="Failed"),
        make.pod("leaves", terminating=True),
        make.pod("waits", node="", phase="Pending"),
        make.pod("starts", phase="Pending", ready=False),
        make.pod("plain", injected=False),
        make.pod("gateway", proxy=ROUTER),
    ]
    read = install(Cluster(*pods))
    assert [p.name for p in read.injected_pods()] == ["runs", "starts", "gateway"]
    assert [p.name for p in read.sidecar_pods()] == ["runs", "starts"]
    assert "plain" in [p.name for p in read.living_pods()]


def test_what_a_run_made_for_itself_is_not_judged_and_what_it_installed_is() -> None:
    """A cluster that was brought up here carries the run's label on everything."""
    names = ("test-app", "conformance-20260301t120000z-1a2b", "conformance-of-quality")
    labels: tuple[dict[str, str], ...] = (RUN, RUN, {})
    namespaces = tuple(make.namespace(n, labels=label) for n, label in zip(names, labels, strict=True))
    cluster = Cluster(*(make.pod(f"in-{n}", namespace=n) for n in names), namespaces=namespaces)
    read = install(cluster)
    assert [p.namespace for p in read.injected_pods()] == ["test-app", "conformance-of-quality"]
    assert [p.namespace for p in read.all_pods()] == list(names)


def test_namespaces_are_read_after_the_pods_and_once() -> None:
    """One that was made in between is in the list; one that holds a listed pod cannot be missing from it."""
    cluster = Cluster(make.pod())
    read = install(cluster)
    read.injected_pods()
    read.living_pods()
    assert cluster.asked == ["pods", "namespaces"]


def test_a_gateway_that_a_run_had_deployed_for_itself_is_none_of_the_mesh(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be on its way out while the next run looks; and the list that pods are held against is read after them."""
    own = make.gateway(namespace="conformance-20260301t120000z-1a2b-mesh")
    monkeypatch.setattr(proxies, "read_mesh", lambda *_: make.mesh(gateways=(own, make.gateway())))
    cluster = Cluster(namespaces=(make.namespace(), make.namespace(own.namespace, labels=RUN)))
    read = install(cluster)
    assert [g.namespace for g in read.mesh().gateways] == ["istio-system"]
    read.living_pods()
    assert cluster.asked == ["namespaces", "pods", "namespaces"]


class WithGatewayApi(Cluster):
    """A cluster that knows the Gateway API or does not, and has one class of it."""

    def __init__(self, *, known: bool) -> None:
        super().__init__()
        self.api = self
        self._known = known

    def get(self, path: str, _subject: Any, *, absent: bool) -> Reading:
        assert (path, absent) == ("/apis/gateway.networking.k8s.io/v1", True)
        self.asked.append("gateway api")
        return Reading({} if self._known else None, "ev", NOW)

    def gateway_classes(self) -> tuple[GatewayClass, ...]:
        self.asked.append("classes")
        return (GatewayClass("istio", CONTROLLER),)

    def can_i(self, verb: str, group: str, resource: str) -> Right:
        return Right(verb, f"{resource}.{group}", "", allowed=True, evidence=())


@pytest.mark.parametrize(
    ("profiles", "kinds"),
    [
        ({"install", "traffic"}, set()),
        ({"rotation", "ca-rotation"}, {"daemonsets.apps"}),
        ({"resilience"}, {"daemonsets.apps", "deployments.apps"}),
    ],
)
def test_rights_to_take_something_away_are_needed_by_the_profiles_that_do(profiles: set[str], kinds: set[str]) -> None:
    opened = install(WithGatewayApi(known=False), "disruptive", profiles=frozenset(profiles))
    patched = [r.resource for r in opened.rights() if r.verb == "patch" and r.resource.endswith(".apps")]
    assert sorted(patched) == sorted(kinds)


@pytest.mark.parametrize("known", [True, False])
def test_classes_of_gateways_are_asked_for_only_where_there_can_be_some(known: bool) -> None:
    cluster = WithGatewayApi(known=known)
    assert [c.name for c in install(cluster).gateway_classes()] == ["istio"] * known
    assert cluster.asked == ["gateway api"] + ["classes"] * known


@pytest.mark.parametrize(
    ("known", "allowed", "provisions", "needed"),
    [
        (True, "namespaced", False, True),
        (False, "namespaced", False, False),
        (True, "read-only", False, False),
        (True, "namespaced", True, False),  # an administrator has it anyway, and asks before there is a Gateway API
    ],
)
def test_rights_on_gateways_are_needed_by_who_makes_one(known: bool, allowed: str, provisions: bool, needed: bool) -> None:
    cluster = WithGatewayApi(known=known)
    rights = {str(right) for right in install(cluster, allowed, provisions=provisions).rights()}
    assert ("create gateways.gateway.networking.k8s.io" in rights) is needed
    assert ("gateway api" in cluster.asked) is (allowed == "namespaced" and not provisions)


def test_what_somebody_has_changed_is_read_anew() -> None:
    cluster = Cluster(make.pod("before"))
    read = install(cluster)
    assert [p.name for p in read.all_pods()] == ["before"]
    cluster._pods = (make.pod("after"),)
    assert [p.name for p in read.all_pods()] == ["before"]
    read.authority_changed()
    assert [p.name for p in read.all_pods()] == ["after"]
    assert cluster.asked == ["pods", "pods"]


def test_what_follows_from_an_outdated_reading_goes_with_it() -> None:
    read = install(Cluster())
    made: list[str] = []

    def note(key: str) -> str:
        made.append(key)
        return key

    keys = ("fleet", "fleet after 5 s", "fleets")
    for key in (*keys, *keys):
        read._once(key, partial(note, key), lambda _: ())
    read.outdated("fleet")
    assert read.seen("fleet") is None
    for key in keys:
        read._once(key, partial(note, key), lambda _: ())
    assert made == [*keys, "fleet", "fleet after 5 s"]
