"""Envoy's admin interface and Istio's agent, read from outside.

By port-forward; by exec of `pilot-agent request` as fallback. Only GETs. Everything about one proxy goes through one
port-forward, and a dump is asked for by parts. `observe.proxies.survey` reads many proxies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import quote

from facts.document import Reading, decoded
from facts.errors import CouldNotTell, NotGiven
from facts.evidence import evidence_of
from facts.kubernetes.objects import Pod
from facts.kubernetes.pod_spec import PROXY
from facts.masks import lines
from facts.proxies import endpoint_requests, envoy, envoy_traffic, policies, pushes, requests
from facts.proxies.endpoint_requests import parse_endpoint_requests
from facts.proxies.identity import Normalization, PodRef, ProxyIdentity, identify
from facts.proxies.pushes import Pushes, parse_pushes
from facts.proxies.requests import SentRequests, parse_requests
from facts.proxies.tls import inbound, outbound, questions
from facts.redaction import beginning
from observe.kubernetes.cluster import Cluster
from observe.kubernetes.streams import ForwardedPort
from observe.limits import TooLarge

ADMIN, AGENT = 15000, 15020
_PLAIN = "/?&=,.$"

PARSERS: Mapping[str, Callable[..., object]] = {
    envoy.ACTIVE_SECRETS: envoy.parse_secrets,
    envoy.WARMING_SECRETS: envoy.parse_secrets,
    envoy.BOOTSTRAP: envoy.parse_bootstrap,
    envoy.SDS_HOSTS: envoy.parse_streams,
    envoy.SERVER: envoy.parse_uptime,
    envoy.AGENT_METRICS: envoy.parse_agent_metrics,
    envoy.INBOUND_LISTENERS: envoy.parse_normalization,
    envoy.ALL_LISTENERS: envoy.parse_normalization,
    policies.OF_SIDECAR: policies.parse_policies,
    policies.OF_GATEWAY: policies.parse_policies,
    envoy_traffic.HOSTS: envoy_traffic.hosts_of,
    envoy_traffic.ROUTES: envoy_traffic.parse_domains,
    envoy_traffic.COUNTERS: envoy_traffic.parse_counters,
    pushes.PUSHES: pushes.parse_pushes,
    requests.REQUESTS: requests.parse_requests,
    endpoint_requests.ENDPOINTS: parse_endpoint_requests,
    inbound.OF_SIDECAR: inbound.parse_listeners,
    inbound.OF_ROUTER: inbound.parse_listeners,
    questions.COUNT: questions.parse_count,
    questions.NAMES: outbound.parse_cluster_names,
}
"""The parser of each question to Envoy: it decides what is kept of the answer."""


def _parser_of(path: str) -> Callable[..., object]:
    """The parser of an answer; of the questions about parts of a proxy's destinations there is no end.

    Raises:
        TypeError: It has none, so that the whole answer would be kept, with the secrets of any team in it.
    """
    if questions.is_of_clusters(path):
        return outbound.parse_clusters
    if questions.is_of_endpoints(path):
        return outbound.parse_endpoints
    if path not in PARSERS:
        raise TypeError(f"no parser says what evidence keeps of the answer to {path}: add it to {__name__}.PARSERS")
    return PARSERS[path]


class ProxyConnection:
    """Questions to one proxy over one port-forward, which stays open from one to the next; by exec where that fails.

    A context manager; nothing is opened before the first question. Not for several threads.
    """

    def __init__(self, cluster: Cluster, pod: Pod, ports: Iterable[int] = (ADMIN, AGENT)) -> None:
        """Opens nothing yet.

        Args:
            pod: A pod with an istio-proxy.
            ports: The ports that will be asked.
        """
        self.cluster = cluster
        self.pod = pod
        self._ports = tuple(ports)
        self._stack = ExitStack()
        self._opened: dict[int, ForwardedPort] = {}

    def __enter__(self) -> ProxyConnection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the port-forward; the next question opens another one."""
        self._opened = {}
        self._stack.close()

    def ask(self, wanted: Mapping[int, Sequence[str]]) -> dict[str, Reading]:
        """The readings of the paths that are wanted of each port.

        Args:
            wanted: By port, e.g. ``/stats?format=json``; brackets and carets are written plainly.

        Raises:
            CouldNotTell: Neither port-forward nor exec reaches the proxy, or it refuses a path.
        """
        for path in (path for paths in wanted.values() for path in paths):
            _parser_of(path)  # before the question: no answer comes whose parts nobody has chosen
        try:
            return self._by_port_forward(wanted)
        except TooLarge:
            self.close()  # the rest of that answer would still come
            raise  # by exec it would be as large
        except CouldNotTell as refused:
            self.close()
            try:
                return {path: self._by_exec(port, path) for port, paths in wanted.items() for path in paths}
            except CouldNotTell as also_refused:
                # Without exec, which is an optional right, the reason is the one for which the port-forward failed.
                only_way = isinstance(also_refused, NotGiven)
                if only_way and isinstance(refused, NotGiven):
                    raise refused from also_refused
                by_exec = "" if only_way else f"; by exec: {also_refused.seen}"
                raise CouldNotTell(
                    expected=f"the proxy's ports {', '.join(map(str, wanted))}",
                    seen=f"by port-forward: {refused.seen}{by_exec}",
                    where=str(self.pod.ref),
                    remedy="see whether its istio-proxy runs, and whether this identity may open port-forwards (INST-02)",
                ) from refused

    def admin(self, *paths: str) -> dict[str, Reading]:
        """The readings of paths of Envoy's admin interface, see `ask`."""
        return self.ask({ADMIN: paths})

    def _by_port_forward(self, wanted: Mapping[int, Sequence[str]]) -> dict[str, Reading]:
        if not self._opened:
            opened = self._stack.enter_context(self.cluster.port_forward(self.pod.ref, *self._ports))
            self._opened = dict(zip(self._ports, opened, strict=True))
        answers: dict[tuple[int, str], Answer] = {}
        asked = [(self._opened[number], number, list(paths)) for number, paths in wanted.items()]
        # All ports work at the same time; each is asked for its next path as soon as it has answered.
        for port, _number, paths in asked:
            port.ask(_quoted(paths[0]))
        for port, number, paths in asked:
            for path, following in zip(paths, [*paths[1:], ""], strict=True):
                status, body = port.answer(path)
                if status != 200:
                    raise CouldNotTell(
                        expected="HTTP 200",
                        seen=f"HTTP {status}: {beginning(body, 200)}",
                        where=f"{self.pod.ref}: GET {path}",
                        remedy="an Envoy older than 1.20 does not know every parameter",
                    )
                answers[number, path] = (body, datetime.now(UTC))
                if following:
                    port.ask(_quoted(following))
        pod = self.pod
        shown = f"kubectl port-forward -n {pod.namespace} pod/{pod.name} {{0}} & curl -g 'localhost:{{0}}{{1}}'"
        return {
            path: _record(self.cluster, pod, path, shown.format(number, path), answer)
            for (number, path), answer in answers.items()
        }

    def _by_exec(self, port: int, path: str) -> Reading:
        pod = self.pod
        argv = ["pilot-agent", "request", f"--debug-port={port}", "GET", _quoted(path).removeprefix("/")]
        done = self.cluster.execute(pod.ref, PROXY, argv)
        if done.exit_code != 0:
            raise CouldNotTell(
                expected="pilot-agent to answer",
                seen=f"exit code {done.exit_code}: {done.tail(300)}",
                where=f"{pod.ref}: {done.line}",
                remedy="see whether Envoy runs in that pod",
            )
        shown = f"kubectl exec -n {pod.namespace} {pod.name} -c {PROXY} -- {done.line}"
        return _record(self.cluster, pod, path, shown, (done.stdout, datetime.now(UTC)))


