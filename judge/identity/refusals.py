"""Judgments about callers that tbot and Teleport must refuse: NEG-02, NEG-03 and NEG-06.

A refusal counts only for the right reason, and only if tbot or Teleport accepts a second caller, which asks for the same and
is entitled to it. An attempt that ended in any other way is *could not tell*.
"""

from __future__ import annotations

from collections.abc import Sequence

from facts.evidence import ObjectRef, readings
from facts.finding import Finding, Problem
from facts.kubernetes.probes import Refused, SdsProbe
from facts.provider.trust import TrustBundle
from facts.traffic.attempts import Candidate, JoinAttempt, NotRun, OutsideProbe
from facts.traffic.refusal import AttemptEnd, Because, reason_of
from judge.conditions import OTHER_JOIN_METHOD
from judge.findings import LOOK_FIRST, Claim, confirmed_of, listed, place, problem
from judge.identity.proxies import own_identity_problems
from judge.install.attested import probe_problems
from judge.install.probes import held_on, on_node
from providers.teleport.facts.issuing import TO_ADMIT_THE_SUITE, why_refused
from providers.teleport.facts.resources import WorkloadIdentity
from providers.teleport.facts.tbot import Tbot

NODES_CANNOT_BE_ENTERED = "the cluster does not admit pods that enter their node's namespaces"
"""Condition of the catalogue."""
_OPEN = "socket-without-attestor"


# --- NEG-02 ----------------------------------------------------------------------------------------------------------


def outside_is_refused(
    outside: Sequence[OutsideProbe | NotRun], beside: Sequence[SdsProbe | Refused], bundle: TrustBundle
) -> Finding:
    """NEG-02: on each node tbot refuses a process outside of any pod for that, and gives a process in a pod its identity.

    Every further socket that pods of the mesh can open must refuse the process outside as well, whatever it is for.

    Args:
        outside: Answers to processes outside of any pod, one for each node and socket.
        beside: Answers to probes in pods, from the mesh's own sockets at the same time.
        bundle: Teleport's authorities.
    """
    expected = "tbot to refuse a process outside of any pod for that, and to give a process in a pod its identity"
    claim = Claim("NEG-02", expected, f"sockets of {listed(p.node for p in beside)}", readings(*outside, *beside, bundle))
    entered = [p for p in outside if isinstance(p, OutsideProbe)]
    problems = [
        on_node(p, f"tbot gave a process outside of any pod {p.leaf}{_at(p)}", _OPEN if p.further_socket else "")
        for p in entered
        if p.leaf is not None
    ]
    unattested = [p for p in beside if isinstance(p, SdsProbe) and p.leaf is None and reason_of(p.reason) is Because.NO_POD]
    problems += [
        on_node(p, f"tbot refuses a process in a pod as if it were outside: it attests no caller ({p.reason})")
        for p in unattested
    ]
    # A problem stands even where the rest could not be determined.
    if not problems and outside and all(isinstance(p, NotRun) and p.by_policy for p in outside):
        return claim.not_applicable(NODES_CANNOT_BE_ENTERED)
    unclear = [_did_not_run(p) for p in outside if isinstance(p, NotRun)]
    unclear += [each for p in entered for each in _why_outside_proves_nothing(p)]
    unclear += [each for p in beside if p not in unattested for each in _why_beside_proves_nothing(p, bundle)]
    if not (problems or unclear or entered):
        unclear.append(claim.problem("no node hosts an injected pod"))
    held = confirmed_of([held_on(p, f"{p.outcome}{_at(p)}") for p in entered], problems)
    return claim.judged(problems, held=held, unclear=unclear, settle=LOOK_FIRST)


def _at(probe: OutsideProbe) -> str:
    return f" at its further socket {probe.further_socket}" if probe.further_socket else ""


def _why_outside_proves_nothing(probe: OutsideProbe) -> list[Problem]:
    if not probe.is_outside:
        return [on_node(probe, f"the process did not leave its pod: its cgroup root is {probe.cgroup_root}")]
    # What a further socket would give to which pod is not known, so any refusal of it counts.
    for_that = probe.further_socket or probe.outcome.because in (Because.NO_POD, Because.NO_RULE)
    if probe.leaf is None and not (probe.outcome.kind is AttemptEnd.SDS and for_that):
        said = f"tbot did not refuse the process for being outside of any pod{_at(probe)}: {probe.outcome}"
        return [on_node(probe, said)]
    return []


def _why_beside_proves_nothing(probe: SdsProbe | Refused, bundle: TrustBundle) -> list[Problem]:
    if isinstance(probe, Refused):
        return [on_node(probe, f"the probe pod did not run: {probe.reason}")]
    return probe_problems(probe, bundle)


# --- NEG-03 ----------------------------------------------------------------------------------------------------------


