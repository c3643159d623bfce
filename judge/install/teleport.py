"""Judgments about Teleport's resources: INST-09 to INST-12. A resource that is not there is a finding, not an error."""

from __future__ import annotations

import re
from collections.abc import Sequence

from facts.document import Absent
from facts.errors import CouldNotTell
from facts.finding import Finding
from facts.guide import Defect
from facts.kubernetes.jwks import Jwks, Signature, is_placeholder, parse_jwks
from facts.teleport.resources import Bot, JoinToken, Role, WorkloadIdentity
from judge.findings import concluded, listed, not_applicable

ISTIO_ID = "/ns/{{ workload.kubernetes.namespace }}/sa/{{ workload.kubernetes.service_account }}"
"""The only template that builds the SPIFFE IDs Istio expects of its peers."""

KIND = "workload_identity"

NO_JWKS = "the cluster joins by another means than a static JWKS"
"""The catalogue's condition: with in_cluster and oidc Teleport asks the cluster itself, and nothing is extracted."""

ASKS_THE_CLUSTER = ("in_cluster", "oidc")

_PATTERN = re.compile(r"\*|^\^.*\$$")
"""A label value that Teleport takes as a pattern: with a star, or a regular expression from ^ to $."""


def fresh_token_verifies(signature: Signature, token: JoinToken | Absent, evidence: Sequence[str]) -> Finding:
    """INST-09: a token that the cluster issued just now was signed by a key of the JWKS that was extracted for Teleport.

    Args:
        signature: Of the fresh token, against the JWKS in the join token.
        token: The join token.
        evidence: Readings that the signature check stands on.
    """
    if isinstance(token, JoinToken) and token.kubernetes_type in ASKS_THE_CLUSTER:
        return _no_jwks("INST-09", token)
    return concluded(
        "INST-09",
        expected="a service-account token issued just now to verify with the extracted JWKS",
        problems=[] if signature.ok else [f"it does not: {signature.reason}"],
        confirmed=f"it verifies with the key {signature.key_id}",
        where=f"JWKS in {_ref(token)}",
        evidence=(*token.evidence, *evidence),
    )


def method_is_kubernetes(token: JoinToken | Absent) -> Finding:
    """INST-10, method: kubernetes, for bots; with static JWKS, or by asking the cluster (in_cluster, oidc)."""
    if isinstance(token, Absent):
        return _absent("INST-10", token)
    problems = []
    if token.join_method != "kubernetes":
        problems.append(f"its join method is {token.join_method}")
    if token.kubernetes_type not in ("static_jwks", *ASKS_THE_CLUSTER):
        problems.append(f"its type is {token.kubernetes_type or 'not given'}")
    if token.roles != ("Bot",):
        problems.append(f"its roles are {listed(token.roles)}")
    return concluded(
        "INST-10",
        expected="join method kubernetes, type static_jwks (in_cluster and oidc will do), role Bot",
        problems=problems,
        confirmed=f"method kubernetes, type {token.kubernetes_type}, role Bot",
        where=_ref(token),
        evidence=token.evidence,
    )


def allows_only_tbot(token: JoinToken | Absent, service_account: str) -> Finding:
    """INST-10, allow list: exactly tbot's service account (``namespace:name``)."""
    if isinstance(token, Absent):
        return _absent("INST-10", token)
    problems = []
    if service_account not in token.allow:
        problems.append(f"{service_account} is not allowed, {listed(token.allow)} is")
    wider = [a for a in token.allow if a != service_account]
    if wider and not problems:
        named = listed(a or "service accounts by other fields than service_account" for a in wider)
        problems.append(f"it allows {named} too: those may join as the bot")
    return concluded(
        "INST-10",
        expected=f"the token to allow exactly {service_account}",
        problems=problems,
        confirmed=f"it allows {listed(token.allow)}",
        where=_ref(token),
        evidence=token.evidence,
    )


def _key_problems(token: JoinToken, live: Jwks) -> list[str]:
    if is_placeholder(token.jwks_text):
        return ["its JWKS is still the literal placeholder of the template"]
    try:
        held = parse_jwks(token.jwks_text)
    except CouldNotTell as error:
        return [f"its JWKS does not parse: {error.seen}"]
    lacking = held.lacks(live)
    if lacking:
        return [f"it lacks the cluster's keys {listed(lacking)}; it holds {listed(held.key_ids)}"]
    return []


