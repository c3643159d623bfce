"""The install under judgement: one that this run makes, or one that was there before."""

from __future__ import annotations

import contextlib
import hashlib
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from facts.errors import NotGiven, ProvisioningFailed
from facts.finding import Finding
from facts.recorder import Recorder
from observe.kubernetes.cluster import Cluster
from observe.tools import Tctl, tctl_of
from providers.teleport.installing.teleport import ContainerEvents, OwnTeleport, TeleportCluster
from providers.teleport.observe.audit import AuditEvents
from providers.teleport.observe.session import TeleportAddress
from provision.clusters.directory import directory_of, kept_kubeconfig
from provision.clusters.kind import context_name
from provision.clusters.sources import Sources, resolve
from provision.faults import Operator, Scene
from provision.installing.install import Installer
from provision.objects import Objects
from provision.runs.claim import Claim, HoldLost, Ways
from provision.runs.originals import Originals
from settings import Settings, Timeouts

LastLook = Callable[[Cluster], Finding]
"""Reads and judges after the run's clean-up, and concludes for the step that asked for it."""


@dataclass(frozen=True, slots=True)
class Target:
    """The install that steps and readers work on.

    Attributes:
        kubeconfig: File with the context; None means kubectl's own default.
        context: Context of the cluster, always named explicitly.
        sources: Binaries and images.
        objects: Changes the cluster, within the safety classes that the user allows, and behind the fence of its hold.
        teleport: Returns the address of Teleport; called when a reading needs it.
        has_teleport: Returns True where Teleport runs; starts nothing.
        tctl: Runs an admin tctl; None where there is no admin session.
        need: Brings a part of the installation up, where this run makes the installation.
        audit_events: Returns Teleport's audit events, or None where the user named none; called when a reading needs them.
        provisions: True where this run installs.
        scene: Returns the install for faults; only an install that this run made can have them.
    """

    kubeconfig: Path | None
    context: str
    sources: Sources
    objects: Objects
    teleport: Callable[[], TeleportAddress]
    has_teleport: Callable[[], bool]
    tctl: Tctl | None
    need: Callable[[str], None]
    audit_events: Callable[[], AuditEvents | None]
    provisions: bool
    scene: Callable[[], Scene]

    @property
    def originals(self) -> Originals:
        """Keeps what the suite changes and did not make, until it is restored."""
        return Originals(self.objects)


def made_here(
    installer: Installer, patience: Timeouts, recorder: Recorder, may_change: Callable[[], None]
) -> Target:  # fmt: skip
    """Return the installation that this run makes.

    Args:
        installer: Makes the installation.
        patience: Seconds that a fault may take until it is in force.
        recorder: Records the output of a fault's commands.
        may_change: Fence; see `provision.objects.Objects`.
    """

    def audit_events() -> AuditEvents | None:
        authority = installer.authority()
        return ContainerEvents(authority.container) if isinstance(authority, OwnTeleport) else None

    def scene() -> Scene:
        installation = installer.installation()
        operator = Operator(installation.kubeconfig, installation.context, installation.authority.command)
        return Scene(installation, operator, patience, recorder)

    installer.ensure("cluster")
    return Target(
        kubeconfig=installer.kubeconfig,
        context=installer.context,
        sources=installer.sources,
        objects=installer.objects.fenced(may_change),
        teleport=lambda: _address(installer.authority()),
        has_teleport=lambda: any(phase.name == "teleport" and phase.ok for phase in installer.timeline),
        tctl=lambda words, stdin: installer.authority().tctl(words, stdin),
        need=installer.ensure,
        audit_events=audit_events,
        provisions=True,
        scene=scene,
    )


