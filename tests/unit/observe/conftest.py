"""A cluster whose API server is the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from facts.evidence import KeptInMemory
from observe.kubernetes.cluster import Cluster
from settings import Timeouts
from tests.unit.observe.api_server import CONTEXT, ApiServer, running


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with running() as started:
        yield started


@pytest.fixture
def recorder() -> KeptInMemory:
    return KeptInMemory()


@pytest.fixture
def cluster(server: ApiServer, recorder: KeptInMemory, tmp_path: Path) -> Iterator[Cluster]:
    patience = Timeouts(api=1, admin=1, command=1)
    opened = Cluster(server.kubeconfig(tmp_path), CONTEXT, recorder, patience)
    yield opened
    opened.close()
