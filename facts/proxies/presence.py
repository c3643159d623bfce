"""A pod in a living cluster: whether it is still the one that was listed, and how far its proxy has started.

By the pod's own status, not by its age: a classic sidecar starts when the last init container has ended, whenever that is.
A time that is missing or damaged excuses nothing, and keeps no other pod from being judged.
Source: Kubernetes, pod lifecycle (init containers run one after the other; a native sidecar counts as done once it has
started) and pod conditions (``PodReadyToStartContainers``: volumes are mounted, and the sandbox has its network).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto

from facts.document import SKEW, Absent, when
from facts.errors import CouldNotTell
from facts.kubernetes.objects import Pod, condition_holds
from facts.kubernetes.pod_spec import PROXY, Container

STARTING = timedelta(seconds=60)
"""Time that a proxy has to come up, from the moment at which nothing keeps it from starting."""

HELD_AT_MOST = timedelta(minutes=10)
"""Time for which an init container of the application may run before it seems to hang: migrations take minutes, not days."""

LEAVES_WITHIN = timedelta(minutes=5)
"""Time past its grace period in which a deleted pod goes away: the kubelet ends its containers and unmounts its volumes."""

ISTIOS_OWN = ("istio-init", "istio-validation")
"""Init containers that Istio's templates add; where one of them does not end, the mesh keeps the pod from starting."""

_NOT_BEGUN = ("", "PodInitializing", "ContainerCreating")
"""Reasons of a waiting container about which the kubelet has nothing to say yet."""


def why_gone(listed: Pod, now: Pod | Absent) -> str:
    """The reason why a listed pod is no part of the fleet any more; empty where it still is.

    Args:
        now: The answer to the same name now.
    """
    if isinstance(now, Absent):
        return "it was deleted while the suite read the fleet"
    if now.uid != listed.uid:
        return "another pod took its name while the suite read the fleet"
    if now.terminating:
        return "it began to terminate while the suite read the fleet"
    return f"it ended while the suite read the fleet ({now.phase})" if now.has_ended else ""


def overstays(pod: Pod, at: datetime) -> bool:
    """Whether a pod that was deleted should be gone for long, and is still there; its containers may run on.

    Args:
        at: UTC time of the reading of the pod.
    """
    due = _time(pod.due)
    return pod.terminating and not pod.has_ended and (due is None or at - due >= LEAVES_WITHIN)


class Stage(Enum):
    """How far the proxy of a pod has started.

    Attributes:
        UP: It is started or ready.
        STARTING: Nothing keeps it from starting, and it has not had its time yet.
        HELD: An init container of the application has not ended.
        HELD_FOR_GOOD: An init container of the application fails.
        DOWN: It should be up.
    """

    UP = auto()
    STARTING = auto()
    HELD = auto()
    HELD_FOR_GOOD = auto()
    DOWN = auto()

    @property
    def may_pass(self) -> bool:
        """Waiting alone may bring the proxy up."""
        return self in (Stage.STARTING, Stage.HELD)


@dataclass(frozen=True, slots=True)
class Start:
    """The start of one pod's proxy.

    Attributes:
        stage: How far it has come.
        said: What shows it; empty for `Stage.UP`, and where the kubelet gives no reason.
    """

    stage: Stage
    said: str = ""


def start_of(pod: Pod, at: datetime) -> Start:
    """How far the proxy of a pod had started.

    Args:
        at: UTC time of the reading of the pod.
    """
    proxy = pod.proxy
    if proxy is None:
        return Start(Stage.DOWN)
    if proxy.ready or proxy.started:
        return Start(Stage.UP)
    blocking = next((c for c in _before(pod) if not _is_done(c)), None)
    if blocking is not None and blocking.name not in ISTIOS_OWN and _holds_up(blocking, pod):
        failing = blocking.restarts > 0 or blocking.reason not in _NOT_BEGUN
        reason = f" ({blocking.reason or 'restarted'})" if failing else ""
        stage = Stage.HELD_FOR_GOOD if failing else Stage.HELD
        return Start(stage, f"its init container {blocking.name} keeps istio-proxy from starting{reason}")
    if is_in_its_first_time(pod, at):
        return Start(Stage.STARTING, "its istio-proxy is starting")
    waiting = blocking if blocking is not None and blocking.reason else proxy
    return Start(Stage.DOWN, waiting.reason)


def is_held_of_late(pod: Pod, at: datetime) -> bool:
    """Whether an init container of the application keeps a proxy from starting, and has had less than `HELD_AT_MOST`.

    Args:
        at: UTC time of the reading of the pod.
    """
    if start_of(pod, at).stage is not Stage.HELD:
        return False
    moments = [_time(text) for text in (pod.created_at, *(t for c in _before(pod) for t in (c.started_at, c.ended_at)))]
    since = max((moment for moment in moments if moment is not None), default=None)
    return since is not None and _is_recent(since, at, HELD_AT_MOST)


