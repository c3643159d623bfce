"""Manifests are filled in strictly: what envsubst would leave or swallow without a word is an error here."""

from __future__ import annotations

from pathlib import Path

import pytest

from facts.errors import BadInput
from provision.render import documents, render


def test_known_variables_are_replaced_everywhere() -> None:
    assert render("a: ${X}\nb: ${X}/${Y}", {"X": "one", "Y": "two"}, where="m.yaml") == "a: one\nb: one/two"


def test_an_unknown_variable_is_named_with_its_file() -> None:
    with pytest.raises(BadInput, match=r"\$\{Z\}.*m\.yaml"):
        render("a: ${Z}", {"X": "one"}, where="m.yaml")


def test_a_name_without_braces_is_refused_because_envsubst_would_replace_it() -> None:
    with pytest.raises(BadInput, match="line 2"):
        render("a: 1\nb: {{ $native := true }}", {}, where="m.yaml")


@pytest.mark.parametrize("value", ["a b", 'a"', "a\nb: c", "", "{}"])
def test_a_value_that_means_something_to_yaml_is_refused(value: str) -> None:
    with pytest.raises(BadInput, match="plain value for X"):
        render("a: ${X}", {"X": value}, where="m.yaml")


def test_documents_skips_empty_ones(tmp_path: Path) -> None:
    file = tmp_path / "m.yaml"
    file.write_text("a: ${X}\n---\n---\nb: 2\n")
    assert documents(file, {"X": "1.5"}) == [{"a": 1.5}, {"b": 2}]


@pytest.mark.parametrize("content", ["a: [", None])
def test_what_is_no_readable_yaml_says_which_file(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "m.yaml"
    if content is not None:
        file.write_text(content)
    with pytest.raises(BadInput, match=r"m\.yaml"):
        documents(file, {})
