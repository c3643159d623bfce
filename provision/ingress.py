"""The mesh's ingress gateway, opened for a host of the run by what lies in a namespace of the run and goes with it."""

from __future__ import annotations

import json
from collections.abc import Sequence

from facts import envoy
from facts.envoy_traffic import HOSTS, ROUTES, hosts_of
from facts.kubernetes import Pod
from facts.services import Ingress
from observe.cluster import Cluster
from observe.envoy import read_admin
from observe.wait import NotYet, Pace, eventually
from provision.objects import Objects
from provision.render import MANIFESTS, documents

GATEWAY = MANIFESTS / "traffic" / "gateway.yaml"


def open_for(
    host: str,
    server: Pod,
    ingress: Ingress,
    pods: Sequence[Pod],
    principal: str,
    *,
    objects: Objects,
    cluster: Cluster,
    pace: Pace,
) -> None:
    """Opens the gateway and waits until the proxies at both ends know of it.

    Args:
        host: Name to ask the gateway for.
        server: The workload behind it, which is ``beta``.
        ingress: The gateway.
        pods: Its pods.
        principal: Its identity, without the scheme.
        objects: The cluster, as something to change.
        cluster: The cluster, as something to look at.
        pace: Patience.

    Raises:
        ProvisioningFailed: The API server refuses it.
        CouldNotTell: A proxy does not learn of it in time.
    """
    variables = {"NAMESPACE": server.namespace, "HOST": host, "GATEWAY_PRINCIPAL": principal}
    gateway, *rest = documents(GATEWAY, variables)
    gateway["spec"]["selector"] = dict(ingress.deployment.selector)
    gateway["spec"]["servers"][0]["port"]["number"] = ingress.port
    objects.apply_all([gateway, *rest])

    def look() -> None:
        for pod in pods:
            answers = read_admin(cluster, pod, [ROUTES, HOSTS])
            if host not in json.dumps(answers[ROUTES].document):
                raise NotYet(f"{pod.ref} has no route for {host}")
            if f"{server.ip}:8080" not in hosts_of(answers[HOSTS].document):
                raise NotYet(f"{pod.ref} does not know {server.ref}")
        listeners = read_admin(cluster, server, [envoy.INBOUND_LISTENERS])[envoy.INBOUND_LISTENERS].document
        if principal not in json.dumps(listeners):
            raise NotYet(f"{server.ref} has no policy for {principal}")

    eventually(f"the gateway {ingress.deployment.ref} is open for {host}", look, pace)
