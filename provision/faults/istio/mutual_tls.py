"""Faults of mutual TLS: the proxies hold the right identities, and policies, rules or filters keep them from using these.

Each waits until the Envoys have the change, and afterwards until they have what they had before.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

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
from provision.faults import reach
from provision.faults.changes import Document, applied, in_place_of, manifest
from provision.faults.fault import Fault, Scene
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
        scene: The scene.
        change: The change.
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


def _all_off(scene: Scene) -> AbstractContextManager[None]:
    @contextmanager
    def change() -> Iterator[None]:
        policy, rule = manifest("mutual-tls-off")
        with in_place_of(scene, policy), applied(scene, rule):
            yield

    return shown(scene, change(), _asks, wanted=False, pods=_pods_with_gateway)


def _policy(scene: Scene, spec: Document, wanted: tuple[bool, bool]) -> AbstractContextManager[None]:
    (policy,) = manifest("peer-authentication")
    return shown(scene, applied(scene, policy | {"spec": spec}), _taken, wanted)


def _rule(scene: Scene, tls: Document, *wanted: str) -> AbstractContextManager[None]:
    (rule,) = manifest("destination-rule")
    rule["spec"]["trafficPolicy"]["tls"] = tls
    return shown(scene, applied(scene, rule), _spoken, wanted, pods=_pods_with_gateway)


def _plain_text(scene: Scene) -> AbstractContextManager[None]:
    return _rule(scene, {"mode": "DISABLE"}, Layer.PLAIN.value)


def _other_names(scene: Scene) -> AbstractContextManager[None]:
    other = workload_id(scene.installation.variables["TRUST_DOMAIN"], APP, OTHER_ACCOUNT)
    return _rule(scene, {"mode": "ISTIO_MUTUAL", "subjectAltNames": [other]}, Layer.TLS.value, other)


def _server_context(scene: Scene) -> tuple[Document, Document]:
    """Return the filter with a TLS context for the application's clients, and that context."""
    (made,) = manifest("server-tls-context", TRUST_DOMAIN=scene.installation.variables["TRUST_DOMAIN"])
    return made, _typed(made)


def _client_context(scene: Scene) -> tuple[list[Document], Document]:
    """Return the objects with a TLS context for the application as a client of its own, and that context."""
    rule, made = manifest("client-tls-context", TRUST_DOMAIN=scene.installation.variables["TRUST_DOMAIN"])
    return [rule, made], _typed(made)


def _typed(envoy_filter: Document) -> Document:
    typed: Document = envoy_filter["spec"]["configPatches"][0]["patch"]["value"]["transport_socket"]["typed_config"]
    return typed


def _no_certificate(scene: Scene) -> AbstractContextManager[None]:
    made, context = _server_context(scene)
    context["require_client_certificate"] = False
    return shown(scene, applied(scene, made), _demands, wanted=False)


def _one_client(scene: Scene) -> AbstractContextManager[None]:
    made, context = _server_context(scene)
    (name,) = _validation(context)["match_typed_subject_alt_names"]
    other = workload_id(scene.installation.variables["TRUST_DOMAIN"], APP, OTHER_ACCOUNT)
    name["matcher"] = {"exact": other}
    return shown(scene, applied(scene, made), _admitted, wanted=(other,))


def _presents_nothing(scene: Scene) -> AbstractContextManager[None]:
    made, context = _client_context(scene)
    del context["common_tls_context"]["tls_certificate_sds_secret_configs"]
    names = (workload_id(scene.installation.variables["TRUST_DOMAIN"], APP, APP),)
    return shown(scene, applied(scene, *made), _offered, wanted=frozenset({("", names)}))


def _expects_nobody(scene: Scene) -> AbstractContextManager[None]:
    made, context = _client_context(scene)
    del _validation(context)["match_typed_subject_alt_names"]
    return shown(scene, applied(scene, *made), _offered, wanted=frozenset({(LEAF, ())}))


def _validation(context: Document) -> Document:
    validation: Document = context["common_tls_context"]["combined_validation_context"]["default_validation_context"]
    return validation


DISABLED: dict[str, Any] = {"mtls": {"mode": "DISABLE"}}
PERMISSIVE: dict[str, Any] = {"mtls": {"mode": "PERMISSIVE"}}
PORT_DISABLED: dict[str, Any] = {
    "selector": {"matchLabels": {"app": APP}},
    "mtls": {"mode": "STRICT"},
    "portLevelMtls": {str(PORT): {"mode": "DISABLE"}},
}
"""Istio looks at the modes of ports only where the policy selects a workload."""

