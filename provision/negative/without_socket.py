"""NEG-04: pods with their own empty socket directory, one with a non-default socket name, one with the default name."""

from __future__ import annotations

from typing import Any

from facts.document import Absent, Reading
from facts.kubernetes.objects import Pod
from facts.kubernetes.pod_spec import SOCKET_VOLUME
from facts.traffic.attempts import Candidate, NotRun
from facts.traffic.refusal import AttemptEnd, AttemptOutcome, of_agents_log
from observe.wait import NotYet, eventually
from provision.negative.probe import ProbeNamespaces
from provision.negative.untrusted_client import STRANGER
from provision.pods.running import last_words

CLOSED = "fail-closed"
OTHER_SOCKET = "conformance"
"""Socket name that is not `socket`, and on which no SDS server of any install listens."""


class PodsWithoutSocket:
    """Pods whose socket directory is empty.

    Args:
        probe_namespaces: Namespaces that they live in.
    """

    def __init__(self, probe_namespaces: ProbeNamespaces) -> None:
        self._namespaces = probe_namespaces

    def documents(self) -> list[dict[str, Any]]:
        """Return the objects of the pod with a non-default socket name; the untrusted client is the other pod."""
        return self._namespaces.documents("fail_closed.yaml", SOCKET_NAME=OTHER_SOCKET)

    def under_another_name(self) -> Candidate | NotRun:
        """Return the pod with a non-default socket name, once its agent has exited or the pod is Ready."""
        pod = self._namespaces.until(self._namespaces.namespace, CLOSED, lambda p: p.ready or _has_ended(p))
        if isinstance(pod, NotRun):
            return pod
        if pod.ready:
            return self._namespaces.ready(CLOSED)
        pods = self._namespaces.pods
        log = eventually(f"the last words of the agent in {pod.ref}", self._last_words, pods.pace(pods.patience))
        return Candidate(pod, None, of_agents_log(str(log.document)), (*pod.evidence, log.evidence))

    def under_the_usual_name(self) -> Candidate | NotRun:
        """Return the pod with the default socket name, once it is Ready or is seen to have another socket directory."""
        pod = self._namespaces.until(self._namespaces.namespace, STRANGER, lambda p: p.ready or not _has_no_socket(p))
        if isinstance(pod, Pod) and not pod.ready:
            outcome = AttemptOutcome(AttemptEnd.OTHER, "", "its socket directory is not its own")
            return Candidate(pod, None, outcome, pod.evidence)
        return self._namespaces.ready(STRANGER)

    def _last_words(self) -> Reading:
        cluster = self._namespaces.cluster
        pod = cluster.pod(self._namespaces.namespace, CLOSED)
        if isinstance(pod, Absent):
            raise NotYet(str(pod))
        return last_words(pod, cluster)


def _has_no_socket(pod: Pod) -> bool:
    volume = pod.spec.volume(SOCKET_VOLUME)
    return volume is not None and volume.source == "emptyDir"


def _has_ended(pod: Pod) -> bool:
    proxy = pod.proxy
    return proxy is not None and (proxy.last_exit_code is not None or proxy.exit_code is not None)
