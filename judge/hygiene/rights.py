"""Judgments about rights in RBAC: who can use tbot's service account (HYG-02), and what this account may do (HYG-03)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from facts.evidence import ObjectRef, readings
from facts.finding import Finding, Problem, Remark
from facts.kubernetes.access import resource_name, service_account_user
from facts.kubernetes.rbac import ANY, Grant, Rbac, RbacSubject, Rule
from judge.findings import Claim, listed
from providers.teleport.facts.tbot import Tbot

USABLE_BY_OTHERS = "tbot-account-usable-by-others"
FURTHER_RIGHTS = "tbot-has-further-rights"

CORE, APPS, BATCH = "", "apps", "batch"

_NEW = ("create",)
_CHANGED = ("update", "patch")
_STREAM = ("get", "create")
"""Verbs that open a stream into a container: ``get`` over a websocket, ``create`` otherwise, and both from 1.35 on."""


@dataclass(frozen=True, slots=True)
class Way:
    """A right with which somebody acts as a service account.

    Attributes:
        verbs: Any one of them is enough.
        group: API group; empty for core.
        resources: Plural names, with a subresource behind a slash.
        of_account: The right may be limited to objects by name, and counts where the account's name is among them.
        of_pods: The same with the names of its pods.
        of_nodes: The right is about nodes, so that it counts in the whole cluster alone, whatever nodes it is limited to.
    """

    verbs: tuple[str, ...]
    group: str
    resources: tuple[str, ...]
    of_account: bool = False
    of_pods: bool = False
    of_nodes: bool = False

    def names(self, rule: Rule, verb: str, account: str, pods: Sequence[str]) -> Sequence[str]:
        """Names of the objects with which the right counts, for `Rule.allows`."""
        if self.of_account:
            return [account]
        if self.of_pods:
            return pods
        # A change of workloads may be limited to some of them, and the suite does not know which of them are tbot's.
        return () if verb in _NEW and not self.of_nodes else rule.names


WAYS = (
    Way(_NEW, CORE, ("pods", "replicationcontrollers")),
    Way(_NEW, APPS, ("daemonsets", "deployments", "replicasets", "statefulsets")),
    Way(_NEW, BATCH, ("cronjobs", "jobs")),
    Way(_CHANGED, CORE, ("pods", "pods/ephemeralcontainers"), of_pods=True),
    Way(_CHANGED, CORE, ("replicationcontrollers",)),
    Way(_CHANGED, APPS, ("daemonsets", "deployments", "replicasets", "statefulsets")),
    Way(_CHANGED, BATCH, ("cronjobs",)),
    Way(_STREAM, CORE, ("pods/exec", "pods/attach"), of_pods=True),
    Way(_NEW, CORE, ("serviceaccounts/token",), of_account=True),
    Way(("impersonate",), CORE, ("serviceaccounts",), of_account=True),
    Way(_NEW, CORE, ("nodes/proxy",), of_nodes=True),
)
"""Rights in tbot's namespace that amount to its service account: to run a pod of it, to change one or a workload that makes
some, to enter one, also through its kubelet, to ask for a token, and to impersonate it. Source: Kubernetes, "RBAC good
practices"."""

_READ = ("get", "list", "watch")
_ANY_WRITE = ("create", "update", "patch", "delete", "deletecollection")
_WORKLOADS = ("daemonsets", "deployments", "replicasets", "statefulsets")
_RBAC = ("roles", "rolebindings", "clusterroles", "clusterrolebindings")

GRAVE = (
    Way((*_READ, *_ANY_WRITE), CORE, ("secrets",)),
    Way(_STREAM, CORE, ("pods/exec", "pods/attach", "pods/portforward")),
    Way(_ANY_WRITE, CORE, ("pods", "pods/ephemeralcontainers", "replicationcontrollers", "serviceaccounts/token")),
    Way(_ANY_WRITE, APPS, _WORKLOADS),
    Way(_ANY_WRITE, BATCH, ("cronjobs", "jobs")),
    Way((*_ANY_WRITE, "bind", "escalate"), "rbac.authorization.k8s.io", _RBAC),
    Way(("impersonate",), CORE, ("users", "groups", "serviceaccounts")),
)
"""Rights that no service account should have because every other has them, too."""

EVERYBODY = ("system:authenticated", "system:serviceaccounts")
"""Groups to which platforms give rights of their own, e.g. to read the kinds of an extension."""

OF_CONTROL_PLANE = "it is Kubernetes' own control plane"
"""Why a holder is left out."""

OF_INST_18 = frozenset({"nodes/pods", "nodes/proxy"})
"""Rights at the kubelet that INST-18 judges."""

