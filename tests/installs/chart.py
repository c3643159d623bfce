"""tbot as Teleport's Helm chart ``tbot-spiffe-daemon-set`` lays it out, with proxies that fail closed.

Facts: the chart's values and templates (examples/chart in gravitational/teleport): the socket is
``/run/tbot/sockets/workload.sock``, its identity selector names ``local-docker-k8s-ds``, and tbot runs privileged.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import yaml

from facts.document import decoded
from facts.errors import ProvisioningFailed
from facts.kubernetes.pod_spec import PROXY, SOCKET_VOLUME
from facts.versions import parse_server_version
from observe.wait import NotYet, eventually
from providers.teleport.installing import tbot
from providers.teleport.installing.resources import token_file
from provision.faults import Scene
from provision.faults.changes import Document, applied, edited, edited_text, patched, pod_template
from provision.faults.istio.istio_settings import INJECTOR
from provision.names import GATEWAY, ISTIO_NAMESPACE, TBOT, TBOT_CONFIG, TBOT_FILE, TBOT_NAMESPACE

NAMESPACE, NAME = "teleport-agents", "tbot-spiffe-daemon-set"
DIRECTORY, SOCKET = "/run/tbot/sockets", "workload.sock"
IDENTITY = "local-docker-k8s-ds"
CHARTS_PATH = "/k8s/{{ workload.kubernetes.namespace }}/{{ workload.kubernetes.service_account }}"
TOKEN_MOUNT, TOKEN_NAME = "/var/run/secrets/tokens", "join-sa-token"
PRESENT = "workload-socket-present"
"""Volume with which the recommended gateway waits for the socket."""


@contextmanager
def laid_out(scene: Scene) -> Iterator[None]:
    """Put the chart's tbot in the place of the lab's own, and let Istio take its identities from there."""
    with ExitStack() as stack:
        # Undone in reverse: the lab's own tbot is back before the proxies are awaited that use it.
        stack.callback(scene.restart_app)
        stack.callback(scene.await_rollout, "Deployment", GATEWAY, ISTIO_NAMESPACE)
        stack.callback(scene.await_rollout, "DaemonSet", TBOT, TBOT_NAMESPACE)
        stack.enter_context(_in_teleport(scene))
        stack.enter_context(applied(scene, *_objects(scene)))
        scene.await_rollout("DaemonSet", NAME, NAMESPACE)
        stack.enter_context(_without_own_tbot(scene))
        stack.enter_context(_istio_uses_it(scene))
        scene.await_rollout("Deployment", GATEWAY, ISTIO_NAMESPACE)
        scene.restart_app()
        yield


@contextmanager
def with_the_charts_path(scene: Scene) -> Iterator[None]:
    """Give the identity the path of the chart's own documentation, which is not Istio's."""
    teleport = scene.teleport
    sound = _identity(scene)
    teleport.create({**sound, "spec": {"spiffe": {"id": CHARTS_PATH}}})
    try:
        yield
    finally:
        teleport.create(sound)


def _identity(scene: Scene) -> Document:
    labs = _labs_identity(scene)
    return {**labs, "metadata": {**labs["metadata"], "name": IDENTITY}}


def _labs_identity(scene: Scene) -> Document:
    (labs,) = scene.installation.variant.documents("teleport-workload-identity.yaml", {})
    return labs


@contextmanager
def _in_teleport(scene: Scene) -> Iterator[None]:
    """Let the chart's service account join, under an identity of the chart's name."""
    installation, identities, tokens = scene.installation, scene.teleport, scene.teleport
    jwks = installation.objects.raw("/openid/v1/jwks")
    with token_file(installation.directory, jwks) as file:
        own = yaml.safe_load(file.read_text(encoding="utf-8"))
    charts = copy.deepcopy(own)
    charts["spec"]["kubernetes"]["allow"] = [{"service_account": f"{NAMESPACE}:{NAME}"}]
    labs = _labs_identity(scene)
    try:
        identities.create(_identity(scene))
        tokens.create(charts)
        # The role would select it as well, and the chart's owner has only one.
        name = f"workload_identity/{labs['metadata']['name']}"
        removed = installation.authority.tctl(["rm", name])
        if removed.exit_code:
            raise ProvisioningFailed(
                expected=f"Teleport to remove {name}",
                seen=f"exit code {removed.exit_code}: {removed.tail()}",
                where=f"Teleport {installation.authority.cluster_name}",
                remedy=f"remove it by hand: tctl rm {name}",
            )
        yield
    finally:
        scene.teleport.create(labs)
        tokens.create(own)
        identities.remove()


def _objects(scene: Scene) -> list[Document]:
    """What the chart makes: the lab's own objects, renamed and changed as the chart has them."""
    installation = scene.installation
    daemon_set = installation.objects.must_get("apps/v1", "DaemonSet", TBOT, namespace=TBOT_NAMESPACE)
    aliases = daemon_set["spec"]["template"]["spec"].get("hostAliases", ())
    made = tbot.objects(
        installation.variant,
        {**installation.variables, "SOCKET_DIRECTORY": DIRECTORY},
        kubernetes=parse_server_version(decoded(installation.objects.raw("/version"))),
        insecure=False,
        ca=installation.authority.ca,
        host_aliases={name: alias["ip"] for alias in aliases for name in alias["hostnames"]},
    )
    return [_as_the_chart(document) for document in made]


