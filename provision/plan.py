"""The plan of a run, before it begins: what it may do, by which rights, in which pods, for how long. Reads no cluster."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from observe.kubernetes.needed import NEEDED, Needed, Role
from providers.teleport.observe.needed import NEEDED_AT_TELEPORT, NeededAtTeleport
from provision.objects import MAY_CHANGE_LABEL
from provision.pods.privileges import SuitePod, made_for

SAFETY_CLASSES = (Role.READ_ONLY, Role.NAMESPACED, Role.DISRUPTIVE)


@dataclass(frozen=True, slots=True)
class ProfileOnCluster:
    """A profile as a cluster feels it.

    Attributes:
        disrupts: What it does beyond the suite's own namespaces, in Markdown; empty for nothing.
        seconds: Time on a ready cluster, with every class allowed: a cluster of the lab with two nodes, on two quiet cores.
    """

    disrupts: str
    seconds: int


ON_CLUSTER: Mapping[str, ProfileOnCluster] = {
    "install": ProfileOnCluster("", 14),
    "checklist": ProfileOnCluster("", 0),  # measured together with `install`
    "identity": ProfileOnCluster(
        "NEG-02 starts a privileged pod on each node that hosts injected pods; from it, a process outside any pod asks the "
        "socket. NEG-03 changes the rules of the workload identity, if that has the label "
        f"`{MAY_CHANGE_LABEL}` (with any value): the suite overwrites no resource of Teleport "
        "without it. Until it restores them, Teleport refuses this workload "
        "identity **to every caller outside Kubernetes**. Without the label NEG-03 is *not-evaluated*.",
        63,
    ),
    "mtls": ProfileOnCluster(
        "MTL-05 sends requests through the mesh's own ingress gateway, for hosts of its own.",
        31,  # measured alone: most of it is for the test pods, which `identity` and `traffic` use as well
    ),
    "traffic": ProfileOnCluster(
        "TRF-05 sends requests through the mesh's own ingress gateway, for a host of its own.",
        70,
    ),
    "hygiene": ProfileOnCluster("", 0),  # not measured yet
    "rotation": ProfileOnCluster(
        "tbot issues certificates that live one minute, to the whole mesh, for some minutes. The suite restarts tbot before "
        "and after.",
        150,
    ),
    "ca-rotation": ProfileOnCluster(
        "tbot issues certificates that live ten minutes, to the whole mesh. The suite restarts tbot before and after. "
        "ROT-04 **replaces Teleport's SPIFFE authority for good** and waits for the proxies of this cluster alone. "
        "Everything else that holds certificates of that authority (other clusters, machines, programs) is refused until "
        "its own next renewal. Do not run it against a Teleport that serves anything else.",
        180,
    ),
    "resilience": ProfileOnCluster(
        "RES-02 keeps tbot away until the certificates of the whole mesh have expired: **sidecars refuse every new "
        "connection for a minute or less**, and for longer if tbot cannot come back. RES-07 keeps istiod away for a minute, "
        "in which no injected pod starts and no configuration arrives. RES-03 to RES-06 and RES-08 need machines that the "
        "suite made, so on your cluster they are *not-evaluated*, and the best exit code with this profile is 6.",
        360,
    ),
    "diagnosis": ProfileOnCluster(
        "Nothing: the suite breaks only what it made. On your cluster DX-1 to DX-9 are *not-evaluated*, and the best exit "
        "code with this profile is 6.",
        0,
    ),
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run may do.

    Attributes:
        needs: What each requirement of the run still needs, e.g. ``--allow namespaced``; empty where nothing is missing.
        rights: Rights at the API server.
        pods: Pods that the run makes from manifests.
        copies_tbot: True where it also starts a copy of tbot's own pod, without tbot's privileges (NEG-06).
        disrupts: What each profile does beyond the suite's own namespaces, in plain text.
        seconds: Time on a ready cluster of the lab, if every class were allowed.
    """

    needs: Mapping[str, str]
    rights: tuple[Needed, ...]
    rights_at_teleport: tuple[NeededAtTeleport, ...]
    pods: tuple[SuitePod, ...]
    copies_tbot: bool
    disrupts: Mapping[str, str]
    seconds: int


def planned(safety: Mapping[str, Collection[str]], profiles: Collection[str], allowed: Collection[str]) -> Plan:
    """Return the plan of a run.

    Args:
        safety: Safety classes of the scenarios of each requirement of the run.
        profiles: Names of the profiles that these requirements belong to.
        allowed: Safety classes that the user allows.
    """
    chosen = frozenset(profiles)
    rows = [row for row in NEEDED if row.role in allowed or row.role is Role.EXEC]
    at_teleport = [row for row in NEEDED_AT_TELEPORT if row.role in allowed]
    able = [requirement for requirement, classes in safety.items() if {*classes} & {*allowed} - {Role.READ_ONLY}]
    return Plan(
        needs={requirement: _needs(classes, allowed) for requirement, classes in safety.items()},
        rights=tuple(row for row in rows if not row.profiles or row.profiles & chosen),
        rights_at_teleport=tuple(row for row in at_teleport if not row.profiles or row.profiles & chosen),
        pods=made_for(able),
        copies_tbot="NEG-06" in able,
        disrupts={
            name: on_cluster.disrupts.replace("*", "")
            for name, on_cluster in ON_CLUSTER.items()
            if on_cluster.disrupts and name in chosen and Role.DISRUPTIVE in allowed
        },
        seconds=sum(on_cluster.seconds for name, on_cluster in ON_CLUSTER.items() if name in chosen),
    )


def _needs(classes: Collection[str], allowed: Collection[str]) -> str:
    """Return what some scenarios of a requirement need; the last class includes those before it."""
    missing = [role for role in SAFETY_CLASSES if role in classes and role not in allowed]
    return f"--allow {missing[-1]}" if missing else ""
