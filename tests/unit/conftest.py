"""Fixtures for all unit tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

# How long an example takes is a matter of the machine's load, and no test is about that.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own: on this machine a cluster may be running, with locks and a bundle in the user's."""
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("CONFORMANCE_CACHE", str(cache))
    return cache
