"""Judgments about whom tbot and Teleport must refuse: NEG-02, NEG-03 and NEG-06.

A refusal counts only with its reason: one that everybody meets, or that is for something else, shows nothing. So each goes
with somebody who asks for the same and must be let in, and what ended otherwise than by a refusal is *could not tell*.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from facts.errors import CouldNotTell
from facts.evidence import ObjectRef
from facts.finding import Finding, Problem
from facts.kubernetes.probes import Refused, SdsProbe
from facts.proxies.identity import ProxyIdentity
from facts.svid import verify_chain, workload_id
from facts.teleport.bundle import TrustBundle
from facts.teleport.resources import WorkloadIdentity
from facts.teleport.tbot import Tbot
from facts.traffic.attempts import Candidate, JoinAttempt, NotRun, OutsideProbe
from facts.traffic.refusal import AttemptEnd, Because, reason_of
from judge.findings import Claim, confirmed_of, listed, place, problem
from judge.install.probes import held_on, on_node

NODES_CANNOT_BE_ENTERED = "the cluster does not admit pods that enter their node's namespaces"
OTHER_JOIN_METHOD = "tbot's join method is not kubernetes"
"""Conditions of the catalogue."""


# --- NEG-02 ----------------------------------------------------------------------------------------------------------


def outside_is_refused(
    outside: Sequence[OutsideProbe | NotRun], beside: Sequence[SdsProbe | Refused], bundle: TrustBundle
) -> Finding:
    """NEG-02: on each node a process in no pod is refused for that, while one in a pod is given its identity.

    Args:
        outside: What processes in no pod got, one for each node.
        beside: What probes in pods got from the same sockets at the same time.
        bundle: Teleport's authorities.
    """
    claim = Claim(
        "NEG-02",
        expected="a process in no pod to be refused for being in none, where one in a pod is given its identity",
        where=f"sockets of {listed(p.node for p in beside)}",
        evidence=[*(e for p in (*outside, *beside) for e in p.evidence), *bundle.evidence],
    )
    entered = [p for p in outside if isinstance(p, OutsideProbe)]
    problems = [on_node(p, f"a process in no pod was given {p.leaf}") for p in entered if p.leaf is not None]
    unattested = [p for p in beside if isinstance(p, SdsProbe) and p.leaf is None and reason_of(p.reason) is Because.NO_POD]
    problems += [
        on_node(p, f"a process in a pod is refused as one in no pod: tbot attests no caller ({p.reason})")
        for p in unattested
    ]
    # What is wrong is wrong even where the rest could not be told.
    if not problems and outside and all(isinstance(p, NotRun) and p.by_policy for p in outside):
        return claim.not_applicable(NODES_CANNOT_BE_ENTERED)
    unclear = [Problem(place(p.what), f"did not run: {p.reason}", "", p.evidence) for p in outside if isinstance(p, NotRun)]
    unclear += [each for p in entered for each in _why_outside_proves_nothing(p)]
    unclear += [each for p in beside if p not in unattested for each in _why_beside_proves_nothing(p, bundle)]
    if not (problems or unclear or entered):
        unclear.append(claim.problem("no node hosts an injected pod"))
    held = confirmed_of([held_on(p, str(p.outcome)) for p in entered], problems)
    return claim.judged(problems, held=held, unclear=unclear, settle=SHOWS_NOTHING)


def _why_outside_proves_nothing(probe: OutsideProbe) -> list[Problem]:
    if not probe.is_outside:
        return [on_node(probe, f"the process is still in a pod: its cgroup root is {probe.cgroup_root}")]
    if probe.outcome.kind is not AttemptEnd.SDS or probe.outcome.because not in (Because.NO_POD, Because.NO_RULE):
        return [on_node(probe, f"the process was not refused for being in no pod: {probe.outcome}")]
    return []


def _why_beside_proves_nothing(probe: SdsProbe | Refused, bundle: TrustBundle) -> list[Problem]:
    if isinstance(probe, Refused) or probe.leaf is None:
        return [on_node(probe, f"a process in a pod got nothing either: {probe.reason}")]
    chain = verify_chain(probe.leaf, bundle.authorities, probe.read_at)
    if not chain.ok:
        return [on_node(probe, f"a process in a pod got a certificate that is not Teleport's: {chain.reason}")]
    own = workload_id(bundle.trust_domain, probe.namespace, probe.service_account)
    if probe.leaf.uri_sans != (own,):
        return [on_node(probe, f"a process in a pod got {listed(probe.leaf.uri_sans, 'no name')}, its own is {own}")]
    return []


# --- NEG-03 ----------------------------------------------------------------------------------------------------------


def rules_are_enforced(
    refused: Candidate | NotRun, allowed: Candidate | NotRun, former: WorkloadIdentity, bundle: TrustBundle
) -> Finding:
    """NEG-03: a service account that the rules leave out gets nothing, and its pod is not Ready when one beside it is.

    Args:
        refused: The workload of that account.
        allowed: The workload of another account, started at the same time under the same rules.
        former: The workload identity as the install has it, without the run's own condition.
        bundle: Teleport's authorities.
    """
    claim = Claim(
        "NEG-03",
        expected="no identity and no Ready pod for a service account that the rules leave out",
        where="negative probes, under rules that leave out one service account",
        evidence=[*refused.evidence, *allowed.evidence, *former.evidence, *bundle.evidence],
    )
    if isinstance(refused, NotRun):
        return claim.judged(unclear=[_did_not_run(refused)], settle=SHOWS_NOTHING)
    problems = []
    # Where the rules of the identity that the suite knows of leave the account out, another identity must have issued.
    cause = "second-identity-selected"
    if refused.proxy is not None and refused.proxy.leaf is not None:
        problems.append(problem(refused.proxy, f"holds {refused.proxy.leaf}", cause))
    if refused.pod.ready:
        problems.append(problem(refused.pod, "is Ready", cause if problems else ""))
    unclear = []
    if refused.outcome.because is not Because.NO_RULE:
        unclear.append(problem(refused.pod, f"was not refused: {refused.outcome}"))
    if isinstance(allowed, NotRun):
        said = f"the rules allow it, and it did not start either: {allowed.reason}"
        unclear.append(Problem(place(allowed.what), said, evidence=allowed.evidence))
    elif not _has_own_identity(allowed.proxy, bundle):
        unclear.append(problem(allowed.pod, "the rules allow it, and it has no identity of its own from Teleport either"))
    own = f"the install's own has {len(former.rules)}" if former.rules else "the install's own has none: it issues to all"
    return claim.judged(
        problems,
        f"{refused.pod.ref}: {refused.outcome}; not Ready when {allowed_name(allowed)} was (rules: {own})",
        unclear=unclear,
        settle=SHOWS_NOTHING,
    )


def allowed_name(allowed: Candidate | NotRun) -> str:
    """The workload that is let in, in words."""
    return allowed.what if isinstance(allowed, NotRun) else str(allowed.pod.ref)


def _has_own_identity(proxy: ProxyIdentity | None, bundle: TrustBundle) -> bool:
    if proxy is None or proxy.leaf is None:
        return False
    own = workload_id(bundle.trust_domain, proxy.pod.namespace, proxy.pod.service_account)
    return proxy.spiffe_ids == (own,) and verify_chain(proxy.leaf, bundle.authorities, proxy.read_at).ok


# --- NEG-06 ----------------------------------------------------------------------------------------------------------


def cannot_join(attempt: JoinAttempt | NotRun, tbot: Tbot) -> Finding:
    """NEG-06: Teleport refuses the join for its service account, and knows no bot instance of it.

    Args:
        attempt: A tbot with the bot's configuration and another service account.
        tbot: tbot as it is installed, which joined with the same configuration.
    """
    claim = Claim(
        "NEG-06",
        expected=f"{attempt.service_account if isinstance(attempt, JoinAttempt) else attempt.what} to be refused by the"
        " join token's allow rules",
        where=f"join token {tbot.config.token}",
        evidence=[*attempt.evidence, *tbot.evidence],
    )
    if tbot.config.join_method != "kubernetes":
        return claim.not_applicable(OTHER_JOIN_METHOD)
    if isinstance(attempt, NotRun):
        return claim.judged(unclear=[_did_not_run(attempt)], settle=SHOWS_NOTHING)
    wrong = [f"Teleport has the bot instance {i.id} of {attempt.service_account}" for i in attempt.instances or ()]
    if attempt.outcome.kind is AttemptEnd.GRANTED:
        wrong.append(f"{attempt.service_account} joined as the bot: {attempt.outcome.said}")
    token = ObjectRef("Teleport", f"token/{tbot.config.token}")
    unclear = []
    if attempt.outcome.because is not Because.NO_ALLOW_RULE:
        unclear.append(claim.problem(f"the join did not get as far as the service account: {attempt.outcome}"))
    if not any(pod.ready for pod in tbot.pods.values()):
        unclear.append(claim.problem("no tbot with the right service account is Ready either"))
    instances = "no admin session to list its instances" if attempt.instances is None else "no bot instance of it"
    return claim.judged(
        [Problem(token, said, "token-too-wide", attempt.evidence) for said in wrong],
        f"{attempt.outcome}; {instances}",
        unclear=unclear,
        settle=SHOWS_NOTHING,
    )


SHOWS_NOTHING = "look at the other findings of this run first: where no caller is let in, a refusal shows nothing"
"""What settles an attempt that ended otherwise than it must, or for another reason."""


def not_run(requirement: str, expected: str, attempt: NotRun) -> Finding:
    """A finding on a negative probe that did not run."""
    claim = Claim(requirement, expected, attempt.what, attempt.evidence)
    return claim.judged(unclear=[_did_not_run(attempt)], settle=SHOWS_NOTHING)


def _did_not_run(attempt: NotRun) -> Problem:
    return Problem(place(attempt.what), f"did not run: {attempt.reason}", evidence=attempt.evidence)


def shows_nothing(what: Iterable[str], where: str) -> CouldNotTell:
    """Why an attempt proves nothing: what ended otherwise than it must, or for another reason."""
    return CouldNotTell(
        expected="a refusal with its reason, and the same granted to whom it is due",
        seen="; ".join(what),
        where=where,
        remedy=SHOWS_NOTHING,
    )
