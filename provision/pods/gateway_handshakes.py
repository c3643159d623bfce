"""The mesh's own ingress gateway between test pods, so that the suite can see the handshakes of a gateway as well.

The objects that open it are in the suite's namespaces, and are removed with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from facts.istio.services import Ingress
from facts.kubernetes.objects import Pod
from facts.proxies.envoy_traffic import HOSTS, ROUTES, hosts_of, parse_domains
from observe.kubernetes.cluster import Cluster
from observe.proxies.envoy import ADMIN, ProxyConnection, read_admin
from observe.proxies.tls import Shared, tls_of
from observe.wait import NotYet, Pace, eventually
from provision.names import HTTP
from provision.objects import Objects
from provision.pods.clients_and_servers import TestPods
from provision.pods.ingress_access import must_connect
from provision.render import MANIFESTS, documents

OUTSIDE = "plain"
"""Test pod outside the mesh, which sends the requests that go through the gateway."""
INSIDE = "alpha"
"""Test pod whose proxy tells how the mesh names the gateway's Service."""

GATEWAY = MANIFESTS / "traffic" / "gateway-handshakes.yaml"
ROUTE = MANIFESTS / "traffic" / "gateway-handshakes-route.yaml"


@dataclass(frozen=True, slots=True)
class OpenGateway:
    """A gateway that is open for the test pods.

    Attributes:
        url: Address of its Service inside the cluster.
        own_host: Host for which it answers itself.
        hosts: Host for which it asks a test pod, by the test pod's name.
        pods: Its pods, at least one.
        port: Port of its pods behind the Service.
    """

    url: str
    own_host: str
    hosts: Mapping[str, str]
    pods: tuple[Pod, ...]
    port: int


@dataclass(frozen=True, slots=True)
class _Seen:
    """A Service as a proxy of the mesh sees it: its host, and the port of its pods."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class GatewayHandshakes:
    """Opens the mesh's own ingress gateway for the test pods.

    Attributes:
        objects: Changes the cluster.
        cluster: Reads the cluster.
        test_pods: Clients and servers.
        pace: Pace of each wait.
    """

    objects: Objects
    cluster: Cluster
    test_pods: TestPods
    pace: Pace

    def open(self, ingress: Ingress, pods: Sequence[Pod]) -> OpenGateway:
        """Open a gateway, and return once the proxies at every end know it.

        Args:
            ingress: The gateway.
            pods: Its pods, at least one.

        Raises:
            ProvisioningFailed: The API server refuses an object.
            CouldNotTell: A test pod is not Ready in time, or a proxy does not learn of the gateway.
        """
        service, names = ingress.service, self.test_pods.names()
        ready = dict(zip(names, self.test_pods.ready(*names), strict=True))
        seen = self._seen_by(ready[INSIDE], ingress, pods)
        own_host = f"handshakes.{self.test_pods.namespace(INSIDE)}.invalid"
        opened = OpenGateway(
            url=f"http://{service.name}.{service.namespace}:{ingress.port}/",
            own_host=own_host,
            hosts={name: f"{name}.{own_host}" for name in names},
            pods=tuple(pods),
            port=seen.port,
        )
        self._apply(opened, ingress, seen.host)
        self._await(opened, ready)
        return opened

    def _seen_by(self, client: Pod, ingress: Ingress, pods: Sequence[Pod]) -> _Seen:
        service, addresses = ingress.service, {address for pod in pods for address in (pod.ip, *pod.ips)}

        def look() -> _Seen:
            with ProxyConnection(self.cluster, client, (ADMIN,)) as connection:
                destinations = tls_of(connection, client, Shared()).destinations
            for each in destinations:
                of = each.cluster
                if of.host.startswith(f"{service.name}.{service.namespace}.svc.") and of.port == ingress.port:
                    for endpoint in each.endpoints:
                        if endpoint.address in addresses:
                            return _Seen(of.host, endpoint.port)
            raise NotYet(f"none of its clusters leads to port {ingress.port} of {service.name}.{service.namespace}")

        return eventually(f"the proxy of {client.ref} knows the gateway's Service", look, self.pace)

    def _apply(self, opened: OpenGateway, ingress: Ingress, host: str) -> None:
        variables = {"OWN_HOST": opened.own_host, "NAMESPACE": self.test_pods.namespace(INSIDE)}
        gateway, itself, to_it = documents(GATEWAY, variables | {"SERVICE": host})
        gateway["spec"]["selector"] = dict(ingress.gateway.selector)
        gateway["spec"]["servers"][0]["port"]["number"] = ingress.port
        to_it["spec"]["http"][0]["route"][0]["destination"]["port"]["number"] = ingress.port
        self.objects.apply_all([gateway, itself, to_it])
        of_gateway = {"OWN_HOST": opened.own_host, "GATEWAY_NAMESPACE": variables["NAMESPACE"]}
        for name in opened.hosts:
            its = {"NAME": name, "NAMESPACE": self.test_pods.namespace(name)}
            self.objects.apply_all(documents(ROUTE, of_gateway | its))

    def _await(self, opened: OpenGateway, ready: Mapping[str, Pod]) -> None:
        servers = {(pod.ip, HTTP) for pod in ready.values()}
        clients = [pod for pod in ready.values() if pod.is_injected]

        def look() -> None:
            for pod in opened.pods:
                answers = read_admin(self.cluster, pod, [ROUTES, HOSTS])
                if missing := {opened.own_host, *opened.hosts.values()} - parse_domains(answers[ROUTES].document):
                    raise NotYet(f"{pod.ref} has no route for {', '.join(sorted(missing))}")
                if unknown := servers - hosts_of(answers[HOSTS].document):
                    raise NotYet(f"{pod.ref} does not know {', '.join(sorted(address for address, _ in unknown))}")
            for pod in clients:
                if opened.own_host not in parse_domains(read_admin(self.cluster, pod, [ROUTES])[ROUTES].document):
                    raise NotYet(f"{pod.ref} has no route for {opened.own_host}")

        outside = ready[OUTSIDE]
        eventually(f"the gateway is open for {opened.own_host}", look, self.pace)
        eventually(
            f"{outside.ref} can connect to {opened.url}", lambda: must_connect(self.cluster, outside, opened.url), self.pace
        )
