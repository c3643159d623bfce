"""Judgments about Teleport's resources: INST-09 and INST-10. A missing resource is a finding, not an error."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from facts.document import Absent
from facts.errors import CouldNotTell
from facts.evidence import ObjectRef, readings
from facts.finding import Finding, Problem
from facts.kubernetes.jwks import Jwks, Signature, is_placeholder, parse_jwks
from judge.conditions import NO_JWKS
from judge.findings import Claim, listed, true_ones
from providers.teleport.facts.resources import Bot, JoinToken, Role, WorkloadIdentity

TELEPORT = "Teleport"
"""Kind of a resource of Teleport as the subject of a finding."""

ASKS_THE_CLUSTER = ("in_cluster", "oidc")

Resource = JoinToken | Bot | Role | WorkloadIdentity
_KINDS: dict[type, str] = {JoinToken: "token", Bot: "bot", Role: "role", WorkloadIdentity: "workload_identity"}
_MISSING = {"token": "token-missing", "role": "role-missing", "workload_identity": "identity-missing"}


def ref(resource: Resource | Absent) -> ObjectRef:
    """A resource of Teleport as the subject of a finding."""
    if isinstance(resource, Absent):
        return resource.subject
    return ObjectRef(TELEPORT, f"{_KINDS[type(resource)]}/{resource.name}")


def wrong(resource: Resource | Absent, said: str, cause: str = "") -> Problem:
    """A problem of a resource, decided by its reading."""
    return Problem(ref(resource), said, cause, resource.evidence)


def absent_problem(absent: Absent) -> Problem:
    """The problem that a resource does not exist."""
    return wrong(absent, "it does not exist", _MISSING.get(absent.subject.name.partition("/")[0], ""))


def _absent(requirement: str, absent: Absent) -> Finding:
    claim = Claim(requirement, f"{absent.subject} to exist", str(absent.subject), absent.evidence)
    return claim.judged([absent_problem(absent)])


def fresh_token_verifies(
    signature: Signature, token: JoinToken | Absent, evidence: Sequence[str], live: Jwks | None = None
) -> Finding:
    """INST-09: the JWKS in the join token verifies a service-account token that the cluster issued just now.

    Args:
        signature: Check of the fresh token's signature against the JWKS in the join token.
        evidence: Ids of the readings that the check rests on.
        live: The keys that the cluster publishes, which may tell why it does not.
    """
    if isinstance(token, JoinToken) and token.kubernetes_type in ASKS_THE_CLUSTER:
        return _no_jwks("INST-09", token)
    expected = "the JWKS in the join token to verify a service-account token that the cluster issued just now"
    claim = Claim("INST-09", expected, f"JWKS in {ref(token)}", (*token.evidence, *evidence))
    if isinstance(token, Absent):
        return claim.judged([absent_problem(token)])
    said = f"it does not verify a fresh service-account token: {signature.reason}"
    problems = [] if signature.ok else [wrong(token, said, _cause_of_keys(token, live))]
    return claim.judged(problems, f"its key {signature.key_id} verifies the token")


def _cause_of_keys(token: JoinToken, live: Jwks | None) -> str:
    """Cause for which the keys in a join token do not verify each token of this cluster; empty where they are damaged."""
    if is_placeholder(token.jwks_text):
        return "jwks-placeholder"
    try:
        held = parse_jwks(token.jwks_text)
    except CouldNotTell:
        return ""
    # A cluster that changes its keys publishes the former one beside the next; two clusters have no key in common.
    has_one = live is not None and len(held.lacks(live)) < len(live.key_ids)
    return "jwks-rotated-since" if has_one else "jwks-of-other-keys"


def _method_problems(token: JoinToken) -> list[Problem]:
    kubernetes_type = token.kubernetes_type
    statements = {
        f"its join method is {token.join_method}": token.join_method != "kubernetes",
        f"its type is {kubernetes_type or 'not given'}": kubernetes_type not in ("static_jwks", *ASKS_THE_CLUSTER),
        f"its roles are {listed(token.roles)}": token.roles != ("Bot",),
    }
    return [wrong(token, said, "token-method-wrong") for said in true_ones(statements)]


def method_is_kubernetes(token: JoinToken | Absent) -> Finding:
    """INST-10, method: kubernetes, for bots; with a static JWKS, or by asking the cluster (in_cluster, oidc)."""
    if isinstance(token, Absent):
        return _absent("INST-10", token)
    expected = "the token to have the join method kubernetes, a type static_jwks, in_cluster or oidc, and the role Bot"
    return Claim("INST-10", expected, str(ref(token)), token.evidence).judged(
        _method_problems(token), f"method kubernetes, type {token.kubernetes_type}, role Bot"
    )


def _allow_problems(token: JoinToken, accounts: Collection[str]) -> list[Problem]:
    missing = [account for account in accounts if account not in token.allow]
    if missing:
        said = f"it allows {listed(token.allow)}, and not {listed(missing)}"
        return [wrong(token, said, "token-other-service-account")]
    wider = [account for account in token.allow if account not in accounts]
    if not wider:
        return []
    named = listed(a or "service accounts by other fields than service_account" for a in wider)
    return [wrong(token, f"it also allows {named}, which may join as the bot too", "token-too-wide")]


def allows_only_tbot(token: JoinToken | Absent, *accounts: str) -> Finding:
    """INST-10, allow list: exactly the service accounts (``namespace:name``) of the tbots that join with the token."""
    if isinstance(token, Absent):
        return _absent("INST-10", token)
    claim = Claim("INST-10", f"the token to allow exactly {listed(accounts)}", str(ref(token)), token.evidence)
    return claim.judged(_allow_problems(token, accounts), f"it allows {listed(token.allow)}")


def _key_problems(token: JoinToken, live: Jwks) -> list[Problem]:
    if is_placeholder(token.jwks_text):
        return [wrong(token, "its JWKS is still the placeholder text of the template", "jwks-placeholder")]
    try:
        held = parse_jwks(token.jwks_text)
    except CouldNotTell as error:
        return [wrong(token, f"its JWKS does not parse: {error.seen}")]
    lacking = held.lacks(live)
    if not lacking:
        return []
    said = f"it lacks the cluster's keys {listed(lacking)}; it holds {listed(held.key_ids)}"
    return [wrong(token, said, _cause_of_keys(token, live))]


def holds_every_key(token: JoinToken | Absent, live: Jwks, requirement: str = "INST-10") -> Finding:
    """INST-10, keys, and INST-09 without a fresh token: the join token has every key that the cluster publishes."""
    if isinstance(token, Absent):
        return _absent(requirement, token)
    if token.kubernetes_type in ASKS_THE_CLUSTER:
        return _no_jwks(requirement, token)
    expected = f"the token to hold the cluster's keys {listed(live.key_ids)}"
    return Claim(requirement, expected, str(ref(token)), readings(token, live)).judged(
        _key_problems(token, live), f"it holds {listed(live.key_ids)}"
    )


def _bot_problems(token: JoinToken, bot: Bot | Absent, role: str) -> list[Problem]:
    if isinstance(bot, Absent):
        said = f"it is for the bot {token.bot_name or '(none)'}, which does not exist"
        return [Problem(ref(token), said, "bot-missing", readings(bot, token))]
    found = []
    if bot.name != token.bot_name:
        found.append(wrong(token, f"it is for the bot {token.bot_name or '(none)'}, not for {bot.name}"))
    if bot.scope:
        said = f"it belongs to the scope {bot.scope}, and a bot of a scope cannot have the role {role}"
        found.append(wrong(bot, said, "bot-scoped"))
    elif role not in bot.roles:
        found.append(wrong(bot, f"it has the roles {listed(bot.roles)}, not {role}", "bot-without-role"))
    return found


def bot_has_role(token: JoinToken | Absent, bot: Bot | Absent, role: str) -> Finding:
    """INST-10, bot: the bot that the token names exists and has the role."""
    if isinstance(token, Absent):
        return _absent("INST-10", token)
    expected = f"the bot of the token to exist and to have the role {role}"
    return Claim("INST-10", expected, str(ref(token)), readings(token, bot)).judged(
        _bot_problems(token, bot, role), f"the bot {token.bot_name} has the role {role}"
    )


def token_problems(
    token: JoinToken | Absent, live: Jwks, accounts: Collection[str], bot: Bot | Absent, role: str
) -> list[Problem]:
    """All problems that keep this cluster's tbot from joining with the token."""
    if isinstance(token, Absent):
        return [absent_problem(token)]
    found = _method_problems(token) + _allow_problems(token, accounts) + _bot_problems(token, bot, role)
    return found if token.kubernetes_type in ASKS_THE_CLUSTER else found + _key_problems(token, live)


def _no_jwks(requirement: str, token: JoinToken) -> Finding:
    where = f"{ref(token)}, type {token.kubernetes_type}"
    return Claim(requirement, "", where, token.evidence).not_applicable(NO_JWKS)
