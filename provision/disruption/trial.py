"""A trial: the suite acts on the source of identities while test pods call each other and their proxies are watched."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from facts.document import Absent
from facts.errors import CouldNotTell
from facts.kubernetes.objects import Pod
from facts.over_time.history import History
from facts.over_time.outage import Outage
from facts.proxies.identity import ProxyIdentity
from facts.traffic.load import Load
from observe.kubernetes.cluster import Cluster
from observe.proxies.watch import Watch
from observe.traffic.load import PlannedLoad, Running, under_load
from observe.wait import NotYet, wait_until
from provision.disruption.lifetimes import Lifetimes
from provision.disruption.outages import OngoingOutage
from provision.names import HTTP, TCP
from provision.pods.clients_and_servers import SECOND_SOCKET, TestPods

TOO_LATE = 10
"""Seconds past its interval after which the suite stops waiting for a renewal: more than the budget of any scenario."""


@dataclass(slots=True)
class Trial:
    """Proxies that the suite watches while it acts on the source of their identities, and the loads between them.

    Attributes:
        cluster: Reads the cluster.
        watch: Watch of the proxies at both ends of all loads.
        pods: Pods of these proxies, as they were at the beginning.
        running: Loads, in the given order.
        lifetimes: Lifetimes of certificates from the mesh's own socket, and from the second one.
    """

    cluster: Cluster
    watch: Watch
    pods: tuple[Pod, ...]
    running: tuple[Running, ...]
    lifetimes: tuple[Lifetimes, ...]

    @property
    def slowest_renewal(self) -> int:
        """Seconds within which every watched proxy gets a new certificate in a healthy install."""
        return max(each.renewal for each in self.lifetimes)

    def lifetimes_of(self, history: History) -> Lifetimes:
        """Return the lifetimes of the certificates that a proxy gets from its socket."""
        on_second = history.latest is not None and history.latest.socket_path.endswith(f"/{SECOND_SOCKET}")
        return self.lifetimes[-1 if on_second else 0]

    def await_renewals(self, count: int, patience: float) -> None:
        """Wait until each proxy has had so many new certificates, or one proxy has waited too long for its next one.

        Args:
            count: Number of new certificates.
            patience: Additional seconds for reading the proxies.

        Raises:
            CouldNotTell: A proxy cannot be read.
        """

        def look(histories: Sequence[History]) -> None:
            late = [h for h in histories if h.waiting > self.lifetimes_of(h).renewal + TOO_LATE]
            behind = [f"{h.pod}: {len(h.svids) - 1}" for h in histories if len(h.svids) <= count]
            if behind and not late:
                raise NotYet(f"new certificates so far: {', '.join(behind)}")

        longest = count * (self.slowest_renewal + TOO_LATE) + patience
        self.watch.until(f"each proxy has had {count} new certificates, or is late", look, longest)

    def await_each(self, what: str, lacks: Callable[[ProxyIdentity], str], patience: float) -> None:
        """Wait until the suite has seen every watched proxy in a state.

        Args:
            what: State, as a sentence.
            lacks: Returns what a proxy lacks of that state; empty where it lacks nothing.
            patience: Seconds.

        Raises:
            CouldNotTell: A proxy was not in that state in time.
        """

        def look(histories: Sequence[History]) -> None:
            said = [(h.pod, lacks(h.latest) if h.latest else "was not read yet") for h in histories]
            if behind := [f"{pod} {words}" for pod, words in said if words]:
                raise NotYet("; ".join(behind))

        self.watch.until(what, look, patience)

    def give_each_time(self, what: str, has: Callable[[History], bool], seconds: float) -> None:
        """Wait until each proxy is in a state, or the time is over; a judgment then says which proxies are late.

        Args:
            what: State of a proxy, as in "has a new certificate".
            has: True where a proxy is in that state.

        Raises:
            CouldNotTell: A proxy cannot be read.
        """
        until = datetime.now(UTC) + timedelta(seconds=seconds)

        def look(histories: Sequence[History]) -> None:
            lacking = [str(h.pod) for h in histories if not has(h)]
            if lacking and datetime.now(UTC) < until:
                raise NotYet(", ".join(lacking))

        self.watch.until(f"each proxy {what}, or is late", look, seconds + TOO_LATE)

    def node_of(self, name: str) -> str:
        """Return the node of a pod."""
        return next(pod.node for pod in self.pods if pod.name == name)

    def pod_now(self, before: Pod) -> Pod:
        """Return a pod as it is now.

        Raises:
            CouldNotTell: The pod is gone.
        """
        after = self.cluster.pod(before.namespace, before.name)
        if isinstance(after, Absent):
            raise CouldNotTell(
                expected="the pod to stay", seen=str(after), where=str(before.ref), remedy="find out who removed it"
            )
        return after

    def also(self, *pods: Pod) -> None:
        """Watch further proxies from now on."""
        self.watch.follow(*pods)
        self.pods = (*self.pods, *pods)

    def end(self) -> tuple[Load, ...]:
        """End the loads and the watch; a second call returns the same.

        Raises:
            CouldNotTell: A load generator exited early.
        """
        loads = tuple(running.end() for running in self.running)
        self.watch.stop()
        return loads

    @property
    def histories(self) -> tuple[History, ...]:
        """Histories of the proxies so far."""
        return self.watch.histories

    @contextmanager
    def without(self, taken: AbstractContextManager[OngoingOutage]) -> Iterator[OngoingOutage]:
        """Enter an outage, and put it on the timeline."""
        with taken as going, self.watch.acting(f"{going.of} is away"):
            self.watch.note(going.of, going.shown_by, going.gone)
            yield going
        self.watch.note(going.of, "it is back", going.outage.back)

    def past_the_end(self, taken: AbstractContextManager[OngoingOutage], spare: float) -> Outage:
        """Let an outage last until so many seconds after the last certificate has expired."""
        with self.without(taken) as going:
            last_end = max(history.svids[-1].what.not_after for history in self.histories)
            wait_until(last_end + timedelta(seconds=spare))
            found = (self.cluster.pod(pod.namespace, pod.name) for pod in self.pods)
            going.suffering = tuple(pod for pod in found if isinstance(pod, Pod))
        return going.outage

    def past_renewals(self, taken: AbstractContextManager[OngoingOutage], count: int) -> Outage:
        """Let an outage last until each proxy has had so many new certificates during it, or the time for them is over."""
        with self.without(taken) as going:
            gone = going.gone
            self.give_each_time(
                f"has had {count} new certificates",
                lambda history: sum(at > gone for at in history.taken_up) >= count if gone else False,
                count * self.slowest_renewal + 10,
            )
        return going.outage

    def go_on(self, seconds: float) -> None:
        """Let the loads go on for so many seconds after the last look at a proxy."""
        latest = max(h.last_look for h in self.histories if h.last_look is not None)
        wait_until(latest + timedelta(seconds=seconds))


@contextmanager
def trial_of(
    title: str,
    cluster: Cluster,
    pods: Sequence[Pod],
    planned: Sequence[PlannedLoad] = (),
    lifetimes: Sequence[Lifetimes] = (),
) -> Iterator[Trial]:
    """Begin a trial; on exit end it, and draw its timeline in any case.

    Args:
        title: Title of the timeline.
        cluster: Reads the cluster.
        pods: Pods whose proxies the suite watches.
        planned: Loads between them.
        lifetimes: Lifetimes of certificates from the mesh's own socket, and from the second one.
    """
    with ExitStack() as stack:
        watch = Watch(cluster, pods)
        running: tuple[Running, ...] = ()
        # Drawn after everything has ended, also where the scenario fails: then the user needs it most.
        stack.callback(lambda: watch.timeline(title, [r.load for r in running if r.load is not None]))
        stack.enter_context(watch)
        running = stack.enter_context(under_load(cluster, planned))
        yield Trial(cluster, watch, tuple(pods), running, tuple(lifetimes))


def planned_load(test_pods: TestPods, client: str, server: str, rate: float, *, keep: bool) -> PlannedLoad:
    """Return a load between two test pods, as soon as the client knows the server.

    Args:
        client: Name of the client.
        server: Name of the server.
        rate: Requests a second.
        keep: True for all requests over one TCP connection, False for one HTTP request each.
    """
    calling, called = test_pods.known_to(client, server)
    address = f"{server}.{test_pods.namespace(server)}"
    url = f"tcp://{address}:{TCP}" if keep else f"http://{address}:{HTTP}/"
    return PlannedLoad(calling, called, url, rate, keep)
