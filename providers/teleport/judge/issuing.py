"""Judgments about what tbot's bot may issue, and in which form: INST-11 and INST-12."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from facts.document import Absent
from facts.evidence import readings
from facts.finding import Finding, Problem
from facts.redaction import prose
from judge.findings import Claim, listed, true_ones
from providers.teleport.facts.issuing import Grants
from providers.teleport.facts.resources import Role, WorkloadIdentity
from providers.teleport.judge.teleport import absent_problem, ref, wrong

ISTIO_ID = "/ns/{{ workload.kubernetes.namespace }}/sa/{{ workload.kubernetes.service_account }}"
"""The only template that builds the SPIFFE IDs that Istio expects of peers."""

KIND = "workload_identity"

_PATTERN = re.compile(r"\*|^\^.*\$$")
"""A label value that Teleport takes as a pattern: with a star, or a regular expression from ^ to $."""


def roles_select_what_tbot_issues(grants: Grants) -> Finding:
    """INST-11, labels: together the bot's roles select each workload identity that tbot does, and none besides.

    Among all workload identities of Teleport, as they are now; and by no wildcard, which would select later ones.
    """
    if missing := _missing(grants):
        return _absent("INST-11", grants, missing)
    roles, issued = _there(grants)
    labels = _pairs({key: value for identity in issued for key, value in identity.labels.items()})
    expected = f"the role to select labels of the identity ({labels}), each by its one value, and no other identity"
    claim = Claim("INST-11", expected, _named([*roles, *issued]), grants.evidence)
    return claim.judged(_selection_problems(grants), f"it selects by {listed(_selection(role) for role in roles)}")


def _selection_problems(grants: Grants) -> list[Problem]:
    roles, issued = _there(grants)
    found = _selects_too_little(roles, issued)
    for role in roles:
        found += [_wrong_by(grants, role, said) for said in _selects_too_much(role, grants)]
    return found


def _selects_too_little(roles: Sequence[Role], issued: Sequence[WorkloadIdentity]) -> list[Problem]:
    # Only Teleport knows whether a pattern matches; the pattern itself is a problem.
    if any(_patterns(role) - {"*"} for role in roles):
        return []
    selection = listed((_selection(role) for role in roles if role.labels), "no labels")
    return [
        Problem(
            ref(roles[0]),
            f"it matches {selection}; the identity{_name_of(identity, issued)} has {_pairs(identity.labels)}, so nothing is"
            " issued",
            "role-matches-nothing",
            readings(*roles, identity),
        )
        for identity in issued
        if not any(role.matches(identity.labels) for role in roles)
    ]


def _selects_too_much(role: Role, grants: Grants) -> list[str]:
    _roles, issued = _there(grants)
    needed = {(key, value) for identity in issued for key, value in identity.labels.items()}
    patterns = _patterns(role)
    wide = [
        key
        for key, values in role.labels.items()
        if key == "*" or patterns & {*values} or (len(values) > 1 and any((key, value) not in needed for value in values))
    ]
    names = {identity.name for identity in issued}
    others = [i.name for i in grants.everything.identities if i.name not in names and role.matches(i.labels)]
    statements = {
        f"it matches more than the identity: {listed(f'{k}: {listed(role.labels[k])}' for k in wide)}": wide,
        f"it also selects {listed(others)}, which no service of tbot does": others,
        f"it also selects by the expression {prose(role.labels_expression)!r}": role.labels_expression,
        f"it also grants access by {listed(role.other_access)}": role.other_access,
    }
    return true_ones(statements)


def _wrong_by(grants: Grants, role: Role, said: str) -> Problem:
    return Problem(ref(role), said, "role-too-wide", (*role.evidence, *grants.everything.evidence))


def _patterns(role: Role) -> set[str]:
    return {value for values in role.labels.values() for value in values if _PATTERN.search(value)}


def rules_are_minimal(grants: Grants) -> Finding:
    """INST-11, rules: together the bot's roles allow list and read on workload identities, and nothing else."""
    if missing := [role for role in grants.roles if isinstance(role, Absent)]:
        return _absent("INST-11", grants, missing)
    roles, _issued = _there(grants)
    claim = Claim("INST-11", f"the role to allow list and read on {KIND}, and nothing else", _named(roles), readings(*roles))
    return claim.judged(_rule_problems(roles), f"it allows list and read on {KIND}")


def _rule_problems(roles: Sequence[Role]) -> list[Problem]:
    needed = {"list", "read"}
    granted = {verb for role in roles for verb in role.verbs_on(KIND)}
    missing = set() if "*" in granted else needed - granted
    found = []
    for number, role in enumerate(roles):
        further = role.verbs_on(KIND) - needed
        others = {r for rule in role.rules for r in rule.resources if r != KIND}
        conditions = [rule.where for rule in role.rules if rule.where]
        statements = {
            f"it lacks {listed(missing)} on {KIND}": missing and number == 0,
            f"it allows {listed(further)} on {KIND}": further,
            f"it has rules on {listed(others)}": others,
            f"it allows only under the condition {prose(listed(conditions))}": conditions,
            f"it denies {listed(role.denials)}, which overrides what it allows": role.denials,
        }
        found += [wrong(role, said, "role-rules-wrong") for said in true_ones(statements)]
    return found


