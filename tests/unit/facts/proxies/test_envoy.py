"""Answers of Envoy's admin interface and of Istio's agent, field by field."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facts.errors import CouldNotTell
from facts.proxies import envoy
from facts.proxies.envoy import AgentMetrics, HttpNormalization, SdsStreams, Validator
from facts.versions import Version
from tests.unit.facts import dumps
from tests.unit.facts.authorities import Authority, inline

ADMIN = "type.googleapis.com/envoy.admin.v3."
TELEPORT, OTHER = dumps.TELEPORT, Authority("other.example.org")
LEAF = dumps.leaf_secret(TELEPORT.issue(dumps.ID))


def whole(**lists: Any) -> dict[str, Any]:
    return {"configs": [{"@type": f"{ADMIN}BootstrapConfigDump"}, {"@type": f"{ADMIN}SecretsConfigDump", **lists}]}


def validation(context: Any) -> dict[str, Any]:
    return {**dumps.plain_root(TELEPORT), "secret": {"name": "ROOTCA", "validation_context": context}}


def test_questions_and_the_words_of_the_report() -> None:
    assert (envoy.LEAF, envoy.ROOT, envoy.STREAMS) == ("default", "ROOTCA", 2)
    assert [v.value for v in Validator] == ["spiffe", "trusted_ca", "none"]
    assert envoy.ACTIVE_SECRETS == "/config_dump?resource=dynamic_active_secrets"
    assert envoy.WARMING_SECRETS == "/config_dump?resource=dynamic_warming_secrets"
    assert "filter=^sds-grpc$" in envoy.SDS_HOSTS
    assert "uptime" in envoy.SERVER
    assert envoy.INBOUND_LISTENERS.startswith(f"{envoy.ALL_LISTENERS}&")
    assert all(
        part in envoy.BOOTSTRAP for part in ("node.metadata", "user_agent_build_version", "static_resources.clusters")
    )


class TestSecrets:
    def test_a_part_of_a_dump(self) -> None:
        leaf, root = envoy.parse_secrets(dumps.dump(LEAF, dumps.spiffe_root(TELEPORT, OTHER)))
        assert (leaf.name, leaf.version_info, leaf.validator, leaf.authorities) == (
            "default", dumps.PUSHED, Validator.NONE, {},
        )  # fmt: skip
        assert leaf.last_updated == datetime(2026, 6, 1, 11, 59, 0, 300000, tzinfo=UTC)
        assert [c.uri_sans for c in leaf.chain] == [(dumps.ID,)]
        assert (root.name, root.validator, root.chain) == ("ROOTCA", Validator.SPIFFE, ())
        assert [a.sha256 for a in root.authorities[dumps.TRUST_DOMAIN]] == [
            TELEPORT.certificate.sha256, OTHER.certificate.sha256,
        ]  # fmt: skip

    def test_a_whole_dump_has_both_lists(self) -> None:
        dump = whole(dynamic_active_secrets=[LEAF], dynamic_warming_secrets=dumps.warming("ROOTCA")["configs"])
        assert [(s.name, s.version_info) for s in envoy.parse_secrets(dump)] == [
            ("default", dumps.PUSHED), ("ROOTCA", "uninitialized"),
        ]  # fmt: skip
        assert envoy.parse_secrets(whole()) == envoy.parse_secrets({}) == ()

    def test_a_secret_without_content_is_empty(self) -> None:
        (leaf,) = envoy.parse_secrets(dumps.warming())
        assert (leaf.chain, leaf.last_updated, leaf.validator) == ((), None, Validator.NONE)
        (root,) = envoy.parse_secrets(dumps.warming("ROOTCA"))
        assert (root.validator, root.authorities) == (Validator.NONE, {})

    @pytest.mark.parametrize(
        ("configs", "seen"),
        [
            ([{"@type": f"{ADMIN}ListenersConfigDump"}, {}], "something without a type"),
            ([{"@type": f"{ADMIN}ListenersConfigDump"}], "envoy.admin.v3.ListenersConfigDump"),
        ],
    )
    def test_an_answer_to_another_question_is_no_empty_dump(self, configs: list[Any], seen: str) -> None:
        with pytest.raises(CouldNotTell) as caught:
            envoy.parse_secrets({"configs": configs})
        assert seen in caught.value.seen

    @pytest.mark.parametrize("document", ["text", ["x"], None, {"configs": "text"}, {"configs": ["text"]}])
    def test_what_is_no_dump(self, document: Any) -> None:
        with pytest.raises(CouldNotTell):
            envoy.parse_secrets(document)

    @pytest.mark.parametrize(
        ("context", "validator", "domains"),
        [
            ({"trusted_ca": inline(TELEPORT.pem)}, Validator.TRUSTED_CA, {"": 1}),
            ({"trusted_ca": {"inline_string": TELEPORT.pem + OTHER.pem}}, Validator.TRUSTED_CA, {"": 2}),
            ({"trusted_ca": {"inline_string": "\n"}}, Validator.TRUSTED_CA, {"": 0}),
            ({}, Validator.NONE, {}),
            (
                {
                    "custom_validator_config": {
                        "name": "envoy.tls.cert_validator.spiffe",
                        "typed_config": {"trust_domains": [{"name": "a", "trust_bundle": inline(OTHER.pem)}, {"name": "b"}]},
                    }
                },
                Validator.SPIFFE,
                {"a": 1, "b": 0},
            ),
        ],
    )
    def test_each_kind_of_validation(self, context: Any, validator: Validator, domains: dict[str, int]) -> None:
        (root,) = envoy.parse_secrets(dumps.dump(validation(context)))
        assert root.validator is validator
        assert {name: len(held) for name, held in root.authorities.items()} == domains

    def test_another_validator_is_named(self) -> None:
        with pytest.raises(CouldNotTell) as caught:
            envoy.parse_secrets(dumps.dump(validation({"custom_validator_config": {"name": "another"}})))
        assert caught.value.seen == "'another'"

    @pytest.mark.parametrize(
        "damage",
        [
            validation({"custom_validator_config": {"name": "another"}}),
            validation({"trusted_ca": {"filename": "/x"}}),
            validation({"trusted_ca": {"inline_bytes": "!"}}),
            validation({"trusted_ca": {"inline_bytes": base64.b64encode(b"\xff").decode()}}),
            {**LEAF, "secret": {"name": "default", "tls_certificate": {"private_key": {}}}},
            {**LEAF, "secret": {"name": "default", "validation_context": {}}},
            {**LEAF, "last_updated": "yesterday"},
            {"@type": LEAF["@type"]},
        ],
    )
    def test_a_damaged_secret_is_not_guessed_at(self, damage: Any) -> None:
        with pytest.raises(CouldNotTell) as caught:
            envoy.parse_secrets(dumps.dump(damage))
        assert caught.value.where.startswith("secret")


PIPE = {"lb_endpoints": [{"endpoint": {"address": {"pipe": {"path": "./x"}}}}]}
CLUSTER = {"name": "sds-grpc", "load_assignment": {"endpoints": [PIPE]}}


class TestBootstrap:
    def read(self, *clusters: Any, metadata: Any = None, version: Any = None) -> envoy.Bootstrap:
        node = {"metadata": metadata or {}, "user_agent_build_version": {"version": version or {"major_number": 1}}}
        bootstrap = {"node": node, "static_resources": {"clusters": [*clusters]}}
        return envoy.parse_bootstrap({"configs": [{}, {"bootstrap": {}}, {"bootstrap": bootstrap}]})

    def test_the_socket_and_the_version(self) -> None:
        read = self.read(CLUSTER, version={"major_number": 1, "minor_number": 36, "patch": 2})
        assert (read.socket_path, read.envoy_version) == ("./x", Version(1, 36, 2))
        assert (read.has_files_cluster, read.file_credential) == (False, False)
        assert self.read(CLUSTER).envoy_version == Version(1, 0, 0)

    def test_an_agent_that_found_a_socket(self) -> None:
        read = self.read(CLUSTER, {"name": "sds-files-grpc"}, metadata={"file-credential": "True"})
        assert (read.has_files_cluster, read.file_credential) == (True, True)
        assert not self.read(CLUSTER, metadata={"file-credential": "false"}).file_credential

    def test_without_the_cluster_there_is_no_socket(self) -> None:
        assert self.read({"name": "other"}).socket_path == ""
        assert self.read({"name": "sds-grpc"}).socket_path == ""

    @pytest.mark.parametrize(
        "document",
        [
            {},
            {"configs": [{}]},
            {"configs": [{"bootstrap": {"node": {}}}]},
            {"configs": [{"bootstrap": {"static_resources": {"clusters": [{"name": "a"}]}}}]},
            {"configs": [{"bootstrap": {"static_resources": {"clusters": [{}]}}}]},
        ],
    )
    def test_a_damaged_one_is_not_guessed_at(self, document: Any) -> None:
        with pytest.raises(CouldNotTell) as caught:
            envoy.parse_bootstrap(document)
        assert caught.value.where == "bootstrap dump"


class TestStatistics:
    def test_counters_of_the_sds_host(self) -> None:
        stats = [
            {"name": "cx_active", "value": "1"},
            {"name": "rq_active", "value": "2"},
            {"name": "cx_total", "value": "7"},
        ]
        hosts = [{"stats": [*stats, {"name": "cx_connect_fail", "value": "3"}, {"name": "rq_error"}]}]
        clusters = [{"name": "other", "host_statuses": []}, {"name": "sds-grpc", "host_statuses": hosts}]
        assert envoy.parse_streams({"cluster_statuses": clusters}) == SdsStreams(1, 2, 7, 3)

    @pytest.mark.parametrize(
        ("document", "seen"),
        [
            ({}, "missing"),
            ({"cluster_statuses": []}, "none"),
            ({"cluster_statuses": [{"name": "sds-grpc"}]}, "0"),
            ({"cluster_statuses": [{"name": "sds-grpc", "host_statuses": [{}, {}]}]}, "2"),
        ],
    )
    def test_without_one_host_there_are_no_streams(self, document: Any, seen: str) -> None:
        with pytest.raises(CouldNotTell, match=seen) as caught:
            envoy.parse_streams(document)
        assert caught.value.where == "/clusters"

    def test_uptime(self) -> None:
        stats = [{"name": "server.state", "value": 0}, {"name": "server.uptime", "value": 321}]
        assert envoy.parse_uptime({"stats": stats}) == 321

    @pytest.mark.parametrize("document", [{}, {"stats": [{"name": "server.state", "value": 0}]}, {"stats": "text"}])
    def test_without_an_uptime(self, document: Any) -> None:
        with pytest.raises(CouldNotTell, match="/stats"):
            envoy.parse_uptime(document)

    @given(st.integers(0, 10**6), st.integers(0, 10**6), st.booleans())
    def test_requests_of_the_agent_add_up(self, one: int, other: int, held: bool) -> None:
        text = (
            "# HELP istio_agent_x y\nistio_agent_up 1\n"
            f'istio_agent_num_outgoing_requests{{request_type="csr"}} {one}\n'
            f'istio_agent_num_outgoing_requests{{a="b",request_type="csr"}} {other}\n'
            'istio_agent_num_outgoing_requests{request_type="other"} 9\nistio_agent_other{request_type="csr"} 9\n'
        )
        held_line = 'istio_agent_cert_expiry_seconds{resource_name="default"} 5\n' if held else ""
        assert envoy.parse_agent_metrics(text + held_line) == AgentMetrics(one + other, held)

    def test_attempts_to_connect_to_istiod_that_failed(self) -> None:
        text = (
            "istio_agent_istiod_connection_failures 3\n"
            'istio_agent_istiod_connection_terminations{type="error"} 4\n'
            'istio_agent_istiod_connection_terminations{type="cancelled"} 9\n'
        )
        assert envoy.parse_agent_metrics(text) == AgentMetrics(0, certificate_held=False, istiod_failures=7)

    def test_requests_that_were_refused_over_mutual_tls(self) -> None:
        labels = 'reporter="{}",source_principal="spiffe://t/ns/a/sa/b",response_code="{}",connection_security_policy="{}"'
        of = [
            ("destination", 403, "mutual_tls", 2),
            ("destination", 403, "mutual_tls", 3),
            ("destination", 200, "mutual_tls", 10),
            ("destination", 403, "none", 20),
            ("source", 403, "mutual_tls", 40),
        ]
        text = "istio_agent_up 1\n"
        text += "".join(f"istio_requests_total{{{labels.format(*each[:3])}}} {each[3]}\n" for each in of)
        assert envoy.parse_agent_metrics(text).forbidden == 5

    @pytest.mark.parametrize("text", ["", "envoy_x 1\n", "# istio_agent_up 1\n", " istio_agent_up 1\n"])
    def test_without_any_metric_of_the_agent_nothing_follows(self, text: str) -> None:
        with pytest.raises(CouldNotTell, match="istio_agent_"):
            envoy.parse_agent_metrics(text)


class TestNormalization:
    def filters(self, *typed: Any, chains: str = "filter_chains") -> dict[str, Any]:
        chain: Any = {"filters": [{"typed_config": each} for each in typed]}
        listener = {chains: chain if chains == "default_filter_chain" else [chain]}
        return {"name": "virtualInbound", "active_state": {"listener": listener}}

    def manager(self, **changes: Any) -> dict[str, Any]:
        return {"@type": "x.HttpConnectionManager", **changes}

    def test_each_setting_once(self) -> None:
        decoded = self.manager(
            normalize_path=True, merge_slashes=True, path_with_escaped_slashes_action="UNESCAPE_AND_FORWARD"
        )
        dump = {"configs": [self.filters({"@type": "x.TcpProxy"}, decoded, decoded, self.manager())]}
        assert envoy.parse_normalization(dump) == (
            HttpNormalization(True, True, "UNESCAPE_AND_FORWARD"),
            HttpNormalization(False, False, "IMPLEMENTATION_SPECIFIC_DEFAULT"),
        )

    @pytest.mark.parametrize("chains", ["filter_chains", "default_filter_chain"])
    def test_every_chain_of_every_listener_counts(self, chains: str) -> None:
        one = self.filters(self.manager(normalize_path=True), chains=chains)
        setting = (HttpNormalization(True, False, "IMPLEMENTATION_SPECIFIC_DEFAULT"),)
        assert envoy.parse_normalization({"configs": [one]}) == setting
        assert envoy.parse_normalization({"configs": [{"dynamic_listeners": [{}, one]}]}) == setting

    def test_the_end_of_a_waypoints_tunnels_has_no_paths(self) -> None:
        """Its requests are CONNECT; the ones inside go on to the listener `main_internal`."""
        tunnels = {**self.filters(self.manager()), "name": "connect_terminate"}
        inside = {**self.filters(self.manager(normalize_path=True)), "name": "main_internal"}
        setting = (HttpNormalization(True, False, "IMPLEMENTATION_SPECIFIC_DEFAULT"),)
        assert envoy.parse_normalization({"configs": [tunnels, inside]}) == setting
        assert envoy.parse_normalization({"configs": [{"dynamic_listeners": [tunnels, inside]}]}) == setting

    def test_no_filter_is_no_setting_and_damage_is_damage(self) -> None:
        assert envoy.parse_normalization({}) == ()
        assert envoy.parse_normalization({"configs": [self.filters({})]}) == ()
        for damage in ("text", {"configs": [self.filters(self.manager(normalize_path="yes"))]}):
            with pytest.raises(CouldNotTell, match="listeners dump"):
                envoy.parse_normalization(damage)
