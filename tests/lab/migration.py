"""A small mesh that moves from istiod to Teleport, workload by workload, under load: what an order of restarts costs.

``front`` has moved already. In a mesh in which no workload has moved, an order and its reverse always cost the same: a pair
of which one has moved fails in both directions, so that each pair is broken between the restarts of its two ends, whichever
comes first. It is what has moved before that makes one end of an order better than the other.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from facts.document import Absent
from facts.errors import CouldNotTell
from facts.kubernetes.objects import Pod
from facts.traffic.ledger import Outcome, Request
from facts.traffic.load import reasons
from observe.command import run
from observe.doctor import PROGRAM
from observe.kubernetes.cluster import Cluster
from observe.traffic.load import PlannedLoad, Running
from observe.wait import NotYet, Pace, eventually, wait_until
from provision.faults import Scene
from provision.names import HTTP
from provision.objects import RUN_LABEL
from provision.pods.clients_and_servers import MeshNames, Sidecar, TestPod, TestPods, await_known

GAP = timedelta(seconds=25)
"""Time from one restart to the next, in both orders."""
SETTLES = timedelta(seconds=2)
"""Time after a restart from which a way either works or does not: connections of before may still serve requests."""
LEAST = timedelta(seconds=4)
"""Time after that for which ways are observed, at least."""
UNCONNECTED = {Outcome.TLS_ERROR, Outcome.NO_UPSTREAM}
"""Outcomes of a request whose connection failed: the words of a proxy do not always tell that a handshake has."""
WARM_UP = timedelta(seconds=12)
"""Time for which requests are counted before the advisor is asked."""


@dataclass(frozen=True, slots=True)
class CalledWay:
    """One workload of the mesh calls another.

    Attributes:
        client: Its name.
        server: Name of the other one.
        rate: Requests a second, each over a connection of its own.
    """

    client: str
    server: str
    rate: float

    def __str__(self) -> str:
        return f"{self.client} → {self.server}"


FRONT = "front"
WAYS = (
    CalledWay(FRONT, "cart", 4),
    CalledWay("cart", "stock", 3),
    CalledWay("stock", "price", 2),
    CalledWay(FRONT, "mail", 1),
)
NAMES = tuple(dict.fromkeys(name for way in WAYS for name in (way.client, way.server)))


def broken_between(moved: Collection[str]) -> frozenset[CalledWay]:
    """Ways of which one end has moved and the other has not: each refuses the other's certificate."""
    return frozenset(way for way in WAYS if (way.client in moved) != (way.server in moved))


def cost_of(order: Sequence[str]) -> float:
    """Requests that an order loses for each second between two restarts."""
    states = [{FRONT, *order[:number]} for number in range(1, len(order))]
    return sum(way.rate for moved in states for way in broken_between(moved))


@dataclass(frozen=True, slots=True)
class Restart:
    """One restart of an order.

    Attributes:
        workload: Name of the workload.
        settled: UTC time from which it had its new certificate, and all who call it knew it.
        until: UTC time of the next restart, or of the end.
    """

    workload: str
    settled: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Moved:
    """A mesh that was moved in an order.

    Attributes:
        order: Names of the workloads.
        loaded: UTC time from which all loads ran.
        began: UTC time of the first restart.
        restarts: The restarts.
        requests: Every request, by its way.
        refused: From the first restart on, number of connections on which the client's proxy refused the certificate of the
            server for its issuer. Each request has its own.
    """

    order: tuple[str, ...]
    loaded: datetime
    began: datetime
    restarts: tuple[Restart, ...]
    requests: Mapping[CalledWay, Sequence[Request]]
    refused: int

    @property
    def sent(self) -> tuple[Request, ...]:
        """Requests that were sent from the first restart to the end."""
        return self._between(self.began, self.restarts[-1].until)

    @property
    def lost(self) -> tuple[Request, ...]:
        """Requests of `sent` that were not answered."""
        return tuple(request for request in self.sent if request.outcome is not Outcome.ANSWERED)

    @property
    def at_first(self) -> frozenset[CalledWay]:
        """Ways that did not work before the first restart."""
        return self._broken(self.loaded, self.began)

    @property
    def after_each(self) -> tuple[frozenset[CalledWay], ...]:
        """Ways that did not work after each restart."""
        return tuple(self._broken(each.settled, each.until) for each in self.restarts)

    def _broken(self, settled: datetime, until: datetime) -> frozenset[CalledWay]:
        """Ways over which no connection was made, though both ends were ready and the client's proxy knew the server.

        Raises:
            CouldNotTell: A way neither worked nor failed so all the time.
        """
        found = set()
        for way in WAYS:
            ended = Counter(request.outcome for request in self._between(settled + SETTLES, until, [way]))
            if not ended or not (ended.keys() <= {Outcome.ANSWERED} or ended.keys() <= UNCONNECTED):
                raise CouldNotTell(
                    expected="every request answered, or every one without a connection",
                    seen=", ".join(f"{number} {outcome.value}" for outcome, number in ended.items()) or "no request",
                    where=f"{way}, from {settled + SETTLES:%H:%M:%S} to {until:%H:%M:%S}",
                    remedy="look at the load of the machine; a pod that was not Ready in time would show as well",
                )
            found |= {way} if Outcome.ANSWERED not in ended else set()
        return frozenset(found)

    def _between(self, first: datetime, last: datetime, ways: Iterable[CalledWay] = WAYS) -> tuple[Request, ...]:
        return tuple(request for way in ways for request in self.requests[way] if first <= request.at < last)

    def told(self) -> str:
        """The numbers, and the reasons for which requests were lost."""
        by_reason = "".join(f"\n    {number} × {reason}" for reason, number in reasons(self.lost).items())
        planned = cost_of(self.order) * GAP.total_seconds()
        return (
            f"{', '.join(self.order)}: {len(self.sent)} sent, {len(self.lost)} lost,"
            f" {self.refused} of them for the issuer of a certificate ({planned:.0f} by the plan){by_reason}"
        )


