"""The join token's file exists only as long as it is used, and only its owner can read it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from facts.errors import ProvisioningFailed
from facts.evidence import KeptInMemory
from observe.command import CommandResult, run
from provision import resources
from provision.objects import RUN_LABEL
from provision.variant import RECOMMENDED

JWKS = json.dumps({"keys": [{"kty": "RSA", "kid": "k1", "n": "AQ", "e": "AQAB"}]}, indent=2)
ROOT = Path(__file__).resolve().parents[3]


class Teleport:
    """Answers every tctl the same, and remembers what it was asked."""

    cluster_name = "teleport.test"
    proxy = proxy_for_pods = "127.0.0.1:3080"
    insecure = True

    def __init__(self, exit_code: int = 0, stderr: str = "") -> None:
        self.asked: list[tuple[tuple[str, ...], str]] = []
        self.exit_code, self.stderr = exit_code, stderr

    def tctl(self, argv: Sequence[str], stdin: str = "") -> CommandResult:
        self.asked.append((tuple(argv), stdin))
        return CommandResult(("tctl", *argv), self.exit_code, "", self.stderr, datetime.now(UTC))


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


def made(teleport: Teleport, *, replace: bool = False) -> resources.Resources:
    return resources.Resources(teleport, "run-1", KeptInMemory(), replace=replace)


def test_resources_are_created_labelled_and_in_an_order_in_which_each_finds_the_others() -> None:
    teleport, recorder = Teleport(), KeptInMemory()
    resources.Resources(teleport, "run-1", recorder, replace=False).create_all(RECOMMENDED)
    created = [yaml.safe_load(stdin) for _, stdin in teleport.asked]
    assert {argv for argv, _ in teleport.asked} == {("create",)}
    assert [document["kind"] for document in created] == ["role", "bot", "workload_identity"]
    assert {document["metadata"]["labels"][RUN_LABEL] for document in created} == {"run-1"}
    assert created[2]["metadata"]["labels"]["env"] == "dev"
    assert [str(e.subject) for e in recorder.evidence.values()][1] == "Teleport teleport.test bot/istio-tbot"


def test_only_where_they_are_ours_resources_are_replaced(tmp_path: Path) -> None:
    teleport = Teleport()
    made(teleport, replace=True).create_token(JWKS, tmp_path)
    assert teleport.asked[0][0] == ("create", "--force")


def test_a_refusal_holds_tctls_own_words() -> None:
    with pytest.raises(ProvisioningFailed, match="already exists"):
        made(Teleport(1, "ERROR: role already exists")).create_all(RECOMMENDED)


def test_what_was_made_is_removed_last_first(tmp_path: Path) -> None:
    teleport = Teleport()
    mine = made(teleport)
    mine.create_all(RECOMMENDED)
    mine.create_token(JWKS, tmp_path)
    teleport.asked.clear()
    mine.remove()
    mine.remove()
    assert [argv for argv, _ in teleport.asked] == [
        ("rm", "token/istio-tbot-k8s-join"),
        ("rm", "workload_identity/istio-workloads"),
        ("rm", "bot/istio-tbot"),
        ("rm", "role/istio-workload-identity-issuer"),
    ]


def test_what_was_refused_is_somebody_elses_and_stays() -> None:
    teleport = Teleport(1, "ERROR: role already exists")
    mine = made(teleport)
    with pytest.raises(ProvisioningFailed):
        mine.create_all(RECOMMENDED)
    teleport.asked.clear()
    mine.remove()
    assert teleport.asked == []


@pytest.mark.parametrize(("said", "fails"), [("ERROR: bot not found", False), ("ERROR: access denied", True)])
def test_what_cannot_be_removed_is_said_unless_it_is_gone(said: str, fails: bool) -> None:
    teleport = Teleport()
    mine = made(teleport)
    mine.create_all(RECOMMENDED)
    teleport.exit_code, teleport.stderr = 1, said
    if fails:
        with pytest.raises(ProvisioningFailed, match=r"access denied.*by hand"):
            mine.remove()
    else:
        mine.remove()