def already_there(settings: Settings, run_id: str, may_change: Callable[[], None]) -> Target:
    """Return an install that was there before, through the context that the user named.

    Args:
        settings: Settings of the run.
        may_change: Fence; see `provision.objects.Objects`.

    Raises:
        ProvisioningFailed: kubectl or istioctl is missing.
    """
    address = TeleportAddress(settings.teleport_proxy, settings.teleport_insecure, settings.teleport_ca)
    return Target(
        kubeconfig=settings.kubeconfig,
        context=settings.context,
        sources=resolve(settings),
        objects=objects_of(settings, run_id).fenced(may_change),
        teleport=lambda: address,
        has_teleport=lambda: True,
        tctl=tctl_of(settings),
        need=lambda _part: None,
        audit_events=lambda: None,
        provisions=False,
        scene=_not_ours,
    )


def is_there(settings: Settings) -> bool:
    """Return True where the run's cluster was there before the run: an existing one, or a kind cluster that was kept."""
    return settings.cluster == "existing" or (settings.reuse and kept_kubeconfig(settings) is not None)


def objects_of(settings: Settings, run_id: str) -> Objects:
    """Return what changes a cluster that was there before; the first call connects."""
    kubeconfig, context = address_of(settings)
    place = hashlib.sha256(f"{kubeconfig} {context}".encode()).hexdigest()[:16]
    discovery = settings.cache / "discovery" / f"{place}.json"
    if settings.cluster == "kind":  # it goes with the cluster: another one of this name may have another version
        discovery = directory_of(settings) / f"discovery-{run_id}-hold.json"
    return Objects(kubeconfig, context, run_id, timeout=settings.patience.api, discovery=discovery)


def address_of(settings: Settings) -> tuple[Path | None, str]:
    """Return the kubeconfig, None for kubectl's own default, and the context of the run's cluster."""
    if settings.cluster == "existing":
        return settings.kubeconfig, settings.context
    return directory_of(settings) / "kubeconfig", context_name(settings.kind_name)


def ways_of(settings: Settings) -> Ways:
    """Return the commands that restore and remove what a run left on its cluster."""
    kubeconfig, context = address_of(settings)
    return Ways(shlex.join([*(["--kubeconfig", str(kubeconfig)] if kubeconfig else []), "--context", context]))


def claim_of(settings: Settings, run_id: str, say: Callable[[str], None] = lambda _words: None) -> Claim | None:
    """Return the hold that a run takes on its cluster; None for a run that changes nothing.

    Args:
        settings: Settings of the run.
        say: Tells the user whom the run waits for.
    """
    may = next((most for most in ("disruptive", "namespaced") if most in settings.allowed_safety), "")
    if not may:
        return None
    return Claim(objects_of(settings, run_id), may=may, ways=ways_of(settings), wait=settings.wait_for_run, say=say)


def fence(claim: Claim | None, end: Callable[[str], None]) -> Callable[[], None]:
    """Return what a run asks before each change of what the suite did not make; see `provision.objects.Objects`.

    Args:
        claim: Hold of the run; None for a run that changes nothing.
        end: Ends the run, with the reason, once the hold is lost.
    """

    def may_change() -> None:
        if claim is None:
            return
        try:
            claim.must_hold()
        except HoldLost as lost:
            end(str(lost))
            raise

    return may_change


def take_if_there(claim: Claim, settings: Settings) -> None:
    """Take the hold on a cluster that seems to have been there before the run, so that a refusal comes before anything else.

    That is an early look, by the kubeconfig. Where the cluster does not answer, nothing happens: who changes it first (the
    fixture `cluster`, or `Installer` for a kind cluster) takes the hold before that, and says then what does not answer.

    Raises:
        BadInput: Another run may change it, or an earlier one left something.
    """
    if is_there(settings):
        with contextlib.suppress(ProvisioningFailed):
            claim.take()


def _address(authority: TeleportCluster) -> TeleportAddress:
    return TeleportAddress(authority.proxy, authority.insecure, authority.ca)


def _not_ours() -> Scene:
    raise NotGiven(
        expected="an installation that this run made",
        seen="an installation that was there before",
        where="the settings: cluster = existing",
        remedy="certify on a kind cluster; the suite injects no faults into an existing install",
    )
