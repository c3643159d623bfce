"""The proxies of an install: their pods, identities, socket mounts, path normalization, pushes and TLS."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from facts.kubernetes.objects import Pod
from facts.kubernetes.pod_spec import SPIFFE_CSI
from facts.proxies.identity import Fleet, Normalization, ProxyIdentity, Unread
from facts.proxies.mounts import SocketMount
from facts.proxies.pushes import Pushes
from facts.proxies.tls.proxy import TlsOfFleet
from observe.kubernetes.facet import ClusterFacet
from observe.proxies.envoy import read_fleet, read_normalizations, read_pushes
from observe.proxies.mounts import read_socket_mounts
from observe.proxies.tls import read_tls_of_fleet
from observe.readings import Key, of_each
from observe.teleport.tbot_facet import TbotFacet
from observe.wait import wait_until

FLEET: Key[Fleet] = Key("fleet", lambda fleet: fleet.evidence)
SOCKET_MOUNTS: Key[tuple[SocketMount, ...]] = Key("socket_mounts", of_each)
NORMALIZATIONS: Key[tuple[Normalization | Unread, ...]] = Key(
    "normalizations", lambda found: of_each(n for n in found if isinstance(n, Normalization))
)
TLS: Key[TlsOfFleet] = Key("tls", lambda fleet: fleet.evidence)


@dataclass(frozen=True, slots=True)
class ProxiesFacet:
    """Readings of the proxies.

    Attributes:
        cluster: The cluster.
        tbot: tbot, whose socket directory decides which proxies should use it.
        progress: Called with how many proxies were read, and of how many.
    """

    cluster: ClusterFacet
    tbot: TbotFacet
    progress: Callable[[int, int], None] | None = None

    # Pods.

    def pods(self) -> tuple[Pod, ...]:
        """Living pods with an istio-proxy, gateways included."""
        return tuple(p for p in self.cluster.living_pods() if p.is_injected and p.node)

    def sidecar_pods(self) -> tuple[Pod, ...]:
        """Living pods with a sidecar; gateways are not among them."""
        return tuple(p for p in self.pods() if not p.is_gateway)

    def pods_on_sockets(self) -> tuple[Pod, ...]:
        """Pods with a proxy that mount a socket directory of tbot."""
        directories = {directory.rstrip("/") for directory in self.tbot.socket_directories()}
        return tuple(
            p for p in self.pods() if any(v.path.rstrip("/") in directories or v.driver == SPIFFE_CSI for v in p.volumes)
        )

    def pods_by_node(self) -> Mapping[str, Sequence[Pod]]:
        """Pods with a proxy, by node."""
        by_node: dict[str, list[Pod]] = {}
        for pod in self.pods():
            by_node.setdefault(pod.node, []).append(pod)
        return by_node

    # Identities.

    def fleet(self) -> Fleet:
        """The identity of every proxy."""
        pods = self.pods()
        return self.cluster.once(FLEET, lambda: self._read_fleet(pods))

    def fleet_of(self, pods: Iterable[Pod]) -> Fleet:
        """The identities of some of the proxies, out of the one reading of all."""
        uids = {p.uid for p in pods}
        fleet = self.fleet()
        return Fleet(
            tuple(p for p in fleet.proxies if p.pod.uid in uids), tuple(u for u in fleet.unread if u.pod.uid in uids)
        )

    def sidecar_fleet(self) -> Fleet:
        """The identities of all sidecars."""
        return self.fleet_of(self.sidecar_pods())

    def sidecar_serials(self) -> tuple[str, ...]:
        """Serials of the certificates that the sidecars hold."""
        return tuple(p.leaf.serial for p in self.sidecar_fleet().proxies if p.leaf)

    def fleet_on_sockets(self) -> Fleet:
        """The identities of the proxies that mount tbot's socket directory, and so should use it."""
        return self.fleet_of(self.pods_on_sockets())

    def fleet_on_sockets_after(self, seconds: float) -> Fleet:
        """The same proxies as in `fleet_on_sockets`, read again so many seconds later."""
        first, pods = self.fleet_on_sockets(), self.pods_on_sockets()

        def read() -> Fleet:
            due = min((p.read_at for p in first.proxies), default=datetime.now(UTC)) + timedelta(seconds=seconds)
            wait_until(due)
            return self._read_fleet(pods)

        return self.cluster.once(FLEET.narrowed(f"after {seconds:g} s"), read)

    def _read_fleet(self, pods: Sequence[Pod]) -> Fleet:
        return read_fleet(self.cluster.reader, pods, self.progress)

    # Configuration.

    def tls(self) -> TlsOfFleet:
        """The TLS that every proxy is configured to speak."""
        pods = self.pods()
        return self.cluster.once(TLS, lambda: read_tls_of_fleet(self.cluster.reader, pods))

    def pushes(self, proxies: Iterable[ProxyIdentity]) -> Mapping[str, Pushes | None]:
        """Statistics of the pushes to some proxies, by uid of the pod."""
        wanted = {p.pod.uid for p in proxies}
        pods = [pod for pod in self.pods_on_sockets() if pod.uid in wanted]
        return {pod.uid: read_pushes(self.cluster.reader, pod) for pod in pods}

    def socket_mounts(self) -> tuple[SocketMount, ...]:
        """The mount in effect of each pod of `pods_on_sockets`."""
        pods = self.pods_on_sockets()
        return self.cluster.once(SOCKET_MOUNTS, lambda: read_socket_mounts(self.cluster.reader, pods))

    def normalizations(self) -> tuple[Normalization | Unread, ...]:
        """Path normalization in force in every proxy."""
        pods = self.pods()
        return self.cluster.once(NORMALIZATIONS, lambda: read_normalizations(self.cluster.reader, pods))
