"""The table of symptoms: it names what exists, and a cause has the symptoms of what it explains."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from judge.explain.cause import CAUSES
from judge.explain.symptoms import Accounted, Symptoms, symptoms_of, table
from tests.unit.judge.assertions import catalogue


@pytest.mark.parametrize("row", table(), ids=lambda row: row.because)
def test_a_row_names_causes_and_requirements_that_exist(row: Symptoms) -> None:
    assert [cause for cause in row.causes if cause not in CAUSES] == []
    assert [each for each in row.requirements if each not in catalogue().requirements] == []
    assert len({*row.causes}) == len(row.causes)
    assert len({*row.requirements}) == len(row.requirements)


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


def test_nobody_changes_the_table_that_all_share() -> None:
    with pytest.raises(ValidationError):
        table()[0].causes = ()
