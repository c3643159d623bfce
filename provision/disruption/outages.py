"""Outages of the sources of workload identities: tbot, Teleport, istiod.

Each is a context manager that yields the outage while it lasts and undoes it on every way out, Ctrl-C included. The suite
does what an operator would do: it restarts a DaemonSet or moves it to a node that does not exist, scales a Deployment, or
pauses a machine. No outage waits for its effect on the proxies; the scenario does.
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
from facts.evidence import readings
from facts.kubernetes.objects import Pod
from facts.kubernetes.workloads import DaemonSet, Deployment
from facts.over_time.outage import Outage
from facts.provider.agents import Agent
from facts.recorder import KeptInMemory
from observe.kubernetes.cluster import Cluster
from observe.wait import NotYet, Pace, eventually, not_yet
from provision.disruption.machine_changes import paused
from provision.disruption.machines import Machines
from provision.disruption.supply import await_supply, supplied
from provision.disruption.undo import put_back
from provision.objects import Objects
from provision.runs.originals import Originals

NOWHERE = {"conformance.teleport-istio/nowhere": "here"}
"""A node selector that no node has."""

NO_REPLICA = {"spec": {"replicas": 0}}
"""Patch of a Deployment that scales it to none."""


@dataclass(slots=True)
class OngoingOutage:
    """An outage while it lasts.

    Attributes:
        of: Component that is down.
        shown_by: Observation that shows the outage, as a sentence.
        ordered: Time at which the suite began the outage.
        gone: Time at which the component was seen to be down; None until then.
        recalled: Time at which the suite began to end the outage; None until then.
        back: Time at which the component was seen to be back; None until then.
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
            raise LookupError(f"{self.of} is still down")
        moments = self.ordered, self.gone, self.recalled, self.back
        return Outage(self.of, *moments, self.shown_by, tuple(self.evidence), self.suffering)


