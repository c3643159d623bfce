"""Judgments about the guide's verification checklist: CHK-1 to CHK-9.

Each takes what the guide's own command answered and keeps it beside the truth; the verdict is the truth alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from facts.document import Absent
from facts.finding import Finding
from facts.guide import GuideAnswer
from facts.istio.injection import DryRun
from facts.istio.mesh import Mesh
from facts.kubernetes.jwks import Jwks
from facts.kubernetes.objects import Pod
from facts.kubernetes.workloads import Deployment
from facts.proxies.envoy import Validator
from facts.proxies.identity import Fleet
from facts.proxies.sds_mode import SdsMode
from facts.teleport.bundle import TrustBundle
from facts.teleport.resources import Bot, JoinToken, Ping, Role, WorkloadIdentity
from facts.teleport.tbot import Tbot
from judge.findings import concluded, listed, not_applicable
from judge.fleet import of_proxies
from judge.identity.proxies import own_identity_problems, stream_problems, supply_problems
from judge.install.application import missing_pods, socket_volume_problem
from judge.install.istio import NO_WORKLOAD, acceptance_problems, availability_problems, trust_domain_problems
from judge.install.tbot import node_problems, where_ready
from judge.install.teleport import role_problems, template_problems, token_problems


def istio_installed(guide: GuideAnswer, mesh: Mesh, ping: Ping, dry_run: DryRun, template: str) -> Finding:
    """CHK-1: istiod available, with Teleport's trust domain and a template that injects."""
    problems = [*availability_problems(mesh.istiod), *trust_domain_problems(mesh, ping)]
    if not mesh.istiod:
        problems.append(f"there is no istiod in {mesh.namespace}")
    if template not in mesh.templates:
        problems.append(f"there is no injection template {template}, only {listed(mesh.templates)}")
    else:
        problems += acceptance_problems(dry_run)
    return concluded(
        "CHK-1",
        expected=f"istiod available with trust domain {ping.cluster_name} and a template {template} that injects",
        problems=problems,
        confirmed=f"istiod available, trust domain {mesh.trust_domain}, template {template} injects",
        where=f"Istio in {mesh.namespace}",
        evidence=(*guide.evidence, *mesh.evidence, *ping.evidence, *dry_run.evidence),
        guide_says=guide.said,
    )


def token_created(
    guide: GuideAnswer, token: JoinToken | Absent, live: Jwks, *, service_account: str, bot: Bot | Absent, role: str
) -> Finding:
    """CHK-2: the token would let this cluster's tbot join."""
    return concluded(
        "CHK-2",
        expected=f"a token with which {service_account} of this cluster can join",
        problems=token_problems(token, live, service_account, bot, role),
        confirmed=f"it holds this cluster's keys and allows {service_account}",
        where=guide.asked,
        evidence=(*guide.evidence, *token.evidence, *live.evidence, *bot.evidence),
        guide_says=guide.said,
    )


def role_created(guide: GuideAnswer, role: Role | Absent, identity: WorkloadIdentity | Absent) -> Finding:
    """CHK-3: the role grants the identity."""
    return concluded(
        "CHK-3",
        expected="a role that grants the workload identity and nothing wider",
        problems=role_problems(role, identity),
        confirmed="its labels and rules fit the identity",
        where=guide.asked,
        evidence=(*guide.evidence, *role.evidence, *identity.evidence),
        guide_says=guide.said,
    )


def identity_created(guide: GuideAnswer, identity: WorkloadIdentity | Absent) -> Finding:
    """CHK-4: the identity builds IDs in Istio's form."""
    problems = [str(identity)] if isinstance(identity, Absent) else template_problems(identity.spiffe_id)
    return concluded(
        "CHK-4",
        expected="a workload identity that builds IDs in Istio's form",
        problems=problems,
        confirmed="" if isinstance(identity, Absent) else identity.spiffe_id,
        where=guide.asked,
        evidence=(*guide.evidence, *identity.evidence),
        guide_says=guide.said,
    )


def tbot_running(
    guide: GuideAnswer, tbot: Tbot, nodes: Mapping[str, Sequence[Pod]], now: datetime, evidence: Sequence[str]
) -> Finding:
    """CHK-5: a Ready tbot pod on every node that hosts injected pods."""
    return concluded(
        "CHK-5",
        expected="a Ready tbot pod on every node that hosts injected pods",
        problems=node_problems(tbot, nodes, now),
        confirmed=where_ready(tbot, nodes),
        where=str(tbot.daemon_set.ref),
        evidence=(*guide.evidence, *tbot.evidence, *evidence),
        guide_says=guide.said,
    )


