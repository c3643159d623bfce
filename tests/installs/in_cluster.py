"""Join by TokenReview: Teleport asks the API server of the cluster beside which it runs, and has no keys of it.

Facts: Teleport's join method ``kubernetes`` with the type ``in_cluster``. Teleport takes address and credentials of the
cluster as any program in a pod does: two variables, and two files where the kubelet mounts a service account. That account
may create TokenReviews. The tokens that pods have anyway suffice, so tbot needs no projected one.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import yaml

from facts.errors import ProvisioningFailed
from observe.command import must_run
from observe.wait import Pace
from providers.teleport.installing import teleport
from providers.teleport.installing.resources import TOKEN_TEMPLATE
from providers.teleport.installing.teleport import CLUSTER_LABEL, PROXY_PORT, OwnTeleport
from provision.clusters.kind import NETWORK
from provision.faults import Scene
from provision.faults.changes import Document, applied, pod_template
from provision.names import TBOT, TBOT_NAMESPACE

NAMESPACE, ACCOUNT = "teleport-auth", "token-reviewer"
MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
"""Where the kubelet mounts the service account of a pod."""
API_SERVER_PORT = 6443
LIFETIME = "2h"
"""Of Teleport's token: longer than any run on the layout."""
TOKEN_PATH = "KUBERNETES_TOKEN_PATH"
"""Variable that leads tbot to a token other than its pod's usual one."""


@contextmanager
def laid_out(scene: Scene) -> Iterator[None]:
    """Let a Teleport that may review tokens take the lab's place, and tbot join with the usual token of its pod."""
    own = scene.installation.objects.must_get("apps/v1", "DaemonSet", TBOT, namespace=TBOT_NAMESPACE)
    with ExitStack() as stack:
        stack.enter_context(applied(scene, *_reviewer()))
        # Undone in reverse: the lab's own Teleport runs again before its tbot joins.
        stack.callback(_let_join, scene, of_projected_token(own))
        stack.enter_context(_reviewing(scene))
        scene.teleport.create(_token())
        _let_join(scene, of_usual_token(own))
        yield


@contextmanager
def token_for_another_account(scene: Scene) -> Iterator[None]:
    """Let the join token allow another service account than tbot's, which runs on until it has to join again."""
    try:
        scene.teleport.create(_token("default:tbot"))
        yield
    finally:
        scene.teleport.create(_token())


def _token(account: str = f"{TBOT_NAMESPACE}:{TBOT}") -> Document:
    """The lab's join token, of the other type: without the keys of the cluster."""
    token: Document = yaml.safe_load(TOKEN_TEMPLATE.read_text(encoding="utf-8"))
    return {
        **token,
        "spec": {**token["spec"], "kubernetes": {"type": "in_cluster", "allow": [{"service_account": account}]}},
    }


def _reviewer() -> list[Document]:
    """Teleport's service account, with its one right."""
    rbac, named = "rbac.authorization.k8s.io", {"name": ACCOUNT}
    review = {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {**named, "namespace": NAMESPACE}},
        {"apiVersion": f"{rbac}/v1", "kind": "ClusterRole", "metadata": named, "rules": [review]},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": named,
            "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", **named},
            "subjects": [{"kind": "ServiceAccount", **named, "namespace": NAMESPACE}],
        },
    ]


# Teleport.


@contextmanager
def _reviewing(scene: Scene) -> Iterator[None]:
    """Run a copy of the lab's Teleport that has a pod's way to the API server, under the name and the port of the lab's.

    A container gets its variables when Docker makes it, so the lab's own is set aside meanwhile, and later knows nothing of
    what the copy has issued.
    """
    lab = _of_lab(scene)
    client, name = lab.container.client, lab.container.name
    # Not the object that the installation has: that one goes on saying the name under which the copy is found.
    own = client.containers.get(lab.container.id)
    with tempfile.TemporaryDirectory(dir=scene.installation.directory, prefix="account-") as mount, ExitStack() as stack:
        _write_credentials(scene, Path(mount))
        image = own.commit()
        stack.callback(client.images.remove, image.id, force=True)
        stack.callback(_await_teleport, scene, own.labels[CLUSTER_LABEL])
        stack.callback(own.start)
        own.stop(timeout=1)
        stack.callback(own.rename, name)
        own.rename(f"{name}-aside")
        copy = client.containers.create(
            image.id,
            name=name,
            ports={f"{PROXY_PORT}/tcp": ("127.0.0.1", int(lab.proxy.rpartition(":")[2]))},
            environment={"KUBERNETES_SERVICE_HOST": scene.nodes()[-1], "KUBERNETES_SERVICE_PORT": str(API_SERVER_PORT)},
            volumes={mount: {"bind": MOUNT, "mode": "ro"}},
        )
        stack.callback(copy.remove, force=True, v=True)
        client.networks.get(NETWORK).connect(copy)
        copy.start()
        _await_teleport(scene, own.labels[CLUSTER_LABEL])
        yield


