"""Probe pods: they stand where tbot or a workload stands, look, and are removed. Their namespace is the run's own."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import yaml

from facts.errors import CouldNotTell
from facts.kubernetes.objects import Pod
from facts.kubernetes.pod_spec import PROXY
from facts.kubernetes.probes import (
    NodeProbe,
    Refused,
    SdsProbe,
    SocketDirectoryProbe,
    parse_node_probe,
    parse_socket_directory_probe,
)
from facts.proxies import envoy
from facts.teleport.tbot import KubeletAddress
from facts.traffic.refusal import AttemptEnd, AttemptOutcome, parse_ended_streams
from observe.kubernetes.cluster import Cluster
from observe.proxies.envoy import read_admin
from observe.wait import NotYet, eventually
from provision.objects import SCRATCH, Objects
from provision.pods.running import Ended, Pods
from provision.render import MANIFESTS, documents, render

PROBES = MANIFESTS / "probes"
SERVICE_ACCOUNT = "probe"
AT_ONCE = 8
SLICE = 0.5
REFUSALS = 6
"""So many streams in a row that the server itself has ended with the same words are its answer. A probe has two, and Envoy
comes again after half a second or more: a server that has just not heard of the pod yet has time to."""

T = TypeVar("T")


class Probes:
    """Makes probe pods, one for each node at the same time, and remembers what to remove.

    Args:
        objects: The cluster, as something to change.
        cluster: The cluster, as something to look at.
        image: An image with ``python3`` for the node probe.
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
        """The run's own namespace, made when first asked for. It admits pods that stand on the node, as tbot's does."""
        with self._lock:
            if not self._namespace:
                name = f"{SCRATCH}{self._objects.run_id.lower()}"
                self._to_remove = name  # before it is there: Ctrl-C may come right after the API server has made it
                labels = {"istio-injection": "disabled", "pod-security.kubernetes.io/enforce": "privileged"}
                self._objects.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
                account = {"name": SERVICE_ACCOUNT, "namespace": name}
                self._objects.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account})
                self._namespace = name
            return self._namespace

    def on_nodes(self, nodes: Sequence[str], kubelet: KubeletAddress) -> tuple[NodeProbe | Refused, ...]:
        """Stands on each node as tbot does, and tells what is seen from there.

        Args:
            nodes: The nodes.
            kubelet: Where tbot dials the kubelet of its own node.
        """
        self._config_map("node-probe", {"node_probe.py": (PROBES / "node_probe.py").read_text(encoding="utf-8")})
        variables = {
            "IMAGE": self._image,
            "KUBELET_FIELD": kubelet.field,
            "KUBELET_PORT": str(kubelet.port),
            "HOST_NETWORK": str(kubelet.host_network).lower(),
        }
        return self._each(
            nodes, lambda node: self._printed(node, self._pod(PROBES / "node.yaml", node, variables), parse_node_probe)
        )

    def of_socket_directories(
        self, nodes: Sequence[str], socket_directory: str
    ) -> tuple[SocketDirectoryProbe | Refused, ...]:
        """Tells what a workload on each node might do to the directory of the socket.

        Args:
            nodes: The nodes.
            socket_directory: Directory of the socket on the node.
        """
        program = (PROBES / "socket_directory.py").read_text(encoding="utf-8")
        self._config_map("socket-directory-probe", {"socket_directory.py": program})
        variables = {"IMAGE": self._image, "SOCKET_DIRECTORY": socket_directory}
        manifest = PROBES / "socket_directory.yaml"
        return self._each(
            nodes,
            lambda node: self._printed(node, self._pod(manifest, node, variables), parse_socket_directory_probe),
        )

    def of_sockets(
        self, *, nodes: Sequence[str], image: str, socket_directory: str, socket_name: str
    ) -> tuple[SdsProbe | Refused, ...]:
        """Asks the socket of each node for the probe's own identity, with Envoy.

        Args:
            nodes: The nodes.
            image: The mesh's proxy image: the socket must satisfy that Envoy.
            socket_directory: Directory of the socket on the node.
            socket_name: File name of the socket.
        """
        path = PROBES / "envoy.yaml"
        config = render(path.read_text(encoding="utf-8"), {"SOCKET_NAME": socket_name}, where=str(path))
        self._config_map("sds-probe", {"envoy.yaml": yaml.safe_dump(yaml.safe_load(config))})
        variables = {"IMAGE": image, "SOCKET_DIRECTORY": socket_directory}
        return self._each(nodes, lambda node: self._sds_probe(node, self._pod(PROBES / "sds.yaml", node, variables)))

    def remove(self) -> None:
        """Removes the namespace and everything in it; returns when the API server has taken the order."""
        with self._lock:
            if self._to_remove:
                self._objects.delete("v1", "Namespace", self._to_remove)
                self._namespace = self._to_remove = ""

    def _each(self, nodes: Sequence[str], probe: Callable[[str], T]) -> tuple[T, ...]:
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="probe") as pool:
            try:
                asked = [pool.submit(probe, node) for node in nodes]
                # In slices: a signal that comes just before an unbounded wait is seen only when that wait is over.
                while wait(asked, timeout=SLICE).not_done:
                    pass
                return tuple(each.result() for each in asked)
            except KeyboardInterrupt:
                # The pool waits for its threads, and they would wait for their pods.
                self._pods.interrupt()
                raise

    def _config_map(self, name: str, data: dict[str, str]) -> None:
        metadata = {"name": name, "namespace": self.namespace()}
        self._objects.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})

    def _pod(self, manifest: Path, node: str, variables: dict[str, str]) -> dict[str, Any]:
        # With a number, so that no probe meets one of the same name that is on its way out.
        label = f"{label_of(node)}-{next(self._numbers)}"
        given = {"NAMESPACE": self.namespace(), "NODE": node, "NODE_LABEL": label, **variables}
        return documents(manifest, given)[0]

    def _printed(self, node: str, document: dict[str, Any], parse: Callable[[str, str, tuple[str, ...]], T]) -> T | Refused:
        """The report that a probe has printed before it ended."""
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
        """The secrets of an Envoy as soon as it holds a certificate, or why it has none: refused for good, or no answer."""
        evidence: tuple[str, ...] = ()

        def look() -> SdsProbe:
            nonlocal evidence
            try:
                answers = read_admin(self._cluster, pod, (envoy.ACTIVE_SECRETS, envoy.WARMING_SECRETS))
            except CouldNotTell as error:
                # The pod is Ready as soon as its process runs, which is before Envoy listens.
                raise NotYet(error.seen) from error
            evidence = tuple(reading.evidence for reading in answers.values())
            secrets = {s.name: s for s in envoy.parse_secrets(answers[envoy.ACTIVE_SECRETS].document)}
            leaf = secrets[envoy.LEAF].chain[0] if envoy.LEAF in secrets and secrets[envoy.LEAF].chain else None
            if leaf is None:
                ended, log = self._ended_streams(pod)
                if refused_for_good(ended):
                    return _without(node, pod, str(ended[-1]), (*evidence, log))
                raise NotYet("the socket has not supplied the secret default")
            at = answers[envoy.ACTIVE_SECRETS].read_at
            return SdsProbe(node, pod.namespace, pod.service_account, leaf, "", at, (*pod.evidence, *evidence))

        try:
            return eventually(f"an identity from the socket of {node}", look, self._pods.pace(self._pods.patience / 4))
        except CouldNotTell as error:
            if not evidence:
                return Refused(node, f"its Envoy could not be asked: {error.seen}", pod.evidence, by_policy=False)
            ended, log = self._ended_streams(pod)
            return _without(node, pod, str(ended[-1]) if ended else error.seen, (*evidence, log))

    def _ended_streams(self, pod: Pod) -> tuple[list[AttemptOutcome], str]:
        """The ends of a probe's streams, oldest first, and the reading that says so."""
        log = self._cluster.logs(pod.namespace, pod.name, PROXY, tail=40)
        return [stream.outcome for stream in parse_ended_streams(str(log.document))], log.evidence


def _without(node: str, pod: Pod, reason: str, evidence: tuple[str, ...]) -> SdsProbe:
    found = (*pod.evidence, *evidence)
    return SdsProbe(node, pod.namespace, pod.service_account, None, reason, datetime.now(UTC), found)


def refused_for_good(ended: Sequence[AttemptOutcome]) -> bool:
    """Return whether the SDS server has refused a probe so often, each time alike, that the suite stops asking.

    Args:
        ended: How its streams have ended, oldest first.
    """
    last = ended[-REFUSALS:]
    return len(last) == REFUSALS and last[0].kind is AttemptEnd.SDS and len({*last}) == 1


def label_of(node: str) -> str:
    """A node's name as part of a pod's: it may hold dots, which would then end a label; 40 characters keep it legal."""
    return node.replace(".", "-")[-40:].strip("-")
