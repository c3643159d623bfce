"""Versions with a known identity defect."""

from __future__ import annotations

import pytest

from facts.versions import Version
from judge.install.known_issues import KNOWN_ISSUES, NOT_RENEWED, known_issues_of


@pytest.mark.parametrize(
    ("component", "version"),
    [
        ("tbot", "16.0.0"),
        ("tbot", "17.7.13"),
        ("tbot", "18.0.0"),
        ("tbot", "18.6.3"),
        ("tbot", "18.6.3-distroless"),
        ("tbot", "18.0.0-rc.1"),
        ("tbot", "18.6.4-rc.1"),
        ("istio", "1.23.0"),
        ("istio", "1.23.0-distroless"),
        ("istio", "1.24.3"),
    ],
)
def test_affected(component: str, version: str) -> None:
    assert known_issues_of(component, Version.parse(version))


@pytest.mark.parametrize(
    ("version", "names"),
    [
        ("17.6.9", [NOT_RENEWED, "tbot-never-recovers", "tbot-hangs-on-unhealthy-cache"]),
        ("17.7.7", [NOT_RENEWED, "tbot-hangs-on-unhealthy-cache"]),
        ("18.1.0", [NOT_RENEWED, "tbot-hangs-on-unhealthy-cache"]),
        ("18.2.10", [NOT_RENEWED]),
    ],
)
def test_each_defect_of_a_release_is_told(version: str, names: list[str]) -> None:
    assert [issue.name for issue in known_issues_of("tbot", Version.parse(version))] == names


@pytest.mark.parametrize(
    ("component", "version"),
    [
        ("tbot", "17.7.14"),
        ("tbot", "17.8.0"),
        ("tbot", "18.6.4"),
        ("tbot", "18.6.4-distroless"),
        ("tbot", "19.0.0-prealpha.2"),
        ("istio", "1.23.6"),
        ("istio", "1.24.4-distroless"),
        ("istio", "1.31.0-lab"),
        ("istio", "18.6.3"),
        ("tctl", "18.6.3"),
    ],
)
def test_not_affected(component: str, version: str) -> None:
    assert known_issues_of(component, Version.parse(version)) == ()


def test_the_versions_to_upgrade_to_are_not_affected_themselves() -> None:
    for issue in KNOWN_ISSUES:
        for version in issue.fixed_in.split(" or "):
            assert issue not in known_issues_of(issue.component, Version.parse(version))
    (not_renewed,) = (issue for issue in KNOWN_ISSUES if issue.name == NOT_RENEWED)
    assert not_renewed.fixed_in == "18.6.4 or 17.7.14"


def test_every_issue_says_where_it_is_written_down() -> None:
    assert all("#" in reference for issue in KNOWN_ISSUES for reference in issue.references)
    assert all(issue.references and issue.symptom for issue in KNOWN_ISSUES)


def test_a_symptom_stands_inside_another_sentence() -> None:
    for issue in KNOWN_ISSUES:
        assert issue.symptom[0].islower()
        assert not issue.symptom.endswith(".")
        assert issue.symptom[1:] in issue.cause.sentence
