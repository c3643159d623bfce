"""Judgment about the rights of tbot's service account at the kubelet: INST-18."""

from __future__ import annotations

from collections.abc import Sequence

from facts.evidence import ObjectRef, readings
from facts.finding import Finding, Problem
from facts.kubernetes.access import Right
from facts.kubernetes.objects import Node
from facts.versions import Version
from judge.findings import Claim, listed
from providers.teleport.facts.tbot import TO_DO_ALL, TO_READ_PODS, Tbot

FINE_GRAINED = Version.parse("1.33.0")
"""First Kubernetes whose kubelets ask for ``nodes/pods`` instead of ``nodes/proxy`` when somebody lists their pods
(KubeletFineGrainedAuthz, on by default from here on)."""

TOO_MUCH = "tbot-may-use-nodes-proxy"


def rights_are_what_attestation_needs(tbot: Tbot, rights: Sequence[Right], nodes: Sequence[Node]) -> Finding:
    """INST-18: tbot's service account may list the pods of a kubelet, and do nothing else there.

    Before Kubernetes 1.33 a kubelet knows no right but ``nodes/proxy``: there it is what attestation needs.

    Args:
        tbot: The installed tbot.
        rights: Answers of the API server about each of `providers.teleport.facts.tbot.KUBELET_RIGHTS`.
        nodes: All nodes; those with a tbot pod count.
    """
    namespace, _colon, name = tbot.service_account.partition(":")
    account = ObjectRef("ServiceAccount", name, namespace)
    allowed = {(right.verb, right.resource): right for right in rights if right.allowed}
    wide = [right for asked, right in allowed.items() if asked != TO_READ_PODS]
    older = {n.name: n.kubelet_version for n in nodes if n.name in tbot.pods and _is_older(n)}
    attestors = [s.kubernetes for s in tbot.config.services if s.kubernetes is not None and s.kubernetes.enabled]
    asks = any(attestor.asks_as_service_account for attestor in attestors)
    claim = Claim(
        "INST-18",
        "tbot's service account to have the right at the kubelet that attestation needs, and no other",
        str(account),
        readings(tbot, *rights, *nodes),
    )
    problems: list[Problem] = []
    needed: list[Problem] = []
    for right in wide:
        is_needed = asks and older and (right.verb, right.resource) == TO_DO_ALL
        cause = "" if is_needed else TOO_MUCH
        (needed if is_needed else problems).append(Problem(account, f"it may {right}{_by(right)}", cause, right.evidence))
    if asks and older and TO_DO_ALL not in allowed:
        kubelets = listed(f"{node} ({version})" for node, version in older.items())
        said = f"it may not get nodes/proxy, which kubelets before Kubernetes {FINE_GRAINED} ask for: {kubelets}"
        problems.append(Problem(account, said, "kubelet-unreachable", readings(*rights)))
    elif asks and not older and not {TO_READ_PODS, TO_DO_ALL} & allowed.keys():
        said = "it may not get nodes/pods, so that no kubelet tells tbot which pods run on its node"
        problems.append(Problem(account, said, "kubelet-unreachable", readings(*rights)))
    return claim.judged(problems, f"it may {listed(allowed.values(), 'do nothing there')}", notes=needed)


def _is_older(node: Node) -> bool:
    return Version.parse(node.kubelet_version).release < FINE_GRAINED


def _by(right: Right) -> str:
    return f" ({right.reason})" if right.reason else ""
