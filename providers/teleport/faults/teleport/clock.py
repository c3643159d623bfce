"""Faults of the issuer's clock.

A container has the clock of its host. libfaketime gives it another one: it stands between a program and the C library, which
the lab's stand-in for Teleport asks for the time. A program in Go asks the kernel itself, so Teleport's own binaries have
this fault only on a host with a wrong clock.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from facts.errors import ProvisioningFailed
from observe.command import must_run
from observe.wait import Pace, eventually
from providers.teleport.faults.tbot import daemon_set
from providers.teleport.installing.teleport import OwnTeleport, ping
from provision.clusters.kind import NETWORK
from provision.faults.changes import pod_template
from provision.faults.fault import Scene
from provision.names import TBOT, TBOT_NAMESPACE

AHEAD = "+10m"
PROGRAM, LIBRARY = "/usr/local/bin/teleport", "/usr/local/lib/libfaketime.so.1"
# Timeouts use the monotonic clock, which stays right; only the date changes.
WITH_OTHER_CLOCK = f"export FAKETIME={AHEAD} FAKETIME_DONT_FAKE_MONOTONIC=1 LD_PRELOAD={LIBRARY}"


@contextmanager
def ahead(scene: Scene) -> Iterator[None]:
    """Let Teleport's clock be ahead, and restart tbot and the test application."""
    teleport, library = scene.installation.authority, scene.installation.sources.faketime
    if not isinstance(teleport, OwnTeleport) or not scene.installation.sources.stand_in or library is None:
        raise ProvisioningFailed(
            expected="a Teleport that asks the C library for the time, and libfaketime",
            seen="Teleport's own binaries, or a lab that was built without libfaketime",
            where="the issuer's clock",
            remedy="build the lab: make lab",
        )
    name, patience = teleport.container.name, scene.patience.command
    must_run(["docker", "cp", "--quiet", library, f"{name}:{LIBRARY}"], timeout=patience)
    with ExitStack() as undo:
        undo.callback(_restart_all, scene, teleport)
        undo.callback(must_run, ["docker", "exec", name, "sed", "-i", "/FAKETIME/d", PROGRAM], timeout=patience)
        must_run(["docker", "exec", name, "sed", "-i", f"1a {WITH_OTHER_CLOCK}", PROGRAM], timeout=patience)
        _restart_all(scene, teleport)
        yield


def _restart_all(scene: Scene, teleport: OwnTeleport) -> None:
    """Restart Teleport, which keeps its state, configure its address in tbot, and restart tbot and the test application."""
    pace = Pace(scene.patience.teleport_up)
    must_run(["docker", "restart", "--time", "5", teleport.container.name], timeout=scene.patience.teleport_up)
    eventually("Teleport answers its ping endpoint", lambda: ping(teleport.proxy, ca=teleport.ca), pace)
    # Docker gives it the lowest free address, which may differ from the former one.
    address, former = teleport.join_network(NETWORK, pace), daemon_set.dialled(scene)
    if address != former:
        aliases = [{"ip": address, "hostnames": [teleport.cluster_name]}, {"ip": former, "$patch": "delete"}]
        change = {"spec": pod_template(hostAliases=aliases)}
        scene.installation.objects.patch("apps/v1", "DaemonSet", TBOT, change, namespace=TBOT_NAMESPACE)
    scene.restart_tbot()  # otherwise each tbot rejoins at its own time, and is not Ready meanwhile
    scene.restart_app()