class Outages:
    """Outages of one install as a whole.

    Args:
        objects: Changes the cluster.
        originals: Keeps what an outage changes until it is undone.
        cluster: Reads the cluster.
        tbot: tbot as it is installed.
        istiod: Deployments of istiod.
        machines: Finds the machines, where they are the suite's own.
        pace: Pace of the waits for what goes or returns.
    """

    def __init__(
        self,
        objects: Objects,
        originals: Originals,
        cluster: Cluster,
        *,
        tbot: Agent,
        istiod: Sequence[Deployment],
        machines: Callable[[], Machines],
        pace: Pace,
    ) -> None:
        self._objects = objects
        self._originals = originals
        self._cluster = cluster
        self._unrecorded = cluster.recording_to(KeptInMemory())
        self._daemon_set = tbot.daemon_set
        self._istiod = tuple(istiod)
        self._machines = machines
        self._pace = pace

    @contextmanager
    def whole_again(self) -> Iterator[Outages]:
        """Yield itself; on exit wait until tbot supplies every Envoy that it supplied before."""
        before = supplied(self._unrecorded)
        try:
            yield self
        finally:
            await_supply(self._unrecorded, self._pace, of=before)

    def restart_tbot(self) -> Outage:
        """Restart tbot node by node, as ``kubectl rollout restart`` does, and wait until each node has a new pod."""
        before = {pod.uid for pod in self._tbots(self._unrecorded)}
        ordered = datetime.now(UTC)
        self._objects.restart("DaemonSet", self._daemon_set.name, namespace=self._daemon_set.namespace)
        self._await_tbot()

        def look() -> None:
            pods = self._tbots(self._unrecorded)
            if still := [p for p in pods if p.uid in before]:
                raise NotYet(f"{len(still)} of {len(pods)} pods are not replaced yet")

        eventually("every tbot pod is replaced", look, self._pace)
        back = datetime.now(UTC)
        shown_by = "each of its pods was replaced and is Ready"
        pods = self._tbots(self._cluster)
        # A rollout takes one node after the other: on the last node it begins when it is over on all others.
        anew = {pod.node: when(pod.created_at, str(pod.ref)) for pod in pods}
        return Outage("tbot", ordered, ordered, ordered, back, shown_by, readings(*pods), anew=anew)

    @contextmanager
    def without_tbot(self, then: Callable[[], None] = lambda: None) -> Iterator[OngoingOutage]:
        """Remove tbot from every node: its DaemonSet selects a node that does not exist.

        Args:
            then: Called after that change, and before the suite waits until tbot is gone.
        """
        going = OngoingOutage("tbot", "none of its pods is left")
        away = {"spec": {"template": {"spec": {"nodeSelector": NOWHERE}}}}
        kept = self._keep("DaemonSet", self._daemon_set, away)
        with ExitStack() as undo:
            undo.callback(self._bring_back_tbot, going, kept)
            self._objects.patch("apps/v1", "DaemonSet", self._daemon_set.name, away, namespace=self._daemon_set.namespace)
            then()
            with self._without_pods(going, lambda: self._tbots(self._unrecorded)):
                going.evidence += self._cluster.daemon_set(self._daemon_set.namespace, self._daemon_set.name).evidence
                yield going

    def _bring_back_tbot(self, going: OngoingOutage, kept: str) -> None:
        going.recalled = datetime.now(UTC)
        daemon_set, key = self._daemon_set, next(iter(NOWHERE)).replace("/", "~1")
        by_hand = (
            f"kubectl patch daemonset {daemon_set.name} -n {daemon_set.namespace} --type json"
            f""" -p '[{{"op": "remove", "path": "/spec/template/spec/nodeSelector/{key}"}}]'"""
        )

        put_back("tbot may run again", partial(self._originals.restore, kept), self._pace, by_hand=by_hand)
        self._await_tbot()
        going.back = datetime.now(UTC)
        going.evidence += readings(*self._tbots(self._cluster))

    @contextmanager
    def without_teleport(self) -> Iterator[OngoingOutage]:
        """Let Teleport keep its address and not answer: Docker pauses all processes of its container."""
        machines = self._machines()
        going = OngoingOutage("Teleport", "Docker says that all processes of its container are paused")
        kept = self._originals.keep(paused(machines.teleport))
        with ExitStack() as over:
            over.callback(self._check_teleport_is_back, going, machines, kept)
            with machines.paused(machines.teleport):
                going.evidence.append(_must_be("paused", machines))
                going.gone = datetime.now(UTC)
                try:
                    yield going
                finally:
                    going.recalled = datetime.now(UTC)

    def _check_teleport_is_back(self, going: OngoingOutage, machines: Machines, kept: str) -> None:
        going.evidence.append(_must_be("running", machines))
        self._originals.forget(kept)
        going.back = datetime.now(UTC)

    @contextmanager
    def without_istiod(self, pod: Mapping[str, Any]) -> Iterator[OngoingOutage]:
        """Remove istiod: scale its Deployments to 0.

        Args:
            pod: Pod that asks for injection: its admission shows that istiod is back.
        """
        going = OngoingOutage("istiod", "none of its pods is left")
        kept: dict[str, str] = {}
        with ExitStack() as undo:
            undo.callback(self._bring_back_istiod, going, pod, kept)
            for deployment in self._istiod:
                kept[deployment.name] = self._keep("Deployment", deployment, NO_REPLICA)
                self._objects.patch(
                    "apps/v1", "Deployment", deployment.name, NO_REPLICA, namespace=deployment.namespace
                )  # fmt: skip
            with self._without_pods(going, lambda: [p for d in self._istiod for p in self._pods_of(d)]):
                going.evidence += readings(*self._cluster.deployments(self._istiod[0].namespace))
                yield going

    def _bring_back_istiod(self, going: OngoingOutage, pod: Mapping[str, Any], kept: Mapping[str, str]) -> None:
        if not kept:  # the first change was refused, and nothing is to be waited for
            return
        going.recalled = datetime.now(UTC)
        with ExitStack() as stack:  # each of them, even where another one fails
            for deployment in self._istiod:
                name, key = deployment.name, kept.get(deployment.name, "")
                for field in self._originals.fields(key):
                    by_hand = f"kubectl scale deployment {name} -n {deployment.namespace} --replicas {field.was}"
                    scale_back = partial(self._originals.restore, key)
                    stack.callback(put_back, f"{name} has {field.was} replicas", scale_back, self._pace, by_hand=by_hand)
        for deployment in self._istiod:
            self._objects.await_ready("Deployment", deployment.name, self._pace, namespace=deployment.namespace)

        def look() -> None:
            with not_yet(ProvisioningFailed):
                self._objects.would_create(pod)

        eventually("an injected pod is accepted", look, self._pace)
        going.back = datetime.now(UTC)
        going.evidence += readings(*self._cluster.deployments(self._istiod[0].namespace))

    @contextmanager
    def _without_pods(self, going: OngoingOutage, pods: Callable[[], Sequence[Pod]]) -> Iterator[None]:
        """Wait until a component has no pod left; at the end check that none has come back."""

        def look() -> None:
            if left := pods():
                raise NotYet(f"{len(left)} pods")

        eventually(f"no {going.of} is left", look, self._pace)
        going.gone = datetime.now(UTC)
        yield
        if back := pods():
            raise CouldNotTell(
                expected=f"{going.of} to stay down until the suite brings it back",
                seen=f"{len(back)} pods",
                where=going.of,
                remedy="find out what brought it back: an operator, GitOps, a colleague",
            )

    def _keep(self, kind: str, changed: DaemonSet | Deployment, change: Mapping[str, Any]) -> str:
        """Keep what a change will change; return the key to forget it by."""
        return self._originals.before_patch("apps/v1", kind, changed.name, change, namespace=changed.namespace)

    def _pods_of(self, deployment: Deployment) -> tuple[Pod, ...]:
        return self._unrecorded.pods(deployment.namespace, deployment.label_selector)

    def _tbots(self, cluster: Cluster) -> tuple[Pod, ...]:
        return cluster.pods(self._daemon_set.namespace, self._daemon_set.label_selector)

    def _await_tbot(self) -> None:
        self._objects.await_ready("DaemonSet", self._daemon_set.name, self._pace, namespace=self._daemon_set.namespace)


def _must_be(wanted: str, machines: Machines) -> str:
    """Check the state of Teleport's container, and return the id of the reading."""
    state, reading = machines.state(machines.teleport)
    if state != wanted:
        raise ProvisioningFailed(
            expected=f"Teleport's container to be {wanted}",
            seen=f"it is {state}",
            where=machines.teleport,
            remedy="find out what else controls it: docker events",
        )
    return reading
