"""Judgments about Teleport's resources: INST-09 to INST-12. A missing resource is a finding, not an error."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from facts.document import Absent
from facts.errors import CouldNotTell
from facts.evidence import ObjectRef, readings
from facts.finding import Finding, Problem
from facts.kubernetes.jwks import Jwks, Signature, is_placeholder, parse_jwks
from facts.teleport.resources import Bot, JoinToken, Role, WorkloadIdentity
from judge.findings import Claim, listed, true_ones

ISTIO_ID = "/ns/{{ workload.kubernetes.namespace }}/sa/{{ workload.kubernetes.service_account }}"
"""The only template that builds the SPIFFE IDs that Istio expects of peers."""

KIND = "workload_identity"

NO_JWKS = "tbot does not join with a static JWKS"
"""Condition of the catalogue: with in_cluster and oidc Teleport asks the cluster itself, and the user extracts no JWKS."""

ASKS_THE_CLUSTER = ("in_cluster", "oidc")

_PATTERN = re.compile(r"\*|^\^.*\$$")
"""A label value that Teleport takes as a pattern: with a star, or a regular expression from ^ to $."""

Resource = JoinToken | Bot | Role | WorkloadIdentity
_KINDS: dict[type, str] = {JoinToken: "token", Bot: "bot", Role: "role", WorkloadIdentity: KIND}
_MISSING = {"token": "token-missing", "role": "role-missing", KIND: "identity-missing"}


def ref(resource: Resource | Absent) -> ObjectRef:
    """A resource of Teleport as the subject of a finding."""
    if isinstance(resource, Absent):
        return resource.subject
    return ObjectRef("Teleport", f"{_KINDS[type(resource)]}/{resource.name}")


def _wrong(resource: Resource | Absent, said: str, cause: str = "") -> Problem:
    return Problem(ref(resource), said, cause, resource.evidence)


def absent_problem(absent: Absent) -> Problem:
    """The problem that a resource does not exist."""
    return _wrong(absent, "it does not exist", _MISSING.get(absent.subject.name.partition("/")[0], ""))


def _absent(requirement: str, absent: Absent) -> Finding:
    claim = Claim(requirement, f"{absent.subject} to exist", str(absent.subject), absent.evidence)
    return claim.judged([absent_problem(absent)])


def fresh_token_verifies(signature: Signature, token: JoinToken | Absent, evidence: Sequence[str]) -> Finding:
    """INST-09: the JWKS in the join token verifies a service-account token that the cluster issued just now.

    Args:
        signature: Check of the fresh token's signature against the JWKS in the join token.
        token: The join token.
        evidence: Ids of the readings that the check rests on.
    """
    if isinstance(token, JoinToken) and token.kubernetes_type in ASKS_THE_CLUSTER:
        return _no_jwks("INST-09", token)
    expected = "the JWKS in the join token to verify a service-account token that the cluster issued just now"
    claim = Claim("INST-09", expected, f"JWKS in {ref(token)}", (*token.evidence, *evidence))
    if isinstance(token, Absent):
        return claim.judged([absent_problem(token)])
    said = f"it does not verify a fresh service-account token: {signature.reason}"
    problems = [] if signature.ok else [_wrong(token, said, _cause_of_keys(token))]
    return claim.judged(problems, f"its key {signature.key_id} verifies the token")


def _cause_of_keys(token: JoinToken) -> str:
    """Cause for which the keys in a join token verify no token of this cluster; empty where its key set is damaged."""
    if is_placeholder(token.jwks_text):
        return "jwks-placeholder"
    try:
        parse_jwks(token.jwks_text)
    except CouldNotTell:
        return ""
    return "jwks-of-other-keys"


def _method_problems(token: JoinToken) -> list[Problem]:
    kubernetes_type = token.kubernetes_type
    statements = {
        f"its join method is {token.join_method}": token.join_method != "kubernetes",
        f"its type is {kubernetes_type or 'not given'}": kubernetes_type not in ("static_jwks", *ASKS_THE_CLUSTER),
        f"its roles are {listed(token.roles)}": token.roles != ("Bot",),
    }
    return [_wrong(token, said, "token-method-wrong") for said in true_ones(statements)]


def method_is_kubernetes(token: JoinToken | Absent) -> Finding:
    """INST-10, method: kubernetes, for bots; with a static JWKS, or by asking the cluster (in_cluster, oidc)."""
    if isinstance(token, Absent):
        return _absent("INST-10", token)
    expected = "the token to have the join method kubernetes, a type static_jwks, in_cluster or oidc, and the role Bot"
    return Claim("INST-10", expected, str(ref(token)), token.evidence).judged(
        _method_problems(token), f"method kubernetes, type {token.kubernetes_type}, role Bot"
    )


def _allow_problems(token: JoinToken, service_account: str) -> list[Problem]:
    if service_account not in token.allow:
        said = f"it allows {listed(token.allow)}, and not {service_account}"
        return [_wrong(token, said, "token-other-service-account")]
    wider = [a for a in token.allow if a != service_account]
    if not wider:
        return []
    named = listed(a or "service accounts by other fields than service_account" for a in wider)
    return [_wrong(token, f"it also allows {named}, which may join as the bot too", "token-too-wide")]


def allows_only_tbot(token: JoinToken | Absent, service_account: str) -> Finding:
    """INST-10, allow list: exactly tbot's service account (``namespace:name``)."""
    if isinstance(token, Absent):
        return _absent("INST-10", token)
    claim = Claim("INST-10", f"the token to allow exactly {service_account}", str(ref(token)), token.evidence)
    return claim.judged(_allow_problems(token, service_account), f"it allows {listed(token.allow)}")


