"""Judgments about tools, rights, Teleport's public face and nodes: INST-01 to INST-04."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from facts.evidence import ObjectRef, readings
from facts.finding import Finding, Problem
from facts.kubernetes.access import Right
from facts.kubernetes.objects import Pod
from facts.kubernetes.probes import NodeProbe, Refused
from facts.provider.trust import TrustBundle
from facts.versions import Tool, Version
from judge.findings import Claim, listed, place
from judge.install.probes import held_on, of_probes, on_node
from providers.teleport.facts.resources import ClusterStatus, NoSession, Ping

KUBECTL_AT_LEAST = Version.parse("1.27.0")
ISTIOCTL_AT_LEAST = Version.parse("1.28.0")
NO_NODE = "no node takes workloads"
TOO_OLD = "tool-version-unsupported"


def _tool(tool: Tool, said: str) -> Problem:
    return Problem(ObjectRef("Command", tool.name), said, TOO_OLD, tool.evidence)


def kubectl_fits(kubectl: Tool, server: Version, evidence: Sequence[str]) -> Finding:
    """INST-01, kubectl: 1.27 or later, within one minor of the API server (Kubernetes' own skew policy)."""
    wrong = []
    fitting = max(server, KUBECTL_AT_LEAST)
    if kubectl.version.stands_for < KUBECTL_AT_LEAST:
        wrong.append(f"its version is {kubectl.version}")
    if kubectl.version.major != server.major or abs(kubectl.version.minor - server.minor) > 1:
        wrong.append(f"its version {kubectl.version} and the API server's {server} are more than one minor version apart")
    said = f"{', and '.join(wrong)}; install kubectl {fitting.major}.{fitting.minor}"
    expected = "kubectl to be 1.27 or later, within one minor version of the API server"
    return Claim("INST-01", expected, kubectl.name, (*kubectl.evidence, *evidence)).judged(
        [_tool(kubectl, said)] if wrong else [], f"kubectl {kubectl.version}, API server {server}"
    )


def istioctl_fits(istioctl: Tool) -> Finding:
    """INST-01, istioctl: 1.28 or later."""
    claim = Claim("INST-01", "istioctl to be 1.28 or later", istioctl.name, istioctl.evidence)
    old = istioctl.version.stands_for < ISTIOCTL_AT_LEAST
    problems = [_tool(istioctl, f"its version is {istioctl.version}; install the one of istiod's version")] if old else []
    return claim.judged(problems, f"istioctl {istioctl.version}")


def tctl_fits(tctl: Tool, ping: Ping) -> Finding:
    """INST-01, tctl: within one major of the server."""
    server = ping.server_version
    claim = Claim("INST-01", "tctl to be within one major version of Teleport", tctl.name, readings(tctl, ping))
    apart = abs(tctl.version.major - server.major) > 1
    said = f"its version is {tctl.version}, Teleport's is {server}; install tctl {server.major}"
    return claim.judged([_tool(tctl, said)] if apart else [], f"tctl {tctl.version}, Teleport {server}")


def rights_suffice(rights: Sequence[Right], where: str) -> Finding:
    """INST-02: the API server grants every right that the suite needs."""
    expected = f"the API server to grant all {len(rights)} rights that the suite needs"
    claim = Claim("INST-02", expected, where, readings(*rights))
    denied = [Problem(place(where), f"denied: {r}", "rights-missing", r.evidence) for r in rights if not r.allowed]
    return claim.judged(denied, f"{len(rights)} of {len(rights)} rights are granted")


def teleport_names_itself(ping: Ping, bundle: TrustBundle, now: datetime) -> Finding:
    """INST-03, public half: the bundle belongs to the cluster name and holds an authority that is valid now."""
    expected = "Teleport to publish a SPIFFE bundle of its cluster name, with an authority that is valid now"
    claim = Claim("INST-03", expected, "Teleport's public endpoints", readings(ping, bundle))
    problems = []
    named = {san for a in bundle.authorities for san in a.uri_sans} - {f"spiffe://{ping.cluster_name}"}
    if named:
        problems.append(
            claim.problem(f"an authority of the bundle is for {listed(named)}, the cluster is called {ping.cluster_name}")
        )
    valid = [a for a in bundle.authorities if a.is_ca and a.is_valid_at(now)]
    if not valid:
        problems.append(
            claim.problem(f"none of {len(bundle.authorities)} authorities is a CA that is valid at {now:%F %T} UTC")
        )
    return claim.judged(
        problems, f"cluster {ping.cluster_name}, Teleport {ping.server_version}, {len(valid)} valid authorities"
    )


def admin_session_works(session: ClusterStatus | NoSession, ping: Ping) -> Finding:
    """INST-03, admin half: `tctl status` answers, and for the same cluster as the public endpoints."""
    expected = "the admin session to work on the same Teleport cluster"
    claim = Claim("INST-03", expected, "tctl status", readings(session, ping))
    cause = "teleport-session-invalid"
    if isinstance(session, NoSession):
        return claim.judged([claim.problem(f"the session that you supplied does not work: {session.said}", cause)])
    other = f"tctl talks to {session.cluster_name}, the proxy belongs to {ping.cluster_name}"
    problems = [claim.problem(other, cause)] if session.cluster_name != ping.cluster_name else []
    return claim.judged(problems, f"tctl status answers for {session.cluster_name}")


def _nodes(expected: str, probes: Sequence[NodeProbe | Refused], pods: Sequence[Pod] = ()) -> Claim:
    return Claim("INST-04", expected, f"nodes {listed(p.node for p in probes)}", readings(*probes, *pods))


def _no_node(claim: Claim, probes: Sequence[NodeProbe | Refused]) -> list[Problem]:
    return [] if probes else [claim.problem(NO_NODE)]


def nodes_admit_probes(probes: Sequence[NodeProbe | Refused]) -> Finding:
    """INST-04, first part: a pod like tbot's is admitted and runs."""
    claim = _nodes("every node to run a pod with hostPath and hostPID", probes)
    return of_probes(claim, probes, _no_node(claim, probes), confirmed=f"{len(probes)} of {len(probes)} nodes ran it")


def kubelets_answer(probes: Sequence[NodeProbe | Refused]) -> Finding:
    """INST-04, second part: the kubelet answers at the address that tbot dials; 401 is an answer."""
    claim = _nodes("every kubelet to answer pods of its own node", probes)
    ran = [p for p in probes if isinstance(p, NodeProbe)]
    silent = [
        on_node(p, f"{p.kubelet_address} did not answer: {p.kubelet_error}", "kubelet-unreachable")
        for p in ran
        if not p.kubelet_status
    ]
    held = [held_on(p, f"{p.kubelet_address} answered {p.kubelet_status}") for p in ran if p.kubelet_status]
    return of_probes(claim, probes, [*silent, *_no_node(claim, probes)], held=held)


def mountinfo_identifies_pods(probes: Sequence[NodeProbe | Refused], pods: Sequence[Pod]) -> Finding:
    """INST-04, third part: mountinfo shows ids that the API server knows, and the first of them is the container's.

    Args:
        pods: All pods of those nodes, as the API server has them.
    """
    claim = _nodes("mountinfo to show pod and container ids that the API server knows", probes, pods)
    known = _container_ids(pods)
    problems, held = _no_node(claim, probes), []
    for probe in probes:
        if not isinstance(probe, NodeProbe):
            continue
        ambiguous = [c for c in probe.containers if c.ids_in_path > 1 and c.container not in known.get(c.pod, ())]
        matched = [c for c in probe.containers if c.container in known.get(c.pod, ())]
        if ambiguous:
            said = (
                f"{ambiguous[0].root} holds {ambiguous[0].ids_in_path} ids, of which the first is not the container's:"
                " the node has no cgroup namespace of its own, so tbot would wait 30 s and attest without a container"
            )
            problems.append(on_node(probe, said))
        elif not matched:
            said = (
                f"none of {len(probe.containers)} paths in mountinfo names a container that the API server knows"
                f" (the suite could not read {probe.unreadable} processes)"
            )
            problems.append(on_node(probe, said))
        else:
            held.append(held_on(probe, f"{len(matched)} containers identified"))
    return of_probes(claim, probes, problems, held=held)


def _container_ids(pods: Sequence[Pod]) -> Mapping[str, frozenset[str]]:
    return {pod.uid: frozenset(c.container_id.rpartition("/")[2] for c in pod.containers if c.container_id) for pod in pods}
