"""Probe pods as evidence. A probe pod that could not run leaves its question open."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from facts.evidence import ObjectRef, Shown
from facts.finding import Finding, Problem, Remark
from facts.kubernetes.probes import NOBODY, SILENT, Refused, SeenFile, SocketDirectoryProbe
from judge.findings import Claim, confirmed_of

WRITE, SEARCH = 0o2, 0o1
"""Permission bits; to search a directory is to use what is in it."""


DIRECTORY_CLOSED = "socket-directory-closed"
"""Cause of a directory that no workload may enter, whatever is in it."""


class OfNode(Shown, Protocol):
    """A fact about one node."""

    @property
    def node(self) -> str:
        """Name of the node."""


def on_node(found: OfNode, said: str, cause: str = "") -> Problem:
    """A problem of the node that a fact is about."""
    return Problem(ObjectRef("Node", found.node), said, cause, found.evidence)


def held_on(found: OfNode, said: str) -> Remark:
    """An observation of the node that a fact is about."""
    return Remark(ObjectRef("Node", found.node), said)


def of_probes(
    claim: Claim,
    probes: Iterable[object],
    problems: Sequence[Problem],
    *,
    held: Iterable[Remark] = (),
    confirmed: str = "",
    unclear: Sequence[Problem] = (),
    settle: str = "",
) -> Finding:
    """Judge a claim by probes: one that a policy refused is a problem, any other that did not run leaves the claim open.

    Args:
        probes: Results of the probes, `Refused` among them.
        problems: Problems that the probes found.
        held: Observation of each node; those of nodes with a problem are dropped.
        confirmed: The same in one sentence.
        unclear: What else the probes leave open.
        settle: Next step for that.
    """
    refused = [p for p in probes if isinstance(p, Refused)]
    said = "the probe pod did not run: {}"
    wrong = [*problems, *(on_node(p, said.format(p.reason)) for p in refused if p.by_policy)]
    kept_out = [on_node(p, said.format(p.reason)) for p in refused if not p.by_policy]
    return claim.judged(
        wrong,
        confirmed,
        held=confirmed_of(held, wrong),
        unclear=[*unclear, *kept_out],
        settle="; ".join(filter(None, (settle if unclear else "", RUN_IT if kept_out else ""))),
    )


RUN_IT = "remove what kept the probe pod from running: it needs its image and the rights of INST-02"
"""The next step where a probe did not run."""


def mode_lets(permission: int, of: SeenFile, probe: SocketDirectoryProbe) -> bool:
    """Permission by the mode alone, whatever the mount: the owner's bit, else the group's, else the others'."""
    shift = 6 if of.uid == probe.uid else 3 if of.gid == probe.gid else 0
    return bool(of.mode >> shift & permission)


def socket_seen(probe: SocketDirectoryProbe, name: str) -> SeenFile | None:
    """The socket of that name as a probe saw it; None where there is none, or the probe could not list the directory."""
    return next((each for each in probe.entries or () if each.name == name and each.is_socket), None)


def why_unreachable(probe: SocketDirectoryProbe, name: str) -> tuple[str, str]:
    """What keeps a workload from the server of its node's socket, in words, with its cause; twice empty where nothing does.

    Connecting takes the right to search the directory, and to write to the socket, and a process that listens on it. Source:
    path_resolution(7), unix(7).

    Args:
        probe: What a workload may do to the directory.
        name: File name of the socket.
    """
    if not mode_lets(SEARCH, probe.directory, probe):
        return f"uid {probe.uid} may not enter the directory ({probe.directory})", DIRECTORY_CLOSED
    entry = socket_seen(probe, name)
    if entry is None:
        return "", ""
    if not mode_lets(WRITE, entry, probe):
        return f"uid {probe.uid} may not connect to {name} ({entry})", "socket-closed"
    if entry.listener == NOBODY:
        return f"a connection to {name} is refused: no process listens there", "socket-stale"
    if entry.listener == SILENT:
        return f"a connection to {name} gets no word: a process listens there and stands still", "tbot-not-answering"
    return "", ""
