"""Denied requests: the right that is missing, by name, so that what depends on it is *not-evaluated* and not an error."""

from __future__ import annotations

from collections.abc import Iterable

from facts.errors import CouldNotTell, NotGiven
from facts.kubernetes.access import denied_right


def denial(words: str, where: str) -> NotGiven | None:
    """Return the error that names the missing right; None where the words tell of something else.

    Args:
        words: Message of the API server, or what kubectl prints of it.
        where: The request.
    """
    right = denied_right(words)
    if right is None:
        return None
    return NotGiven(
        expected=f"the right to {right}",
        seen=words,
        where=where,
        remedy="grant it, or use an identity that has it (manifests/certifier-rbac.yaml has all that the suite needs)",
    )


def must_be_allowed(unread: Iterable[CouldNotTell], subjects: int) -> None:
    """Check that the identity in use may read at least one of many subjects.

    Where it may read some of them, each other one is listed as unread instead, so that a subject that was read, and is
    wrong, counts.

    Args:
        unread: Why subjects could not be read.
        subjects: Number of subjects.

    Raises:
        NotGiven: The right is missing for every one of them.
    """
    denied = [error for error in unread if isinstance(error, NotGiven)]
    if denied and len(denied) == subjects:
        raise denied[0]
