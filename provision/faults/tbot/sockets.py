"""Faults of tbot's sockets: where they are, and how they are called. tbot itself is Ready."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from provision.faults import reach
from provision.faults.changes import Document, edited, pod_template
from provision.faults.fault import Fault, Scene
from provision.faults.tbot.daemon_set import DAEMON_SET, SOCKETS, await_cut_off, pods_of_tbot
from provision.faults.tbot.pod_template import CUT_OFF, serves_nobody
from provision.names import TBOT, TBOT_CONFIG, TBOT_FILE, TBOT_NAMESPACE

ELSEWHERE = "/run/tbot-sockets"
"""Directory on the node that no pod mounts."""
OTHER_NAME = "agent.sock"


@contextmanager
def _in_another_directory(scene: Scene) -> Iterator[None]:
    (sound,) = (v["hostPath"] for v in pods_of_tbot(scene)["volumes"] if v["name"] == SOCKETS)
    broken, former = (
        pod_template(volumes=[{"name": SOCKETS, "hostPath": path}]) for path in ({**sound, "path": ELSEWHERE}, sound)
    )
    try:
        with serves_nobody(scene, broken, former):
            yield
    finally:
        for node in scene.nodes():
            scene.on_node(node, "rm", "-rf", ELSEWHERE)


def _renamed(file: Document) -> Document:
    (service,) = file["services"]
    directory = str(service["listen"]).rpartition("/")[0]
    return {**file, "services": [{**service, "listen": f"{directory}/{OTHER_NAME}"}]}


@contextmanager
def _of_another_name(scene: Scene) -> Iterator[None]:
    try:
        with edited(scene, TBOT_NAMESPACE, TBOT_CONFIG, TBOT_FILE, _renamed):
            scene.installation.objects.restart("DaemonSet", TBOT, namespace=TBOT_NAMESPACE)
            scene.await_rollout("DaemonSet", TBOT, TBOT_NAMESPACE)
            await_cut_off(scene, every=True)
            yield
    finally:
        scene.restart_tbot()


# tbot serves there, and a probe pod of the suite, which asks there, gets its identity: INST-14 holds.
_socket_fault = partial(Fault, reach=reach.TBOT | reach.INJECTED_PODS)

FAULTS = (
    _socket_fault(
        name="sockets-in-another-directory",
        description=f"tbot listens in {ELSEWHERE} of its node, which no pod mounts.",
        cause="socket-path-differs",
        touches=DAEMON_SET,
        undo="The suite restores the template, waits until every Envoy has its streams again, and removes the directory.",
        breaks=frozenset({"INST-07", "INST-13", "INST-15", "CHK-6"}) | CUT_OFF,
        inject=_in_another_directory,
    ),
    _socket_fault(
        name="socket-of-another-name",
        description=f"tbot's socket is called {OTHER_NAME}, and proxies look for one called socket.",
        cause="socket-name-differs",
        touches=f"ConfigMap {TBOT_NAMESPACE}/{TBOT_CONFIG}; {DAEMON_SET}",
        undo="The suite restores the entry exactly and restarts tbot.",
        breaks=frozenset({"INST-13"}) | CUT_OFF,
        inject=_of_another_name,
    ),
)
