"""Probe pods: they stand where tbot or a workload stands, look, and are removed. They live in a namespace of the run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import yaml

from facts import envoy
from facts.agent import KubeletAddress
from facts.document import Absent
from facts.errors import CouldNotTell, ProvisioningFailed
from facts.kubernetes import Pod
from facts.probe import (
    NodeProbe,
    Refused,
    SdsProbe,
    SocketDirectoryProbe,
    parse_node_probe,
    parse_socket_directory_probe,
)
from observe.cluster import Cluster
from observe.envoy import read_admin
from observe.wait import NotYet, Pace, eventually
from provision.objects import SCRATCH, Objects
from provision.phases import Cancelled
from provision.render import MANIFESTS, documents, render

PROBES = MANIFESTS / "probes"
SERVICE_ACCOUNT = "probe"
AT_ONCE = 8
SLICE = 0.5
_NO_REASON = "neither the pod nor its events say why"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Ended:
    """A probe pod that ended or cannot start, with what it said."""

    pod: Pod
    reason: str
    evidence: tuple[str, ...] = ()

    def refused(self, node: str) -> Refused:
        """As what it is to who asked for the probe."""
        in_the_way = any(word in self.reason for word in _IN_THE_WAY)
        return Refused(node, self.reason, (*self.pod.evidence, *self.evidence), by_policy=not in_the_way)


_IN_THE_WAY = ("ImagePull", "ErrImage", "InvalidImageName", "pull image", "NodeNotReady", "Unschedulable", _NO_REASON)
"""Words for what keeps a probe from running and says nothing about what it was to find out."""

_REFUSALS = ("HTTP 400", "HTTP 403", "HTTP 422")
_NO_RIGHT = "cannot create resource", "cannot patch resource"


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
        self._patience = patience
        self._lock = threading.Lock()
        self._ended = threading.Event()
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
                self._ended.set()
                raise

    def _pace(self, timeout: float) -> Pace:
        return Pace(timeout, 0.2, sleep=self._sleep)

    def _sleep(self, seconds: float) -> None:
        if self._ended.wait(seconds):
            raise Cancelled

    def _config_map(self, name: str, data: dict[str, str]) -> None:
        metadata = {"name": name, "namespace": self.namespace()}
        self._objects.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})

    def _pod(self, manifest: Path, node: str, variables: dict[str, str]) -> dict[str, Any]:
        # A node's name may hold dots, a pod's name must not end in what would then be a label; 40 characters keep it legal.
        label = node.replace(".", "-")[-40:].strip("-")
        given = {"NAMESPACE": self.namespace(), "NODE": node, "NODE_LABEL": label, **variables}
        return documents(manifest, given)[0]

    def _printed(self, node: str, document: dict[str, Any], parse: Callable[[str, str, tuple[str, ...]], T]) -> T | Refused:
        """What a probe that prints its report and ends has printed."""
        made = self._make(node, document)
        if isinstance(made, Refused):
            return made
        ended = self._until(document, made, lambda pod: pod if pod.phase == "Succeeded" else None)
        if isinstance(ended, _Ended):
            return ended.refused(node)
        log = self._cluster.logs(ended.namespace, ended.name, "probe")
        self._objects.delete("v1", "Pod", ended.name, namespace=ended.namespace)
        return parse(log.document, node, (*ended.evidence, log.evidence))

    def _sds_probe(self, node: str, document: dict[str, Any]) -> SdsProbe | Refused:
        made = self._make(node, document)
        if isinstance(made, Refused):
            return made
        running = self._until(document, made, lambda pod: pod if pod.ready else None)
        if isinstance(running, _Ended):
            return running.refused(node)
        try:
            return self._asked(node, running)
        finally:
            self._objects.delete("v1", "Pod", running.name, namespace=running.namespace)

    def _asked(self, node: str, pod: Pod) -> SdsProbe | Refused:
        """What Envoy holds as soon as it holds a certificate, or after the patience of one probe."""
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
                raise NotYet("the socket has not supplied the secret default")
            at = answers[envoy.ACTIVE_SECRETS].read_at
            return SdsProbe(node, pod.namespace, pod.service_account, leaf, "", at, (*pod.evidence, *evidence))

        try:
            return eventually(f"an identity from the socket of {node}", look, self._pace(self._patience / 4))
        except CouldNotTell as error:
            if not evidence:
                return Refused(node, f"its Envoy could not be asked: {error.seen}", pod.evidence, by_policy=False)
            log = self._cluster.logs(pod.namespace, pod.name, "istio-proxy", tail=40)
            said = [line for line in str(log.document).splitlines() if "StreamSecrets" in line]
            reason = said[-1].partition("] ")[2] if said else error.seen
            found = (*pod.evidence, *evidence, log.evidence)
            return SdsProbe(node, pod.namespace, pod.service_account, None, reason, datetime.now(UTC), found)

    def _make(self, node: str, document: dict[str, Any]) -> dict[str, Any] | Refused:
        try:
            return self._objects.apply(document)
        except ProvisioningFailed as error:
            by_policy = error.seen.startswith(_REFUSALS) and not any(word in error.seen for word in _NO_RIGHT)
            pods = self._cluster.pods(document["metadata"]["namespace"])
            return Refused(node, error.seen, tuple(e for pod in pods for e in pod.evidence), by_policy=by_policy)

    def _until(self, document: dict[str, Any], made: dict[str, Any], there: Callable[[Pod], Pod | None]) -> Pod | _Ended:
        """Waits until a probe pod is there, or has ended otherwise, or cannot start in time."""
        name, namespace = made["metadata"]["name"], document["metadata"]["namespace"]
        last: Pod | None = None

        def look() -> Pod | _Ended:
            nonlocal last
            seen = self._cluster.pod(namespace, name)
            if isinstance(seen, Absent):
                raise NotYet(str(seen))
            last = seen
            found = there(last)
            if found is not None:
                return found
            if last.phase in ("Failed", "Succeeded"):
                return _Ended(last, _why(last))
            raise NotYet(_why(last))

        try:
            return eventually(f"the probe pod {namespace}/{name}", look, self._pace(self._patience))
        except CouldNotTell:
            if last is None:
                raise
            # A volume that cannot be mounted shows in the pod's events alone.
            warnings = [
                event
                for event in self._cluster.events(namespace)
                if event.type == "Warning" and event.about == f"Pod/{last.name}"
            ]
            said = "; ".join(dict.fromkeys(f"{w.reason}: {w.message}" for w in warnings))
            reason = f"not there after {self._patience:g} s: {_why(last)}; {said or _NO_REASON}"
            return _Ended(last, reason, tuple(dict.fromkeys(e for w in warnings for e in w.evidence)))


def _why(pod: Pod) -> str:
    """What a pod says about its own state."""
    said = [f"{c.reason} {c.message}".strip() for c in pod.containers if c.reason]
    said += [c.message for c in pod.conditions if c.status != "True" and c.message]
    return "; ".join(dict.fromkeys(said)) or pod.message or pod.phase