class MovingMesh:
    """The mesh, under load; a context manager that removes it.

    Attributes:
        namespace: Its namespace.
    """

    def __init__(self, scene: Scene, cluster: Cluster, name: str) -> None:
        """Prepare; `begin` makes it.

        Args:
            scene: The lab.
            cluster: Reads it.
            name: Distinguishes its namespace.
        """
        self._scene, self._cluster = scene, cluster
        self._objects = scene.installation.objects
        self._specifications = {each: self._of(each, name) for each in NAMES}
        self._pods = TestPods(
            self._objects,
            cluster,
            self._specifications.values(),
            image=scene.installation.sources.workload_image,
            mesh=MeshNames(scene.installation.variables["TRUST_DOMAIN"], lambda _namespace: None, "spire"),
            nodes=scene.nodes(),
            patience=scene.patience.pod_ready,
        )
        self.namespace = self._pods.namespace(FRONT)
        self._now: dict[str, Pod] = {}
        self._running: dict[CalledWay, Running] = {}
        self._refused = 0
        self._requests: dict[CalledWay, list[Request]] = {way: [] for way in WAYS}

    @staticmethod
    def _of(name: str, namespace: str) -> TestPod:
        sidecar = Sidecar.AS_CONFIGURED if name == FRONT else Sidecar.WITHOUT_TEMPLATE
        return TestPod(name, name, sidecar, namespace=namespace)

    def __enter__(self) -> MovingMesh:
        return self

    def __exit__(self, *_: object) -> None:
        self._pods.remove()

    def begin(self) -> None:
        """Make the pods, and begin the loads."""
        self._pods.begin()
        # With its label the namespace would be the suite's own, which is no part of the mesh for the doctor.
        self._objects.patch("v1", "Namespace", self.namespace, {"metadata": {"labels": {RUN_LABEL: None}}})
        self._now = dict(zip(NAMES, self._pods.ready(*NAMES), strict=True))
        for way in WAYS:
            self._learn(way)
        for way in WAYS:
            self._load(way)

    def moved_in(self, order: Sequence[str]) -> Moved:
        """Restart the workloads in an order, with `GAP` between two, and end the loads.

        Raises:
            CouldNotTell: A restart took so long that nothing could be observed before the next one.
        """
        loaded = max(running.began for running in self._running.values())
        for way in WAYS:  # proxies count from the beginning of a load
            self._end(way)
        began, self._refused = datetime.now(UTC), 0
        for way in WAYS:
            self._load(way)
        restarts = []
        for number, name in enumerate(order, start=1):
            until = began + number * GAP
            self._move(name)
            settled = datetime.now(UTC)
            if settled + SETTLES + LEAST > until:
                raise CouldNotTell(
                    expected=f"a restart of {name} within {(GAP - SETTLES - LEAST).total_seconds():g} s",
                    seen=f"{(settled - until + GAP).total_seconds():.1f} s",
                    where=self.namespace,
                    remedy="look at the load of the machine, and run again",
                )
            restarts.append(Restart(name, settled, until))
            wait_until(until)
        for way in WAYS:
            self._end(way)
        return Moved(tuple(order), loaded, began, tuple(restarts), self._requests, self._refused)

    def _move(self, name: str) -> None:
        """Replace the pod of a workload by one with the template; it sends nothing meanwhile, and so loses nothing."""
        of = [way for way in WAYS if way.client == name]
        for way in of:
            self._end(way)
        old = self._now[name]
        *_, document = self._pods.documents_of(replace(self._specifications[name], sidecar=Sidecar.AS_CONFIGURED))
        self._objects.delete("v1", "Pod", name, namespace=self.namespace)
        pace = Pace(self._scene.patience.pod_ready)
        self._eventually(f"{old.ref} is gone", name, lambda pod: not isinstance(pod, Pod) or pod.uid != old.uid, pace)
        self._objects.apply(document)
        self._eventually(f"{old.ref} is Ready again", name, lambda pod: isinstance(pod, Pod) and pod.ready, pace)
        now = self._cluster.pod(self.namespace, name)
        assert isinstance(now, Pod)
        self._now[name] = now
        for way in WAYS:
            if name in (way.client, way.server):
                self._learn(way)
        for way in of:
            self._load(way)

    def _eventually(self, what: str, name: str, is_so: Callable[[Pod | Absent], bool], pace: Pace) -> None:
        def look() -> None:
            seen = self._cluster.pod(self.namespace, name)
            if not is_so(seen):
                raise NotYet(str(seen) if isinstance(seen, Absent) else seen.why_not_ready)

        eventually(what, look, pace)

    def _learn(self, way: CalledWay) -> None:
        await_known(self._cluster, self._now[way.client], [self._now[way.server]], Pace(self._scene.patience.pod_ready))

    def _load(self, way: CalledWay) -> None:
        url = f"http://{way.server}.{self.namespace}:{HTTP}/"
        planned = PlannedLoad(self._now[way.client], self._now[way.server], url, way.rate)
        self._running[way] = Running(self._cluster, planned)

    def _end(self, way: CalledWay) -> None:
        load = self._running.pop(way).end()
        assert load.client is not None
        refused = load.client.outbound(way.server, self.namespace, HTTP, "ssl.fail_verify_error")
        assert refused is not None, f"the proxy of {way.client} does not count the certificates that it refuses"
        self._requests[way] += load.ledger.requests
        self._refused += refused


