"""Outages put back what they took, however they are left, and say when it was away."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from facts.errors import CouldNotTell, NotGiven, ProvisioningFailed
from facts.kubernetes.objects import Pod
from facts.recorder import KeptInMemory
from observe.wait import Pace
from provision.disruption.machine_changes import paused
from provision.disruption.machines import Machines, kind_cluster_of, machines_of
from provision.disruption.outages import NOWHERE, OngoingOutage, Outages
from provision.runs.fields import MISSING
from provision.runs.originals import Originals
from tests.unit.judge import builders as make
from tests.unit.provision.cluster import ApiServer, Objects
from tests.unit.provision.originals import changes_kept

POD = {"metadata": {"name": "would-be", "namespace": "run"}}


class Cluster(Objects):
    """tbot on two nodes and one istiod, as objects to change and to look at."""

    def __init__(self) -> None:
        super().__init__(ApiServer())
        self.recorder = KeptInMemory()
        tbot = {"name": "tbot", "namespace": "teleport-system"}
        self.server.put({"kind": "DaemonSet", "metadata": tbot, "spec": {"template": {"spec": {}}}})
        self.server.put(
            {"kind": "Deployment", "metadata": {"name": "istiod", "namespace": "istio-system"}, "spec": {"replicas": 1}}
        )

    @property
    def originals(self) -> Originals:
        return Originals(cast("Any", self))

    @property
    def generation(self) -> int:
        """Counts the changes of tbot."""
        return 1 + sum(kind == "DaemonSet" for _verb, kind, _name in self.server.changes)

    @property
    def selector(self) -> dict[str, str]:
        """The nodes that tbot may run on."""
        spec: dict[str, Any] = self.server.of("DaemonSet", "tbot", "teleport-system")["spec"]["template"]["spec"]
        return dict(spec.get("nodeSelector") or {})

    @property
    def replicas(self) -> int:
        """Of istiod."""
        return int(self.server.of("Deployment", "istiod", "istio-system")["spec"]["replicas"])

    # To change.

    def scaled(self, replicas: int) -> None:
        """Another user scales istiod."""
        self.server.of("Deployment", "istiod", "istio-system")["spec"]["replicas"] = replicas

    def would_create(self, pod: Mapping[str, Any]) -> Mapping[str, Any]:
        if not self.replicas:
            raise ProvisioningFailed(expected="", seen="no endpoints", where="", remedy="")
        return pod

    # To look at.

    def recording_to(self, _recorder: object) -> Cluster:
        return self

    def pods(self, namespace: str, selector: str) -> tuple[Pod, ...]:
        if "istiod" in selector:
            return tuple(make.pod(f"istiod-{n}", namespace=namespace) for n in range(self.replicas))
        if NOWHERE.items() <= self.selector.items():
            return ()
        return tuple(make.pod(f"tbot-{n}-{self.generation}", namespace=namespace) for n in range(2))

    def daemon_set(self, _namespace: str, _name: str) -> Any:
        return make.tbot().daemon_set

    def deployments(self, _namespace: str) -> tuple[Any, ...]:
        return make.mesh().istiod


def kept_fields(cluster: Cluster) -> list[tuple[str, Any, Any]]:
    """What is kept: the thing, its field before the change, and after it."""
    return [(str(change), field.was, field.ours) for change in changes_kept(cluster.originals) for field in change.fields]


def outages(cluster: Cluster, machines: Any = None) -> Outages:
    return Outages(
        cast("Any", cluster),
        cast("Any", cluster.originals),
        cast("Any", cluster),
        tbot=make.tbot(),
        istiod=make.mesh().istiod,
        machines=lambda: machines,
        pace=Pace(1, 0.01),
    )


def test_tbot_is_away_from_every_node_and_comes_back() -> None:
    cluster = Cluster()
    with outages(cluster).without_tbot() as going:
        assert cluster.pods("teleport-system", "app=tbot") == ()
        assert kept_fields(cluster) == [("DaemonSet teleport-system/tbot", MISSING, "here")]
        with pytest.raises(LookupError, match="still down"):
            _ = going.outage
    assert cluster.selector == {}
    assert cluster.originals.all() == ()
    outage = going.outage
    assert outage.of == "tbot"
    assert outage.ordered <= outage.gone <= outage.recalled <= outage.back
    assert set(outage.evidence) >= {"ev-pod-tbot-0-3", "ev-pod-tbot-1-3"}


@pytest.mark.parametrize("error", [KeyboardInterrupt, CouldNotTell])
def test_what_was_taken_is_put_back_when_it_is_cut_short(error: type[BaseException]) -> None:
    cluster = Cluster()
    raised = error() if error is KeyboardInterrupt else CouldNotTell(expected="", seen="", where="", remedy="")
    with pytest.raises(error), outages(cluster).without_tbot():
        raise raised
    assert cluster.selector == {}
    with pytest.raises(error), outages(cluster).without_istiod(POD):
        raise raised
    assert cluster.replicas == 1


def test_a_tbot_that_will_not_go_is_sent_back_all_the_same() -> None:
    cluster = Cluster()
    stays = cluster.pods("teleport-system", "app=tbot")
    cluster.pods = lambda *_: stays  # type: ignore[method-assign]
    with pytest.raises(CouldNotTell, match="no tbot is left"), outages(cluster).without_tbot():
        pass
    assert cluster.selector == {}


def test_a_restart_is_over_when_every_tbot_is_another_one() -> None:
    cluster = Cluster()
    outage = outages(cluster).restart_tbot()
    assert outage.ordered == outage.recalled <= outage.back
    assert set(outage.evidence) == {"ev-pod-tbot-0-2", "ev-pod-tbot-1-2"}
    assert outage.anew == {make.NODE: datetime(2026, 3, 1, 10, tzinfo=UTC)}


def test_istiod_is_away_and_scaled_back_to_what_it_was() -> None:
    cluster = Cluster()
    with outages(cluster).without_istiod(POD):
        assert cluster.replicas == 0
        assert kept_fields(cluster) == [("Deployment istio-system/istiod", 1, 0)]
    assert cluster.replicas == make.mesh().istiod[0].desired
    assert cluster.originals.all() == ()


def test_istiod_is_scaled_back_to_what_it_had_right_before_and_not_to_what_was_read_earlier() -> None:
    cluster = Cluster()
    taken = outages(cluster)
    cluster.scaled(3)  # after the reading from which the outages were made
    with taken.without_istiod(POD):
        assert cluster.replicas == 0
    assert cluster.replicas == 3


def test_what_another_user_has_restored_is_not_restored_again() -> None:
    cluster = Cluster()

    def undone() -> None:
        (kept,) = cluster.originals.all()
        cluster.scaled(2)
        cluster.originals.forget(kept.key)  # as `conformance undo` does, after which another run may have begun

    with pytest.raises(CouldNotTell, match="istiod to stay down"), outages(cluster).without_istiod(POD):
        undone()
    assert cluster.replicas == 2


def test_what_an_earlier_change_left_is_no_original() -> None:
    cluster = Cluster()

    def never(verb: str, kind: str) -> None:
        if verb == "patch":
            raise ProvisioningFailed(expected="", seen="forbidden", where=kind, remedy="")

    takes: list[Callable[[], AbstractContextManager[OngoingOutage]]] = [
        lambda: outages(cluster).without_istiod(POD),
        lambda: outages(cluster).without_tbot(),
    ]
    for take in takes:
        with pytest.raises(CouldNotTell, match="restore it by hand"), take():
            cluster.server.before = never
        cluster.server.before = lambda _verb, _kind: None
        kept = kept_fields(cluster)
        with pytest.raises(ProvisioningFailed, match="an earlier change of run run-1 that is not restored"), take():
            pass
        assert kept_fields(cluster) == kept, "as it was before the first of them"
    # The later one comes first, as `undo` restores them.
    assert kept == [("DaemonSet teleport-system/tbot", MISSING, "here"), ("Deployment istio-system/istiod", 1, 0)]


def test_who_comes_back_too_early_was_not_away() -> None:
    cluster = Cluster()
    with pytest.raises(CouldNotTell, match="istiod to stay down"), outages(cluster).without_istiod(POD):
        cluster.scaled(1)
    with pytest.raises(CouldNotTell, match="tbot to stay down"), outages(cluster).without_tbot():
        del cluster.server.of("DaemonSet", "tbot", "teleport-system")["spec"]["template"]["spec"]["nodeSelector"]


def test_what_the_api_server_does_not_take_at_once_is_put_back_all_the_same() -> None:
    cluster = Cluster()
    refused = iter([True])

    def once(verb: str, _kind: str) -> None:
        if verb == "patch" and next(refused, False):
            raise ProvisioningFailed(expected="", seen="timeout", where="the API server", remedy="")

    with outages(cluster).without_tbot():
        cluster.server.before = once
    assert cluster.selector == {}


def test_what_cannot_be_put_back_is_said_with_the_command_that_does() -> None:
    cluster = Cluster()

    def never(verb: str, kind: str) -> None:
        if verb == "patch":
            raise ProvisioningFailed(expected="", seen="forbidden", where=kind, remedy="")

    by_hand = "kubectl scale deployment istiod -n istio-system --replicas 1"
    with pytest.raises(CouldNotTell, match=by_hand), outages(cluster).without_istiod(POD):
        cluster.server.before = never
    assert cluster.originals.all(), "a later run, or a person, can still restore it"


class Docker:
    """A container that is paused and goes on."""

    def __init__(self, *, refuses: bool = False) -> None:
        self.words = "running"
        self.refuses = refuses
        self.teleport = "teleport"

    def state(self, _container: str) -> tuple[str, str]:
        return self.words, f"ev-{self.words}"

    @contextmanager
    def paused(self, _container: str) -> Any:
        self.words = "running" if self.refuses else "paused"
        try:
            yield
        finally:
            self.words = "running"


def test_teleport_stands_still_and_goes_on() -> None:
    docker, cluster = Docker(), Cluster()
    with outages(cluster, docker).without_teleport() as going:
        assert docker.words == "paused"
        assert changes_kept(cluster.originals) == [paused("teleport")]
    assert cluster.originals.all() == ()
    assert going.outage.evidence == ("ev-paused", "ev-running")
    with pytest.raises(KeyboardInterrupt), outages(Cluster(), docker).without_teleport():
        raise KeyboardInterrupt
    assert docker.words == "running"
    with (
        pytest.raises(ProvisioningFailed, match="it is running"),
        outages(Cluster(), Docker(refuses=True)).without_teleport(),
    ):
        pass


class Nodes:
    """Nodes with ids of their provider."""

    def __init__(self, *provider_ids: str) -> None:
        self.found = [{"metadata": {"name": f"n{i}"}, "spec": {"providerID": p}} for i, p in enumerate(provider_ids)]

    def all_of(self, _version: str, _kind: str) -> list[dict[str, Any]]:
        return self.found


def test_only_a_cluster_of_the_suite_has_machines() -> None:
    assert kind_cluster_of(["kind://docker/a/a-control-plane", "kind://docker/a/a-worker"]) == "a"
    assert kind_cluster_of(["kind://docker/a/a-control-plane", "aws:///eu/i-1"]) == ""
    assert kind_cluster_of([]) == ""
    with pytest.raises(NotGiven, match="nodes that kind did not all make"):
        machines_of(cast("Any", Nodes("aws:///eu/i-1")), KeptInMemory(), 5)


def test_a_container_that_was_paused_goes_on_also_after_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    machines = Machines(("a", "b"), "teleport", KeptInMemory(), 5)
    monkeypatch.setattr(Machines, "_docker", lambda _self, *argv: done.append(argv[0]))
    monkeypatch.setattr(Machines, "state", lambda *_: ("paused", "ev"))
    with pytest.raises(KeyboardInterrupt), machines.paused("teleport"):
        raise KeyboardInterrupt
    assert done == ["pause", "unpause"]
