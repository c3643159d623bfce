"""Judgments about tools, rights, Teleport's public face and nodes: INST-01 to INST-04."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from facts.finding import Finding
from facts.kubernetes.access import Right
from facts.kubernetes.objects import Pod
from facts.kubernetes.probes import NodeProbe, Refused
from facts.teleport.bundle import TrustBundle
from facts.teleport.resources import ClusterStatus, NoSession, Ping
from facts.versions import Tool, Version
from judge.findings import concluded, listed
from judge.install.probes import concluded_from, refusals

KUBECTL_AT_LEAST = Version.parse("1.27.0")
ISTIOCTL_AT_LEAST = Version.parse("1.28.0")
NO_NODE = "there is no node that takes workloads"


def kubectl_fits(kubectl: Tool, server: Version, evidence: Sequence[str]) -> Finding:
    """INST-01, kubectl: 1.27 or later, within one minor of the API server (Kubernetes' own skew policy)."""
    problems = []
    fitting = max(server, KUBECTL_AT_LEAST)
    if kubectl.version.stands_for < KUBECTL_AT_LEAST:
        problems.append(f"kubectl is {kubectl.version}")
    if kubectl.version.major != server.major or abs(kubectl.version.minor - server.minor) > 1:
        problems.append(f"kubectl {kubectl.version} and API server {server} are more than one minor version apart")
    return concluded(
        "INST-01",
        expected="kubectl 1.27 or later, within one minor version of the API server",
        problems=problems,
        confirmed=f"kubectl {kubectl.version}, API server {server}",
        where=kubectl.name,
        evidence=(*kubectl.evidence, *evidence),
        remedy=f"install kubectl {fitting.major}.{fitting.minor}",
    )


def istioctl_fits(istioctl: Tool) -> Finding:
    """INST-01, istioctl: 1.28 or later. Its exit code says nothing, so the version is read."""
    return concluded(
        "INST-01",
        expected="istioctl 1.28 or later",
        problems=[f"istioctl is {istioctl.version}"] if istioctl.version.stands_for < ISTIOCTL_AT_LEAST else [],
        confirmed=f"istioctl {istioctl.version}",
        where=istioctl.name,
        evidence=istioctl.evidence,
        remedy="install istioctl 1.28 or later, the same version as the control plane",
    )


def tctl_fits(tctl: Tool, ping: Ping) -> Finding:
    """INST-01, tctl: within one major of the server."""
    server = ping.server_version
    apart = abs(tctl.version.major - server.major) > 1
    return concluded(
        "INST-01",
        expected="tctl within one major version of Teleport",
        problems=[f"tctl is {tctl.version}, Teleport is {server}"] if apart else [],
        confirmed=f"tctl {tctl.version}, Teleport {server}",
        where=tctl.name,
        evidence=(*tctl.evidence, *ping.evidence),
        remedy=f"install tctl {server.major}",
    )


def rights_suffice(rights: Sequence[Right], where: str) -> Finding:
    """INST-02: nothing that this run needs is denied."""
    denied = [str(r) for r in rights if not r.allowed]
    return concluded(
        "INST-02",
        expected=f"all of the {len(rights)} rights that this run needs",
        problems=[f"denied: {listed(denied)}"] if denied else [],
        confirmed=f"{len(rights)} of {len(rights)} allowed",
        where=where,
        evidence=[e for r in rights for e in r.evidence],
    )


def teleport_names_itself(ping: Ping, bundle: TrustBundle, now: datetime) -> Finding:
    """INST-03, public half: the bundle belongs to the cluster name and holds an authority that is valid now."""
    problems = []
    named = {san for a in bundle.authorities for san in a.uri_sans} - {f"spiffe://{ping.cluster_name}"}
    if named:
        problems.append(f"an authority of the bundle names {listed(named)}, the cluster is called {ping.cluster_name}")
    valid = [a for a in bundle.authorities if a.is_ca and a.is_valid_at(now)]
    if not valid:
        problems.append(f"none of {len(bundle.authorities)} authorities is a CA that is valid at {now:%F %T} UTC")
    return concluded(
        "INST-03",
        expected="a cluster name and its SPIFFE bundle with an authority that is valid now",
        problems=problems,
        confirmed=f"cluster {ping.cluster_name}, Teleport {ping.server_version}, {len(valid)} valid authorities",
        where="Teleport's public endpoints",
        evidence=(*ping.evidence, *bundle.evidence),
    )


def admin_session_works(session: ClusterStatus | NoSession, ping: Ping) -> Finding:
    """INST-03, admin half: `tctl status` answers, and for the same cluster as the public endpoints."""
    if isinstance(session, NoSession):
        problems, confirmed = [f"the session that was given does not work: {session.said}"], ""
        remedy = (
            "log in again with `tsh login`" if session.expired else "run the given tctl by hand until `tctl status` answers"
        )
    else:
        other = session.cluster_name != ping.cluster_name
        problems = [f"tctl talks to {session.cluster_name}, the proxy belongs to {ping.cluster_name}"] if other else []
        confirmed, remedy = f"tctl status answers for {session.cluster_name}", "log in to the Teleport that tbot joins"
    return concluded(
        "INST-03",
        expected="an admin session on the same Teleport cluster",
        problems=problems,
        confirmed=confirmed,
        where="tctl status",
        evidence=(*session.evidence, *ping.evidence),
        remedy=remedy,
    )


def nodes_admit_probes(probes: Sequence[NodeProbe | Refused]) -> Finding:
    """INST-04, first part: a pod like tbot's is admitted and runs."""
    return concluded_from(
        "INST-04",
        probes,
        expected="a pod with hostPath and hostPID to run on every node",
        problems=refusals(probes) if probes else [NO_NODE],
        confirmed=f"{len(probes)} of {len(probes)} nodes ran one",
        where=_nodes(probes),
        evidence=[e for p in probes for e in p.evidence],
    )


def kubelets_answer(probes: Sequence[NodeProbe | Refused]) -> Finding:
    """INST-04, second part: the kubelet answers at the address that tbot dials; 401 is an answer."""
    problems = [
        f"{p.node}: {p.kubelet_address} did not answer: {p.kubelet_error}"
        for p in probes
        if isinstance(p, NodeProbe) and not p.kubelet_status
    ]
    problems += refusals(probes)
    return concluded_from(
        "INST-04",
        probes,
        expected="every kubelet to answer its own node's pods",
        problems=problems if probes else [NO_NODE],
        confirmed=listed(f"{p.kubelet_address} answered {p.kubelet_status}" for p in probes if isinstance(p, NodeProbe)),
        where=_nodes(probes),
        evidence=[e for p in probes for e in p.evidence],
    )


def mountinfo_identifies_pods(probes: Sequence[NodeProbe | Refused], pods: Sequence[Pod]) -> Finding:
    """INST-04, third part: what mountinfo shows are ids that the API server knows, and the first of them is the container's.

    Args:
        probes: One for each node.
        pods: All pods of those nodes, as the API server holds them.
    """
    known = _container_ids(pods)
    problems = refusals(probes)
    counts = []
    for probe in probes:
        if not isinstance(probe, NodeProbe):
            continue
        ambiguous = [c for c in probe.containers if c.ids_in_path > 1 and c.container not in known.get(c.pod, ())]
        matched = [c for c in probe.containers if c.container in known.get(c.pod, ())]
        if ambiguous:
            problems.append(
                f"{probe.node}: {ambiguous[0].root} holds {ambiguous[0].ids_in_path} ids, the first not the container's;"
                " the node has no cgroup namespace of its own, tbot would wait 30 s and attest without a container"
            )
        elif not matched:
            problems.append(
                f"{probe.node}: none of {len(probe.containers)} paths in mountinfo names a container the API server knows"
                f" ({probe.unreadable} processes could not be read)"
            )
        counts.append(f"{probe.node}: {len(matched)} containers identified")
    return concluded_from(
        "INST-04",
        probes,
        expected="pod and container ids in mountinfo that the API server knows",
        problems=problems if probes else [NO_NODE],
        confirmed=listed(counts),
        where=_nodes(probes),
        evidence=[*(e for p in probes for e in p.evidence), *(e for p in pods for e in p.evidence)],
    )


def _container_ids(pods: Sequence[Pod]) -> Mapping[str, frozenset[str]]:
    return {pod.uid: frozenset(c.container_id.rpartition("/")[2] for c in pod.containers if c.container_id) for pod in pods}


def _nodes(probes: Sequence[NodeProbe | Refused]) -> str:
    return f"nodes {listed(p.node for p in probes)}"
