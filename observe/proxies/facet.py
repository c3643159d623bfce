"""The proxies of an install: their pods, identities, socket mounts, path normalization, pushes and TLS."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from facts.errors import ConformanceError
from facts.evidence import readings
from facts.istio.ambient import is_plain_waypoint
from facts.kubernetes.objects import Pod
from facts.proxies.identity import Fleet, LeftOut, Normalization, ProxyIdentity, Unread
from facts.proxies.mounts import SocketMount
from facts.proxies.pushes import Pushes
from facts.proxies.requests import SentRequests
from facts.proxies.tls.proxy import TlsOfFleet
from observe.kubernetes.facet import ClusterFacet
from observe.proxies.mounts import MOUNT, as_mounts
from observe.proxies.survey import (
    IDENTITY,
    NORMALIZATION,
    PUSH_STATISTICS,
    SENT_REQUESTS,
    Part,
    Progress,
    Survey,
    read_fleet,
    survey,
)
from observe.proxies.tls import TLS_OF_PROXY, tls_part
from observe.readings import Key, of_each
from observe.wait import wait_until
from providers.teleport.observe.tbot_facet import TbotFacet

SURVEY: Key[Survey] = Key("survey", lambda _survey: ())
FLEET: Key[Fleet] = Key("fleet", lambda fleet: fleet.evidence)
SOCKET_MOUNTS: Key[tuple[SocketMount | LeftOut, ...]] = Key("socket_mounts", of_each)
NORMALIZATIONS: Key[tuple[Normalization | Unread | LeftOut, ...]] = Key(
    "normalizations", lambda found: of_each(n for n in found if not isinstance(n, Unread))
)
PUSHES: Key[Mapping[str, Pushes | None]] = Key("pushes", lambda found: readings(*found.values()))
REQUESTS: Key[Mapping[str, SentRequests]] = Key("requests", lambda found: readings(*found.values()))
TLS: Key[TlsOfFleet] = Key("tls", lambda fleet: fleet.evidence)


MIGRATION = "migration"
"""Stands among the profiles for what only the advice on a migration needs."""


@dataclass(frozen=True, slots=True)
class ProxiesFacet:
    """Readings of the proxies.

    Attributes:
        tbot: tbot, whose socket directory decides which proxies should use it.
        progress: Called with how many proxies were read, and of how many.
        profiles: Profiles to certify, and `MIGRATION`; they decide what the one pass over the fleet reads of each proxy.
        within: Seconds for that pass; None without an end.
    """

    cluster: ClusterFacet
    tbot: TbotFacet
    progress: Progress | None = None
    profiles: frozenset[str] = frozenset()
    within: float | None = None

    # Pods.

    def pods(self) -> tuple[Pod, ...]:
        """Living pods with an istio-proxy, gateways included."""
        return tuple(p for p in self.cluster.living_pods() if p.is_injected and p.node)

    def sidecar_pods(self) -> tuple[Pod, ...]:
        """Living pods with a sidecar; gateways are not among them."""
        return tuple(p for p in self.pods() if not p.is_gateway)

    def pods_on_sockets(self) -> tuple[Pod, ...]:
        """Pods with a proxy that mount a socket directory of tbot, by its path or through a CSI driver."""
        directories = self.tbot.socket_directories().everywhere
        return tuple(p for p in self.pods() if _mounts(p, directories))

    def pods_by_node(self) -> Mapping[str, Sequence[Pod]]:
        """Pods with a proxy that may need a tbot, by node: all but the waypoints of ambient mode, which istiod certifies."""
        by_node: dict[str, list[Pod]] = {}
        for pod in self.pods():
            if not is_plain_waypoint(pod):
                by_node.setdefault(pod.node, []).append(pod)
        return by_node

    def surveyed_pods(self) -> tuple[Pod, ...]:
        """Pods whose proxies the survey asked, as they were listed then; some may have gone away since."""
        return self._survey(IDENTITY.name).pods

    # Identities.

    def fleet(self) -> Fleet:
        """The identity of every proxy."""
        return self.cluster.once(FLEET, lambda: Fleet.of(self._survey(IDENTITY.name).of(IDENTITY)))

    def fleet_where(self, wanted: Callable[[Pod], bool]) -> Fleet:
        """The identities of some of the proxies, out of the one reading of all."""
        fleet = self.fleet()
        uids = {pod.uid for pod in self._survey(IDENTITY.name).pods if wanted(pod)}
        return Fleet.of(each for each in fleet.outcomes if each.pod.uid in uids)

    def sidecar_fleet(self) -> Fleet:
        """The identities of all sidecars."""
        return self.fleet_where(lambda pod: not pod.is_gateway)

    def sidecar_serials(self) -> tuple[str, ...]:
        """Serials of the certificates that the sidecars hold."""
        return tuple(p.leaf.serial for p in self.sidecar_fleet().proxies if p.leaf)

    def fleet_on_sockets(self) -> Fleet:
        """The identities of the proxies that mount tbot's socket directory, and so should use it."""
        directories = self.tbot.socket_directories().everywhere
        return self.fleet_where(lambda pod: _mounts(pod, directories))

    def fleet_on_sockets_after(self, seconds: float) -> Fleet:
        """The same proxies as in `fleet_on_sockets`, read again so many seconds later."""
        first, pods = self.fleet_on_sockets(), self.pods_on_sockets()

        def read() -> Fleet:
            due = min((p.read_at for p in first.proxies), default=datetime.now(UTC)) + timedelta(seconds=seconds)
            wait_until(due)
            return read_fleet(self.cluster.reader, pods, self.progress)

        return self.cluster.once(FLEET.narrowed(f"after {seconds:g} s"), read)

    # Configuration.

    def tls(self) -> TlsOfFleet:
        """The TLS that every proxy is configured to speak."""
        return self.cluster.once(TLS, lambda: TlsOfFleet.of(self._survey(TLS_OF_PROXY).of(tls_part())))

    def pushes(self, proxies: Iterable[ProxyIdentity]) -> Mapping[str, Pushes | None]:
        """Statistics of the pushes to some proxies, by uid of the pod; of one that was not read nothing."""
        wanted = {p.pod.uid for p in proxies}
        found = self.cluster.once(PUSHES, lambda: self._survey(PUSH_STATISTICS.name).by_uid(PUSH_STATISTICS))
        return {uid: pushes for uid, pushes in found.items() if uid in wanted}

    def requests(self) -> Mapping[str, SentRequests]:
        """The requests that each proxy has sent, by uid of the pod; of one that was not read nothing."""
        return self.cluster.once(REQUESTS, lambda: self._survey(SENT_REQUESTS.name).by_uid(SENT_REQUESTS))

    def socket_mounts(self) -> tuple[SocketMount | LeftOut, ...]:
        """The mount in effect of each pod of `pods_on_sockets`, and those of them that are gone."""
        self.tbot.socket_directories()  # or the reason why there is none to look for
        return self.cluster.once(SOCKET_MOUNTS, lambda: as_mounts(self._survey(MOUNT.name).of(MOUNT)))

    def normalizations(self) -> tuple[Normalization | Unread | LeftOut, ...]:
        """Path normalization in force in every proxy."""
        return self.cluster.once(NORMALIZATIONS, lambda: self._survey(NORMALIZATION.name).of(NORMALIZATION))

    # One pass.

    def _survey(self, name: str) -> Survey:
        """The one pass over the fleet, which reads all that the run wants of each pod; another one for a further part."""
        main = self.cluster.once(SURVEY, self._read_all)
        if name in main.found:
            return main
        part = next(part for part, _key, _profiles in self._parts() if part.name == name)
        return self.cluster.once(SURVEY.narrowed(name), lambda: survey(self.cluster.reader, main.pods, [part]))

    def _read_all(self) -> Survey:
        reader, cluster = self.cluster.reader, self.cluster
        pods = self.pods()
        parts = [part for part, key, profiles in self._parts() if profiles is None or self._wants(key, profiles)]
        found = survey(
            reader,
            pods,
            parts,
            patience=reader.patience.svid,
            list_again=self._again,
            progress=self.progress,
            within=self.within,
        )
        cluster.drop_pods(found.gone)
        return found

    def _again(self) -> tuple[Pod, ...]:
        self.cluster.list_pods_again()
        return self.pods()

    def _wants(self, key: Key[Any], profiles: frozenset[str]) -> bool:
        return bool(profiles & self.profiles) and self.cluster.readings.seen(key) is None

    def _parts(self) -> list[tuple[Part[Any], Key[Any], frozenset[str] | None]]:
        """What can be read of each pod, with its key and the profiles that need it; None for what every survey reads."""
        try:
            directories = self.tbot.socket_directories().everywhere
        except ConformanceError:
            directories = frozenset()  # whoever asks for the mounts is told why
        mounts = replace(MOUNT, wanted=lambda pod: bool(directories) and _mounts(pod, directories))
        return [
            (IDENTITY, FLEET, None),
            (NORMALIZATION, NORMALIZATIONS, frozenset({"install"})),
            (PUSH_STATISTICS, PUSHES, frozenset({"rotation"})),
            (SENT_REQUESTS, REQUESTS, frozenset({MIGRATION})),
            (tls_part(), TLS, frozenset({"mtls"})),
            (mounts, SOCKET_MOUNTS, frozenset({"identity"})),
        ]


def _mounts(pod: Pod, directories: frozenset[str]) -> bool:
    there = {directory.rstrip("/") for directory in directories}
    return pod.spec.csi_socket is not None or any(volume.path.rstrip("/") in there for volume in pod.volumes)
