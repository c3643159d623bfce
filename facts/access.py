"""Rights: what the API server said to one SelfSubjectAccessReview."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Right:
    """A verb on a resource, and whether the identity in use has it.

    Attributes:
        verb: ``get``, ``list``, ``create`` …
        resource: Plural name, with its group and subresource: ``deployments.apps``, ``pods/log``.
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
