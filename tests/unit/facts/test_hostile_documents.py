"""YAML and JSON that others made up: each is read, or ends as the error that its reader's callers expect, and in time."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from facts.document import decoded, parse_json, parse_yaml, yaml_as_written
from facts.errors import CouldNotTell
from facts.evidence import Evidence, ObjectRef, evidence_of
from facts.istio.mesh import KEPT_OF_INJECTOR, KEPT_OF_MESH, parse_injector, parse_mesh_config
from facts.kubernetes.jwks import parse_jwks
from facts.kubernetes.objects import ConfigMap, config_map_with, parse_config_map
from facts.masks import Fields, yaml_document
from facts.secret_forms import Canary
from facts.traffic.attempts import parse_relay, parse_tls_client
from providers.teleport.facts.tbot_config import KEPT, join_secrets, parse_tbot_config, public_join_names
from tests.data import document
from tests.unit.facts.canaries import CANARIES, left_in
from tests.unit.thoroughness import examples

AT = datetime(2026, 3, 1, tzinfo=UTC)
MAPS = {name: document(f"cluster/config_map_{name}.json")["data"] for name in ("istio", "injector", "tbot")}

VALUES = (
    "2020-13-45", "2020-01-01T00:00:00+99:99", "0001-01-01T00:00:00+23:59", "!!timestamp x", "!!timestamp [1]", '!!int ""',
    "!!int x", "!!float ''", "!!bool maybe", "!!binary '*'", "!!set {a, b}", "!!omap [a: 1]", "!!pairs [a: 1]", "!!null x",
    "!!python/object:os.system {}", "!unknown x", "!!str [1]", "!!map x", "!!seq {}", "!!merge x", "!!value x", "=", "<<: 1",
    "{<<: [1]}", "{<<: *a}", "*none", "&a [*a]", "&a {a: *a}", "? [1]\n: 2", "{[1]: 2}", "{{}: 2}", "{? {a: 1} : 2}",
    "0x" + "f" * 5000, "9" * 5000, "1" + ":59" * 3000, "1:1.5" + ":59" * 300, "-.inf", ".nan", "1e999", "0b", "0o9",
    "[" * 600, "{a: " * 600, "- " * 600, "%YAML 9.9", "--- a\n--- b", "...", "\t- a",
    "'", '"\\ud800"', '"\\u0000"', "\x00", "\ud800",
    "\u2028", "\ufeff", "a: b: c", "|\n x", ">-\n x", "~", "", "1", "x", "{}", "[]", "{a: 1}", "[a]",
)  # fmt: skip
"""Values at which a loader, a mask or a parser may stumble. The time of PyYAML grows with the square of the nesting."""
KEYS = (
    "trustDomain",
    "caCertificates",
    "templates",
    "version",
    "onboarding",
    "services",
    "type",
    "listen",
    "keys",
    "a",
    "<<",
)


def _mapping(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pairs = st.lists(st.tuples(st.sampled_from(KEYS), inner), max_size=4)
    return pairs.map(lambda found: "{" + ", ".join(f"{key}: {value}" for key, value in found) + "}")


YAML = st.one_of(
    st.recursive(
        st.sampled_from(VALUES),
        lambda inner: _mapping(inner) | st.lists(inner, max_size=3).map(lambda v: f"[{', '.join(v)}]"),
    ),
    st.lists(st.tuples(st.sampled_from(KEYS), st.sampled_from(VALUES)), max_size=4).map(
        lambda pairs: "\n".join(f"{key}: {value}" for key, value in pairs)
    ),
    st.text(max_size=40),
)


def _json(depth: int) -> st.SearchStrategy[str]:
    odd = ("9" * 5000, "1e999", "NaN", '"\\ud800"', "", "nul", "\ufeff{}", "[1,]")
    return st.one_of(
        st.sampled_from(["[" * depth, '{"a":' * depth, *odd]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
        ).map(json.dumps),
        st.text(max_size=40),
    )


ANYTHING = settings(max_examples=examples(60), suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("text", VALUES, ids=lambda text: ascii(text[:20]))
def test_a_yaml_value_is_read_or_is_no_yaml(text: str) -> None:
    for written in (text, f"a: {text}", f"- {text}", f"{text}: 1"):
        with suppress(CouldNotTell):
            parse_yaml(written, "here")
        with suppress(ValueError):
            yaml_as_written(written)


@ANYTHING
@given(YAML)
def test_any_yaml_is_read_or_is_no_yaml(text: str) -> None:
    with suppress(CouldNotTell):
        parse_yaml(text, "here")
    with suppress(ValueError):
        yaml_as_written(text)


@ANYTHING
@given(_json(100_000))
def test_any_json_is_read_or_is_no_json(text: str) -> None:
    for parse in (lambda raw: parse_json(raw, "here"), parse_jwks, parse_relay, parse_tls_client):
        with suppress(CouldNotTell):
            parse(text)


def kept(data: dict[str, str], mask: Fields) -> Evidence:
    whole = json.dumps({"metadata": {"name": "m", "namespace": "n"}, "data": data})
    subject = ObjectRef("ConfigMap", "m", "n")
    return evidence_of("GET", subject, whole, read_at=AT, parser=parse_config_map, mask=config_map_with(mask))


def _tbot(config_map: ConfigMap) -> object:
    return parse_tbot_config(config_map.data["tbot.yaml"])


FILES: dict[str, tuple[str, dict[str, str], Fields, Callable[[ConfigMap], object]]] = {
    "mesh": ("mesh", MAPS["istio"], KEPT_OF_MESH, parse_mesh_config),
    "injector": ("config", MAPS["injector"], KEPT_OF_INJECTOR, parse_injector),
    "injector's values": ("values", MAPS["injector"], KEPT_OF_INJECTOR, parse_injector),
    "tbot's file": ("tbot.yaml", MAPS["tbot"], Fields({"tbot.yaml": KEPT}), _tbot),
}


@pytest.mark.parametrize("file", FILES)
@ANYTHING
@given(text=YAML | _json(1000))
@example(text="a: !!timestamp x")
@example(text="trustDomain: 0x" + "f" * 5000)
@example(text="services: &a [*a]")
@example(text="services: [{type: workload-identity-api, listen: 2020-01-01, credential_ttl: !!set {a}}]")
def test_any_text_of_a_config_map_is_stored_and_judged_as_stored(file: str, text: str) -> None:
    key, whole, mask, parse = FILES[file]
    stored = kept({**whole, key: text}, mask)
    again = parse_config_map(decoded(stored.body))
    with suppress(CouldNotTell):
        parse(again)
    secrets, public = join_secrets(text), public_join_names(text)
    assert not (secrets and public), "the names of a file are secrets or not"


@pytest.mark.parametrize("file", FILES)
def test_the_texts_that_are_spoiled_here_are_good(file: str) -> None:
    _key, whole, mask, parse = FILES[file]
    assert parse(parse_config_map(decoded(kept(whole, mask).body))) is not None


def bomb(levels: int, wide: int) -> str:
    """A few hundred bytes that make ``wide`` to the power of ``levels`` values, as aliases."""
    aliases = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * wide)}]" for n in range(1, levels)]
    return "\n".join([f"a0: &a0 [{', '.join('x' * wide)}]", *aliases])


def merging_bomb(levels: int, wide: int) -> str:
    """The same as mappings that are merged."""
    merged = [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * wide)}]}}" for n in range(1, levels)]
    return "\n".join(["a0: &a0 {k: v}", *merged])


@pytest.mark.parametrize("text", [bomb(40, 9), merging_bomb(40, 9), bomb(3, 2000)], ids=["aliases", "merged", "square"])
def test_a_text_that_multiplies_itself_is_no_yaml_and_costs_no_time(text: str) -> None:
    began = time.perf_counter()
    with pytest.raises(CouldNotTell, match="more than 1,000,000 values"):
        parse_yaml(text, "here")
    with suppress(ValueError):
        yaml_as_written(text)
    assert time.perf_counter() - began < 20, "seconds; without the limit it ends never"


def test_aliases_and_merged_mappings_of_a_real_file_are_followed() -> None:
    text = "base: &base {a: 1}\nboth: [*base, *base]\nmerged: {<<: *base, b: 2}\n"
    assert (
        yaml_document(text) == yaml.safe_load(text) == {"base": {"a": 1}, "both": [{"a": 1}] * 2, "merged": {"a": 1, "b": 2}}
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [1,\n b: {", "expected the node content, but found '<stream end>' in line 2, column 6"),
        ("a: 2020-13-45", "month must be in 1..12"),
        ("&a [*a]", "a value that holds itself"),
        ("[" * 600, "nested too deeply"),
        ("a: 0x" + "f" * 5000, "a whole number of thousands of digits"),
    ],
    ids=lambda each: ascii(each[:20]),
)
def test_the_reason_has_the_place_and_no_line_of_the_text(text: str, said: str) -> None:
    with pytest.raises(CouldNotTell) as caught:
        parse_yaml(text, "here")
    assert (caught.value.expected, caught.value.seen, caught.value.where) == ("YAML", said, "here")


@pytest.mark.parametrize("canary", CANARIES, ids=lambda canary: canary.form)
def test_no_form_of_a_secret_is_in_the_error_of_a_damaged_document(canary: Canary) -> None:
    damaged: list[Callable[[], Any]] = [
        lambda: parse_yaml(f"a: {canary.text}\nb: [", "here"),
        lambda: parse_yaml(f"[ {canary.text}", "here"),
        lambda: parse_json(f"{canary.text} and more", "here"),
        lambda: parse_relay(canary.text),
    ]
    for parse in damaged:
        with pytest.raises(CouldNotTell) as caught:
            parse()
        assert left_in(str(caught.value), canary) == ()
