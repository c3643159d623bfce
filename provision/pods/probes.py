"""Probe pods: they run where tbot or a workload runs, report what they see, and are removed; in a namespace of the suite."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

import yaml

from facts.errors import CouldNotTell
from facts.kubernetes.objects import Pod
from facts.kubernetes.pod_spec import PROXY
from facts.kubernetes.probes import (
    KubeletAddress,
    NodeProbe,
    Refused,
    SdsProbe,
    SocketDirectoryProbe,
    TeleportProbe,
    parse_node_probe,
    parse_socket_directory_probe,
    parse_teleport_probe,
)
from facts.proxies import envoy
from facts.traffic.refusal import AttemptEnd, AttemptOutcome, parse_ended_streams
from observe.kubernetes.cluster import Cluster
from observe.proxies.envoy import read_admin
from observe.wait import NotYet, eventually
from provision.objects import Objects, config_map, scratch_namespace
from provision.pods.running import Ended, Pods
from provision.render import MANIFESTS, documents

PROBES = MANIFESTS / "probes"
SERVICE_ACCOUNT = "probe"
NETWORK = ("hostNetwork", "dnsPolicy", "dnsConfig", "hostAliases")
"""Settings of a pod that decide how it resolves a name and from where it connects."""
AT_ONCE = 8
SLICE = 0.5
REFUSALS = 6
"""Number of streams in a row that the server has ended with the same words, after which the suite takes them for its answer.

