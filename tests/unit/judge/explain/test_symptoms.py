"""Symptoms: they name what exists, and a cause has the symptoms of what it explains."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from judge.explain.cause import CAUSES, Symptom
from judge.explain.symptoms import Accounted, symptoms_of
from tests.unit.judge.assertions import catalogue


@pytest.mark.parametrize("symptom", CAUSES.symptoms.values(), ids=lambda symptom: symptom.because)
def test_a_symptom_names_requirements_that_exist(symptom: Symptom) -> None:
    assert [each for each in symptom.requirements if each not in catalogue().requirements] == []
    assert len({*symptom.requirements}) == len(symptom.requirements)


def test_a_cause_has_the_symptoms_of_what_it_explains() -> None:
    assert "mixed-authorities" in CAUSES["annotation-on-namespace"].explains
    assert symptoms_of("mixed-authorities") <= symptoms_of("annotation-on-namespace")
    assert {"ID-03", "ID-11"} <= symptoms_of("mixed-authorities")
    assert symptoms_of("plain-text-accepted") == frozenset()


def test_a_cause_accounts_for_its_requirements_where_it_reaches() -> None:
    accounted = Accounted([("tbot-not-on-node", "Node", ["node-1"]), ("trust-domain-differs", "ConfigMap", ["node-2"])])
    assert accounted.has("ID-01", ["pod", "node-1"])
    assert not accounted.has("ID-01", ["pod", "node-2"])
    assert not accounted.has("INST-08", ["node-1"])
    assert accounted.has("ID-01", None)
    assert not accounted.has("INST-08", None)


def test_a_join_token_that_lets_in_no_tbot_breaks_nothing_where_no_tbot_has_had_to_join() -> None:
    refused, resource = ["pod", "node-1"], ["token", "node-1", "node-2"]
    accounted = Accounted([("token-missing", "Pod", refused), ("token-missing", "Teleport", resource)])
    assert accounted.has("ID-01", ["node-1"])
    assert not accounted.has("ID-01", ["node-2"])


def test_nobody_changes_the_symptoms_that_all_share() -> None:
    with pytest.raises(ValidationError):
        CAUSES.symptoms["past-its-end"].requirements = ()
