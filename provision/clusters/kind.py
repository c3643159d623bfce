"""The kind cluster: made, used again, removed. Its kubeconfig is a private file, never ``~/.kube/config``."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pytest_kind.cluster import KindCluster

from facts.errors import CouldNotTell, ProvisioningFailed
from facts.evidence import ObjectRef
from facts.recorder import Recorder
from observe.command import CommandResult, run
from observe.wait import NotYet, Pace, converges
from provision.clusters.remedies import remedy_for
from provision.clusters.sources import Sources

NETWORK = "kind"
"""The Docker network that kind puts every node in."""

LATECOMERS = Pace(timeout=10, interval=0.5)
"""Pace of the wait for nodes that Docker still makes after the kind that asked for them was stopped."""

LOOKS = 4
"""Looks in a row that must find no node: Docker may report a container as removed that it is about to start."""

LONGEST_ERROR = 900
"""Characters of kind's output that an error repeats; the evidence has all of it."""


def context_name(cluster: str) -> str:
    """Return the name of the context that kind writes for a cluster."""
    return f"kind-{cluster}"


def cluster_config(name: str, nodes: int, image: str, patch: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration for kind: one control plane that takes pods, and workers.

    Args:
        name: Name of the cluster.
        nodes: Number of nodes, at least one.
        image: Image of the nodes.
        patch: Additional configuration for the image; mappings are merged, lists are appended.
    """
    config: dict[str, Any] = {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "name": name,
        "networking": {"apiServerAddress": "127.0.0.1"},
        "nodes": [
            {"role": "control-plane", "image": image},
            *({"role": "worker", "image": image} for _ in range(nodes - 1)),
        ],
    }
    if nodes > 1:
        # kind itself removes the control plane's taint from a single node, and fails if there is none.
        config["kubeadmConfigPatches"] = ["kind: InitConfiguration\nnodeRegistration:\n  taints: []\n"]
    merged: dict[str, Any] = _merged(config, patch)
    return merged


def _merged(base: Any, patch: Any) -> Any:
    if isinstance(base, dict) and isinstance(patch, Mapping):
        return {**base, **{key: _merged(base[key], value) if key in base else value for key, value in patch.items()}}
    if isinstance(base, list) and isinstance(patch, list):
        return base + patch
    return patch


class Kind(KindCluster):  # type: ignore[misc] # pytest-kind has no types
    """A kind cluster of pytest-kind, made with the suite's command runner.

    pytest-kind's ``create`` has no deadline, loses kind's output when it fails, and cannot reuse a cluster whose kubeconfig
    file is gone.
    """

    def __init__(
        self,
        name: str,
        directory: Path,
        sources: Sources,
        recorder: Recorder,
        *,
        nodes: int,
        timeout: float,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Prepare, without making the cluster yet.

        Args:
            name: Name of the cluster.
            directory: Private directory for its files.
            sources: kind, kubectl and the node image.
            recorder: Records the output of kind.
            nodes: Number of nodes.
            timeout: Seconds for ``kind create cluster``.
            stop: Returns True once the suite must give up.
        """
        super().__init__(name, kubeconfig=directory / "kubeconfig", kind_path=sources.kind, kubectl_path=sources.kubectl)
        # pytest-kind makes ./.pytest-kind/<name> for downloads, which the suite does not use.
        with contextlib.suppress(OSError):
            self.path.rmdir()
            self.path.parent.rmdir()
        self._directory = directory
        self._sources = sources
        self._recorder = recorder
        self._nodes = nodes
        self._timeout = timeout
        self._stop = stop
        self.made_here = False
        """True once this process has made the cluster, or tried to, and so must remove it."""
        self._cut_short = False

    def make(self, *, reuse: bool) -> None:
        """Create the cluster, or reuse the one that exists.

        Args:
            reuse: Use an existing cluster of that name; otherwise its presence is an error.

        Raises:
            ProvisioningFailed: kind failed, or the name is taken.
        """
        self._own_kubeconfig()
        if not reuse:
            self.must_not_exist()
            self._create()
        elif self.exists():
            self.take_up()
        else:
            self._create()
        # The cluster exists now, so this only opens pytest-kind's connection to it.
        super().create()

    def must_not_exist(self) -> None:
        """Check that the name is free.

        Raises:
            ProvisioningFailed: kind failed, or the name is taken.
        """
        if self.exists():
            raise ProvisioningFailed(
                expected=f"no kind cluster called {self.name}",
                seen="there is one",
                where="kind get clusters",
                remedy=_taken(self.name),
            )

    def exists(self) -> bool:
        """Return True where kind knows a cluster of that name, also one whose kubeconfig is elsewhere or lost.

        Raises:
            ProvisioningFailed: kind failed.
        """
        return self.name in self._kind("get", "clusters", timeout=30).stdout.split()

    def take_up(self) -> None:
        """Write the kubeconfig of the cluster, which exists; nothing of it is changed.

        Raises:
            ProvisioningFailed: kind failed, as it does for half a cluster.
        """
        self._own_kubeconfig()
        self._kind("export", "kubeconfig", "--name", self.name, "--kubeconfig", self.kubeconfig_path, timeout=30)

    def _own_kubeconfig(self) -> None:
        """Make the file, if it is missing, and see that only its owner can read it."""
        self.kubeconfig_path.touch(mode=0o600)
        self.kubeconfig_path.chmod(0o600)

    def _create(self) -> None:
        patch = yaml.safe_load(self._sources.kind_patch.read_text()) if self._sources.kind_patch else {}
        config = self._directory / "kind.yaml"
        config.write_text(yaml.safe_dump(cluster_config(self.name, self._nodes, self._sources.node_image, patch)))
        self.made_here = True
        try:
            self._kind(
                "create", "cluster", "--name", self.name, "--kubeconfig", self.kubeconfig_path, "--config", config,
                timeout=self._timeout, stop=self._stop,
            )  # fmt: skip
        except CouldNotTell:
            self._cut_short = True
            raise
        except ProvisioningFailed as error:
            self._cut_short = "exit code -" in error.seen  # killed by a signal that went to all processes of this run
            # Another process took the name in the meantime: the suite must not remove that cluster.
            self.made_here = "already exist for a cluster" not in error.seen
            raise

    def remove(self) -> None:
        """Delete the cluster and its kubeconfig; nothing happens if there is none.

        Raises:
            ProvisioningFailed: kind could not delete it.
        """
        removed = self._delete()
        if self._cut_short:

            def look() -> None:
                nonlocal removed
                here = self._delete()
                removed += here
                if here or removed < self._nodes:
                    raise NotYet(f"{removed} of {self._nodes} nodes have appeared")

            with contextlib.suppress(CouldNotTell):  # nodes that never appear need no removal
                converges("all nodes have appeared and were removed", look, LATECOMERS, times=LOOKS)
        self.kubeconfig_path.unlink(missing_ok=True)

    def _delete(self) -> int:
        """Delete what there is of the cluster, and return the number of its nodes."""
        nodes = len(self._kind("get", "nodes", "--name", self.name, timeout=30).stdout.split())
        self._kind("delete", "cluster", "--name", self.name, "--kubeconfig", self.kubeconfig_path, timeout=120)
        return nodes

    def _kind(self, *arguments: str | Path, timeout: float, stop: Callable[[], bool] = lambda: False) -> CommandResult:
        result = run([self.kind_path, *arguments], timeout=timeout, stop=stop)
        if arguments[0] != "get" or result.exit_code:
            self._recorder.record(
                result.as_evidence(ObjectRef("Host", "kind"), shown_as=f"kind {result.line.split(' ', 1)[1]}")
            )
        if result.exit_code:
            raise ProvisioningFailed(
                expected=f"`kind {arguments[0]} {arguments[1]}` to succeed",
                seen=f"exit code {result.exit_code}: {_error_in(result.stderr or result.stdout)}",
                where=f"kind cluster {self.name}",
                remedy=_remedy(result.stderr, self.name),
            )
        return result


def _taken(name: str) -> str:
    return f"use it with --reuse, remove it with `conformance down --kind-name {name}`, or choose another --kind-name"


def _remedy(said: str, name: str) -> str:
    if "already exist for a cluster" in said:
        return _taken(name)
    by_hand = "read the error of kind; `kind create cluster` by hand with --retain keeps the nodes for inspection"
    return remedy_for(said, otherwise=by_hand)


def _error_in(said: str) -> str:
    """Return the error in kind's output as one line; it follows the progress, and may contain a whole log."""
    line = " ".join(said[max(said.rfind("ERROR:"), 0) :].split())
    return line if len(line) <= LONGEST_ERROR else f"{line[: LONGEST_ERROR // 3]} … {line[-2 * LONGEST_ERROR // 3 :]}"
