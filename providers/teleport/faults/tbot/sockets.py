"""Faults of tbot's sockets: where they are, and how they are called. tbot itself is Ready."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta

from facts.document import when
from facts.kubernetes.pod_spec import ISTIOS_SOCKET
from facts.proxies.presence import STARTING, Stage, start_of
from observe.wait import NotYet, eventually
from providers.teleport.faults.tbot.daemon_set import SOCKETS, await_cut_off, pods_of_tbot
from providers.teleport.faults.tbot.pod_template import first_left_out
from provision.faults.changes import Document, edited, patched, patched_tbot, pod_template
from provision.faults.fault import Scene
from provision.faults.istio.guides_values import another_name
from provision.names import APP, GATEWAY, ISTIO_NAMESPACE, TBOT, TBOT_CONFIG, TBOT_FILE, TBOT_NAMESPACE

ELSEWHERE = "/run/tbot-sockets"
"""Directory on the node that no pod mounts."""
OTHER_NAME = "agent.sock"
GIVEN_UP = timedelta(seconds=75)
"""Time after a start of tbot within which every proxy that can connect has done so; Envoy waits 30 s at most."""


@contextmanager
def in_another_directory(scene: Scene) -> Iterator[None]:
    """Let tbot listen where no pod looks, until every pod of it is Ready and supplies no proxy."""
    (sound,) = (v["hostPath"] for v in pods_of_tbot(scene)["volumes"] if v["name"] == SOCKETS)
    broken, former = (
        pod_template(volumes=[{"name": SOCKETS, "hostPath": path}]) for path in ({**sound, "path": ELSEWHERE}, sound)
    )
    try:
        with patched(scene, "DaemonSet", TBOT, TBOT_NAMESPACE, spec=broken, undo=former, then=scene.await_tbot):
            scene.await_rollout("DaemonSet", TBOT, TBOT_NAMESPACE)
            await_cut_off(scene, every=True)
            yield
    finally:
        for node in scene.nodes():
            scene.on_node(node, "rm", "-rf", ELSEWHERE)


def _renamed(file: Document) -> Document:
    (service,) = file["services"]
    directory = str(service["listen"]).rpartition("/")[0]
    return {**file, "services": [{**service, "listen": f"{directory}/{OTHER_NAME}"}]}


@contextmanager
def of_another_name(scene: Scene) -> Iterator[None]:
    """Give tbot's socket a name that no proxy looks for, and restart tbot."""
    try:
        with edited(scene, TBOT_NAMESPACE, TBOT_CONFIG, TBOT_FILE, _renamed):
            scene.installation.objects.restart("DaemonSet", TBOT, namespace=TBOT_NAMESPACE)
            scene.await_rollout("DaemonSet", TBOT, TBOT_NAMESPACE)
            await_cut_off(scene, every=True)
            yield
    finally:
        scene.restart_tbot()


@contextmanager
def directory_made_again(scene: Scene) -> Iterator[None]:
    """Remove the socket directory of a node and make it again, restart tbot there, and leave the proxies as they are."""
    node, directory = scene.nodes()[0], scene.installation.variables["SOCKET_DIRECTORY"]
    try:
        scene.on_node(node, "sh", "-ec", f"rm -rf {directory}; mkdir -m 0755 {directory}")
        _replace(scene, node, TBOT_NAMESPACE, TBOT)
        scene.await_rollout("DaemonSet", TBOT, TBOT_NAMESPACE)
        await_cut_off(scene, node)
        _await_no_return(scene, node)
        yield
    finally:
        _mount_again(scene)


LEAVES_A_SOCKET = """
my $path = shift;
unlink $path;
socket(my $own, PF_UNIX, SOCK_STREAM, 0) or die $!;
bind($own, sockaddr_un($path)) or die "$path: $!";
chmod(0777, $path) or die "$path: $!";
"""
"""Program in Perl, which kind's nodes have: takes the path of a socket, as a tbot that starts does, and leaves it behind."""


@contextmanager
def left_by_another(scene: Scene) -> Iterator[None]:
    """Leave a socket without a listener at the path of tbot's on one node, and replace the test application's pods there."""
    node = scene.nodes()[0]
    path = f"{scene.installation.variables['SOCKET_DIRECTORY']}/{ISTIOS_SOCKET}"
    try:
        scene.on_node(node, "perl", "-MSocket", "-e", LEAVES_A_SOCKET, path)
        _replace(scene, node, APP, APP)
        _await_exits(scene, node)
        yield
    finally:
        # By its template, so that the wait sees the new pod: a DaemonSet counts a deleted one as Ready for a moment.
        scene.installation.objects.restart("DaemonSet", TBOT, namespace=TBOT_NAMESPACE)
        scene.await_rollout("DaemonSet", TBOT, TBOT_NAMESPACE)
        scene.restart_app()
        scene.await_tbot()


