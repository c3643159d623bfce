"""Rules of a workload identity, which the suite makes stricter during a scenario and then restores exactly.

Only of a workload identity that the suite made, or whose owner has given it the label for that.
"""

from __future__ import annotations

import copy
import json
import re
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from facts.errors import NotGiven, ProvisioningFailed
from facts.evidence import ObjectRef
from facts.masks import WHOLE, Mask
from facts.recorder import Recorder
from observe.command import CommandResult
from observe.tools import Tctl
from providers.teleport.facts.resources import WorkloadIdentity, parse_status, parse_workload_identity
from providers.teleport.facts.tctl import remedy_for
from providers.teleport.installing.resources import shown
from providers.teleport.observe.session import is_not_there
from provision.objects import MADE_LABEL, MAY_CHANGE_LABEL
from provision.runs.fields import MISSING, Field, changed_fields, patch_to
from provision.runs.originals import Change, Originals, System

ACCOUNT = "workload.kubernetes.service_account"

LEFT_OUT = "refused-"
"""What the names of the service accounts begin with that the suite leaves out, and no other account's should."""

KIND = "workload_identity"
"""Kind of the resource in Teleport."""

RULES = ("spec", "rules")
"""Where its rules are; the suite changes nothing else of it."""


class Rules:
    """The rules of one workload identity.

    Args:
        tctl: Runs an admin tctl; None where there is no admin session.
        recorder: Records the output of tctl, which includes the resource as it was.
        originals: Keeps the rules until they are restored.
    """

    def __init__(self, tctl: Tctl | None, recorder: Recorder, originals: Originals) -> None:
        self._tctl = tctl
        self._recorder = recorder
        self._originals = originals
        self._kept = ""
        self._lock = threading.Lock()
        self._resource = ""
        self._former: dict[str, Any] | None = None
        self._narrowed: dict[str, Any] | None = None

    def leave_out(self, name: str, service_account: str) -> WorkloadIdentity:
        """Leave service accounts of one name out of what the rules allow.

        Args:
            name: Name of the workload identity.
            service_account: Name that only the suite uses: with a namespace as well, each rule would become two.

        Returns:
            The workload identity as it was.

        Raises:
            NotGiven: There is no admin session, or the owner of the workload identity has not agreed.
            ProvisioningFailed: tctl refused, or the rules could not be kept in the cluster.
            CouldNotTell: tctl status does not name the cluster.
        """
        with self._lock:
            self._resource = f"{KIND}/{name}"
            former, evidence = self._read()
            self.must_be_changeable(former)
            narrowed = without(former, service_account)
            fields = changed_fields(former, patch_to(former, narrowed))
            teleport = parse_status(self._ask(["status"])[0].stdout).identity
            self._kept = self._originals.keep(Change(System.TELEPORT, KIND, name, fields, teleport=teleport))
            self._former = former  # before the change: Ctrl-C may come right after Teleport has accepted it
            self._write(narrowed)
            self._narrowed, _ = self._read()
            return parse_workload_identity(former, (evidence,))

    def restore(self) -> None:
        """Restore the resource, and check that Teleport has it as before.

        Nothing happens if the suite did not change it, or if another user has restored it, so that its original is not kept
        any more.

        The suite does not overwrite what another user has changed meanwhile: the condition that then remains affects only a
        service account of the suite.

        Raises:
            ProvisioningFailed: tctl refused, or the resource is not as before; says what Teleport has.
        """
        with self._lock:
            if self._former is None or self._originals.is_gone(self._kept):
                return
            present, _ = self._read()
            if self._narrowed is None or present == self._narrowed:
                self._write(self._former)
                present, _ = self._read()
            if present != self._former:
                raise self._failure(
                    "the workload identity as it was before this run",
                    f"another one, which another user may have created: {json.dumps(present)}",
                    f"remove the condition on {ACCOUNT} that this run added, if it is there",
                )
            self._originals.forget(self._kept)
            self._former = self._narrowed = None

    def now(self, name: str) -> dict[str, Any] | None:
        """Return a workload identity as tctl prints it, without its revision; None where there is none.

        Raises:
            NotGiven: There is no admin session.
            ProvisioningFailed: tctl refused.
        """
        with self._lock:
            self._resource = f"{KIND}/{name}"
            words = ["get", self._resource, "--format=json"]
            answer, _ = self._answer(words)
            return None if is_not_there(answer, name) else self._parsed(self._accepted(words, answer))

    def replace(self, name: str, document: dict[str, Any]) -> None:
        """Replace a workload identity.

        Raises:
            NotGiven: There is no admin session.
            ProvisioningFailed: tctl refused.
        """
        with self._lock:
            self._resource = f"{KIND}/{name}"
            self._write(document)

    @staticmethod
    def must_be_changeable(identity: dict[str, Any]) -> None:
        """Check that the suite made a workload identity, or that its owner lets the suite change it.

        Raises:
            NotGiven: Neither is so.
        """
        labels = identity["metadata"].get("labels") or {}
        resource = f"{KIND}/{identity['metadata']['name']}"
        if MADE_LABEL not in labels and MAY_CHANGE_LABEL not in labels:
            raise NotGiven(
                expected=f"a workload identity with the label {MAY_CHANGE_LABEL}, so that the suite may change its rules",
                seen=f"{resource} with {shown(labels)}",
                where=f"Teleport {resource}",
                remedy=(
                    "the suite overwrites no other user's resource: give it that label, with any value, or certify a cluster"
                    " that the suite makes"
                ),
            )

    def _read(self) -> tuple[dict[str, Any], str]:
        answer, evidence = self._ask(["get", self._resource, "--format=json"], mask=WHOLE)
        return self._parsed(answer), evidence

    def _parsed(self, answer: CommandResult) -> dict[str, Any]:
        try:
            document = json.loads(answer.stdout)
            (found,) = document if isinstance(document, list) else [document]
        except ValueError as error:
            raise self._refused("tctl to print one resource as JSON", answer) from error
        # The revision is Teleport's own; it would refuse a former one.
        metadata = {key: value for key, value in found["metadata"].items() if key != "revision"}
        return {**found, "metadata": metadata}

    def _write(self, document: dict[str, Any]) -> None:
        self._ask(["create", "--force"], yaml.safe_dump(document, sort_keys=False))

    def _ask(self, words: Sequence[str], stdin: str = "", mask: Mask | None = None) -> tuple[CommandResult, str]:
        answer, evidence = self._answer(words, stdin, mask)
        return self._accepted(words, answer), evidence

    def _answer(self, words: Sequence[str], stdin: str = "", mask: Mask | None = None) -> tuple[CommandResult, str]:
        if self._tctl is None:
            raise NotGiven(
                expected="an admin tctl, to narrow the rules of the workload identity for a while",
                seen="no tctl command in the settings",
                where=f"Teleport {self._resource}",
                remedy="give --tctl",
            )
        answer = self._tctl(words, stdin)
        subject = ObjectRef("Teleport", self._resource)
        evidence = self._recorder.record(answer.as_evidence(subject, shown_as=f"tctl {' '.join(words)}", mask=mask))
        return answer, evidence

    def _accepted(self, words: Sequence[str], answer: CommandResult) -> CommandResult:
        if answer.exit_code:
            raise self._refused(f"Teleport to accept `tctl {' '.join(words)}`", answer)
        return answer

    def _refused(self, expected: str, answer: CommandResult) -> ProvisioningFailed:
        return self._failure(
            expected, f"exit code {answer.exit_code}: {answer.tail()}", remedy_for(answer.stderr, "read the error of tctl")
        )

    def _failure(self, expected: str, seen: str, remedy: str) -> ProvisioningFailed:
        if self._former is not None:
            remedy += f"; to restore it: tctl create --force, with {json.dumps(self._former)}"
        return ProvisioningFailed(expected=expected, seen=seen, where=f"Teleport {self._resource}", remedy=remedy)


