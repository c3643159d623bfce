"""The TLS that proxies are configured to speak, read from Envoy's admin interface in answers of bounded size."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TypeVar, cast

from facts.kubernetes.objects import Pod
from facts.proxies.identity import Fleet, PodRef
from facts.proxies.tls import outbound, questions
from facts.proxies.tls.inbound import OF_ROUTER, OF_SIDECAR, parse_listeners
from facts.proxies.tls.outbound import Endpoint, joined, parse_cluster_names, parse_clusters, parse_endpoints
from facts.proxies.tls.proxy import ProxyTls, TlsOfFleet
from observe.kubernetes.cluster import Cluster
from observe.proxies.envoy import ProxyConnection
from observe.proxies.survey import IDENTITY, Part, survey

T = TypeVar("T")


class Shared:
    """Keeps one object of all that are equal; safe to use from several threads."""

    def __init__(self) -> None:
        self._kept: dict[object, object] = {}

    def __call__(self, value: T) -> T:
        """The object that was kept for an equal value, or this one from now on."""
        return cast("T", self._kept.setdefault(value, value))


def tls_of(connection: ProxyConnection, pod: Pod, shared: Shared) -> ProxyTls:
    """One proxy's TLS in both directions.

    Args:
        pod: A pod with an istio-proxy.
        shared: Of the fleet that it belongs to.

    Raises:
        CouldNotTell: The proxy cannot be read, or an answer is damaged.
    """
    inbound = OF_ROUTER if pod.is_gateway else OF_SIDECAR
    first = connection.admin(inbound, questions.COUNT)
    evidence = [reading.evidence for reading in first.values()]
    parts: tuple[questions.Part, ...] = (questions.WHOLE,)
    if questions.parse_count(first[questions.COUNT].document) > questions.SLICE:
        names = connection.admin(questions.NAMES)[questions.NAMES]
        evidence.append(names.evidence)
        parts = questions.parts(parse_cluster_names(names.document))
    asked = [question for part in parts for question in (part.clusters, part.endpoints)]
    answers = connection.admin(*asked)
    evidence += [reading.evidence for reading in answers.values()]
    clusters: dict[str, outbound.Cluster] = {}
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


TLS_OF_PROXY = "tls"


def tls_part() -> Part[ProxyTls]:
    """The part of one survey that reads the TLS of its proxies; what they have in common is kept once."""
    return Part(TLS_OF_PROXY, partial(tls_of, shared=Shared()))


def read_ends(cluster: Cluster, pods: Iterable[Pod]) -> tuple[Fleet, TlsOfFleet]:
    """Reads in one pass what decides the handshakes of some proxies: their identities, and the TLS that they speak.

    Raises:
        NotGiven: The identity in use may read none of them.
    """
    part = tls_part()
    found = survey(cluster, pods, (IDENTITY, part))
    return Fleet.of(found.of(IDENTITY)), TlsOfFleet.of(found.of(part))
