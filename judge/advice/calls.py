"""Who calls whom in a mesh, and how often, by what the proxies of the callers have counted.

Proxies count since they started, and some have run for a month and others for an hour. So a way counts by its requests a
second, over the time for which its callers' proxies have run.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from facts.document import when
from facts.proxies.requests import Called, SentRequests
from facts.proxies.tls.outbound import Destination
from judge.advice.migration import Talk, name_of, ways_of
from judge.mtls.ends import Ends

SHORTEST = 5.0
"""Seconds that a proxy counts for at least: Envoy tells its uptime that roughly."""
_PARTS = 2**30
"""Parts of a request a second that weights are whole numbers of: sums of such weights are exact, in any order."""

OFF = "their proxies do not count requests (Istio's telemetry is off), and have too many endpoints to ask for each"
UNREAD = "the counts of their proxies could not be read"
SILENT = "their proxies have counted none, although others have taken requests from them"


@dataclass(frozen=True, slots=True)
class Calls:
    """Who calls whom.

    Attributes:
        ways: Every way of the mesh. One whose callers count weighs its requests a second, which may be none; any other as
            much as the average of those that are used, or 1 where none is.
        assumed: Workloads whose calls are assumed, with the reason: one of `OFF`, `UNREAD` and `SILENT`.
        counted_for: Seconds for which the proxies have counted, the shortest and the longest time; None where none counts.
    """

    ways: tuple[Talk, ...]
    assumed: Mapping[str, str]
    counted_for: tuple[float, float] | None

    @property
    def is_guessed(self) -> bool:
        """Calls are assumed and no request was counted, so that there is no average: those ways weigh the same."""
        return bool(self.assumed) and not self.counted and bool(self.guessed or not self.ways)

    @property
    def counted(self) -> tuple[Talk, ...]:
        """The ways with counted requests."""
        return tuple(way for way in self.ways if way.is_counted and way.weight)

    @property
    def unused(self) -> tuple[Talk, ...]:
        """The ways whose callers count, and have counted none."""
        return tuple(way for way in self.ways if way.is_counted and not way.weight)

    @property
    def guessed(self) -> tuple[Talk, ...]:
        """The ways whose callers do not count."""
        return tuple(way for way in self.ways if not way.is_counted)


def calls_of(ends: Ends, requests: Mapping[str, SentRequests], without: Collection[str] = ()) -> Calls:
    """Tell who calls whom.

    Requests to what is no way of the mesh (outside of it, in plain text, to the workload itself) do not count.

    Args:
        ends: The mesh.
        requests: What each proxy has sent, by uid of its pod; nothing of one that could not be read.
        without: Uids of pods that do not count.
    """
    uids: dict[str, list[str]] = defaultdict(list)
    for uid in ends.identities:
        if uid not in without:
            uids[name_of(ends.pods[uid])].append(uid)
    callers = frozenset(name for sent in requests.values() for name in sent.callers)
    assumed = {
        name: why for name, of in uids.items() if (why := _why_assumed(name, [requests.get(uid) for uid in of], callers))
    }
    counting = [uid for name, of in uids.items() if name not in assumed for uid in of]
    rates, seconds = _rates(ends, requests, counting, uids.keys())
    # A proxy of which only one of the two readings succeeded is in no workload.
    ways = [way for way in ways_of(ends, without) if {way.client, way.server} <= uids.keys()]
    used = [rate for way in ways if way.client not in assumed and (rate := rates[way.client, way.server])]
    average = _exact(sum(used) / len(used)) if used else 1
    return Calls(
        tuple(
            Talk(way.client, way.server, average)
            if way.client in assumed
            else Talk(way.client, way.server, rates[way.client, way.server], is_counted=True)
            for way in ways
        ),
        dict(sorted(assumed.items())),
        (min(seconds), max(seconds)) if seconds else None,
    )


def _why_assumed(name: str, sent: Sequence[SentRequests | None], callers: Collection[str]) -> str:
    """Why the calls of a workload are not counted; empty where they are."""
    found = [each for each in sent if each is not None]
    if len(found) < len(sent):
        return UNREAD
    if not all(each.is_counting for each in found):
        return OFF
    return SILENT if name in callers and not any(any(each.sent.values()) for each in found) else ""


def _rates(
    ends: Ends, requests: Mapping[str, SentRequests], uids: Iterable[str], workloads: Collection[str]
) -> tuple[defaultdict[tuple[str, str], float], list[float]]:
    """Requests a second, by client and server, of the pods with these uids, and the seconds for which each has counted."""
    rates: defaultdict[tuple[str, str], float] = defaultdict(float)
    seconds: list[float] = []
    services: dict[int, _Services] = {}
    for uid in uids:
        sent, destinations = requests[uid], ends.tls[uid].destinations if uid in ends.tls else ()
        if id(destinations) not in services:  # proxies with the same destinations share them
            services[id(destinations)] = _Services(destinations, ends, workloads)
        known = services[id(destinations)]
        since = ends.identities[uid].started_at
        seconds.append(_seconds(since, sent))
        client = name_of(ends.pods[uid])
        for called, number in sent.sent.items():
            servers = known.behind(called)
            endpoint = ends.at(called.address)
            ran = _seconds(max(since, when(endpoint.created_at, str(endpoint.ref))) if endpoint else since, sent)
            for server in servers:
                rates[client, server] += _exact(number / ran / len(servers))
    return rates, seconds


def _seconds(since: datetime, sent: SentRequests) -> float:
    """Seconds for which requests were counted, since the proxy started, or since the endpoint that they went to was made."""
    return max((sent.read_at - since).total_seconds(), SHORTEST)


def _exact(rate: float) -> float:
    """A rate rounded to a whole number of parts, of which what is not 0 is at least one."""
    return max(round(rate * _PARTS), 1) / _PARTS if rate else 0


class _Services:
    """The workloads behind the services that a proxy knows."""

    def __init__(self, destinations: Iterable[Destination], ends: Ends, workloads: Collection[str]) -> None:
        self._workloads = workloads
        self._ends = ends
        self._by_istios_name: dict[str, dict[str, None]] = defaultdict(dict)
        self._by_host: dict[str, dict[str, None]] = defaultdict(dict)
        for host, istios_name, name in _endpoints(destinations, ends):
            self._by_istios_name[istios_name][name] = None
            self._by_host[host][name] = None

    def behind(self, called: Called) -> Sequence[str]:
        """The workloads that requests are meant for; none where that is no workload of the mesh.

        Of a request that reached none, and of one that reached a workload which is gone, they are all that stand behind the
        service today. Istio names the workload of a CronJob's pod, for one, otherwise than its owner is called.
        """
        if called.address:
            pod = self._ends.at(called.address)
            return (name_of(pod),) if pod is not None else ()
        if called.workload in self._workloads:
            return (called.workload,)
        named = self._by_istios_name.get(called.workload, {}) if called.workload else {}
        return tuple(named or self._by_host.get(called.service, {}))


def _endpoints(destinations: Iterable[Destination], ends: Ends) -> Iterator[tuple[str, str, str]]:
    """Host of the service, the workload as Istio names it, and as its owner is called, of each endpoint that is a pod."""
    for destination in destinations:
        for endpoint in destination.endpoints:
            pod = ends.at(endpoint.address)
            if pod is not None:
                yield destination.cluster.host, endpoint.workload, name_of(pod)