@dataclass(frozen=True, slots=True)
class Plan:
    """The advisor's answer, as far as it is about the mesh.

    Attributes:
        order: Names of the workloads that it restarts.
        today: Ways in use that it says do not work.
        after_each: Ways in use that it says do not work after each restart.
        counted: Pairs whose requests it has counted.
        assumed: Workloads of the mesh whose calls it has assumed.
    """

    order: tuple[str, ...]
    today: frozenset[CalledWay]
    after_each: tuple[frozenset[CalledWay], ...]
    counted: frozenset[CalledWay]
    assumed: frozenset[str]

    @classmethod
    def read(cls, document: Mapping[str, Any], namespace: str) -> Plan:
        """Read the advisor's document. A way that the mesh does not have raises KeyError."""
        prefix = f"{namespace}/"
        ways = {(f"{prefix}{way.client}", f"{prefix}{way.server}"): way for way in WAYS}

        def of(found: Iterable[Mapping[str, Any]]) -> frozenset[CalledWay]:
            return frozenset(ways[each["client"], each["server"]] for each in found)

        today = broken = of(way for way in document["today"] if way["weight"])
        after_each = []
        for step in document["steps"]:
            broken = (broken - of(step["heals"])) | of(step["breaks"])
            after_each.append(broken)
        return cls(
            order=tuple(step["workload"].removeprefix(prefix) for step in document["steps"]),
            today=today,
            after_each=tuple(after_each),
            counted=of(document["calls"]["counted"]),
            assumed=frozenset(each["workload"] for each in document["calls"]["assumed"]) & {prefix + name for name in NAMES},
        )


def advice_on(scene: Scene, directory: Path) -> Mapping[str, Any]:
    """Ask the advisor, as a person does: with the command, in a process of its own.

    Args:
        scene: The lab.
        directory: Where the command runs; it holds no settings.

    Raises:
        CouldNotTell: It gave no answer.
    """
    authority, installation = scene.installation.authority, scene.installation
    options = ["--context", installation.context, "--kubeconfig", str(installation.kubeconfig), "--migration", "--json"]
    options += ["--teleport-proxy", authority.proxy, "--teleport-ca", str(authority.ca)]
    asked = run([*PROGRAM, *options], timeout=scene.patience.survey, cwd=directory)
    if asked.exit_code != 1:
        raise CouldNotTell(
            expected="advice on a mesh in which there is something to move: exit code 1",
            seen=f"exit code {asked.exit_code}: {asked.tail()}",
            where=asked.line,
            remedy="run the command by hand while the mesh is there",
        )
    answer: Mapping[str, Any] = json.loads(asked.stdout)
    return answer
