from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facts.errors import CouldNotTell
from facts.versions import Version, parse_istioctl_version, parse_kubectl_version, parse_server_version, parse_tctl_version
from tests.data import document, text


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("v1.34.4", "1.34.4"),
        ("1.31.0-lab", "1.31.0-lab"),
        ("18.9.0-rc.2", "18.9.0-rc.2"),
        ("v1.34.4+k3s1", "1.34.4+k3s1"),
        ("1.31", "1.31.0"),
        (" 18.6.4\n", "18.6.4"),
    ],
)
def test_versions_are_read_as_programs_write_them(written: str, read: str) -> None:
    assert str(Version.parse(written)) == read


@pytest.mark.parametrize("floating", ["18", "latest", "", "v18", "1.2.3.4", "01.2.3", "1.31-", "sha256:abc"])
def test_a_floating_tag_is_no_version(floating: str) -> None:
    with pytest.raises(CouldNotTell) as caught:
        Version.parse(floating, "image of tbot")
    assert caught.value.where == "image of tbot"


def test_the_order_is_that_of_semantic_versioning() -> None:
    written = [
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0.0",
        "1.0.1",
    ]
    versions = [Version.parse(w) for w in written]
    assert all(lower < higher for lower, higher in pairwise(versions))
    assert Version.parse("18.6.3") < Version.parse("18.6.4") < Version.parse("18.10.0")


def test_build_metadata_plays_no_part_in_the_order() -> None:
    assert Version.parse("1.34.4+k3s1") == Version.parse("1.34.4")
    assert hash(Version.parse("1.34.4+k3s1")) == hash(Version.parse("1.34.4"))


def test_a_build_of_ones_own_has_what_its_release_has() -> None:
    lab = Version.parse("1.31.0-lab")
    assert lab < Version.parse("1.31.0")
    assert lab.release == Version.parse("1.31.0")


NUMBERS = st.integers(0, 9999)


@given(NUMBERS, NUMBERS, NUMBERS, st.from_regex(r"(rc|beta|lab)(\.[1-9][0-9]?)?", fullmatch=True) | st.just(""))
def test_what_is_written_is_read_back(major: int, minor: int, patch: int, pre: str) -> None:
    version = Version(major, minor, patch, pre)
    assert Version.parse(f"v{version}") == version


def test_the_tools_say_their_versions() -> None:
    assert parse_kubectl_version(document("cluster/kubectl_version.json")) == Version(1, 34, 4)
    assert str(parse_istioctl_version(document("cluster/istioctl_version.json"))) == "1.31.0-lab"
    assert parse_tctl_version(text("teleport/tctl_version.txt")) == Version(18, 6, 4)
    assert parse_tctl_version("Teleport Enterprise v17.7.14 git:v17.7.14-0-gabc go1.24.7") == Version(17, 7, 14)


def test_a_tool_that_names_no_version_is_not_guessed_at() -> None:
    with pytest.raises(CouldNotTell):
        parse_istioctl_version({"meshVersion": []})
    with pytest.raises(CouldNotTell):
        parse_tctl_version("command not found")


@given(NUMBERS, NUMBERS, NUMBERS)
def test_numbers_are_compared_as_numbers(major: int, minor: int, patch: int) -> None:
    version = Version(major, minor, patch)
    assert version < Version(major, minor, patch + 1) < Version(major, minor + 1) < Version(major + 1, 0)
    assert Version(major, minor, patch, "rc.1") < version
    assert not version < version  # noqa: PLR0124 - irreflexive
    assert version <= version  # noqa: PLR0124
    assert version != Version(major, minor, patch, "rc.1")
    assert version != str(version)


@pytest.mark.parametrize(
    ("written", "stands_for"),
    [
        ("1.28.0-solo", "1.28.0"),
        ("1.28.0-rc.1", "1.28.0-rc.1"),
        ("1.28.0-RC1", "1.28.0-RC1"),
        ("1.28.0-alpha.2", "1.28.0-alpha.2"),
        ("1.28.0-dev", "1.28.0-dev"),
        ("1.28.0-pre", "1.28.0-pre"),
        ("1.28.0-beta", "1.28.0-beta"),
        ("1.28.0+k3s1", "1.28.0"),
    ],
)
def test_a_variant_stands_for_its_release(written: str, stands_for: str) -> None:
    assert Version.parse(written).stands_for == Version.parse(stands_for)


def test_the_api_servers_version() -> None:
    assert parse_server_version({"gitVersion": "v1.34.4+k3s1"}) == Version(1, 34, 4)
    assert Version.parse("v1.34.4+k3s1").build == "k3s1"
    for damage in ({}, {"gitVersion": "latest"}):
        with pytest.raises(CouldNotTell) as caught:
            parse_server_version(damage)
        assert caught.value.where == "/version"
    with pytest.raises(CouldNotTell) as caught:
        parse_kubectl_version({"clientVersion": {}})
    assert caught.value.where == "kubectl version"
    with pytest.raises(CouldNotTell) as caught:
        parse_istioctl_version({"clientVersion": {"version": "unknown"}})
    assert caught.value.where == "istioctl version"
    with pytest.raises(CouldNotTell) as caught:
        parse_tctl_version("x" * 100)
    assert caught.value.where == "tctl version"
    assert caught.value.seen == repr("x" * 80)


def test_a_version_of_two_numbers_is_the_first_patch() -> None:
    assert Version(1, 31) == Version(1, 31, 0) == Version.parse("1.31")
    assert (Version(1, 31).patch, Version(1, 31).pre, Version(1, 31).build) == (0, "", "")
