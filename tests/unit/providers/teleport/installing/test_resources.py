"""The join token's file exists only as long as it is used, and only its owner can read it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from facts.errors import CouldNotTell, ProvisioningFailed
from facts.recorder import KeptInMemory
from observe.command import CommandResult, run
from providers.teleport.installing import resources
from providers.teleport.installing.teleport import CLUSTER_LABEL
from provision.installing.variant import RECOMMENDED
from provision.objects import MADE_LABEL, RUN_LABEL

JWKS = json.dumps({"keys": [{"kty": "RSA", "kid": "k1", "n": "AQ", "e": "AQAB"}]}, indent=2)
ROOT = Path(__file__).resolve().parents[5]


ALL = [
    "role/istio-workload-identity-issuer",
    "bot/istio-tbot",
    "workload_identity/istio-workloads",
    "token/istio-tbot-k8s-join",
]
RED = "\x1b[31mERROR: \x1b[0m"
"""How tctl begins each of its errors."""


class Teleport:
    """A tctl with a memory, in Teleport's own words: of the resources that are there, and of what it was asked.

    Attributes:
        is_own: The suite started it.
        there: Resources by kind and name.
        asked: Arguments and standard input of each call.
        refusal: What it answers to every call but `get`, in place of doing it; None to do it.
    """

    cluster_name = "teleport.test"
    proxy = proxy_for_pods = "127.0.0.1:3080"
    insecure, ca = False, None
    command = ("tctl",)

    def __init__(self, refusal: str | None = None, *, is_own: bool = False) -> None:
        self.is_own = is_own
        self.there: dict[str, dict[str, Any]] = {}
        self.asked: list[tuple[tuple[str, ...], str]] = []
        self.refusal = refusal

    def tctl(self, argv: Sequence[str], stdin: str = "") -> CommandResult:
        self.asked.append((tuple(argv), stdin))
        said, error = "", self.refusal if self.refusal and argv[0] != "get" else ""
        if not error:
            said, error = getattr(self, argv[0])(list(argv[1:]), stdin)
        return CommandResult(("tctl", *argv), int(bool(error)), said, error, datetime.now(UTC))

    def create(self, options: list[str], stdin: str) -> tuple[str, str]:
        document = yaml.safe_load(stdin)
        name = f"{document['kind']}/{document['metadata']['name']}"
        if name in self.there and "--force" not in options and document["kind"] != "token":
            return "", f"{RED}creating it\n\t{name} already exists\n\n"
        self.there[name] = document
        return "", ""

    def get(self, words: list[str], _stdin: str) -> tuple[str, str]:
        if words[0] not in self.there:
            return "", _absent(words[0])
        return json.dumps([self.there[words[0]]]), ""

    def rm(self, words: list[str], _stdin: str) -> tuple[str, str]:
        return ("", "") if self.there.pop(words[0], None) else ("", _absent(words[0]))

    def removed(self) -> list[str]:
        """Names of the resources that tctl was asked to remove."""
        return [argv[1] for argv, _ in self.asked if argv[0] == "rm"]


def _absent(name: str) -> str:
    """Tctl's error for a resource that does not exist."""
    kind, _, own = name.partition("/")
    said = {
        "token": f"provisioning token(**{own[2:]}) not found",
        "role": f"role {own} is not found",
        "bot": f'fetching bot user\n\tuser "bot-{own}" not found',
        "workload_identity": f'workload_identity "{own}" doesn\'t exist',
    }
    return f"{RED}{said[kind]}\n\n"


def test_the_file_is_private_filled_in_and_gone_afterwards(tmp_path: Path) -> None:
    with resources.token_file(tmp_path, JWKS) as file:
        assert file.stat().st_mode & 0o777 == 0o600
        assert file.parent.stat().st_mode & 0o077 == 0
        token = yaml.safe_load(file.read_text())
        assert json.loads(token["spec"]["kubernetes"]["static_jwks"]["jwks"]) == json.loads(JWKS)
        assert "PASTE" not in json.dumps(token)
    assert list(tmp_path.iterdir()) == []


def test_the_file_is_gone_after_a_failure_too(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), resources.token_file(tmp_path, JWKS):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_git_ignores_the_file_wherever_it_is() -> None:
    for path in (resources.TOKEN_FILE, f"manifests/{resources.TOKEN_FILE}"):
        assert run(["git", "-C", ROOT, "check-ignore", path], timeout=10).exit_code == 0


