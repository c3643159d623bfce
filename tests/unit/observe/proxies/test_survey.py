"""One pass over a fleet that lives on meanwhile: through the reading and the judgments, against simulated pods."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from facts.errors import CouldNotTell, NotGiven
from facts.finding import Finding, Holds, Remark
from facts.istio.istio_ca import IstioAuthorities
from facts.kubernetes.objects import Pod
from facts.provider.trust import TrustBundle
from facts.proxies.identity import Fleet, LeftOut, Unread
from facts.proxies.presence import STARTING
from facts.recorder import KeptInMemory
from judge import checklist
from judge.identity import proxies as judge
from judge.identity import socket, sweep
from judge.identity.proxies import Lifetime, ObservedProxies
from judge.identity.sweep import Expectation
from judge.install.istio import normalizations_are_in_force
from judge.rotation import age
from observe.install import Install
from observe.istio import facet as istio_facet
from observe.kubernetes.cluster import Cluster
from observe.kubernetes.facet import ClusterFacet
from observe.proxies import survey as survey_module
from observe.proxies.mounts import MOUNT
from observe.proxies.survey import IDENTITY, NORMALIZATION, PUSH_STATISTICS, Part, Survey, survey
from observe.tools import Tools
from providers.teleport.facts.audit import AuditTrail, IssuedSvid
from providers.teleport.judge.audited import certificates_are_audited
from providers.teleport.observe import tbot_facet
from provision.objects import is_scratch
from settings import Names, Timeouts
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import unknown, violated
from tests.unit.observe.api_server import CONTEXT
from tests.unit.observe.doubles import Unrecorded
from tests.unit.observe.simulated_fleet import TRUST_DOMAIN, SimulatedFleet, simulated
from tests.unit.thoroughness import rounds

PATIENCE = Timeouts(api=15, admin=15, command=15, svid=30)
HOUR = timedelta(hours=1)


@pytest.fixture
def fleet() -> Iterator[SimulatedFleet]:
    with simulated(3) as made:
        yield made


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """No second between two looks at pods that are starting: here they start when they are looked at."""
    monkeypatch.setattr(survey_module, "LOOK", 0.05)


@contextmanager
def reading(fleet: SimulatedFleet, directory: Path) -> Iterator[Cluster]:
    opened = Cluster(fleet.server.kubeconfig(directory), CONTEXT, KeptInMemory(), PATIENCE)
    try:
        yield opened
    finally:
        opened.close()


@pytest.fixture
def cluster(fleet: SimulatedFleet, tmp_path: Path) -> Iterator[Cluster]:
    with reading(fleet, tmp_path) as opened:
        yield opened


CORE = ("install", "identity", "rotation")


def install_of(cluster: Cluster, monkeypatch: pytest.MonkeyPatch, *profiles: str) -> Install:
    """An install with all that the fleet is judged by but the fleet itself made up."""
    monkeypatch.setattr(tbot_facet, "read_tbots", lambda *_, **_by_csi: make.tbots())
    monkeypatch.setattr(istio_facet, "read_control_planes", lambda *_: make.planes())
    return Install.of(
        cluster,
        teleport=cast("Any", None),
        tools=cast("Tools", None),
        names=Names(),
        recorder=Unrecorded(),
        allowed=frozenset({"read-only"}),
        provisions=False,
        profiles=frozenset(profiles or CORE),
        is_scratch=is_scratch,
    )


def findings(install: Install, fleet: SimulatedFleet) -> dict[str, Finding]:
    """What the steps of the read-only core conclude about a fleet."""
    bundle = TrustBundle(TRUST_DOMAIN, (fleet.teleport.certificate,), ())
    istiod = IstioAuthorities((fleet.istiod.certificate,), ())
    tbots, expectation = install.tbot.all(), Expectation(bundle, istiod, Lifetime(timedelta(hours=2), "", ()))
    of_all, of_sidecars = install.proxies.fleet(), install.proxies.sidecar_fleet()
    listed = install.cluster.pods_evidence()
    pods, asked = install.proxies.pods(), install.proxies.surveyed_pods()
    sidecars = ObservedProxies(install.proxies.sidecar_pods(), of_sidecars, listed, asked=asked)
    fleet_on_sockets = install.proxies.fleet_on_sockets()
    on_sockets = ObservedProxies(install.proxies.pods_on_sockets(), fleet_on_sockets, listed, asked=asked)
    everything = ObservedProxies(pods, of_all, listed, asked=asked)
    pushes = install.proxies.pushes(age.overdue(on_sockets, tbots))
    directories = install.tbot.socket_directories()
    normalizations = install.proxies.normalizations()
    of_planes = install.istio.surveyed_pods_of_planes()
    made = (
        judge.secrets_come_from_the_socket(sidecars),
        judge.names_are_the_pods_own(sidecars, bundle),
        judge.teleport_issued(sidecars, bundle, istiod),
        judge.leaves_are_svids(sidecars, expectation.lifetime),
        judge.names_are_well_formed(sidecars),
        judge.authorities_are_teleports(sidecars, bundle),
        judge.no_request_went_to_istiod(sidecars),
        sweep.mesh_is_teleports(everything, expectation, sweep.Outside()),
        socket.mounts_are_read_only(install.proxies.socket_mounts(), pods, directories, listed),
        *normalizations_are_in_force(of_planes, normalizations, listed),
        certificates_are_audited(sidecars, audited(of_sidecars)),
        checklist.tbot_issues(make.guide(), on_sockets, bundle),
        age.renewed_before_expiry(on_sockets, tbots),
        age.nothing_expires_soon(on_sockets, tbots, 0, 60),
        age.none_is_overdue(on_sockets, tbots, (), pushes),
    )
    return {finding.requirement: finding for finding in made}


def audited(fleet: Fleet) -> AuditTrail:
    """Audit events that agree with what the proxies hold."""
    issued = (
        IssuedSvid(
            serial=proxy.leaf.serial,
            spiffe_id=proxy.spiffe_ids[0],
            has_attributes=True,
            attested=True,
            namespace=proxy.pod.namespace,
            service_account=proxy.pod.service_account,
            pod_name=proxy.pod.name,
            pod_uid=proxy.pod.uid,
        )
        for proxy in fleet.proxies
        if proxy.leaf is not None
    )
    return AuditTrail("events.log", tuple(issued), ("ev-audit",))


def answers(found: dict[str, Finding]) -> dict[str, Holds]:
    return {requirement: finding.holds for requirement, finding in found.items()}


OF_FLEET = ("ID-01", "ID-02", "ID-03", "ID-04", "ID-05", "ID-06", "ID-07", "ID-11", "ID-12", "INST-08", "ROT-01", "ROT-06")
STANDING = dict.fromkeys((*OF_FLEET, "ROT-07", "ID-10", "CHK-6"), Holds.YES)


# Gone, replaced, starting.


def listed_then(cluster: Cluster, change: Callable[[tuple[Pod, ...]], object], *parts: Part[Any]) -> Survey:
    """A survey of pods that change between list and reading."""
    pods = cluster.pods()
    change(pods)
    return survey(cluster, pods, parts or (IDENTITY,), patience=5, list_again=cluster.pods)


def test_a_pod_that_was_deleted_is_left_out_and_all_others_are_read(cluster: Cluster, fleet: SimulatedFleet) -> None:
    found = listed_then(cluster, lambda _pods: fleet.remove("fleet-002"), IDENTITY, NORMALIZATION)
    for part in (IDENTITY, NORMALIZATION):
        outcomes = found.of(cast("Part[Any]", part))
        assert [(o.pod.name, isinstance(o, LeftOut)) for o in outcomes] == [
            ("fleet-001", False), ("fleet-002", True), ("fleet-003", False)
        ]  # fmt: skip
    (gone,) = (o for o in found.of(IDENTITY) if isinstance(o, LeftOut))
    assert gone.why == "it was deleted while the suite read the fleet"
    assert gone.evidence
    assert found.gone == {"uid-fleet-002"}
    assert fleet.looked_at == ["fleet-002"]


def test_the_successor_of_a_deleted_pod_is_read_in_its_place(cluster: Cluster, fleet: SimulatedFleet) -> None:
    def replaced(_pods: object) -> None:
        fleet.remove("fleet-002")
        fleet.add()

    found = listed_then(cluster, replaced)
    assert [pod.name for pod in found.pods] == ["fleet-001", "fleet-002", "fleet-003", "fleet-004"]
    assert [p.name for p in found.pods if isinstance(found.found["identity"][p.uid], LeftOut)] == ["fleet-002"]


def test_a_workload_whose_pods_never_stay_could_not_be_read(cluster: Cluster, fleet: SimulatedFleet) -> None:
    pods = cluster.pods()

    def leaves_again() -> tuple[Pod, ...]:
        made = fleet.add()
        listed = cluster.pods()
        fleet.remove(made.item["metadata"]["name"])
        return listed

    def left(*names: str) -> list[tuple[str, bool]]:
        for name in names:
            fleet.remove(name)
        outcomes = survey(cluster, pods, [IDENTITY], list_again=leaves_again).of(IDENTITY)
        return [(o.pod.name, isinstance(o, Unread)) for o in outcomes if isinstance(o, (LeftOut, Unread))]

    assert left("fleet-001") == [("fleet-001", False), ("fleet-004", False)]
    assert left("fleet-002", "fleet-003") == [
        ("fleet-001", False), ("fleet-002", False), ("fleet-003", False), ("fleet-005", True)
    ]  # fmt: skip


def test_another_pod_of_the_same_name_is_not_read_under_the_name_of_the_first(
    cluster: Cluster, fleet: SimulatedFleet
) -> None:
    def replaced(_pods: object) -> None:
        fleet.pods["fleet-002"].item["metadata"]["uid"] = "another"
        fleet.pods["fleet-002"].is_up = False

    found = survey_of_change(cluster, replaced)
    assert found == {"uid-fleet-002": "another pod took its name while the suite read the fleet"}


def survey_of_change(cluster: Cluster, change: Callable[[tuple[Pod, ...]], object]) -> dict[str, str]:
    """The pods that a survey without a second list leaves out, each with its reason."""
    pods = cluster.pods()
    change(pods)
    outcomes = survey(cluster, pods, [IDENTITY]).of(IDENTITY)
    return {o.pod.uid: o.why for o in outcomes if isinstance(o, LeftOut)}


def test_a_pod_that_is_there_is_asked_again_once(cluster: Cluster, fleet: SimulatedFleet) -> None:
    failures = ["once"]

    def fails_once(connection: Any, pod: Pod) -> object:
        if failures and pod.name == "fleet-002":
            raise CouldNotTell(expected="an answer", seen=failures.pop(), where="there", remedy="")
        return IDENTITY.read(connection, pod)

    part: Part[object] = Part("flaky", fails_once)
    assert not any(isinstance(o, (Unread, LeftOut)) for o in survey(cluster, cluster.pods(), [part]).of(part))
    assert fleet.looked_at == ["fleet-002"]


def test_a_pod_that_fails_twice_is_unread_with_its_state(cluster: Cluster, fleet: SimulatedFleet) -> None:
    tried: list[str] = []

    def fails(_connection: object, pod: Pod) -> object:
        tried.append(pod.name)
        raise CouldNotTell(expected="an answer", seen="nothing", where="there", remedy="")

    part: Part[object] = Part("broken", fails)
    (outcome,) = survey(cluster, cluster.pods()[:1], [part]).of(part)
    assert isinstance(outcome, Unread)
    assert outcome.now is not None
    assert tried == ["fleet-001"] * 2


def test_one_part_that_fails_costs_no_other_part(cluster: Cluster) -> None:
    def fails(_connection: object, _pod: Pod) -> object:
        raise CouldNotTell(expected="an answer", seen="nothing", where="there", remedy="")

    part: Part[object] = Part("broken", fails)
    found = survey(cluster, cluster.pods(), [part, IDENTITY])
    assert all(isinstance(o, Unread) for o in found.of(part))
    assert not any(isinstance(o, Unread) for o in found.of(IDENTITY))


def test_what_is_left_when_the_time_is_over_is_unread_and_not_asked(cluster: Cluster) -> None:
    asked: list[str] = []

    def slow(_connection: Any, pod: Pod) -> str:
        asked.append(pod.name)
        time.sleep(0.3)
        return "read"

    parts = [Part(name, slow) for name in ("first", "second")]
    pods = cluster.pods()
    found = survey(cluster, pods, parts, within=0.2)
    assert sorted(asked) == sorted(pod.name for pod in pods)
    assert {*found.of(parts[0])} == {"read"}
    for left in found.of(parts[1]):
        assert isinstance(left, Unread)
        assert left.why.remedy.endswith("(`timeouts.survey` in the settings)")
    asked.clear()
    assert all(isinstance(each, Unread) for each in survey(cluster, pods, parts, within=0).of(parts[0]))
    assert asked == []


def test_everything_of_a_pod_goes_over_one_connection(cluster: Cluster, fleet: SimulatedFleet) -> None:
    survey(cluster, cluster.pods(), [IDENTITY, NORMALIZATION, PUSH_STATISTICS, MOUNT])
    assert fleet.streams == {"portforward": 3, "exec": 3}


def test_a_missing_right_costs_its_own_part_alone_and_is_not_asked_for_again(
    cluster: Cluster, fleet: SimulatedFleet
) -> None:
    asked: list[str] = []

    def is_denied(_connection: object, pod: Pod) -> object:
        asked.append(pod.name)
        raise NotGiven(expected="the right", seen="forbidden", where="there", remedy="")

    part: Part[object] = Part("denied", is_denied)
    found = survey(cluster, cluster.pods(), [part, IDENTITY])
    assert not any(isinstance(o, Unread) for o in found.of(IDENTITY))
    assert sorted(asked) == ["fleet-001", "fleet-002", "fleet-003"]
    assert fleet.looked_at == []
    with pytest.raises(NotGiven, match="the right"):
        found.of(part)


def test_a_pod_that_went_away_does_not_hide_that_a_right_is_missing(cluster: Cluster, fleet: SimulatedFleet) -> None:
    def is_denied(_connection: object, pod: Pod) -> object:
        if pod.name == "fleet-001":
            fleet.remove(pod.name)
            raise CouldNotTell(expected="an answer", seen="nothing", where="there", remedy="")
        raise NotGiven(expected="the right", seen="forbidden", where="there", remedy="")

    part: Part[object] = Part("denied", is_denied)
    found = survey(cluster, cluster.pods(), [part])
    assert found.gone == {"uid-fleet-001"}
    with pytest.raises(NotGiven, match="the right"):
        found.of(part)


def test_a_pod_of_which_nothing_is_wanted_is_not_gone(cluster: Cluster, fleet: SimulatedFleet) -> None:
    found = survey(cluster, cluster.pods(), [replace(IDENTITY, wanted=lambda pod: pod.name == "fleet-001")])
    assert found.gone == frozenset()
    assert [pod.pod.name for pod in found.of(IDENTITY)] == ["fleet-001"]
    assert fleet.streams == {"portforward": 1}


# What a run reads.


@pytest.mark.parametrize(
    ("profiles", "wanted"),
    [
        (("checklist",), (6, 0)),
        (("install",), (7, 0)),
        (("rotation",), (7, 0)),
        (("identity",), (6, 1)),
        (CORE, (8, 1)),
    ],
)
def test_a_survey_reads_what_the_profiles_of_the_run_need(
    cluster: Cluster,
    fleet: SimulatedFleet,
    monkeypatch: pytest.MonkeyPatch,
    profiles: tuple[str, ...],
    wanted: tuple[int, int],
) -> None:
    paths, tables = wanted
    install_of(cluster, monkeypatch, *profiles).proxies.fleet()
    forwarded = [target for kind, target, _ in fleet.server.asked if kind == "FORWARDED"]
    assert len(forwarded) == paths * 3
    assert fleet.streams == {"portforward": 3} | ({"exec": 3} if tables else {})


def test_what_the_profiles_do_not_need_is_read_when_it_is_asked_for(
    cluster: Cluster, fleet: SimulatedFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxies = install_of(cluster, monkeypatch, "checklist").proxies
    assert len(proxies.fleet().proxies) == 3
    fleet.remove("fleet-002")
    assert [isinstance(each, LeftOut) for each in proxies.normalizations()] == [False, True, False]
    assert fleet.streams["portforward"] == 3 + 2


def test_after_the_authority_changed_only_the_identities_are_read_anew(
    cluster: Cluster, fleet: SimulatedFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    install = install_of(cluster, monkeypatch)
    first = findings(install, fleet)
    fleet.streams.clear()
    install.authority_changed()
    assert answers(findings(install, fleet)) == answers(first)
    assert fleet.streams == {"portforward": 3}


def test_proxies_are_read_again_after_some_time_and_those_that_went_away_are_left_out(
    cluster: Cluster, fleet: SimulatedFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxies = install_of(cluster, monkeypatch).proxies
    assert len(proxies.fleet_on_sockets().proxies) == 3
    fleet.remove("fleet-002")
    later = proxies.fleet_on_sockets_after(0.1)
    assert [proxy.pod.name for proxy in later.proxies] == ["fleet-001", "fleet-003"]
    assert [each.pod.name for each in later.left_out] == ["fleet-002"]


# The same, through the judgments.


def test_a_fleet_that_stands_still_passes(cluster: Cluster, fleet: SimulatedFleet, monkeypatch: pytest.MonkeyPatch) -> None:
    assert answers(findings(install_of(cluster, monkeypatch), fleet)) == STANDING
    assert fleet.looked_at == []


def test_one_404_ends_no_requirement(cluster: Cluster, fleet: SimulatedFleet, monkeypatch: pytest.MonkeyPatch) -> None:
    install = install_of(cluster, monkeypatch)
    assert len(install.proxies.pods()) == 3
    fleet.remove("fleet-002")
    found = findings(install, fleet)
    assert answers(found) == STANDING
    gone = [Remark(o.ref, "it was deleted while the suite read the fleet") for o in _refs("fleet-002")]
    assert all(list(finding.left_out) == gone for finding in found.values())
    assert [pod.name for pod in install.proxies.pods()] == ["fleet-001", "fleet-003"]


def _refs(*names: str) -> list[Any]:
    return [make.pod(name, namespace="fleet") for name in names]


def test_a_pod_that_goes_away_after_it_was_read_is_judged_by_what_it_held(
    cluster: Cluster, fleet: SimulatedFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    install = install_of(cluster, monkeypatch)
    assert len(install.proxies.pods()) == 3
    fleet.remove("fleet-002")
    lists = fleet.lists
    # The pods are listed again because one is gone; another one, which was read before, goes away just then.
    monkeypatch.setattr(ClusterFacet, "list_pods_again", _after(lambda: fleet.remove("fleet-001"), "list_pods_again"))
    found = findings(install, fleet)
    assert fleet.lists > lists
    assert [pod.name for pod in install.proxies.pods()] == ["fleet-003"]
    assert answers(found) == STANDING
    assert {str(each.subject) for each in found["ROT-01"].held} == {"Pod fleet/fleet-001", "Pod fleet/fleet-003"}
    assert found["INST-08"].where == "inbound HTTP connection managers of 2 proxies"


def _after(change: Callable[[], object], name: str) -> Callable[[ClusterFacet], None]:
    """A method of the cluster's facet that runs after a change."""
    method = getattr(ClusterFacet, name)

    def changed(facet: ClusterFacet) -> None:
        change()
        method(facet)

    return changed