def was_reached(container: Container) -> bool:
    """Whether the kubelet has come to a container: the pod's volumes are mounted, and its sandbox is made."""
    return container.state in ("running", "terminated") or container.restarts > 0 or container.reason not in _NOT_BEGUN


def is_in_its_first_time(pod: Pod, at: datetime, within: timedelta = STARTING) -> bool:
    """Whether a proxy, up or not, has not had some time yet, so that what it lacks may still come.

    Of a proxy that has restarted the first start counts: restarts buy it no further time.

    Args:
        at: UTC time of the reading of the proxy.
        within: The time.
    """
    could_start = _could_start(pod, pod.proxy) if pod.proxy is not None else None
    return could_start is not None and _is_recent(could_start, at, within)


def is_in_its_first_start(pod: Pod, container: Container, at: datetime) -> bool:
    """Whether a container has not had `STARTING` yet, and its pod has not been Ready since it started.

    A condition keeps the time of its last change: a pod that was Ready lost that after the start, one that still waits to
    be Ready has not changed since.

    Args:
        pod: The pod, which is not Ready.
        at: UTC time of the reading of the pod.
    """
    began = _time(container.started_at)
    if began is None or not _is_recent(began, at):
        return False
    lost = [_time(c.since) for c in pod.conditions if c.type == "Ready" and c.since]
    return not any(moment is not None and moment > began for moment in lost)


def last_end(container: Container) -> datetime | None:
    """UTC time at which a container ended the last time; None where it never did, or no time is known."""
    ends = (_time(container.last_ended), _time(container.ended_at))
    return max((moment for moment in ends if moment is not None), default=None)


def ready_since(pod: Pod, container: Container) -> datetime | None:
    """UTC time since when a Ready pod is Ready with the present run of one of its containers; None where none is known."""
    since = [_time(c.since) for c in pod.conditions if c.type == "Ready"]
    return max((moment for moment in (*since, _time(container.started_at)) if moment is not None), default=None)


def restarted_while_starting(pod: Pod) -> bool:
    """Whether every restart of a pod's proxy belongs to the start of the pod.

    The API keeps only the last end of a container, and not when the pod first became Ready. So the last end counts: it
    belongs to the start up to `STARTING` after the pod was initialized.
    """
    proxy = pod.proxy
    if proxy is None or not proxy.restarts:
        return False
    last, since = _time(proxy.last_ended), initialized(pod)
    return last is not None and since is not None and last - since < STARTING


def made_at(pod: Pod) -> datetime | None:
    """UTC time at which a pod was created; None where its status has none that can be read."""
    return _time(pod.created_at)


def initialized(pod: Pod) -> datetime | None:
    """UTC time at which all init containers of a pod had ended or, as native sidecars, started; before that its creation."""
    since = next((c.since for c in pod.conditions if c.type == "Initialized" and c.status == "True" and c.since), "")
    return _time(since or pod.created_at)


def is_coming_up(pod: Pod, at: datetime) -> bool:
    """Whether waiting may change what a pod shows: it is not Ready yet, or its proxy restarted and may do so again.

    Args:
        at: UTC time of the reading of the pod.
    """
    if pod.proxy is None or not pod.node:
        return False  # no node takes it: nothing of it starts
    since = initialized(pod)
    is_young = since is not None and _is_recent(since, at)
    if pod.proxy.restarts and is_young:
        return True
    start = start_of(pod, at)
    return not pod.ready and (start.stage.may_pass or (start.stage is Stage.UP and is_young))


def _before(pod: Pod) -> Iterator[Container]:
    """The init containers that must be done before the proxy starts."""
    for container in pod.containers:
        if not container.is_init or container.name == PROXY:
            return
        yield container


def _is_done(container: Container) -> bool:
    if container.restart_policy == "Always":
        return container.started
    return container.state == "terminated" and container.exit_code == 0


def _holds_up(container: Container, pod: Pod) -> bool:
    """Whether a container that is not done is what keeps the next ones from starting, rather than the pod as a whole.

    Before the first container runs, the kubelet mounts volumes and makes the sandbox, and either may fail.
    """
    if was_reached(container):
        return True
    return condition_holds(pod.conditions, "PodReadyToStartContainers") or any(_is_done(c) for c in _before(pod))


def _could_start(pod: Pod, proxy: Container) -> datetime | None:
    """The moment from which nothing kept the proxy from starting; for one that has restarted, its first start."""
    if proxy.started_at and not proxy.restarts:
        return _time(proxy.started_at)
    moments = [_time(text) for text in (pod.created_at, *(c.ended_at for c in _before(pod)))]
    return max((moment for moment in moments if moment is not None), default=None)


def _is_recent(began: datetime, at: datetime, within: timedelta = STARTING) -> bool:
    """Tell whether less than `within` has passed. A time far in the future tells nothing: the node's clock is wrong."""
    return -SKEW <= at - began < within


def _time(text: str) -> datetime | None:
    try:
        return when(text, "a pod's status")
    except CouldNotTell:
        return None
