"""The suite's own readers and its clean-up, against a running ``teleport`` and its ``tctl``, for each major release."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from facts.document import Absent
from facts.errors import ProvisioningFailed
from facts.recorder import KeptInMemory
from facts.secret_forms import MARK
from observe.command import CommandResult
from providers.teleport.facts.resources import Bot, ClusterStatus, JoinToken, Role
from providers.teleport.installing.resources import Resources
from providers.teleport.observe.audit import EventFiles, read_trail
from providers.teleport.observe.session import TeleportSession
from provision.objects import RUN_LABEL
from tests.contract import resources, sds_client
from tests.contract.conftest import MakeAgent
from tests.contract.driver import Platform, Teleport, wait_for_line
from tests.contract.node import Pod, ServiceAccountKeys
from tests.data import text

RELEASES = ("17.4.2", "18.6.4", "19.0.0")
"""One of each major release; the first prints bot instances and audits issuances as releases before 17.5 do."""


@pytest.fixture(params=RELEASES)
def of_release(request: pytest.FixtureRequest, platform: Platform, base: str, tmp_path: Path) -> Iterator[Teleport]:
    teleport = Teleport(platform, tmp_path / "teleport", resources.CLUSTER, base, release=request.param)
    teleport.start()
    teleport.restore()
    yield teleport
    teleport.stop()


WORDS_CHANGE = pytest.mark.parametrize("of_release", ["18.6.4", "19.0.0"], indirect=True)
"""The words for a missing bot changed between these."""


class Existing:
    """A Teleport that was there before the suite, as `providers.teleport.installing.resources` takes it."""

    cluster_name = resources.CLUSTER
    insecure = False
    is_own = False
    command = ("tctl",)

    def __init__(self, teleport: Teleport) -> None:
        self._teleport = teleport
        self.ca = teleport.authority
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
    )
    assert [type(each) for each in found] == [JoinToken, Bot, Role]
    missing = (
        reader.token("no-such-token"),
        reader.bot("no-such-bot"),
        reader.role("no-such-role"),
    )
    assert [type(each) for each in missing] == [Absent] * 3
    assert reader.bot_instances() == ()
    assert [identity.name for identity in reader.workload_identities().identities] == [resources.IDENTITY]


def test_every_token_is_listed_with_its_end_and_without_its_name(of_release: Teleport, keys: ServiceAccountKeys) -> None:
    second = resources.token(keys, "istio-tbot-of-another-cluster")
    second["metadata"]["expires"] = "2099-01-01T00:00:00Z"
    of_release.must("create", stdin=resources.as_yaml(second))
    found = session(of_release, KeptInMemory()).tokens((resources.TOKEN,)).tokens
    told = {(t.name, t.join_method, t.bot_name, t.allow, t.expires) for t in found}
    accounts, end = ("teleport-system:tbot",), datetime(2099, 1, 1, tzinfo=UTC)
    assert told == {
        (resources.TOKEN, "kubernetes", resources.BOT, accounts, None),
        (MARK, "kubernetes", resources.BOT, accounts, end),
    }


def test_older_rules_of_a_role_are_kept_and_told(of_release: Teleport) -> None:
    role = resources.role()
    role["spec"]["allow"]["spiffe"] = [{"path": "/*"}]
    of_release.must("create", "-f", stdin=resources.as_yaml(role))
    found = session(of_release, KeptInMemory()).role(resources.ROLE)
    assert isinstance(found, Role)
    assert found.other_access == ("spiffe",)


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


@WORDS_CHANGE
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


@WORDS_CHANGE
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


def real(name: str) -> str:
    return text(f"teleport/real/{name}")


def test_errors_are_teleports_to_the_letter(of_release: Teleport, keys: ServiceAccountKeys) -> None:
    there = {"bot": resources.bot(), "role": resources.role()}
    for kind, document in there.items():
        assert of_release.tctl("create", stdin=resources.as_yaml(document)).stderr == real(f"{kind}-there.stderr")
    token = resources.as_yaml(resources.token(keys))
    assert of_release.must("create", stdin=token) == real("token-overwritten.stdout")
    absent = {
        f"bot/{resources.BOT}": f"bot-absent.{19 if of_release.release.startswith('19') else 18}.stderr",
        f"role/{resources.ROLE}": "role-absent.stderr",
        f"workload_identity/{resources.IDENTITY}": "workload_identity-absent.stderr",
    }
    for name, file in absent.items():
        of_release.must("rm", name)
        assert of_release.tctl("get", name).stderr == real(file)
    rotated = of_release.must("auth", "rotate", "--manual", "--type=spiffe", "--phase=init")
    assert rotated == real("rotate.stdout")


def test_answers_have_no_field_that_teleports_lack(of_release: Teleport, make_agent: MakeAgent, pod: Pod) -> None:
    agent = make_agent(teleport=of_release).start()
    sds_client.ask_once(agent.socket, "default")
    assert agent.running is not None
    wait_for_line(agent.running, "Sent heartbeat")
    early = of_release.release.startswith("17.4")
    (instance,) = json.loads(of_release.must("get", "bot_instance", "--format=json"))
    (theirs,) = json.loads(real(f"bot_instances.{'17.4' if early else '17.5'}.json"))
    assert fields(instance) <= fields(theirs)
    join, *_, issued = of_release.audit_events()[-2:]
    of_join, before, after = (json.loads(line) for line in real("audit-events.jsonl").splitlines())
    # The attributes are those of this workload, and a selector is in the event where there is one.
    assert {*join} <= {*of_join}
    assert {*issued} - {"name_selector"} <= {*(before if early else after)}
    assert fields(of_release.public("/webapi/ping")) - OWN_FIELDS <= fields(json.loads(real("ping.18.2.0.json")))


OWN_FIELDS = {"stand_in", "stand_in_port"}
"""Fields with which the stand-in says what it is."""


def fields(document: object, before: str = "") -> set[str]:
    """The ways to all values of a document, without the places in lists."""
    if isinstance(document, list):
        return {way for item in document for way in fields(item, before)}
    if not isinstance(document, dict):
        return {before}
    return {way for key, value in document.items() for way in fields(value, f"{before}.{_message(key)}".removeprefix("."))}


def _message(key: str) -> str:
    """A field's name; the first and the latest authentications and heartbeats of a bot instance are one message."""
    return key.replace("latest_", "initial_").removesuffix("s") if key.startswith("latest_") else key