def read_admin(cluster: Cluster, pod: Pod, paths: Sequence[str]) -> dict[str, Reading]:
    """Asks one Envoy for several paths of its admin interface, through one forwarded port; see `ProxyConnection.ask`."""
    with ProxyConnection(cluster, pod, (ADMIN,)) as connection:
        return connection.admin(*paths)


def read_proxy(cluster: Cluster, pod: Pod) -> ProxyIdentity:
    """Reads everything that matters about one proxy's identity, see `identity_of`."""
    with ProxyConnection(cluster, pod) as connection:
        return identity_of(connection, pod)


def read_pushes(cluster: Cluster, pod: Pod) -> Pushes | None:
    """The statistics of the pushes to one proxy, see `pushes_of`."""
    with ProxyConnection(cluster, pod, (ADMIN,)) as connection:
        return pushes_of(connection, pod)


# --- what is read of one proxy ---------------------------------------------------------------------------------------


def identity_of(connection: ProxyConnection, pod: Pod) -> ProxyIdentity:
    """Everything that matters about one proxy's identity.

    Raises:
        CouldNotTell: The proxy cannot be read, or its answers contradict each other.
    """
    answers = connection.ask({ADMIN: envoy.IDENTITY, AGENT: [envoy.AGENT_METRICS]})
    return identify(
        PodRef.of(pod),
        {path: reading.document for path, reading in answers.items()},
        # The uptime is subtracted from this time, so it has to be that of the answer that holds it.
        answers[envoy.SERVER].read_at,
        (*pod.evidence, *(reading.evidence for reading in answers.values())),
    )