def _replace(scene: Scene, node: str, namespace: str, app: str) -> None:
    """Delete the pods of an application on a node; their controller makes others there."""
    objects = scene.installation.objects
    for pod in objects.all_of("v1", "Pod", namespace=namespace, label_selector=f"app={app}"):
        if pod["spec"].get("nodeName") == node:
            objects.delete("v1", "Pod", pod["metadata"]["name"], namespace=namespace)


def _await_exits(scene: Scene, node: str) -> None:
    """Wait until Istio's agent in a new pod of the test application on a node has exited for as long as starts may take."""
    with scene.looking() as cluster:

        def look() -> None:
            now = datetime.now(UTC)
            pods = [p for p in cluster.pods(APP, f"app={APP}") if p.node == node and not p.terminating]
            if not any(start_of(p, now).stage is Stage.DOWN and p.proxy and p.proxy.last_exit_code for p in pods):
                raise NotYet(", ".join(f"{p.ref}: {p.why_not_ready or 'Ready'}" for p in pods) or "no pod")

        eventually(f"a new proxy on {node} does not start", look, scene.rollout)


@contextmanager
def fails_closed(scene: Scene) -> Iterator[None]:
    """Let no sidecar fall back to istiod, keep tbot off one node, and replace the test application's pods there."""
    node = scene.nodes()[0]
    # What gives the socket its usual name again restarts tbot and all that uses it, and waits for them.
    with another_name(scene), first_left_out(scene, lambda: None):
        _replace(scene, node, APP, APP)
        _await_exits(scene, node)
        yield


def _requiring_the_directory(scene: Scene) -> tuple[Document, Document]:
    """Return the patch with which tbot's volume requires the socket directory to exist, and the one that takes it back."""
    (path,) = (v["hostPath"] for v in pods_of_tbot(scene)["volumes"] if v["name"] == SOCKETS)
    broken, sound = (
        pod_template(volumes=[{"name": SOCKETS, "hostPath": {**path, "type": kind}}])
        for kind in ("Directory", path.get("type", ""))
    )
    return broken, sound


def directory_required(scene: Scene) -> AbstractContextManager[None]:
    """Let tbot's volume require the socket directory to exist."""
    return patched_tbot(scene, *_requiring_the_directory(scene))


@contextmanager
def directory_lost(scene: Scene) -> Iterator[None]:
    """Let tbot's volume require the socket directory, lose the directory of a node, and replace the pods there."""
    node, directory = scene.nodes()[0], scene.installation.variables["SOCKET_DIRECTORY"]
    broken, sound = _requiring_the_directory(scene)
    with patched(scene, "DaemonSet", TBOT, TBOT_NAMESPACE, spec=broken, undo=sound, then=lambda: _mount_again(scene)):
        scene.await_tbot()
        scene.on_node(node, "rm", "-rf", directory)
        _replace(scene, node, TBOT_NAMESPACE, TBOT)
        _replace(scene, node, APP, APP)
        _await_waiting(scene, node)
        yield


def _mount_again(scene: Scene) -> None:
    """Restart what mounts the socket directory, once tbot is there, and wait until every Envoy has its streams."""
    scene.await_rollout("DaemonSet", TBOT, TBOT_NAMESPACE)
    scene.installation.objects.restart("Deployment", GATEWAY, namespace=ISTIO_NAMESPACE)
    scene.restart_app()
    scene.await_rollout("Deployment", GATEWAY, ISTIO_NAMESPACE)
    scene.await_tbot()


def _await_waiting(scene: Scene, node: str) -> None:
    """Wait until new pods of tbot and of the test application on a node have been starting for long."""
    with scene.looking() as cluster:

        def look() -> None:
            now = datetime.now(UTC)
            pods = [p for each in (TBOT_NAMESPACE, APP) for p in cluster.pods(each) if p.node == node and not p.terminating]
            young = [p for p in pods if now - when(p.created_at, str(p.ref)) < STARTING]
            if {p.namespace for p in pods} != {TBOT_NAMESPACE, APP} or young or any(p.ready for p in pods):
                seen = ", ".join(f"{p.ref} ({'Ready' if p.ready else p.why_not_ready})" for p in pods)
                raise NotYet(f"{seen or 'no pod'}, {len(young)} of them younger than {STARTING.total_seconds():.0f} s")

        eventually(f"tbot and the test application on {node} do not start", look, scene.rollout)


def _await_no_return(scene: Scene, node: str) -> None:
    """Wait for as long as a proxy that could connect would take to do so."""
    with scene.looking() as cluster:

        def look() -> None:
            now = datetime.now(UTC)
            there = [c.started_at for p in cluster.pods(TBOT_NAMESPACE) if p.node == node for c in p.containers]
            if not there or not all(there):
                raise NotYet("tbot there has not started")
            if now - (since := max(when(each, node) for each in there)) < GIVEN_UP:
                raise NotYet(f"tbot there has run since {since}")

        eventually(f"the tbot of {node} has run for a while", look, scene.rollout)
