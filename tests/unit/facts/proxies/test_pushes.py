"""Pushes of an SDS server by Envoy's own statistics."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from facts.errors import CouldNotTell
from facts.proxies.pushes import PUSHES, Pushes, parse_pushes, pushed_at

VERSION = "2026-03-01T12:00:00.5Z"


def stats(*found: dict[str, Any]) -> dict[str, Any]:
    return {"stats": list(found)}


def test_the_question_is_for_the_secret_default_alone() -> None:
    assert PUSHES.startswith("/stats?")
    assert r"^sds\.default\." in PUSHES
    assert "format=json" in PUSHES


def test_the_last_push_is_the_version_text() -> None:
    found = parse_pushes(
        stats(
            {"name": "sds.default.update_success", "value": 3},
            {},
            {"name": "sds.default.version_text", "value": VERSION},
            {"name": "sds.default.z.version_text", "value": "later"},
        ),
        ("ev-1",),
    )
    assert found == Pushes(VERSION, ("ev-1",))
    assert found.last == datetime(2026, 3, 1, 12, 0, 0, 500000, tzinfo=UTC)


def test_a_proxy_that_keeps_no_such_statistic_has_none() -> None:
    assert parse_pushes(stats()) is None
    assert parse_pushes(stats({"name": "sds.default.update_success", "value": 3})) is None


@pytest.mark.parametrize("damage", [{}, {"stats": "text"}, stats({"name": "sds.default.version_text", "value": 1}), "text"])
def test_a_damaged_answer_is_not_guessed_at(damage: Any) -> None:
    with pytest.raises(CouldNotTell, match=r"sds\.default"):
        parse_pushes(damage)


@pytest.mark.parametrize("version", ["", "3", "2026-03-01T12:00:00Z/3"])
def test_a_version_of_another_server_is_no_time(version: str) -> None:
    assert pushed_at(version) is None
    assert Pushes(version).last is None


def test_pushes_that_envoy_refused_are_counted() -> None:
    found = parse_pushes(
        stats({"name": "sds.default.version_text", "value": VERSION}, {"name": "sds.default.update_rejected", "value": 2})
    )
    assert found is not None
    assert found.rejected == 2