def without(identity: dict[str, Any], service_account: str) -> dict[str, Any]:
    """Return a workload identity whose allow rules leave out service accounts of one name; one without rules gets one.

    Args:
        identity: Resource as tctl prints it.
        service_account: Name of the service accounts.
    """
    changed = copy.deepcopy(identity)
    rules = changed["spec"].setdefault("rules", {}) or {}
    changed["spec"]["rules"] = rules
    rules["allow"] = [_narrowed(rule, service_account) for rule in rules.get("allow") or [{}]]
    return changed


def is_narrowing(field: Field) -> bool:
    """Tell whether a change of a workload identity is one that `without` makes."""
    was, ours = field.was, field.ours
    if field.path == RULES and not was and isinstance(ours, Mapping) and {*ours} == {"allow"}:
        was, ours = MISSING, ours["allow"]  # there was `rules: null`
    elif field.path != (*RULES, "allow"):
        return False
    if not isinstance(ours, list) or not ours:
        return False
    try:
        account = _account_left_out(ours[0])
        return account.startswith(LEFT_OUT) and ours == [
            _narrowed(r, account) for r in ([{}] if was is MISSING else was) or [{}]
        ]
    except (AttributeError, LookupError, TypeError):
        return False


def _account_left_out(rule: Mapping[str, Any]) -> str:
    """Return the service account that `_narrowed` has left out of a rule; empty for none."""
    if expression := rule.get("expression"):
        named = re.search(rf'!\({re.escape(ACCOUNT)} == "([^"]*)"\)\Z', str(expression))
        return named[1] if named else ""
    return str(rule["conditions"][-1]["not_eq"]["value"])


def _narrowed(rule: dict[str, Any], service_account: str) -> dict[str, Any]:
    if expression := rule.get("expression"):
        return {**rule, "expression": f'({expression}) && !({ACCOUNT} == "{service_account}")'}
    condition = {"attribute": ACCOUNT, "not_eq": {"value": service_account}}
    return {**rule, "conditions": [*(rule.get("conditions") or []), condition]}
