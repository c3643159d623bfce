"""Fixtures for all unit tests."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest
from hypothesis import settings

from tests.unit.thoroughness import examples

# How long an example takes is a matter of the machine's load, and no test is about that.
settings.register_profile("untimed", deadline=None, max_examples=examples(100))
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def caches(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, count[int]]:
    """Where the caches of all tests are, and a number for each."""
    return tmp_path_factory.mktemp("caches"), count()


@pytest.fixture(autouse=True)
def own_cache(caches: tuple[Path, count[int]], monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of its own: on this machine a cluster may be running, with locks and a bundle in the user's.

    The suite makes it where it needs one. Nearly no test does, and thousands of empty directories take their time.
    """
    directory, numbers = caches
    monkeypatch.setenv("CONFORMANCE_CACHE", str(directory / str(next(numbers))))
