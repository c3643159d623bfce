"""tbot's configuration file, captured and changed."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from facts.errors import CouldNotTell
from facts.kubernetes.objects import parse_config_map
from facts.redaction import Hiding
from facts.secret_forms import MARK
from providers.teleport.facts.tbot_config import KEPT, join_secrets, parse_duration, parse_tbot_config, public_join_names
from tests.data import document

TBOT = parse_config_map(document("cluster/config_map_tbot.json")).data["tbot.yaml"]


@pytest.mark.parametrize(("text", "insecure"), [("", False), ("insecure: false\n", False), ("insecure: true\n", True)])
def test_a_tbot_that_takes_any_certificate(text: str, *, insecure: bool) -> None:
    assert parse_tbot_config(f"version: v2\n{text}").insecure is insecure


def test_captured_tbot_configuration() -> None:
    config = parse_tbot_config(TBOT, ("ev-1",))
    (service,) = config.services
    assert (config.join_method, config.token) == ("kubernetes", "istio-tbot-k8s-join")
    assert service.socket_path == "/run/spire/sockets/socket"
    assert service.selector_name == "istio-workloads"
    assert service.kubernetes is not None
    assert service.kubernetes.enabled
    assert (service.credential_ttl, service.renewal_interval) == (3600, 1200)
    assert config.unknown_keys == ()


def _tbot(**change: Any) -> str:
    config = yaml.safe_load(TBOT)
    config["services"][0] |= change.pop("service", {})
    return yaml.safe_dump(config | change)


def test_the_misspelt_attestor_is_noted_and_attests_nothing() -> None:
    config = yaml.safe_load(TBOT)
    config["services"][0]["attestor"] = config["services"][0].pop("attestors")
    read = parse_tbot_config(yaml.safe_dump(config))
    assert read.unknown_keys == ("services[0].attestor",)
    assert read.services[0].kubernetes is None


def test_unknown_keys_at_every_level() -> None:
    attestors = {"kubernetes": {"enable": True, "kubelet": {"skip_verfy": True}}, "kube": {}}
    read = parse_tbot_config(_tbot(frobnicate=1, service={"attestors": attestors, "selector": {"names": "x"}}))
    assert set(read.unknown_keys) == {
        "frobnicate",
        "services[0].selector.names",
        "services[0].attestors.kube",
        "services[0].attestors.kubernetes.enable",
        "services[0].attestors.kubernetes.kubelet.skip_verfy",
    }


def test_a_services_own_lifetime_wins_over_the_files() -> None:
    read = parse_tbot_config(_tbot(credential_ttl="30m", renewal_interval="10m", service={"credential_ttl": "2m"}))
    assert (read.services[0].credential_ttl, read.services[0].renewal_interval) == (120, 600)


def test_older_spellings_and_other_services() -> None:
    read = parse_tbot_config("outputs: [{type: identity}]\ncertificate_ttl: 1h\nauth_server: a:3025\n")
    assert read.services == ()
    spelt_before = yaml.safe_load(_tbot(certificate_ttl="1h30m"))
    spelt_before["outputs"] = [{"type": "identity"}, *spelt_before.pop("services")]
    (service,) = parse_tbot_config(yaml.safe_dump(spelt_before)).services
    assert (service.socket_path, service.credential_ttl) == ("/run/spire/sockets/socket", 5400)


@pytest.mark.parametrize("damage", ["{", "[]", "text", "services: [{}]", "credential_ttl: soon", "services: text", ""])
def test_a_damaged_configuration_is_not_guessed_at(damage: str) -> None:
    with pytest.raises(CouldNotTell):
        parse_tbot_config(damage)


@pytest.mark.parametrize(
    ("written", "seconds"), [("1h30m", 5400), ("3600s", 3600), ("90s", 90), ("1.5h", 5400), ("500ms", 0.5), ("0", 0)]
)
def test_durations(written: str, seconds: float) -> None:
    assert parse_duration(written, "x") == seconds


@given(st.integers(0, 100), st.integers(0, 59), st.integers(0, 59))
def test_durations_add_up(hours: int, minutes: int, secs: int) -> None:
    assert parse_duration(f"{hours}h{minutes}m{secs}s", "x") == hours * 3600 + minutes * 60 + secs


@pytest.mark.parametrize("damage", ["", "1", "h", "1d", "1h 30m", "-1h", "1hm"])
def test_what_is_no_duration(damage: str) -> None:
    with pytest.raises(CouldNotTell):
        parse_duration(damage, "x")


@pytest.mark.parametrize(
    ("text", "secrets"),
    [
        (TBOT, ()),
        ("onboarding:\n  token: abc-123\n  join_method: token\n", ("abc-123",)),
        ("onboarding:\n  token: 'abc-123'\n", ("abc-123",)),
        ('{"onboarding": {"join_method": "token", "token": "abc-123"}}', ("abc-123",)),
        ("onboarding: {token: abc-123, join_method: token}\n  broken", ("abc-123",)),
        ("onboarding:\n  token: /var/lib/tbot/token\n  join_method: token\n", ()),
        ("onboarding:\n  token: abc-123\n  join_method: bound_keypair\n", ()),
        ("onboarding:\n  token: >-\n    abc-123\n", ("abc-123",)),
        ("onboarding:\n  token: &t abc-123\n", ("abc-123",)),
        ("onboarding:\n  token: !!str abc-123\n", ("abc-123",)),
        ("onboarding:\n  token: !mine abc-123\n", ("abc-123",)),
        ("onboarding:\n  # join_method: kubernetes\n  token: abc-123\n", ("abc-123",)),
        ("onboarding:\n  token: abc-123 # join_method: kubernetes\n  join_method: null\n", ("abc-123",)),
        ('{"onboarding": {"tok\\u0065n": "abc-123"}}', ("abc-123",)),
        ("base: &b {token: abc-123}\nonboarding: {<<: *b}\n", ("abc-123",)),
        ("onboarding:\n  token: 007\n", ("007",)),
        ("onboarding:\n  token: >-\n    abc-123\n broken: [", ("abc-123",)),
        ("onboarding:\n  token: !!str &t abc-123\n broken: [", ("abc-123",)),
        ("onboarding:\n  # join_method: kubernetes\n  token: abc-123\n broken: [", ("abc-123",)),
        ("onboarding:\n  token: &t abc-123\n  join_method: kubernetes\n", ()),
        ("[" * 5000, ()),
        ("", ()),
    ],
)
def test_the_name_of_a_token_is_a_secret_where_nothing_else_is_needed_to_join(text: str, secrets: tuple[str, ...]) -> None:
    assert join_secrets(text) == secrets


SPELLINGS = (
    "{}",
    "'{}'",
    '"{}"',
    ">-\n    {}",
    "|-\n    {}",
    "&t {}",
    "!!str {}",
    "!!str &t\n    '{}'",
    "{} # join_method: iam",
)
ROUND = (
    "onboarding:\n  token: {}\n",
    "onboarding:\n  join_method: token\n  token: {}\n",
    "# a: b\nonboarding:\n  token: {}\n",
)


@given(
    st.from_regex(r"[a-z](?:[a-zA-Z0-9-]{0,30}[a-z0-9])?", fullmatch=True).filter(lambda name: name.lower() != "null"),
    st.sampled_from(SPELLINGS),
    st.sampled_from(ROUND),
)
def test_a_secret_name_leaves_no_trace_however_it_is_spelt(name: str, spelling: str, around: str) -> None:
    file = around.format(spelling.format(name))
    assert name in join_secrets(file)
    hiding = Hiding(join_secrets(file))
    kept = KEPT.kept(file, hiding)
    assert kept["onboarding"]["token"] == MARK
    assert hiding.count >= 1
    public = file.replace("join_method: token\n", "") + "  join_method: kubernetes\n"
    assert (join_secrets(public), name in public_join_names(public)) == ((), True)


@pytest.mark.parametrize("name", ["12345678", "007", "1.5", "on"])
def test_a_secret_name_that_yaml_does_not_take_for_a_text_goes_too(name: str) -> None:
    file = f"onboarding:\n  token: {name}\n"
    assert KEPT.kept(file, Hiding(join_secrets(file))) == {"onboarding": {"token": MARK}}


def test_a_short_secret_name_goes_where_the_file_cannot_be_parsed() -> None:
    file = "onboarding:\n  token: s3cret\n broken: ["
    assert KEPT.kept(file, Hiding(join_secrets(file))) == file.replace("s3cret", MARK)


KUBELET = dict.fromkeys(("read_only_port", "secure_port", "token_path", "ca_path", "skip_verify", "anonymous"))
ATTESTORS = dict.fromkeys(("docker", "podman", "systemd", "sigstore", "unix"))
ROOT_KEYS = (
    "version", "onboarding", "storage", "outputs", "debug", "auth_server", "proxy_server", "credential_ttl",
    "certificate_ttl", "renewal_interval", "leeway", "oneshot", "fips", "diag_addr", "insecure", "join_uri", "scoped",
)  # fmt: skip
ONBOARDING_KEYS = (
    "token", "ca_path", "ca_pins", "join_method", "azure", "terraform", "gitlab", "bound_keypair", "generic_oidc",
)  # fmt: skip
TRACING_KEYS = ("enabled", "exporter_url", "sampling_rate_per_million", "ca_certs", "keypairs")


def test_every_key_of_the_reference_is_known() -> None:
    service = {
        "type": "workload-identity-api",
        **dict.fromkeys(("name", "listen", "credential_ttl", "renewal_interval", "trust_domains")),
        "selector": {"name": "a", "labels": {}},
        "attestors": {**ATTESTORS, "kubernetes": {"enabled": True, "kubelet": KUBELET}},
    }
    onboarding = {**dict.fromkeys(ONBOARDING_KEYS), "kubernetes": {"token_path": "/t"}}
    sections = {"onboarding": onboarding, "tracing": dict.fromkeys(TRACING_KEYS), "services": [service]}
    written = yaml.safe_dump({**dict.fromkeys(ROOT_KEYS), **sections})
    assert parse_tbot_config(written).unknown_keys == ()


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("onboarding: {join_method: kubernetes, token: a-name}", ("a-name",)),
        ("onboarding: {join_method: token, token: a-secret}", ()),
        ("onboarding: {token: a-secret}", ()),
        ("services: []", ()),
    ],
)
def test_a_name_of_a_token_is_public_where_it_is_not_enough_to_join(text: str, names: tuple[str, ...]) -> None:
    assert public_join_names(text) == names


def test_keys_that_no_file_has_are_unknown() -> None:
    onboarding = {"token": "t", "tokn": "t", "kubernetes": {"token_pth": "/t"}}
    read = parse_tbot_config(_tbot(diag_socket_for_updater="/s", onboarding=onboarding, tracing={"enable": True}))
    assert set(read.unknown_keys) == {
        "diag_socket_for_updater", "onboarding.tokn", "onboarding.kubernetes.token_pth", "tracing.enable",
    }  # fmt: skip


def test_services_and_outputs_are_merged() -> None:
    config = yaml.safe_load(TBOT)
    (service,) = config["services"]
    config["outputs"] = [{"type": "identity"}, {**service, "listen": "unix:///second", "typo": 1}]
    read = parse_tbot_config(yaml.safe_dump(config))
    assert [each.socket_path for each in read.services] == ["/run/spire/sockets/socket", "/second"]
    assert read.unknown_keys == ("outputs[1].typo",)


@pytest.mark.parametrize(
    ("root", "service", "of_file", "of_service"),
    [
        ({}, {}, (), ()),
        ({"credential_ttl": "1h"}, {}, ("credential_ttl",), ()),
        ({"certificate_ttl": "1h"}, {}, ("credential_ttl",), ()),
        ({"certificate_ttl": "1h", "renewal_interval": "20m"}, {}, ("credential_ttl", "renewal_interval"), ()),
        ({}, {"renewal_interval": "20m", "credential_ttl": None}, (), ("renewal_interval",)),
    ],
)
def test_lifetimes_are_told_by_the_section_that_has_them(
    root: dict[str, Any], service: dict[str, Any], of_file: tuple[str, ...], of_service: tuple[str, ...]
) -> None:
    config = yaml.safe_load(TBOT)
    for section in (config, config["services"][0]):
        for key in ("credential_ttl", "certificate_ttl", "renewal_interval"):
            section.pop(key, None)
    config["services"][0] |= service
    read = parse_tbot_config(yaml.safe_dump(config | root))
    assert (read.own_lifetimes, read.services[0].own_lifetimes) == (of_file, of_service)


def test_the_version_and_whether_the_bot_is_of_a_scope() -> None:
    read = parse_tbot_config(TBOT)
    assert (read.version, read.scoped) == ("v2", False)
    without = yaml.safe_load(TBOT)
    del without["version"]
    assert parse_tbot_config(yaml.safe_dump(without)).version == ""
    assert parse_tbot_config(_tbot(scoped=True)).scoped


def test_the_selectors_of_services_that_issue_in_another_way() -> None:
    text = """
version: v2
services:
- {type: workload-identity-api, listen: "unix:///s", selector: {name: mesh}}
- {type: workload-identity-x509, selector: {name: files}, destination: {type: directory, path: /x}}
- {type: application, app_name: x}
outputs:
- {type: workload-identity-jwt, selector: {labels: {env: dev}}}
"""
    config = parse_tbot_config(text)
    assert [(s.name, dict(s.labels)) for s in config.other_selectors] == [("files", {}), ("", {"env": ("dev",)})]
    assert [s.selector_name for s in config.services] == ["mesh"]
    assert config.unknown_keys == ()
