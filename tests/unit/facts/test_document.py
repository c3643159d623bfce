"""Fields, times and stored bodies of decoded documents."""

from __future__ import annotations

import pytest

from facts.document import decoded, maybe, need, parse_items, texts, when
from facts.errors import CouldNotTell
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
    for damaged in ("", "yesterday", "2025-12-14T19:53:56"):
        with pytest.raises(CouldNotTell):
            when(damaged, "x")


def test_a_stored_body_is_decoded_as_it_was_read() -> None:
    assert decoded('{"a": 1}') == {"a": 1}
    assert decoded("istio_agent_x 1\n") == "istio_agent_x 1\n"