FOR_EVERYBODY = frozenset(
    {
        "/api", "/apis", "/openapi", "/version", "/version/", "/healthz", "/livez", "/readyz",
        "/.well-known/openid-configuration", "/.well-known/openid-configuration/", "/openid/v1/jwks", "/openid/v1/jwks/",
    }
)  # fmt: skip
"""Paths that Kubernetes lets every user read; ``/api/*`` and the like as well."""

SELF_REVIEWS = (
    ("authorization.k8s.io", frozenset({"selfsubjectaccessreviews", "selfsubjectrulesreviews"})),
    ("authentication.k8s.io", frozenset({"selfsubjectreviews"})),
)
"""Questions of a user about itself, which change nothing, and which Kubernetes lets every user ask."""


def only_expected_subjects_use_it(rbac: Rbac, tbot: Tbot, expected: Collection[str]) -> Finding:
    """HYG-02: nobody but the expected subjects can run pods as tbot's service account, enter its pods or get its token.

    Args:
        rbac: All roles and bindings.
        tbot: The installed tbot.
        expected: Subjects as ``User NAME``, ``Group NAME`` or ``ServiceAccount NAMESPACE/NAME``.
    """
    namespace, _colon, name = tbot.service_account.partition(":")
    user, _groups = service_account_user(namespace, name)
    claim = Claim(
        "HYG-02",
        f"only {listed(expected, 'Kubernetes itself')} to be able to use tbot's service account, not counting who may first"
        " give themselves a right (bind, escalate, create rolebindings)",
        str(ObjectRef("ServiceAccount", name, namespace)),
        readings(tbot, rbac),
    )
    problems: dict[Problem, None] = {}
    held: dict[Remark, None] = {}
    left_out: dict[Remark, None] = {}
    ways = [
        (grant, f"it may {can} in {namespace} ({grant})")
        for grant in rbac.grants()
        if grant.reaches(namespace) and (can := _ways_of(grant, tbot, name))
    ]
    uses = [(subject, said, (grant,)) for grant, said in ways for subject in grant.binding.subjects]
    for subject, said, grants in (*uses, *_by_a_secret(rbac, namespace)):
        if subject.includes(user, ()):
            continue  # the account itself: HYG-03 judges what it may do
        if all(_is_of_control_plane(grant, subject) for grant in grants):
            bindings = listed(str(grant.binding.ref) for grant in grants)
            left_out[Remark(subject.ref, f"{OF_CONTROL_PLANE} ({bindings})")] = None
        elif str(subject) in expected:
            held[Remark(subject.ref, said)] = None
        else:
            problems[Problem(subject.ref, said, USABLE_BY_OTHERS, readings(*grants))] = None
    return claim.judged(
        problems, "" if held else "RBAC lets nobody use it besides Kubernetes itself", held=held, left_out=left_out
    )


def _by_a_secret(rbac: Rbac, namespace: str) -> Iterator[tuple[RbacSubject, str, tuple[Grant, ...]]]:
    """Yield each subject that may create a Secret in a namespace and read it, by one grant or two, and what it may do.

    Kubernetes writes a token into a Secret of type ``kubernetes.io/service-account-token`` for the account that it names.
    """
    there = [grant for grant in rbac.grants() if grant.reaches(namespace)]
    held = [(subject, grant) for grant in there for subject in grant.binding.subjects]
    # The last one of a subject is taken: what excuses Kubernetes' own parts must not stand before another grant of theirs.
    held.sort(key=lambda each: not _is_of_control_plane(each[1], each[0]))
    may_create, may_read = (
        {str(subject): (subject, grant) for subject, grant in held if _allows(grant, verbs)} for verbs in (_NEW, _READ)
    )
    for name, (subject, creating) in may_create.items():
        if name in may_read:
            grants = tuple(dict.fromkeys((creating, may_read[name][1])))
            by = "; ".join(map(str, grants))
            yield subject, f"it may create secrets and read them in {namespace}, and so get a token in one ({by})", grants


def _allows(grant: Grant, verbs: Sequence[str]) -> bool:
    """Tell whether a grant allows one of these verbs on Secrets; who may create one may give it any name."""
    rules = grant.role.rules
    return any(r.allows(verb, CORE, "secrets", () if verb in _NEW else r.names) for r in rules for verb in verbs)


