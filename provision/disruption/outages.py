"""Outages: what workload identities come from, taken away for a while and brought back.

Each is a context manager. It hands over the outage while it lasts, and puts back what it took however it is left, Ctrl-C
included. What an operator would do is done: a DaemonSet is restarted or sent where no node is, a Deployment is scaled, a
machine stands still. None of them waits for what it was done to see: how proxies come through it is the scenario's business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from facts.document import when
from facts.errors import CouldNotTell, ProvisioningFailed
from facts.kubernetes.objects import Pod
from facts.kubernetes.workloads import Deployment
from facts.over_time.outage import Outage
from facts.recorder import KeptInMemory
from facts.teleport.tbot import Tbot
from observe.kubernetes.cluster import Cluster
from observe.wait import NotYet, Pace, eventually
from provision.disruption.machines import Machines
from provision.disruption.supply import await_supply, supplied
from provision.disruption.undo import put_back
from provision.objects import Objects

NOWHERE = {"conformance.teleport-istio/nowhere": "here"}
"""A node selector that no node has."""


@dataclass(slots=True)
class UnderWay:
    """An outage as it goes on.

    Attributes:
        of: What is away.
        shown_by: What that is seen by, as a sentence.
        ordered: When it was told to go; likewise the others, each None until then.
        evidence: Ids of the readings so far.
        suffering: See `Outage`.
    """

    of: str
    shown_by: str
    ordered: datetime = field(default_factory=lambda: datetime.now(UTC))
    gone: datetime | None = None
    recalled: datetime | None = None
    back: datetime | None = None
    evidence: list[str] = field(default_factory=list)
    suffering: tuple[Pod, ...] = ()

    @property
    def outage(self) -> Outage:
        """The outage, once it is over."""
        if self.gone is None or self.recalled is None or self.back is None:
            raise LookupError(f"{self.of} is still away")
        moments = self.ordered, self.gone, self.recalled, self.back
        return Outage(self.of, *moments, self.shown_by, tuple(self.evidence), self.suffering)


class Outages:
    """Outages of one install as a whole.

    Args:
        objects: The cluster, as something to change.
        cluster: The cluster, as something to look at.
        tbot: tbot as it is installed.
        istiod: Deployments of istiod.
        machines: Finds the machines, where they are the suite's own.
        pace: Patience for whatever goes or comes back.
    """

    def __init__(
        self,
        objects: Objects,
        cluster: Cluster,
        *,
        tbot: Tbot,
        istiod: Sequence[Deployment],
        machines: Callable[[], Machines],
        pace: Pace,
    ) -> None:
        self._objects = objects
        self._cluster = cluster
        self._unrecorded = cluster.recording_to(KeptInMemory())
        self._tbot = tbot
        self._istiod = tuple(istiod)
        self._machines = machines
        self._pace = pace
        self._supplied: frozenset[str] | None = None

    @contextmanager
    def whole_again(self) -> Iterator[Outages]:
        """Itself, until the outages of a scenario are over and every Envoy that was supplied before is so again."""
        before = supplied(self._unrecorded)
        try:
            yield self
        finally:
            await_supply(self._unrecorded, self._pace, of=before)

    def restart_tbot(self) -> Outage:
        """tbot, restarted node by node as ``kubectl rollout restart`` does; over when each node has another one."""
        before = {pod.uid for pod in self._tbots(self._unrecorded)}
        ordered = datetime.now(UTC)
        self._objects.restart("DaemonSet", self._tbot.daemon_set.name, namespace=self._tbot.daemon_set.namespace)
        self._await_tbot()

        def look() -> None:
            pods = self._tbots(self._unrecorded)
            if still := [p for p in pods if p.uid in before]:
                raise NotYet(f"{len(still)} of {len(pods)} pods are those of before")

        eventually("every tbot is another one than before", look, self._pace)
        back = datetime.now(UTC)
        shown_by = "each of its pods is another one, and Ready"
        pods = self._tbots(self._cluster)
        # A rollout takes one node after the other: on the last one it begins when it is over on all others.
        anew = {pod.node: when(pod.created_at, str(pod.ref)) for pod in pods}
        return Outage("tbot", ordered, ordered, ordered, back, shown_by, tuple(_evidence(pods)), anew=anew)

    @contextmanager
    def without_tbot(self, then: Callable[[], None] = lambda: None) -> Iterator[UnderWay]:
        """No tbot on any node: its DaemonSet asks for a node that there is not.

        Args:
            then: Called when tbot has been told to go, and before it is seen to be gone.
        """
        going = UnderWay("tbot", "none of its pods is left")

        def look() -> None:
            if pods := self._tbots(self._unrecorded):
                raise NotYet(f"{len(pods)} pods")

        with ExitStack() as undo:
            undo.callback(self._bring_back_tbot, going)
            self._send_tbot(NOWHERE)
            then()
            eventually("no tbot is left", look, self._pace)
            going.gone = datetime.now(UTC)
            going.evidence += self._daemon_set_evidence()
            yield going
            _must_still_hold(look, going)

    def _bring_back_tbot(self, going: UnderWay) -> None:
        going.recalled = datetime.now(UTC)
        daemon_set, key = self._tbot.daemon_set, next(iter(NOWHERE)).replace("/", "~1")
        by_hand = (
            f"kubectl patch daemonset {daemon_set.name} -n {daemon_set.namespace} --type json"
            f""" -p '[{{"op": "remove", "path": "/spec/template/spec/nodeSelector/{key}"}}]'"""
        )
        put_back("tbot may run again", lambda: self._send_tbot(dict.fromkeys(NOWHERE)), self._pace, by_hand=by_hand)
        self._await_tbot()
        going.back = datetime.now(UTC)
        going.evidence += _evidence(self._tbots(self._cluster))

    @contextmanager
    def without_teleport(self) -> Iterator[UnderWay]:
        """Teleport, which keeps its address and does not answer: all processes of its container stand still."""
        machines = self._machines()
        going = UnderWay("Teleport", "Docker says that all processes of its container are paused")
        with ExitStack() as over:
            over.callback(self._see_it_back, going, machines)
            with machines.paused(machines.teleport):
                going.evidence.append(_must_be("paused", machines))
                going.gone = datetime.now(UTC)
                try:
                    yield going
                finally:
                    going.recalled = datetime.now(UTC)

    def _see_it_back(self, going: UnderWay, machines: Machines) -> None:
        going.evidence.append(_must_be("running", machines))
        going.back = datetime.now(UTC)

    @contextmanager
    def without_istiod(self, pod: Mapping[str, Any]) -> Iterator[UnderWay]:
        """No istiod: its Deployments are scaled to 0.

        Args:
            pod: A pod that asks for injection: its admission is what istiod is seen to be back by.
        """
        going = UnderWay("istiod", "none of its pods is left")

        def look() -> None:
            if left := [p for d in self._istiod for p in self._pods_of(d)]:
                raise NotYet(f"{len(left)} pods")

        with ExitStack() as undo:
            undo.callback(self._bring_back_istiod, going, pod)
            for deployment in self._istiod:
                self._scale(deployment, 0)
            eventually("no istiod is left", look, self._pace)
            going.gone = datetime.now(UTC)
            going.evidence += _evidence(self._cluster.deployments(self._istiod[0].namespace))
            yield going
            _must_still_hold(look, going)

    def _bring_back_istiod(self, going: UnderWay, pod: Mapping[str, Any]) -> None:
        going.recalled = datetime.now(UTC)
        with ExitStack() as stack:  # each of them, whatever becomes of the others
            for deployment in self._istiod:
                name, namespace, replicas = deployment.name, deployment.namespace, deployment.desired
                by_hand = f"kubectl scale deployment {name} -n {namespace} --replicas {replicas}"
                scale = partial(self._scale, deployment, replicas)
                stack.callback(put_back, f"{name} has {replicas} replicas", scale, self._pace, by_hand=by_hand)
        for deployment in self._istiod:
            self._objects.await_ready("Deployment", deployment.name, self._pace, namespace=deployment.namespace)

        def look() -> None:
            try:
                self._objects.would_create(pod)
            except ProvisioningFailed as error:
                raise NotYet(error.seen) from error

        eventually("an injected pod is accepted", look, self._pace)
        going.back = datetime.now(UTC)
        going.evidence += _evidence(self._cluster.deployments(self._istiod[0].namespace))

    def _scale(self, deployment: Deployment, replicas: int) -> None:
        change = {"spec": {"replicas": replicas}}
        self._objects.patch("apps/v1", "Deployment", deployment.name, change, namespace=deployment.namespace)

    def _pods_of(self, deployment: Deployment) -> tuple[Pod, ...]:
        return self._unrecorded.pods(deployment.namespace, _selector(deployment.selector))

    def _tbots(self, cluster: Cluster) -> tuple[Pod, ...]:
        daemon_set = self._tbot.daemon_set
        return cluster.pods(daemon_set.namespace, _selector(daemon_set.selector))

    def _daemon_set_evidence(self) -> tuple[str, ...]:
        daemon_set = self._tbot.daemon_set
        return self._cluster.daemon_set(daemon_set.namespace, daemon_set.name).evidence

    def _send_tbot(self, selector: Mapping[str, str | None]) -> None:
        change = {"spec": {"template": {"spec": {"nodeSelector": dict(selector)}}}}
        daemon_set = self._tbot.daemon_set
        self._objects.patch("apps/v1", "DaemonSet", daemon_set.name, change, namespace=daemon_set.namespace)

    def _await_tbot(self) -> None:
        daemon_set = self._tbot.daemon_set
        self._objects.await_ready("DaemonSet", daemon_set.name, self._pace, namespace=daemon_set.namespace)


def _must_still_hold(look: Callable[[], None], going: UnderWay) -> None:
    """Sees that what was taken away has stayed away, before the suite brings it back."""
    try:
        look()
    except NotYet as back:
        raise CouldNotTell(
            expected=f"{going.of} to stay away until the suite brings it back",
            seen=f"{back}",
            where=going.of,
            remedy="see who brings it back meanwhile: an operator, GitOps, a colleague",
        ) from back


def _must_be(wanted: str, machines: Machines) -> str:
    """Sees that Teleport's container is as it must be; the id of the reading."""
    state, reading = machines.state(machines.teleport)
    if state != wanted:
        raise ProvisioningFailed(
            expected=f"Teleport's container to be {wanted}",
            seen=f"it is {state}",
            where=machines.teleport,
            remedy="see who else has it in hand: docker events",
        )
    return reading


def _selector(labels: Mapping[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in labels.items())


def _evidence(found: Sequence[Pod] | Sequence[Deployment]) -> list[str]:
    return list(dict.fromkeys(e for each in found for e in each.evidence))
