"""Judgments about rights in RBAC: who can use tbot's service account (HYG-02), and what this account may do (HYG-03)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from facts.evidence import ObjectRef, readings
from facts.finding import Finding, Problem, Remark
from facts.kubernetes.access import resource_name, service_account_user
from facts.kubernetes.rbac import ANY, Grant, Rbac, RbacSubject, Rule
from facts.teleport.tbot import Tbot
from judge.findings import Claim, listed

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
    """

    verbs: tuple[str, ...]
    group: str
    resources: tuple[str, ...]
    of_account: bool = False
    of_pods: bool = False

    def names(self, rule: Rule, verb: str, account: str, pods: Sequence[str]) -> Sequence[str]:
        """Names of the objects with which the right counts, for `Rule.allows`."""
        if self.of_account:
            return [account]
        if self.of_pods:
            return pods
        # A change of workloads may be limited to some of them, and the suite does not know which of them are tbot's.
        return () if verb in _NEW else rule.names


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
)
"""Rights in tbot's namespace that amount to its service account: to run a pod of it, to change one or a workload that makes
some, to enter one, to ask for a token, and to impersonate it. Source: Kubernetes, "RBAC good practices"."""

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
        f"only {listed(expected, 'Kubernetes itself')} to be able to use tbot's service account",
        str(ObjectRef("ServiceAccount", name, namespace)),
        readings(tbot, rbac),
    )
    problems: dict[Problem, None] = {}
    held: dict[Remark, None] = {}
    left_out: dict[Remark, None] = {}
    for grant in rbac.grants():
        if not (can := _ways_of(grant, tbot, name)):
            continue
        said = f"it may {can} in {namespace} ({grant})"
        for subject in grant.binding.subjects:
            if subject.includes(user, ()):
                continue  # the account itself: HYG-03 judges what it may do
            if _is_of_control_plane(grant, subject):
                left_out[Remark(subject.ref, f"{OF_CONTROL_PLANE} ({grant.binding.ref})")] = None
            elif str(subject) in expected:
                held[Remark(subject.ref, said)] = None
            else:
                problems[Problem(subject.ref, said, USABLE_BY_OTHERS, grant.evidence)] = None
    return claim.judged(
        problems, "" if held else "RBAC lets nobody use it besides Kubernetes itself", held=held, left_out=left_out
    )


def _ways_of(grant: Grant, tbot: Tbot, account: str) -> str:
    """The rights of a grant that amount to tbot's service account, in words; empty for none."""
    if not grant.reaches(tbot.daemon_set.namespace):
        return ""
    pods = [pod.name for pod in tbot.pods.values()]
    found: dict[str, None] = {}
    for way in WAYS:
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
    problems = [
        Problem(account, f"it may {listed(further)} ({grant})", FURTHER_RIGHTS, grant.evidence)
        for grant in grants
        if (further := list(_further(grant)))
    ]
    return claim.judged(problems, f"it has {listed(_needed(grants), 'no right')}")


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
