"""Rights: the API server's answer to an access review, and its words when it denies a request."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any

from facts.declared import At, Declared, Text, mask_of, read
from facts.document import damaged
from facts.masks import keeps


@dataclass(frozen=True, slots=True)
class Right:
    """A verb on a resource, and whether an identity has it: the one in use, or the one that the review was about.

    Attributes:
        verb: ``get``, ``list``, ``create`` …
        resource: Plural name, with its group and subresource: ``deployments.apps``, ``pods/log``; or a path of the API
            server that is no resource, such as ``/openid/v1/jwks``.
        allowed: The API server's answer.
        evidence: Ids of the readings.
        namespace: The namespace in question; empty for the whole cluster.
        reason: The API server's reason for its answer, which names the binding and the role where RBAC allows it; only of a
            SubjectAccessReview, and empty where it gives none.
    """

    verb: str
    resource: str
    allowed: bool
    evidence: tuple[str, ...]
    namespace: str = ""
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}{f' in {self.namespace}' if self.namespace else ''}"


@dataclass(frozen=True, slots=True)
class _Resource(Declared):
    verb: str
    resource: str
    group: Text
    subresource: Text
    namespace: Text

    def __str__(self) -> str:
        return resource_name(f"{self.resource}/{self.subresource}" if self.subresource else self.resource, self.group)


@dataclass(frozen=True, slots=True)
class _Path(Declared):
    verb: str
    path: str


@dataclass(frozen=True, slots=True)
class _Review(Declared):
    allowed: Annotated[bool, At("status.allowed")]
    path: Annotated[_Path | None, At("spec.nonResourceAttributes")] = None
    asked: Annotated[_Resource | None, At("spec.resourceAttributes")] = None


@keeps(mask_of(_Review))
def parse_review(document: Any, evidence: tuple[str, ...] = ()) -> Right:
    """Reads the answer to a SelfSubjectAccessReview; the API server repeats in it what it was asked.

    Raises:
        CouldNotTell: It is none.
    """
    where = "SelfSubjectAccessReview"
    review = read(_Review, document, where)
    if review.path:
        return Right(review.path.verb, review.path.path, review.allowed, evidence)
    if not review.asked:
        raise damaged("the field spec.resourceAttributes", "it is missing", where)
    return Right(review.asked.verb, str(review.asked), review.allowed, evidence, review.asked.namespace)


@dataclass(frozen=True, slots=True)
class _OfSubject(Declared):
    allowed: Annotated[bool, At("status.allowed")]
    asked: Annotated[_Resource, At("spec.resourceAttributes")]
    reason: Annotated[Text, At("status.reason")]


@keeps(mask_of(_OfSubject))
def parse_subject_review(document: Any, evidence: tuple[str, ...] = ()) -> Right:
    """Reads the answer to a SubjectAccessReview about a resource.

    Raises:
        CouldNotTell: It is none.
    """
    review = read(_OfSubject, document, "SubjectAccessReview")
    asked = review.asked
    return Right(asked.verb, str(asked), review.allowed, evidence, asked.namespace, review.reason)


_DENIED = re.compile(
    r'User "(?:[^"\\]|\\.)*" cannot (?P<verb>[a-z]+) '
    r'(?:resource "(?P<resource>[^"]+)" in API group "(?P<group>[^"]*)"(?: in the namespace "(?P<namespace>[^"]+)")?'
    r'|path "(?P<path>[^"]+)")'
)
"""The words of Kubernetes' authorization; admission and quotas use others."""


def denied_right(words: str) -> Right | None:
    """Return the right that the API server says is missing; None where it says something else.

    Args:
        words: Message of the API server's answer, or what kubectl prints of it.
    """
    found = _DENIED.search(words)
    if found is None:
        return None
    named = found["path"] or resource_name(found["resource"], found["group"])
    return Right(found["verb"], named, allowed=False, evidence=(), namespace=found["namespace"] or "")


def service_account_user(namespace: str, name: str) -> tuple[str, tuple[str, ...]]:
    """Return the user that a service account is for the API server, and the groups of that user."""
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
    return f"system:serviceaccount:{namespace}:{name}", groups


def resource_name(resource: str, group: str) -> str:
    """Return a resource as kubectl names it: ``pods/log``, ``deployments.apps``, ``deployments.apps/scale``.

    Args:
        resource: Plural name, with a subresource behind a slash; or a path, which has no group.
        group: API group; empty for core.
    """
    plural, slash, subresource = resource.partition("/")
    return f"{plural}.{group}{slash}{subresource}" if group else resource