@pytest.mark.parametrize("jwks", ["", "no json", "{}", '{"keys":[]}', "[]", '{"keys":[{"kid":"it\'s"}]}'])
def test_what_is_no_key_set_is_refused(tmp_path: Path, jwks: str) -> None:
    with pytest.raises(ProvisioningFailed, match="JSON Web Key Set"), resources.token_file(tmp_path, jwks):
        pytest.fail("no file must be made")
    assert list(tmp_path.iterdir()) == []


def made(teleport: Teleport, run: str = "run-1", *, reuse: bool = False) -> resources.Resources:
    return resources.Resources(teleport, run, KeptInMemory(), cluster="dev", reuse=reuse)


def everything(teleport: Teleport, tmp_path: Path, run: str = "run-1", *, reuse: bool = False) -> resources.Resources:
    mine = made(teleport, run, reuse=reuse)
    mine.create_all(RECOMMENDED)
    mine.create_token(JWKS, tmp_path)
    return mine


def test_resources_are_created_labelled_and_in_an_order_in_which_each_finds_the_others() -> None:
    teleport, recorder = Teleport(), KeptInMemory()
    resources.Resources(teleport, "run-1", recorder).create_all(RECOMMENDED)
    created = [yaml.safe_load(stdin) for argv, stdin in teleport.asked if argv[0] == "create"]
    assert {argv for argv, _ in teleport.asked if argv[0] == "create"} == {("create",)}
    assert [document["kind"] for document in created] == ["role", "bot", "workload_identity"]
    assert {document["metadata"]["labels"][RUN_LABEL] for document in created} == {"run-1"}
    assert all(MADE_LABEL in document["metadata"]["labels"] for document in created)
    assert created[2]["metadata"]["labels"]["env"] == "dev"
    assert [str(e.subject) for e in recorder.evidence.values()][2] == "Teleport teleport.test bot/istio-tbot"


def test_in_a_teleport_of_its_own_the_suite_replaces_without_looking(tmp_path: Path) -> None:
    teleport = Teleport(is_own=True)
    made(teleport).create_token(JWKS, tmp_path)
    assert [argv for argv, _ in teleport.asked] == [("create", "--force")]


def test_a_refusal_holds_tctls_own_words() -> None:
    with pytest.raises(ProvisioningFailed, match="already exists") as refused:
        made(Teleport(f"{RED}role already exists")).create_all(RECOMMENDED)
    assert "\x1b" not in refused.value.seen


def test_a_second_factor_that_tctl_asks_for_is_told_with_the_way_around_it() -> None:
    with pytest.raises(ProvisioningFailed) as refused:
        made(Teleport(f"{RED}failed to perform MFA\n\tfile is not a terminal")).create_all(RECOMMENDED)
    assert "tctl -i IDENTITY_FILE" in refused.value.remedy


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("labels", [{}, {"team": "platform"}, {RUN_LABEL: "run-0", CLUSTER_LABEL: "another"}])
@pytest.mark.parametrize("reuse", [False, True])
def test_what_another_user_made_is_named_and_neither_overwritten_nor_removed(
    tmp_path: Path, name: str, labels: dict[str, str], *, reuse: bool
) -> None:
    teleport = Teleport()
    kind, _, own = name.partition("/")
    theirs = {"kind": kind, "metadata": {"name": own, "labels": labels}}
    teleport.there[name] = theirs
    mine = made(teleport, reuse=reuse)
    with pytest.raises(ProvisioningFailed) as refused:
        mine.create({"kind": kind, "version": "v1", "metadata": {"name": own}, "spec": {}})
    error = refused.value
    assert name in error.expected
    assert RUN_LABEL in error.expected
    assert (name in error.seen, error.where) == (True, "Teleport teleport.test")
    assert all(f"{key}: {value}" in error.seen for key, value in labels.items())
    assert f"tctl get {name}" in error.remedy
    mine.remove()
    mine.remove_kept()
    assert {argv[0] for argv, _ in teleport.asked} == {"get"}
    assert teleport.there == {name: theirs}