def tbot_issues(
    guide: GuideAnswer, fleet: Fleet, bundle: TrustBundle, *, injected: Sequence[Pod], evidence: Sequence[str]
) -> Finding:
    """CHK-6: each sidecar that is meant to use the socket holds an identity that Teleport issued.

    A clean log proves nothing: tbot logs no refusal over SDS. What proves issuance is a certificate.

    Args:
        guide: The answer to the guide's own command.
        fleet: Proxies of the pods that mount the node's socket directory.
        bundle: Teleport's authorities.
        injected: All injected pods, also those that do not mount it.
        evidence: The list of pods.
    """
    if not injected:
        evidence = (*guide.evidence, *evidence)
        return not_applicable("CHK-6", NO_WORKLOAD, where=guide.asked, evidence=evidence, guide_says=guide.said)
    problems = [p for proxy in fleet.proxies for p in own_identity_problems(proxy, bundle)]
    if not (fleet.proxies or fleet.unread):
        problems.append(f"none of {len(injected)} injected pods mounts the directory of tbot's socket")
    return _of_proxies(
        "CHK-6",
        guide,
        injected,
        fleet,
        expected="every sidecar on tbot's nodes to hold its own identity from Teleport",
        problems=problems,
        confirmed=listed(f"{p.pod.node}: {listed(p.spiffe_ids)}" for p in fleet.proxies),
        where=f"{len(fleet.proxies)} proxies on {listed({p.pod.node for p in fleet.proxies}, 'no node')}",
        evidence=(*bundle.evidence, *evidence),
    )


def test_app_running(
    guide: GuideAnswer, pods: Sequence[Pod], deployment: Deployment | Absent, fleet: Fleet, bundle: TrustBundle
) -> Finding:
    """CHK-7: as many pods of the test application as are wanted, Ready with an identity of their own from Teleport."""
    problems = missing_pods(pods, deployment) if pods else []
    problems += [f"{p.ref} is {p.phase} and not Ready" for p in pods if not p.ready]
    problems += [p for proxy in fleet.proxies for p in own_identity_problems(proxy, bundle)]
    return _of_proxies(
        "CHK-7",
        guide,
        pods,
        fleet,
        expected="the test application Ready, with its own identity from Teleport",
        problems=[*_without_proxy(pods, fleet), *problems],
        confirmed=listed(f"{p.pod.name}: {listed(p.spiffe_ids)}" for p in fleet.proxies),
        where=_pods(pods),
        evidence=(*bundle.evidence, *deployment.evidence),
    )


def socket_exists(guide: GuideAnswer, pods: Sequence[Pod], fleet: Fleet, socket_directory: str) -> Finding:
    """CHK-8: the socket is the node's, and Envoy holds live streams on it."""
    problems = [p for pod in pods if (p := socket_volume_problem(pod, socket_directory))]
    problems += [p for proxy in fleet.proxies for p in stream_problems(proxy)]
    return _of_proxies(
        "CHK-8",
        guide,
        pods,
        fleet,
        expected=f"the node's socket directory {socket_directory} in the pod, with live SDS streams",
        problems=[*_without_proxy(pods, fleet), *problems],
        confirmed=listed(f"{p.pod.name}: {p.streams.rq_active} streams" for p in fleet.proxies),
        where=_pods(pods),
    )


def proxy_detects_socket(guide: GuideAnswer, pods: Sequence[Pod], fleet: Fleet) -> Finding:
    """CHK-9: the proxy's secrets come from the external socket, and no signing request ever went to istiod."""
    problems = _without_proxy(pods, fleet)
    for proxy in fleet.proxies:
        problems += supply_problems(proxy)
        if proxy.sds_mode is SdsMode.EXTERNAL and proxy.validator is not Validator.SPIFFE:
            problems.append(f"{proxy.pod} validates its peers by {proxy.validator.value}, which tbot never supplies")
    return _of_proxies(
        "CHK-9",
        guide,
        pods,
        fleet,
        expected="secrets from the external socket, and no certificate request to istiod",
        problems=problems,
        confirmed=listed(f"{p.pod.name}: {'; '.join(p.decided_by)}" for p in fleet.proxies),
        where=_pods(pods),
    )


def _of_proxies(
    requirement: str,
    guide: GuideAnswer,
    pods: Sequence[Pod],
    fleet: Fleet,
    *,
    expected: str,
    problems: Sequence[str],
    confirmed: str,
    where: str,
    evidence: Iterable[str] = (),
) -> Finding:
    return of_proxies(
        requirement, pods, fleet, expected=expected, problems=problems, confirmed=confirmed, where=where,
        evidence=(*guide.evidence, *evidence), guide_says=guide.said,
    )  # fmt: skip


def _without_proxy(pods: Sequence[Pod], fleet: Fleet) -> list[str]:
    """Pods of which no proxy was read or tried: without a sidecar there is no identity, however Ready the pod is."""
    asked = {p.pod.uid for p in fleet.proxies} | {u.pod.uid for u in fleet.unread}
    if not pods:
        return ["there is no pod"]
    return [f"{pod.ref} has no istio-proxy that could be asked" for pod in pods if pod.uid not in asked]


def _pods(pods: Sequence[Pod]) -> str:
    return listed((p.ref for p in pods), "no pod")
