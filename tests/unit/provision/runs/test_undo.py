"""What a killed run changed is restored, unless another user has changed it since."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from facts.errors import BadInput, CouldNotTell, NotGiven, ProvisioningFailed
from facts.kubernetes.leases import NAME, NAMESPACE, parse_lease
from facts.recorder import KeptInMemory
from observe.wait import Pace
from providers.teleport.disruption.ca import under_way
from provision.disruption.absence import REQUIRED
from provision.disruption.lifetimes import Lifetimes, shortened
from provision.disruption.machine_changes import moved, paused, restarted, stopped
from provision.disruption.outages import NOWHERE as NO_NODE
from provision.disruption.restoring import OfMachines
from provision.negative.rules import KIND, Rules, without
from provision.runs.claim import Claim, Ways
from provision.runs.fields import MISSING, Field, changed_fields, patch_to
from provision.runs.originals import Change, Originals, System
from provision.runs.restorers import InTeleport, KubernetesFields
from provision.runs.undo import Line, State, exit_code, undo
from settings import Names
from tests.unit.judge import builders as make
from tests.unit.judge.certificates import TRUST_DOMAIN
from tests.unit.provision.cluster import ApiServer, Objects
from tests.unit.provision.disruption.test_lifetimes import TEXT
from tests.unit.provision.negative.doubles import IDENTITY, NOT_REFUSED, Tctl
from tests.unit.provision.originals import nowhere

TELEPORT_SYSTEM = "teleport-system"
NOWHERE = {"spec": {"template": {"spec": {"nodeSelector": {"conformance.teleport-istio/nowhere": "here"}}}}}
MOUNTS = {"volumes": [{"name": "config", "configMap": {"name": "tbot-config"}}]}
QUICK = Pace(0.05, 0.01)
ISTIOD = {"name": "istiod", "namespace": "istio-system", "labels": {"app": "istiod"}}
SHORT = shortened(TEXT, Lifetimes(60, 20), Lifetimes(90, 30))
HOURS_AGO = (datetime.now(UTC) - timedelta(hours=2)).isoformat()


@pytest.fixture
def server() -> ApiServer:
    made = ApiServer()
    daemon_set = {
        "kind": "DaemonSet",
        "metadata": {"name": "tbot", "namespace": TELEPORT_SYSTEM},
        "spec": {"template": {"spec": MOUNTS}},
    }
    made.put(daemon_set)
    config = {"kind": "ConfigMap", "metadata": {"name": "tbot-config", "namespace": TELEPORT_SYSTEM}}
    made.put({**config, "data": {"tbot.yaml": TEXT, "other": "x"}})
    made.put({"kind": "Deployment", "metadata": ISTIOD, "spec": {"replicas": 2}})
    return made


def specs(server: ApiServer) -> dict[Any, Any]:
    """Everything but what the API server and the suite count: versions, managers, and the Lease."""
    found = copy.deepcopy(server.found)
    for document in found.values():
        document["metadata"] = {"name": document["metadata"]["name"]}
    return {key: value for key, value in found.items() if key[0] != "Lease"}


def killed(server: ApiServer) -> None:
    """A run that took tbot, istiod and the lifetimes, and was killed hours ago."""
    objects = Objects(server, "run-1")
    claim = Claim(cast("Any", objects), may="disruptive", ways=Ways("--context c"))
    claim.take()
    claim._released.set()
    server.of("Lease", NAME, NAMESPACE)["spec"]["renewTime"] = HOURS_AGO
    originals = Originals(cast("Any", objects))
    for version, kind, name, namespace, change, restart in (
        ("v1", "ConfigMap", "tbot-config", TELEPORT_SYSTEM, {"data": {"tbot.yaml": SHORT}}, "tbot"),
        ("apps/v1", "DaemonSet", "tbot", TELEPORT_SYSTEM, NOWHERE, ""),
        ("apps/v1", "Deployment", "istiod", "istio-system", {"spec": {"replicas": 0}}, ""),
    ):
        originals.before_patch(version, kind, name, change, namespace=namespace, restart=restart)
        objects.patch(version, kind, name, change, namespace=namespace)


class Undoing:
    """`conformance undo` on an API server in memory."""

    def __init__(self, server: ApiServer) -> None:
        self.objects = Objects(server, "undo-1")
        self.of: dict[System, Any] = {System.KUBERNETES: KubernetesFields(cast("Any", self.objects), QUICK, Names())}

    def __call__(self, *, yes: bool) -> list[Line]:
        claim = Claim(cast("Any", self.objects), may="disruptive", ways=Ways("--context c"), renewal=0.02)
        return undo(cast("Any", self.objects), claim, self._restorer, yes=yes)

    def _restorer(self, system: System) -> Any:
        if system not in self.of:
            raise NotGiven(expected="an admin session", seen="none", where="tctl", remedy="give --tctl")
        return self.of[system]


def states(lines: list[Line]) -> list[State]:
    return [line.state for line in lines]


def test_everything_a_killed_run_changed_is_listed_and_then_restored(server: ApiServer) -> None:
    before = specs(server)
    killed(server)
    undoing = Undoing(server)

    listed = undoing(yes=False)
    assert states(listed) == [State.LEFT] * 4
    assert exit_code(listed) == 1
    told = "\n".join(line.text for line in listed)
    assert "spec.replicas was 2, the run made it 0, now as the run left it" in told
    assert "DaemonSet teleport-system/tbot, changed by run run-1" in told
    assert "the Lease of run run-1" in told
    assert undoing.objects.restarted == []

    restored = undoing(yes=True)
    assert states(restored) == [State.DONE] * 4
    assert exit_code(restored) == 0
    assert specs(server) == before
    assert undoing.objects.restarted == ["DaemonSet teleport-system/tbot"]
    assert {*undoing.objects.awaited} == {"DaemonSet teleport-system/tbot", "Deployment istio-system/istiod"}
    assert not parse_lease(server.of("Lease", NAME, NAMESPACE)).is_held
    assert undoing(yes=True) == undoing(yes=False) == []


def test_ctrl_c_right_after_the_lease_was_taken_releases_it(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    killed(server)

    def interrupted(_claim: Claim) -> None:
        monkeypatch.undo()
        assert parse_lease(server.of("Lease", NAME, NAMESPACE)).run == "undo-1"
        raise KeyboardInterrupt

    monkeypatch.setattr(Claim, "_renew", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Undoing(server)(yes=True)
    assert not parse_lease(server.of("Lease", NAME, NAMESPACE)).is_held


def test_what_another_user_has_changed_is_named_and_stays(server: ApiServer) -> None:
    killed(server)
    server.of("Deployment", "istiod", "istio-system")["spec"]["replicas"] = 5
    undoing = Undoing(server)

    assert State.OTHERS in states(undoing(yes=False))
    lines = undoing(yes=True)

    (theirs,) = [line for line in lines if line.state is State.OTHERS]
    assert "now changed by another user since: 5; not overwritten" in theirs.text
    assert "kubectl delete configmap conformance-run-1-" in theirs.text
    assert server.of("Deployment", "istiod", "istio-system")["spec"]["replicas"] == 5
    assert exit_code(lines) == 1
    assert [str(each.change) for each in Originals(cast("Any", undoing.objects)).all()] == ["Deployment istio-system/istiod"]
    server.of("Deployment", "istiod", "istio-system")["spec"]["replicas"] = 2  # by hand
    assert exit_code(undoing(yes=True)) == 0
    assert undoing(yes=False) == []


def test_tbot_is_not_restarted_for_a_configuration_that_stays(server: ApiServer) -> None:
    killed(server)
    server.of("ConfigMap", "tbot-config", TELEPORT_SYSTEM)["data"]["tbot.yaml"] = "theirs"
    undoing = Undoing(server)
    assert exit_code(undoing(yes=True)) == 1
    assert undoing.objects.restarted == []


def test_a_change_that_was_kept_and_never_made_leaves_only_its_record(server: ApiServer) -> None:
    before = specs(server)
    Originals(cast("Any", Objects(server, "run-1"))).before_patch(
        "apps/v1", "DaemonSet", "tbot", NOWHERE, namespace=TELEPORT_SYSTEM
    )
    undoing = Undoing(server)
    assert "now as it was before the run" in undoing(yes=False)[0].text
    assert states(undoing(yes=True)) == [State.DONE]
    assert specs(server) == before


def test_a_change_of_something_that_is_gone_is_gone_with_it(server: ApiServer) -> None:
    killed(server)
    for kind, name in (("DaemonSet", "tbot"), ("ConfigMap", "tbot-config")):
        del server.found[kind, TELEPORT_SYSTEM, name]
    del server.found["Deployment", "istio-system", "istiod"]
    assert states(Undoing(server)(yes=True)) == [State.DONE] * 4


@pytest.mark.parametrize(("replicas", "state"), [(0, State.LEFT), (1, State.OTHERS)], ids=["undone", "changed"])
def test_what_another_user_changes_during_the_restoration_keeps_its_original(
    server: ApiServer, replicas: int, state: State
) -> None:
    killed(server)
    undoing = Undoing(server)
    patch = undoing.objects.patch

    def patched(_version: str, kind: str, name: str, change: Any, *, namespace: str = "") -> dict[str, Any]:
        document = patch(_version, kind, name, change, namespace=namespace)
        if kind == "Deployment":
            server.of(kind, name, namespace)["spec"]["replicas"] = replicas
        return document

    undoing.objects.patch = patched  # type: ignore[method-assign]
    lines = undoing(yes=True)
    (wrong,) = [line for line in lines if line.state is not State.DONE]
    (kept,) = Originals(cast("Any", undoing.objects)).all()
    assert wrong.state is state
    assert f"kubectl delete configmap {kept.key} -n kube-system" in wrong.text
    assert str(kept.change) == "Deployment istio-system/istiod"


MASTERS = [{"kind": "Group", "name": "system:masters"}]
EVIL = [{"kind": "ServiceAccount", "name": "evil", "namespace": "default"}]


def planted(  # noqa: PLR0917 - rows of a table
    kind: str, name: str, path: tuple[str, ...], namespace: str = "", version: str = "v1", restart: str = ""
) -> Change:
    return Change(System.KUBERNETES, kind, name, (Field(path, EVIL, MASTERS),), namespace, version, restart)


@pytest.mark.parametrize(
    "change",
    [
        planted("ClusterRoleBinding", "cluster-admin", ("subjects",), version="rbac.authorization.k8s.io/v1"),
        planted("ConfigMap", "tbot-config", ("metadata",), TELEPORT_SYSTEM, restart="tbot"),
        planted("ConfigMap", "of-another", ("data", "x"), TELEPORT_SYSTEM, restart="tbot"),
        planted("ConfigMap", "tbot-config", ("data", "x"), TELEPORT_SYSTEM, restart="another"),
        planted("ConfigMap", "tbot-config", ("data", "x"), TELEPORT_SYSTEM),
        planted("ConfigMap", "tbot-config", ("data", "x"), "default", restart="tbot"),
        planted("DaemonSet", "tbot", ("spec", "template", "spec", "containers"), TELEPORT_SYSTEM, "apps/v1"),
        planted("DaemonSet", "tbot", ("spec", "template", "spec", "nodeSelector", "x"), TELEPORT_SYSTEM, "apps/v1"),
        planted("DaemonSet", "another", ("spec", "updateStrategy"), TELEPORT_SYSTEM, "apps/v1"),
        planted("Deployment", "istiod", ("spec", "template"), "istio-system", "apps/v1"),
        planted("Deployment", "another", ("spec", "replicas"), "istio-system", "apps/v1"),
        planted("Deployment", "another", ("spec", "replicas"), "default", "apps/v1"),
    ],
    ids=lambda change: f"{change} {change.fields[0]} {change.restart}",
)
def test_what_the_suite_never_changes_is_not_restored(server: ApiServer, change: Change) -> None:
    held: Any = MASTERS
    for key in reversed(change.fields[0].path):
        held = {key: held}
    metadata = {"name": change.name, "namespace": change.namespace}
    if change.fields[0].path != ("metadata",) and (change.kind, change.namespace, change.name) not in server.found:
        server.put({"kind": change.kind, "metadata": metadata, **held})
    Originals(cast("Any", Objects(server, "run-1"))).keep(change)
    before = copy.deepcopy(server.found)
    undoing = Undoing(server)
    for yes in (False, True):
        (line,) = undoing(yes=yes)
        assert line.state is State.UNKNOWN
        assert "expected a change that the suite makes" in line.text
    assert specs(server) == {key: {**d, "metadata": {"name": key[2]}} for key, d in before.items()}
    assert undoing.objects.restarted == []


(NOWHERE_KEY,) = NO_NODE
POD_SPEC = ("spec", "template", "spec")
AFFINITY = (*POD_SPEC, "affinity", "nodeAffinity", REQUIRED, "nodeSelectorTerms")
OFF = [{"matchFields": [{"key": "metadata.name", "operator": "NotIn", "values": ["n1"]}]}]
ELSEWHERE = TEXT.replace("proxy_server: ", "proxy_server: evil.example ", 1)
PLANTED: dict[str, tuple[str, str, str, str, str, tuple[str, ...], Any, Any]] = {
    "another configuration": (
        "v1", "ConfigMap", "tbot-config", TELEPORT_SYSTEM, "tbot", ("data", "tbot.yaml"), ELSEWHERE, TEXT,
    ),
    "another configuration with short lifetimes": (
        "v1", "ConfigMap", "tbot-config", TELEPORT_SYSTEM, "tbot", ("data", "tbot.yaml"), ELSEWHERE, SHORT,
    ),
    "no configuration": (
        "v1", "ConfigMap", "tbot-config", TELEPORT_SYSTEM, "tbot", ("data", "tbot.yaml"), MISSING, SHORT,
    ),
    "another node": (
        "apps/v1", "DaemonSet", "tbot", TELEPORT_SYSTEM, "", (*POD_SPEC, "nodeSelector", NOWHERE_KEY), "evil", "here",
    ),
    "all nodes but one": ("apps/v1", "DaemonSet", "tbot", TELEPORT_SYSTEM, "", AFFINITY, OFF, [{}]),
    "other terms": ("apps/v1", "DaemonSet", "tbot", TELEPORT_SYSTEM, "", AFFINITY, [{"matchExpressions": []}], OFF),
    "the whole affinity": ("apps/v1", "DaemonSet", "tbot", TELEPORT_SYSTEM, "", AFFINITY[:-1], {"a": 1}, {"b": 2}),
    "another strategy": (
        "apps/v1", "DaemonSet", "tbot", TELEPORT_SYSTEM, "", ("spec", "updateStrategy", "type"), "OnDelete", "RollingUpdate",
    ),
    "a faster rollout": (
        "apps/v1", "DaemonSet", "tbot", TELEPORT_SYSTEM, "", ("spec", "updateStrategy", "rollingUpdate"), {"x": 9}, {"x": 1},
    ),
    "no istiod": ("apps/v1", "Deployment", "istiod", "istio-system", "", ("spec", "replicas"), 0, 2),
    "fewer": ("apps/v1", "Deployment", "istiod", "istio-system", "", ("spec", "replicas"), 1, 2),
}  # fmt: skip


@pytest.mark.parametrize("planted", PLANTED)
def test_a_planted_original_brings_no_content_into_a_field_that_may_be_restored(server: ApiServer, planted: str) -> None:
    """Who may write there sets what the object has now as ours, and as the original what it wants there."""
    version, kind, name, namespace, restart, path, was, ours = PLANTED[planted]
    document = server.of(kind, name, namespace)
    for key in path[:-1]:
        document = document.setdefault(key, {})
    document[path[-1]] = copy.deepcopy(ours)
    change = Change(System.KUBERNETES, kind, name, (Field(path, was, ours),), namespace, version, restart)
    Originals(cast("Any", Objects(server, "run-1"))).keep(change)
    before = specs(server)
    (line,) = Undoing(server)(yes=True)
    assert (line.state, "expected a change that the suite makes" in line.text) == (State.UNKNOWN, True)
    assert specs(server) == before


def test_an_original_that_cannot_be_read_stops_no_other(server: ApiServer) -> None:
    killed(server)
    kept = Originals(cast("Any", Objects(server))).all()
    server.of("ConfigMap", kept[0].key, NAMESPACE)["data"]["change.json"] = "{}"
    undoing = Undoing(server)
    assert State.UNKNOWN in states(undoing(yes=False))
    lines = undoing(yes=True)
    assert states(lines).count(State.DONE) == 3
    (unknown,) = [line for line in lines if line.state is State.UNKNOWN]
    assert f"kubectl delete configmap {kept[0].key} -n kube-system" in unknown.text


def test_the_changes_of_a_living_run_are_left_to_it(server: ApiServer) -> None:
    killed(server)
    server.of("Lease", NAME, NAMESPACE)["spec"]["renewTime"] = datetime.now(UTC).isoformat()
    with pytest.raises(BadInput, match=r"saw run run-1 of .+ What to do: wait for its end, or end it with Ctrl-C"):
        Undoing(server)(yes=False)


def test_a_run_whose_clock_differs_is_recognised_by_its_renewals(server: ApiServer) -> None:
    killed(server)
    looks = 0

    def renewed(verb: str, kind: str) -> None:
        nonlocal looks
        looks += (verb, kind) == ("get", "Lease")
        if looks == 3:
            server.put(server.of("Lease", NAME, NAMESPACE))

    server.before = renewed
    before = specs(server)
    with pytest.raises(BadInput, match="which has just renewed or released it"):
        Undoing(server)(yes=True)
    assert specs(server) == before


def test_an_api_server_that_refuses_leaves_the_change_with_its_record(server: ApiServer) -> None:
    killed(server)

    def refuse(verb: str, kind: str) -> None:
        if (verb, kind) == ("patch", "Deployment"):
            raise ProvisioningFailed(expected="", seen="HTTP 403: forbidden", where="", remedy="")

    server.before = refuse
    undoing = Undoing(server)
    lines = undoing(yes=True)
    assert "HTTP 403: forbidden" in next(line.text for line in lines if line.state is State.LEFT)
    assert exit_code(lines) == 1
    server.before = lambda _verb, _kind: None
    assert exit_code(undoing(yes=True)) == 0


def test_what_is_restored_and_not_in_force_yet_could_not_be_determined(server: ApiServer) -> None:
    killed(server)
    undoing = Undoing(server)

    def never(*_: Any, **__: Any) -> None:
        raise CouldNotTell(expected="tbot Ready", seen="0 of 2", where="tbot", remedy="look")

    undoing.objects.await_ready = never  # type: ignore[method-assign]
    lines = undoing(yes=True)
    assert exit_code(lines) == 6
    assert "it is restored, and not in force yet: expected tbot Ready; saw 0 of 2" in lines[0].text
    assert Originals(cast("Any", undoing.objects)).all() == ()


# In Teleport.


class Session:
    """A Teleport in a phase of a rotation."""

    def __init__(self, phase: str, **status: Any) -> None:
        self.phase = phase
        self.others = status

    def status(self) -> Any:
        rotation = "standby" if self.phase == "standby" else f"in progress (mode: manual, phase: {self.phase})"
        return make.status(spiffe_rotation=rotation, **self.others)


def in_teleport(tctl: Tctl, phase: str = "standby", **status: Any) -> InTeleport:
    return InTeleport(Rules(tctl, KeptInMemory(), nowhere()), lambda: cast("Any", Session(phase, **status)))


def narrowed(server: ApiServer) -> dict[str, Any]:
    """The rules as a run that was killed has narrowed them, and their original in the cluster."""
    changed = without(IDENTITY, "refused-1")
    fields = changed_fields(IDENTITY, patch_to(IDENTITY, changed))
    Originals(cast("Any", Objects(server, "run-1"))).keep(
        Change(System.TELEPORT, KIND, "istio-workloads", fields, teleport=TRUST_DOMAIN)
    )
    return changed


def test_rules_in_teleport_are_restored_through_tctl(server: ApiServer) -> None:
    tctl, undoing = Tctl(), Undoing(server)
    tctl.holds = narrowed(server)
    assert exit_code(undoing(yes=True)) == 6, "without an admin session it cannot be told"
    undoing.of[System.TELEPORT] = in_teleport(tctl)
    assert exit_code(undoing(yes=False)) == 1
    assert exit_code(undoing(yes=True)) == 0
    assert tctl.holds["spec"] == IDENTITY["spec"]
    assert undoing(yes=False) == []


def test_rules_that_another_user_has_changed_stay(server: ApiServer) -> None:
    tctl, undoing = Tctl(), Undoing(server)
    theirs = {**narrowed(server)}
    theirs["spec"] = {**theirs["spec"], "rules": {"allow": [{"expression": "theirs"}]}}
    tctl.holds = theirs
    undoing.of[System.TELEPORT] = in_teleport(tctl)
    assert states(undoing(yes=True)) == [State.OTHERS]
    assert tctl.holds == theirs


def test_a_teleport_that_refuses_or_forgets_is_told(server: ApiServer) -> None:
    tctl, undoing = Tctl(says=1), Undoing(server)
    tctl.holds = narrowed(server)
    undoing.of[System.TELEPORT] = in_teleport(tctl)
    assert states(undoing(yes=True)) == [State.LEFT]
    tctl.says, tctl.forgets = 0, True
    (line,) = undoing(yes=True)
    assert line.state is State.LEFT
    assert "something has undone the restoration, or did not keep it" in line.text
    tctl.forgets = False
    assert states(undoing(yes=True)) == [State.DONE], "the original was still there"


def test_a_change_of_an_identity_that_is_gone_is_gone_with_it(server: ApiServer) -> None:
    tctl, undoing = Tctl(), Undoing(server)
    narrowed(server)
    tctl.gone = True
    undoing.of[System.TELEPORT] = in_teleport(tctl)
    (line,) = undoing(yes=True)
    assert (line.state, line.text.endswith("; it is gone")) == (State.DONE, True)
    assert undoing(yes=False) == []


@pytest.mark.parametrize(
    "status",
    [{"cluster_name": "another.example"}, {"ca_pins": ("sha256:5",)}],
    ids=["another name", "the same name, another authority"],
)
@pytest.mark.parametrize("of", ["rules", "rotation"])
def test_in_another_teleport_nothing_is_gone_and_the_original_stays(
    server: ApiServer, status: dict[str, Any], of: str
) -> None:
    tctl, undoing = Tctl(), Undoing(server)
    if of == "rules":
        narrowed(server)
    else:
        Originals(cast("Any", Objects(server, "run-1"))).keep(under_way(TRUST_DOMAIN))
    tctl.gone = True
    undoing.of[System.TELEPORT] = in_teleport(tctl, **status)
    for yes in (False, True):
        (line,) = undoing(yes=yes)
        assert line.state is State.UNKNOWN
        assert f"the Teleport that the run has changed, {TRUST_DOMAIN}" in line.text
        assert "give the --tctl of that Teleport" in line.text
    assert len(Originals(cast("Any", Objects(server))).all()) == 1


def test_what_undo_cannot_look_at_is_told_with_the_way_past_it(server: ApiServer) -> None:
    narrowed(server)
    (kept,) = Originals(cast("Any", Objects(server))).all()
    undoing = Undoing(server)
    for yes in (False, True):
        (line,) = undoing(yes=yes)
        assert line.state is State.UNKNOWN
        assert f"kubectl delete configmap {kept.key} -n kube-system" in line.text


@pytest.mark.parametrize(("phase", "state"), [("update_clients", State.LEFT), ("standby", State.DONE)])
def test_a_rotation_is_named_until_a_person_has_ended_it(server: ApiServer, phase: str, state: State) -> None:
    Originals(cast("Any", Objects(server, "run-1"))).keep(under_way(TRUST_DOMAIN))
    undoing = Undoing(server)
    undoing.of[System.TELEPORT] = in_teleport(Tctl(), phase)
    (line,) = undoing(yes=True)
    assert line.state is state
    assert ("--phase=rollback; once no proxy needs the new authority" in line.text) is (state is State.LEFT)


def test_an_original_of_something_that_the_suite_never_changes_in_teleport_is_refused(server: ApiServer) -> None:
    fields = changed_fields({}, {"spec": {"roles": ["editor"]}})
    change = Change(System.TELEPORT, "user", "admin", fields, teleport=TRUST_DOMAIN)
    Originals(cast("Any", Objects(server, "run-1"))).keep(change)
    undoing = Undoing(server)
    undoing.of[System.TELEPORT] = in_teleport(Tctl())
    (line,) = undoing(yes=True)
    assert (line.state, "this version of the suite makes no such change" in line.text) == (State.UNKNOWN, True)


def test_only_rules_of_an_identity_whose_owner_agrees_are_restored(server: ApiServer) -> None:
    tctl, undoing = Tctl(), Undoing(server)
    tctl.holds = theirs = {**narrowed(server), "metadata": {"name": "istio-workloads", "labels": {"env": "prod"}}}
    undoing.of[System.TELEPORT] = in_teleport(tctl)
    (line,) = undoing(yes=True)
    assert (line.state, "with the label" in line.text) == (State.UNKNOWN, True)
    assert tctl.holds is theirs


LEFT_OUT = {"conditions": [NOT_REFUSED]}
OPEN = {"conditions": [{"attribute": "workload.kubernetes.namespace", "eq": {"value": "evil"}}]}


@pytest.mark.parametrize(
    ("path", "was", "ours"),
    [
        (("spec", "spiffe"), {"id": "/any"}, {"id": "/ns/x"}),
        (("spec", "rules", "deny"), [], [LEFT_OUT]),
        (("spec", "rules", "allow"), [OPEN], [LEFT_OUT]),
        (("spec", "rules", "allow"), [{}, OPEN], [LEFT_OUT]),
        (("spec", "rules", "allow"), [{}], [{"conditions": [{**NOT_REFUSED, "not_eq": {"value": "theirs"}}]}]),
        (("spec", "rules", "allow"), [{"expression": "true"}], [{"expression": "a == b"}]),
        (("spec", "rules", "allow"), "any", [LEFT_OUT]),
        (("spec", "rules", "allow"), [{}], []),
        (("spec", "rules"), {"allow": [OPEN]}, {"allow": [LEFT_OUT]}),
    ],
    ids=str,
)
def test_a_planted_original_brings_nothing_into_the_rules(
    server: ApiServer, path: tuple[str, ...], was: Any, ours: Any
) -> None:
    """Who may write there sets what Teleport has now as ours, and as the original what it wants there."""
    tctl, undoing = Tctl(), Undoing(server)
    held: Any = ours
    for key in reversed(path[1:]):
        held = {key: held}
    tctl.holds = before = {**IDENTITY, "spec": {**IDENTITY["spec"], **held}}
    Originals(cast("Any", Objects(server, "run-1"))).keep(
        Change(System.TELEPORT, KIND, "istio-workloads", (Field(path, was, ours),), teleport=TRUST_DOMAIN)
    )
    undoing.of[System.TELEPORT] = in_teleport(tctl)
    assert states(undoing(yes=True)) == [State.UNKNOWN]
    assert tctl.holds is before


@pytest.mark.parametrize(
    "rules",
    [None, {}, {"allow": []}, {"allow": [OPEN]}, {"allow": [{"expression": "a == b || c"}, OPEN]}],
    ids=str,
)
def test_each_narrowing_that_a_run_makes_may_be_undone(server: ApiServer, rules: Any) -> None:
    tctl, undoing = Tctl(), Undoing(server)
    before = {**IDENTITY, "spec": {**IDENTITY["spec"], "rules": rules}}
    changed = without(before, "refused-1")
    fields = changed_fields(before, patch_to(before, changed))
    Originals(cast("Any", Objects(server, "run-1"))).keep(
        Change(System.TELEPORT, KIND, "istio-workloads", fields, teleport=TRUST_DOMAIN)
    )
    tctl.holds = changed
    undoing.of[System.TELEPORT] = in_teleport(tctl)
    assert states(undoing(yes=True)) == [State.DONE]
    assert tctl.holds["spec"] == before["spec"]


# Machines.


class Machines:
    """Two nodes and Teleport's container; writes down what is done."""

    nodes, teleport = ("n0", "n1"), "teleport"

    def __init__(self) -> None:
        self.states = {"n0": "running", "n1": "running", "teleport": "paused"}
        self.done: list[str] = []

    def state(self, name: str) -> tuple[str, str]:
        return self.states[name], "ev"

    def resume(self, name: str) -> None:
        self.done.append(f"resume {name}")
        self.states[name] = "running"

    def on_node(self, node: str, *argv: str) -> str:
        if "grep -ls" in " ".join(argv):
            return "/proc/11/cgroup" if argv[-1] == "abc" else ""
        self.done.append(f"{node}: continue {argv[-1]}")
        return ""

    def put_directory_back(self, node: str) -> None:
        self.done.append(f"{node}: directory")

    def make_whole(self, node: str, mode: str, before: Any) -> None:
        self.done.append(f"{node}: whole {mode} {len(before)}")

    def pods(self) -> tuple[Any, ...]:
        return (make.pod("a", node="n1"), make.pod("b", node="n0"))


