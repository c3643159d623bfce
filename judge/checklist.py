"""Judgments about the guide's verification checklist: CHK-1 to CHK-9.

Each finding keeps the answer of the guide's own command beside the facts; the facts alone decide the verdict.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from facts.document import Absent
from facts.evidence import Shown, readings
from facts.finding import Finding, Problem, Remark
from facts.guide import GuideAnswer
from facts.istio.control_planes import ControlPlanes
from facts.istio.injection import DryRun
from facts.istio.mesh import Mesh
from facts.kubernetes.jwks import Jwks
from facts.kubernetes.objects import Pod
from facts.kubernetes.workloads import Deployment
from facts.provider.agents import SocketDirectories
from facts.provider.trust import TrustBundle
from facts.proxies.envoy import Validator
from facts.proxies.identity import Fleet
from facts.proxies.sds_mode import SdsMode
from judge.findings import Claim, listed, problem
from judge.fleet import each_of, of_proxies
from judge.identity.proxies import (
    ObservedProxies,
    cause_of_no_certificate,
    own_identity_problems,
    stream_problems,
    supply_problems,
)
from judge.install.application import SEE_NODES, missing_pods, silent_alone, socket_volume_problems
from judge.install.istio import (
    ADMIT_THE_POD,
    acceptance_problems,
    availability_problems,
    no_istiod,
    no_template,
    of_each_plane,
    trust_domain_problems,
    undecided_acceptance,
)
from providers.teleport.facts.issuing import Grants
from providers.teleport.facts.joining import Joining
from providers.teleport.facts.resources import Ping, WorkloadIdentity
from providers.teleport.facts.tbot import Tbots
from providers.teleport.judge.issuing import grant_problems, template_problems
from providers.teleport.judge.tbot import ON_EVERY_NODE, judged_on_nodes
from providers.teleport.judge.teleport import token_problems


def _item(
    requirement: str, guide: GuideAnswer, expected: str, where: str, *facts: Shown, others: Iterable[str] = ()
) -> Claim:
    """The claim of one item of the checklist."""
    return Claim(requirement, expected, where, (*readings(guide, *facts), *others), guide.said)


def istio_installed(
    guide: GuideAnswer,
    planes: ControlPlanes,
    asked: Mesh | None,
    ping: Ping,
    *,
    dry_run: DryRun | None,
    named: str,
    control: DryRun | None = None,
) -> tuple[Finding, ...]:
    """CHK-1, for every control plane.

    Args:
        guide: The guide's own answer.
        planes: Istio's control planes.
        asked: The one of them that injects the namespace of the dry runs; None where nothing says which one does.
        ping: Teleport's answer.
        dry_run: The API server's answer to an injected pod in that namespace; None without such a control plane.
        named: Expected name of the template.
        control: Its answer to the same pod without injection; None where it was not asked.
    """

    def judged(mesh: Mesh) -> Finding:
        answers = (dry_run, control) if dry_run is not None and mesh == asked else None
        return _control_plane_installed(guide, mesh, ping, answers, mesh.socket_template(named))

    return of_each_plane("CHK-1", planes, judged)


def _control_plane_installed(
    guide: GuideAnswer, mesh: Mesh, ping: Ping, answers: tuple[DryRun, DryRun | None] | None, template: str
) -> Finding:
    """CHK-1: istiod available, with Teleport's trust domain and a template that injects."""
    expected = f"istiod to be available, with the trust domain {ping.cluster_name} and a template {template} that injects"
    asked = [answer for answer in answers or () if answer is not None]
    claim = _item("CHK-1", guide, expected, mesh.title, mesh, ping, *asked)
    problems = [*availability_problems(mesh.istiod, mesh), *no_istiod(mesh), *trust_domain_problems(mesh, ping)]
    lacking, unclear = no_template(mesh, template), []
    if not lacking and answers is not None:
        lacking, unclear = acceptance_problems(*answers), undecided_acceptance(*answers)
    injects = f"template {template} injects" if asked else f"template {template} is there"
    confirmed = f"istiod available, trust domain {mesh.trust_domain}, {injects}"
    return claim.judged([*problems, *lacking], confirmed, unclear=unclear, settle=ADMIT_THE_POD)


