"""Judgments about changes that are in force: of tbot's configuration and of the workload identity (HYG-06)."""

from __future__ import annotations

from collections.abc import Mapping

from facts.document import Absent
from facts.evidence import ObjectRef
from facts.finding import Finding, Problem, Remark
from facts.provider.trust import TrustBundle
from facts.proxies.identity import PodRef, ProxyIdentity
from facts.svid import workload_id
from judge.findings import Claim, listed, problem
from judge.fleet import ASK_ALL, each_of, of_proxies
from judge.identity.proxies import FROM_TELEPORT, ObservedProxies
from judge.install.istio import NO_WORKLOAD
from judge.rotation.age import NOT_IN_FORCE
from providers.teleport.facts.id_template import spiffe_id_by
from providers.teleport.facts.issuing import Identities
from providers.teleport.facts.resources import WorkloadIdentity
from providers.teleport.facts.tbot import Tbot
from providers.teleport.judge.teleport import absent_problem, ref

IDENTITY_NOT_IN_FORCE = "identity-change-not-in-force"

NOT_BY_TEMPLATE = "it holds no certificate of tbot; ID-01 and ID-03 judge that"
"""Why a proxy is left out."""


def configuration_is_in_force(tbot: Tbot) -> Finding:
    """HYG-06, first part: every pod of tbot started after its ConfigMap last changed; tbot reads its file at its start.

    Who manages labels of the ConfigMap as well as its texts leaves open which of them changed.
    """
    config_map = ObjectRef("ConfigMap", tbot.config_map, tbot.daemon_set.namespace)
    claim = Claim(
        "HYG-06",
        "every pod of tbot to have started after its configuration last changed",
        f"{tbot.daemon_set.ref} and {config_map}",
        tbot.evidence,
    )
    problems: list[Problem] = []
    unclear: list[Problem] = []
    held: list[Remark] = []
    for node, pod in sorted(tbot.pods.items()):
        container = pod.spec.container(tbot.container.name)
        started = container.started_at if container else ""
        if not started:
            unclear.append(problem(pod, "its container has not started, so it has read no configuration"))
        elif tbot.certainly_runs_older_config(node):
            said = f"it started at {started}, before {config_map} was changed at {tbot.config_certainly_changed_at}"
            problems.append(problem(pod, said, NOT_IN_FORCE))
        elif tbot.runs_older_config(node):
            said = f"it started at {started}, before texts or labels of {config_map} changed at {tbot.config_changed_at}"
            unclear.append(problem(pod, f"{said}; the API server's record does not tell which"))
        else:
            held.append(Remark(pod.ref, f"it started at {started}"))
    if not tbot.config_changed_at:
        unclear.append(Problem(config_map, "the API server keeps no record of when it was changed", evidence=tbot.evidence))
    if not tbot.pods:
        unclear.append(claim.problem("it has no pod on any node"))
    return claim.judged(
        problems,
        held=held,
        unclear=unclear,
        settle="restart tbot: kubectl -n teleport-system rollout restart daemonset/tbot; then run again",
    )


def identity_is_in_force(proxies: ObservedProxies, identities: Identities, bundle: TrustBundle) -> Finding:
    """HYG-06, second part: each proxy carries the SPIFFE ID that the workload identity's template yields for its pod now.

    tbot asks Teleport for a certificate when a stream begins and at each renewal, so a change of the template reaches no
    proxy sooner. A lifetime that was lowered shows in ID-04.

    Args:
        proxies: The proxies on tbot's sockets.
        identities: The workload identities that tbot issues to the mesh.
        bundle: Teleport's bundle, for the trust domain.
    """
    named = listed(ref(each) for each in identities)
    claim = Claim(
        "HYG-06",
        f"each proxy to carry the SPIFFE ID that {named} yields for its pod now",
        f"{len(proxies.pods)} proxies on tbot's sockets",
        (*proxies.evidence, *bundle.evidence, *(reading for each in identities for reading in each.evidence)),
    )
    if proxies.is_empty:
        return claim.not_applicable(NO_WORKLOAD)
    known = [each for each in identities if isinstance(each, WorkloadIdentity)]
    problems: list[Problem] = []
    unclear = [*proxies.not_asked, *(absent_problem(each) for each in identities if isinstance(each, Absent))]
    certified = [proxy for proxy in proxies.fleet.proxies if proxy.leaf is not None and proxy.sds_mode in FROM_TELEPORT]
    for proxy in certified:
        yields = {each.name: spiffe_id_by(each, bundle.trust_domain, _attributes(proxy.pod)) for each in known}
        if not known or {*proxy.spiffe_ids} & {*yields.values()}:
            continue
        carries = f"it carries {listed(proxy.spiffe_ids, 'no SPIFFE ID')}"
        if unfollowed := [each.spiffe_id for each in known if not yields[each.name]]:
            unclear.append(problem(proxy, f"{carries}; the suite does not know what {listed(unfollowed)} yields for it"))
        else:
            said = f"{carries}; the template now yields {listed(yields.values())}"
            problems.append(problem(proxy, said, _cause_of(proxy, bundle.trust_domain)))
    if not certified:
        unclear.append(claim.problem("none of them holds a certificate of tbot"))
    return of_proxies(
        claim,
        proxies.pods,
        proxies.fleet,
        problems,
        held=each_of(certified, lambda proxy: listed(proxy.spiffe_ids)),
        unclear=unclear,
        settle=ASK_ALL if proxies.not_asked else "compare the template with the certificates by hand",
        left_out=[Remark(proxy.ref, NOT_BY_TEMPLATE) for proxy in proxies.fleet.proxies if proxy not in certified],
    )


def _cause_of(proxy: ProxyIdentity, trust_domain: str) -> str:
    """The cause of a name that the template does not yield now.

    Empty where the pod has its own name as Istio demands it, since then the change that is not in force is a wrong one
    (INST-12), and where it has the name of another workload, which no template gives.
    """
    pod = proxy.pod
    has_its_own = workload_id(trust_domain, pod.namespace, pod.service_account) in proxy.spiffe_ids
    is_about_it = any(f"/{pod.namespace}/" in name and pod.service_account in name for name in proxy.spiffe_ids)
    return "" if has_its_own or not is_about_it else IDENTITY_NOT_IN_FORCE


def _attributes(pod: PodRef) -> Mapping[str, str]:
    """What attestation tells Teleport about a pod, as far as the suite knows it."""
    return {
        "workload.kubernetes.namespace": pod.namespace,
        "workload.kubernetes.service_account": pod.service_account,
        "workload.kubernetes.pod_name": pod.name,
        "workload.kubernetes.pod_uid": pod.uid,
    }
