"""What the contract tests run against: one cluster, one node and one tbot for most of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract import resources
from tests.contract.agent import Agent, configuration
from tests.contract.driver import AFFECTED, FIXED, Containers, Platform, Processes, Teleport
from tests.contract.node import Node, Pod, ServiceAccountKeys

MakeAgent = Callable[..., Agent]
Create = Callable[..., None]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("contract", "what the contract tests run against (default: this checkout's stand-in)")
    group.addoption("--teleport-image", help="image with teleport and tctl")
    group.addoption("--tbot-image", help=f"image with tbot {FIXED}, or another release that renews over SDS")
    group.addoption("--tbot-affected-image", help=f"image with tbot {AFFECTED}, which does not renew over SDS")


@pytest.fixture(scope="session")
def platform(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Platform:
    option = request.config.getoption
    if not option("--teleport-image"):
        return Processes()
    tbots = {FIXED: option("--tbot-image"), AFFECTED: option("--tbot-affected-image")}
    assert all(tbots.values()), "--teleport-image needs --tbot-image and --tbot-affected-image beside it"
    return Containers(option("--teleport-image"), tbots, tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session")
def keys() -> ServiceAccountKeys:
    """The keys of the Kubernetes cluster that tbot runs in."""
    return ServiceAccountKeys()


@pytest.fixture(scope="session")
def base(keys: ServiceAccountKeys) -> str:
    """The guide's resources."""
    return resources.as_yaml(resources.role(), resources.bot(resources.ROLE), resources.token(keys), resources.identity())


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    node = Node(tmp_path_factory.mktemp("node"))
    yield node
    node.close()


@pytest.fixture(scope="session")
def shared_teleport(platform: Platform, base: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Teleport]:
    teleport = Teleport(platform, tmp_path_factory.mktemp("teleport"), resources.CLUSTER, base)
    teleport.start()
    yield teleport
    teleport.stop()


@pytest.fixture(autouse=True)
def guides_resources(request: pytest.FixtureRequest, shared_teleport: Teleport) -> None:
    """Undoes what earlier tests did to the guide's resources, unless the test replaces them anyway."""
    if "create" not in request.fixturenames:
        shared_teleport.restore()


@pytest.fixture
def teleport(shared_teleport: Teleport) -> Teleport:
    """The cluster, with the guide's resources."""
    return shared_teleport


@pytest.fixture
def create(teleport: Teleport) -> Create:
    """Puts resources in place of the guide's."""

    def create(*documents: dict[str, Any]) -> None:
        teleport.must("create", "-f", stdin=f"{teleport.resources}\n---\n{resources.as_yaml(*documents)}")

    return create


@pytest.fixture
def own_teleport(platform: Platform, base: str, tmp_path: Path) -> Iterator[Teleport]:
    """A cluster for one test alone, which may stop it."""
    teleport = Teleport(platform, tmp_path / "teleport", resources.CLUSTER, base)
    teleport.start()
    teleport.restore()
    yield teleport
    teleport.stop()


@pytest.fixture(scope="session")
def tbot(
    platform: Platform,
    shared_teleport: Teleport,
    node: Node,
    keys: ServiceAccountKeys,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Agent]:
    """A tbot of a fixed release with default lifetimes."""
    shared_teleport.restore()
    directory = tmp_path_factory.mktemp("tbot")
    config = configuration(shared_teleport, node, directory)
    agent = Agent(platform, shared_teleport, node, directory, keys.token(), config).start()
    yield agent
    agent.stop()


@pytest.fixture
def make_agent(
    platform: Platform, teleport: Teleport, node: Node, keys: ServiceAccountKeys, tmp_path: Path
) -> Iterator[MakeAgent]:
    """Makes a tbot of its own for a test: ``make_agent(release=…, token=…, service settings)``, not yet started."""
    made: list[Agent] = []
    shared = teleport

    def make(*, release: str = FIXED, token: str | None = None, teleport: Teleport | None = None, **service: Any) -> Agent:
        directory = tmp_path / f"tbot-{len(made)}"
        directory.mkdir()
        cluster = teleport or shared
        config = configuration(cluster, node, directory, **service)
        made.append(Agent(platform, cluster, node, directory, token or keys.token(), config, release))
        return made[-1]

    yield make
    for agent in made:
        agent.stop()


@pytest.fixture
def pod(node: Node) -> Iterator[Pod]:
    """The pod that this process is in, as the node tells it."""
    pod = node.run(Pod("shop", "checkout", labels={"app": "checkout"}))
    node.enter(os.getpid(), pod.cgroup())
    yield pod
    node.forget(pod)