def token_created(guide: GuideAnswer, joining: Joining, live: Jwks, role: str) -> Finding:
    """CHK-2: this cluster's tbot can join with the token."""
    token, bot, accounts = joining.known_token, joining.known_bot, joining.accounts
    named = listed(accounts)
    expected = f"a token with which {named} of this cluster can join"
    return _item("CHK-2", guide, expected, guide.asked, token, live, bot).judged(
        token_problems(token, live, accounts, bot, role), f"it holds this cluster's keys and allows {named}"
    )


def role_created(guide: GuideAnswer, grants: Grants) -> Finding:
    """CHK-3: the bot's roles grant what tbot issues."""
    expected = "a role that grants the workload identity and nothing wider"
    claim = _item("CHK-3", guide, expected, guide.asked, grants, *grants.selected)
    return claim.judged(grant_problems(grants), "its labels and rules fit the identity")


def identity_created(guide: GuideAnswer, identities: Sequence[WorkloadIdentity | Absent]) -> Finding:
    """CHK-4: each identity that tbot issues to the mesh builds IDs in Istio's form."""
    claim = _item("CHK-4", guide, "a workload identity that builds IDs in Istio's form", guide.asked, *identities)
    problems = [problem for identity in identities for problem in template_problems(identity)]
    return claim.judged(problems, listed(i.spiffe_id for i in identities if isinstance(i, WorkloadIdentity)))


def tbot_running(
    guide: GuideAnswer,
    tbots: Tbots,
    nodes: Mapping[str, Sequence[Pod]],
    now: datetime,
    evidence: Sequence[str],
    *,
    unlisted: Collection[str] = (),
) -> Finding:
    """CHK-5: a Ready tbot pod on every node that hosts injected pods; see `judged_on_nodes`."""
    claim = _item("CHK-5", guide, ON_EVERY_NODE, tbots.where, tbots, others=evidence)
    return judged_on_nodes(claim, tbots, nodes, now, unlisted=unlisted)


def tbot_issues(guide: GuideAnswer, observed: ObservedProxies, bundle: TrustBundle) -> Finding:
    """CHK-6: each sidecar that is meant to use the socket holds an identity that Teleport issued.

    A clean log proves nothing: tbot logs no refusal over SDS. Only a certificate proves issuance.

    Args:
        guide: The answer to the guide's own command.
        observed: Proxies of the pods that mount the node's socket directory, beside the other injected pods.
        bundle: Teleport's authorities.
    """
    fleet, injected = observed.fleet, [*observed.pods, *observed.others]
    where = f"{len(fleet.proxies)} proxies on {listed({p.pod.node for p in fleet.proxies}, 'no node')}"
    expected = "every sidecar on tbot's nodes to hold its own identity from Teleport"
    claim = _item("CHK-6", guide, expected, where, bundle, others=observed.evidence)
    if not (injected or fleet.outcomes):
        return observed.not_applicable(claim)
    pods = {pod.uid: pod for pod in injected}
    problems = [
        replace(each, cause=each.cause or cause_of_no_certificate(proxy, pods.get(proxy.pod.uid)))
        for proxy in fleet.proxies
        for each in own_identity_problems(proxy, bundle)
    ]
    if not fleet.outcomes:
        problems.append(claim.problem(f"none of {len(injected)} injected pods mounts the directory of tbot's socket"))
    return of_proxies(claim, injected, fleet, problems, held=_names(fleet), left_out=observed.left_out)


