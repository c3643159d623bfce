"""Faults in Istio's configuration: mesh settings, injection templates, policies and filters."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

from observe.proxies.envoy import read_proxy
from observe.wait import NotYet
from provision.disruption.supply import uses_the_socket
from provision.faults.changes import applied, edited, edited_text, manifest
from provision.faults.fault import Scene
from provision.installing.variant import Variant
from provision.names import APP, HTTP, ISTIO_NAMESPACE
from provision.render import render

INJECTOR = "istio-sidecar-injector"

VOLUMES_ONLY_TEMPLATE = """\
spec:
  volumes:
  - name: workload-socket
    hostPath:
      path: ${SOCKET_DIRECTORY}
      type: Directory
"""
"""Leaves Istio's own mount of the volume as it is, which is writable."""


def _with_template(text: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return a change of the injector's configuration: another text as template `spire`."""
    return lambda config: {**config, "templates": {**config["templates"], "spire": text}}


def guides_template(scene: Scene) -> AbstractContextManager[None]:
    """Use the guide's template, which patches `containers`; a native sidecar is in `initContainers`."""
    (config,) = Variant(as_guide=True).documents("istio-config.yaml", scene.installation.variables)
    template = config["spec"]["values"]["sidecarInjectorWebhook"]["templates"]["spire"]
    return edited(scene, ISTIO_NAMESPACE, INJECTOR, "config", _with_template(template))


@contextmanager
def injected_with(scene: Scene, text: str, source: str) -> Iterator[None]:
    """Use a template that gives new pods another volume; running pods keep theirs until they restart."""
    template = render(text, scene.installation.variables, where="the fault's template")
    try:
        with edited(scene, ISTIO_NAMESPACE, INJECTOR, "config", _with_template(template)):
            scene.await_socket_volume(source)
            yield
    finally:
        scene.await_socket_volume("hostPath", read_only=True)


def volumes_only(scene: Scene) -> AbstractContextManager[None]:
    """Use a template that leaves the mount of the socket writable, for new pods."""
    return injected_with(scene, VOLUMES_ONLY_TEMPLATE, "hostPath")


def _past_the_proxy(text: str) -> str:
    """Exclude the test pods' HTTP port from what sidecars intercept, in the injector's values."""
    values = json.loads(text)
    values["global"]["proxy"]["excludeInboundPorts"] = str(HTTP)
    return json.dumps(values, indent=2)


@contextmanager
def port_left_out(scene: Scene) -> Iterator[None]:
    """Keep a port of the test pods away from all sidecars, until a new pod has that."""

    def look(spec: dict[str, Any], *, excluded: bool) -> None:
        arguments = [str(c.get("args")) for c in spec["initContainers"] if c["name"] == "istio-init"]
        if any(str(HTTP) in each for each in arguments) is not excluded:
            raise NotYet(f"the arguments of istio-init {'do not ' * excluded}name the port")

    with edited_text(scene, ISTIO_NAMESPACE, INJECTOR, "values", _past_the_proxy):
        scene.await_injected(f"leaves out port {HTTP}", partial(look, excluded=True))
        yield
    scene.await_injected(f"intercepts port {HTTP}", partial(look, excluded=False))


@contextmanager
def istiod_trusted(scene: Scene) -> Iterator[None]:
    """Apply a filter to the whole mesh with which servers accept certificates of istiod beside those of Teleport."""
    objects = scene.installation.objects
    root = objects.must_get("v1", "ConfigMap", "istio-ca-root-cert", namespace=ISTIO_NAMESPACE)["data"]["root-cert.pem"]
    with scene.looking() as cluster:
        (pod, *_) = (p for p in cluster.pods(APP, f"app={APP}") if uses_the_socket(p))
        authorities = [a for held in read_proxy(cluster, pod).root_authorities.values() for a in held]
    (trusting,) = manifest("istiod-trusted-as-well", TRUST_DOMAIN=scene.installation.variables["TRUST_DOMAIN"])
    socket = trusting["spec"]["configPatches"][0]["patch"]["value"]["transport_socket"]
    trusted = "".join([root, *(a.pem for a in authorities)])
    socket["typed_config"]["common_tls_context"]["validation_context"]["trusted_ca"]["inline_string"] = trusted
    with applied(scene, trusting):
        yield
