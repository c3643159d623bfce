"""The plan of a run: what it may do, told before it begins."""

from __future__ import annotations

import pytest
import yaml

from facts.catalogue import parse_catalogue
from observe.kubernetes.needed import Role
from provision.plan import ON_CLUSTER, planned
from provision.render import MANIFESTS
from reporting.collecting.policy import SAFETY_CLASSES

SAFETY = {
    "INST-04": {"namespaced"},
    "INST-05": {"read-only"},
    "INST-09": {"read-only", "namespaced"},
    "NEG-02": {"disruptive"},
    "NEG-06": {"namespaced"},
}
READ_ONLY, NAMESPACED = {"read-only"}, {"read-only", "namespaced"}


def test_a_read_only_run_makes_no_pod_and_says_what_is_left_out() -> None:
    plan = planned(SAFETY, ["install", "identity"], READ_ONLY)
    assert (plan.pods, plan.copies_tbot, plan.disrupts) == ((), False, {})
    assert plan.needs == {
        "INST-04": "--allow namespaced",
        "INST-05": "",
        "INST-09": "--allow namespaced",
        "NEG-02": "--allow disruptive",
        "NEG-06": "--allow namespaced",
    }
    assert {row.role for row in plan.rights} == {Role.READ_ONLY, Role.EXEC}
    assert {row.role for row in plan.rights_at_teleport} == {Role.READ_ONLY}


def test_a_class_brings_its_pods_and_its_rights() -> None:
    plan = planned(SAFETY, ["install", "identity"], NAMESPACED)
    assert [pod.manifest.name for pod in plan.pods] == ["node.yaml"]
    assert plan.copies_tbot
    assert plan.needs["NEG-02"] == "--allow disruptive"
    assert Role.NAMESPACED in {row.role for row in plan.rights}
    assert Role.DISRUPTIVE not in {row.role for row in plan.rights}


def test_disruptions_and_their_rights_are_those_of_the_profiles() -> None:
    plan = planned({"ROT-02": {"disruptive"}}, ["rotation"], {*NAMESPACED, "disruptive"})
    assert plan.disrupts.keys() == {"rotation"}
    assert plan.needs == {"ROT-02": ""}
    assert {row.resources for row in plan.rights if row.role is Role.DISRUPTIVE} == {("daemonsets",), ("configmaps",)}
    assert plan.rights_at_teleport[-1].role is Role.READ_ONLY
    assert "*" not in "".join(plan.disrupts.values())


@pytest.mark.parametrize(("profiles", "seconds"), [(["install", "checklist"], 14), (["resilience"], 360)])
def test_the_time_is_that_of_the_profiles(profiles: list[str], seconds: int) -> None:
    assert planned({}, profiles, READ_ONLY).seconds == seconds


def test_each_profile_and_each_class_is_known() -> None:
    catalogue = parse_catalogue(
        yaml.safe_load((MANIFESTS.parent / "features" / "catalogue.yaml").read_text(encoding="utf-8"))
    )
    assert ON_CLUSTER.keys() == {requirement.profile for requirement in catalogue.requirements.values()}
    assert {role.value for role in Role} - {Role.EXEC} == {*SAFETY_CLASSES}
