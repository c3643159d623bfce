"""Gateways in front of a test pod: the mesh's own, and one that istiod deploys through the Gateway API.

The objects that configure or make them are in one of the suite's namespaces, and are removed with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from facts.istio.gateways import GATEWAY_NAME
from facts.istio.mesh import DEFAULT_REVISION
from facts.istio.services import Ingress
from facts.kubernetes.objects import Pod
from facts.provider.agents import SocketDirectories
from facts.proxies import policies
from facts.proxies.envoy_traffic import HOSTS, ROUTES, hosts_of, parse_domains
from facts.svid import workload_id
from observe.kubernetes.cluster import Cluster
from observe.proxies.envoy import read_admin
from observe.wait import NotYet, Pace, eventually
from provision.names import HTTP
from provision.objects import Objects
from provision.pods.clients_and_servers import CONTAINER
from provision.pods.running import only_on
from provision.render import MANIFESTS, documents

CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 3).close()"

GATEWAY = MANIFESTS / "traffic" / "gateway.yaml"
GATEWAY_API = MANIFESTS / "traffic" / "gateway-api.yaml"


@dataclass(frozen=True, slots=True)
class IngressAccess:
    """Access to a test pod through a gateway.

    Attributes:
        url: Address of the gateway inside the cluster.
        host: Host name for requests.
        identity: SPIFFE ID that the gateway must have.
        pods: Pods of the gateway.
    """

    url: str
    host: str
    identity: str
    pods: tuple[Pod, ...]

    @property
    def principal(self) -> str:
        """The gateway's identity in the notation of policies."""
        return self.identity.removeprefix("spiffe://")


@dataclass(frozen=True, slots=True)
class IngressSetup:
    """Opens gateways in front of the test pod ``beta``, with objects in its namespace.

    Attributes:
        objects: Changes the cluster.
        cluster: Reads the cluster.
        client: Pod outside the mesh that sends requests.
        server: Pod of beta.
        trust_domain: Name of Teleport.
        pace: Pace of each wait.
    """

    objects: Objects
    cluster: Cluster
    client: Pod
    server: Pod
    trust_domain: str
    pace: Pace

    def open(self, ingress: Ingress, pods: Sequence[Pod]) -> IngressAccess:
        """Open the mesh's own ingress gateway.

        Args:
            ingress: Gateway of the mesh.
            pods: Pods of the gateway.

        Raises:
            ProvisioningFailed: The API server refuses an object.
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

    def build(self, gateway_class: str, revision: str, directories: SocketDirectories) -> IngressAccess:
        """Make a Gateway for which istiod deploys a gateway of the suite's own, on the node's socket.

        Where nodes differ in the directory of their socket, the gateway runs on beta's node, with the directory of that.

        Args:
            gateway_class: Class of gateways that istiod deploys.
            revision: Revision of Istio; ``default`` where it has none.
            directories: Directories of the nodes in which tbot listens.

        Raises:
            ProvisioningFailed: The API server refuses an object.
            CouldNotTell: istiod does not deploy it, or a proxy does not learn of it, in time.
        """
        namespace = self.server.namespace
        # istiod gives this name to all that it makes for the Gateway `ingress`: Deployment, Service and service account.
        deployed = f"ingress-{gateway_class}"
        identity = workload_id(self.trust_domain, namespace, deployed)
        access = IngressAccess(f"http://{deployed}.{namespace}:80/", f"ingress.{namespace}.invalid", identity, ())
        directory = min(directories.on(self.server.node))
        made = self._documents(GATEWAY_API, access, SOCKET_DIRECTORY=directory, GATEWAY_CLASS=gateway_class)
        if len(directories.everywhere) > 1:
            overlay = yaml.safe_load(made[0]["data"]["deployment"])
            overlay["spec"]["template"]["spec"]["affinity"] = only_on(self.server.node)
            made[0]["data"]["deployment"] = yaml.safe_dump(overlay, sort_keys=False)
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
        """Wait until the proxies at both ends know the gateway, and the client can connect to it."""

        def look() -> None:
            for pod in access.pods:
                answers = read_admin(self.cluster, pod, [ROUTES, HOSTS])
                if access.host not in parse_domains(answers[ROUTES].document):
                    raise NotYet(f"{pod.ref} has no route for {access.host}")
                if (self.server.ip, HTTP) not in hosts_of(answers[HOSTS].document):
                    raise NotYet(f"{pod.ref} does not know {self.server.ref}")
            enforced = read_admin(self.cluster, self.server, [policies.OF_SIDECAR])[policies.OF_SIDECAR]
            if not any(access.principal in text for text in policies.principals_in(enforced.document)):
                raise NotYet(f"{self.server.ref} has no policy for {access.principal}")

        eventually(f"the gateway is open for {access.host}", look, self.pace)
        eventually(
            f"{self.client.ref} can connect to {access.url}",
            lambda: must_connect(self.cluster, self.client, access.url),
            self.pace,
        )


def must_connect(cluster: Cluster, client: Pod, url: str) -> None:
    """Open a connection and close it: a node learns of a new Service and of its pods with a delay.

    Raises:
        NotYet: There is none.
    """
    address = urlsplit(url)
    done = cluster.execute(client.ref, CONTAINER, ["python3", "-c", CONNECT, str(address.hostname), str(address.port)])
    if done.exit_code:
        raise NotYet(done.stderr.strip().rpartition("\n")[2] or f"exit code {done.exit_code}")