@pytest.mark.parametrize(
    ("change", "done"),
    [
        (paused("teleport"), ["resume teleport"]),
        (stopped("n1", "containerd://abc"), ["n1: continue 11"]),
        (stopped("n1", "containerd://gone"), []),
        (moved("n1", "/run/spire/sockets"), ["n1: directory"]),
        (restarted("n1", "755"), ["n1: whole 755 1"]),
    ],
    ids=["paused", "stopped", "stopped and gone", "moved", "restarted"],
)
def test_machines_of_the_suite_are_restored(server: ApiServer, change: Change, done: list[str]) -> None:
    undoing, machines = with_machines(server)
    Originals(cast("Any", Objects(server, "run-1"))).keep(change)
    assert states(undoing(yes=True)) == [State.DONE]
    assert machines.done == done
    assert undoing(yes=False) == []


@pytest.mark.parametrize("change", [paused("n0"), moved("another", "/"), stopped("teleport", "containerd://abc")])
def test_a_machine_that_is_not_the_suites_is_not_touched(server: ApiServer, change: Change) -> None:
    undoing, machines = with_machines(server)
    Originals(cast("Any", Objects(server, "run-1"))).keep(change)
    (line,) = undoing(yes=True)
    assert (line.state, machines.done) == (State.UNKNOWN, [])
    assert "the suite keeps changes of its own machines alone" in line.text


def test_a_node_that_does_not_come_up_is_told(server: ApiServer) -> None:
    undoing, machines = with_machines(server)
    machines.states["n1"] = "restarting"
    Originals(cast("Any", Objects(server, "run-1"))).keep(restarted("n1", "755"))
    (line,) = undoing(yes=True)
    assert (line.state, "its container is restarting" in line.text) == (State.LEFT, True)


def with_machines(server: ApiServer) -> tuple[Undoing, Machines]:
    machines, undoing = Machines(), Undoing(server)
    of: Callable[..., Any] = OfMachines
    undoing.of[System.MACHINE] = of(machines, machines, machines, QUICK)
    return undoing, machines