def normalization_of(connection: ProxyConnection, pod: Pod) -> Normalization:
    """Path normalization in force in the inbound HTTP listeners of one proxy (of a gateway: in all of them).

    Raises:
        CouldNotTell: The proxy cannot be read.
    """
    path = envoy.ALL_LISTENERS if pod.is_gateway else envoy.INBOUND_LISTENERS
    reading = connection.admin(path)[path]
    return Normalization(PodRef.of(pod), envoy.parse_normalization(reading.document), (reading.evidence,))


def pushes_of(connection: ProxyConnection, _pod: Pod) -> Pushes | None:
    """The statistics of the pushes to one proxy, new or not; None where it keeps none.

    Raises:
        CouldNotTell: It cannot be read.
    """
    reading = connection.admin(pushes.PUSHES)[pushes.PUSHES]
    return parse_pushes(reading.document, (reading.evidence,))


def requests_of(connection: ProxyConnection, _pod: Pod) -> SentRequests:
    """The requests that one proxy has sent, by Istio's metrics; by Envoy's own counters of endpoints where these name none.

    The metrics may be off, or without the labels that are read. The answer about endpoints is long: a proxy that counts by
    the metrics and has sent nothing is not asked for it, nor is one with more clusters than are asked for at once.

    Raises:
        CouldNotTell: It cannot be read.
    """
    reading = connection.admin(requests.REQUESTS)[requests.REQUESTS]
    sent = parse_requests(reading.document, reading.read_at, (reading.evidence,))
    is_idle = sent.is_counting and not sent.sent
    if is_idle or any(called.workload or called.service for called in sent.sent):
        return sent
    clusters = connection.admin(questions.COUNT)[questions.COUNT]
    if questions.parse_count(clusters.document) > questions.SLICE:
        return sent
    reading = connection.admin(endpoint_requests.ENDPOINTS)[endpoint_requests.ENDPOINTS]
    by_endpoint = parse_endpoint_requests(reading.document, reading.read_at, (*sent.evidence, reading.evidence))
    return replace(by_endpoint, callers=sent.callers)


Answer = tuple[str, datetime]
"""A body and the UTC time at which it was complete."""


def _quoted(path: str) -> str:
    return quote(path, safe=_PLAIN)


def _record(cluster: Cluster, pod: Pod, path: str, question: str, answer: Answer) -> Reading:
    body, read_at = answer
    if path == envoy.AGENT_METRICS:
        kept = (line for line in lines(body) if line.startswith("istio_agent_") or envoy.is_refusal(line))
        body = "".join(f"{line}\n" for line in kept)
        question += " | grep -e ^istio_agent_ -e '^istio_requests_total.*response_code=\"403\"'"
    recorded = evidence_of(question, pod.ref, body, read_at=read_at, parser=_parser_of(path))
    return Reading(decoded(recorded.body), cluster.recorder.record(recorded), read_at)
