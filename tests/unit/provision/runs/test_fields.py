"""Three-way comparison of fields: as they were, as the run left them, as they are now."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from provision.render import MANIFESTS
from provision.runs.fields import (
    MISSING,
    Field,
    Standing,
    _settled,
    changed_fields,
    patch_to,
    restored,
    secrets_in,
    standing,
    value_at,
)

KEYS = st.sampled_from(["a", "b", "c", "d"])
LEAVES = st.one_of(st.integers(0, 3), st.sampled_from(["x", "y"]), st.booleans(), st.lists(st.integers(0, 2), max_size=2))
OBJECTS = st.recursive(
    st.dictionaries(KEYS, LEAVES, max_size=3), lambda inner: st.dictionaries(KEYS, st.one_of(LEAVES, inner), max_size=3)
)
PATCHES = st.recursive(
    st.dictionaries(KEYS, st.one_of(LEAVES, st.none()), max_size=3),
    lambda inner: st.dictionaries(KEYS, st.one_of(LEAVES, st.none(), inner), max_size=3),
)


def patched(document: Any, change: Any) -> dict[str, Any]:
    """The object after a merge patch, by RFC 7386."""
    result = copy.deepcopy(document) if isinstance(document, dict) else {}
    for key, value in change.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            result[key] = patched(result.get(key), value)
        else:
            result[key] = copy.deepcopy(value)
    return result


@given(OBJECTS, PATCHES)
def test_a_change_that_no_one_touched_is_taken_back_to_the_letter(before: dict[str, Any], change: dict[str, Any]) -> None:
    fields, after = changed_fields(before, change), patched(before, change)
    assert all(standing(f, before) is Standing.ORIGINAL for f in fields)
    assert all(standing(f, after) is not Standing.OTHERS for f in fields)
    assert _settled(restored(after, fields)) == _settled(before)


@given(OBJECTS, PATCHES)
def test_what_was_never_changed_or_is_restored_stays_as_it_is(before: dict[str, Any], change: dict[str, Any]) -> None:
    assert restored(before, changed_fields(before, change)) == before


@given(OBJECTS, PATCHES, PATCHES)
def test_what_another_user_has_changed_is_never_overwritten(
    before: dict[str, Any], change: dict[str, Any], theirs: dict[str, Any]
) -> None:
    fields, after = changed_fields(before, change), patched(before, change)
    now = patched(after, theirs)
    back = restored(now, fields)
    for field in changed_fields(after, theirs):
        unrelated = all(not _one_leads_to_the_other(field.path, f.path) for f in fields)
        if unrelated:
            assert _settled(value_at(back, field.path)) == _settled(value_at(now, field.path))
    for field in fields:
        if standing(field, now) is Standing.OTHERS and isinstance(value_at(now, field.path), int | str):
            assert value_at(back, field.path) == value_at(now, field.path)


def _one_leads_to_the_other(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    length = min(len(one), len(other))
    return one[:length] == other[:length]


@given(OBJECTS, OBJECTS)
def test_a_patch_makes_one_object_of_another(now: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert _settled(patched(now, patch_to(now, wanted))) == _settled(wanted)
    assert patch_to(now, now) == {}


NOWHERE = {"spec": {"template": {"spec": {"nodeSelector": {"nowhere": "here"}}}}}


def test_a_mapping_that_the_change_made_goes_with_its_last_key() -> None:
    before: dict[str, Any] = {"spec": {"template": {"spec": {"containers": [{"name": "tbot"}]}}}}
    (field,) = changed_fields(before, NOWHERE)
    assert (str(field), field.was, field.ours) == ("spec.template.spec.nodeSelector.nowhere", MISSING, "here")
    assert restored(patched(before, NOWHERE), (field,)) == before

    theirs = {"spec": {"template": {"spec": {"nodeSelector": {"zone": "b"}}}}}
    kept = restored(patched(patched(before, NOWHERE), theirs), (field,))
    assert kept["spec"]["template"]["spec"]["nodeSelector"] == {"zone": "b"}


def test_a_mapping_that_was_there_before_stays_when_it_is_empty() -> None:
    before: dict[str, Any] = {"spec": {"template": {"spec": {"nodeSelector": {}}}}}
    assert restored(patched(before, NOWHERE), changed_fields(before, NOWHERE)) == before


def test_a_key_that_the_change_removed_comes_back() -> None:
    before = {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}}}
    change = {"updateStrategy": {"type": "OnDelete", "rollingUpdate": None}}
    fields = changed_fields(before, change)
    assert {str(f): (f.was, f.ours) for f in fields} == {
        "updateStrategy.type": ("RollingUpdate", "OnDelete"),
        "updateStrategy.rollingUpdate": ({"maxUnavailable": 1}, MISSING),
    }
    assert restored(patched(before, change), fields) == before


def test_what_stands_there_now_is_told_apart() -> None:
    field = Field(("spec", "replicas"), 3, 0)
    assert standing(field, {"spec": {"replicas": 3}}) is Standing.ORIGINAL
    assert standing(field, {"spec": {"replicas": 0}}) is Standing.OURS
    assert standing(field, {"spec": {"replicas": 2}}) is Standing.OTHERS
    assert standing(field, {}) is Standing.OTHERS


TBOT = yaml.safe_load((MANIFESTS / "tbot-config.yaml").read_text())["data"]["tbot.yaml"]


@pytest.mark.parametrize(
    ("field", "is_secret"),
    [
        (Field(("data", "tbot.yaml"), TBOT, TBOT.replace("1h", "60s")), False),
        (Field(("data", "tbot.yaml"), TBOT.replace("istio-tbot-k8s-join", "a-long-name-of-a-join-token"), ""), False),
        (Field(("data", "tbot.yaml"), TBOT.replace("join_method: kubernetes", "join_method: token"), ""), True),
        (Field(("data", "tbot.yaml"), "", "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n"), True),
        (Field(("data", "password"), "hunter2hunter2", ""), True),
        (Field(("spec", "rules"), MISSING, {"allow": [{"client_secret": "abcdefghijkl"}]}), True),
        (Field(("spec", "replicas"), 1, 0), False),
    ],
    ids=["tbot", "long name", "join method token", "key", "password", "nested", "number"],
)
def test_fields_that_hold_a_secret_are_found(field: Field, *, is_secret: bool) -> None:
    assert bool(secrets_in((field,))) is is_secret
