"""The table of checks: every read-only requirement of core is in it, or left out with a reason."""

from __future__ import annotations

from pathlib import Path

from checks.check import Needs
from checks.table import LEFT_OUT, checks, for_the_doctor
from facts.catalogue import CORE
from judge.explain.results import OF_EFFECTS
from reporting.features.reading import read_catalogue, safety_classes

FEATURES = Path(__file__).parents[3] / "features"
CHECKS = [*checks()]
OF_THE_DOCTOR = [check for part in for_the_doctor() for check in part.checks]


def test_every_requirement_of_core_that_is_read_is_checked_or_left_out_with_a_reason() -> None:
    classes = safety_classes(FEATURES)
    read = {r.id for r in read_catalogue(FEATURES).chosen((CORE,)) if "read-only" in classes.get(r.id, ())}
    checked = {check.requirement for check in CHECKS}
    assert read <= checked | {*LEFT_OUT}
    assert checked & {*LEFT_OUT} == set()
    assert {*LEFT_OUT} <= read


def test_what_a_check_judges_is_in_the_catalogue() -> None:
    requirements = read_catalogue(FEATURES).requirements
    assert {check.requirement for check in CHECKS} - {""} <= {*requirements}


def test_no_two_checks_have_one_title() -> None:
    titles = [check.title for check in CHECKS]
    assert sorted(titles) == sorted({*titles})


def test_a_requirement_whose_every_scenario_creates_something_needs_probe_pods() -> None:
    classes = safety_classes(FEATURES)
    creating = {check.requirement for check in CHECKS if check.requirement and Needs.PROBES in check.needs}
    assert all("namespaced" in classes[each] for each in creating)
    assert all(
        Needs.PROBES in check.needs
        for check in OF_THE_DOCTOR
        if check.requirement and "read-only" not in classes[check.requirement]
    )


def test_the_report_takes_the_same_requirements_for_those_of_who_feels_a_defect() -> None:
    assert {check.requirement for check in CHECKS if check.of_effects} - {""} == OF_EFFECTS
