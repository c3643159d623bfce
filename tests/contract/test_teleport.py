"""``teleport`` and ``tctl``: public endpoints, resources, bots, and what survives a restart."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import requests
import yaml

from observe.wait import NotYet
from providers.teleport.installing.teleport import ping
from tests.contract import resources
from tests.contract.driver import Platform, Processes, Teleport
from tests.contract.node import ServiceAccountKeys


def get(teleport: Teleport, reference: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(teleport.must("get", reference))
    return document


@pytest.mark.parametrize("path", ["/webapi/ping", "/v1/webapi/find"])
def test_ping_names_cluster_and_release(teleport: Teleport, path: str) -> None:
    document = teleport.public(path)
    assert document["cluster_name"] == resources.CLUSTER
    assert document["server_version"] == "18.6.4"


def test_the_certificate_that_it_keeps_verifies_its_proxy(own_teleport: Teleport, teleport: Teleport) -> None:
    """The suite copies the file out of the container; another Teleport has another one."""
    ca, other = (each.data_dir / "webproxy_cert.pem" for each in (own_teleport, teleport))
    address = f"localhost:{own_teleport.proxy_port}"
    assert ping(address, ca=ca) == resources.CLUSTER
    with pytest.raises(NotYet, match="a certificate of Teleport's proxy that can be verified, saw self-signed"):
        ping(address, ca=other)
    own_teleport.stop()
    own_teleport.start()
    assert ping(address, ca=ca) == resources.CLUSTER, "it keeps it over a restart"


def test_public_bundle_is_a_spiffe_bundle(teleport: Teleport) -> None:
    document = teleport.public("/webapi/spiffe/bundle.json")

    certificate, jwt = document["keys"]
    assert (certificate["use"], certificate["kty"], certificate["crv"]) == ("x509-svid", "EC", "P-256")
    assert len(certificate["x5c"]) == 1
    assert (jwt["use"], jwt["kty"], jwt["e"]) == ("jwt-svid", "RSA", "AQAB")
    assert document["spiffe_refresh_hint"] == 300
    assert "spiffe_sequence" not in document


def test_the_bundle_is_limited_by_address(own_teleport: Teleport) -> None:
    def ask() -> int:
        url = f"https://{own_teleport.proxy}/webapi/spiffe/bundle.json"
        return requests.get(url, verify=str(own_teleport.authority), timeout=10).status_code

    answers = [ask() for _ in range(40)]
    # A slow machine gets a few more answers, as one comes back every three seconds.
    while answers[-1] == 200 and len(answers) < 80:
        answers.append(ask())
    assert (answers[:40], answers[-1]) == ([200] * 40, 429)


def test_the_stand_in_says_what_it_is(teleport: Teleport, platform: Platform) -> None:
    if not isinstance(platform, Processes):
        pytest.skip("asked of the checkout's stand-in alone: Teleport's own images do not say it")
    said = "stand-in for Teleport, not Teleport itself"
    assert teleport.public("/webapi/ping")["stand_in"] == said
    assert said in teleport.must("status")
    assert teleport.running is not None
    assert said in teleport.running.log.splitlines()[0]
    for program in ("teleport", "tctl", "tbot"):
        assert said in platform.run(program, "version").stdout


@pytest.mark.parametrize("program", ["teleport", "tctl", "tbot"])
def test_version(platform: Platform, program: str) -> None:
    result = platform.run(program, "version")
    assert result.returncode == 0
    assert result.stdout.startswith("Teleport v18.6.4 ")


def test_status(teleport: Teleport) -> None:
    lines = teleport.must("status").splitlines()
    assert any(line.startswith("Cluster") and line.endswith(resources.CLUSTER) for line in lines)
    assert any(line.startswith("Version") and "18.6.4" in line for line in lines)
    assert any(line.startswith("CA pin") and "sha256:" in line for line in lines)
    head, _rule, jwt, tls = lines[-4:]
    assert head.split() == ["authority", "rotation", "protocol", "status", "algorithm", "storage"]
    assert jwt.startswith("spiffe")
    assert "standby" in jwt
    column = head.index("protocol")
    assert jwt[column:].split()[:2] == ["JWT", "active"]
    assert (tls[:column].strip(), tls[column:].split()[:2]) == ("", ["TLS", "active"])


def test_resources_come_back_as_they_were_given(teleport: Teleport, keys: ServiceAccountKeys) -> None:
    for kind, given in (
        ("token", resources.token(keys)),
        ("role", resources.role()),
        ("workload_identity", resources.identity()),
        ("bot", resources.bot(resources.ROLE)),
    ):
        document = get(teleport, f"{kind}/{given['metadata']['name']}")
        assert (document["kind"], document["version"]) == (kind, given["version"])
        assert document["spec"].items() >= given["spec"].items()
        assert document["metadata"].get("labels", {}) == given["metadata"].get("labels", {})


def test_all_of_a_kind_are_separated_documents_and_one_json_list(teleport: Teleport) -> None:
    teleport.must("create", "-f", stdin=resources.as_yaml(resources.identity("another")))
    try:
        as_yaml = list(yaml.safe_load_all(teleport.must("get", "workload_identities")))
        as_json = json.loads(teleport.must("get", "workload_identity", "--format=json"))
    finally:
        teleport.must("rm", "workload_identity/another")
    assert {document["metadata"]["name"] for document in as_yaml} == {"another", resources.IDENTITY}
    assert as_json == as_yaml


def test_create_reads_files_and_standard_input(teleport: Teleport) -> None:
    path = teleport.directory / "identity.yaml"
    path.write_text(resources.as_yaml(resources.identity("from-file")), encoding="utf-8")

    assert "created" in teleport.must("create", "-f", str(path))
    assert "updated" in teleport.must("create", str(path), "--force")
    assert "updated" in teleport.must("create", "-f", "-", stdin=path.read_text(encoding="utf-8"))
    assert "deleted" in teleport.must("rm", "workload_identity/from-file")


ERROR = "\x1b[31mERROR: \x1b[0m"
"""How tctl begins an error; nothing asks whether a terminal reads it."""


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (resources.identity(), f'workload_identity "{resources.IDENTITY}" already exists'),
        (resources.role(), f'use -f or --force flag to overwrite\n\trole "{resources.ROLE}" already exists'),
        (resources.bot(), f'creating bot user\n\tuser "bot-{resources.BOT}" already registered'),
    ],
    ids=["workload_identity", "role", "bot"],
)
def test_create_does_not_overwrite_without_force(teleport: Teleport, document: dict[str, Any], said: str) -> None:
    result = teleport.tctl("create", stdin=resources.as_yaml(document))
    assert (result.returncode, result.stderr) == (1, f"{ERROR}{said}\n\n")


def test_create_overwrites_a_token_unasked(teleport: Teleport, keys: ServiceAccountKeys) -> None:
    other = resources.token(keys, allow=[{"service_account": "another:one"}])
    assert teleport.must("create", stdin=resources.as_yaml(other)) == (
        f'provision_token "{resources.TOKEN}" has been created\n'
    )
    assert get(teleport, f"token/{resources.TOKEN}")["spec"]["kubernetes"]["allow"] == [{"service_account": "another:one"}]


@pytest.mark.parametrize("verb", ["get", "rm"])
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("role/absent", "role absent is not found"),
        ("bot/absent", 'fetching bot user\n\tuser "bot-absent" not found'),
        ("token/absent-token", "provisioning token(*********ken) not found"),
        ("workload_identity/absent", 'workload_identity "absent" doesn\'t exist'),
    ],
)
def test_what_is_not_there(teleport: Teleport, verb: str, name: str, said: str) -> None:
    result = teleport.tctl(verb, name)
    assert (result.returncode, result.stderr) == (1, f"{ERROR}{said}\n\n")


def changed(document: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """The document with one value replaced; ``None`` removes it."""
    copy: dict[str, Any] = json.loads(json.dumps(document))
    *parents, last = path.split(".")
    inner = copy
    for key in parents:
        inner = inner[key]
    inner.pop(last, None)
    if value is not None:
        inner[last] = value
    return copy


KEYS = ServiceAccountKeys()


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (changed(resources.identity(), "spec.spiffe.id", "ns/x"), "spec.spiffe.id"),
        (changed(resources.identity(), "spec.spiffe.id", None), "spec.spiffe.id"),
        (changed(resources.identity(), "version", "v9"), "version"),
        (changed(resources.identity(), "metadata.name", None), "name"),
        (resources.identity(x509={"maximum_ttl": "1209601s"}), "maximum_ttl"),
        (resources.identity(allow=[{"conditions": [{"attribute": "workload.unix.uid"}]}]), "operator"),
        (resources.identity(allow=[{"expression": "workload.unix.uid =="}]), "expression"),
        (resources.token(KEYS, allow=[]), "allow"),
        (resources.token(KEYS, allow=[{"service_account": "tbot"}]), "service_account"),
        (resources.token(KEYS, static_jwks={"jwks": ""}), "static_jwks"),
        (resources.token(KEYS, type="nonsense"), "nonsense"),
        (changed(resources.token(KEYS), "spec.bot_name", None), "bot_name"),
        (changed(resources.token(KEYS), "spec.kubernetes", None), "kubernetes"),
        (changed(resources.role(), "version", None), "version"),
        (changed(resources.role(), "kind", "nonsense"), "nonsense"),
    ],
    ids=[
        "path without slash", "no path", "version", "name", "ttl above 14 days", "condition", "expression",
        "no allow rule", "allow rule", "empty JWKS", "join type", "no bot", "no kubernetes", "role version", "kind",
    ],
)  # fmt: skip
def test_resources_that_are_not_acceptable(teleport: Teleport, document: dict[str, Any], said: str) -> None:
    result = teleport.tctl("create", "-f", stdin=resources.as_yaml(document))
    assert result.returncode == 1
    assert said in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("text", ["", "a: [", "just text", "[1, 2]"], ids=["empty", "broken", "text", "list"])
def test_input_that_is_no_resource(teleport: Teleport, text: str) -> None:
    result = teleport.tctl("create", "-f", stdin=text)
    assert result.returncode == 1
    assert result.stderr.startswith(ERROR)
    assert "Traceback" not in result.stderr


def test_oidc_joins_are_said_to_be_no_part_of_the_stand_in(teleport: Teleport, platform: Platform) -> None:
    if not isinstance(platform, Processes):
        pytest.skip("asked of the checkout's stand-in alone: Teleport has OIDC")
    result = teleport.tctl("create", "-f", stdin=resources.as_yaml(resources.token(KEYS, type="oidc")))
    assert result.returncode == 1
    assert '"oidc" is not part of the stand-in' in result.stderr


def test_bots(teleport: Teleport) -> None:
    teleport.must("bots", "add", "scratch", "--roles=a,b")
    try:
        row = next(line for line in teleport.must("bots", "ls").splitlines() if line.startswith("scratch"))
        assert row.split()[1:] == ["bot-scratch", "a,b"]
        assert teleport.tctl("bots", "add", "scratch", "--roles=a").returncode == 1
        teleport.must("bots", "update", "scratch", "--add-roles=c")
        assert get(teleport, "bot/scratch")["spec"]["roles"] == ["a", "b", "c"]
    finally:
        teleport.must("bots", "rm", "scratch")
    assert "scratch" not in teleport.must("bots", "ls")


def test_state_survives_a_restart_even_a_hard_one(own_teleport: Teleport) -> None:
    def all_of_it() -> list[object]:
        kinds = [own_teleport.must("get", kind) for kind in ("token", "role", "workload_identity", "bot")]
        status = [line for line in own_teleport.must("status").splitlines() if line.startswith("CA pin")]
        return [own_teleport.public("/webapi/spiffe/bundle.json"), kinds, status]

    before = all_of_it()
    assert own_teleport.running is not None
    own_teleport.running.kill()
    own_teleport.start()
    assert all_of_it() == before


def test_a_cluster_keeps_its_first_name(own_teleport: Teleport, platform: Platform) -> None:
    own_teleport.stop()
    if isinstance(platform, Processes):  # in a container tctl ends with its server
        result = own_teleport.tctl("status")
        assert result.returncode == 1
        assert "could not connect" in result.stderr
        assert "Traceback" not in result.stderr
    own_teleport.name = "renamed.example.com"
    own_teleport.start()
    assert own_teleport.public("/webapi/ping")["cluster_name"] == resources.CLUSTER


def test_bot_creation_is_audited(teleport: Teleport) -> None:
    event = next(event for event in teleport.audit_events() if event["event"] == "bot.create")
    assert event["code"] == "TB001I"
    assert event["name"] == resources.BOT


def test_the_audit_log_is_a_file_a_day_with_an_absolute_link_to_the_newest(teleport: Teleport) -> None:
    link = teleport.data_dir / "log" / "events.log"
    newest = link.readlink()
    assert newest.is_absolute()
    host = (teleport.data_dir / "host_uuid").read_text(encoding="utf-8").strip()
    assert newest.parent == teleport.data_dir / "log" / host
    assert re.fullmatch(r"\d{4}-\d\d-\d\d\.00:00:00\.log", newest.name)
    assert newest.stat().st_mode & 0o777 == 0o640


def test_private_keys_are_for_the_owner_alone(teleport: Teleport) -> None:
    files = [path for path in teleport.data_dir.rglob("*") if path.is_file()]
    holding = [path for path in files if b"PRIVATE KEY" in path.read_bytes()]
    assert holding
    assert all(path.stat().st_mode & 0o077 == 0 for path in holding)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("version: v3\nteleprot: {}\n", "teleprot"),
        ("version: v9\n", "v9"),
        ("version: v3\nproxy_service: {web_listen_addr: nonsense:port}\n", "web_listen_addr"),
        ("a: [", "config"),
    ],
    ids=["unknown section", "version", "address", "broken"],
)
def test_a_configuration_that_is_not_acceptable(teleport: Teleport, platform: Platform, text: str, said: str) -> None:
    path = teleport.directory / "broken.yaml"
    path.write_text(text, encoding="utf-8")
    if not isinstance(platform, Processes):
        pytest.skip("asked of the checkout's stand-in alone")
    result = platform.run("teleport", "start", "-c", str(path))
    assert result.returncode == 1
    assert said in result.stderr
    assert "Traceback" not in result.stderr
