"""What `conformance undo` and `conformance down` do, put together from the settings."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import ExitStack

from facts.errors import CouldNotTell, ProvisioningFailed
from facts.kubernetes.leases import DURATION
from facts.recorder import Recorder
from observe.kubernetes.api import must_have_context
from observe.kubernetes.cluster import Cluster
from observe.tools import no_admin_session, tctl_of
from observe.wait import NotYet, Pace, eventually
from providers.teleport.installing.teleport import docker_must_answer
from providers.teleport.observe.session import TeleportSession
from providers.teleport.observe.tbot import read_tbots
from provision.clusters.directory import directory_of, kept_kubeconfig, make_directory
from provision.clusters.kind import Kind
from provision.disruption.machines import machines_of
from provision.disruption.node_outages import NodeOutages
from provision.disruption.outages import Outages
from provision.disruption.restoring import OfMachines
from provision.installing.install import kind_of, remove
from provision.negative.rules import Rules
from provision.objects import Objects
from provision.runs import leftovers
from provision.runs.claim import Claim
from provision.runs.originals import Originals, System
from provision.runs.restorers import InTeleport, KubernetesFields
from provision.runs.undo import Line, Restorer, undo
from provision.target import objects_of, ways_of
from settings import Settings


def undone(settings: Settings, recorder: Recorder, *, yes: bool) -> list[Line]:
    """List what runs changed on the cluster and did not put back; with `yes`, restore it.

    Args:
        settings: Settings with ``cluster = existing``.
        recorder: Takes the readings, and the names of join tokens that no output may show.
        yes: Restore.

    Raises:
        BadInput: There is no such context, or the run that made the changes is under way.
        ConformanceError: The cluster does not answer, or refuses.
    """
    must_have_context(settings.kubeconfig, settings.context)
    objects = objects_of(settings, f"undo-{secrets.token_hex(3)}")
    claim = Claim(objects, may="disruptive", ways=ways_of(settings))
    with ExitStack() as stack:
        return undo(objects, claim, _Restorers(settings, recorder, objects, stack), yes=yes)


def removed(settings: Settings, run: str, *, yes: bool) -> list[Line]:
    """List what runs made on the cluster for themselves and left; with `yes`, remove it.

    Args:
        settings: Settings with ``cluster = existing``.
        run: Id of the run; empty for every run.
        yes: Remove.

    Raises:
        BadInput: There is no such context, or the run is under way; with `yes`, any run.
        ConformanceError: The cluster, or Teleport, does not answer, or refuses.
    """
    must_have_context(settings.kubeconfig, settings.context)
    objects = objects_of(settings, f"down-{secrets.token_hex(3)}")
    pace = Pace(settings.patience.teardown) if yes else None
    ways = ways_of(settings)
    # It restores nothing and disturbs nobody's readings: it counts as no disruptive run.
    claim = Claim(objects, may="namespaced", ways=ways)
    return leftovers.down(objects, tctl_of(settings), run, ways.undo, pace, claim=claim)


def cluster_removed(settings: Settings, recorder: Recorder, say: Callable[[str], None]) -> None:
    """Remove a kept kind cluster, with its Teleport and its files, while holding it; nothing happens if there is none.

    Args:
        settings: Settings with ``cluster = kind``.
        recorder: Records the output of commands.
        say: Tells the user what it waits for.

    Raises:
        BadInput: A run holds the cluster, or another process makes or removes it.
        ProvisioningFailed: Docker does not answer, or something could not be removed; the rest was removed.
        CouldNotTell: The Lease cannot be read.
    """
    docker_must_answer()
    kind = kind_of(settings, recorder)
    claim = Claim(objects_of(settings, f"down-{secrets.token_hex(3)}"), may="namespaced", ways=ways_of(settings))
    try:
        if kind.exists():
            _take_over(claim, kind, settings, say)
        remove(settings, recorder)
    except BaseException:
        claim.release()
        raise
    claim.abandon()


def _take_over(claim: Claim, kind: Kind, settings: Settings, say: Callable[[str], None]) -> None:
    """Take the hold on a kind cluster that is about to go, unless nothing answers in it."""
    make_directory(directory_of(settings))
    try:
        kind.take_up()
    except ProvisioningFailed:
        if kept_kubeconfig(settings) is None:  # half a cluster, which no run can be using; else a run may restart the node
            return
    told = False

    def look() -> None:
        nonlocal told
        try:
            claim.take_over()
        except ProvisioningFailed as error:
            if not told:
                say(f"waiting up to {DURATION} s for the API server of {settings.kind_name}: {error.seen}")
            told = True
            raise NotYet(error.seen) from error

    try:
        eventually("the API server says whether a run holds the cluster", look, Pace(DURATION, 1))
    except CouldNotTell as silent:
        # A node that a run restarts is back earlier; and no run has renewed its Lease in that time.
        if not isinstance(silent.__cause__, NotYet):
            raise


class _Restorers:
    """Restorers by system, each made when the first change of its system asks for it.

    Args:
        recorder: Takes the readings.
        objects: Changes the cluster.
        stack: Closes what they opened.
    """

    def __init__(self, settings: Settings, recorder: Recorder, objects: Objects, stack: ExitStack) -> None:
        self._settings = settings
        self._recorder = recorder
        self._objects = objects
        self._stack = stack
        self._pace = Pace(settings.patience.rollout)
        self._made: dict[System, Restorer] = {}

    def __call__(self, system: System) -> Restorer:
        """Return the restorer of a system.

        Raises:
            NotGiven: There is no admin session at Teleport, or the machines are not this machine's.
            CouldNotTell: tbot cannot be read, or Docker does not answer.
        """
        if system not in self._made:
            make = {System.TELEPORT: self._teleport, System.MACHINE: self._machines}.get(system, self._kubernetes)
            self._made[system] = make()
        return self._made[system]

    def _kubernetes(self) -> Restorer:
        return KubernetesFields(self._objects, self._pace, self._settings.names)

    def _teleport(self) -> Restorer:
        settings, tctl, recorder = self._settings, tctl_of(self._settings), self._recorder
        if tctl is None:
            raise no_admin_session("tctl")
        # A session opens no connection to the proxy unless it is asked what only the proxy knows.
        address = settings.teleport_proxy or "localhost"
        session = TeleportSession(address, recorder=recorder, timeout=settings.patience.api, tctl=tctl)
        return InTeleport(Rules(tctl, recorder, Originals(self._objects)), lambda: session)

    def _machines(self) -> Restorer:
        settings, objects, originals = self._settings, self._objects, Originals(self._objects)
        cluster = Cluster(settings.kubeconfig, settings.context, self._recorder, settings.patience, settings.sizes)
        self._stack.callback(cluster.close)
        machines = machines_of(objects, cluster.recorder, settings.patience.command)
        tbot = read_tbots(cluster, settings.names).only
        outages = Outages(
            objects, originals, cluster, tbot=tbot, istiod=(), machines=lambda: machines, pace=self._pace
        )  # fmt: skip
        node_outages = NodeOutages(
            objects, originals, cluster, tbot=tbot, outages=outages, machines=machines, pace=self._pace
        )  # fmt: skip
        return OfMachines(machines, node_outages, cluster, self._pace)
