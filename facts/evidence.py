"""Evidence: one reading of the world, kept with everything an auditor needs to trust it."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from facts.masks import TEXT, Mask, kept_for, kept_of
from facts.redaction import Hiding, Own, hidden_in, redact, without_named


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """The object of a reading or of a finding.

    Attributes:
        kind: Kubernetes kind, or ``Teleport``, ``Host``, ``Container``; empty for what is no object of an API.
        name: Its name.
        namespace: Empty for what has none.
        uid: Kubernetes uid, empty where unknown.
        resource_version: Kubernetes resourceVersion at the time of reading, empty where unknown.
    """

    kind: str
    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""

    def __str__(self) -> str:
        name = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind} {name}" if self.kind else name


@dataclass(frozen=True, slots=True)
class Evidence:
    """One reading: the question, its subject, the time, and the answer.

    Attributes:
        id: ``ev-`` and 16 random hex digits. Made of nothing that was read, so that it says nothing about a secret that is
            recognised as one only later, and taken out then.
        question: The command line, API path or URL, as a person could repeat it.
        subject: The object of the question.
        read_at: UTC time at which the answer was complete.
        body: What is kept of the answer: the fields that its parser reads, each text of them redacted by itself. The parser
            reads exactly this.
        sha256: Hex digest of `body` in UTF-8.
        parser: Dotted name of the function in ``facts`` that turns the body into facts; empty for supporting evidence that
            no verdict stands on.
        redactions: Number of secrets that were removed from the answer.
        exit_code: Of a command; None for anything else.
    """

    id: Own[str]
    question: str
    subject: ObjectRef
    read_at: datetime
    body: str
    sha256: Own[str]
    parser: Own[str] = ""
    redactions: int = 0
    exit_code: int | None = None


class Shown(Protocol):
    """A fact, with the readings that it was made from."""

    @property
    def evidence(self) -> tuple[str, ...]:
        """Ids of the readings."""


def readings(*facts: Shown | None) -> tuple[str, ...]:
    """Ids of the readings that some facts were made from, each once; None stands for a fact that was not read."""
    return tuple(dict.fromkeys(reading for fact in facts if fact is not None for reading in fact.evidence))


def evidence_of(
    question: str,
    subject: ObjectRef,
    raw: str,
    *,
    read_at: datetime,
    parser: Callable[..., object] | None = None,
    exit_code: int | None = None,
    named_secrets: Iterable[str] = (),
    mask: Mask | None = None,
    text: bool = False,
) -> Evidence:
    """Makes evidence from a raw answer: takes the part that is kept, without secrets, then its digest.

    Args:
        question: The command line, API path or URL.
        subject: The object of the question.
        raw: The answer as it came, secrets included; it goes no further than this function.
        read_at: UTC time of the answer.
        parser: The function in ``facts`` that turns the answer into facts; declared with `facts.masks.keeps`.
        exit_code: Of a command.
        named_secrets: Further values to hide, see `facts.redaction.redact`.
        mask: What to keep, where that is not what the parser was declared with: a list of objects, a ConfigMap of one kind.
        text: The answer is text and stays so, even where it happens to be JSON (a log).
    """
    named = tuple(named_secrets)
    hiding = Hiding(named)
    body = kept_of(raw, TEXT if text else mask or (kept_for(parser) if parser else None), hiding)
    return Evidence(
        id=f"ev-{secrets.token_hex(8)}",
        question=redact(question, named).text,
        subject=hidden_in(subject, named),
        read_at=read_at,
        body=body,
        sha256=_digest(body),
        parser=f"{parser.__module__}.{parser.__qualname__}" if parser else "",
        redactions=hiding.count,
        exit_code=exit_code,
    )


def hidden(evidence: Evidence, named_secrets: Collection[str]) -> Evidence:
    """The same reading with named secrets taken out of its body, question and subject. It keeps its id."""
    if not named_secrets:
        return evidence
    clean = without_named(evidence.body, named_secrets)
    return replace(
        hidden_in(replace(evidence, body=""), named_secrets),
        body=clean.text,
        sha256=_digest(clean.text),
        redactions=evidence.redactions + clean.count,
    )


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()
