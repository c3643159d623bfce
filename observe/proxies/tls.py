"""The TLS that proxies are configured to speak, read from Envoy's admin interface in answers of bounded size."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar, cast

from facts.kubernetes.objects import Pod
from facts.proxies.identity import PodRef, Unread
from facts.proxies.tls import questions
from facts.proxies.tls.inbound import OF_ROUTER, OF_SIDECAR, parse_listeners
from facts.proxies.tls.outbound import Cluster, Endpoint, joined, parse_cluster_names, parse_clusters, parse_endpoints
from facts.proxies.tls.proxy import ProxyTls, TlsOfFleet
from observe.kubernetes.cluster import Cluster as KubernetesCluster
from observe.kubernetes.denial import must_be_allowed
from observe.proxies.envoy import read_admin
from observe.proxies.unread import read_or_unread
from observe.readings import at_once

T = TypeVar("T")


class Shared:
    """Keeps one object of all that are equal; safe to use from several threads."""

    def __init__(self) -> None:
        self._kept: dict[object, object] = {}

    def __call__(self, value: T) -> T:
        """The object that was kept for an equal value, or this one from now on."""
        return cast("T", self._kept.setdefault(value, value))


def read_tls(cluster: KubernetesCluster, pod: Pod, shared: Shared) -> ProxyTls:
    """Reads one proxy's TLS in both directions.

    Args:
        cluster: The cluster.
        pod: A pod with an istio-proxy.
        shared: Of the fleet that it belongs to.

    Raises:
        CouldNotTell: The proxy cannot be read, or an answer is damaged.
    """
    inbound = OF_ROUTER if pod.is_gateway else OF_SIDECAR
    first = read_admin(cluster, pod, [inbound, questions.COUNT])
    evidence = [reading.evidence for reading in first.values()]
    parts: tuple[questions.Part, ...] = (questions.WHOLE,)
    if questions.parse_count(first[questions.COUNT].document) > questions.SLICE:
        names = read_admin(cluster, pod, [questions.NAMES])[questions.NAMES]
        evidence.append(names.evidence)
        parts = questions.parts(parse_cluster_names(names.document))
    asked = [question for part in parts for question in (part.clusters, part.endpoints)]
    answers = read_admin(cluster, pod, asked)
    evidence += [reading.evidence for reading in answers.values()]
    clusters: dict[str, Cluster] = {}
    endpoints: dict[str, tuple[Endpoint, ...]] = {}
    for part in parts:
        clusters |= {each.name: each for each in parse_clusters(answers[part.clusters].document)}
        endpoints |= parse_endpoints(answers[part.endpoints].document)
    return ProxyTls(
        PodRef.of(pod),
        listeners=shared(parse_listeners(first[inbound].document)),
        destinations=joined(tuple(clusters.values()), endpoints, shared),
        evidence=(*pod.evidence, *evidence),
    )


def read_tls_of_fleet(cluster: KubernetesCluster, pods: Iterable[Pod]) -> TlsOfFleet:
    """Reads the TLS of many proxies, several at once.

    Returns:
        Every pod is in it: read, or unread with the reason.

    Raises:
        NotGiven: The identity in use may read none of them.
    """
    shared = Shared()

    def one(pod: Pod) -> ProxyTls | Unread:
        return read_or_unread(pod, lambda: read_tls(cluster, pod, shared))

    found = at_once(one, pods)
    unread = tuple(f for f in found if isinstance(f, Unread))
    must_be_allowed((u.why for u in unread), len(found))
    return TlsOfFleet(proxies=tuple(f for f in found if isinstance(f, ProxyTls)), unread=unread)
