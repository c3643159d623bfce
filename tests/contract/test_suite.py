"""The suite's own readers and its clean-up, against a running ``teleport`` and its ``tctl``, for each major release."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from facts.document import Absent
from facts.errors import ProvisioningFailed
from facts.recorder import KeptInMemory
from facts.teleport.resources import Bot, ClusterStatus, JoinToken, Role, WorkloadIdentity
from observe.command import CommandResult
from observe.teleport.audit import EventFiles, read_trail
from observe.teleport.session import TeleportSession
from provision.installing.resources import Resources
from provision.objects import RUN_LABEL
from tests.contract import resources, sds_client
from tests.contract.conftest import MakeAgent
from tests.contract.driver import Platform, Teleport
from tests.contract.node import Pod, ServiceAccountKeys

RELEASES = ("17.4.2", "18.6.4", "19.0.0")
"""One of each major release; the first prints bot instances and audits issuances as releases before 17.5 do."""


@pytest.fixture(params=RELEASES)
def of_release(request: pytest.FixtureRequest, platform: Platform, base: str, tmp_path: Path) -> Iterator[Teleport]:
    teleport = Teleport(platform, tmp_path / "teleport", resources.CLUSTER, base, release=request.param)
    teleport.start()
    teleport.restore()
    yield teleport
    teleport.stop()


class Existing:
    """A Teleport that was there before the suite, as `provision.installing.resources` takes it."""

    cluster_name = resources.CLUSTER
    insecure = True
    is_own = False

    def __init__(self, teleport: Teleport) -> None:
        self._teleport = teleport
        self.proxy = self.proxy_for_pods = teleport.proxy

    def tctl(self, argv: Sequence[str], stdin: str = "") -> CommandResult:
        done = self._teleport.tctl(*argv, stdin=stdin)
        return CommandResult(("tctl", *argv), done.returncode, done.stdout, done.stderr, datetime.now(UTC))


def session(teleport: Teleport, recorder: KeptInMemory) -> TeleportSession:
    tctl = Existing(teleport).tctl
    return TeleportSession(teleport.proxy, recorder=recorder, timeout=10, tctl=tctl, ca=teleport.authority)


def test_everything_is_read_and_what_is_missing_is_absent(of_release: Teleport) -> None:
    reader = session(of_release, KeptInMemory())
    assert reader.ping().cluster_name == resources.CLUSTER
    assert len(reader.bundle().authorities) == 1
    status = reader.status()
    assert isinstance(status, ClusterStatus)
    assert status.spiffe_phase == "standby"
    found = (
        reader.token(resources.TOKEN),
        reader.bot(resources.BOT),
        reader.role(resources.ROLE),
        reader.workload_identity(resources.IDENTITY),
    )
    assert [type(each) for each in found] == [JoinToken, Bot, Role, WorkloadIdentity]
    missing = (
        reader.token("no-such-token"),
        reader.bot("no-such-bot"),
        reader.role("no-such-role"),
        reader.workload_identity("no-such-identity"),
    )
    assert [type(each) for each in missing] == [Absent] * 4
    assert reader.bot_instances() == ()


def test_instances_and_audit_events_of_a_joined_tbot(of_release: Teleport, make_agent: MakeAgent, pod: Pod) -> None:
    agent = make_agent(teleport=of_release).start()
    leaf = sds_client.ask_once(agent.socket, "default").certificates["default"].leaf
    recorder = KeptInMemory()
    (instance,) = session(of_release, recorder).bot_instances()
    assert instance.bot_name == resources.BOT
    assert instance.last_heartbeat is not None
    trail = read_trail(EventFiles(of_release.data_dir / "log"), [f"{leaf.serial_number:x}"], recorder)
    (event,) = trail.issued
    assert event.spiffe_id == "spiffe://teleport.example.com/ns/shop/sa/checkout"
    assert event.has_attributes is not of_release.release.startswith("17.4")


def test_what_another_user_made_is_neither_overwritten_nor_removed(of_release: Teleport, keys: ServiceAccountKeys) -> None:
    ours = Resources(Existing(of_release), "run-1", KeptInMemory(), cluster="dev")
    documents = (resources.token(keys), resources.bot(), resources.role(), resources.identity())
    before = [of_release.must("get", kind) for kind in ("token", "bot", "role", "workload_identity")]
    for document in documents:
        with pytest.raises(ProvisioningFailed) as refused:
            ours.create(document)
        assert f"{document['kind']}/{document['metadata']['name']}" in refused.value.seen
        assert RUN_LABEL in refused.value.expected
    ours.remove()
    ours.remove_kept()
    assert [of_release.must("get", kind) for kind in ("token", "bot", "role", "workload_identity")] == before


def test_what_the_suite_made_is_replaced_and_removed_and_gone_is_gone(
    of_release: Teleport, keys: ServiceAccountKeys
) -> None:
    for kind, name in (
        ("token", resources.TOKEN), ("bot", resources.BOT), ("role", resources.ROLE),
        ("workload_identity", resources.IDENTITY),
    ):  # fmt: skip
        of_release.must("rm", f"{kind}/{name}")
    ours = Resources(Existing(of_release), "run-1", KeptInMemory(), cluster="dev")
    for document in (resources.token(keys), resources.bot(), resources.role(), resources.identity()):
        ours.create(document)
        ours.create(document)
    of_release.must("rm", f"bot/{resources.BOT}")
    ours.remove()
    for kind in ("token", "bot", "role", "workload_identity"):
        assert of_release.must("get", kind, "--format=json").strip() == "[]"
