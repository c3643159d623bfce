"""Fields, times and stored bodies of decoded documents."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facts.document import Absent, damaged, decoded, mappings, maybe, need, parse_items, parse_yaml, texts, when
from facts.errors import CouldNotTell
from facts.evidence import ObjectRef
from facts.kubernetes.objects import parse_pod


def test_a_list_without_items_is_no_list() -> None:
    with pytest.raises(CouldNotTell):
        parse_items({"kind": "Status", "code": 403}, parse_pod, (), "pods")
    assert parse_items({"items": []}, parse_pod, (), "pods") == ()


def test_fields_are_demanded_by_kind() -> None:
    thing = {"a": {"b": 1, "c": True, "d": None, "e": ["x", "y"], "f": "x"}}
    assert need(thing, "a.b", int, "here") == 1
    assert maybe(thing, "a.d", "default", "here") == "default"
    assert texts(thing, "a.e", "here") == ("x", "y")
    assert texts(thing, "a.f", "here") == ("x",)
    for path, kind in (("a.c", int), ("a.b", bool), ("a.x", str), ("a.d", str), ("a.b.z", str)):
        with pytest.raises(CouldNotTell) as caught:
            need(thing, path, kind, "here")
        assert path in caught.value.expected
        assert caught.value.where == "here"


def test_times_of_any_precision_are_utc() -> None:
    assert when("2025-12-14T19:53:56.205302389Z", "x").isoformat() == "2025-12-14T19:53:56.205302+00:00"
    assert when("2025-12-14T21:53:56+02:00", "x").hour == 19
    for wrong in ("", "yesterday", "2025-12-14T19:53:56"):
        with pytest.raises(CouldNotTell):
            when(wrong, "x")


def test_a_stored_body_is_decoded_as_it_was_read() -> None:
    assert decoded('{"a": 1}') == {"a": 1}
    assert decoded("istio_agent_x 1\n") == "istio_agent_x 1\n"


def test_a_path_leads_through_mappings_and_lists() -> None:
    thing = {"a.b": [{"c": 1}, {"c": 2}], "d": {"e": None}}
    assert need(thing, ["a.b", 1, "c"], int, "here") == 2
    assert maybe(thing, ["a.b", 2, "c"], 7, "here") == 7
    assert maybe(thing, ["a.b", "c"], 7, "here") == 7
    assert maybe(thing, ["d", 0], 7, "here") == 7
    assert maybe(thing, "d.e.f", 7, "here") == 7
    with pytest.raises(CouldNotTell, match=r"the field a\.b\.1\.x; saw it is missing"):
        need(thing, ["a.b", 1, "x"], int, "here")


@pytest.mark.parametrize(
    ("value", "kind", "said"),
    [
        ("1", int, "a whole number; saw str"),
        (True, int, "a whole number; saw bool"),
        (1, str, "text; saw int"),
        (1, bool, "true or false; saw int"),
        ([], dict, "a mapping; saw list"),
        ({}, list, "a list; saw dict"),
        ("1", float, "float; saw str"),
    ],
)
def test_a_field_of_another_kind_says_which_was_expected(value: Any, kind: type, said: str) -> None:
    with pytest.raises(CouldNotTell, match=f"the field a to be {said}"):
        need({"a": value}, "a", kind, "here")
    with pytest.raises(CouldNotTell, match=f"the field a to be {said}"):
        maybe({"a": value}, "a", kind(), "here")


@pytest.mark.parametrize("value", [1, [1], ["a", 1], {"a": "b"}])
def test_texts_are_texts(value: Any) -> None:
    assert texts({}, "a", "here") == texts({"a": None}, "a", "here") == ()
    with pytest.raises(CouldNotTell, match="a list of texts"):
        texts({"a": value}, "a", "here")


def test_mappings_are_mappings() -> None:
    assert [*mappings({"a": [{"b": 1}, {}]}, "a", "here")] == [{"b": 1}, {}]
    assert [*mappings({}, "a", "here")] == []
    with pytest.raises(CouldNotTell, match="a list of mappings; saw str"):
        [*mappings({"a": [{}, "text"]}, "a", "here")]


def test_the_items_of_a_list_carry_its_evidence() -> None:
    items = {"items": [{"metadata": {"name": n}, "spec": {"containers": []}} for n in ("a", "b")]}
    assert [(p.name, p.evidence) for p in parse_items(items, parse_pod, ("ev-1",), "pods")] == [
        ("a", ("ev-1",)),
        ("b", ("ev-1",)),
    ]


def test_yaml_is_read_and_damage_is_one_line() -> None:
    assert parse_yaml("a: [1, 2]", "here") == {"a": [1, 2]}
    with pytest.raises(CouldNotTell) as caught:
        parse_yaml("a: [1,\n b: {", "here")
    assert (caught.value.expected, caught.value.where) == ("YAML", "here")
    assert "\n" not in caught.value.seen


def test_an_absent_object_says_so() -> None:
    assert str(Absent(ObjectRef("Bot", "x"), ())) == "Bot x does not exist"


def test_a_damaged_document_asks_for_a_look_by_hand() -> None:
    error = damaged("a", "b", "c")
    assert (error.expected, error.seen, error.where) == ("a", "b", "c")
    assert "by hand" in error.remedy


@given(st.datetimes(), st.integers(-14, 14))
def test_a_time_in_any_zone_is_the_same_moment(moment: Any, hours: int) -> None:
    written = f"{moment.isoformat()}{hours:+03d}:00"
    try:
        read = when(written, "x")
    except OverflowError:
        return
    assert read.isoformat().endswith("+00:00")
    assert (read.replace(tzinfo=None) - moment).total_seconds() == -3600 * hours