_policy_fault = partial(
    Fault,
    touches="PeerAuthentication test-app/test-app",
    undo="The suite deletes it and waits until every Envoy has its former listeners.",
    reach=reach.MUTUAL_TLS,
)
_rule_fault = partial(
    Fault,
    touches="DestinationRule test-app/test-app",
    undo="The suite deletes it and waits until every Envoy has its former clusters.",
    reach=reach.MUTUAL_TLS,
)

_server_fault = partial(
    Fault,
    touches="EnvoyFilter test-app/server-tls-context",
    undo="The suite deletes it and waits until every Envoy has its former listeners.",
    reach=reach.MUTUAL_TLS,
)
_client_fault = partial(
    Fault,
    touches="DestinationRule test-app/test-app; EnvoyFilter test-app/client-tls-context",
    undo="The suite deletes them and waits until every Envoy has its former clusters.",
    reach=reach.MUTUAL_TLS,
)

FAULTS = (
    Fault(
        name="mutual-tls-off",
        description="A PeerAuthentication and a DestinationRule in Istio's own namespace disable mutual TLS for the whole"
        " mesh. The ingress gateway then asks tbot for no certificate.",
        cause="mutual-tls-disabled",
        further_causes=frozenset({"no-certificate-asked-for"}),
        touches="PeerAuthentication istio-system/default; DestinationRule istio-system/mutual-tls-off",
        undo="The suite restores the policy, deletes the rule, and waits until every Envoy has its former configuration.",
        breaks=frozenset({"MTL-01", "MTL-02", "MTL-03", "MTL-06", "CHK-6", "ID-11"}),
        reach=reach.MUTUAL_TLS,
        inject=_all_off,
    ),
    _policy_fault(
        name="mutual-tls-disabled-in-a-namespace",
        description="A PeerAuthentication disables mutual TLS in the test application's namespace.",
        cause="mutual-tls-disabled",
        breaks=frozenset({"MTL-01", "MTL-02", "MTL-03"}),
        inject=partial(_policy, spec=DISABLED, wanted=(True, False)),
    ),
    _policy_fault(
        name="mutual-tls-disabled-on-a-port",
        description="A PeerAuthentication disables mutual TLS on the one port of the test application.",
        cause="mutual-tls-disabled",
        breaks=frozenset({"MTL-01", "MTL-02", "MTL-03"}),
        inject=partial(_policy, spec=PORT_DISABLED, wanted=(True, False)),
    ),
    _policy_fault(
        name="plain-text-accepted",
        description="A PeerAuthentication lets the test application take plain text beside mutual TLS, as Istio does by"
        " default.",
        cause="plain-text-accepted",
        breaks=frozenset({"MTL-02"}),
        inject=partial(_policy, spec=PERMISSIVE, wanted=(True, True)),
    ),
    _rule_fault(
        name="clients-send-plain-text",
        description="A DestinationRule makes clients send plain text to the test application, which takes only mutual TLS.",
        cause="client-sends-plain-text",
        breaks=frozenset({"MTL-03"}),
        inject=_plain_text,
    ),
    _rule_fault(
        name="clients-expect-another-account",
        description="A DestinationRule lists the name of another service account for the test application.",
        cause="expected-names-differ",
        breaks=frozenset({"MTL-04", "MTL-06"}),
        inject=_other_names,
    ),
    _server_fault(
        name="client-certificate-not-required",
        description="An EnvoyFilter lets clients without a certificate into the test application.",
        cause="client-certificate-not-required",
        breaks=frozenset({"MTL-01"}),
        inject=_no_certificate,
    ),
    _server_fault(
        name="one-client-let-in",
        description="An EnvoyFilter lets only clients of another service account into the test application.",
        cause="clients-restricted-by-name",
        breaks=frozenset({"MTL-01"}) | reach.REFUSED,
        inject=_one_client,
    ),
    _client_fault(
        name="client-presents-nothing",
        description="An EnvoyFilter replaces the TLS context of the test application as a client, which then presents no"
        " certificate.",
        cause="tls-context-replaced",
        breaks=frozenset({"MTL-01", "MTL-04"}),
        inject=_presents_nothing,
    ),
    _client_fault(
        name="client-expects-nobody",
        description="An EnvoyFilter replaces the TLS context of the test application as a client, which then expects no name"
        " of a server.",
        cause="server-not-verified",
        breaks=frozenset({"MTL-01"}),
        inject=_expects_nobody,
    ),
)
