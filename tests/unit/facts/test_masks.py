"""What evidence keeps: what parsers read, text by text, and nothing besides."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import pytest

from facts.declared import At, Declared, Given, Many, Text, TextMap, mask_of
from facts.document import decoded, parse_items
from facts.errors import CouldNotTell
from facts.evidence import ObjectRef, evidence_of
from facts.istio import injection, mesh
from facts.kubernetes import jwks, objects, workloads
from facts.kubernetes.objects import config_map_with, list_of, parse_pod
from facts.kubernetes.redirection import application_ports, redirection_of
from facts.masks import (
    GIVEN,
    KEY,
    KEYS,
    LEAF,
    NAME,
    OPEN,
    TEXT,
    WHOLE,
    WORDS,
    Decoded,
    Fields,
    Items,
    Lines,
    Mask,
    OneOrMany,
    Prepared,
    at,
    kept_for,
    kept_of,
    lines,
    merged,
    only,
    yaml_document,
)
from facts.provider import trust as bundle
from facts.proxies import envoy, envoy_traffic
from facts.redaction import Hiding
from facts.secret_forms import MARK
from facts.versions import parse_server_version
from providers.teleport.facts import audit, resources, tbot_config
from tests.data import document, text

SECRET = "password: of-somebody"


def kept(mask: Mask, value: Any, *named: str) -> Any:
    return mask.kept(value, Hiding(named))


def test_a_leaf_is_kept_without_its_secrets_and_holds_nothing_else() -> None:
    assert [kept(LEAF, value) for value in ("a", 1, True, None, 0.5)] == ["a", 1, True, None, 0.5]
    assert [kept(LEAF, value) for value in ({"a": 1}, [1], SECRET)] == [{}, [], f"password: {MARK}"]
    assert kept(LEAF, datetime(2026, 1, 2, tzinfo=UTC)) == "2026-01-02 00:00:00+00:00"


def test_a_name_stays_whatever_it_looks_like() -> None:
    assert kept(NAME, "abcdef.0123456789abcdef") == "abcdef.0123456789abcdef"
    assert kept(LEAF, "abcdef.0123456789abcdef") == MARK
    assert kept(NAME, SECRET) == f"password: {MARK}"
    assert kept(NAME, "the-join-token", "the-join-token") == MARK


def test_what_only_has_to_be_there_shows_no_content() -> None:
    assert [kept(KEY, value) for value in ({"a": 1}, [1], "a", 1, None)] == [{}, [], "", None, None]
    assert [kept(GIVEN, value) for value in ({"a": 1}, {}, [1], [], 1, "a")] == [True, False, True, False, 1, "a"]


def test_fields_keep_those_that_are_named_in_the_documents_order() -> None:
    mask = Fields({"a": LEAF, "b": Items(LEAF)})
    assert list(kept(mask, {"x": 1, "b": [1, {"y": 2}], "a": "c"}).items()) == [("b", [1, {}]), ("a", "c")]
    assert [kept(mask, other) for other in ([1], "a", 7)] == [[], "a", 7], "the parser must see that it is none"
    assert kept(KEYS, {"a": "b", SECRET: "c"}) == {"a": "", f"password: {MARK}": ""}
    assert kept(OPEN, {"a": "b", "c": ["d"]}) == {"a": "b", "c": []}


@pytest.mark.parametrize("key", ["password", "example.com/join-token", "token", "db.client_secret"])
def test_a_label_whose_key_says_that_it_is_a_secret_is_hidden(key: str) -> None:
    assert kept(OPEN, {key: "abcdef.0123456789abcdef"}) == {key: MARK}
    assert kept(OPEN.merged(only("a")), {key: "abcdef.0123456789abcdef"}) == {key: MARK}


def test_a_label_that_a_selector_may_name_stays_whatever_it_looks_like() -> None:
    labels = {
        "app": "abcdef.0123456789abcdef",
        "tier": "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
        "auth": "enabled",
        "token": "none",
    }
    assert kept(OPEN, labels) == labels


def test_a_command_line_hides_what_follows_a_flag() -> None:
    assert kept(WORDS, ["--db-token", "abc", "x"]) == ["--db-token", MARK, "x"]
    assert kept(WORDS, ["a", 1]) == []


def test_a_text_that_the_parser_decodes_is_kept_decoded() -> None:
    mask = Decoded(yaml_document, only("a"))
    assert kept(mask, "a: 1\nb: 2") == {"a": 1}
    assert kept(mask, {"a": 1, "b": 2}) == {"a": 1}, "kept once more, it stays the same"
    assert [kept(mask, damaged) for damaged in ("a: [", "", SECRET + "\nx")] == ["a: [", "", f"password: {MARK}\nx"]


def test_lines_of_documents_are_kept_one_by_one() -> None:
    assert kept(Lines(only("a")), '{"a": 1, "b": 2}\n\nno document\n') == '{"a":1}\nno document\n'


@pytest.mark.parametrize("blank", ["\x0b", "\x1c", "\x85", "\u2028", "\u2029"])
def test_only_a_line_feed_ends_a_line(blank: str) -> None:
    assert lines(f"a{blank}b\nc\n\nd") == [f"a{blank}b", "c", "", "d"]
    line = json.dumps({"a": f"b{blank}c"}, separators=(",", ":"), ensure_ascii=blank < " ")
    assert lines(kept(Lines(only("a")), f"{line}\n")) == [line]


def test_a_text_that_ends_with_a_line_feed_has_no_empty_last_line() -> None:
    assert (lines(""), lines("\n"), lines("a\n"), lines("a")) == ([], [""], ["a"], ["a"])


def test_a_document_or_several() -> None:
    assert kept(OneOrMany(only("a")), {"a": 1, "b": 2}) == {"a": 1}
    assert kept(OneOrMany(only("a")), [{"a": 1, "b": 2}]) == [{"a": 1}]


def test_two_masks_of_one_place_keep_what_either_keeps() -> None:
    assert merged(only("a"), only("b"), Fields(others=KEY)) == Fields({"a": LEAF, "b": LEAF}, KEY)
    assert merged(at("a[].b", LEAF), at("a[].c", LEAF)) == Fields({"a": Items(only("b", "c"))})
    assert (LEAF.merged(NAME), NAME.merged(LEAF), KEY.merged(LEAF), OPEN.merged(GIVEN)) == (NAME, NAME, LEAF, OPEN)
    prepared = Prepared(str, only("a"))
    assert only("b").merged(prepared) == prepared.merged(only("b")) == Prepared(str, only("a", "b"))
    assert prepared.merged(Prepared(str, only("b"))) == Prepared(str, only("a", "b"))
    for one, other in ((LEAF, only("a")), (Items(LEAF), only("a")), (prepared, Prepared(repr, LEAF)), (OPEN, Items(LEAF))):
        with pytest.raises(TypeError, match="same place"):
            one.merged(other)


def test_an_answer_is_kept_as_its_mask_says() -> None:
    hiding = Hiding()
    assert kept_of('{"a": "ä", "b": 1}', only("a"), hiding) == '{"a":"ä"}'
    assert kept_of('{"a": 1}', TEXT, hiding) == '{"a": 1}'
    assert kept_of('{"api_key": "a b", "c": 1}', None, hiding) == f'{{"api_key":"{MARK}","c":1}}'
    assert kept_of("[" * 100_000, None, hiding).startswith("[[["), "too deep to be decoded"
    assert hiding.count == 1


@pytest.mark.parametrize(
    "raw", ['WARNING: old\n{"b": "c"}', '{"b": "c"}\nA new version', '{"b": "c"', '"b c"', "<html>b c", "[" * 9999]
)
def test_of_an_answer_that_is_no_document_a_mask_keeps_no_text(raw: str) -> None:
    kept = kept_of(raw, only("a"), Hiding())
    assert kept == f"[no JSON: the suite kept none of its {len(raw)} characters]"
    assert decoded(kept) == kept, "the parser must see that it is none"
    assert kept_of(raw, WHOLE, Hiding()) == kept_of(raw, None, Hiding()), "what keeps everything keeps this too"
    assert kept_of("\n", only("a"), Hiding()) == "\n"


def test_a_parser_says_what_is_kept_or_there_is_no_evidence_for_it() -> None:
    with pytest.raises(TypeError, match="does not declare what evidence keeps"):
        evidence_of("q", ObjectRef("Pod", "p"), "{}", read_at=datetime.now(UTC), parser=json.loads)


@dataclass(frozen=True, slots=True)
class _Part(Declared):
    name: str
    free: Text


@dataclass(frozen=True, slots=True)
class _Whole(Declared):
    name: Annotated[str, At("metadata.name")]
    other: Annotated[Text, At("spec.a", "spec.b")]
    parts: Annotated[Many[_Part], At("spec.parts")]
    there: Annotated[Given, At("spec.there")]
    labels: Annotated[TextMap, At("metadata.labels"), OPEN]
    plain: _Part | None = None


def test_declared_fields_are_the_mask() -> None:
    part = Fields({"name": NAME, "free": LEAF})
    assert mask_of(_Whole) == Fields(
        {
            "metadata": Fields({"name": NAME, "labels": OPEN}),
            "spec": Fields({"a": LEAF, "b": LEAF, "parts": Items(part), "there": GIVEN}),
            "plain": part,
        }
    )


@dataclass(frozen=True, slots=True)
class _Careless(Declared):
    labels: Annotated[TextMap, At("metadata.labels")]


def test_a_mapping_with_any_keys_must_say_which_are_kept() -> None:
    with pytest.raises(TypeError, match=r"_Careless\.labels is a mapping with any keys"):
        mask_of(_Careless)


def stored(raw: Any, mask: Mask) -> Any:
    body = kept_of(raw if isinstance(raw, str) else json.dumps(raw), mask, Hiding())
    return decoded(body)


Parse = Callable[[Any], Any]


@pytest.mark.parametrize(
    ("parse", "name"),
    [
        (envoy.parse_secrets, "healthy/active_secrets.json"),
        (envoy.parse_secrets, "gateway/active_secrets.json"),
        (envoy.parse_secrets, "istio_ca/active_secrets.json"),
        (envoy.parse_secrets, "race_waiting/warming_secrets.json"),
        (envoy.parse_bootstrap, "healthy/bootstrap.json"),
        (envoy.parse_bootstrap, "classic/bootstrap.json"),
        (envoy.parse_streams, "healthy/sds_hosts.json"),
        (envoy.parse_uptime, "healthy/server.json"),
        (envoy.parse_normalization, "healthy/inbound_listeners.json"),
        (envoy_traffic.parse_counters, "traffic/allowed_client_after.json"),
        (resources.parse_ping, "teleport/ping.json"),
        (resources.parse_bot, "teleport/bot.json"),
        (resources.parse_role, "teleport/role.json"),
        (resources.parse_join_token, "teleport/token.json"),
        (resources.parse_workload_identity, "teleport/workload_identity.json"),
        (resources.parse_bot_instances, "teleport/bot_instances.json"),
        (resources.parse_ping, "teleport/real/ping.18.2.0.json"),
        (resources.parse_bot, "teleport/real/bot.17.json"),
        (resources.parse_bot, "teleport/real/bot.18.json"),
        (resources.parse_role, "teleport/real/role.json"),
        (resources.parse_join_token, "teleport/real/token.json"),
        (resources.parse_workload_identity, "teleport/real/workload_identity.json"),
        (resources.parse_bot_instances, "teleport/real/bot_instances.17.4.json"),
        (resources.parse_bot_instances, "teleport/real/bot_instances.17.5.json"),
        (bundle.parse_bundle, "teleport/bundle.json"),
        (jwks.parse_jwks, "cluster/jwks.json"),
        (parse_server_version, "cluster/version.json"),
        (injection.parse_dry_run, "cluster/dry_run_refused.json"),
    ],
)
def test_what_is_kept_gives_the_same_facts(parse: Parse, name: str) -> None:
    whole = document(name)
    once = stored(whole, kept_for(parse))
    assert parse(once) == parse(whole)
    assert stored(once, kept_for(parse)) == once


@pytest.mark.parametrize(
    ("parse", "name"),
    [
        (resources.parse_bot, "teleport/real/bot.18.json"),
        (resources.parse_workload_identity, "teleport/workload_identity.json"),
    ],
)
def test_the_scope_of_a_resource_is_kept(parse: Parse, name: str) -> None:
    (resource,) = document(name)
    assert parse(stored({**resource, "scope": "/staging"}, kept_for(parse))).scope == "/staging"


@pytest.mark.parametrize("attributes", [None, {}, {"join": {"meta": {}}}, {"workload": {"unix": {"pid": 1}}}])
def test_audit_events_give_the_same_facts(attributes: Any) -> None:
    events = text("teleport/real/audit-events.jsonl")
    event = {**json.loads(events.splitlines()[-1]), "attributes": attributes}
    for written in (events, json.dumps(event)):
        kept_lines = kept_of(written, kept_for(audit.parse_issued), Hiding())
        assert audit.parse_issued(kept_lines) == audit.parse_issued(written)


@pytest.mark.parametrize("name", ["healthy/agent_metrics.txt", "classic/agent_metrics.txt"])
def test_texts_give_the_same_facts(name: str) -> None:
    kept = stored(text(name), kept_for(envoy.parse_agent_metrics))
    assert envoy.parse_agent_metrics(kept) == envoy.parse_agent_metrics(text(name))


OF_APPLICATIONS = ("annotations", "env", "command", "args")


def judged(fact: Any) -> Any:
    """All fields of a fact, without those of applications that nobody judges."""
    if isinstance(fact, tuple):
        return [judged(each) for each in fact]
    if not is_dataclass(fact):
        return fact
    return {f.name: judged(getattr(fact, f.name)) for f in fields(fact) if f.name not in OF_APPLICATIONS}


@pytest.mark.parametrize(
    ("parse", "name", "size"),
    [
        (objects.parse_pod, "cluster/pods.json", 0.43),
        (objects.parse_node, "cluster/nodes.json", 0.55),
        (workloads.parse_deployment, "cluster/deployments.json", 0.55),
    ],
)
def test_lists_are_kept_smaller_and_give_the_same_facts(parse: Callable[..., Any], name: str, size: float) -> None:
    whole = document(name)
    once = stored(whole, list_of(kept_for(parse)))
    assert len(json.dumps(once)) < size * len(json.dumps(whole))
    facts, again = (parse_items(each, parse, (), name) for each in (whole, once))
    assert judged(again) == judged(facts)


def test_a_mesh_is_kept_decoded_and_gives_the_same_facts() -> None:
    for name, texts, parse in (
        ("cluster/config_map_istio.json", mesh.KEPT_OF_MESH, mesh.parse_mesh_config),
        ("cluster/config_map_injector.json", mesh.KEPT_OF_INJECTOR, mesh.parse_injector),
    ):
        whole = document(name)
        once = stored(whole, config_map_with(texts))
        assert parse(objects.parse_config_map(once)) == parse(objects.parse_config_map(whole))
        assert list(once["data"]) == list(whole["data"])


def test_tbots_file_is_kept_decoded_with_its_unknown_keys() -> None:
    file = (
        "version: v2\nproxy_server: h:443\nmisspelt: a secret\nstorage: {type: memory, secret: x}\n"
        "onboarding: {join_method: kubernetes, token: a-name, ca_pins: [y], tokn: v, kubernetes: {token_pth: u}}\n"
        "tracing: {exporter_url: t, enable: true}\nscoped: true\ncertificate_ttl: 2h\n"
        "services:\n- {type: workload-identity-api, listen: 'unix:///s', attestor: {z: 1}, "
        "attestors: {kubernetes: {enabled: true, kubelet: {secure_prt: 1}}}}\n- {type: other, destination: {w: 1}}\n"
        "outputs: [{type: workload-identity-api, listen: 'unix:///o', certificate_ttl: 1h, typo: s}]\n"
    )
    once = kept(tbot_config.KEPT, file)
    assert tbot_config.parse_tbot_config(once) == tbot_config.parse_tbot_config(file)
    assert tbot_config.parse_tbot_config(once).unknown_keys == (
        *("misspelt", "onboarding.tokn", "onboarding.kubernetes.token_pth", "tracing.enable"),
        *("services[0].attestor", "services[0].attestors.kubernetes.kubelet.secure_prt"),
        *("outputs[0].certificate_ttl", "outputs[0].typo"),
    )
    assert not {"a secret", "x", "y", "z", "w", "v", "u", "t", "s"} & set(json.dumps(once).replace('"', " ").split(" "))


POD: Mapping[str, Any] = {
    "metadata": {
        "name": "p",
        "labels": {"app": "a"},
        "annotations": {
            "inject.istio.io/templates": "sidecar,spire",
            "kubectl.kubernetes.io/last-applied-configuration": "{}",
        },
        "managedFields": [{"manager": "kubectl"}],
    },
    "spec": {
        "containers": [
            {
                "name": "app",
                "image": "app:1",
                "command": ["serve", "--db", "x"],
                "args": ["-c", "/etc/app.yaml", "--dsn", "y"],
                "env": [{"name": "DSN", "value": "z"}, {"name": "TBOT_CONFIG_PATH", "value": "/c"}],
                "readinessProbe": {"httpGet": {"path": "/token"}},
            },
            {"name": "shell", "image": "sh", "command": ["sh", "-c", "login with x"]},
            {
                "name": "tbot",
                "image": "registry:5000/tbot-distroless:18@sha256:00",
                "args": ["start", "--token", "x", "--config=/c"],
                "env": [
                    {"name": "TELEPORT_NODE_NAME", "value": "$(NODE)"},
                    {"name": "NODE", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "spec.nodeName"}}},
                    {"name": "OTHER", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
                ],
            },
        ],
        "volumes": [
            {"name": "s", "secret": {"secretName": "cacerts"}},
            {"name": "t", "projected": {"sources": [{"secret": {"name": "n"}}, {"serviceAccountToken": {"path": "p"}}]}},
        ],
    },
}


def test_of_a_pod_stays_what_is_judged() -> None:
    once = stored(POD, kept_for(parse_pod))
    assert once == {
        "metadata": {"name": "p", "labels": {"app": "a"}, "annotations": {"inject.istio.io/templates": "sidecar,spire"}},
        "spec": {
            "containers": [
                {
                    "name": "app",
                    "image": "app:1",
                    "args": ["-c", "/etc/app.yaml"],
                    "env": [{"name": "TBOT_CONFIG_PATH", "value": "/c"}],
                    "readinessProbe": True,
                },
                {"name": "shell", "image": "sh", "args": []},
                {
                    "name": "tbot",
                    "image": "registry:5000/tbot-distroless:18@sha256:00",
                    "args": ["start", "--token", MARK, "--config=/c"],
                    "env": [
                        {"name": "TELEPORT_NODE_NAME", "value": "$(NODE)"},
                        {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}, "value": ""},
                    ],
                },
            ],
            "volumes": [
                {"name": "s", "secret": {}},
                {"name": "t", "projected": {"sources": [{"secret": {}}, {"serviceAccountToken": {"path": "p"}}]}},
            ],
        },
    }
    assert [volume.source for volume in parse_pod(once).volumes] == ["secret", "projected"]


REDIRECTING = (
    "-p",
    "15001",
    "-u",
    "1337",
    "-m",
    "TPROXY",
    "-i",
    "*",
    "-x",
    "",
    "-b",
    "*",
    "-d",
    "15090,8080",
    "--log_output_level=x",
)


@pytest.mark.parametrize(
    ("args", "kept_args"),
    [
        (["istio-iptables", *REDIRECTING], ["istio-iptables", "-m", "TPROXY", "-b", "*", "-d", "15090,8080"]),
        (["istio-iptables", "-b"], ["istio-iptables", "-b", ""]),
        (["istio-iptables"], ["istio-iptables"]),
        (["mysql", "-m", "a", "-b", "b", "-d", "customers"], []),
    ],
)
def test_of_a_container_that_redirects_ports_it_is_which_ones(args: list[str], kept_args: list[str]) -> None:
    pod = {"metadata": {"name": "p"}, "spec": {"initContainers": [{"name": "istio-validation", "image": "i", "args": args}]}}
    once = stored(pod, kept_for(parse_pod))
    assert once["spec"]["initContainers"][0]["args"] == kept_args
    assert stored(once, kept_for(parse_pod)) == once
    assert redirection_of(parse_pod(once)) == redirection_of(parse_pod(pod))


def test_the_redirection_by_annotations_and_the_ports_of_an_application_stay() -> None:
    ports = [{"containerPort": 8080, "name": "http", "hostPort": 1}, {"containerPort": 53, "protocol": "UDP"}]
    pod = {
        "metadata": {
            "name": "p",
            "annotations": {
                "traffic.sidecar.istio.io/includeInboundPorts": "8080,9090",
                "traffic.sidecar.istio.io/excludeInboundPorts": "9090",
                "sidecar.istio.io/interceptionMode": "TPROXY",
            },
        },
        "spec": {"containers": [{"name": "app", "image": "i", "ports": ports}]},
    }
    once = stored(pod, kept_for(parse_pod))
    assert once["metadata"] == pod["metadata"]
    assert once["spec"]["containers"][0]["ports"] == [{"containerPort": 8080}, {"containerPort": 53, "protocol": "UDP"}]
    assert redirection_of(parse_pod(once)) == redirection_of(parse_pod(pod))
    assert application_ports(parse_pod(once)) == {8080}


def test_the_aliases_of_a_trust_domain_stay() -> None:
    text = "{trustDomain: new.example, trustDomainAliases: [old.example], rootNamespace: istio-system}"
    once = kept(mesh.KEPT_OF_MESH, {"mesh": text})
    assert once == {"mesh": {"trustDomain": "new.example", "trustDomainAliases": ["old.example"]}}


def test_a_damaged_pod_is_still_damaged() -> None:
    damages: list[dict[str, Any]] = [
        {"spec": "x"},
        {"spec": {"containers": {"a": 1}}},
        {"metadata": []},
        {"spec": {"containers": [7]}},
    ]
    for damage in damages:
        with pytest.raises(CouldNotTell):
            parse_pod(stored({**POD, **damage}, kept_for(parse_pod)))


@pytest.mark.parametrize(
    ("words", "kept_words"),
    [
        (
            ["kubectl rollout restart deployment -n app --token x"],
            ["kubectl rollout restart deployment -n app --token [redacted]"],
        ),
        (["pg_dump", "postgres://u:p@h/d"], None),
    ],
)
def test_of_cron_jobs_only_those_that_restart_something_show_their_commands(words: list[str], kept_words: Any) -> None:
    spec = {"containers": [{"name": "c", "image": "i", "args": words}]}
    job = {
        "metadata": {"name": "j"},
        "spec": {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": {"spec": spec}}}},
    }
    once = stored(job, kept_for(workloads.parse_cron_job))
    containers = once["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert containers == ([{"name": "c", "args": kept_words}] if kept_words else [])
    assert workloads.parse_cron_job(once).words == "\n".join(kept_words or [])


def test_the_time_of_the_last_change_of_a_config_map_stays() -> None:
    whole = {
        "metadata": {
            "name": "m",
            "managedFields": [{"manager": "x", "time": "2026-01-01T00:00:00Z", "fieldsV1": {"f:data": {"f:key": {}}}}],
        },
        "data": {"key": "value"},
    }
    once = stored(whole, kept_for(objects.parse_config_map))
    managed = [{"time": "2026-01-01T00:00:00Z", "fieldsV1": {"f:data": {}}}]
    assert once == {"metadata": {"name": "m", "managedFields": managed}, "data": {"key": ""}}
    assert objects.parse_config_map(once).changed_at == "2026-01-01T00:00:00Z"


def test_a_gateways_own_certificate_for_its_clients_is_not_kept() -> None:
    secret = {"@type": "t", "name": "kubernetes://shop", "tls_certificate": {"certificate_chain": {"inline_bytes": "eA=="}}}
    dump = {"configs": [{"@type": "x.SecretsConfigDump.DynamicSecret", "name": "kubernetes://shop", "secret": secret}]}
    assert "eA==" not in json.dumps(stored(dump, kept_for(envoy.parse_secrets)))


def test_everything_of_a_document_of_the_suites_own_is_kept_text_by_text() -> None:
    assert kept(WHOLE, {"a": [SECRET, 1, {"b": None}]}) == {"a": [f"password: {MARK}", 1, {"b": None}]}
