"""An API server with many injected pods, whose proxies hold identities made for the test, and which may be rolled meanwhile.

Everything happens as a client of a real cluster sees it: a pod that is rolled begins to terminate, answers nothing any more
and is gone a moment later; its successor is there under another name and uid, waits for its proxy, which answers without a
secret at first, and holds its secrets in the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web
from cryptography import x509

from facts.proxies import endpoint_requests, envoy, requests
from facts.proxies.tls import questions
from facts.proxies.tls.inbound import OF_SIDECAR
from observe.proxies.envoy import _quoted
from tests.data import document, text
from tests.unit.facts import tls_dumps as built
from tests.unit.facts.authorities import Authority
from tests.unit.facts.dumps import leaf_secret, spiffe_root
from tests.unit.facts.dumps import warming as warming_secret
from tests.unit.observe.api_server import ApiServer, Canned, running
from tests.unit.observe.captured import ENCODED, serve_components

NAMESPACE, ACCOUNT, TRUST_DOMAIN = "fleet", "fleet", "teleport.example.com"
TABLE = b"651 635 0:24 /spire/sockets /run/secrets/workload-spiffe-uds ro,nosuid - tmpfs tmpfs rw\n"
SUCCESS = b'{"status": "Success"}'
UNDER_WAY = 10
"""Pods that are rolled before somebody looks."""
LEAVES, STARTS, ASKS = 0.05, 2.0, 1.0
"""Seconds that a rolled pod terminates, that its successor needs until its proxy answers, and then to get its secrets."""

_STATIC = {
    ENCODED[envoy.WARMING_SECRETS]: Canned({}),
    ENCODED[envoy.BOOTSTRAP]: Canned(document("healthy/bootstrap.json")),
    ENCODED[envoy.SDS_HOSTS]: Canned(document("healthy/sds_hosts.json")),
    ENCODED[envoy.SERVER]: Canned(document("healthy/server.json")),
    ENCODED[envoy.AGENT_METRICS]: Canned(text("healthy/agent_metrics.txt")),
    ENCODED[envoy.INBOUND_LISTENERS]: Canned(document("healthy/inbound_listeners.json")),
    "/stats?format=json&filter=%5Esds%5C.default%5C.": Canned({"stats": []}),
    _quoted(endpoint_requests.ENDPOINTS): Canned({"cluster_statuses": []}),
    _quoted(requests.REQUESTS): Canned('istio_build{component="proxy",tag="1.31.0"} 1\n'),
}


@dataclass
class SimulatedPod:
    """One pod: its object of the API, and the answers of its proxy.

    Attributes:
        item: The object.
        answers: By path of a forwarded port.
        is_up: Its proxy answers.
    """

    item: dict[str, Any]
    answers: dict[str, Canned]
    is_up: bool = True


@dataclass
class SimulatedFleet:
    """Pods of one Deployment, and who rolls them.

    Attributes:
        server: The API server that has them.
        teleport: The authority of their certificates.
        istiod: The authority of the certificates of pods that fell back.
        pods: By name.
        looked_at: GETs of single pods.
        after_look: What happens to a pod after a GET of it, by its name.
        after_list: What happens after a list of pods.
        lists: How often the pods were listed.
        streams: How often a stream of each kind was opened.
        rolled: Pods that were rolled so far.
    """

    server: ApiServer
    teleport: Authority
    istiod: Authority
    pods: dict[str, SimulatedPod] = field(default_factory=dict)
    looked_at: list[str] = field(default_factory=list)
    after_look: dict[str, Callable[[], object]] = field(default_factory=dict)
    after_list: Callable[[], object] = lambda: None
    lists: int = 0
    streams: dict[str, int] = field(default_factory=dict)
    rolled: int = 0
    _made: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, *, falls_back: bool = False, **status: Any) -> SimulatedPod:
        """Makes a pod.

        Args:
            falls_back: Its certificate is istiod's.
            status: Fields of its status that differ from those of a Ready pod.
        """
        with self._lock:
            self._made += 1
            made = SimulatedPod(_item(f"fleet-{self._made:03}", status), self._answers(falls_back))
            self.pods[made.item["metadata"]["name"]] = made
            return made

    def has_a_mesh(self, services: int) -> None:
        """Gives the API server the captured Istio and tbot, and the pods that there are a configuration with services."""
        serve_components(self.server)
        self.server.answer("GET /version", document("cluster/version.json"))
        self.server.answer("GET /apis/batch/v1/cronjobs", {"items": []})
        hosts = [f"service-{number}.{NAMESPACE}.svc.cluster.local" for number in range(services)]
        account = f"spiffe://{TRUST_DOMAIN}/ns/{NAMESPACE}/sa/{ACCOUNT}"
        endpoints = (
            built.endpoints(host, 80, built.endpoint(f"10.1.0.{at}", 8080, tls=True)) for at, host in enumerate(hosts)
        )
        answers = {
            OF_SIDECAR: built.virtual_inbound(built.strict(), built.strict(8080)),
            questions.COUNT: built.count(services),
            questions.WHOLE.clusters: built.dump(*(built.auto_mutual(host, 80, [account]) for host in hosts)),
            questions.WHOLE.endpoints: built.dump(*endpoints),
        }
        for pod in self.pods.values():
            pod.answers |= {_quoted(question): Canned(answer) for question, answer in answers.items()}

    def remove(self, name: str) -> None:
        """Takes a pod away at once."""
        with self._lock:
            self.pods.pop(name, None)

    def starts(self, name: str) -> None:
        """Turns a pod into one that was made just now, of which no container runs."""
        pod = self.pods[name]
        pod.is_up = False
        pod.item["metadata"]["creationTimestamp"] = _time(timedelta())
        waits = {"ready": False, "started": False, "restartCount": 0, "state": {"waiting": {"reason": "PodInitializing"}}}
        pod.item["status"] = {
            "phase": "Pending",
            "conditions": [{"type": "Ready", "status": "False"}],
            **{
                f"{kind}Statuses": [{"name": c["name"], **waits} for c in pod.item["spec"][f"{kind}s"]]
                for kind in ("initContainer", "container")
            },
        }

    def answers_without_secrets(self, name: str, up_for: timedelta = timedelta(), *, warming: bool = False) -> None:
        """Turns a pod into one whose proxy is up and holds no secret yet.

        Args:
            name: The pod.
            up_for: Time since its proxy started.
            warming: Its Envoy waits for the secret already.
        """
        pod = self.pods[name]
        pod.item["status"] = _status({})
        (proxy,) = (c for c in pod.item["status"]["initContainerStatuses"] if c["name"] == "istio-proxy")
        proxy["state"] = {"running": {"startedAt": _time(up_for)}}
        waits = warming_secret() if warming else {}
        pod.answers |= {ENCODED[envoy.ACTIVE_SECRETS]: Canned({}), ENCODED[envoy.WARMING_SECRETS]: Canned(waits)}
        pod.is_up = True

    def is_supplied(self, name: str) -> None:
        """Gives the proxy of a pod its secrets."""
        self.pods[name].answers |= self._answers(falls_back=False)

    async def roll_one(self, name: str) -> None:
        """Replaces one pod as a Deployment does, in the time that it takes."""
        successor = self.add()
        self.starts(successor.item["metadata"]["name"])
        with self._lock:
            old = self.pods[name]
            old.item["metadata"]["deletionTimestamp"] = _time(timedelta())
            old.is_up = False
            old.answers.clear()  # also through connections that are open
            self.rolled += 1
        await asyncio.sleep(LEAVES)
        self.remove(name)
        await asyncio.sleep(STARTS)
        self.answers_without_secrets(successor.item["metadata"]["name"])
        await asyncio.sleep(ASKS)
        self.is_supplied(successor.item["metadata"]["name"])

    @contextmanager
    def being_rolled(self, pace: float) -> Iterator[None]:
        """Rolls one pod after the other until the end of the block, which begins with some of them under way.

        Args:
            pace: Seconds from one to the next.
        """
        ended, begun = threading.Event(), threading.Event()

        async def roll() -> None:
            under_way: set[asyncio.Task[None]] = set()
            turn = iter(list(self.pods))
            while not ended.is_set():
                name = next(turn, None)
                if name is None:
                    break
                if name in self.pods:
                    under_way.add(asyncio.create_task(self.roll_one(name)))
                await asyncio.sleep(pace)
                if self.rolled >= UNDER_WAY:
                    begun.set()
            await asyncio.gather(*under_way)

        roller = threading.Thread(target=lambda: asyncio.run(roll()), name="roller")
        roller.start()
        try:
            assert begun.wait(30)
            yield
        finally:
            ended.set()
            roller.join()

    def _answers(self, falls_back: bool) -> dict[str, Canned]:
        now = datetime.now(UTC)
        issuer = self.istiod if falls_back else self.teleport
        leaf = issuer.issue(
            f"spiffe://{TRUST_DOMAIN}/ns/{NAMESPACE}/sa/{ACCOUNT}",
            not_before=now - timedelta(minutes=2),
            not_after=now + timedelta(minutes=58),
            serial=x509.random_serial_number(),
        )
        secrets = {"configs": [leaf_secret(leaf), spiffe_root(self.teleport, trust_domain=TRUST_DOMAIN)]}
        return {**_STATIC, ENCODED[envoy.ACTIVE_SECRETS]: Canned(secrets)}

    # --- what its API server answers --------------------------------------------------------------------------------------

    def listed(self) -> dict[str, Any]:
        with self._lock:
            return {"kind": "PodList", "items": [copy.deepcopy(pod.item) for pod in self.pods.values()]}

    async def handle(self, request: web.Request) -> web.StreamResponse:
        parts = request.path.strip("/").split("/")
        if request.path in ("/api/v1/pods", f"/api/v1/namespaces/{NAMESPACE}/pods"):
            answer = web.json_response(self.listed())
            self.lists += 1
            self.after_list()
            return answer
        if parts[:3] == ["api", "v1", "namespaces"] and parts[4:5] == ["pods"] and len(parts) > 5:
            return await self._of_pod(request, parts[5], parts[6:])
        return await self.server.answered(request)

    async def _of_pod(self, request: web.Request, name: str, rest: list[str]) -> web.StreamResponse:
        pod = self.pods.get(name)
        if not rest:
            self.looked_at.append(name)
        if pod is None:
            return web.json_response({"kind": "Status", "message": f'pods "{name}" not found', "code": 404}, status=404)
        if not rest:
            answer = web.json_response(pod.item)
            self.after_look.get(name, lambda: None)()
            return answer
        self.streams[rest[0]] = self.streams.get(rest[0], 0) + 1
        if not pod.is_up:
            return web.json_response({"message": "container istio-proxy is not running"}, status=500)
        if rest == ["exec"]:
            return await self._table(request)
        return await self.server.forwarded(request, pod.answers)

    async def _table(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=("v4.channel.k8s.io",))
        await socket.prepare(request)
        with contextlib.suppress(ConnectionError):
            await socket.send_bytes(b"\x01" + TABLE)
            await socket.send_bytes(b"\x03" + SUCCESS)
            await socket.close()
        return socket


@contextmanager
def simulated(size: int) -> Iterator[SimulatedFleet]:
    """A fleet of that many healthy pods, until the end of the block."""
    now = datetime.now(UTC)
    first, last = now - timedelta(days=1), now + timedelta(days=365)
    teleport, istiod = (Authority(name, not_before=first, not_after=last) for name in (TRUST_DOMAIN, "cluster.local"))
    with running() as server:
        fleet = SimulatedFleet(server, teleport, istiod)
        server.answer("GET /api/v1/namespaces", {"items": [{"metadata": {"name": NAMESPACE}}]})
        server.answer("GET /api/v1/nodes", {"items": []})
        server.handler = fleet.handle
        for _ in range(size):
            fleet.add()
        yield fleet


def _item(name: str, status: dict[str, Any]) -> dict[str, Any]:
    captured = next(p for p in document("cluster/pods.json")["items"] if p["metadata"]["name"].endswith("l5nvp"))
    made: dict[str, Any] = copy.deepcopy(captured)
    made["metadata"] |= {
        "name": name,
        "namespace": NAMESPACE,
        "uid": f"uid-{name}",
        "creationTimestamp": _time(timedelta(minutes=2)),
    }
    made["spec"]["serviceAccountName"] = ACCOUNT
    made["status"] = _status(status)
    return made


def _status(changes: dict[str, Any]) -> dict[str, Any]:
    captured = next(p for p in document("cluster/pods.json")["items"] if p["metadata"]["name"].endswith("l5nvp"))
    return {**copy.deepcopy(captured["status"]), **changes}


def _time(ago: timedelta) -> str:
    return f"{datetime.now(UTC) - ago:%Y-%m-%dT%H:%M:%SZ}"