def test_of_what_another_user_made_evidence_keeps_the_name_and_the_labels() -> None:
    teleport, recorder = Teleport(), KeptInMemory()
    metadata = {"name": "a", "labels": {"team": "another"}, "description": "private"}
    teleport.there["role/a"] = {"kind": "role", "metadata": metadata, "spec": {"allow": "private"}}
    mine = resources.Resources(teleport, "run-1", recorder)
    with pytest.raises(ProvisioningFailed):
        mine.create({"kind": "role", "version": "v7", "metadata": {"name": "a"}, "spec": {}})
    (kept,) = recorder.evidence.values()
    assert json.loads(kept.body) == [{"kind": "role", "metadata": {"name": "a", "labels": {"team": "another"}}}]


def test_what_was_made_is_removed_last_first(tmp_path: Path) -> None:
    teleport = Teleport()
    mine = everything(teleport, tmp_path)
    mine.remove()
    mine.remove()
    assert teleport.removed() == [*reversed(ALL)]
    assert teleport.there == {}


@pytest.mark.parametrize("said", ["role already exists", 'user "bot-b" already registered', "access denied to create"])
def test_a_resource_that_tctl_did_not_create_stays(said: str) -> None:
    teleport = Teleport(f"{RED}creating it\n\t{said}\n\n")
    mine = made(teleport)
    with pytest.raises(ProvisioningFailed):
        mine.create_all(RECOMMENDED)
    teleport.asked.clear()
    mine.remove()
    assert teleport.asked == []


@pytest.mark.parametrize(
    "cut_short", [CouldNotTell(expected="an answer", seen="none", where="tctl", remedy="wait"), KeyboardInterrupt()]
)
@pytest.mark.parametrize("came_through", [True, False])
def test_what_was_under_way_when_tctl_was_cut_short_is_removed_if_it_is_there(
    monkeypatch: pytest.MonkeyPatch, cut_short: BaseException, *, came_through: bool
) -> None:
    teleport = Teleport()
    mine = made(teleport)

    def cut(options: list[str], stdin: str) -> tuple[str, str]:
        if came_through:
            Teleport.create(teleport, options, stdin)
        raise cut_short

    monkeypatch.setattr(teleport, "create", cut, raising=False)
    with pytest.raises(type(cut_short)):
        mine.create_all(RECOMMENDED)
    mine.remove()
    assert teleport.there == {}
    assert teleport.removed() == ([ALL[0]] if came_through else [])


def test_the_replacement_of_another_user_stays(tmp_path: Path) -> None:
    teleport = Teleport()
    mine = everything(teleport, tmp_path)
    theirs = {"kind": "role", "metadata": {"name": "istio-workload-identity-issuer", "labels": {"team": "platform"}}}
    teleport.there[ALL[0]] = theirs
    mine.remove()
    assert teleport.there == {ALL[0]: theirs}


def test_what_cannot_be_removed_is_said(tmp_path: Path) -> None:
    teleport = Teleport()
    mine = everything(teleport, tmp_path)
    teleport.refusal = f"{RED}access denied"
    with pytest.raises(ProvisioningFailed, match=r"access denied.*by hand"):
        mine.remove()


def test_what_goes_while_the_suite_removes_it_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    teleport = Teleport()
    mine = everything(teleport, tmp_path)

    def gone(words: list[str], _stdin: str) -> tuple[str, str]:
        return "", _absent(words[0])

    monkeypatch.setattr(teleport, "rm", gone, raising=False)
    mine.remove()
    mine.remove()
    assert teleport.removed() == [*reversed(ALL)]


def test_a_second_run_on_the_kept_cluster_replaces_what_the_first_one_made(tmp_path: Path) -> None:
    teleport = Teleport()
    everything(teleport, tmp_path)
    everything(teleport, tmp_path, "run-2", reuse=True)
    assert {d["metadata"]["labels"][RUN_LABEL] for d in teleport.there.values()} == {"run-2"}


def test_without_reuse_nothing_is_replaced_that_an_earlier_run_made(tmp_path: Path) -> None:
    teleport = Teleport()
    everything(teleport, tmp_path)
    with pytest.raises(ProvisioningFailed, match=r"run-1"):
        everything(teleport, tmp_path, "run-2")
    assert {d["metadata"]["labels"][RUN_LABEL] for d in teleport.there.values()} == {"run-1"}


def test_what_an_earlier_run_kept_is_removed_last_first(tmp_path: Path) -> None:
    teleport = Teleport()
    everything(teleport, tmp_path)
    made(teleport, "").remove_kept()
    assert teleport.removed() == [*reversed(ALL)]
    made(teleport, "").remove_kept()
    assert teleport.removed() == [*reversed(ALL)]