def test_app_running(
    guide: GuideAnswer,
    pods: Sequence[Pod],
    deployment: Deployment | Absent,
    fleet: Fleet,
    bundle: TrustBundle,
    *,
    silent: Sequence[Pod],
) -> Finding:
    """CHK-7: as many pods of the test application as wanted are Ready, with their own identity from Teleport.

    Args:
        guide: The answer to the guide's own command.
        pods: Pods of the test application.
        deployment: Its Deployment, if there is one.
        fleet: Their proxies.
        bundle: Teleport's authorities.
        silent: Further pods of it, on nodes that are not Ready.
    """
    expected = "the test application to be Ready, with its own identity from Teleport"
    claim = _item("CHK-7", guide, expected, _pods(pods or silent), bundle, deployment, *silent)
    problems = [*_without_proxy(claim, pods, fleet, silent)]
    problems += missing_pods(pods, deployment, claim.where, silent) if pods or silent else ()
    problems += [problem(p, f"it is {p.phase} and not Ready") for p in pods if not p.ready]
    problems += [each for proxy in fleet.proxies for each in own_identity_problems(proxy, bundle)]
    unclear = silent_alone(pods, silent)
    return of_proxies(claim, pods, fleet, problems, held=_names(fleet), unclear=unclear, settle=SEE_NODES if unclear else "")


def socket_exists(
    guide: GuideAnswer, pods: Sequence[Pod], fleet: Fleet, directories: SocketDirectories, *, silent: Sequence[Pod]
) -> Finding:
    """CHK-8: the socket is the node's, and Envoy holds live streams on it; `silent` as in `test_app_running`."""
    expected = f"the pod to mount the node's socket directory {directories}, with live SDS streams"
    claim = _item("CHK-8", guide, expected, _pods(pods or silent), *silent)
    problems = [*_without_proxy(claim, pods, fleet, silent)]
    problems += [each for pod in pods for each in socket_volume_problems(pod, directories)]
    problems += [each for proxy in fleet.proxies for each in stream_problems(proxy)]
    held, unclear = each_of(fleet.proxies, lambda p: f"{p.streams.rq_active} live streams"), silent_alone(pods, silent)
    return of_proxies(claim, pods, fleet, problems, held=held, unclear=unclear, settle=SEE_NODES if unclear else "")


def proxy_detects_socket(guide: GuideAnswer, pods: Sequence[Pod], fleet: Fleet, *, silent: Sequence[Pod]) -> Finding:
    """CHK-9: the proxy's secrets come from the external socket, and no certificate request ever went to istiod.

    `silent` as in `test_app_running`.
    """
    expected = "the proxy to get its secrets from the external socket, and none from istiod"
    claim = _item("CHK-9", guide, expected, _pods(pods or silent), *silent)
    problems = _without_proxy(claim, pods, fleet, silent)
    for proxy in fleet.proxies:
        problems += supply_problems(proxy)
        if proxy.sds_mode is SdsMode.EXTERNAL and proxy.validator is not Validator.SPIFFE:
            problems.append(problem(proxy, f"it validates its peers by {proxy.validator.value}, which tbot never supplies"))
    held, unclear = each_of(fleet.proxies, lambda p: "; ".join(p.decided_by)), silent_alone(pods, silent)
    return of_proxies(claim, pods, fleet, problems, held=held, unclear=unclear, settle=SEE_NODES if unclear else "")


def _names(fleet: Fleet) -> list[Remark]:
    return each_of(fleet.proxies, lambda p: listed(p.spiffe_ids))


def _without_proxy(claim: Claim, pods: Sequence[Pod], fleet: Fleet, silent: Sequence[Pod]) -> list[Problem]:
    """Problems of pods without a proxy to read: without a sidecar there is no identity, however Ready the pod is."""
    asked = {each.pod.uid for each in fleet.outcomes}
    if not (pods or silent or fleet.left_out):
        return [claim.problem("there is no pod")]
    return [problem(pod, "it has no istio-proxy to read") for pod in pods if pod.uid not in asked]


def _pods(pods: Sequence[Pod]) -> str:
    return listed((p.ref for p in pods), "no pod")
