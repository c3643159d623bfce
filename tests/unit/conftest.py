"""Fixtures for all unit tests."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own: on this machine a cluster may be running, with locks and a bundle in the user's."""
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("CONFORMANCE_CACHE", str(cache))
    return cache