def _ways_of(grant: Grant, tbot: Tbot, account: str) -> str:
    """The rights of a grant in tbot's namespace that amount to its service account, in words; empty for none."""
    pods = [pod.name for pod in tbot.pods.values()]
    found: dict[str, None] = {}
    in_force = (way for way in WAYS if not (way.of_nodes and grant.binding.namespace))
    for way in in_force:
        for resource in way.resources:
            verbs = [
                verb
                for verb in way.verbs
                for rule in grant.role.rules
                if rule.allows(verb, way.group, resource, way.names(rule, verb, account, pods))
            ]
            if verbs:
                found[f"{' and '.join(dict.fromkeys(verbs))} {resource_name(resource, way.group)}"] = None
    return ", ".join(found)


def _is_of_control_plane(grant: Grant, subject: RbacSubject) -> bool:
    """Tell whether a holder is a part of Kubernetes, by a binding that only an administrator of the cluster can make."""
    if subject.kind == "Group" and subject.name == "system:masters":
        return True  # the API server asks no authorizer about its members
    if grant.binding.namespace:
        return False
    if subject.kind == "ServiceAccount":
        return subject.namespace == "kube-system" and grant.role.name == f"system:controller:{subject.name}"
    return subject.kind == "User" and subject.name == grant.role.name and subject.name.startswith("system:kube-")


def may_do_only_what_attestation_needs(rbac: Rbac, tbot: Tbot) -> Finding:
    """HYG-03: RBAC gives tbot's service account nothing but its right at the kubelet, which INST-18 judges.

    What it has because every user or every service account has it is noted, and breaks this only where it is grave: rights
    on Secrets, into containers, and to change workloads or RBAC.

    Args:
        rbac: All roles and bindings.
        tbot: The installed tbot.
    """
    namespace, _colon, name = tbot.service_account.partition(":")
    account = ObjectRef("ServiceAccount", name, namespace)
    user, groups = service_account_user(namespace, name)
    claim = Claim(
        "HYG-03",
        "RBAC to give tbot's service account nothing beside its right at the kubelet",
        str(account),
        readings(tbot, rbac),
    )
    grants = list(rbac.grants_to(user, groups))
    problems: list[Problem] = []
    notes: list[Problem] = []
    for grant in grants:
        if further := listed(_further(grant), ""):
            if _is_for_all(grant, user, groups) and not _is_grave(grant):
                notes.append(Problem(account, f"as everybody, it may {further} ({grant})", evidence=grant.evidence))
            else:
                problems.append(Problem(account, f"it may {further} ({grant})", FURTHER_RIGHTS, grant.evidence))
    return claim.judged(problems, f"it has {listed(_needed(grants), 'no right')}", notes=notes)


def _is_for_all(grant: Grant, user: str, groups: Collection[str]) -> bool:
    """Tell whether a grant is to the account only as to every user or every service account."""
    through = [subject for subject in grant.binding.subjects if subject.includes(user, groups)]
    return all(subject.kind == "Group" and subject.name in EVERYBODY for subject in through)


def _is_grave(grant: Grant) -> bool:
    return any(
        rule.allows(verb, way.group, resource, rule.names)
        for rule in grant.role.rules
        for way in GRAVE
        for resource in way.resources
        for verb in way.verbs
    )


def _further(grant: Grant) -> Iterator[str]:
    """The rights of a grant that attestation does not need, each in words."""
    where = f" in {grant.binding.namespace}" if grant.binding.namespace else " in the whole cluster"
    for rule in grant.role.rules:
        resources = [each for each in rule.resources if not _is_harmless(rule, each)]
        paths = [each for each in rule.paths if not grant.binding.namespace and not _is_for_everybody(rule, each)]
        if resources:
            yield f"{Rule(rule.verbs, rule.groups, tuple(resources), rule.names, ())}{where}"
        if paths:
            yield str(Rule(rule.verbs, (), (), (), tuple(paths)))


def _is_harmless(rule: Rule, resource: str) -> bool:
    """Tell whether a right on a resource is judged by INST-18, or is one that every user has."""
    if {*rule.groups} == {CORE} and resource in OF_INST_18:
        return True
    return any({*rule.groups} == {group} and {*rule.verbs} == {"create"} and resource in of for group, of in SELF_REVIEWS)


def _is_for_everybody(rule: Rule, path: str) -> bool:
    return {*rule.verbs} <= {"get", "head"} and (path in FOR_EVERYBODY or path.removesuffix(f"/{ANY}") in FOR_EVERYBODY)


def _needed(grants: Iterable[Grant]) -> Iterator[str]:
    for grant in grants:
        for rule in grant.role.rules:
            if found := tuple(each for each in rule.resources if each in OF_INST_18):
                yield f"{Rule(rule.verbs, rule.groups, found, rule.names, ())} ({grant})"