def _write_credentials(scene: Scene, directory: Path) -> None:
    """Write the token of Teleport's service account, and what verifies the API server, as the kubelet does."""
    installation = scene.installation
    there = ("--kubeconfig", str(installation.kubeconfig), "--context", installation.context, "--namespace", NAMESPACE)
    asked = [str(installation.sources.kubectl), "create", "token", ACCOUNT, f"--duration={LIFETIME}", *there]
    token = must_run(asked, timeout=scene.patience.command).stdout.strip()
    root = installation.objects.must_get("v1", "ConfigMap", "kube-root-ca.crt", namespace="kube-system")
    for name, text in (("token", token), ("ca.crt", root["data"]["ca.crt"])):
        (directory / name).write_text(text, encoding="ascii")


def _await_teleport(scene: Scene, kind_name: str) -> None:
    """Wait until the Teleport of the cluster answers that runs now."""
    teleport.find(
        kind_name,
        cluster_name=scene.installation.authority.cluster_name,
        pace=Pace(scene.patience.teleport_up),
        command_timeout=scene.patience.command,
        directory=scene.installation.directory,
    )


def _of_lab(scene: Scene) -> OwnTeleport:
    authority = scene.installation.authority
    if not isinstance(authority, OwnTeleport):
        raise ProvisioningFailed(
            expected="a Teleport of the suite's own, which this layout replaces",
            seen="one that was there before",
            where=f"Teleport {authority.cluster_name}",
            remedy="take the lab's own: unset CONFORMANCE_TELEPORT",
        )
    return authority


# tbot.


def _let_join(scene: Scene, change: Document) -> None:
    """Change tbot's pods, which then find the Teleport that runs now, and wait until every Envoy has its streams again."""
    authority = _of_lab(scene)
    running = authority.container.client.containers.get(authority.container.name)
    address = running.attrs["NetworkSettings"]["Networks"][NETWORK]["IPAddress"]
    aliases = [{"$patch": "replace"}, {"ip": address, "hostnames": [authority.cluster_name]}]
    spec = pod_template(hostAliases=aliases, **change)
    scene.installation.objects.patch("apps/v1", "DaemonSet", TBOT, {"spec": spec}, namespace=TBOT_NAMESPACE)
    scene.await_tbot()


def of_projected_token(own: Document) -> Document:
    """What the lab's tbot has for the token that it joins with: a volume, where it is mounted, and a variable."""
    pod = own["spec"]["template"]["spec"]
    (volume,) = [
        v for v in pod["volumes"] if any("serviceAccountToken" in s for s in v.get("projected", {}).get("sources", ()))
    ]
    (container,) = pod["containers"]
    return {
        "volumes": [volume],
        "containers": [
            {
                "name": container["name"],
                "env": [variable for variable in container["env"] if variable["name"] == TOKEN_PATH],
                "volumeMounts": [mount for mount in container["volumeMounts"] if mount["name"] == volume["name"]],
            }
        ],
    }


def of_usual_token(own: Document) -> Document:
    """The patch that takes this away, so that tbot joins with the token that its pod has anyway."""
    projected = of_projected_token(own)
    (volume,), (container,) = projected["volumes"], projected["containers"]
    without = {"$patch": "delete"}
    return {
        "volumes": [{"name": volume["name"], **without}],
        "containers": [
            {
                "name": container["name"],
                "env": [{"name": variable["name"], **without} for variable in container["env"]],
                "volumeMounts": [{"mountPath": mount["mountPath"], **without} for mount in container["volumeMounts"]],
            }
        ],
    }
