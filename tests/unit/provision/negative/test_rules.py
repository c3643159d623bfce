"""Rules, narrowed and put back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from facts.errors import NotGiven, ProvisioningFailed
from facts.recorder import KeptInMemory
from provision.negative.rules import Rules, without
from provision.objects import MAY_CHANGE_LABEL, RUN_LABEL
from provision.runs.fields import MISSING
from provision.runs.originals import System
from tests.unit.provision.negative.doubles import IDENTITY, IDENTITY_OF_TELEPORT, NOT_REFUSED, Tctl
from tests.unit.provision.originals import changes_kept, nowhere


def with_rules(*allow: dict[str, Any]) -> dict[str, Any]:
    """The identity with those allow rules."""
    return {**IDENTITY, "spec": {**IDENTITY["spec"], "rules": {"allow": list(allow)}}}


@pytest.mark.parametrize(
    ("identity", "allow"),
    [
        (IDENTITY, [{"conditions": [NOT_REFUSED]}]),
        ({**IDENTITY, "spec": {**IDENTITY["spec"], "rules": None}}, [{"conditions": [NOT_REFUSED]}]),
        (with_rules({"conditions": [{"attribute": "a", "eq": {"value": "b"}}]}),
         [{"conditions": [{"attribute": "a", "eq": {"value": "b"}}, NOT_REFUSED]}]),
        (with_rules({"expression": "a == b || c"}),
         [{"expression": '(a == b || c) && !(workload.kubernetes.service_account == "refused-1")'}]),
        (with_rules({"conditions": [{"attribute": "a", "eq": {"value": "b"}}]}, {"expression": "c"}),
         [{"conditions": [{"attribute": "a", "eq": {"value": "b"}}, NOT_REFUSED]},
          {"expression": '(c) && !(workload.kubernetes.service_account == "refused-1")'}]),
    ],
    ids=["none", "null", "conditions", "expression", "both"],
)  # fmt: skip
def test_every_rule_leaves_the_service_account_out(identity: dict[str, Any], allow: list[dict[str, Any]]) -> None:
    before = json.dumps(identity)
    assert without(identity, "refused-1")["spec"]["rules"]["allow"] == allow
    assert json.dumps(identity) == before


def test_rules_are_put_back_to_the_letter() -> None:
    tctl = Tctl()
    rules = Rules(tctl, KeptInMemory(), nowhere())
    former = rules.leave_out("istio-workloads", "refused-1")
    assert (former.name, former.rules) == ("istio-workloads", ())
    assert tctl.holds["spec"]["rules"] == {"allow": [{"conditions": [NOT_REFUSED]}]}
    rules.restore()
    assert tctl.holds["spec"] == IDENTITY["spec"]
    assert tctl.holds["metadata"]["labels"] == IDENTITY["metadata"]["labels"]


def test_the_rules_are_kept_until_they_are_put_back() -> None:
    tctl, originals = Tctl(), nowhere()
    rules = Rules(tctl, KeptInMemory(), originals)
    rules.leave_out("istio-workloads", "refused-1")
    (change,) = changes_kept(originals)
    (field,) = change.fields
    assert (change.system, str(change), str(field)) == (
        System.TELEPORT,
        "workload_identity istio-workloads",
        "spec.rules.allow",
    )
    assert (field.was, field.ours) == (MISSING, [{"conditions": [NOT_REFUSED]}])
    assert change.teleport == IDENTITY_OF_TELEPORT
    tctl.says = 1
    with pytest.raises(ProvisioningFailed):
        rules.restore()
    assert originals.all()
    tctl.says = 0
    rules.restore()
    assert originals.all() == ()


def test_rules_that_cannot_be_kept_are_not_changed() -> None:
    tctl = Tctl()
    tctl.holds = with_rules({"expression": 'password: "hunter2hunter2"'})
    with pytest.raises(ProvisioningFailed, match="holds a secret"):
        Rules(tctl, KeptInMemory(), nowhere()).leave_out("istio-workloads", "refused-1")
    assert tctl.holds == with_rules({"expression": 'password: "hunter2hunter2"'})


def test_rules_that_were_not_changed_are_left_alone() -> None:
    tctl = Tctl(says=1)
    Rules(tctl, KeptInMemory(), nowhere()).restore()
    assert tctl.holds is IDENTITY


def test_a_change_that_was_refused_is_taken_back_all_the_same() -> None:
    tctl = Tctl(says=1)
    rules = Rules(tctl, KeptInMemory(), nowhere())
    with pytest.raises(ProvisioningFailed) as refused:
        rules.leave_out("istio-workloads", "refused-1")
    assert "exit code 1: no" in refused.value.seen
    tctl.says = 0
    rules.restore()
    assert tctl.holds["spec"] == IDENTITY["spec"]


def test_rules_that_another_user_has_restored_are_left_alone() -> None:
    tctl = Tctl()
    rules = Rules(tctl, KeptInMemory(), nowhere())
    rules.leave_out("istio-workloads", "refused-1")
    tctl.holds, tctl.says = IDENTITY, 1
    rules.restore()
    assert tctl.holds is IDENTITY


def test_the_change_of_another_user_is_reported_and_not_overwritten() -> None:
    tctl = Tctl()
    rules = Rules(tctl, KeptInMemory(), nowhere())
    rules.leave_out("istio-workloads", "refused-1")
    tctl.holds = with_rules({"expression": "theirs"})
    with pytest.raises(ProvisioningFailed) as left:
        rules.restore()
    assert "theirs" in left.value.seen
    assert json.dumps(IDENTITY["spec"]["spiffe"]) in left.value.remedy
    assert tctl.holds["spec"]["rules"] == {"allow": [{"expression": "theirs"}]}


def test_a_teleport_that_takes_the_old_rules_and_keeps_the_new_ones_is_told() -> None:
    tctl = Tctl()
    rules = Rules(tctl, KeptInMemory(), nowhere())
    rules.leave_out("istio-workloads", "refused-1")
    tctl.forgets = True
    with pytest.raises(ProvisioningFailed) as left:
        rules.restore()
    assert "as it was before this run" in left.value.expected
    tctl.forgets = False
    rules.restore()
    assert tctl.holds["spec"] == IDENTITY["spec"]


def test_what_could_not_be_put_back_is_told_with_the_resource() -> None:
    tctl = Tctl()
    rules = Rules(tctl, KeptInMemory(), nowhere())
    rules.leave_out("istio-workloads", "refused-1")
    tctl.says = 1
    with pytest.raises(ProvisioningFailed) as refused:
        rules.restore()
    assert json.dumps(IDENTITY["spec"]["spiffe"]) in refused.value.remedy


@pytest.mark.parametrize("labels", [None, {}, {"env": "dev"}, {RUN_LABEL: "yes"}])
def test_the_rules_of_another_users_identity_stay_as_they_are(labels: dict[str, str] | None) -> None:
    tctl = Tctl()
    theirs = {**IDENTITY, "metadata": {**IDENTITY["metadata"], "labels": labels}}
    tctl.holds = theirs
    rules = Rules(tctl, KeptInMemory(), nowhere())
    with pytest.raises(NotGiven) as refused:
        rules.leave_out("istio-workloads", "refused-1")
    assert "workload_identity/istio-workloads" in refused.value.seen
    assert MAY_CHANGE_LABEL in refused.value.expected
    rules.restore()
    assert tctl.holds is theirs


def test_an_owner_agrees_with_a_label_of_its_own() -> None:
    tctl = Tctl()
    tctl.holds = theirs = {**IDENTITY, "metadata": {**IDENTITY["metadata"], "labels": {MAY_CHANGE_LABEL: "yes"}}}
    rules = Rules(tctl, KeptInMemory(), nowhere())
    rules.leave_out("istio-workloads", "refused-1")
    assert tctl.holds["spec"] != theirs["spec"]
    rules.restore()
    assert tctl.holds["spec"] == theirs["spec"]


def test_without_an_admin_session_rules_are_not_evaluated() -> None:
    with pytest.raises(NotGiven):
        Rules(None, KeptInMemory(), nowhere()).leave_out("istio-workloads", "refused-1")