def test_where_all_went_away_nothing_is_proved(
    cluster: Cluster, fleet: SimulatedFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    install = install_of(cluster, monkeypatch)
    for pod in install.proxies.pods():
        fleet.remove(pod.name)
    found = findings(install, fleet)
    assert answers(found) == dict.fromkeys(STANDING, Holds.UNKNOWN)
    assert {finding.settle for finding in found.values()} == {"run again when the workloads are not being rolled out"}


def test_a_bad_successor_is_found(cluster: Cluster, fleet: SimulatedFleet, monkeypatch: pytest.MonkeyPatch) -> None:
    install = install_of(cluster, monkeypatch)
    assert len(install.proxies.pods()) == 3
    fleet.remove("fleet-002")
    fleet.add(falls_back=True)
    violated(findings(install, fleet)["ID-03"], "ID-03", "Pod fleet/fleet-004", causes=())


def behind(fleet: SimulatedFleet, name: str, **init: Any) -> None:
    """Puts a pod's proxy, a classic sidecar, behind an init container of the application."""
    pod = fleet.pods[name]
    spec, status = pod.item["spec"], pod.item["status"]
    (proxy,) = (c for c in spec["initContainers"] if c["name"] == "istio-proxy")
    proxy.pop("restartPolicy")
    spec["containers"].append(proxy)
    spec["initContainers"] = [{"name": "migrate", "image": "registry.example/migrate:1"}]
    waits = {"ready": False, "started": False, "restartCount": 0, "state": {"waiting": {"reason": "PodInitializing"}}}
    status["initContainerStatuses"] = [{"name": "migrate", **waits, **init}]
    status["containerStatuses"] = [{"name": c["name"], **waits} for c in spec["containers"]]
    status["phase"], pod.is_up = "Pending", False


def test_a_sidecar_behind_a_slow_init_container_is_not_failed_however_old_its_pod_is(
    cluster: Cluster, fleet: SimulatedFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    behind(fleet, "fleet-002", state={"running": {"startedAt": "2026-01-01T00:00:00Z"}})
    monkeypatch.setattr(cluster, "patience", PATIENCE.model_copy(update={"svid": 0.1}))
    found = findings(install_of(cluster, monkeypatch), fleet)
    for requirement in OF_FLEET[:8]:
        said = "the suite could not read it: its init container migrate keeps istio-proxy from starting"
        unknown(found[requirement], requirement, said)


def test_a_sidecar_whose_init_container_ends_is_waited_for(
    cluster: Cluster, fleet: SimulatedFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = copy.deepcopy(fleet.pods["fleet-002"].item["status"])
    behind(fleet, "fleet-002", state={"running": {"startedAt": "2026-01-01T00:00:00Z"}})
    held = fleet.pods["fleet-002"]
    (proxy,) = (s for s in before["initContainerStatuses"] if s["name"] == "istio-proxy")
    before["containerStatuses"].append(proxy)
    before["initContainerStatuses"] = [{"name": "migrate", "ready": True, "started": False, "restartCount": 0}]

    def starts() -> None:
        held.item["status"], held.is_up = before, True

    fleet.after_look["fleet-002"] = starts
    assert answers(findings(install_of(cluster, monkeypatch), fleet)) == STANDING


def test_a_proxy_that_is_down_is_a_violation_without_any_wait(
    cluster: Cluster, fleet: SimulatedFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    down = {"ready": False, "started": False, "restartCount": 9, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
    pod = fleet.pods["fleet-002"]
    pod.is_up = False
    (of_proxy,) = (s for s in pod.item["status"]["initContainerStatuses"] if s["name"] == "istio-proxy")
    of_proxy.update(down)
    found = findings(install_of(cluster, monkeypatch), fleet)
    violated(
        found["ID-01"], "ID-01", "Pod fleet/fleet-002: it holds no identity: its istio-proxy is not up (CrashLoop", causes=()
    )
    assert fleet.looked_at == ["fleet-002"]


# A proxy that answers and holds no secrets yet.


@pytest.fixture(params=[False, True], ids=["unasked", "silent"])
def warming(request: pytest.FixtureRequest) -> bool:
    """Whether the Envoy waits for its secret already, or does not even ask for it."""
    return bool(request.param)


def test_a_proxy_that_gets_its_secrets_while_the_fleet_is_read_is_judged_by_them(
    cluster: Cluster, fleet: SimulatedFleet, monkeypatch: pytest.MonkeyPatch, warming: bool
) -> None:
    fleet.answers_without_secrets("fleet-002", warming=warming)
    fleet.after_look["fleet-002"] = lambda: fleet.is_supplied("fleet-002")
    found = findings(install_of(cluster, monkeypatch), fleet)
    assert answers(found) == STANDING
    assert not any(finding.left_out for finding in found.values())


def test_a_proxy_that_starts_and_has_no_secrets_yet_when_patience_ends_is_named_and_does_not_fail(
    cluster: Cluster, fleet: SimulatedFleet, monkeypatch: pytest.MonkeyPatch, warming: bool
) -> None:
    fleet.answers_without_secrets("fleet-002", warming=warming)
    monkeypatch.setattr(cluster, "patience", PATIENCE.model_copy(update={"svid": 0.1}))
    found = findings(install_of(cluster, monkeypatch), fleet)
    assert Holds.NO not in answers(found).values()
    for requirement in OF_FLEET[:8]:
        unknown(found[requirement], requirement, "Pod fleet/fleet-002: the suite could not read it: it is starting")


def test_a_proxy_that_still_has_no_secrets_after_the_time_to_start_fails(
    cluster: Cluster, fleet: SimulatedFleet, monkeypatch: pytest.MonkeyPatch, warming: bool
) -> None:
    fleet.answers_without_secrets("fleet-002", STARTING + timedelta(seconds=5), warming=warming)
    monkeypatch.setattr(survey_module, "AGAIN", timedelta(seconds=0.5))
    found = findings(install_of(cluster, monkeypatch), fleet)
    for requirement in ("ID-01", "ID-02", "ID-03", "ID-04", "ID-05"):
        violated(found[requirement], requirement, "Pod fleet/fleet-002", causes=())


def test_the_time_to_start_may_end_while_the_fleet_is_read(
    cluster: Cluster, fleet: SimulatedFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.answers_without_secrets("fleet-002", STARTING - timedelta(seconds=2))
    monkeypatch.setattr(survey_module, "AGAIN", timedelta())
    found = findings(install_of(cluster, monkeypatch), fleet)
    violated(found["ID-01"], "ID-01", "Pod fleet/fleet-002: its Envoy asks no SDS server for a certificate", causes=())


def test_restarts_buy_a_proxy_without_secrets_no_further_time(
    cluster: Cluster, fleet: SimulatedFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.answers_without_secrets("fleet-002")
    (proxy,) = (c for c in fleet.pods["fleet-002"].item["status"]["initContainerStatuses"] if c["name"] == "istio-proxy")
    proxy["restartCount"] = 3
    monkeypatch.setattr(survey_module, "AGAIN", timedelta())
    violated(findings(install_of(cluster, monkeypatch), fleet)["ID-01"], "ID-01", "Pod fleet/fleet-002", causes=())


def test_an_old_proxy_without_secrets_is_read_again_some_time_later(
    cluster: Cluster, fleet: SimulatedFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.answers_without_secrets("fleet-002", HOUR)
    monkeypatch.setattr(survey_module, "AGAIN", timedelta(seconds=0.5))
    started = datetime.now(UTC)
    found = survey(cluster, cluster.pods(), [IDENTITY], patience=10)
    assert datetime.now(UTC) - started >= timedelta(seconds=0.5)
    assert [proxy.is_supplied for proxy in found.by_uid(IDENTITY).values()] == [True, False, True]


def test_a_proxy_without_secrets_whose_pod_is_replaced_meanwhile_is_gone(
    cluster: Cluster, fleet: SimulatedFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.answers_without_secrets("fleet-002", HOUR)
    fleet.after_list = lambda: fleet.remove("fleet-002")
    found = listed_then(cluster, lambda _pods: None, IDENTITY, NORMALIZATION)
    for part in (IDENTITY, NORMALIZATION):
        gone = [outcome.pod.name for outcome in found.of(cast("Part[Any]", part)) if isinstance(outcome, LeftOut)]
        assert gone == ["fleet-002"]


def test_all_that_was_read_of_a_proxy_before_it_had_its_secrets_is_read_again(
    cluster: Cluster, fleet: SimulatedFleet
) -> None:
    fleet.answers_without_secrets("fleet-002")
    fleet.after_look["fleet-002"] = lambda: fleet.is_supplied("fleet-002")
    times: list[str] = []

    def counted(_connection: object, pod: Pod) -> str:
        times.append(pod.name)
        return pod.name

    survey(cluster, cluster.pods(), [IDENTITY, Part("counted", counted)], patience=10)
    assert sorted(times) == ["fleet-001", "fleet-002", "fleet-002", "fleet-003"]


# A rollout.


def verdicts(directory: Path, rolled: Callable[[SimulatedFleet], AbstractContextManager[None]]) -> dict[str, Holds]:
    directory.mkdir()
    with simulated(80) as fleet, reading(fleet, directory) as cluster, pytest.MonkeyPatch.context() as patched:
        install = install_of(cluster, patched)
        with rolled(fleet):
            listed = install.proxies.pods()
            found = findings(install, fleet)
        left_out = {str(remark.subject) for finding in found.values() for remark in finding.left_out}
        assert bool(left_out) == bool(fleet.rolled)
        assert all(pod.ready for pod in listed) == (not fleet.rolled)
        assert len(install.proxies.fleet().proxies) >= 75
    return answers(found)


@pytest.fixture(scope="module")
def standing_still(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Holds]:
    return verdicts(tmp_path_factory.mktemp("fleet") / "still", lambda _fleet: nullcontext())


@pytest.mark.parametrize("time", rounds(5))
def test_a_fleet_that_is_rolled_while_it_is_read_gets_the_same_verdicts_as_one_that_stands_still(
    tmp_path: Path, standing_still: dict[str, Holds], time: int
) -> None:
    assert standing_still == STANDING
    assert verdicts(tmp_path / f"rolled-{time}", lambda fleet: fleet.being_rolled(0.02)) == standing_still