def _as_the_chart(document: Document) -> Document:
    changed = copy.deepcopy(document)
    metadata = changed["metadata"]
    metadata["name"] = NAMESPACE if changed["kind"] == "Namespace" else NAME
    if "namespace" in metadata:
        metadata["namespace"] = NAMESPACE
    if changed["kind"] == "ConfigMap":
        config = yaml.safe_load(changed["data"][TBOT_FILE])
        (service,) = config["services"]
        service |= {"listen": f"unix://{DIRECTORY}/{SOCKET}", "selector": {"name": IDENTITY}}
        changed["data"][TBOT_FILE] = yaml.safe_dump(config, sort_keys=False)
    if "roleRef" in changed:
        changed["roleRef"]["name"] = NAME
        changed["subjects"] = [{**subject, "name": NAME, "namespace": NAMESPACE} for subject in changed["subjects"]]
    if changed["kind"] == "DaemonSet":
        _pods_as_the_chart(changed["spec"])
    return changed


def _pods_as_the_chart(spec: Document) -> None:
    labels = {"app.kubernetes.io/name": NAME}
    spec["selector"], spec["template"]["metadata"]["labels"] = {"matchLabels": labels}, labels
    pod: dict[str, Any] = spec["template"]["spec"]
    pod["serviceAccountName"] = NAME
    (container,) = pod["containers"]
    container["securityContext"] = {"privileged": True, "runAsUser": 0}
    for variable in container["env"]:
        if variable["name"] == "KUBERNETES_TOKEN_PATH":
            variable["value"] = f"{TOKEN_MOUNT}/{TOKEN_NAME}"
    for volume in pod["volumes"]:
        if "configMap" in volume:
            volume["configMap"]["name"] = NAME
        for source in volume.get("projected", {}).get("sources", ()):
            source["serviceAccountToken"]["path"] = TOKEN_NAME


@contextmanager
def _without_own_tbot(scene: Scene) -> Iterator[None]:
    """Remove the lab's own tbot with its configuration; put both back afterwards, without waiting."""
    objects = scene.installation.objects
    removed = [
        objects.must_get(api_version, kind, name, namespace=TBOT_NAMESPACE)
        for api_version, kind, name in (("v1", "ConfigMap", TBOT_CONFIG), ("apps/v1", "DaemonSet", TBOT))
    ]

    def gone() -> None:
        if left := objects.all_of("v1", "Pod", namespace=TBOT_NAMESPACE, label_selector=f"app={TBOT}"):
            raise NotYet(f"{len(left)} pods of it are there")

    try:
        for document in reversed(removed):
            objects.delete(document["apiVersion"], document["kind"], document["metadata"]["name"], namespace=TBOT_NAMESPACE)
        eventually("the lab's own tbot is gone", gone, scene.rollout)
        yield
    finally:
        for document in removed:
            metadata = {key: value for key, value in document["metadata"].items() if key in ("name", "namespace", "labels")}
            objects.apply({key: value for key, value in document.items() if key != "status"} | {"metadata": metadata})


@contextmanager
def _istio_uses_it(scene: Scene) -> Iterator[None]:
    """Tell Istio the socket's name, and mount its directory in sidecars and in the gateway."""
    own = scene.installation.variables["SOCKET_DIRECTORY"]

    def named(mesh: Document) -> Document:
        defaults = mesh.get("defaultConfig", {})
        metadata = {**defaults.get("proxyMetadata", {}), "WORKLOAD_IDENTITY_SOCKET_FILE": SOCKET}
        return {**mesh, "defaultConfig": {**defaults, "proxyMetadata": metadata}}

    def gateway(directory: str, socket: str, name: str | None) -> Document:
        return pod_template(
            volumes=[
                {"name": SOCKET_VOLUME, "hostPath": {"path": directory, "type": "Directory"}},
                {"name": PRESENT, "hostPath": {"path": f"{directory}/{socket}", "type": "Socket"}},
            ],
            containers=[
                {
                    "name": PROXY,
                    "env": [
                        {"name": "WORKLOAD_IDENTITY_SOCKET_FILE", "value": name}
                        if name
                        else {"name": "WORKLOAD_IDENTITY_SOCKET_FILE", "$patch": "delete"}
                    ],
                }
            ],
        )

    with ExitStack() as stack:
        stack.enter_context(edited(scene, ISTIO_NAMESPACE, "istio", "mesh", named))
        stack.enter_context(
            edited_text(scene, ISTIO_NAMESPACE, INJECTOR, "config", lambda text: text.replace(own, DIRECTORY))
        )
        stack.enter_context(
            patched(
                scene, "Deployment", GATEWAY, ISTIO_NAMESPACE,
                spec=gateway(DIRECTORY, SOCKET, SOCKET), undo=gateway(own, "socket", None),
                then=lambda: None,  # it waits for a socket that is there once all of this is undone
            )
        )  # fmt: skip
        scene.await_injected(f"mounts {DIRECTORY}", _mounts_it)
        yield


def _mounts_it(spec: Document) -> None:
    if not any(volume.get("hostPath", {}).get("path") == DIRECTORY for volume in spec["volumes"]):
        raise NotYet("its volumes do not have it")
