"""What tbot's services select of Teleport's workload identities, and what its bot may issue."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from facts.document import Absent
from facts.evidence import ObjectRef
from providers.teleport.facts.resources import DEFAULT_MAXIMUM_TTL, Role, WorkloadIdentities, WorkloadIdentity, selects
from providers.teleport.facts.tbot_config import WorkloadApi

Identities = tuple[WorkloadIdentity | Absent, ...]
"""Workload identities that a selector takes; what stands for none is one that does not exist."""


def selected(name: str, labels: Mapping[str, tuple[str, ...]], everything: WorkloadIdentities) -> Identities:
    """The workload identities that a selector of tbot takes: one by its name, or any number by their labels.

    Args:
        name: Name of the selector; it goes before the labels.
        labels: Labels of the selector, for each key the values that match.
    """
    found = [i for i in everything.identities if (i.name == name if name else selects(labels, i.labels))]
    if found:
        return tuple(found)
    by_labels = ", ".join(f"{key}: {'|'.join(values)}" for key, values in sorted(labels.items()))
    subject = f"workload_identity/{name}" if name else f"workload_identity with {by_labels}"
    return (Absent(ObjectRef("Teleport", subject), everything.evidence),)


TO_ADMIT_THE_SUITE = (
    "such rules may be right, so leave them as they are: look at the certificates of the mesh's own proxies (ID-02 to ID-04)"
    ", or try this requirement on a cluster whose rules let in the suite's namespaces"
)
"""Next step where the rules of the mesh's owner keep the suite's own pods from an identity."""


def why_refused(identities: Iterable[WorkloadIdentity | Absent], namespace: str, account: str) -> str:
    """The workload identities whose rules refuse every pod of a service account, in words; empty unless all of them do.

    Args:
        identities: The workload identities that may be issued to it.
        account: Its name.
    """
    known = [identity for identity in identities if isinstance(identity, WorkloadIdentity)]
    if not known or not all(identity.refuses(namespace, account) for identity in known):
        return ""
    names = ", ".join(sorted({identity.name for identity in known}))
    return f"the rules of workload_identity {names} refuse the service account {account} of {namespace}"


@dataclass(frozen=True, slots=True)
class Issuing:
    """A service of tbot that issues to the mesh, with the workload identities that it selects.

    Attributes:
        identities: What it selects; None where the suite could not ask Teleport.
        evidence: Ids of the readings.
    """

    service: WorkloadApi
    identities: Identities | None
    evidence: tuple[str, ...]

    @property
    def longest_allowed(self) -> float | None:
        """Seconds that the most generous of its identities allows a certificate to live; None where none is known."""
        known = [i for i in self.identities or () if isinstance(i, WorkloadIdentity)]
        return max((i.maximum_ttl or DEFAULT_MAXIMUM_TTL for i in known), default=None)


@dataclass(frozen=True, slots=True)
class Grants:
    """The roles of a bot, beside the workload identities that Teleport has and that the tbots of that bot select.

    Attributes:
        roles: Roles of the bot.
        selected: Those that any service of these tbots selects, for whatever purpose.
    """

    roles: tuple[Role | Absent, ...]
    everything: WorkloadIdentities
    selected: Identities

    @property
    def evidence(self) -> tuple[str, ...]:
        """Ids of the readings."""
        return tuple(dict.fromkeys((*(e for role in self.roles for e in role.evidence), *self.everything.evidence)))


def each_once(identities: Iterable[WorkloadIdentity | Absent]) -> Identities:
    """Workload identities that several selectors take, each once and in their order."""
    return tuple({(i.subject.name if isinstance(i, Absent) else i.name): i for i in identities}.values())
