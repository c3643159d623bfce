"""Errors that a person meets."""

from __future__ import annotations

import pytest

from facts.errors import BadInput, ConformanceError, CouldNotTell, NotApplicable, NotGiven, ProvisioningFailed


@pytest.mark.parametrize("kind", [ConformanceError, CouldNotTell, NotGiven, ProvisioningFailed, BadInput])
def test_an_error_says_all_four_parts(kind: type[ConformanceError]) -> None:
    error = kind(expected="a", seen="b", where="c", remedy="d")
    assert (error.expected, error.seen, error.where, error.remedy) == ("a", "b", "c", "d")
    assert str(error) == f"expected a; saw b (c). {kind.label}: d"
    assert repr(error) == f"{kind.__name__}('a', 'b', 'c', 'd')"


def test_the_label_of_the_next_step_says_whether_the_cause_is_known() -> None:
    assert {kind.label for kind in (ProvisioningFailed, BadInput, NotGiven)} == {"What to do"}
    assert CouldNotTell.label == "What would settle it"


def test_a_missing_input_is_a_reading_that_could_not_be_made() -> None:
    assert issubclass(NotGiven, CouldNotTell)
    assert not issubclass(BadInput, CouldNotTell)


def test_a_requirement_that_does_not_apply_names_its_condition_and_each_reading_once() -> None:
    error = NotApplicable("TRF-05", "there is one node", where="the cluster", evidence=("ev-1", "ev-2", "ev-1"))
    assert (error.requirement, error.condition, error.where) == ("TRF-05", "there is one node", "the cluster")
    assert error.evidence == ("ev-1", "ev-2")
    assert str(error) == "TRF-05 does not apply: there is one node (the cluster)"
    assert error.args == ("TRF-05", "there is one node", "the cluster")
