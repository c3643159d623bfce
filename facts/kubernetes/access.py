"""Rights: what the API server said to one SelfSubjectAccessReview."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from facts.document import maybe, need


@dataclass(frozen=True, slots=True)
class Right:
    """A verb on a resource, and whether the identity in use has it.

    Attributes:
        verb: ``get``, ``list``, ``create`` …
        resource: Plural name, with its group and subresource: ``deployments.apps``, ``pods/log``; or a path of the API
            server that is no resource, such as ``/openid/v1/jwks``.
        namespace: Empty for all namespaces or for a resource that has none.
        allowed: The API server's answer.
        evidence: Ids of the readings.
    """

    verb: str
    resource: str
    namespace: str
    allowed: bool
    evidence: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}" + (f" in {self.namespace}" if self.namespace else "")


def parse_review(document: Any, evidence: tuple[str, ...] = ()) -> Right:
    """Reads the answer to a SelfSubjectAccessReview; the API server repeats in it what it was asked.

    Raises:
        CouldNotTell: It is none.
    """
    where = "SelfSubjectAccessReview"
    allowed = need(document, "status.allowed", bool, where)
    if path := maybe(document, "spec.nonResourceAttributes", dict[str, Any](), where):
        verb = need(path, "verb", str, where)
        return Right(verb, need(path, "path", str, where), namespace="", allowed=allowed, evidence=evidence)
    asked = need(document, "spec.resourceAttributes", dict, where)
    group, subresource = maybe(asked, "group", "", where), maybe(asked, "subresource", "", where)
    resource = (
        need(asked, "resource", str, where) + (f".{group}" if group else "") + (f"/{subresource}" if subresource else "")
    )
    return Right(
        verb=need(asked, "verb", str, where),
        resource=resource,
        namespace=maybe(asked, "namespace", "", where),
        allowed=allowed,
        evidence=evidence,
    )
