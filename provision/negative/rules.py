"""Rules of a workload identity, made stricter for the time of a scenario and put back to the letter."""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Sequence
from typing import Any

import yaml

from facts.errors import NotGiven, ProvisioningFailed
from facts.evidence import ObjectRef
from facts.recorder import Recorder
from facts.teleport.resources import WorkloadIdentity, parse_workload_identity
from observe.command import CommandResult
from observe.tools import Tctl

ACCOUNT = "workload.kubernetes.service_account"


class Rules:
    """The rules of one workload identity.

    Args:
        tctl: Runs an admin tctl; None where there is no admin session.
        recorder: Takes what tctl says, the resource as it was among it.
    """

    def __init__(self, tctl: Tctl | None, recorder: Recorder) -> None:
        self._tctl = tctl
        self._recorder = recorder
        self._lock = threading.Lock()
        self._resource = ""
        self._former: dict[str, Any] | None = None
        self._narrowed: dict[str, Any] | None = None

    def leave_out(self, name: str, service_account: str) -> WorkloadIdentity:
        """Lets the rules allow whom they allow now, but for service accounts of one name.

        Args:
            name: Of the workload identity.
            service_account: A name that only the run uses: with a namespace besides, each rule would become two.

        Returns:
            The workload identity as it was.

        Raises:
            NotGiven: There is no admin session.
            ProvisioningFailed: tctl refused.
        """
        with self._lock:
            self._resource = f"workload_identity/{name}"
            former, evidence = self._read()
            self._former = former  # before it is changed: Ctrl-C may come right after Teleport has taken the change
            self._write(without(former, service_account))
            self._narrowed, _ = self._read()
            return parse_workload_identity(former, (evidence,))

    def restore(self) -> None:
        """Puts the resource back as it was, and sees that Teleport has it so; nothing happens if it was not changed.

        What somebody else has changed meanwhile is not overwritten: the condition that is then left concerns nobody but a
        service account of the run.

        Raises:
            ProvisioningFailed: tctl refused, or the resource is not as it was; says what it was like.
        """
        with self._lock:
            if self._former is None:
                return
            present, _ = self._read()
            if self._narrowed is None or present == self._narrowed:
                self._write(self._former)
                present, _ = self._read()
            if present != self._former:
                raise self._left(f"another one, which somebody else may have given: {json.dumps(present)}")
            self._former = self._narrowed = None

    def _read(self) -> tuple[dict[str, Any], str]:
        answer, evidence = self._ask(["get", self._resource, "--format=json"])
        try:
            document = json.loads(answer.stdout)
            (found,) = document if isinstance(document, list) else [document]
        except ValueError as error:
            raise self._failed("tctl to give one resource as JSON", answer) from error
        # The revision is Teleport's own; a former one would be refused.
        metadata = {key: value for key, value in found["metadata"].items() if key != "revision"}
        return {**found, "metadata": metadata}, evidence

    def _write(self, document: dict[str, Any]) -> None:
        self._ask(["create", "--force"], yaml.safe_dump(document, sort_keys=False))

    def _ask(self, words: Sequence[str], stdin: str = "") -> tuple[CommandResult, str]:
        if self._tctl is None:
            raise NotGiven(
                expected="an admin tctl, to narrow the rules of the workload identity for a while",
                seen="none was given",
                where=f"Teleport {self._resource}",
                remedy="give --tctl",
            )
        answer = self._tctl(words, stdin)
        subject = ObjectRef("Teleport", self._resource)
        evidence = self._recorder.record(answer.as_evidence(subject, shown_as=f"tctl {' '.join(words)}"))
        if answer.exit_code:
            raise self._failed(f"Teleport to take `tctl {' '.join(words)}`", answer)
        return answer, evidence

    def _failed(self, expected: str, answer: CommandResult) -> ProvisioningFailed:
        remedy = ["read tctl's own words", *self._way_back()]
        return ProvisioningFailed(
            expected=expected,
            seen=f"exit code {answer.exit_code}: {answer.tail()}",
            where=f"Teleport {self._resource}",
            remedy="; ".join(remedy),
        )

    def _left(self, seen: str) -> ProvisioningFailed:
        return ProvisioningFailed(
            expected="the workload identity as it was before this run",
            seen=seen,
            where=f"Teleport {self._resource}",
            remedy="; ".join([f"take out what is about {ACCOUNT} of this run, if it is there", *self._way_back()]),
        )

    def _way_back(self) -> list[str]:
        if self._former is None:
            return []
        return [f"to put it back: tctl create --force, with {json.dumps(self._former)}"]


def without(identity: dict[str, Any], service_account: str) -> dict[str, Any]:
    """A workload identity whose allow rules leave out service accounts of one name; one without rules gets one.

    Args:
        identity: The resource, as tctl gives it.
        service_account: The name.
    """
    changed = copy.deepcopy(identity)
    rules = changed["spec"].setdefault("rules", {}) or {}
    changed["spec"]["rules"] = rules
    rules["allow"] = [_narrowed(rule, service_account) for rule in rules.get("allow") or [{}]]
    return changed


def _narrowed(rule: dict[str, Any], service_account: str) -> dict[str, Any]:
    if expression := rule.get("expression"):
        return {**rule, "expression": f'({expression}) && !({ACCOUNT} == "{service_account}")'}
    condition = {"attribute": ACCOUNT, "not_eq": {"value": service_account}}
    return {**rule, "conditions": [*(rule.get("conditions") or []), condition]}