def holds_every_key(token: JoinToken | Absent, live: Jwks, requirement: str = "INST-10") -> Finding:
    """INST-10, keys, and INST-09 without a token of the run's own: every key that the cluster publishes is in the token."""
    if isinstance(token, Absent):
        return _absent(requirement, token)
    if token.kubernetes_type in ASKS_THE_CLUSTER:
        return _no_jwks(requirement, token)
    return concluded(
        requirement,
        expected=f"the token to hold the cluster's keys {listed(live.key_ids)}",
        problems=_key_problems(token, live),
        confirmed=f"it holds {listed(live.key_ids)}",
        where=_ref(token),
        evidence=(*token.evidence, *live.evidence),
    )


def bot_has_role(token: JoinToken | Absent, bot: Bot | Absent, role: str) -> Finding:
    """INST-10, bot: the bot that the token names exists and has the role."""
    if isinstance(token, Absent):
        return _absent("INST-10", token)
    if isinstance(bot, Absent):
        problems = [f"the token is for the bot {token.bot_name or '(none)'}, which does not exist"]
        remedy = "create the bot: tctl create -f manifests/teleport-bot.yaml"
    else:
        problems = [] if role in bot.roles else [f"the bot {bot.name} has the roles {listed(bot.roles)}"]
        remedy = f"tctl bots update {bot.name} --add-roles {role}"
        if bot.name != token.bot_name:
            problems.insert(0, f"the token is for the bot {token.bot_name or '(none)'}, not for {bot.name}")
            remedy = f"set bot_name: {bot.name} in the token"
    return concluded(
        "INST-10",
        expected=f"the token to name a bot that exists and has the role {role}",
        problems=problems,
        confirmed=f"the bot {token.bot_name} has the role {role}",
        where=_ref(token),
        evidence=(*token.evidence, *bot.evidence),
        remedy=remedy,
        guide_defect=Defect.BOT if isinstance(bot, Absent) else None,
    )


def labels_match_exactly(role: Role | Absent, identity: WorkloadIdentity | Absent) -> Finding:
    """INST-11, labels: the role selects the identity by its own labels and by no wildcard."""
    if isinstance(role, Absent):
        return _absent("INST-11", role)
    if isinstance(identity, Absent):
        return _absent("INST-11", identity)
    return concluded(
        "INST-11",
        expected=f"the role to select by labels of the identity ({_pairs(identity.labels)}), each with its one value",
        problems=_label_problems(role, identity),
        confirmed=f"it selects by {_selection(role)}",
        where=f"{_ref(role)} and {_ref(identity)}",
        evidence=(*role.evidence, *identity.evidence),
    )


def _label_problems(role: Role, identity: WorkloadIdentity) -> list[str]:
    problems = []
    patterns = {value for values in role.labels.values() for value in values if _PATTERN.search(value)}
    wide = [key for key, values in role.labels.items() if key == "*" or len(values) > 1 or patterns & {*values}]
    # Whether a pattern matches is Teleport's to say; that there is one is said below.
    if not role.matches(identity.labels) and not patterns - {"*"}:
        problems.append(
            f"the role matches {_selection(role) or 'no labels'}; the identity has {_pairs(identity.labels)},"
            " so nothing is issued"
        )
    if wide:
        problems.append(f"the role matches more than the identity: {listed(f'{k}: {listed(role.labels[k])}' for k in wide)}")
    if role.labels_expression:
        problems.append(f"the role also matches by the expression {role.labels_expression!r}")
    if role.other_access:
        problems.append(f"the role also opens what {listed(role.other_access)} select")
    return problems


def _rule_problems(role: Role) -> list[str]:
    problems = []
    verbs = role.verbs_on(KIND)
    if missing := {"list", "read"} - verbs - ({"list", "read"} if "*" in verbs else set()):
        problems.append(f"it lacks {listed(missing)} on {KIND}")
    if extra := verbs - {"list", "read"}:
        problems.append(f"it allows {listed(extra)} on {KIND}")
    others = {r for rule in role.rules for r in rule.resources if r != KIND}
    if others:
        problems.append(f"it has rules on {listed(others)}")
    conditions = [rule.where for rule in role.rules if rule.where]
    if conditions:
        problems.append(f"it allows only where {listed(conditions)}")
    if role.denials:
        problems.append(f"its deny half has {listed(role.denials)}, which wins over what it allows")
    return problems


