"""Moments of the kills come from a seed, and what has passed is not done again."""

from __future__ import annotations

from pathlib import Path

from tests.lab.kills import PROFILES, Progress, planned


def test_a_seed_gives_the_same_moments_each_time_and_another_seed_others() -> None:
    assert planned(1, 20) == planned(1, 20)
    assert planned(1, 5) == planned(1, 20)[:5]
    assert planned(1, 5) != planned(2, 5)
    assert {kill.profile for kill in planned(1, 20)} == {*PROFILES}
    assert all(0 <= kill.fraction < 1 for kill in planned(1, 20))


def test_a_session_goes_on_where_another_one_was(tmp_path: Path) -> None:
    file = tmp_path / "build" / "kills.json"
    first, second = planned(1, 2)
    progress = Progress(file, 1)
    assert not progress.has_passed(first)
    assert progress.duration("core") is None
    progress.note_duration("core", 241.26)
    progress.note_passed(first, "nothing is left")

    again = Progress(file, 1)
    assert again.duration("core") == 241.3
    assert (again.has_passed(first), again.has_passed(second)) == (True, False)
    assert not Progress(file, 2).has_passed(first)
