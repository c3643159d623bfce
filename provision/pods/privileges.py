"""The suite's own pods and the privileges that each has, read from its manifest."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provision.pods.clients_and_servers import TRAFFIC
from provision.pods.probes import PROBES
from provision.render import VARIABLE, documents
from settings import Names


@dataclass(frozen=True, slots=True)
class SuitePod:
    """Pods that the suite makes from one manifest.

    Attributes:
        manifest: File with the pod.
        requirements: Requirements that need them.
        number: Number of pods, and where they run, as a phrase.
    """

    manifest: Path
    requirements: tuple[str, ...]
    number: str

    def privileges(self, names: Names) -> tuple[str, ...]:
        """Return what they have beyond an ordinary pod, in words; empty for nothing.

        Args:
            names: Names of the install, for the directory of the socket.
        """
        variables = {name: name for name in VARIABLE.findall(self.manifest.read_text(encoding="utf-8"))}
        made = documents(self.manifest, variables | {"SOCKET_DIRECTORY": names.socket_directory})
        return privileges(next(document for document in made if document["kind"] == "Pod")["spec"])


_OF_TRAFFIC = (
    *("ID-09", "NEG-01", "NEG-05", "MTL-05", "TRF-01", "TRF-02", "TRF-03", "TRF-04", "TRF-05", "TRF-06", "TRF-07"),
    *("ROT-02", "ROT-03", "ROT-04", "ROT-08"),
    *(f"RES-0{number}" for number in range(1, 9)),
)

_OF_THE_DOCTOR = tuple(f"DX-{number}" for number in range(1, 10))

SUITE_PODS = (
    SuitePod(PROBES / "node.yaml", ("INST-04",), "one on each node that takes workloads"),
    SuitePod(PROBES / "sds.yaml", ("INST-14", "NEG-02", *_OF_THE_DOCTOR), "one on each node that hosts injected pods"),
    SuitePod(PROBES / "socket_directory.yaml", ("INST-14", "ID-08", *_OF_THE_DOCTOR), "one on each node with tbot's socket"),
    SuitePod(
        PROBES / "outside.yaml",
        ("NEG-02",),
        "one on each node that hosts injected pods, for each socket of tbot that such a pod can open",
    ),
    SuitePod(PROBES / "teleport.yaml", _OF_THE_DOCTOR, "one on each node with tbot"),
    SuitePod(PROBES / "sidecar.yaml", ("NEG-03",), "two"),
    SuitePod(PROBES / "fail_closed.yaml", ("NEG-04",), "one"),
    SuitePod(PROBES / "stranger.yaml", ("NEG-01", "NEG-04", "NEG-05"), "one"),
    SuitePod(PROBES / "canaries.yaml", ("HYG-04",), "one, which no node runs"),
    SuitePod(TRAFFIC / "workload.yaml", _OF_TRAFFIC, "eight test pods, and up to six for each feature with loads"),
)
"""Every manifest of a pod. Where istiod injects a sidecar, that sidecar mounts what any workload's sidecar mounts. NEG-06
also starts a copy of tbot's own pod, without its privileges."""


def made_for(requirements: Collection[str]) -> tuple[SuitePod, ...]:
    """Return the pods that some requirements need."""
    return tuple(pod for pod in SUITE_PODS if {*pod.requirements} & {*requirements})


def privileges(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what a pod has beyond an ordinary one, in words; empty for nothing.

    Args:
        spec: Specification of the pod, as its manifest has it.
    """
    found = [name for name in ("hostPID", "hostIPC") if spec.get(name)]
    if network := spec.get("hostNetwork"):
        found.append("hostNetwork" if network is True else "hostNetwork where tbot has it")
    for volume in spec.get("volumes", ()):
        if "hostPath" in volume:
            mounts = [m for c in spec["containers"] for m in c.get("volumeMounts", ()) if m["name"] == volume["name"]]
            how = "read-only" if all(mount.get("readOnly") for mount in mounts) else "writable"
            found.append(f"{volume['hostPath']['path']} of the node ({how})")
    for container in spec["containers"]:
        found += _of_container(container.get("securityContext") or {})
    return tuple(dict.fromkeys(found))


def _of_container(context: Mapping[str, Any]) -> Iterator[str]:
    if context.get("privileged"):
        yield "privileged"
    if context.get("runAsUser") == 0:
        yield "root"
    yield from (context.get("capabilities") or {}).get("add", ())