A probe has two streams, and Envoy retries after half a second or more, so a server that does not know the new pod yet has
time to learn of it."""

S = TypeVar("S")
T = TypeVar("T")


class Probes:
    """Makes probe pods, one for each node at the same time, and removes them.

    Args:
        objects: Changes the cluster.
        cluster: Reads the cluster.
        image: Image with ``python3`` for the node probe.
        patience: Seconds to wait for one probe.
    """

    service_account = SERVICE_ACCOUNT

    def __init__(self, objects: Objects, cluster: Cluster, *, image: str, patience: float) -> None:
        self._objects = objects
        self._cluster = cluster
        self._image = image
        self._pods = Pods(objects, cluster, patience)
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._namespace = ""
        self._to_remove = ""

    def namespace(self) -> str:
        """Return the namespace of the probes, made at the first call; like tbot's, it admits privileged pods."""
        with self._lock:
            if not self._namespace:
                name = scratch_namespace(self._objects.run_id)
                self._to_remove = name  # before it exists: Ctrl-C may come right after the API server has made it
                labels = {"istio-injection": "disabled", "pod-security.kubernetes.io/enforce": "privileged"}
                self._objects.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
                account = {"name": SERVICE_ACCOUNT, "namespace": name}
                self._objects.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account})
                self._namespace = name
            return self._namespace

    def on_nodes(self, nodes: Sequence[str], kubelet: KubeletAddress) -> tuple[NodeProbe | Refused, ...]:
        """Report what a pod that runs like tbot sees on each node.

        Args:
            nodes: Names of the nodes.
            kubelet: Address at which tbot dials the kubelet of its own node.
        """
        self._objects.apply(config_map(self.namespace(), "node-probe", program("node_probe.py")))
        variables = {
            "IMAGE": self._image,
            "KUBELET_FIELD": kubelet.field,
            "KUBELET_PORT": str(kubelet.port),
            "HOST_NETWORK": str(kubelet.host_network).lower(),
        }
        return self._each(nodes, lambda node: self._printed(node, self._pod("node.yaml", node, variables), parse_node_probe))

    def of_socket_directories(
        self, nodes: Sequence[str], socket_directory: str
    ) -> tuple[SocketDirectoryProbe | Refused, ...]:
        """Report what a workload on each node can do to the directory of the socket.

        Args:
            nodes: Names of the nodes.
            socket_directory: Directory of the socket on the node.
        """
        self._objects.apply(config_map(self.namespace(), "socket-directory-probe", program("socket_directory.py")))
        variables = {"IMAGE": self._image, "SOCKET_DIRECTORY": socket_directory}

        def probe(node: str) -> SocketDirectoryProbe | Refused:
            pod = self._pod("socket_directory.yaml", node, variables)
            return self._printed(node, pod, partial(parse_socket_directory_probe, path=socket_directory.rstrip("/")))

        return self._each(nodes, probe)

    def of_teleport(self, nodes: Sequence[str], address: str, tbot: tuple[str, str]) -> tuple[TeleportProbe | Refused, ...]:
        """Dial Teleport from each node with the network settings of tbot's pods.

        Args:
            nodes: Names of the nodes.
            address: HOST:PORT in tbot's configuration.
            tbot: Namespace and name of tbot's DaemonSet.
        """
        namespace, name = tbot
        template = self._objects.must_get("apps/v1", "DaemonSet", name, namespace=namespace)["spec"]["template"]["spec"]
        network = {key: template[key] for key in NETWORK if key in template}
        self._objects.apply(config_map(self.namespace(), "teleport-probe", program("teleport_probe.py")))
        host, _colon, port = address.rpartition(":")
        variables = {"IMAGE": self._image, "HOST": host.strip("[]"), "PORT": port}

        def probe(node: str) -> TeleportProbe | Refused:
            pod = self._pod("teleport.yaml", node, variables)
            pod["spec"] |= network
            return self._printed(node, pod, partial(parse_teleport_probe, address=address))

        return self._each(nodes, probe)

    def of_sockets(self, sockets: Sequence[tuple[str, str]], image: str) -> tuple[SdsProbe | Refused, ...]:
        """Ask sockets of the nodes for the probe's own identity, with Envoy.

        Args:
            sockets: Name of the node and path there of each socket.
            image: Proxy image of the mesh: the socket must satisfy that Envoy.
        """
        configs: dict[str, str] = {}
        for name in dict.fromkeys(path.rpartition("/")[2] for _node, path in sockets):
            configs[name] = f"sds-probe-{next(self._numbers)}"
            self._objects.apply(config_map(self.namespace(), configs[name], envoy_config(name)))

        def probe(socket: tuple[str, str]) -> SdsProbe | Refused:
            node, path = socket
            directory, _slash, name = path.rpartition("/")
            variables = {"IMAGE": image, "SOCKET_DIRECTORY": directory, "CONFIG": configs[name]}
            answered = self._sds_probe(node, self._pod("sds.yaml", node, variables))
            return replace(answered, socket=path) if isinstance(answered, SdsProbe) else answered

        return self._each(sockets, probe)

    def remove(self) -> None:
        """Remove the namespace and everything in it; return once the API server has accepted the deletion."""
        with self._lock:
            if self._to_remove:
                self._objects.delete("v1", "Namespace", self._to_remove)
                self._namespace = self._to_remove = ""

    def _each(self, of: Sequence[S], probe: Callable[[S], T]) -> tuple[T, ...]:
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="probe") as pool:
            try:
                asked = [pool.submit(probe, each) for each in of]
                # In slices: Python handles a signal that comes just before an unbounded wait only after that wait.
                while wait(asked, timeout=SLICE).not_done:
                    pass
                return tuple(each.result() for each in asked)
            except KeyboardInterrupt:
                # The pool waits for its threads, which would wait for their pods.
                self._pods.interrupt()
                raise

    def _pod(self, manifest: str, node: str, variables: dict[str, str]) -> dict[str, Any]:
        # With a number, so that no probe collides with a terminating one of the same name.
        label = f"{label_of(node)}-{next(self._numbers)}"
        given = {"NAMESPACE": self.namespace(), "NODE": node, "NODE_LABEL": label, **variables}
        return documents(PROBES / manifest, given)[0]

    def _printed(self, node: str, document: dict[str, Any], parse: Callable[[str, str, tuple[str, ...]], T]) -> T | Refused:
        """Return the report that a probe printed before it ended."""
        ended = self._made(document, lambda pod: pod.phase == "Succeeded")
        if isinstance(ended, Ended):
            return Refused(node, ended.reason, ended.evidence, by_policy=ended.by_policy)
        log = self._cluster.logs(ended.namespace, ended.name, "probe")
        self._objects.delete("v1", "Pod", ended.name, namespace=ended.namespace)
        return parse(log.document, node, (*ended.evidence, log.evidence))

    def _sds_probe(self, node: str, document: dict[str, Any]) -> SdsProbe | Refused:
        running = self._made(document, lambda pod: pod.ready)
        if isinstance(running, Ended):
            return Refused(node, running.reason, running.evidence, by_policy=running.by_policy)
        try:
            return self._asked(node, running)
        finally:
            self._objects.delete("v1", "Pod", running.name, namespace=running.namespace)

    def _made(self, document: dict[str, Any], there: Callable[[Pod], bool]) -> Pod | Ended:
        namespace, name = document["metadata"]["namespace"], document["metadata"]["name"]
        return self._pods.make(document) or self._pods.until(namespace, name, there)

    def _asked(self, node: str, pod: Pod) -> SdsProbe | Refused:
        """Return the certificate of an Envoy as soon as it holds one, or why it has none: a final refusal, or no answer."""
        evidence: tuple[str, ...] = ()

        def look() -> SdsProbe:
            nonlocal evidence
            try:
                answers = read_admin(self._cluster, pod, (envoy.ACTIVE_SECRETS, envoy.WARMING_SECRETS))
            except CouldNotTell as error:
                # The pod is Ready as soon as its process runs, before Envoy listens.
                raise NotYet(error.seen) from error
            evidence = tuple(reading.evidence for reading in answers.values())
            secrets = {s.name: s for s in envoy.parse_secrets(answers[envoy.ACTIVE_SECRETS].document)}
            chain = secrets[envoy.LEAF].chain if envoy.LEAF in secrets else ()
            if not chain:
                ended, log = self._ended_streams(pod)
                if refused_for_good(ended):
                    return _without(node, pod, str(ended[-1]), (*evidence, log))
                raise NotYet("the socket has not supplied the secret default")
            at = answers[envoy.ACTIVE_SECRETS].read_at
            found = (*pod.evidence, *evidence)
            return SdsProbe(node, pod.namespace, pod.service_account, chain[0], "", at, found, intermediates=chain[1:])

        try:
            return eventually(f"an identity from the socket of {node}", look, self._pods.pace(self._pods.patience / 4))
        except CouldNotTell as error:
            if not evidence:
                return Refused(node, f"its Envoy did not answer: {error.seen}", pod.evidence, by_policy=False)
            ended, log = self._ended_streams(pod)
            return _without(node, pod, str(ended[-1]) if ended else error.seen, (*evidence, log))

    def _ended_streams(self, pod: Pod) -> tuple[list[AttemptOutcome], str]:
        """Return how a probe's streams ended, oldest first, and the id of the reading."""
        log = self._cluster.logs(pod.namespace, pod.name, PROXY, tail=40)
        return [stream.outcome for stream in parse_ended_streams(str(log.document))], log.evidence


