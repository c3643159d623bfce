"""NEG-04: workloads on an empty socket directory of their own, under another socket name and under the usual one."""

from __future__ import annotations

from typing import Any

from facts.document import Absent, Reading
from facts.errors import CouldNotTell
from facts.kubernetes.objects import Pod
from facts.kubernetes.pod_spec import PROXY
from facts.traffic.attempts import Candidate, NotRun
from facts.traffic.refusal import AttemptEnd, AttemptOutcome, of_agents_log
from observe.wait import NotYet, eventually
from provision.names import WORKLOAD_SOCKET
from provision.negative.probe import ProbeNamespaces
from provision.negative.untrusted_client import STRANGER

CLOSED = "fail-closed"
OTHER_SOCKET = "conformance"
"""A socket name that is not `socket`, and that no install has: nobody listens on it."""


class Socketless:
    """Workloads without a socket.

    Args:
        probe_namespaces: Where they live.
    """

    def __init__(self, probe_namespaces: ProbeNamespaces) -> None:
        self._namespaces = probe_namespaces

    def documents(self) -> list[dict[str, Any]]:
        """The objects of the workload with another socket name; the other one is the stranger."""
        return self._namespaces.documents("fail_closed.yaml", SOCKET_NAME=OTHER_SOCKET)

    def under_another_name(self) -> Candidate | NotRun:
        """The workload whose agent looks for a socket of another name, when that agent has ended, or is content."""
        pod = self._namespaces.until(self._namespaces.namespace, CLOSED, lambda p: p.ready or _has_ended(p))
        if isinstance(pod, NotRun):
            return pod
        if pod.ready:
            return self._namespaces.ready(CLOSED)
        pods = self._namespaces.pods
        log = eventually(f"the last words of the agent in {pod.ref}", self._last_words, pods.pace(pods.patience))
        return Candidate(pod, None, of_agents_log(str(log.document)), (*pod.evidence, log.evidence))

    def under_the_usual_name(self) -> Candidate | NotRun:
        """The workload that has no socket and looks for it by the usual name."""
        pod = self._namespaces.until(self._namespaces.namespace, STRANGER, lambda p: p.ready or not _has_no_socket(p))
        if isinstance(pod, Pod) and not pod.ready:
            return Candidate(
                pod, None, AttemptOutcome(AttemptEnd.OTHER, "", "its socket directory is not its own"), pod.evidence
            )
        return self._namespaces.ready(STRANGER)

    def _last_words(self) -> Reading:
        """The log of the last run of an agent that ends again and again, of which a new one may just have begun."""
        cluster, namespace = self._namespaces.cluster, self._namespaces.namespace
        pod = cluster.pod(namespace, CLOSED)
        proxy = None if isinstance(pod, Absent) else pod.proxy
        previous = proxy is not None and proxy.state != "terminated"
        try:
            return cluster.logs(namespace, CLOSED, PROXY, previous=previous, tail=50)
        except CouldNotTell as error:
            raise NotYet(error.seen) from error


def _has_no_socket(pod: Pod) -> bool:
    volume = pod.spec.volume(WORKLOAD_SOCKET)
    return volume is not None and volume.source == "emptyDir"


def _has_ended(pod: Pod) -> bool:
    proxy = pod.proxy
    return proxy is not None and (proxy.last_exit_code is not None or proxy.exit_code is not None)
