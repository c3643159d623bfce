"""The plan of the matrix of faults: every fault has its place, and what takes minutes is judged where it must be."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest
import yaml

from facts.catalogue import parse_catalogue
from facts.errors import BadInput
from provision.faults import FAULTS, Fault
from provision.faults.reach import SAMPLE
from tests.lab.plan import BY_DEFAULT, Plan, home, planned

FEATURES = Path(__file__).resolve().parents[2] / "features"
CATALOGUE = parse_catalogue(yaml.safe_load((FEATURES / "catalogue.yaml").read_text(encoding="utf-8")))
PROFILES = CATALOGUE.profiles["all"]


def fault(name: str, *breaks: str, reach: frozenset[str] = frozenset(), blinds: frozenset[str] = frozenset()) -> Fault:
    return Fault(
        name=name, description="", cause="", touches="", undo="", breaks=frozenset(breaks), reach=reach, blinds=blinds,
        inject=lambda _scene: nullcontext(),
    )  # fmt: skip


QUICK = fault("quick", "INST-01", reach=frozenset({"INST-05"}))
LATE = fault("late", "INST-16", "ROT-03", blinds=frozenset({"ROT-07"}))
SLOW = fault("slow", "ROT-02")


def of(*profiles: str, faults: tuple[Fault, ...] = (QUICK, LATE, SLOW)) -> Plan:
    return planned(profiles, FEATURES, faults)


def names(plan: Plan) -> list[str]:
    return [each.name for each in plan.faults]


def test_a_fault_has_its_place_in_the_run_of_the_last_profile_that_it_breaks() -> None:
    assert home(QUICK, CATALOGUE) == "install"
    assert home(LATE, CATALOGUE) == "rotation"
    assert names(of(*BY_DEFAULT)) == ["quick"]
    assert names(of("rotation")) == ["late", "slow"]
    assert names(of("all")) == ["quick", "late", "slow"]


def test_no_fault_is_without_a_place_and_none_has_two() -> None:
    taken = [name for profile in PROFILES for name in names(of(profile, faults=tuple(FAULTS.values())))]
    assert sorted(taken) == sorted(FAULTS)


def test_the_profiles_that_are_taken_by_default_are_the_first_ones() -> None:
    """A run by default would else leave out faults of its own profiles."""
    assert PROFILES[: len(BY_DEFAULT)] == BY_DEFAULT


def test_what_the_suite_breaks_only_in_its_own_installation_is_judged_elsewhere() -> None:
    plan = of("all")
    assert plan.elsewhere >= {"TRF-06", "ROT-08", "DX-1", "DX-9"}
    assert not plan.elsewhere & (plan.before | plan.at_end | plan.under(LATE))


def test_what_takes_minutes_is_judged_under_the_faults_that_name_it_and_at_the_end() -> None:
    plan = of("rotation")
    assert plan.costly >= {"ROT-02", "ROT-03"}
    assert not plan.costly & plan.before
    assert plan.before >= {"ROT-01", "ROT-05", "INST-16"} | SAMPLE
    assert plan.under(LATE) == {"INST-16", "ROT-03", "ROT-07"} | SAMPLE
    assert plan.after(LATE) == {"INST-16", "ROT-07"}
    assert plan.at_end >= plan.before | {"ROT-02", "ROT-03"}


def test_after_a_fault_that_breaks_only_what_takes_minutes_the_sample_is_judged() -> None:
    """A run that is told no requirement would judge all of them."""
    assert of("rotation").after(SLOW) == SAMPLE


def test_a_run_by_default_judges_nothing_that_takes_minutes() -> None:
    plan = of(*BY_DEFAULT)
    assert {CATALOGUE[r].profile for r in plan.at_end} == {*BY_DEFAULT}
    assert plan.at_end == plan.before


@pytest.mark.parametrize("profile", PROFILES)
def test_what_is_expected_under_a_fault_is_known_from_the_healthy_lab(profile: str) -> None:
    plan = of(profile, faults=tuple(FAULTS.values()))
    for each in plan.faults:
        known = plan.before | each.breaks | each.blinds
        assert plan.under(each) <= known, f"{each.name} reaches what takes minutes to judge: {plan.under(each) - known}"
        assert plan.after(each) <= plan.before


def test_chosen_faults_need_only_what_they_touch() -> None:
    plan = of("all")
    assert plan.only(["quick", "late", "slow"]) is plan
    narrow = plan.only(["quick"])
    assert names(narrow) == ["quick"]
    assert narrow.before == narrow.at_end == {"INST-01", "INST-05"} | SAMPLE
    assert plan.only(["late"]).at_end == {"INST-16", "ROT-03", "ROT-07"} | SAMPLE


def test_what_breaks_an_installation_itself_is_left_to_runs_that_made_one() -> None:
    plan = of("all", faults=(fault("f", "TRF-06", "TRF-01"), fault("g", "TRF-06")))
    assert names(plan) == ["f"]
    assert "TRF-06" not in plan.before | plan.under(plan.faults[0]) | plan.at_end


def test_a_profile_that_does_not_exist_is_refused() -> None:
    with pytest.raises(BadInput, match="'rotations'"):
        of("rotations")
