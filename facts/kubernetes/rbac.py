"""Role-based access control of Kubernetes: roles, and the bindings that give them to users, groups and service accounts.

Every parser takes the decoded JSON of one object. An item of a list lacks ``kind``, so what has no namespace is a
ClusterRole or a ClusterRoleBinding. Source: Kubernetes API, rbac.authorization.k8s.io/v1.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from facts.declared import At, Declared, Given, Many, Text, read
from facts.evidence import ObjectRef, readings
from facts.kubernetes.access import resource_name
from facts.kubernetes.objects import named, object_with
from facts.masks import keeps

ANY = "*"
"""Every verb, API group, resource or path."""


@dataclass(frozen=True, slots=True)
class Rule(Declared):
    """One rule of a role: all of its verbs on all of its resources, or on all of its paths.

    Attributes:
        verbs: ``get``, ``create`` …, or `ANY`.
        groups: API groups; the empty text is the core group.
        resources: Plural names, with a subresource behind a slash; ``*/exec`` is that subresource of every resource.
        names: Names of the objects that it is limited to; empty for all.
        paths: Paths of the API server that are no resources; they count only where a ClusterRoleBinding gives them.
    """

    verbs: Many[str]
    groups: Annotated[Many[str], At("apiGroups")]
    resources: Many[str]
    names: Annotated[Many[str], At("resourceNames")]
    paths: Annotated[Many[str], At("nonResourceURLs")]

    def __str__(self) -> str:
        things = [*self.paths]
        groups = self.groups or ("",)
        things += [resource_name(each, group) for group in groups for each in self.resources]
        limited = f" called {', '.join(self.names)}" if self.names else ""
        return f"{', '.join(self.verbs)} {', '.join(things)}{limited}"

    def covers(self, group: str, resource: str) -> bool:
        """Tell whether the rule is about a resource.

        Args:
            group: API group; empty for core.
            resource: Plural name, with a subresource behind a slash.
        """
        if not {group, ANY} & {*self.groups}:
            return False
        _plural, slash, subresource = resource.partition("/")
        return bool({ANY, resource, *([f"{ANY}/{subresource}"] if slash else [])} & {*self.resources})

    def allows(self, verb: str, group: str, resource: str, names: Collection[str] = ()) -> bool:
        """Tell whether the rule allows a verb on a resource.

        Args:
            verb: ``create`` …
            group: API group; empty for core.
            resource: Plural name, with a subresource behind a slash.
            names: Names of the objects in question; empty for a new object, whose name the API server does not know yet. A
                rule that is limited to other names does not allow it.
        """
        if not {verb, ANY} & {*self.verbs} or not self.covers(group, resource):
            return False
        return not self.names or bool({*self.names} & {*names})


@dataclass(frozen=True, slots=True)
class RbacRole(Declared):
    """A Role, or without a namespace a ClusterRole.

    Attributes:
        namespace: Its namespace; empty for a ClusterRole.
        rules: Its rules; those of an aggregated ClusterRole are in it already, Kubernetes copies them.
        is_aggregated: Kubernetes makes its rules of those of other ClusterRoles.
        evidence: Ids of the readings it was made from.
    """

    namespace: Annotated[Text, At("metadata.namespace")]
    name: Annotated[str, At("metadata.name")]
    rules: Many[Rule]
    is_aggregated: Annotated[Given, At("aggregationRule")]
    evidence: tuple[str, ...]

    @property
    def ref(self) -> ObjectRef:
        """The role as the subject of a reading."""
        return ObjectRef("Role" if self.namespace else "ClusterRole", self.name, self.namespace)


@dataclass(frozen=True, slots=True)
class RbacSubject(Declared):
    """A holder of rights.

    Attributes:
        kind: ``User``, ``Group`` or ``ServiceAccount``.
        namespace: Of a service account.
    """

    kind: str
    name: str
    namespace: Text

    @property
    def ref(self) -> ObjectRef:
        """The holder as the subject of a finding."""
        return ObjectRef(self.kind, self.name, self.namespace)

    def __str__(self) -> str:
        return str(self.ref)

    def includes(self, user: str, groups: Collection[str]) -> bool:
        """Tell whether an identity is this one or belongs to this group.

        Args:
            user: Name of the user, for a service account ``system:serviceaccount:NAMESPACE:NAME``.
            groups: Groups that the user is in.
        """
        if self.kind == "Group":
            return self.name in groups
        own = f"system:serviceaccount:{self.namespace}:{self.name}" if self.kind == "ServiceAccount" else self.name
        return own == user


@dataclass(frozen=True, slots=True)
class Binding(Declared):
    """A RoleBinding, or without a namespace a ClusterRoleBinding.

    Attributes:
        namespace: The namespace in which it gives the role's rights; empty for the whole cluster.
        role_kind: ``Role`` or ``ClusterRole``.
        subjects: Those that it gives the role to.
        evidence: Ids of the readings it was made from.
    """

    namespace: Annotated[Text, At("metadata.namespace")]
    name: Annotated[str, At("metadata.name")]
    role_kind: Annotated[str, At("roleRef.kind")]
    role: Annotated[str, At("roleRef.name")]
    subjects: Many[RbacSubject]
    evidence: tuple[str, ...]

    @property
    def ref(self) -> ObjectRef:
        """The binding as the subject of a reading."""
        return ObjectRef("RoleBinding" if self.namespace else "ClusterRoleBinding", self.name, self.namespace)


@dataclass(frozen=True, slots=True)
class Grant:
    """A role that a binding gives to its subjects."""

    binding: Binding
    role: RbacRole

    @property
    def evidence(self) -> tuple[str, ...]:
        """Ids of the readings."""
        return readings(self.binding, self.role)

    def __str__(self) -> str:
        return f"{self.binding.ref}, {self.role.ref}"

    def reaches(self, namespace: str) -> bool:
        """Tell whether its rights count in a namespace."""
        return self.binding.namespace in ("", namespace)


@dataclass(frozen=True, slots=True)
class Rbac:
    """All roles and bindings of a cluster.

    Attributes:
        roles: Every Role and ClusterRole.
        bindings: Every RoleBinding and ClusterRoleBinding.
    """

    roles: tuple[RbacRole, ...]
    bindings: tuple[Binding, ...]

    @property
    def evidence(self) -> tuple[str, ...]:
        """Ids of the readings."""
        return readings(*self.roles, *self.bindings)

    def grants(self) -> Iterator[Grant]:
        """Every binding with its role; a binding whose role does not exist gives nothing."""
        by_name = {(role.namespace, role.name): role for role in self.roles}
        for binding in self.bindings:
            role = by_name.get((binding.namespace if binding.role_kind == "Role" else "", binding.role))
            if role is not None:
                yield Grant(binding, role)

    def grants_to(self, user: str, groups: Collection[str]) -> Iterator[Grant]:
        """Every grant that an identity has, by itself or as a member of a group."""
        for grant in self.grants():
            if any(subject.includes(user, groups) for subject in grant.binding.subjects):
                yield grant


@keeps(object_with(RbacRole))
def parse_rbac_role(document: Any, evidence: tuple[str, ...] = ()) -> RbacRole:
    """Reads a Role or ClusterRole.

    Raises:
        CouldNotTell: A field is missing or damaged.
    """
    return read(RbacRole, document, named("Role", document), evidence=evidence)


@keeps(object_with(Binding))
def parse_binding(document: Any, evidence: tuple[str, ...] = ()) -> Binding:
    """Reads a RoleBinding or ClusterRoleBinding.

    Raises:
        CouldNotTell: A field is missing or damaged.
    """
    return read(Binding, document, named("RoleBinding", document), evidence=evidence)
