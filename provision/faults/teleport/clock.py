"""Faults of the issuer's clock.

An issuer in a container has the clock of its host. libfaketime gives it another one: it stands between a program and the C
library, which the lab's stand-in for Teleport asks for the time. A program in Go asks the kernel itself: for Teleport's own
binaries there is no such fault but a host whose clock is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from facts.errors import ProvisioningFailed
from observe.command import must_run
from observe.wait import eventually
from provision.clusters.kind import NETWORK
from provision.faults import reach
from provision.faults.fault import Fault, Scene
from provision.faults.tbot import daemon_set
from provision.installing.teleport import OwnTeleport, ping

AHEAD = "+10m"
PROGRAM, LIBRARY = "/usr/local/bin/teleport", "/usr/local/lib/libfaketime.so.1"
# What waits, waits by the clock that has no date; only the date is another one.
WITH_OTHER_CLOCK = f"export FAKETIME={AHEAD} FAKETIME_DONT_FAKE_MONOTONIC=1 LD_PRELOAD={LIBRARY}"


@contextmanager
def _ahead(scene: Scene) -> Iterator[None]:
    teleport, library = scene.installation.authority, scene.installation.sources.faketime
    if not isinstance(teleport, OwnTeleport) or not scene.installation.sources.stand_in or library is None:
        raise ProvisioningFailed(
            expected="a Teleport that asks the C library for the time, and libfaketime",
            seen="Teleport's own binaries, or a lab that was built without it",
            where="the issuer's clock",
            remedy="build the lab: make lab",
        )
    name, patience = teleport.container.name, scene.patience.command
    must_run(["docker", "cp", "--quiet", library, f"{name}:{LIBRARY}"], timeout=patience)
    try:
        must_run(["docker", "exec", name, "sed", "-i", f"1a {WITH_OTHER_CLOCK}", PROGRAM], timeout=patience)
        _restart(scene, teleport)
        scene.restart_agent()  # or each tbot joins anew in its own time, and is not Ready meanwhile
        scene.restart_app()
        yield
    finally:
        must_run(["docker", "exec", name, "sed", "-i", "/FAKETIME/d", PROGRAM], timeout=patience)
        _restart(scene, teleport)
        scene.restart_agent()
        scene.restart_app()


def _restart(scene: Scene, teleport: OwnTeleport) -> None:
    """Restarts Teleport, which keeps its state, and waits until it answers, and tbot knows where."""
    pace = scene.pace(scene.patience.teleport_up)
    must_run(["docker", "restart", "--time", "5", teleport.container.name], timeout=scene.patience.teleport_up)
    eventually("Teleport answers its ping endpoint", lambda: ping(teleport.proxy, insecure=True), pace)
    # Docker gives it the lowest address that is free, which need not be the one that it had.
    address, former = teleport.join_network(NETWORK, pace), daemon_set.dialled(scene)
    if address != former:
        aliases = [{"ip": address, "hostnames": [teleport.cluster_name]}, {"ip": former, "$patch": "delete"}]
        daemon_set.patch(scene, {"hostAliases": aliases})


CLOCK_AHEAD = Fault(
    name="issuers-clock-ahead",
    description="Teleport's clock is ten minutes ahead, and tbot and the test application were restarted: 2/2, with"
    " certificates that are not valid yet.",
    touches="Teleport's process; DaemonSet teleport-system/tbot; Deployment test-app/test-app",
    undo="Teleport, tbot and the test application are restarted under the right clock.",
    breaks=frozenset({"INST-14", "CHK-6", "CHK-7", "ID-03", "ID-04", "ID-11"}) | reach.TRAFFIC,
    reach=reach.AGENT | reach.WORKLOADS | reach.CERTIFICATES | {"INST-16"},
    inject=_ahead,
)
