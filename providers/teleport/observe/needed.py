"""The rights that the suite needs at Teleport, by role; ``manifests/certifier-teleport-role.yaml`` is made of them.

``tctl status`` needs none: Teleport lets every user read the cluster's name and authorities, without their keys.
"""

from __future__ import annotations

from dataclasses import dataclass

from observe.kubernetes.needed import Role


@dataclass(frozen=True, slots=True)
class NeededAtTeleport:
    """Verbs on kinds of Teleport's resources that a role must have.

    Attributes:
        resources: Kinds, as ``tctl get`` names them.
        verbs: Teleport's words for what may be done.
        why: What the suite does with it, as a phrase.
        profiles: Profiles that need it; empty for all.
    """

    role: Role
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    why: str
    profiles: frozenset[str] = frozenset()


NEEDED_AT_TELEPORT = (
    NeededAtTeleport(
        Role.READ_ONLY,
        ("token", "bot", "role", "workload_identity", "bot_instance"),
        ("list", "read"),
        "compares tbot's resources with this cluster, and looks for other join tokens of its bot (`tctl get`)",
    ),
    NeededAtTeleport(
        Role.DISRUPTIVE,
        ("workload_identity",),
        ("create", "update"),
        "leaves one service account out of the rules for a while (NEG-03)",
        frozenset({"identity"}),
    ),
    NeededAtTeleport(
        Role.DISRUPTIVE,
        ("cert_authority",),
        ("create", "update"),
        "rotates the SPIFFE authority (ROT-04)",
        frozenset({"ca-rotation"}),
    ),
)
"""Every right. The verbs are those that the Auth Service of Teleport 15 to 18 checks for these commands; they are untested,
because the tctl beside an Auth Service has every right."""
