"""Joining by TokenReview: the cluster is asked, not its published keys."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract import resources
from tests.contract.agent import Agent
from tests.contract.api_server import ApiServer
from tests.contract.conftest import MakeAgent
from tests.contract.driver import Platform, Teleport
from tests.contract.node import ServiceAccountKeys

GOOD: dict[str, Any] = {
    "authenticated": True,
    "user": {
        "username": "system:serviceaccount:teleport-system:tbot",
        "extra": {"authentication.kubernetes.io/pod-name": ["tbot-x"]},
    },
}
OTHER_AUDIENCE = {
    "authenticated": False,
    "error": "[invalid bearer token, token audiences is invalid for the target audiences]",
}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    api = ApiServer(tmp_path_factory.mktemp("api"))
    yield api
    api.close()


@pytest.fixture(scope="module")
def reviewing_teleport(
    platform: Platform, api: ApiServer, keys: ServiceAccountKeys, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Teleport]:
    """A cluster whose join token is reviewed by the Kubernetes cluster beside it."""
    directory: Path = tmp_path_factory.mktemp("reviewing")
    token = resources.token(keys, type="in_cluster")
    documents = resources.as_yaml(resources.role(), resources.bot(resources.ROLE), token)
    environment = {"KUBECONFIG": str(api.kubeconfig)}
    teleport = Teleport(platform, directory, resources.CLUSTER, documents, environment=environment)
    teleport.start()
    teleport.restore()
    yield teleport
    teleport.stop()


@pytest.fixture
def agent(make_agent: MakeAgent, reviewing_teleport: Teleport, api: ApiServer) -> Agent:
    api.status, api.asked = [GOOD], []
    return make_agent(teleport=reviewing_teleport)


def test_a_reviewed_token_joins(agent: Agent, api: ApiServer) -> None:
    agent.start()
    assert api.asked == [{"token": agent.token, "audiences": [resources.CLUSTER]}]


def test_the_audience_may_also_be_the_api_servers_own(agent: Agent, api: ApiServer) -> None:
    api.status = [OTHER_AUDIENCE, GOOD]
    agent.start()
    assert [review["audiences"] for review in api.asked] == [[resources.CLUSTER], []]


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (
            {"authenticated": False, "error": "[invalid bearer token]"},
            "kubernetes failed to validate token: [invalid bearer token]",
        ),
        ({**GOOD, "user": {**GOOD["user"], "extra": {}}}, "legacy SA tokens are not accepted"),
        (
            {**GOOD, "user": {**GOOD["user"], "username": "system:serviceaccount:teleport-system:other"}},
            "did not match any allow rules",
        ),
    ],
    ids=["not valid", "bound to no pod", "other service account"],
)
def test_a_reviewed_token_that_may_not_join(agent: Agent, api: ApiServer, status: dict[str, Any], said: str) -> None:
    api.status = [status]
    assert said in agent.refused()


def test_reviews_are_not_allowed(agent: Agent, api: ApiServer, reviewing_teleport: Teleport) -> None:
    allowed = api.kubeconfig.read_text(encoding="utf-8")
    api.kubeconfig.write_text(allowed.replace("reviewer-token", "another-token"), encoding="utf-8")
    try:
        output = agent.refused()
    finally:
        api.kubeconfig.write_text(allowed, encoding="utf-8")
    assert "reviewing kubernetes token with in_cluster" in output
    assert "error during the Kubernetes TokenReview" in output
    assert "tokenreviews is forbidden" in output