def _key_problems(token: JoinToken, live: Jwks) -> list[Problem]:
    if is_placeholder(token.jwks_text):
        return [_wrong(token, "its JWKS is still the placeholder text of the template", "jwks-placeholder")]
    try:
        held = parse_jwks(token.jwks_text)
    except CouldNotTell as error:
        return [_wrong(token, f"its JWKS does not parse: {error.seen}")]
    lacking = held.lacks(live)
    if not lacking:
        return []
    said = f"it lacks the cluster's keys {listed(lacking)}; it holds {listed(held.key_ids)}"
    return [_wrong(token, said, "jwks-of-other-keys")]


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
        found.append(_wrong(token, f"it is for the bot {token.bot_name or '(none)'}, not for {bot.name}"))
    if bot.scope:
        said = f"it belongs to the scope {bot.scope}, and a bot of a scope cannot have the role {role}"
        found.append(_wrong(bot, said, "bot-scoped"))
    elif role not in bot.roles:
        found.append(_wrong(bot, f"it has the roles {listed(bot.roles)}, not {role}", "bot-without-role"))
    return found


def bot_has_role(token: JoinToken | Absent, bot: Bot | Absent, role: str) -> Finding:
    """INST-10, bot: the bot that the token names exists and has the role."""
    if isinstance(token, Absent):
        return _absent("INST-10", token)
    expected = f"the bot of the token to exist and to have the role {role}"
    return Claim("INST-10", expected, str(ref(token)), readings(token, bot)).judged(
        _bot_problems(token, bot, role), f"the bot {token.bot_name} has the role {role}"
    )


def labels_match_exactly(role: Role | Absent, identity: WorkloadIdentity | Absent) -> Finding:
    """INST-11, labels: the role selects the identity by its own labels and by no wildcard."""
    if isinstance(role, Absent):
        return _absent("INST-11", role)
    if isinstance(identity, Absent):
        return _absent("INST-11", identity)
    expected = f"the role to select labels of the identity ({_pairs(identity.labels)}), each by its one value"
    return Claim("INST-11", expected, f"{ref(role)} and {ref(identity)}", readings(role, identity)).judged(
        _label_problems(role, identity), f"it selects by {_selection(role)}"
    )


def _label_problems(role: Role, identity: WorkloadIdentity) -> list[Problem]:
    found = []
    patterns = {value for values in role.labels.values() for value in values if _PATTERN.search(value)}
    wide = [key for key, values in role.labels.items() if key == "*" or len(values) > 1 or patterns & {*values}]
    # Only Teleport knows whether a pattern matches; below, the pattern itself is a problem.
    if not role.matches(identity.labels) and not patterns - {"*"}:
        said = (
            f"it matches {_selection(role) or 'no labels'}; the identity has {_pairs(identity.labels)}, so nothing is issued"
        )
        found.append(_wrong(role, said, "role-matches-nothing"))
    if wide:
        said = f"it matches more than the identity: {listed(f'{k}: {listed(role.labels[k])}' for k in wide)}"
        found.append(_wrong(role, said, "role-too-wide"))
    if role.labels_expression:
        found.append(_wrong(role, f"it also selects by the expression {role.labels_expression!r}", "role-too-wide"))
    if role.other_access:
        found.append(_wrong(role, f"it also grants access by {listed(role.other_access)}", "role-too-wide"))
    return found