def rules_are_enforced(
    refused: Candidate | NotRun, allowed: Candidate | NotRun, former: WorkloadIdentity, bundle: TrustBundle
) -> Finding:
    """NEG-03: a service account that the rules leave out gets no identity, and its pod is not Ready while the other pod is.

    Args:
        refused: The pod of that account.
        allowed: The pod of another account, started at the same time under the same rules.
        former: The workload identity as the install has it, without the suite's own condition.
        bundle: Teleport's authorities.
    """
    claim = Claim(
        "NEG-03",
        expected="a service account that the rules leave out to get no identity, and its pod not to become Ready",
        where="negative probes, under rules that leave out one service account",
        evidence=readings(refused, allowed, former, bundle),
    )
    if isinstance(refused, NotRun):
        return claim.judged(unclear=[_did_not_run(refused)], settle=LOOK_FIRST)
    problems = []
    # The rules of the identity that the suite knows leave the account out, so Teleport must have used another identity.
    cause = "second-identity-selected"
    if refused.proxy is not None and refused.proxy.leaf is not None:
        problems.append(problem(refused.proxy, f"it holds {refused.proxy.leaf}", cause))
    if refused.pod.ready:
        problems.append(problem(refused.pod, "it is Ready", cause if problems else ""))
    unclear = []
    if refused.outcome.because is not Because.NO_RULE:
        unclear.append(problem(refused.pod, f"Teleport did not refuse it for its rules: {refused.outcome}"))
    served = (
        isinstance(allowed, Candidate) and allowed.proxy is not None and not own_identity_problems(allowed.proxy, bundle)
    )
    of_the_owner = "" if served else why_refused([former], refused.pod.namespace, refused.pod.service_account)
    if of_the_owner:
        unclear.append(problem(refused.pod, f"{of_the_owner}, without the suite's own condition"))
    elif isinstance(allowed, NotRun):
        said = f"it did not start either, although the rules allow it: {allowed.reason}"
        unclear.append(Problem(place(allowed.what), said, evidence=allowed.evidence))
    elif not served:
        unclear.append(
            problem(allowed.pod, "it has no identity of its own from Teleport either, although the rules allow it")
        )
    own = f"{len(former.rules)} of the install" if former.rules else "none of the install, which issues to every pod"
    return claim.judged(
        problems,
        f"{refused.pod.ref}: {refused.outcome}; not Ready when {allowed_name(allowed)} was (other rules: {own})",
        unclear=unclear,
        settle=TO_ADMIT_THE_SUITE if of_the_owner else LOOK_FIRST,
    )


def allowed_name(allowed: Candidate | NotRun) -> str:
    """The pod that the rules allow, in words."""
    return allowed.what if isinstance(allowed, NotRun) else str(allowed.pod.ref)


# --- NEG-06 ----------------------------------------------------------------------------------------------------------


def cannot_join(attempt: JoinAttempt | NotRun, tbot: Tbot) -> Finding:
    """NEG-06: Teleport refuses a join for its service account, and has no bot instance of it.

    Args:
        attempt: A tbot with the bot's configuration and another service account.
        tbot: The installed tbot, which joined with the same configuration.
    """
    expected = "the allow rules of the join token to refuse " + (
        attempt.service_account if isinstance(attempt, JoinAttempt) else attempt.what
    )
    claim = Claim("NEG-06", expected, f"join token {tbot.config.token}", readings(attempt, tbot))
    if not tbot.joins_by_kubernetes:
        return claim.not_applicable(OTHER_JOIN_METHOD)
    if isinstance(attempt, NotRun):
        return claim.judged(unclear=[_did_not_run(attempt)], settle=LOOK_FIRST)
    wrong = [f"Teleport has the bot instance {i.id} of {attempt.service_account}" for i in attempt.instances or ()]
    if attempt.outcome.kind is AttemptEnd.GRANTED:
        wrong.append(f"{attempt.service_account} joined as the bot: {attempt.outcome.said}")
    token = ObjectRef("Teleport", f"token/{tbot.config.token}")
    unclear = []
    if attempt.outcome.because is not Because.NO_ALLOW_RULE:
        unclear.append(claim.problem(f"Teleport did not judge the service account of the join: {attempt.outcome}"))
    if not any(pod.ready for pod in tbot.pods.values()):
        unclear.append(claim.problem("no tbot with the right service account is Ready either"))
    instances = "its instances need an admin session" if attempt.instances is None else "Teleport has no instance of it"
    return claim.judged(
        [Problem(token, said, "token-too-wide", attempt.evidence) for said in wrong],
        f"{attempt.outcome}; {instances}",
        unclear=unclear,
        settle=LOOK_FIRST,
    )


def not_run(requirement: str, expected: str, attempt: NotRun) -> Finding:
    """The finding on a negative probe that did not run."""
    claim = Claim(requirement, expected, attempt.what, attempt.evidence)
    return claim.judged(unclear=[_did_not_run(attempt)], settle=LOOK_FIRST)


def _did_not_run(attempt: NotRun) -> Problem:
    return Problem(place(attempt.what), f"it did not run: {attempt.reason}", evidence=attempt.evidence)