def _without(node: str, pod: Pod, reason: str, evidence: tuple[str, ...]) -> SdsProbe:
    found = (*pod.evidence, *evidence)
    return SdsProbe(node, pod.namespace, pod.service_account, None, reason, datetime.now(UTC), found)


def refused_for_good(ended: Sequence[AttemptOutcome]) -> bool:
    """Return True once the SDS server has refused a probe so often, with the same words, that the suite stops asking.

    Args:
        ended: Ends of its streams, oldest first.
    """
    last = ended[-REFUSALS:]
    return len(last) == REFUSALS and last[0].kind is AttemptEnd.SDS and len({*last}) == 1


def label_of(node: str) -> str:
    """Return a node's name as part of a pod's name, without dots, which end a label, and with at most 40 characters."""
    return node.replace(".", "-")[-40:].strip("-")


def program(name: str) -> dict[str, str]:
    """Return a program of the probes, as the data of a ConfigMap."""
    return {name: (PROBES / name).read_text(encoding="utf-8")}


def envoy_config(socket_name: str) -> dict[str, str]:
    """Return the configuration of an Envoy that asks a socket for its identity, as the data of a ConfigMap."""
    return {"envoy.yaml": yaml.safe_dump(documents(PROBES / "envoy.yaml", {"SOCKET_NAME": socket_name})[0])}