def _rule_problems(role: Role) -> list[Problem]:
    verbs, needed = role.verbs_on(KIND), {"list", "read"}
    missing = set() if "*" in verbs else needed - verbs
    others = {r for rule in role.rules for r in rule.resources if r != KIND}
    conditions = [rule.where for rule in role.rules if rule.where]
    statements = {
        f"it lacks {listed(missing)} on {KIND}": missing,
        f"it allows {listed(verbs - needed)} on {KIND}": verbs - needed,
        f"it has rules on {listed(others)}": others,
        f"it allows only under the condition {listed(conditions)}": conditions,
        f"it denies {listed(role.denials)}, which overrides what it allows": role.denials,
    }
    return [_wrong(role, said, "role-rules-wrong") for said in true_ones(statements)]


def rules_are_minimal(role: Role | Absent) -> Finding:
    """INST-11, rules: list and read on workload identities, and nothing else."""
    if isinstance(role, Absent):
        return _absent("INST-11", role)
    claim = Claim("INST-11", f"the role to allow list and read on {KIND}, and nothing else", str(ref(role)), role.evidence)
    return claim.judged(_rule_problems(role), f"it allows list and read on {KIND}")


def bot_has_no_other_role(bot: Bot | Absent, role: str) -> Finding:
    """INST-11, reach: the bot has one role; a second one would grant more."""
    # INST-10 reports a missing bot.
    roles = () if isinstance(bot, Absent) else bot.roles
    others = [name for name in roles if name != role]
    claim = Claim("INST-11", f"the bot to have the role {role} and no other", str(ref(bot)), bot.evidence)
    problems = [_wrong(bot, f"it also has the roles {listed(others)}", "bot-has-other-roles")] if others else []
    return claim.judged(problems, str(bot) if isinstance(bot, Absent) else f"it has the role {listed(roles)}")


def id_template_is_istios(identity: WorkloadIdentity | Absent, template: str = ISTIO_ID) -> Finding:
    """INST-12: the template builds exactly ``/ns/<namespace>/sa/<service account>``; blanks inside braces mean nothing.

    Args:
        identity: The workload identity.
        template: The template that the catalogue promises.
    """
    if isinstance(identity, Absent):
        return _absent("INST-12", identity)
    claim = Claim("INST-12", f"the SPIFFE ID template to be {template}", str(ref(identity)), identity.evidence)
    return claim.judged(template_problems(identity, template), identity.spiffe_id)


def template_problems(identity: WorkloadIdentity, wanted: str = ISTIO_ID) -> list[Problem]:
    """A problem unless an identity's template builds IDs in Istio's form."""
    template = identity.spiffe_id
    if identity.scope:
        begin = f"{identity.scope.rstrip('/')}/_/"
        said = f"it belongs to the scope {identity.scope}: its IDs begin with {begin} whatever its template"
        return [_wrong(identity, said, "identity-scoped")]
    if _packed(template) == _packed(wanted):
        return []
    if template.endswith("/"):
        said = f"its template {template} ends with a slash, which SPIFFE IDs must not"
        return [_wrong(identity, said, "identity-template-trailing-slash")]
    if "{{" not in template:
        said = f"its template is {template or 'empty'}: every workload gets the same SPIFFE ID"
        return [_wrong(identity, said, "identity-template-fixed")]
    if "/sa/" not in template:
        said = f"its template {template} lacks /sa/, so that peers and policies do not recognise the IDs"
        return [_wrong(identity, said, "identity-template-without-sa")]
    return [_wrong(identity, f"its template is {template}")]


def token_problems(
    token: JoinToken | Absent, live: Jwks, service_account: str, bot: Bot | Absent, role: str
) -> list[Problem]:
    """All problems that keep this cluster's tbot from joining with the token."""
    if isinstance(token, Absent):
        return [absent_problem(token)]
    found = _method_problems(token) + _allow_problems(token, service_account) + _bot_problems(token, bot, role)
    return found if token.kubernetes_type in ASKS_THE_CLUSTER else found + _key_problems(token, live)


def role_problems(role: Role | Absent, identity: WorkloadIdentity | Absent) -> list[Problem]:
    """All problems of a role that must grant the identity and nothing wider."""
    if isinstance(role, Absent):
        return [absent_problem(role)]
    if isinstance(identity, Absent):
        return [absent_problem(identity)]
    return _label_problems(role, identity) + _rule_problems(role)


def _no_jwks(requirement: str, token: JoinToken) -> Finding:
    where = f"{ref(token)}, type {token.kubernetes_type}"
    return Claim(requirement, "", where, token.evidence).not_applicable(NO_JWKS)


def _pairs(labels: Mapping[str, str]) -> str:
    return listed(f"{key}: {value}" for key, value in labels.items())


def _selection(role: Role) -> str:
    return ", ".join(f"{k}: {listed(v)}" for k, v in role.labels.items())


def _packed(template: str) -> str:
    return re.sub(r"\{\{\s*(.*?)\s*\}\}", r"{{\1}}", template)