def every_role_grants_an_identity(grants: Grants) -> Finding:
    """INST-11, reach: each of the bot's roles selects an identity that tbot issues; another one would grant more."""
    roles, issued = _there(grants)
    expected = "each role of the bot to grant an identity that tbot issues"
    claim = Claim("INST-11", expected, _named(grants.roles), grants.evidence)
    # A single role that grants nothing is told by its labels.
    idle = [role for role in roles if not any(role.matches(i.labels) for i in issued)] if len(grants.roles) > 1 else []
    said = "the bot has it as well, and it grants none of the identities that tbot issues"
    problems = [wrong(role, said, "bot-has-other-roles") for role in idle]
    return claim.judged(problems, f"the bot has the role {listed(role.name for role in roles)}")


def grant_problems(grants: Grants) -> list[Problem]:
    """All problems of the bot's roles, which must grant what tbot issues and nothing wider."""
    if missing := _missing(grants):
        return [absent_problem(each) for each in missing]
    return _selection_problems(grants) + _rule_problems(_there(grants)[0])


def id_templates_are_istios(identities: Sequence[WorkloadIdentity | Absent], template: str = ISTIO_ID) -> Finding:
    """INST-12: each template builds exactly ``/ns/<namespace>/sa/<service account>``; blanks inside braces mean nothing.

    Args:
        identities: The workload identities that tbot issues to the mesh.
        template: The template that the catalogue promises.
    """
    claim = Claim("INST-12", f"the SPIFFE ID template to be {template}", _named(identities), readings(*identities))
    problems = [problem for identity in identities for problem in template_problems(identity, template)]
    return claim.judged(problems, listed(i.spiffe_id for i in identities if isinstance(i, WorkloadIdentity)))


def template_problems(identity: WorkloadIdentity | Absent, wanted: str = ISTIO_ID) -> list[Problem]:
    """A problem unless an identity exists and its template builds IDs in Istio's form."""
    if isinstance(identity, Absent):
        return [absent_problem(identity)]
    template = identity.spiffe_id
    if identity.scope:
        begin = f"{identity.scope.rstrip('/')}/_/"
        said = f"it belongs to the scope {identity.scope}: its IDs begin with {begin} whatever its template"
        return [wrong(identity, said, "identity-scoped")]
    if _packed(template) == _packed(wanted):
        return []
    if template.endswith("/"):
        said = f"its template {template} ends with a slash, which SPIFFE IDs must not"
        return [wrong(identity, said, "identity-template-trailing-slash")]
    if "{{" not in template:
        said = f"its template is {template or 'empty'}: every workload gets the same SPIFFE ID"
        return [wrong(identity, said, "identity-template-fixed")]
    if "/sa/" not in template:
        said = f"its template {template} lacks /sa/, so that peers and policies do not recognise the IDs"
        return [wrong(identity, said, "identity-template-without-sa")]
    return [wrong(identity, f"its template is {template}")]


def _missing(grants: Grants) -> list[Absent]:
    """Roles that do not exist; where they all do, workload identities that do not."""
    roles = [role for role in grants.roles if isinstance(role, Absent)]
    return roles or [identity for identity in grants.selected if isinstance(identity, Absent)]


def _there(grants: Grants) -> tuple[list[Role], list[WorkloadIdentity]]:
    return (
        [role for role in grants.roles if isinstance(role, Role)],
        [identity for identity in grants.selected if isinstance(identity, WorkloadIdentity)],
    )


def _absent(requirement: str, grants: Grants, missing: Sequence[Absent]) -> Finding:
    where = _named(missing)
    evidence = (*readings(*missing), *grants.evidence)
    return Claim(requirement, f"{where} to exist", where, evidence).judged([absent_problem(each) for each in missing])


def _named(resources: Sequence[Role | WorkloadIdentity | Absent]) -> str:
    return " and ".join(str(ref(each)) for each in resources)


def _name_of(identity: WorkloadIdentity, issued: Sequence[WorkloadIdentity]) -> str:
    return f" {identity.name}" if len(issued) > 1 else ""


def _pairs(labels: Mapping[str, str]) -> str:
    return listed(f"{key}: {value}" for key, value in labels.items())


def _selection(role: Role) -> str:
    return ", ".join(f"{k}: {listed(v)}" for k, v in role.labels.items())


def _packed(template: str) -> str:
    return re.sub(r"\{\{\s*(.*?)\s*\}\}", r"{{\1}}", template)
