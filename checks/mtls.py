"""Checks of chapter 4: the mesh as its proxies are configured, made once of the shared readings."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from facts.evidence import readings
from facts.finding import Remark
from facts.proxies.sds_mode import SdsMode
from judge.identity.proxies import ObservedProxies
from judge.mtls import gateways
from judge.mtls.contexts import TrustDomains
from judge.mtls.ends import Ends, MeshTls
from judge.mtls.pairs import table_of
from judge.mtls.table import Meant, Table
from judge.mtls.told import Handshakes, told
from observe.install import Install
from settings import Declared

NoteHandshakes = Callable[[Handshakes], None]
"""Puts the predicted handshakes into the report."""


@dataclass(frozen=True, slots=True)
class SweptMesh:
    """All proxies of the mesh, with everything that decides their handshakes.

    Attributes:
        ends: The proxies.
        table: Their ways.
        meant: What the mesh's owner has declared.
        without: Uids of the suite's own pods, which do not count.
    """

    ends: Ends
    table: Table
    meant: Meant
    without: frozenset[str]


class Sweeps:
    """Makes one mesh of the shared readings, and its table, as long as the readings are the same ones.

    Safe to use from several threads.
    """

    def __init__(self, note: NoteHandshakes, declared: Declared) -> None:
        self._note = note
        self._declared = declared
        self._made: SweptMesh | None = None
        self._lock = threading.Lock()

    def of(self, install: Install) -> SweptMesh:
        """The mesh. Every call attaches its readings to the running step."""
        proxies, cluster = install.proxies, install.cluster
        identities, tls = proxies.fleet(), proxies.tls()
        asked = proxies.pods()  # last: only then it is known which of them went away, and what came in their place
        own, others = cluster.pods_of_the_suite(), [pod for pod in cluster.living_pods() if not pod.is_injected]
        with self._lock:
            if self._made and self._made.ends.mesh.tls is tls and self._made.ends.mesh.identities is identities:
                return self._made
            # Endpoints are told by the addresses of all pods; of those with a proxy, only the asked ones are judged.
            without = frozenset(pod.uid for pod in own)
            ends = Ends(MeshTls((*asked, *others, *own), identities, tls, (*cluster.pods_evidence(), *readings(*own))))
            namespaces = {pod.namespace for pod in ends.mesh.pods}
            meant = Meant.of(self._declared.islands, self._declared.plain_text, namespaces)
            self._made = SweptMesh(ends, table_of(ends, meant, without), meant, without)
            self._note(told(ends, self._made.table, without))
            return self._made


def unused_gateways(install: Install, sweeps: Sweeps) -> tuple[Remark, ...]:
    """Ready gateways that ask for no certificate and need none; every requirement on certificates leaves them out.

    Args:
        sweeps: Makes the mesh; the TLS is read only where a gateway asks for none.
    """
    unasked = {p.pod.uid for p in install.proxies.fleet().proxies if p.pod.is_gateway and p.sds_mode is SdsMode.UNASKED}
    if not unasked:
        return ()
    mesh = sweeps.of(install)
    # Before a gateway is Ready, istiod may not have configured it yet.
    found = [pod for pod in mesh.ends.mesh.injected if pod.uid in unasked - mesh.without and pod.ready]
    return tuple(gateways.unused(mesh.ends, found, mesh.meant))


def but_for_unused_gateways(observed: ObservedProxies, install: Install, sweeps: Sweeps) -> ObservedProxies:
    """The same proxies without those of `unused_gateways`, which a finding about them names as left out.

    Whatever asks a proxy for its certificate asks it of these proxies: that a gateway holds none is no defect where nothing
    in the mesh needs it to.

    Args:
        observed: Some proxies of the mesh.
        sweeps: As above.
    """
    return observed.without(unused_gateways(install, sweeps))


def trust_domains(install: Install) -> TrustDomains:
    """The trust domain of Teleport, and the aliases that the mesh accepts."""
    ping, configs = install.teleport.ping(), [plane.config for plane in install.istio.planes()]
    aliases = dict.fromkeys(alias for config in configs for alias in config.trust_domain_aliases)
    return TrustDomains((ping.cluster_name, *aliases), readings(ping, *configs))
