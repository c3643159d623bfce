"""The recorder: keeps readings and findings, and attaches them to the step that is running."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import replace
from typing import Protocol

from facts.evidence import Evidence, hidden
from facts.finding import Finding
from facts.redaction import hidden_in


class Recorder(Protocol):
    """The keeper of readings and findings. ``reporting`` implements it, ``conftest`` hands it on."""

    def record(self, evidence: Evidence) -> str:
        """Keeps a reading and attaches it to the step that is running, if one is. Returns the evidence's id."""

    def attach(self, evidence_ids: Iterable[str]) -> None:
        """Attaches readings that were made earlier (a shared reading) to the step that is running."""

    def conclude(self, finding: Finding) -> None:
        """Keeps a finding and attaches it and its evidence to the step that is running."""

    def hide(self, *named_secrets: str) -> None:
        """Takes values out of everything that is kept, whether it came before or comes later.

        For secrets that only their meaning tells, such as the name of a join token with join method ``token``.
        """


class KeptInMemory:
    """The smallest recorder: keeps everything in memory. For the suite's own tests. Safe to use from several threads."""

    def __init__(self) -> None:
        self.evidence: dict[str, Evidence] = {}
        self.findings: list[Finding] = []
        self._hidden: dict[str, None] = {}
        self._lock = threading.Lock()

    def record(self, evidence: Evidence) -> str:
        """Keeps a reading."""
        with self._lock:
            self.evidence[evidence.id] = hidden(evidence, self._hidden)
        return evidence.id

    def attach(self, evidence_ids: Iterable[str]) -> None:
        """Checks that what is attached was recorded."""
        missing = [i for i in evidence_ids if i not in self.evidence]
        if missing:
            raise KeyError(f"attached but never recorded: {missing}")

    @property
    def hidden(self) -> tuple[str, ...]:
        """The values that `hide` was given."""
        return tuple(self._hidden)

    def conclude(self, finding: Finding) -> None:
        """Keeps a finding."""
        with self._lock:
            self.findings.append(hidden_in(finding, self._hidden))

    def hide(self, *named_secrets: str) -> None:
        """Takes values out of everything that is kept, whether it came before or comes later."""
        with self._lock:
            self._hidden.update(dict.fromkeys(filter(None, named_secrets)))
            self.evidence = {key: hidden(evidence, self._hidden) for key, evidence in self.evidence.items()}
            self.findings = [hidden_in(finding, self._hidden) for finding in self.findings]


class QuestionsKept(KeptInMemory):
    """A recorder for the commands, which tell what was asked and print no answer: it drops the answers.

    A fleet's answers are some hundred kilobytes for each proxy.
    """

    def record(self, evidence: Evidence) -> str:
        """Keeps the question and its subject; the digest stays that of the answer."""
        return super().record(replace(evidence, body=""))
