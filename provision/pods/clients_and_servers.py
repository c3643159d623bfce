"""Test pods: clients and servers with and without sidecars, for what only traffic or the suite's own pods can show.

The suite starts all of them at the same time, waits for each when a step asks for it, and removes their namespaces at the
end. Their manifests and their programs are in ``manifests/traffic/``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, ClassVar

from facts.document import Absent
from facts.errors import CouldNotTell, ProvisioningFailed
from facts.kubernetes.objects import Pod
from facts.kubernetes.pod_spec import TEMPLATES
from facts.proxies.envoy_traffic import HOSTS, hosts_of
from facts.traffic.addresses import with_port
from observe.kubernetes.cluster import Cluster
from observe.proxies.envoy import read_admin
from observe.wait import NotYet, Pace, eventually
from providers.teleport.facts.issuing import TO_ADMIT_THE_SUITE
from provision.installing.phases import Cancelled, until
from provision.names import HTTP, TCP
from provision.objects import Objects, config_map, scratch_namespace
from provision.render import MANIFESTS, documents
from provision.rollout import pods_say

TRAFFIC = MANIFESTS / "traffic"
PROGRAMS = ("traffic.py", "load.py")
CONTAINER = "traffic"
MESH, CLASSIC = "mesh", "classic"
AT_ONCE = 4
SOCKET_FILE = "proxyMetadata: {{WORKLOAD_IDENTITY_SOCKET_FILE: {}}}"
ISTIOS_NAME = "socket"
"""File name with which Istio falls back to istiod's authority where it finds no socket."""
SECOND_SOCKET = "second"
"""File name of a second socket, beside the mesh's own, whose certificates live longer."""


class Sidecar(StrEnum):
    """Kinds of sidecar that a test pod asks for."""

    AS_CONFIGURED = "as the mesh is configured"
    CLASSIC = "classic"
    WITHOUT_TEMPLATE = "without the template"
    """With Istio's own template alone: istiod issues its certificate."""
    NONE = "none"


@dataclass(frozen=True, slots=True)
class TestPod:
    """Specification of a test pod: one pod and its Service.

    Attributes:
        name: Name of the pod and of the Service.
        account: Its service account.
        sidecar: Kind of sidecar that it asks for.
        node: Index, from 0, of its node among those that take workloads.
        namespace: Its namespace among those of the suite: ``mesh`` or another.
        callers: Names of the test pods that may call it. A policy allows only them, even where the mesh denies all callers
            by default; a test pod without callers has no policy of its own.
        socket: File name of the socket that it asks for its identity; empty for the mesh's own.
        proxy_image: Image of its proxy; empty for the mesh's own.
    """

    __test__: ClassVar[bool] = False  # for pytest: this is no test class

    name: str
    account: str
    sidecar: Sidecar = Sidecar.AS_CONFIGURED
    node: int = 0
    namespace: str = MESH
    callers: tuple[str, ...] = ()
    socket: str = ""
    proxy_image: str = ""


TEST_PODS = (
    TestPod("alpha", "alpha", callers=("beta", "gamma", "classic")),
    TestPod("beta", "beta", callers=("alpha",)),
    TestPod("beta-far", "beta", node=1, callers=("alpha",)),
    TestPod("alpha-far", "alpha", node=1),
    TestPod("gamma", "gamma", node=1),  # it has a policy by path
    TestPod("plain", "plain", Sidecar.NONE),
    TestPod("fallback", "fallback", Sidecar.WITHOUT_TEMPLATE, node=1),
    TestPod("classic", "alpha", Sidecar.CLASSIC, namespace=CLASSIC, callers=("alpha",)),
)
"""Test pods of identity and traffic: ``alpha`` calls; ``beta`` allows alpha and refuses ``gamma``; a name with ``-far`` is
the same on another node."""


LONG_RUNNING = (
    TestPod("alpha", "alpha", callers=("beta", "gamma")),
    TestPod("beta", "beta", node=1, callers=("alpha", "gamma")),
    TestPod("gamma", "gamma", callers=("alpha", "beta"), socket=SECOND_SOCKET),
    TestPod("plain", "plain", Sidecar.NONE),
    TestPod("control", "plain", Sidecar.NONE, node=1),
)
"""Test pods of rotation and outages, on two nodes; ``gamma`` takes its identity from the second socket, whose certificates
live longer. ``plain`` and ``control`` are outside the mesh; they show what nodes and network do to requests."""

OLDER = TestPod("older", "older", node=1)
"""Test pod with an Envoy older than 1.37, where there is an image: for it every push looks like a new certificate."""


