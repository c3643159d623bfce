"""Objects that the suite makes for each requirement, and their order."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from facts.errors import CouldNotTell, NotGiven, ProvisioningFailed
from facts.kubernetes.objects import Pod
from facts.kubernetes.workloads import DaemonSet
from facts.recorder import KeptInMemory
from facts.traffic.attempts import NotRun
from providers.teleport.facts.tbot import Tbot
from provision.negative import NegativeProbes, requirements_of
from provision.negative.probe import ProbeNamespaces
from provision.negative.rules import Rules
from settings import Names
from tests.unit.judge import builders as make
from tests.unit.provision.negative.doubles import IDENTITY, Tctl, installed
from tests.unit.provision.originals import nowhere


class Objects:
    """Accepts every object except pods of the names that it refuses."""

    run_id = "Run-1"

    def __init__(self, *refuses: str) -> None:
        self.refuses = refuses
        self.made: list[str] = []
        self.removed: list[str] = []

    def apply(self, document: dict[str, Any]) -> dict[str, Any]:
        name = document["metadata"]["name"]
        if document["kind"] == "Pod" and name in self.refuses:
            raise ProvisioningFailed(expected="it", seen="HTTP 403: violates PodSecurity", where=name, remedy="")
        self.made.append(f"{document['kind']}/{name}")
        return document

    def get(self, _version: str, kind: str, name: str, *, namespace: str = "") -> dict[str, Any]:
        del namespace
        daemon_set, config_maps = installed()
        return daemon_set if kind == "DaemonSet" else {"data": config_maps[name]}

    def delete(self, _version: str, kind: str, name: str) -> None:
        self.removed.append(f"{kind}/{name}")


class Cluster:
    """Has no pods."""

    def pods(self, _namespace: str) -> tuple[Pod, ...]:
        return (make.pod("outside", namespace="conformance-run-1"),)

    def daemon_set(self, _namespace: str, _name: str) -> DaemonSet:
        return make.tbot().daemon_set


class Probes:
    """Has a namespace, and finds nothing."""

    def namespace(self) -> str:
        return "conformance-run-1"

    def of_sockets(self, _sockets: object, _image: str) -> tuple[()]:
        return ()


def install(tbot: Tbot | None = None, sockets: tuple[str, ...] = ("/run/spire/sockets/socket",)) -> SimpleNamespace:
    """An install as in the guide, on one node."""
    return SimpleNamespace(
        names=Names(),
        tbot=SimpleNamespace(
            all=lambda: make.tbots(tbot or make.tbot()),
            joining_alike=lambda: tbot or make.tbot(),
            sockets_on=lambda _node: sockets[:1],
            sockets_in_reach=lambda _node: sockets,
        ),
        istio=SimpleNamespace(mesh=make.mesh, planes=make.planes, proxy_image=lambda: "registry.example/proxyv2:1"),
        teleport=SimpleNamespace(ping=make.ping),
        proxies=SimpleNamespace(pods_by_node=lambda: {"node-1": [make.pod()]}),
    )


JOINS_OTHERWISE = make.tbot(config=make.tbot_config(join_method="iam"))
"""A tbot that joins by a method that knows nothing of service accounts."""


def negative_probes(
    objects: Objects, tctl: Tctl | None = None, tbot: Tbot | None = None, of: SimpleNamespace | None = None
) -> NegativeProbes:
    """Negative probes of a run on that cluster."""
    parts: list[Any] = [objects, Cluster(), of or install(tbot), Probes()]
    probe_namespaces = ProbeNamespaces(*parts, image="registry.example/python:1", patience=0.1)
    return NegativeProbes(probe_namespaces, Rules(tctl, KeptInMemory(), nowhere()))


REFUSED = "Pod/refused"


def test_only_what_is_wanted_is_made() -> None:
    objects = Objects()
    negative_probes(objects).begin(["NEG-04", "NEG-07", "ID-01"])
    pods = {name for name in objects.made if name.startswith("Pod/")}
    assert pods == {"Pod/stranger", "Pod/fail-closed"}


def test_no_join_is_tried_where_tbot_would_be_let_in_as_the_bot() -> None:
    objects = Objects()
    made = negative_probes(objects, tbot=JOINS_OTHERWISE)
    made.begin({"NEG-06"})
    assert objects.made == []
    attempt = made.join.attempt()
    assert isinstance(attempt, NotRun)
    assert "by the method iam" in attempt.reason
    assert attempt.evidence == ("ev-agent",)


def test_rules_are_narrowed_only_after_the_processes_outside_have_asked() -> None:
    objects, tctl = Objects(), Tctl()
    made = negative_probes(objects, tctl)
    made.begin(["NEG-02", "NEG-03"])
    assert tctl.holds is IDENTITY
    assert REFUSED not in objects.made
    made.beside()
    assert tctl.holds["spec"]["rules"]["allow"]
    assert REFUSED in objects.made
    assert made.restricted.former().rules == ()
    made.restricted.restore()
    assert "rules" not in tctl.holds["spec"]


def test_rules_are_narrowed_at_once_without_processes_outside() -> None:
    objects, tctl = Objects(), Tctl()
    negative_probes(objects, tctl).begin(["NEG-03"])
    assert tctl.holds["spec"]["rules"]["allow"]
    assert {REFUSED, "Pod/allowed"} <= {*objects.made}


class Kept(Objects):
    """Keeps each object as it was made."""

    def __init__(self, *refuses: str) -> None:
        super().__init__(*refuses)
        self.documents: list[dict[str, Any]] = []

    def apply(self, document: dict[str, Any]) -> dict[str, Any]:
        self.documents.append(document)
        return super().apply(document)


def affinities(*pools: Tbot) -> tuple[NegativeProbes, list[Any]]:
    """Negative probes with narrowed rules on these pools, and the affinity of each of their pods."""
    objects, of = Kept(), install()
    of.tbot.all = lambda: make.tbots(*pools)
    made = negative_probes(objects, Tctl(), of=of)
    made.begin(["NEG-03"])
    return made, [d["spec"].get("affinity") for d in objects.documents if d["kind"] == "Pod"]


def test_pods_under_narrowed_rules_run_where_tbot_issues_by_these_rules() -> None:
    other: dict[str, Any] = {
        "services": (make.workload_api(listen=f"unix://{make.OTHER_SOCKETS}/socket", selector_name="other"),)
    }
    first, alike = make.pool("a", make.SOCKETS, "node-0", "node-1"), make.pool("b", make.OTHER_SOCKETS, "node-2")
    _made, anywhere = affinities(first, alike)
    assert anywhere == [None, None]
    _made, pinned = affinities(first, make.pool("b", make.OTHER_SOCKETS, "node-0", "node-2", **other))
    terms = [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["node-1"]}]}]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    assert pinned == [{"nodeAffinity": required}] * 2
    made, none = affinities(first, make.pool("b", make.OTHER_SOCKETS, "node-0", "node-1", **other))
    assert none == []
    with pytest.raises(CouldNotTell, match="each of its nodes has another tbot"):
        made.restricted.former()


def test_rules_that_cannot_be_narrowed_affect_only_their_requirement() -> None:
    objects = Objects()
    made = negative_probes(objects)
    made.begin(["NEG-03", "NEG-04"])
    assert "Pod/fail-closed" in objects.made
    assert REFUSED not in objects.made
    with pytest.raises(NotGiven):
        made.restricted.former()


def test_a_pod_that_the_cluster_does_not_admit_is_told_as_that() -> None:
    made = negative_probes(Objects("outside-node-1"))
    made.begin(["NEG-02"])
    (outside,) = made.outside.answers()
    assert isinstance(outside, NotRun)
    assert outside.by_policy
    assert "violates PodSecurity" in outside.reason
    assert outside.evidence


def test_a_process_outside_asks_each_socket_in_reach() -> None:
    objects = Kept("outside-node-1", "outside-node-1-1")
    sockets = ("/run/spire/sockets/socket", "/run/spire/sockets/below/second")
    made = negative_probes(objects, of=install(sockets=sockets))
    made.begin(["NEG-02"])
    pods = {d["metadata"]["name"]: d["spec"]["containers"][0]["command"] for d in objects.documents if d["kind"] == "Pod"}
    assert [*pods] == ["outside-node-1", "outside-node-1-1"]
    assert [command[-2:] for command in pods.values()] == [[socket, "/sockets/socket"] for socket in sockets]
    assert [answer.what for answer in made.outside.answers() if isinstance(answer, NotRun)] == [*pods]


def test_everything_is_put_back_and_removed() -> None:
    objects, tctl = Objects(), Tctl()
    made = negative_probes(objects, tctl)
    made.begin(["NEG-03"])
    made.remove()
    assert "rules" not in tctl.holds["spec"]
    assert objects.removed == ["Namespace/conformance-run-1-negative"]


def test_nothing_was_made_and_nothing_is_removed() -> None:
    objects = Objects()
    made = negative_probes(objects)
    made.begin(["ID-01"])
    made.remove()
    assert (objects.made, objects.removed) == ([], [])


def test_requirements_need_probes_where_the_policy_allows_their_scenarios() -> None:
    def scenario(safety: str, *requirements: str) -> Any:
        told = [("safety", {"kind": safety}), *(("requirement", {"id": each}) for each in requirements)]
        marks = [SimpleNamespace(name=name, args=(), kwargs=given) for name, given in told]
        return SimpleNamespace(iter_markers=lambda name: (mark for mark in marks if mark.name == name))

    selected = [scenario("namespaced", "NEG-02"), scenario("disruptive", "NEG-03"), scenario("read-only", "NEG-07", "ID-01")]
    assert requirements_of(selected, {"read-only", "namespaced"}) == {"NEG-02", "NEG-07", "ID-01"}
