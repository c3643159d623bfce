"""Rights: the API server's answer to one SelfSubjectAccessReview."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from facts.declared import At, Declared, Text, read
from facts.document import damaged


@dataclass(frozen=True, slots=True)
class Right:
    """A verb on a resource, and whether the identity in use has it.

    Attributes:
        verb: ``get``, ``list``, ``create`` …
        resource: Plural name, with its group and subresource: ``deployments.apps``, ``pods/log``, and the namespace where
            the right is for one: ``leases.coordination.k8s.io in kube-system``; or a path of the API server that is no
            resource, such as ``/openid/v1/jwks``.
        allowed: The API server's answer.
        evidence: Ids of the readings.
    """

    verb: str
    resource: str
    allowed: bool
    evidence: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}"


@dataclass(frozen=True, slots=True)
class _Resource(Declared):
    verb: str
    resource: str
    group: Text
    subresource: Text
    namespace: Text

    def __str__(self) -> str:
        group, subresource = f".{self.group}" if self.group else "", f"/{self.subresource}" if self.subresource else ""
        return f"{self.resource}{group}{subresource}{f' in {self.namespace}' if self.namespace else ''}"


@dataclass(frozen=True, slots=True)
class _Path(Declared):
    verb: str
    path: str


@dataclass(frozen=True, slots=True)
class _Review(Declared):
    allowed: Annotated[bool, At("status.allowed")]
    path: Annotated[_Path | None, At("spec.nonResourceAttributes")] = None
    asked: Annotated[_Resource | None, At("spec.resourceAttributes")] = None


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
    return Right(review.asked.verb, str(review.asked), review.allowed, evidence)
