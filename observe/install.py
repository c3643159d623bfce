"""Readings of one install: a facet for each subject, over one cache."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from facts.kubernetes.objects import Labelled
from facts.provider.trust import TrustBundle
from facts.recorder import Recorder
from observe.guide.application import ApplicationFacet
from observe.guide.facet import GuideFacet
from observe.istio.facet import IstioFacet
from observe.kubernetes.cluster import Cluster
from observe.kubernetes.facet import PODS, ClusterFacet
from observe.kubernetes.needed import Where, namespaces
from observe.kubernetes.rights import RightsFacet
from observe.proxies.facet import FLEET, SURVEY, ProxiesFacet
from observe.readings import Key, Readings
from observe.tools import Tools, ToolsFacet
from providers.teleport.observe.audit import AuditEvents
from providers.teleport.observe.facet import AUDIT_TRAIL, BUNDLE, STATUS, TeleportFacet
from providers.teleport.observe.session import TeleportSession
from providers.teleport.observe.tbot_facet import TbotFacet
from settings import Names

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Install:
    """The readings of one install, by subject. `observe.readings` describes the cache.

    Attributes:
        names: The guide's names, or discovered ones.
        cluster: API server, nodes, namespaces, signing keys, pods.
        rights: This run's rights.
        tools: Versions of the command-line tools.
        tbot: DaemonSet, configuration, pods, sockets.
        proxies: Pods with a proxy, and what each Envoy holds.
        istio: Mesh, injection, gateways, istiod's CA.
        application: The guide's test application.
        teleport: Public endpoints, resources, audit events.
        guide: The guide's own commands.
    """

    names: Names
    cluster: ClusterFacet
    rights: RightsFacet
    tools: ToolsFacet
    tbot: TbotFacet
    proxies: ProxiesFacet
    istio: IstioFacet
    application: ApplicationFacet
    teleport: TeleportFacet
    guide: GuideFacet

    @classmethod
    def of(
        cls,
        cluster: Cluster,
        *,
        teleport: Callable[[], TeleportSession],
        tools: Tools,
        names: Names,
        recorder: Recorder,
        allowed: frozenset[str],
        provisions: bool,
        profiles: frozenset[str] = frozenset(),
        audit_events: Callable[[], AuditEvents | None] = lambda: None,
        anchors: Callable[[], TrustBundle] | None = None,
        is_scratch: Callable[[Labelled], bool] = lambda _namespace: False,
        progress: Callable[[int, int], None] | None = None,
        need: Callable[[str], None] = lambda _part: None,
        within: float | None = None,
    ) -> Install:
        """Composes the facets of an install without reading anything.

        Args:
            cluster: Its Kubernetes API.
            teleport: Opens its Teleport; called when first needed.
            tools: The command-line tools.
            names: The guide's names, or discovered ones.
            recorder: Keeps the readings, and attaches a cached one to the running step.
            allowed: Safety classes of this run; they decide which rights it needs.
            provisions: This run installs, and so needs admin rights.
            profiles: Names of the profiles to certify; they decide which further rights it needs, and what it reads of each
                proxy.
            audit_events: Returns the source of Teleport's audit events; called when first needed, None where none was given.
            anchors: Reads the trust anchors that the user expects; None where there are none.
            is_scratch: Tells whether the suite made a namespace for its own pods, which are no part of the install.
            progress: Called with how many proxies were read, and of how many.
            need: Called with the part of the installation that a reading is about, before it is made.
            within: Seconds for the one pass over all proxies, after which the others are unread; None without an end.
        """
        readings = Readings(recorder, need)
        of_cluster = ClusterFacet(cluster, readings, names, is_scratch)
        tbot = TbotFacet(of_cluster)
        proxies = ProxiesFacet(of_cluster, tbot, progress, profiles, within)
        istio = IstioFacet(of_cluster, proxies)
        application = ApplicationFacet(of_cluster, proxies)
        of_teleport = TeleportFacet(of_cluster, tbot, teleport, audit_events, anchors)

        def namespaces_of(where: Where) -> tuple[str, ...]:
            # Before it has installed anything, a run knows only the names.
            if not provisions and where is Where.ISTIO:
                return istio.namespaces()
            return (tbot.namespace() if not provisions and where is Where.TBOT else namespaces(names)[where],)

        return cls(
            names=names,
            cluster=of_cluster,
            rights=RightsFacet(of_cluster, namespaces_of, allowed, profiles, provisions),
            tools=ToolsFacet(tools, readings),
            tbot=tbot,
            proxies=proxies,
            istio=istio,
            application=application,
            teleport=of_teleport,
            guide=GuideFacet(tools, of_cluster, istio, tbot, of_teleport, application),
        )

    def seen(self, key: Key[T]) -> T | None:
        """A successful reading of the past, by its key; None without one. Reads nothing."""
        return self.cluster.readings.seen(key)

    def asked(self, key: Key[T]) -> bool:
        """Whether a reading was tried, with or without success."""
        return self.cluster.readings.asked(key)

    def authority_changed(self) -> None:
        """Forgets Teleport's SPIFFE authority and the proxies that follow it, after the suite took it to another phase."""
        self.cluster.readings.outdated(BUNDLE.name, STATUS.name, PODS.name, SURVEY.name, FLEET.name, AUDIT_TRAIL.name)