def rules_are_minimal(role: Role | Absent) -> Finding:
    """INST-11, rules: list and read on workload identities, and nothing else."""
    if isinstance(role, Absent):
        return _absent("INST-11", role)
    return concluded(
        "INST-11",
        expected=f"list and read on {KIND}, and no other rule",
        problems=_rule_problems(role),
        confirmed=f"list and read on {KIND}",
        where=_ref(role),
        evidence=role.evidence,
    )


def bot_has_no_other_role(bot: Bot | Absent, role: str) -> Finding:
    """INST-11, reach: what the bot may do is what its one role grants; a second role grants the rest of it."""
    # That there is no bot is INST-10's to say.
    roles = () if isinstance(bot, Absent) else bot.roles
    others = [name for name in roles if name != role]
    return concluded(
        "INST-11",
        expected=f"the bot to have the role {role} and no other",
        problems=[f"it has {listed(others)} as well"] if others else [],
        confirmed=str(bot) if isinstance(bot, Absent) else f"it has {listed(roles)}",
        where=_ref(bot),
        evidence=bot.evidence,
        remedy=f"give the bot the role {role} alone",
    )


def id_template_is_istios(identity: WorkloadIdentity | Absent, template: str = ISTIO_ID) -> Finding:
    """INST-12: the template builds exactly ``/ns/<namespace>/sa/<service account>``; blanks inside braces mean nothing.

    Args:
        identity: The workload identity.
        template: The template that is promised.
    """
    if isinstance(identity, Absent):
        return _absent("INST-12", identity)
    return concluded(
        "INST-12",
        expected=f"the SPIFFE ID template {template}",
        problems=template_problems(identity.spiffe_id, template),
        confirmed=identity.spiffe_id,
        where=_ref(identity),
        evidence=identity.evidence,
    )


def template_problems(template: str, wanted: str = ISTIO_ID) -> list[str]:
    """What keeps a template from building IDs in Istio's form."""
    if _packed(template) == _packed(wanted):
        return []
    if template.endswith("/"):
        return [f"{template} ends with a slash, which no SPIFFE ID may"]
    if "/sa/" not in template:
        return [f"{template} lacks /sa/: peers and policies will not recognise the ID"]
    return [f"it is {template}"]


def token_problems(token: JoinToken | Absent, live: Jwks, service_account: str, bot: Bot | Absent, role: str) -> list[str]:
    """Everything that keeps this cluster's tbot from joining with the token."""
    if isinstance(token, Absent):
        return [str(token)]
    problems = [
        f.seen
        for f in (method_is_kubernetes(token), allows_only_tbot(token, service_account), bot_has_role(token, bot, role))
        if f.holds == "no"
    ]
    return problems if token.kubernetes_type in ASKS_THE_CLUSTER else problems + _key_problems(token, live)


def role_problems(role: Role | Absent, identity: WorkloadIdentity | Absent) -> list[str]:
    """Everything that keeps the role from granting the identity, and nothing wider."""
    if isinstance(role, Absent):
        return [str(role)]
    if isinstance(identity, Absent):
        return [str(identity)]
    return _label_problems(role, identity) + _rule_problems(role)


def _no_jwks(requirement: str, token: JoinToken) -> Finding:
    return not_applicable(
        requirement, NO_JWKS, where=f"{_ref(token)}, type {token.kubernetes_type}", evidence=token.evidence
    )


def _absent(requirement: str, absent: Absent) -> Finding:
    return concluded(
        requirement,
        expected=f"{absent.subject} to exist",
        problems=["it does not exist"],
        confirmed="",
        where=str(absent.subject),
        evidence=absent.evidence,
    )


def _ref(resource: JoinToken | Bot | Role | WorkloadIdentity | Absent) -> str:
    if isinstance(resource, Absent):
        return str(resource.subject)
    kind = {JoinToken: "token", Bot: "bot", Role: "role", WorkloadIdentity: KIND}[type(resource)]
    return f"Teleport {kind}/{resource.name}"


def _pairs(labels: object) -> str:
    return ", ".join(f"{k}: {v}" for k, v in sorted(dict(labels).items())) or "none"  # type: ignore[call-overload]


def _selection(role: Role) -> str:
    return ", ".join(f"{k}: {listed(v)}" for k, v in role.labels.items())


def _packed(template: str) -> str:
    return re.sub(r"\{\{\s*(.*?)\s*\}\}", r"{{\1}}", template)
