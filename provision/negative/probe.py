"""Namespaces of the negative probes, in which the suite makes them and waits for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from facts.errors import CouldNotTell
from facts.kubernetes.objects import Pod
from facts.kubernetes.pod_spec import PROXY
from facts.proxies import envoy
from facts.svid import Certificate
from facts.traffic.attempts import Candidate, NotRun
from facts.traffic.refusal import AttemptEnd, AttemptOutcome, parse_ended_streams
from observe.install import Install
from observe.kubernetes.cluster import Cluster
from observe.proxies.envoy import read_admin, read_proxy
from observe.wait import NotYet, eventually, not_yet
from provision.objects import Objects, scratch_namespace
from provision.pods.membership import join
from provision.pods.probes import PROBES, Probes
from provision.pods.running import Ended, Pods
from provision.render import documents

SDS_CLUSTER = "sds-grpc"


class ProbeNamespaces:
    """Makes negative probes in two namespaces of the suite, one with injection and one without, and waits for them.

    Args:
        objects: Changes the cluster.
        cluster: Reads the cluster.
        install: Install that they try to get into.
        probes: Probe pods, which have the namespace without injection and which tbot must serve.
        image: Image with ``python3``.
        patience: Seconds to wait for one pod.
    """

    def __init__(
        self, objects: Objects, cluster: Cluster, install: Install, probes: Probes, *, image: str, patience: float
    ) -> None:
        self.objects = objects
        self.cluster = cluster
        self.install = install
        self.probes = probes
        self.image = image
        self.pods = Pods(objects, cluster, patience)
        self._to_remove = ""
        self._not_made: dict[str, Ended] = {}

    @property
    def namespace(self) -> str:
        """Name of the namespace with injection."""
        return scratch_namespace(self.objects.run_id, "negative")

    def open(self) -> None:
        """Make the namespace with injection; the probe pods make and remove the other one."""
        self._to_remove = self.namespace  # before it exists, see Probes.namespace
        (namespace,) = self.documents("injected_namespace.yaml")
        join(namespace, self.install.istio.planes(), self.install.istio.mesh())
        self.objects.apply(namespace)

    def close(self) -> None:
        """Remove that namespace and everything in it; nothing happens if there is none."""
        if self._to_remove:
            self.objects.delete("v1", "Namespace", self._to_remove)
            self._to_remove = ""

    def documents(self, manifest: str, **variables: str) -> list[dict[str, Any]]:
        """Return the objects of a manifest of the negative probes."""
        return documents(PROBES / manifest, {"NAMESPACE": self.namespace, "IMAGE": self.image, **variables})

    def make(self, made: Iterable[dict[str, Any]]) -> None:
        """Make objects, without waiting; a later wait for a pod that was not admitted says so.

        Raises:
            ProvisioningFailed: The API server refused an object other than a pod.
        """
        for document in made:
            if document["kind"] != "Pod":
                self.objects.apply(document)
            elif (refused := self.pods.make(document)) is not None:
                self._not_made[document["metadata"]["name"]] = refused

    def until(self, namespace: str, name: str, there: Callable[[Pod], bool]) -> Pod | NotRun:
        """Return a pod once it is as wanted, or why it will not be."""
        ended = self._not_made.get(name) or self.pods.until(namespace, name, there)
        return NotRun(name, ended.reason, ended.evidence, ended.by_policy) if isinstance(ended, Ended) else ended

    def ready(self, name: str) -> Candidate | NotRun:
        """Return a pod once it is Ready, with what its proxy holds."""
        pod = self.until(self.namespace, name, lambda p: p.ready)
        if isinstance(pod, NotRun):
            return pod
        proxy = read_proxy(self.cluster, pod)
        return Candidate(pod, proxy, AttemptOutcome(AttemptEnd.GRANTED), (*pod.evidence, *proxy.evidence))

    def answered(self, pod: Pod) -> tuple[Certificate | None, AttemptOutcome, tuple[str, ...]]:
        """Return the certificate that the SDS server gave to an Envoy, or its refusal, or a timeout."""
        evidence: tuple[str, ...] = ()

        def look() -> tuple[Certificate | None, AttemptOutcome]:
            nonlocal evidence
            with not_yet(CouldNotTell):  # the container runs before Envoy listens
                secrets = read_admin(self.cluster, pod, [envoy.ACTIVE_SECRETS])[envoy.ACTIVE_SECRETS]
            log = self.cluster.logs(pod.namespace, pod.name, PROXY, tail=200)
            evidence = (secrets.evidence, log.evidence)
            given = [s.chain[0] for s in envoy.parse_secrets(secrets.document) if s.name == envoy.LEAF and s.chain]
            if given:
                return given[0], AttemptOutcome(AttemptEnd.GRANTED)
            ended = [s.outcome for s in parse_ended_streams(str(log.document)) if s.cluster == SDS_CLUSTER]
            if refusals := [outcome for outcome in ended if outcome.kind is AttemptEnd.SDS]:
                return None, refusals[-1]
            raise NotYet(str(ended[-1]) if ended else "no certificate, and no reason in the log")

        try:
            leaf, outcome = eventually(f"an answer of the SDS server to {pod.ref}", look, self.pods.pace(self.pods.patience))
        except CouldNotTell as error:
            return None, AttemptOutcome(AttemptEnd.TIMEOUT, "", error.seen), evidence
        return leaf, outcome, evidence

    def nodes(self) -> list[str]:
        """Return the names of the nodes that host injected pods."""
        return sorted(self.install.proxies.pods_by_node())

    def sockets(self) -> list[tuple[str, str]]:
        """Return node and path of each socket of the mesh, as `Probes.of_sockets` takes them."""
        return [(node, path) for node in self.nodes() for path in self.install.tbot.sockets_on(node)]
