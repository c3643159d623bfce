"""Faults of mutual TLS: the proxies hold the right identities, and policies, rules or filters keep them from using these.

Each waits until the Envoys have the change, and afterwards until they have what they had before.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from facts.kubernetes.objects import Pod
from facts.proxies.envoy import LEAF
from facts.proxies.tls.context import Layer, TlsContext
from facts.proxies.tls.inbound import Connection
from facts.proxies.tls.proxy import ProxyTls
from facts.svid import workload_id
from observe.kubernetes.cluster import Cluster
from observe.proxies.envoy import ADMIN, ProxyConnection
from observe.proxies.tls import Shared, tls_of
from observe.wait import NotYet, eventually
from provision.faults.changes import Document, applied, in_place_of, manifest
from provision.faults.fault import Scene
from provision.faults.istio.workloads import PORT
from provision.names import APP, GATEWAY_LABEL, ISTIO_NAMESPACE

SERVICE = f"{APP}.{APP}.svc.cluster.local:80"
OTHER_ACCOUNT = "another-account"
"""Service account that no pod of the test application has."""

Shown = Callable[[ProxyTls], Hashable]
"""Returns what an Envoy shows of a change."""
Chosen = Callable[[Cluster], list[Pod]]
"""Returns the pods whose Envoys show a change."""


def _pods_of_app(cluster: Cluster) -> list[Pod]:
    return [pod for pod in cluster.pods(APP, f"app={APP}") if pod.is_injected and not pod.terminating]


def _pods_with_gateway(cluster: Cluster) -> list[Pod]:
    return [*_pods_of_app(cluster), *(pod for pod in cluster.pods(ISTIO_NAMESPACE, GATEWAY_LABEL) if not pod.terminating)]


@contextmanager
def shown(
    scene: Scene, change: AbstractContextManager[None], look: Shown, wanted: Hashable, pods: Chosen = _pods_of_app
) -> Iterator[None]:
    """Put a change into force until every Envoy shows it; on exit, until every one shows what it did before.

    Args:
        look: Returns what an Envoy shows of it.
        wanted: What each is to show.
        pods: Returns the pods of the Envoys.

    Raises:
        CouldNotTell: That took too long.
    """
    with scene.looking() as cluster:
        former = {look(proxy) for proxy in _read(cluster, pods)}

        def await_each(states: set[Hashable]) -> None:
            def check() -> None:
                seen = {look(proxy) for proxy in _read(cluster, pods)}
                if seen != states:
                    raise NotYet(f"they show {sorted(map(str, seen))}")

            eventually(f"the Envoys show {sorted(map(str, states))}", check, scene.rollout)

        try:
            with change:
                await_each({wanted})
                yield
        finally:
            await_each(former)


def _read(cluster: Cluster, pods: Chosen) -> list[ProxyTls]:
    shared, read = Shared(), []
    for pod in pods(cluster):
        with ProxyConnection(cluster, pod, (ADMIN,)) as connection:
            read.append(tls_of(connection, pod, shared))
    return read


# What Envoys show.


def _asks(proxy: ProxyTls) -> bool:
    return proxy.asks_for_secrets


def _taken(proxy: ProxyTls) -> tuple[bool, bool]:
    """Whether the application's port takes plain text, and whether it takes mutual TLS."""
    plain = proxy.taking(Connection(PORT, encrypted=False))
    return plain is not None and plain.socket.layer is Layer.PLAIN, _context(proxy) is not None


def _context(proxy: ProxyTls) -> TlsContext | None:
    chain = proxy.taking(Connection(PORT, encrypted=True, alpn=("istio",)))
    return chain.socket.tls if chain else None


def _demands(proxy: ProxyTls) -> bool:
    context = _context(proxy)
    return context is not None and context.demands_certificate


def _admitted(proxy: ProxyTls) -> tuple[str, ...]:
    """The names of clients that the application's port lets in."""
    context = _context(proxy)
    return tuple(map(str, context.names)) if context else ()


def _offered(proxy: ProxyTls) -> frozenset[tuple[str, tuple[str, ...]]]:
    """The certificate that a proxy presents to the test application, and the names that it expects there."""
    to_app = [each for each in proxy.destinations if each.cluster.service == SERVICE]
    sockets = {each.socket_to(endpoint) for each in to_app for endpoint in each.endpoints}
    return frozenset((socket.tls.certificate, tuple(map(str, socket.tls.names))) for socket in sockets if socket.tls)


