"""The answer of ``conformance doctor --json``, as far as it says what is wrong and what the question cost."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from facts.declared import Declared, ListOf, Many, Text, Words, mask_of, read
from facts.document import damaged
from facts.masks import keeps

VERSION = 1
"""Version of the document that `parse_answer` reads."""

NOTHING_FOUND, CAUSE_NAMED, NOT_DETERMINED = 0, 1, 6
"""Exit codes of the doctor that are answers; with any other it did not look."""


class Way(StrEnum):
    """A way in which the suite asks the doctor, from the one that may do least to the one that may do most."""

    READER = "read-only"
    """With read access to the cluster, and nothing else."""
    SESSION = "read-only, with tctl"
    """With an admin session at Teleport as well."""
    PROBES = "--allow namespaced, with tctl"
    """It may also start probe pods in namespaces of its own."""


@dataclass(frozen=True, slots=True)
class NamedCause(Declared):
    """A cause that the doctor names.

    Attributes:
        id: Id in ``judge/explain/causes``.
        sentence: The cause in words.
    """

    id: str
    sentence: Words


@dataclass(frozen=True, slots=True)
class Class(Declared):
    """Causes that the doctor could not tell apart, one of which is the case.

    Attributes:
        ids: Their ids in ``judge/explain/causes``.
        settled_by: What would tell them apart, in words.
    """

    ids: ListOf[str]
    settled_by: Words


@dataclass(frozen=True, slots=True)
class Undetermined(Declared):
    """Something whose cause the doctor could not tell."""

    said: Words


@dataclass(frozen=True, slots=True)
class Answer(Declared):
    """What the doctor says of a cluster.

    Attributes:
        version: Version of the document.
        causes: The causes that it names, the first one first. Effects that it explains by one of them are not among them.
        classes: Causes that it could not tell apart.
        undetermined: What it could not tell at all.
        requests: Number of requests that it made.
        seconds: From its start to its answer.
        authority: The issuer of the identities.
        evidence: Ids of the readings it was made from.
    """

    version: int
    causes: ListOf[NamedCause]
    classes: Many[Class]
    undetermined: Many[Undetermined]
    requests: int
    seconds: float
    authority: Text
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Look:
    """One answer of the doctor, with the way in which it was asked.

    Attributes:
        answer: What it said.
        exit_code: As the process ended: `NOTHING_FOUND`, `CAUSE_NAMED` or `NOT_DETERMINED`.
    """

    way: Way
    answer: Answer
    exit_code: int


@keeps(mask_of(Answer))
def parse_answer(document: Any, evidence: tuple[str, ...] = ()) -> Answer:
    """Read the doctor's answer from its decoded JSON.

    Raises:
        CouldNotTell: It is no such document, or one of another version.
    """
    answer = read(Answer, document, WHERE, evidence=evidence)
    if answer.version != VERSION:
        raise damaged(f"a document of version {VERSION}", f"version {answer.version}", WHERE)
    return answer


WHERE = "the answer of conformance doctor"
