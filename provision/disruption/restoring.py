"""Restoring machines that the suite made: what a killed run paused, stopped, moved away or restarted there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from facts.errors import CouldNotTell, ProvisioningFailed
from observe.kubernetes.cluster import Cluster
from observe.wait import NotYet, Pace, eventually
from provision.disruption.machine_changes import CONTAINER, DIRECTORY, NODE, PROCESSES
from provision.disruption.machines import Machines, processes_of
from provision.disruption.node_outages import CONTINUE, NodeOutages
from provision.runs.originals import Change


@dataclass(frozen=True, slots=True)
class OfMachines:
    """Restores machines. Each restoration is harmless where nothing is to be restored.

    Attributes:
        machines: Machines of the cluster.
        node_outages: Undoes outages of a node.
        cluster: Reads the cluster.
        pace: Pace of the wait for a node.
    """

    machines: Machines
    node_outages: NodeOutages
    cluster: Cluster
    pace: Pace

    def now(self, change: Change) -> Mapping[str, Any] | None:
        """Return the one field of a machine as a word; one that cannot be looked at counts as the run left it."""
        self._must_be_ours(change)
        (field,) = change.fields
        (key,) = field.path
        if change.kind == CONTAINER:
            return {key: self.machines.state(change.name)[0]}
        return {key: field.ours}

    def restore(self, change: Change) -> None:
        """Let the container or the processes continue, move the directory back, or make up for the restart."""
        self._must_be_ours(change)
        (field,) = change.fields
        (key,) = field.path
        if change.kind == CONTAINER:
            self.machines.resume(change.name)
            return
        # A node that is restarted may be on its way up.
        eventually(f"the node {change.name} runs", lambda: self._must_run(change.name), self.pace)
        if change.kind == PROCESSES:
            self._continue(change.name, key)
        elif change.kind == DIRECTORY:
            self.node_outages.put_directory_back(change.name)
        else:
            there = [p for p in self.cluster.pods() if p.node == change.name and not (p.terminating or p.has_ended)]
            self.node_outages.make_whole(change.name, str(field.was), there)

    def after(self, change: Change) -> Mapping[str, Any] | None:
        """Return the field once `restore` has returned; what cannot be looked at is then as before, or `restore` raises."""
        if change.kind == CONTAINER:
            return self.now(change)
        (field,) = change.fields
        return {field.path[0]: field.was}

    def settle(self, change: Change) -> None:
        """Nothing to wait for: `restore` has waited."""

    def _must_run(self, node: str) -> None:
        state, _reading = self.machines.state(node)
        if state != "running":
            raise NotYet(f"its container is {state}")

    def _continue(self, node: str, container_id: str) -> None:
        try:
            processes = processes_of(self.machines.on_node, node, container_id)
        except CouldNotTell:  # the container has ended, and its processes with it
            return
        self.machines.on_node(node, *CONTINUE, *processes)

    def _must_be_ours(self, change: Change) -> None:
        """Refuse a machine that is not one of this cluster's: an original may have been written by another user."""
        ours = {CONTAINER: (self.machines.teleport,)}.get(change.kind, self.machines.nodes)
        if change.kind not in (CONTAINER, PROCESSES, DIRECTORY, NODE) or change.name not in ours:
            raise ProvisioningFailed(
                expected=f"a machine of this cluster: {', '.join((*self.machines.nodes, self.machines.teleport))}",
                seen=str(change),
                where="an original in kube-system",
                remedy="find out who wrote it: the suite keeps changes of its own machines alone",
            )