def _spoken(proxy: ProxyTls) -> tuple[str, ...]:
    """The transports that a proxy speaks to the test application, and the names that it expects there."""
    to_app = [each for each in proxy.destinations if each.cluster.service == SERVICE]
    sockets = {each.socket_to(endpoint) for each in to_app for endpoint in each.endpoints}
    names = {str(name) for socket in sockets if socket.tls for name in socket.tls.names}
    return (*sorted({socket.layer.value for socket in sockets}), *sorted(names))


# Changes.


def all_off(scene: Scene) -> AbstractContextManager[None]:
    """Disable mutual TLS in the whole mesh, for servers and clients."""

    @contextmanager
    def change() -> Iterator[None]:
        of_servers, of_clients = manifest("mutual-tls-off")
        with in_place_of(scene, of_servers), applied(scene, of_clients):
            yield

    return shown(scene, change(), _asks, wanted=False, pods=_pods_with_gateway)


def policy(scene: Scene, spec: Document, *, plain: bool, encrypted: bool) -> AbstractContextManager[None]:
    """Apply a PeerAuthentication for the test application.

    Args:
        spec: Its specification.
        plain: Whether the application's port then takes plain text.
        encrypted: Whether it then takes mutual TLS.
    """
    (made,) = manifest("peer-authentication")
    return shown(scene, applied(scene, made | {"spec": spec}), _taken, (plain, encrypted))


def rule(scene: Scene, tls: Document, wanted: Sequence[str]) -> AbstractContextManager[None]:
    """Apply a DestinationRule with TLS settings for clients of the test application.

    Args:
        tls: The settings.
        wanted: The transports that clients then speak, and the names that they expect.
    """
    (made,) = manifest("destination-rule")
    made["spec"]["trafficPolicy"]["tls"] = tls
    return shown(scene, applied(scene, made), _spoken, tuple(wanted), pods=_pods_with_gateway)


def _server_context(scene: Scene) -> tuple[Document, Document]:
    """Return the filter with a TLS context for the application's clients, and that context."""
    (made,) = manifest("server-tls-context", TRUST_DOMAIN=scene.installation.variables["TRUST_DOMAIN"])
    return made, _typed(made)


def _client_context(scene: Scene) -> tuple[list[Document], Document]:
    """Return the objects with a TLS context for the application as a client of its own, and that context."""
    of_clients, made = manifest("client-tls-context", TRUST_DOMAIN=scene.installation.variables["TRUST_DOMAIN"])
    return [of_clients, made], _typed(made)


def _typed(envoy_filter: Document) -> Document:
    typed: Document = envoy_filter["spec"]["configPatches"][0]["patch"]["value"]["transport_socket"]["typed_config"]
    return typed


def no_certificate(scene: Scene) -> AbstractContextManager[None]:
    """Let clients without a certificate into the test application."""
    made, context = _server_context(scene)
    context["require_client_certificate"] = False
    return shown(scene, applied(scene, made), _demands, wanted=False)


def one_client(scene: Scene) -> AbstractContextManager[None]:
    """Let only clients of another service account into the test application."""
    made, context = _server_context(scene)
    (name,) = _validation(context)["match_typed_subject_alt_names"]
    other = workload_id(scene.installation.variables["TRUST_DOMAIN"], APP, OTHER_ACCOUNT)
    name["matcher"] = {"exact": other}
    return shown(scene, applied(scene, made), _admitted, wanted=(other,))


def presents_nothing(scene: Scene) -> AbstractContextManager[None]:
    """Let the test application present no certificate to servers."""
    made, context = _client_context(scene)
    del context["common_tls_context"]["tls_certificate_sds_secret_configs"]
    names = (workload_id(scene.installation.variables["TRUST_DOMAIN"], APP, APP),)
    return shown(scene, applied(scene, *made), _offered, wanted=frozenset({("", names)}))


def expects_nobody(scene: Scene) -> AbstractContextManager[None]:
    """Let the test application expect no name of a server."""
    made, context = _client_context(scene)
    del _validation(context)["match_typed_subject_alt_names"]
    return shown(scene, applied(scene, *made), _offered, wanted=frozenset({(LEAF, ())}))


def _validation(context: Document) -> Document:
    validation: Document = context["common_tls_context"]["combined_validation_context"]["default_validation_context"]
    return validation
