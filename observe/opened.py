"""The one way to open an install from the settings, for a run as for the doctor. Opening reads nothing."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from facts.kubernetes.objects import Labelled
from facts.recorder import Recorder
from observe.install import Install
from observe.kubernetes.cluster import Cluster
from observe.requests import Requests
from observe.tools import Tools
from providers.teleport.observe.anchors import read_anchors
from providers.teleport.observe.audit import AuditEvents, EventFiles
from providers.teleport.observe.session import TeleportAddress, TeleportSession
from settings import Settings


def open_install(
    settings: Settings,
    cluster: Cluster,
    recorder: Recorder,
    *,
    tools: Tools,
    address: Callable[[], TeleportAddress],
    claimed: Callable[[str], None],
    profiles: frozenset[str],
    is_scratch: Callable[[Labelled], bool],
    provisions: bool = False,
    audit_events: Callable[[], AuditEvents | None] = lambda: None,
    requests: Requests | None = None,
    progress: Callable[[int, int], None] | None = None,
    need: Callable[[str], None] = lambda _part: None,
    within: float | None = None,
) -> Install:
    """Open an install.

    Args:
        settings: Name what the user expects of it.
        cluster: Its Kubernetes API.
        recorder: Keeps the readings.
        tools: The command-line tools.
        address: Returns the address of Teleport; called when a reading needs it.
        claimed: Called with the address that tbot's configuration names, where `address` has none. Only tbot vouches for it,
            and tbot is what is judged.
        profiles: See `Install.of`, as for the arguments below.
        is_scratch: As above.
        provisions: As above.
        audit_events: Returns the source of audit events where the settings name no file.
        requests: Counts what Teleport is asked.
        progress: As above.
        need: As above.
        within: As above.
    """

    def teleport() -> TeleportSession:
        found = address()
        proxy = found.proxy
        if not proxy:
            proxy = install.tbot.all().first.config.proxy_server
            claimed(proxy)
        return TeleportSession(
            proxy,
            recorder=recorder,
            timeout=settings.patience.api,
            limit=settings.sizes.teleport,
            tctl=tools.tctl,
            insecure=found.insecure,
            ca=found.ca,
            requests=requests,
        )

    install = Install.of(
        cluster,
        teleport=teleport,
        tools=tools,
        names=settings.names,
        recorder=recorder,
        allowed=settings.allowed_safety,
        profiles=profiles,
        provisions=provisions,
        audit_events=lambda: EventFiles(settings.audit_events) if settings.audit_events else audit_events(),
        anchors=partial(read_anchors, settings.trust_bundle, settings.trust_domain, recorder)
        if settings.trust_bundle
        else None,
        is_scratch=is_scratch,
        within=within,
        progress=progress,
        need=need,
    )
    return install
