"""Fixtures: a small project, and one in which everything holds."""

from __future__ import annotations

import pytest

from tests.plugin.small_project import Project


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Project:
    # Hundreds of small reports need not survive a power cut; that reports are flushed is tested where they are written.
    monkeypatch.setattr("os.fsync", lambda _descriptor: None)
    return Project(pytester, monkeypatch)


@pytest.fixture
def passing(project: Project) -> Project:
    """A project in which every MUST of profile install holds."""
    project.scenario("Given a reading one", "Then A-1 holds by it", name="a1.feature")
    project.scenario("Then A-2 holds", tags="@requirement:A-2", name="a2.feature")
    return project