def caller_and_called_in(namespace: str) -> tuple[TestPod, ...]:
    """Return ``alpha`` and ``beta``, which allows alpha, in one of the suite's namespaces."""
    return (
        TestPod("alpha", "alpha", namespace=namespace),
        TestPod("beta", "beta", namespace=namespace, callers=("alpha",)),
    )


def long_running_in(namespace: str, older_proxy_image: str | None) -> tuple[TestPod, ...]:
    """Return the test pods of rotation and outages in one of the suite's namespaces.

    Args:
        namespace: Namespace, see `TestPod`.
        older_proxy_image: Image for `OLDER`; None leaves that test pod out.
    """
    older = (replace(OLDER, proxy_image=older_proxy_image),) if older_proxy_image else ()
    return tuple(replace(wanted, namespace=namespace) for wanted in (*LONG_RUNNING, *older))


@dataclass(frozen=True, slots=True)
class MeshNames:
    """Names in the mesh that the test pods need, as the suite found them.

    Attributes:
        trust_domain: Trust domain of Istio.
        join: Makes a namespace one of the mesh, before it is created.
        template: Injection template that mounts the socket.
        why_refused: Rules that keep a service account, by namespace and name, from an identity; empty where none is known.
    """

    trust_domain: str
    join: Callable[[dict[str, Any]], None]
    template: str
    why_refused: Callable[[str, str], str] = lambda _namespace, _account: ""


def await_known(cluster: Cluster, client: Pod, servers: Iterable[Pod], pace: Pace) -> None:
    """Wait until the proxy of a client knows the test pods that it will call.

    Raises:
        CouldNotTell: It does not learn of one in time.
    """
    wanted = {(pod.ip, port): pod.name for pod in servers for port in (HTTP, TCP)}

    def look() -> None:
        missing = wanted.keys() - hosts_of(read_admin(cluster, client, [HOSTS])[HOSTS].document)
        if missing:
            raise NotYet(f"it does not know {', '.join(with_port(*each) for each in sorted(missing))}")

    eventually(f"the proxy of {client.ref} knows {', '.join(dict.fromkeys(wanted.values()))}", look, pace)


