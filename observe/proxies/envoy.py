"""Envoy's admin interface and Istio's agent, read from outside.

By port-forward; by exec of `pilot-agent request` as fallback. Only GETs. Everything about one proxy goes through one
forwarded port, and a dump is asked for by parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from urllib.parse import quote

from facts.document import Reading, decoded
from facts.errors import CouldNotTell, NotGiven
from facts.evidence import evidence_of
from facts.kubernetes.objects import Pod
from facts.kubernetes.pod_spec import PROXY
from facts.masks import lines
from facts.proxies import envoy, envoy_traffic, policies, pushes
from facts.proxies.identity import Fleet, Normalization, PodRef, ProxyIdentity, Unread, identify
from facts.proxies.pushes import Pushes, parse_pushes
from facts.proxies.tls import inbound, outbound, questions
from facts.redaction import beginning
from observe.kubernetes.cluster import Cluster
from observe.kubernetes.denial import must_be_allowed
from observe.limits import TooLarge
from observe.proxies.unread import read_or_unread
from observe.readings import at_once

ADMIN, AGENT = 15000, 15020
AT_ONCE = 8
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


def read_admin(cluster: Cluster, pod: Pod, paths: Sequence[str]) -> dict[str, Reading]:
    """Asks one Envoy for several paths of its admin interface, through one forwarded port.

    Args:
        cluster: The cluster.
        pod: A pod with an istio-proxy.
        paths: E.g. ``/stats?format=json``; brackets and carets are written plainly.

    Returns:
        The reading of each path.

    Raises:
        CouldNotTell: Neither port-forward nor exec reaches the proxy, or Envoy refuses a path.
    """
    return _read(cluster, pod, {ADMIN: paths})


def read_proxy(cluster: Cluster, pod: Pod) -> ProxyIdentity:
    """Reads everything that matters about one proxy's identity.

    Raises:
        CouldNotTell: The proxy cannot be read, or its answers contradict each other.
    """
    answers = _read(cluster, pod, {ADMIN: envoy.IDENTITY, AGENT: [envoy.AGENT_METRICS]})
    return identify(
        PodRef.of(pod),
        {path: reading.document for path, reading in answers.items()},
        # The uptime is subtracted from this time, so it has to be that of the answer that holds it.
        answers[envoy.SERVER].read_at,
        (*pod.evidence, *(reading.evidence for reading in answers.values())),
    )


def read_fleet(cluster: Cluster, pods: Iterable[Pod], progress: Callable[[int, int], None] | None = None) -> Fleet:
    """Reads many proxies, several at once.

    Args:
        cluster: The cluster.
        pods: Pods with an istio-proxy.
        progress: Called with how many are done and how many there are.

    Returns:
        Every pod is in it: read, or unread with the reason.

    Raises:
        NotGiven: The identity in use may read none of them.
    """
    wanted = list(pods)

    def one(pod: Pod) -> ProxyIdentity | Unread:
        return read_or_unread(pod, lambda: read_proxy(cluster, pod))

    found: list[ProxyIdentity | Unread] = []
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="read-proxy") as pool:
        for outcome in pool.map(one, wanted):
            found.append(outcome)
            if progress is not None:
                progress(len(found), len(wanted))
    unread = tuple(f for f in found if isinstance(f, Unread))
    must_be_allowed((u.why for u in unread), len(wanted))
    return Fleet(proxies=tuple(f for f in found if isinstance(f, ProxyIdentity)), unread=unread)


def read_pushes(cluster: Cluster, pod: Pod) -> Pushes | None:
    """The statistics of the pushes to one proxy, new or not; None where it keeps none.

    Raises:
        CouldNotTell: It cannot be read.
    """
    reading = read_admin(cluster, pod, [pushes.PUSHES])[pushes.PUSHES]
    return parse_pushes(reading.document, (reading.evidence,))


def read_normalizations(cluster: Cluster, pods: Iterable[Pod]) -> tuple[Normalization | Unread, ...]:
    """Path normalization in force in the inbound HTTP listeners of each proxy (of a gateway: in all of them).

    Returns:
        Every pod is in it: read, or unread with the reason.

    Raises:
        NotGiven: The identity in use may read none of them.
    """

    def one(pod: Pod) -> Normalization:
        path = envoy.ALL_LISTENERS if pod.is_gateway else envoy.INBOUND_LISTENERS
        reading = read_admin(cluster, pod, [path])[path]
        return Normalization(PodRef.of(pod), envoy.parse_normalization(reading.document), (reading.evidence,))

    found = at_once(lambda pod: read_or_unread(pod, lambda: one(pod)), pods)
    must_be_allowed((f.why for f in found if isinstance(f, Unread)), len(found))
    return found


def _read(cluster: Cluster, pod: Pod, wanted: Mapping[int, Sequence[str]]) -> dict[str, Reading]:
    """The readings of the paths that are wanted of each port: by one port-forward, or by exec where that fails."""
    for path in (path for paths in wanted.values() for path in paths):
        _parser_of(path)  # before the question: no answer comes whose parts nobody has chosen
    try:
        return _by_port_forward(cluster, pod, wanted)
    except TooLarge:
        raise  # by exec it would be as large
    except CouldNotTell as refused:
        try:
            return {path: _by_exec(cluster, pod, port, path) for port, paths in wanted.items() for path in paths}
        except CouldNotTell as also_refused:
            # Without exec, which is an optional right, the reason is the one for which the port-forward failed.
            only_way = isinstance(also_refused, NotGiven)
            if only_way and isinstance(refused, NotGiven):
                raise refused from also_refused
            by_exec = "" if only_way else f"; by exec: {also_refused.seen}"
            raise CouldNotTell(
                expected=f"the proxy's ports {', '.join(map(str, wanted))}",
                seen=f"by port-forward: {refused.seen}{by_exec}",
                where=str(pod.ref),
                remedy="see whether its istio-proxy runs, and whether this identity may open port-forwards (see INST-02)",
            ) from refused


Answer = tuple[str, datetime]
"""A body and the UTC time at which it was complete."""


def _by_port_forward(cluster: Cluster, pod: Pod, wanted: Mapping[int, Sequence[str]]) -> dict[str, Reading]:
    answers: dict[tuple[int, str], Answer] = {}
    with cluster.port_forward(pod.ref, *wanted) as opened:
        asked = [(port, number, list(paths)) for port, (number, paths) in zip(opened, wanted.items(), strict=True)]
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
                        where=f"{pod.ref}: GET {path}",
                        remedy="an Envoy older than 1.20 does not know every parameter",
                    )
                answers[number, path] = (body, datetime.now(UTC))
                if following:
                    port.ask(_quoted(following))
    shown = f"kubectl port-forward -n {pod.namespace} pod/{pod.name} {{0}} & curl -g 'localhost:{{0}}{{1}}'"
    return {
        path: _record(cluster, pod, path, shown.format(number, path), answer) for (number, path), answer in answers.items()
    }


def _quoted(path: str) -> str:
    return quote(path, safe=_PLAIN)


def _by_exec(cluster: Cluster, pod: Pod, port: int, path: str) -> Reading:
    argv = ["pilot-agent", "request", f"--debug-port={port}", "GET", _quoted(path).removeprefix("/")]
    done = cluster.execute(pod.ref, PROXY, argv)
    if done.exit_code != 0:
        raise CouldNotTell(
            expected="pilot-agent to answer",
            seen=f"exit code {done.exit_code}: {done.tail(300)}",
            where=f"{pod.ref}: {done.line}",
            remedy="see whether Envoy runs in that pod",
        )
    shown = f"kubectl exec -n {pod.namespace} {pod.name} -c {PROXY} -- {done.line}"
    return _record(cluster, pod, path, shown, (done.stdout, datetime.now(UTC)))


def _record(cluster: Cluster, pod: Pod, path: str, question: str, answer: Answer) -> Reading:
    body, read_at = answer
    if path == envoy.AGENT_METRICS:
        body = "".join(f"{line}\n" for line in lines(body) if line.startswith("istio_agent_"))
        question += " | grep ^istio_agent_"
    recorded = evidence_of(question, pod.ref, body, read_at=read_at, parser=_parser_of(path))
    return Reading(decoded(recorded.body), cluster.recorder.record(recorded), read_at)
