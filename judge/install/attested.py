"""Judgment about what tbot gives to probe pods: INST-14."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from facts.document import Absent
from facts.evidence import readings
from facts.finding import Finding, Problem
from facts.kubernetes.objects import Pod
from facts.kubernetes.probes import Refused, SdsProbe, SocketDirectoryProbe
from facts.provider.agents import Agents
from facts.provider.trust import TrustBundle
from facts.svid import verify_chain, workload_id
from facts.traffic.refusal import Because, reason_of
from judge.findings import Claim, listed, true_ones
from judge.install.probes import DIRECTORY_CLOSED, held_on, of_probes, on_node, why_unreachable
from providers.teleport.facts.issuing import TO_ADMIT_THE_SUITE, why_refused
from providers.teleport.facts.resources import WorkloadIdentity


@dataclass(frozen=True, slots=True)
class Beside:
    """What is read beside a socket that gave a probe pod nothing.

    Attributes:
        directories: What a workload may do to the directories of these sockets.
        identities: The workload identities that tbot issues there, by node and path of the socket; none where the suite
            could not ask Teleport.
        workloads: Injected pods of the mesh.
        unjoined: The sockets, by node and path, of tbots whose log shows that they have not joined since their start: what
            lies there is of another tbot.
    """

    directories: Sequence[SocketDirectoryProbe | Refused] = ()
    identities: Mapping[tuple[str, str], Sequence[WorkloadIdentity | Absent]] = field(default_factory=dict)
    workloads: Sequence[Pod] = ()
    unjoined: Collection[tuple[str, str]] = ()

    def issued_at(self, probe: SdsProbe) -> Sequence[WorkloadIdentity | Absent]:
        """The workload identities that tbot issues at the socket of a probe."""
        return self.identities.get((probe.node, probe.socket), ())


def probes_got_their_own_identity(
    probes: Sequence[SdsProbe | Refused], bundle: TrustBundle, tbots: Agents, beside: Beside | None = None
) -> Finding:
    """INST-14: tbot gave each probe the SPIFFE ID of its own service account, signed by Teleport's SPIFFE authority.

    Rules of a workload identity that let in only the namespaces of the mesh's owner refuse a probe, which has a namespace of
    its own. That is an open point, unless they refuse a pod of the mesh at the same socket as well.

    Args:
        probes: The probes, one for each socket of the mesh on each node.
        bundle: Teleport's authorities.
        tbots: Every tbot that serves the mesh; a problem names the one whose socket it is.
        beside: What was read where a probe got nothing.
    """
    beside = beside or Beside()
    expected = "tbot to give the probe pod on each node its own identity from Teleport"
    issued = chain.from_iterable(beside.identities.values())
    evidence = readings(*probes, bundle, *beside.directories, *issued, *beside.workloads)
    claim = Claim("INST-14", expected, f"sockets of {listed(p.node for p in probes)}", evidence)
    answered = [probe for probe in probes if isinstance(probe, SdsProbe)]
    problems, unclear = [], []
    for probe in answered:
        if said := _why_the_rules_decide(probe, beside):
            refused = on_node(probe, f"{_socket_of(probe, tbots)}: the probe pod got no identity: {said}")
            unclear.append(replace(refused, evidence=readings(probe, *beside.issued_at(probe))))
            problems += _workloads_refused(probe, beside)
            continue
        found = probe_problems(probe, bundle, beside)
        problems += [replace(each, said=f"{_socket_of(probe, tbots)}: {each.said}") for each in found]
    held = [held_on(probe, listed(probe.leaf.uri_sans)) for probe in answered if probe.leaf]
    if not probes:
        problems.append(claim.problem("no node hosts an injected pod, so that the suite asked no socket"))
    return of_probes(claim, probes, problems, held=held, unclear=unclear, settle=TO_ADMIT_THE_SUITE)


def _socket_of(probe: SdsProbe, tbots: Agents) -> str:
    serving = listed((str(tbot.daemon_set.ref) for tbot in tbots.serving(probe.node, probe.socket)), "no tbot of that node")
    return f"the socket {probe.socket or 'of the mesh'} of {serving}"


def _why_the_rules_decide(probe: SdsProbe, beside: Beside) -> str:
    """The rules that refuse a probe, in words; empty where it got a certificate, cannot reach its socket, or they let it in.

    Teleport says that no rule lets a caller in also where tbot attests none; then rules that let the probe in are the proof.
    """
    if probe.leaf is not None or _why_shut_out(probe, beside)[0]:
        return ""
    identities = beside.issued_at(probe)
    if said := why_refused(identities, probe.namespace, probe.service_account):
        return said
    known = [identity for identity in identities if isinstance(identity, WorkloadIdentity)]
    admitted = any(identity.admits(probe.namespace, probe.service_account) for identity in known)
    if admitted or reason_of(probe.reason) is not Because.NO_RULE:
        return ""
    return f"the rules of the workload identity let in no service account {probe.service_account} of {probe.namespace}"


def _workloads_refused(probe: SdsProbe, beside: Beside) -> list[Problem]:
    """Pods of the mesh that look for the socket of a probe, and that the rules of what is issued there refuse."""
    identities = beside.issued_at(probe)
    return [
        Problem(pod.ref, f"{why}, at its next certificate", "identity-rules-refuse", readings(pod, *identities))
        for pod in beside.workloads
        if pod.node == probe.node
        and probe.socket in ("", pod.socket_on_node)
        and (why := why_refused(identities, pod.namespace, pod.service_account))
    ]


def probe_problems(probe: SdsProbe, bundle: TrustBundle, beside: Beside | None = None) -> list[Problem]:
    """Problems unless tbot gave a probe pod its own identity from Teleport; `beside` as in the requirement's judgment."""
    if probe.leaf is None:
        said, cause, evidence = _why_shut_out(probe, beside or Beside())
        nothing = on_node(probe, f"the probe pod got no identity: {'; '.join(filter(None, (said, probe.reason)))}", cause)
        return [replace(nothing, evidence=(*evidence, *nothing.evidence))]
    own = workload_id(bundle.trust_domain, probe.namespace, probe.service_account)
    chain_of_probe = verify_chain(probe.leaf, bundle.authorities, probe.read_at, probe.intermediates)
    statements = {
        f"the probe pod got {listed(probe.leaf.uri_sans, 'no name')}, not {own}": probe.leaf.uri_sans != (own,),
        f"the certificate of the probe pod does not come from Teleport: {chain_of_probe.reason}": not chain_of_probe.ok,
    }
    return [on_node(probe, said) for said in true_ones(statements)]


def _why_shut_out(probe: SdsProbe, beside: Beside) -> tuple[str, str, tuple[str, ...]]:
    """What keeps a probe from its socket, in words, its cause where that is known, and the readings; else all empty."""
    path, _slash, name = probe.socket.rpartition("/")
    for directory in beside.directories:
        if isinstance(directory, SocketDirectoryProbe) and (directory.node, directory.path) == (probe.node, path):
            said, cause = why_unreachable(directory, name)
            if cause and cause != DIRECTORY_CLOSED and (probe.node, probe.socket) in beside.unjoined:
                return f"{said}; the tbot there has not joined since its start, so that it has opened no socket", "", ()
            if cause:
                return said, cause, directory.evidence
    return "", "", ()
