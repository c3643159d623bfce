"""Gateways in front of a test pod: the mesh's own, opened, and one that istiod deploys by the Gateway API.

The objects that open or make them lie in one of the run's namespaces, and go with it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from facts.istio.gateways import GATEWAY_NAME
from facts.istio.services import Ingress
from facts.kubernetes.objects import Pod
from facts.proxies import envoy
from facts.proxies.envoy_traffic import HOSTS, ROUTES, hosts_of
from facts.svid import workload_id
from observe.kubernetes.cluster import Cluster
from observe.proxies.envoy import read_admin
from observe.wait import NotYet, Pace, eventually
from provision.names import HTTP
from provision.objects import Objects
from provision.pods.clients_and_servers import CONTAINER, DEFAULT_REVISION
from provision.render import MANIFESTS, documents

CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 3).close()"

GATEWAY = MANIFESTS / "traffic" / "gateway.yaml"
GATEWAY_API = MANIFESTS / "traffic" / "gateway-api.yaml"


@dataclass(frozen=True, slots=True)
class IngressAccess:
    """A way in from outside.

    Attributes:
        url: Its address from inside the cluster.
        host: The name to ask it for.
        identity: The SPIFFE ID that its gateway must have.
        pods: Of the gateway.
    """

    url: str
    host: str
    identity: str
    pods: tuple[Pod, ...]

    @property
    def principal(self) -> str:
        """The gateway's identity as policies write it."""
        return self.identity.removeprefix("spiffe://")


@dataclass(frozen=True, slots=True)
class IngressSetup:
    """Opens gateways in front of the test pod ``beta``; the objects that open them lie in its namespace.

    Attributes:
        objects: The cluster, as something to change.
        cluster: The cluster, as something to look at.
        client: The pod that asks, from outside the mesh.
        server: The pod of beta.
        trust_domain: Teleport's name.
        pace: Patience for each wait.
    """

    objects: Objects
    cluster: Cluster
    client: Pod
    server: Pod
    trust_domain: str
    pace: Pace

    def open(self, ingress: Ingress, pods: Sequence[Pod]) -> IngressAccess:
        """Opens the mesh's own ingress gateway.

        Args:
            ingress: The gateway.
            pods: Its pods.

        Raises:
            ProvisioningFailed: The API server refuses it.
            CouldNotTell: A proxy does not learn of it in time.
        """
        service, its = ingress.service, ingress.gateway
        access = IngressAccess(
            url=f"http://{service.name}.{service.namespace}:{ingress.port}/",
            host=f"{self.server.namespace}.invalid",
            identity=workload_id(self.trust_domain, its.namespace, its.service_account),
            pods=tuple(pods),
        )
        gateway, *rest = self._documents(GATEWAY, access)
        gateway["spec"]["selector"] = dict(its.selector)
        gateway["spec"]["servers"][0]["port"]["number"] = ingress.port
        self.objects.apply_all([gateway, *rest])
        self._await(access)
        return access

    def build(self, gateway_class: str, revision: str, socket_directory: str) -> IngressAccess:
        """Has istiod deploy a gateway of the run's own, by the Gateway API, on the node's socket.

        Args:
            gateway_class: Class of gateways that istiod deploys.
            revision: Of Istio; ``default`` where it has none.
            socket_directory: Directory of tbot's socket on the node.

        Raises:
            ProvisioningFailed: The API server refuses it.
            CouldNotTell: istiod does not deploy it, or a proxy does not learn of it, in time.
        """
        namespace = self.server.namespace
        # The name that istiod gives to all it makes for the Gateway `ingress`: Deployment, Service and service account.
        deployed = f"ingress-{gateway_class}"
        identity = workload_id(self.trust_domain, namespace, deployed)
        access = IngressAccess(f"http://{deployed}.{namespace}:80/", f"ingress.{namespace}.invalid", identity, ())
        made = self._documents(GATEWAY_API, access, SOCKET_DIRECTORY=socket_directory, GATEWAY_CLASS=gateway_class)
        if revision != DEFAULT_REVISION:
            made[1]["metadata"]["labels"] = {"istio.io/rev": revision}
        self.objects.apply_all(made)
        remedy = f"kubectl describe gateway ingress -n {namespace}; istiod's log says why it does not deploy it"
        self.objects.await_ready("Deployment", deployed, self.pace, namespace=namespace, remedy=remedy)
        access = replace(access, pods=self.cluster.pods(namespace, f"{GATEWAY_NAME}=ingress"))
        self._await(access)
        return access

    def _documents(self, manifest: Path, access: IngressAccess, **more: str) -> list[dict[str, Any]]:
        variables = {"NAMESPACE": self.server.namespace, "HOST": access.host, "GATEWAY_PRINCIPAL": access.principal}
        return documents(manifest, variables | more)

    def _await(self, access: IngressAccess) -> None:
        """Waits until the proxies at both ends know of it, and the client's node leads to it."""

        def look() -> None:
            for pod in access.pods:
                answers = read_admin(self.cluster, pod, [ROUTES, HOSTS])
                if access.host not in json.dumps(answers[ROUTES].document):
                    raise NotYet(f"{pod.ref} has no route for {access.host}")
                if f"{self.server.ip}:{HTTP}" not in hosts_of(answers[HOSTS].document):
                    raise NotYet(f"{pod.ref} does not know {self.server.ref}")
            listeners = read_admin(self.cluster, self.server, [envoy.INBOUND_LISTENERS])[envoy.INBOUND_LISTENERS]
            if access.principal not in json.dumps(listeners.document):
                raise NotYet(f"{self.server.ref} has no policy for {access.principal}")

        eventually(f"the gateway is open for {access.host}", look, self.pace)
        eventually(f"{self.client.ref} can connect to {access.url}", lambda: self._connect(access), self.pace)

    def _connect(self, access: IngressAccess) -> None:
        """Opens a connection and closes it: a node learns of a new Service and of its pods in its own time."""
        address = urlsplit(access.url)
        argv = ["python3", "-c", CONNECT, str(address.hostname), str(address.port)]
        done = self.cluster.execute(self.client.ref, CONTAINER, argv)
        if done.exit_code:
            raise NotYet(done.stderr.strip().rpartition("\n")[2] or f"exit code {done.exit_code}")
