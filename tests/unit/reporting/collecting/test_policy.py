"""The safety policy refuses a scenario unless a tag says that it is harmless."""

from __future__ import annotations

import pytest

from reporting.collecting.policy import forbidden


@pytest.mark.parametrize(
    ("declared", "allowed", "refused"),
    [
        (["read-only"], {"read-only"}, ""),
        (["namespaced"], {"read-only"}, "namespaced"),
        (["disruptive"], {"read-only", "namespaced"}, "disruptive"),
        (["disruptive"], {"disruptive"}, ""),
        ([], {"read-only", "namespaced"}, "disruptive"),
        ([], {"disruptive"}, ""),
        (["read-only", "disruptive"], {"read-only"}, "disruptive"),
        (["harmless"], {"read-only", "namespaced", "disruptive"}, "harmless"),
    ],
)
def test_only_what_is_allowed_may_run(declared: list[str], allowed: set[str], refused: str) -> None:
    why = forbidden(declared, frozenset(allowed))

    assert (f"needs --allow {refused};" in why) if refused else why == ""
