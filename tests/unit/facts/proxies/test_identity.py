"""What Envoy says of itself, and the decision where its identity comes from."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from facts.document import decoded
from facts.errors import CouldNotTell
from facts.proxies import envoy
from facts.proxies.envoy import AgentMetrics, HttpNormalization, Validator
from facts.proxies.identity import PodRef, identify
from facts.proxies.sds_mode import SdsMode, SecretState, is_counted
from tests.data import document, text
from tests.unit.facts import dumps
from tests.unit.facts.authorities import Authority


def _captured(directory: str) -> dict[str, Any]:
    files = {name: document(f"{directory}/{name}.json") for name in dumps.QUESTIONS if name != "agent_metrics"}
    files["agent_metrics"] = text(f"{directory}/agent_metrics.txt")
    return {dumps.QUESTIONS[name]: answer for name, answer in files.items()}


def _pod(directory: str) -> PodRef:
    namespace, name, uid, service_account, node = text(f"{directory}/pod.txt").split()
    return PodRef(namespace, name, uid, service_account, node)


CAPTURED, TEST_APP = _captured("healthy"), _pod("healthy")


@pytest.mark.parametrize(
    ("directory", "mode", "state", "chain", "csr"),
    [
        ("healthy", SdsMode.EXTERNAL, SecretState.ACTIVE, 1, 0),
        ("classic", SdsMode.EXTERNAL, SecretState.ACTIVE, 1, 0),
        ("gateway", SdsMode.EXTERNAL, SecretState.ACTIVE, 1, 0),
        ("istio_ca", SdsMode.ISTIO_CA, SecretState.ACTIVE, 2, 1),
        ("files", SdsMode.FILES, SecretState.ACTIVE, 1, 0),
        ("race", SdsMode.RACE, SecretState.ACTIVE, 1, 1),
        ("race_waiting", SdsMode.SILENT, SecretState.WARMING, 0, 1),
        ("refused", SdsMode.SILENT, SecretState.WARMING, 0, 0),
        ("takeover", SdsMode.TAKEOVER, SecretState.ACTIVE, 2, 0),
        ("takeover_half", SdsMode.TAKEOVER, SecretState.ACTIVE, 1, 0),
    ],
)
def test_each_mode_as_captured(directory: str, mode: SdsMode, state: SecretState, chain: int, csr: int) -> None:
    proxy = identify(_pod(directory), _captured(directory), dumps.READ_AT, ())
    assert (proxy.sds_mode, proxy.secret_state, len(proxy.chain), proxy.csr_count) == (mode, state, chain, csr)


def test_a_captured_takeover_carries_the_first_pods_identity() -> None:
    proxy = identify(_pod("takeover"), _captured("takeover"), dumps.READ_AT, ())
    assert proxy.pod.service_account == "delta"
    assert proxy.spiffe_ids == ("spiffe://teleport.conformance.test/ns/modes/sa/gamma",)
    assert proxy.has_files_cluster


def test_a_captured_file_carries_the_right_name_without_a_provider() -> None:
    proxy = identify(_pod("files"), _captured("files"), dumps.READ_AT, ())
    assert proxy.spiffe_ids == ("spiffe://teleport.conformance.test/ns/modes/sa/zeta",)
    assert proxy.validator is Validator.TRUSTED_CA
    assert (proxy.csr_count, proxy.agent_certificate_held, proxy.has_files_cluster) == (0, False, False)
    assert "the agent never asked for a certificate" in proxy.decided_by


@pytest.mark.parametrize("directory", ["classic", "gateway"])
def test_neither_the_kind_of_sidecar_nor_a_gateway_makes_a_difference_to_what_is_read(directory: str) -> None:
    proxy = identify(_pod(directory), _captured(directory), dumps.READ_AT, ())
    pod = proxy.pod
    assert proxy.spiffe_ids == (f"spiffe://teleport.conformance.test/ns/{pod.namespace}/sa/{pod.service_account}",)
    assert list(proxy.root_authorities) == ["teleport.conformance.test"]
    assert (proxy.streams.cx_active, proxy.streams.rq_active) == (1, 2)
    assert proxy.has_files_cluster


def test_a_stream_that_the_provider_refuses_is_connected_and_idle() -> None:
    refused = identify(_pod("refused"), _captured("refused"), dumps.READ_AT, ()).streams
    assert (refused.cx_active, refused.rq_active) == (1, 0)
    waiting = identify(_pod("race_waiting"), _captured("race_waiting"), dumps.READ_AT, ()).streams
    assert (waiting.cx_active, waiting.cx_connect_fail) == (0, waiting.cx_total)


def test_a_captured_healthy_proxy() -> None:
    at = datetime(2026, 11, 24, 0, 5, tzinfo=UTC)
    proxy = identify(TEST_APP, CAPTURED, at, ("ev-1", "ev-2"))
    assert proxy.spiffe_ids == ("spiffe://teleport.conformance.test/ns/test-app/sa/test-app",)
    assert proxy.leaf is not None
    assert proxy.leaf.not_after - proxy.leaf.not_before == timedelta(minutes=61)
    assert proxy.validator is Validator.SPIFFE
    assert list(proxy.root_authorities) == ["teleport.conformance.test"]
    assert (proxy.streams.cx_active, proxy.streams.rq_active) == (1, 2)
    assert not proxy.agent_certificate_held
    assert str(proxy.envoy_version) == "1.40.0"
    assert proxy.socket_path == "./var/run/secrets/workload-spiffe-uds/socket"
    assert proxy.started_at == at - timedelta(seconds=proxy.uptime)
    assert proxy.evidence == ("ev-1", "ev-2")


def test_external() -> None:
    proxy = dumps.external()
    assert proxy.sds_mode is SdsMode.EXTERNAL
    assert any("sds-files-grpc" in fact for fact in proxy.decided_by)


def test_race_has_the_right_identity_and_is_told_by_the_bootstrap() -> None:
    proxy = dumps.race()
    assert proxy.sds_mode is SdsMode.RACE
    assert proxy.spiffe_ids == (dumps.ID,)
    assert proxy.csr_count == 1
    assert proxy.agent_certificate_held


def test_istio_ca_has_the_same_name_from_another_authority() -> None:
    proxy = dumps.istio_ca()
    assert proxy.sds_mode is SdsMode.ISTIO_CA
    assert proxy.spiffe_ids == (dumps.ID,)
    assert len(proxy.chain) == 2
    assert proxy.validator is Validator.TRUSTED_CA
    assert list(proxy.root_authorities) == [""]


def test_files_never_asked_for_a_certificate() -> None:
    assert dumps.files().sds_mode is SdsMode.FILES


@pytest.mark.parametrize("found_socket", [True, False])
def test_silent_while_no_server_answered(found_socket: bool) -> None:
    proxy = dumps.silent(found_socket=found_socket)
    assert proxy.sds_mode is SdsMode.SILENT
    assert proxy.secret_state is SecretState.WARMING
    assert proxy.leaf is None
    assert proxy.spiffe_ids == ()


def test_an_envoy_that_asks_for_nothing_is_told_from_one_that_waits() -> None:
    proxy = dumps.seen(dumps.answers(dumps.dump()))
    assert (proxy.sds_mode, proxy.secret_state) == (SdsMode.UNASKED, SecretState.ABSENT)


def test_takeover_carries_another_pods_identity_under_both_healthy_log_lines() -> None:
    proxy = dumps.takeover()
    assert proxy.has_files_cluster
    assert proxy.sds_mode is SdsMode.TAKEOVER
    assert any("ns/shop/sa/first is not the pod's own" in fact for fact in proxy.decided_by)


def test_takeover_by_a_pod_of_the_same_service_account_is_one_too() -> None:
    proxy = dumps.takeover(dumps.ID)
    assert proxy.sds_mode is SdsMode.TAKEOVER
    assert "the URI SAN is the pod's own" in proxy.decided_by


def test_takeover_of_one_of_the_two_streams_is_one_too() -> None:
    own, others = dumps.TELEPORT.issue(dumps.ID), dumps.ISTIOD.issue("spiffe://example.org/ns/shop/sa/first")
    only_root = dumps.dump(dumps.leaf_secret(own), dumps.plain_root(dumps.ISTIOD))
    only_leaf = dumps.dump(dumps.leaf_secret(others, dumps.COUNTED), dumps.spiffe_root(dumps.TELEPORT))
    for active in (only_root, only_leaf):
        assert dumps.seen(dumps.answers(active)).sds_mode is SdsMode.TAKEOVER


def test_a_provider_that_counts_or_sends_a_plain_root_is_still_external() -> None:
    leaf = dumps.TELEPORT.issue(dumps.ID)
    plain = dumps.plain_root(dumps.TELEPORT) | {"version_info": "3"}
    counting = dumps.answers(dumps.dump(dumps.leaf_secret(leaf, "3"), plain))
    assert dumps.seen(counting).sds_mode is SdsMode.EXTERNAL
    agent_like = dumps.answers(dumps.dump(dumps.leaf_secret(leaf, dumps.COUNTED), dumps.spiffe_root(dumps.TELEPORT)))
    assert dumps.seen(agent_like).sds_mode is SdsMode.EXTERNAL


def test_only_istios_agent_writes_a_time_a_slash_and_a_number() -> None:
    assert is_counted("2026-06-01T11:59:00Z/12")
    assert is_counted("2026-06-01T11:59:00+02:00/1")
    assert not any(is_counted(v) for v in ("2026-06-01T11:59:00.205302389Z", "3", "uninitialized", "", "a/1"))


def test_contradictory_facts_are_not_decided() -> None:
    half = dumps.bootstrap(found_socket=True)
    half["configs"][0]["bootstrap"]["node"]["metadata"]["file-credential"] = "false"
    given = dumps.answers(dumps.dump()) | {envoy.BOOTSTRAP: half}
    with pytest.raises(CouldNotTell) as caught:
        dumps.seen(given)
    assert str(dumps.POD) in caught.value.where


def test_a_leaf_without_a_root_is_half_an_answer() -> None:
    proxy = dumps.seen(dumps.answers(dumps.dump(dumps.leaf_secret(dumps.TELEPORT.issue(dumps.ID)))))
    assert (proxy.sds_mode, proxy.secret_state, proxy.validator) == (SdsMode.SILENT, SecretState.ACTIVE, Validator.NONE)
    assert any("ROOTCA is not" in fact for fact in proxy.decided_by)


def test_two_authorities_of_one_trust_domain_and_an_empty_bundle_are_facts() -> None:
    second = Authority("teleport.example.org")
    assert len(dumps.external("", dumps.TELEPORT, second).root_authorities["example.org"]) == 2
    leaf = dumps.leaf_secret(dumps.TELEPORT.issue(dumps.ID))
    empty = dumps.seen(dumps.answers(dumps.dump(leaf, dumps.spiffe_root())))
    assert empty.root_authorities == {"example.org": ()}


def test_a_whole_dump_is_read_like_its_parts() -> None:
    parts = document("healthy/active_secrets.json")
    whole = {"configs": [{"@type": "…SecretsConfigDump", "dynamic_active_secrets": parts["configs"]}]}
    assert envoy.parse_secrets(whole) == envoy.parse_secrets(parts)


@pytest.mark.parametrize(
    ("field", "damage"),
    [
        ("active_secrets", "not json"),
        ("active_secrets", {"configs": [{"name": "default", "secret": {"tls_certificate": {"certificate_chain": {}}}}]}),
        ("active_secrets", {"configs": "text"}),
        ("bootstrap", {}),
        ("bootstrap", {"configs": [{"bootstrap": {"node": {}}}]}),
        ("sds_hosts", {}),
        ("sds_hosts", {"cluster_statuses": [{"name": "sds-grpc"}]}),
        ("server", {"stats": []}),
        ("server", {}),
        ("agent_metrics", ""),
        ("agent_metrics", "envoy_cluster_upstream_rq 1\n"),
    ],
)
def test_a_damaged_answer_is_not_guessed_at(field: str, damage: Any) -> None:
    if field == "active_secrets" and isinstance(damage, dict) and isinstance(damage["configs"], list):
        damage["configs"][0]["secret"]["tls_certificate"]["certificate_chain"] = {"inline_bytes": "AAAA"}
    with pytest.raises(CouldNotTell) as caught:
        identify(TEST_APP, CAPTURED | {dumps.QUESTIONS[field]: damage}, dumps.READ_AT, ())
    assert "test-app-7564b6f44-l5nvp" in caught.value.where


def _parts() -> dict[str, str]:
    """The captured answers of a healthy proxy, as they came."""
    names = ("active_secrets", "warming_secrets", "bootstrap", "sds_hosts", "server")
    return {name: text(f"healthy/{name}.json") for name in names}


@pytest.mark.parametrize("field", ["active_secrets", "bootstrap", "sds_hosts", "server"])
@pytest.mark.parametrize("part", [0.2, 0.5, 0.9, 0.99])
def test_an_answer_that_was_cut_off_is_told_as_that(field: str, part: float) -> None:
    """Half a dump may still hold the half that looks healthy."""
    whole = _parts()[field].rstrip()
    cut = decoded(whole[: int(len(whole) * part)])
    with pytest.raises(CouldNotTell) as caught:
        identify(TEST_APP, CAPTURED | {dumps.QUESTIONS[field]: cut}, dumps.READ_AT, ())
    assert str(TEST_APP) in caught.value.where
    assert caught.value.expected
    assert caught.value.seen


def _changed(change: Callable[[Any], object], field: str = "active_secrets") -> dict[str, Any]:
    answer = decoded(_parts()[field])
    change(answer)
    return CAPTURED | {dumps.QUESTIONS[field]: answer}


def _leaf(dump: Any) -> Any:
    return next(c["secret"] for c in dump["configs"] if c["name"] == "default")


def _root(dump: Any) -> Any:
    return next(c["secret"] for c in dump["configs"] if c["name"] == "ROOTCA")


def _hold(secret: Any, **instead: Any) -> None:
    name = secret["name"]
    secret.clear()
    secret.update(name=name, **instead)


UNKNOWN: dict[str, tuple[Callable[[Any], object], str]] = {
    "default of another kind": (
        lambda d: _hold(_leaf(d), generic_secret={"secret": {}}),
        "tls_certificate",
    ),
    "default without a chain": (lambda d: _leaf(d)["tls_certificate"].pop("certificate_chain"), "certificate_chain"),
    "default without content": (lambda d: _leaf(d).pop("tls_certificate"), "a certificate in the active secret default"),
    "a chain in a file": (
        lambda d: _leaf(d)["tls_certificate"].update(certificate_chain={"filename": "/etc/certs/chain.pem"}),
        "inline_bytes",
    ),
    "ROOTCA of another kind": (
        lambda d: _hold(_root(d), session_ticket_keys={"keys": []}),
        "validation_context",
    ),
    "another validator": (
        lambda d: _root(d)["validation_context"]["custom_validator_config"].update(name="envoy.tls.cert_validator.other"),
        "envoy.tls.cert_validator.spiffe",
    ),
    "the answer to another question": (
        lambda d: d.update(configs=[{"@type": "type.googleapis.com/envoy.admin.v3.ClustersConfigDump"}]),
        "secrets in the dump",
    ),
    "secrets without a type": (lambda d: [c.pop("@type") for c in d["configs"]], "secrets in the dump"),
    "a secret without a name": (lambda d: d["configs"][0].pop("name"), "the field name"),
}


@pytest.mark.parametrize("damage", UNKNOWN)
def test_what_is_not_known_is_named_and_not_guessed_at(damage: str) -> None:
    change, missing = UNKNOWN[damage]
    with pytest.raises(CouldNotTell) as caught:
        identify(TEST_APP, _changed(change), dumps.READ_AT, ())
    assert missing in caught.value.expected
    assert str(TEST_APP) in caught.value.where


def test_a_bootstrap_of_another_shape_is_named() -> None:
    for change, missing in (
        (lambda d: d["configs"][0]["bootstrap"]["static_resources"].pop("clusters"), "static clusters"),
        (lambda d: d["configs"][0]["bootstrap"]["node"].pop("user_agent_build_version"), "major_number"),
        (lambda d: d.update(configs=[]), "a bootstrap in the dump"),
    ):
        with pytest.raises(CouldNotTell) as caught:
            identify(TEST_APP, _changed(change, "bootstrap"), dumps.READ_AT, ())
        assert missing in caught.value.expected


def test_no_secrets_at_all_is_an_envoy_without_certificates() -> None:
    """An empty dump is an answer: it is what Envoy says before it has asked."""
    proxy = identify(TEST_APP, CAPTURED | {envoy.ACTIVE_SECRETS: {}}, dumps.READ_AT, ())
    assert (proxy.sds_mode, proxy.secret_state, proxy.leaf) == (SdsMode.UNASKED, SecretState.ABSENT, None)
    assert any("nothing asks for it" in fact for fact in proxy.decided_by)


def test_what_other_secrets_hold_does_not_matter() -> None:
    """A gateway's own certificates for its clients are no identity, and may be of any kind."""

    def add(dump: Any) -> None:
        kind = dump["configs"][0]["@type"]
        dump["configs"].append(
            {"@type": kind, "name": "kubernetes://web", "secret": {"tls_certificate": {"pkcs12": {"filename": "/x"}}}}
        )

    proxy = identify(TEST_APP, _changed(add), dumps.READ_AT, ())
    assert proxy.sds_mode is SdsMode.EXTERNAL


