"""Faults of a rotation of Teleport's SPIFFE authority: a change does not reach the proxies."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from facts.recorder import KeptInMemory
from providers.teleport.disruption.ca import phase_of
from providers.teleport.facts.ca_rotation import STANDBY
from providers.teleport.faults.tbot import daemon_set
from providers.teleport.observe.session import TeleportSession
from provision.faults.fault import Scene

INTERVAL = 0.5
"""Seconds between two looks at the phase of the rotation."""

RULES = ("FORWARD -d", "OUTPUT -d", "FORWARD -s", "INPUT -s")
"""Traffic from the pods of a node and from the node itself to an address, and back."""


class Cut:
    """Cuts the network between one node and Teleport while a rotation of the SPIFFE authority is under way."""

    def __init__(self, scene: Scene, node: str) -> None:
        """Prepare; cut nothing yet."""
        self._scene = scene
        self._node = node
        self._address = daemon_set.dialled(scene)
        self._ended = threading.Event()
        self._is_cut = False
        self._broken: BaseException | None = None
        self._follower = threading.Thread(target=self._follow, name=f"cut {node}", daemon=True)

    def begin(self) -> None:
        """Follow the rotation from now on."""
        self._follower.start()

    def end(self) -> None:
        """Repair the network and stop following.

        Raises:
            RuntimeError: Following the rotation failed, so that it is unknown when the network was cut.
        """
        self._ended.set()
        self._follower.join()
        if self._is_cut:
            self._set(cut=False)
        if self._broken is not None:
            raise RuntimeError("the rotation was not followed to the end") from self._broken

    def _follow(self) -> None:
        authority = self._scene.installation.authority
        teleport = TeleportSession(
            authority.proxy, recorder=KeptInMemory(), timeout=self._scene.patience.api, tctl=authority.tctl
        )
        try:
            while not self._ended.wait(INTERVAL):
                # By tctl beside Teleport: the proxy allows 20 requests for its bundle a minute, too few to catch a phase.
                under_way = phase_of(teleport) != STANDBY
                if under_way is not self._is_cut:
                    self._set(cut=under_way)
        except BaseException as error:
            self._broken = error

    def _set(self, *, cut: bool) -> None:
        self._is_cut = True  # set before the rules are: `end` must remove what may be there
        rules = [f"{rule} {self._address} -j DROP" for rule in RULES]
        if cut:
            script = "; ".join(f"iptables -w -I {rule}" for rule in rules)
        else:
            gone = "; ".join(f"iptables -w -D {rule} 2> /dev/null || true" for rule in rules)
            script = f"{gone}; if iptables -w -S | grep -F {self._address}; then exit 1; fi"
        self._scene.on_node(self._node, "sh", "-ec", script)
        self._is_cut = cut


@contextmanager
def cut_off(scene: Scene) -> Iterator[None]:
    """Cut tbot on one node off from Teleport while a rotation is under way."""
    cut = Cut(scene, scene.nodes()[0])
    cut.begin()
    try:
        yield
    finally:
        cut.end()
        scene.await_tbot()