class TestPods:
    """Test pods, made at the first call that needs one.

    Args:
        objects: Changes the cluster.
        cluster: Reads the cluster.
        wanted: Specifications of the test pods.
        image: Image with ``python3``.
        mesh: Names in the mesh.
        nodes: Names of the nodes that take workloads; with only one, the suite does not make test pods for another node.
        patience: Seconds from the start of a test pod until it must be Ready.
    """

    __test__: ClassVar[bool] = False

    def __init__(
        self,
        objects: Objects,
        cluster: Cluster,
        wanted: Iterable[TestPod] = TEST_PODS,
        *,
        image: str,
        mesh: MeshNames,
        nodes: Sequence[str],
        patience: float,
    ) -> None:
        self._objects = objects
        self._cluster = cluster
        self._image = image
        self._mesh = mesh
        self.nodes = tuple(nodes)
        self._patience = patience
        far = len(self.nodes) > 1
        # On a single node all test pods run together, without those that exist only to run elsewhere.
        self._wanted = {w.name: w for w in wanted if far or not w.name.endswith("-far")}
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._pool: ThreadPoolExecutor | None = None
        self._making: dict[str, Future[None]] = {}
        self._ready: dict[str, Pod] = {}
        self._known: set[tuple[str, str]] = set()
        self._to_remove: list[str] = []
        self._began = 0.0

    def names(self) -> tuple[str, ...]:
        """Return the names of the test pods."""
        return tuple(self._wanted)

    def wanted(self, name: str) -> TestPod:
        """Return the specification of a test pod.

        Raises:
            CouldNotTell: There is no such test pod, for example because only one node takes workloads.
        """
        if name not in self._wanted:
            raise CouldNotTell(
                expected=f"one of the test pods {', '.join(self._wanted)}",
                seen=f"no test pod is called {name}",
                where=f"{len(self.nodes)} nodes that take workloads",
                remedy="a test pod on another node needs a second node that takes workloads",
            )
        return self._wanted[name]

    def namespace(self, name: str) -> str:
        """Return the namespace of a test pod."""
        return self._namespace(self.wanted(name).namespace)

    def begin(self) -> None:
        """Start all test pods without waiting for them; a second call does nothing.

        Raises:
            CouldNotTell: No node takes workloads.
        """
        if not self.nodes:
            raise CouldNotTell(
                expected="a node that takes workloads: Ready, schedulable, Linux, without a taint",
                seen="none",
                where="the nodes of the cluster",
                remedy="uncordon a node, or remove its taint: `kubectl get nodes`, `kubectl describe node NODE`",
            )
        with self._lock:
            if self._pool is not None:
                return
            namespaces_of_features = tuple(dict.fromkeys(w.namespace for w in self._wanted.values()))
            for namespace in namespaces_of_features:
                self._to_remove.append(self._namespace(namespace))  # before it exists, see Probes.namespace
                self._objects.apply_all(self._namespace_documents(namespace))
            if MESH in namespaces_of_features:
                self._objects.apply_all(self._documents("policies.yaml", MESH))
            for wanted in self._wanted.values():
                self._objects.apply_all(self._callers(wanted))
            self._began = time.monotonic()
            pool = self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="test-pod")
            self._making = {name: pool.submit(self._make, wanted) for name, wanted in self._wanted.items()}

    def ready(self, *names: str) -> tuple[Pod, ...]:
        """Return the pods of these names, each as soon as it is Ready.

        Raises:
            CouldNotTell: The API server refuses a pod, or a pod does not become Ready in time; says what it waits for.
        """
        for name in names:
            self.wanted(name)
        try:
            self.begin()
            return tuple(self._await(name) for name in names)
        except ProvisioningFailed as error:
            raise CouldNotTell(
                expected="the API server to accept the test pods",
                seen=error.seen,
                where=error.where,
                remedy="see INST-07 for the injection template; a policy of the cluster may refuse the pods as well",
            ) from error

    def known_to(self, client: str, *servers: str) -> tuple[Pod, ...]:
        """Return the pods of a client and of servers, as soon as all are Ready and the client's proxy knows the servers.

        Raises:
            CouldNotTell: See `ready`; or the client's proxy does not learn of a server in time.
        """
        calling, *called = self.ready(client, *servers)
        if calling.proxy is not None and not self._known >= {(client, server) for server in servers}:
            await_known(self._cluster, calling, called, self._pace(self._patience))
            self._known |= {(client, server) for server in servers}
        return (calling, *called)

    def known_on_another_node(self, client: str, server: str) -> None:
        """Wait as `known_to` does, where client and server must be on two nodes.

        Raises:
            CouldNotTell: See `known_to`; or both are on one node.
        """
        one, other = self.known_to(client, server)
        if one.node == other.node:
            raise CouldNotTell(
                expected="the test pods on two nodes",
                seen=f"both on {one.node}",
                where=f"{one.ref}, {other.ref}",
                remedy="check whether a descheduler or an operator moves pods, and run again",
            )

    def remove(self) -> None:
        """Remove the namespaces and everything in them; return once the API server has accepted the deletions."""
        self._ended.set()
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
        with self._lock:
            failures = []
            for name in reversed(self._to_remove.copy()):
                try:
                    self._objects.delete("v1", "Namespace", name)
                    self._to_remove.remove(name)
                except ProvisioningFailed as error:  # the other namespaces must go nevertheless
                    failures.append(error)
            if failures:
                left = " ".join(self._to_remove)
                raise ProvisioningFailed(
                    expected="to remove the suite's namespaces",
                    seen="; ".join(error.seen for error in failures),
                    where=left,
                    remedy=f"kubectl delete namespace {left}",
                ) from failures[0]

    def _namespace(self, namespace: str) -> str:
        return scratch_namespace(self._objects.run_id, namespace)

    def _namespace_documents(self, namespace: str) -> list[dict[str, Any]]:
        """Return a namespace and the objects that every test pod in it needs."""
        made, *rest = self._documents("namespace.yaml", namespace)
        self._mesh.join(made)
        programs = {name: (TRAFFIC / name).read_text(encoding="utf-8") for name in PROGRAMS}
        return [made, *rest, config_map(self._namespace(namespace), CONTAINER, programs)]

    def _callers(self, wanted: TestPod) -> list[dict[str, Any]]:
        """Return the policy that allows a test pod's callers; none where it has no callers."""
        # On a single node the suite does not make the callers of another node.
        callers = [self._wanted[name] for name in wanted.callers if name in self._wanted]
        principals = [f"{self._mesh.trust_domain}/ns/{self._namespace(c.namespace)}/sa/{c.account}" for c in callers]
        made = self._documents("callers.yaml", wanted.namespace, {"NAME": wanted.name}) if callers else []
        for policy in made:
            policy["spec"]["rules"] = [{"from": [{"source": {"principals": list(dict.fromkeys(principals))}}]}]
        return made

    def documents_of(self, wanted: TestPod) -> list[dict[str, Any]]:
        """Return the objects of a test pod, the pod itself last."""
        made = self._documents("workload.yaml", wanted.namespace, {"NAME": wanted.name, "ACCOUNT": wanted.account})
        pod = made[-1]
        metadata = pod["metadata"]
        pod["spec"]["nodeName"] = self.nodes[wanted.node % len(self.nodes)]
        match wanted.sidecar:
            case Sidecar.CLASSIC:
                metadata["annotations"]["sidecar.istio.io/nativeSidecar"] = "false"
            case Sidecar.WITHOUT_TEMPLATE:
                metadata["annotations"][TEMPLATES] = "sidecar"
                # With any other name, which the mesh may use, Istio's agent exits instead of falling back.
                metadata["annotations"]["proxy.istio.io/config"] = SOCKET_FILE.format(ISTIOS_NAME)
            case Sidecar.NONE:
                del metadata["annotations"]
                metadata["labels"]["sidecar.istio.io/inject"] = "false"
        if wanted.socket:
            metadata["annotations"]["proxy.istio.io/config"] = SOCKET_FILE.format(wanted.socket)
        if wanted.proxy_image:
            metadata["annotations"]["sidecar.istio.io/proxyImage"] = wanted.proxy_image
        return made

    def for_dry_run(self, name: str) -> dict[str, Any]:
        """Return a pod like a test pod with another name, for a dry run of its creation."""
        pod = self.documents_of(self.wanted(name))[-1]
        pod["metadata"]["name"] = "would-be"
        return pod

    def _documents(self, name: str, namespace: str, more: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
        variables = {
            "NAMESPACE": self._namespace(namespace),
            "TRUST_DOMAIN": self._mesh.trust_domain,
            "TEMPLATE": self._mesh.template,
            "WORKLOAD_IMAGE": self._image,
        }
        return documents(TRAFFIC / name, variables | dict(more or {}))

    def _make(self, wanted: TestPod) -> None:
        for document in self.documents_of(wanted):
            if self._ended.is_set():
                raise Cancelled
            self._objects.apply(document)

    def _await(self, name: str) -> Pod:
        if name in self._ready:
            self._cluster.recorder.attach(self._ready[name].evidence)
            return self._ready[name]
        self._must_be_let_in(self._wanted[name])
        where = f"Pod {self.namespace(name)}/{name}"
        remedy = "read its conditions and the log of its istio-proxy; tbot refuses unknown workloads (see INST-14)"
        eventually(f"{where} is Ready", lambda: self._look(name), self._pace(self._left()), remedy=remedy)
        pod = self._cluster.pod(self.namespace(name), name)
        if isinstance(pod, Absent):
            raise CouldNotTell(
                expected=f"{where} to stay",
                seen="it was removed",
                where=where,
                remedy="find out who removed it, and run again",
            )
        self._ready[name] = pod
        return pod

    def _must_be_let_in(self, wanted: TestPod) -> None:
        """Raise an error for a test pod that the rules of the mesh's owner keep from an identity: it is never Ready."""
        if wanted.sidecar in (Sidecar.NONE, Sidecar.WITHOUT_TEMPLATE):
            return
        namespace = self._namespace(wanted.namespace)
        if why := self._mesh.why_refused(namespace, wanted.account):
            raise CouldNotTell(
                expected="Teleport to give the test pod an identity",
                seen=why,
                where=f"Pod {namespace}/{wanted.name}",
                remedy=TO_ADMIT_THE_SUITE,
            )

    def _look(self, name: str) -> None:
        """Look at a pod without recording it: only the pod that is Ready becomes evidence."""
        making = self._making[name]
        if not making.done():
            raise NotYet("it is being made")
        making.result()
        seen = self._objects.get("v1", "Pod", name, namespace=self.namespace(name))
        if seen is None:
            raise NotYet("it does not exist")
        conditions = {c["type"]: c for c in seen.get("status", {}).get("conditions", [])}
        if conditions.get("Ready", {}).get("status") != "True":
            raise NotYet(pods_say([seen]) or conditions.get("Ready", {}).get("message") or "not scheduled yet")

    def _left(self) -> float:
        """Return the rest of the seconds, which all test pods share because they start together; at least 0."""
        return max(0.0, self._patience - (time.monotonic() - self._began))

    def _pace(self, timeout: float) -> Pace:
        return until(self._ended, timeout, 0.2)
