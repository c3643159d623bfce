"""The install under judgement, however it came to be: made for this run, or somebody else's."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from facts.errors import NotGiven
from facts.recorder import Recorder
from observe.command import CommandResult, run
from observe.teleport.audit import AuditEvents
from observe.tools import Tctl
from provision.clusters.sources import resolve
from provision.faults import Operator, Scene
from provision.installing.install import Installer
from provision.installing.teleport import OwnTeleport
from provision.objects import Objects
from settings import Settings, Timeouts


@dataclass(frozen=True, slots=True)
class TeleportAddress:
    """How this machine reaches Teleport.

    Attributes:
        proxy: HOST:PORT of the proxy; empty means that it has to be discovered from tbot's configuration.
        insecure: Its certificate cannot be verified.
    """

    proxy: str
    insecure: bool


@dataclass(frozen=True, slots=True)
class Target:
    """What steps and readers work on.

    Attributes:
        kubeconfig: None means kubectl's own default.
        context: Named explicitly, always.
        kubectl: Binary.
        istioctl: Binary.
        workload_image: An image with ``python3`` for probes.
        older_proxy_image: Istio's proxy with an Envoy of before 1.37; None where there is none.
        objects: The cluster as something to change, within the safety classes of the run.
        teleport: How to reach Teleport; called when it is needed.
        has_teleport: Whether Teleport is there to be asked; brings nothing up.
        tctl: Runs an admin tctl; None where there is no admin session.
        need: Brings a part of the installation up, if it is ours to bring up.
        audit_events: Where Teleport's audit events are; None where nobody said. Called when it is needed.
        provisions: Whether this run installs.
        scene: The install as something to inject faults into, which only a run's own can be.
    """

    kubeconfig: Path | None
    context: str
    kubectl: Path
    istioctl: Path
    workload_image: str
    older_proxy_image: str | None
    objects: Objects
    teleport: Callable[[], TeleportAddress]
    has_teleport: Callable[[], bool]
    tctl: Tctl | None
    need: Callable[[str], None]
    audit_events: Callable[[], AuditEvents | None]
    provisions: bool
    scene: Callable[[], Scene]


def made_here(installer: Installer, patience: Timeouts, recorder: Recorder) -> Target:
    """The installation that this run makes.

    Args:
        installer: Makes it.
        patience: How long a fault may take to be in force.
        recorder: Takes what the commands of a fault said.
    """

    def teleport() -> TeleportAddress:
        authority = installer.authority()
        return TeleportAddress(authority.proxy, authority.insecure)

    def tctl(words: Sequence[str], stdin: str) -> CommandResult:
        return installer.authority().tctl(words, stdin)

    def audit_events() -> AuditEvents | None:
        authority = installer.authority()
        return authority.audit_events() if isinstance(authority, OwnTeleport) else None

    def scene() -> Scene:
        installation = installer.installation()
        # Only who looks from outside needs a tctl of their own; faults have the authority's.
        return Scene(installation, Operator(installation.kubeconfig, installation.context, ()), patience, recorder)

    installer.ensure("cluster")
    return Target(
        kubeconfig=installer.kubeconfig,
        context=installer.context,
        kubectl=installer.sources.kubectl,
        istioctl=installer.sources.istioctl,
        workload_image=installer.sources.workload_image,
        older_proxy_image=installer.sources.older_proxy_image,
        objects=installer.objects,
        teleport=teleport,
        has_teleport=lambda: any(phase.name == "teleport" and phase.ok for phase in installer.timeline),
        tctl=tctl,
        need=installer.ensure,
        audit_events=audit_events,
        provisions=True,
        scene=scene,
    )


def already_there(settings: Settings, run_id: str) -> Target:
    """Somebody else's install, through a context that was named.

    Raises:
        ProvisioningFailed: kubectl or istioctl is missing.
    """
    sources = resolve(settings)
    words = shlex.split(settings.tctl)
    timeout = settings.patience.command

    def tctl(arguments: Sequence[str], stdin: str) -> CommandResult:
        return run([*words, *arguments], timeout=timeout, stdin=stdin)

    place = hashlib.sha256(f"{settings.kubeconfig} {settings.context}".encode()).hexdigest()[:16]
    discovery = settings.cache / "discovery" / f"{place}.json"
    address = TeleportAddress(settings.teleport_proxy, settings.teleport_insecure)
    return Target(
        kubeconfig=settings.kubeconfig,
        context=settings.context,
        kubectl=sources.kubectl,
        istioctl=sources.istioctl,
        workload_image=sources.workload_image,
        older_proxy_image=sources.older_proxy_image,
        objects=Objects(settings.kubeconfig, settings.context, run_id, timeout=settings.patience.api, discovery=discovery),
        teleport=lambda: address,
        has_teleport=lambda: True,
        tctl=tctl if words else None,
        need=lambda _part: None,
        audit_events=lambda: None,
        provisions=False,
        scene=_not_ours,
    )


def _not_ours() -> Scene:
    raise NotGiven(
        expected="an installation of this run's own",
        seen="one that was there before",
        where="what the run was given",
        remedy="certify on a kind cluster of the run; an install of others is not broken to see what follows",
    )