def test_a_counter_that_is_missing_is_zero() -> None:
    host = {"stats": [{"name": "cx_connect_fail", "value": "66"}, {"name": "cx_active", "type": "GAUGE"}]}
    streams = envoy.parse_streams({"cluster_statuses": [{"name": "sds-grpc", "host_statuses": [host]}]})
    assert (streams.cx_active, streams.rq_active, streams.cx_connect_fail) == (0, 0, 66)


def test_requests_to_istiod_are_counted_by_their_type() -> None:
    lines = (
        "# TYPE istio_agent_num_outgoing_requests counter\n"
        'istio_agent_num_outgoing_requests{request_type="csr"} 2\n'
        'istio_agent_num_outgoing_requests{request_type="token_exchange"} 5\n'
    )
    assert envoy.parse_agent_metrics(lines) == AgentMetrics(2, certificate_held=False)


def test_captured_normalization_is_none_as_configured() -> None:
    settings = envoy.parse_normalization(document("healthy/inbound_listeners.json"))
    assert settings == (HttpNormalization(normalize_path=False, merge_slashes=False, escaped_slashes="KEEP_UNCHANGED"),)
    assert envoy.parse_normalization({}) == ()


def test_a_pod_is_no_gateway_unless_it_is_said_to_be_one() -> None:
    assert not PodRef("shop", "cart-1", "uid-1", "cart", "node-1").is_gateway
    assert str(TEST_APP) == f"Pod {TEST_APP.namespace}/{TEST_APP.name}"
