"""Questions about destinations: bounded, and together about every cluster exactly once."""

from __future__ import annotations

from collections import Counter
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facts.errors import CouldNotTell
from facts.proxies.tls.questions import (
    COUNT,
    NAMES,
    SLICE,
    WHOLE,
    Part,
    is_of_clusters,
    is_of_endpoints,
    parse_count,
    parts,
)
from tests.unit.facts.tls_dumps import count, pattern


def fetched(of: tuple[Part, ...], names: list[str]) -> Counter[str]:
    return Counter(name for part in of for name in names if pattern(part.clusters).fullmatch(name))


def test_one_question_for_all() -> None:
    names = ["outbound|80||a.b.svc.cluster.local", "outbound|443|v1|*.example.com", "PassthroughCluster"]
    assert fetched((WHOLE,), [*names, "inbound|80||", "BlackHoleCluster", "sds-grpc"]) == Counter(names)
    assert [name for name in names if pattern(WHOLE.endpoints).fullmatch(name)] == names[:2]
    assert [name for name in names if pattern(NAMES).fullmatch(name)] == names[:2]


def test_a_mask_leaves_what_is_judged() -> None:
    (mask,) = parse_qs(urlsplit(WHOLE.clusters).query)["mask"]
    assert mask.split(",") == [
        "cluster.name",
        "cluster.type",
        "cluster.transport_socket",
        "cluster.transport_socket_matches",
    ]
    (mask,) = parse_qs(urlsplit(WHOLE.endpoints).query)["mask"]
    assert mask.split(",") == ["endpoint_config.cluster_name", "endpoint_config.endpoints"]


def test_each_question_is_known_for_what_it_is() -> None:
    for part in (WHOLE, *parts(["outbound|80||a"])):
        assert is_of_clusters(part.clusters)
        assert is_of_endpoints(part.endpoints)
        assert not is_of_clusters(part.endpoints)
        assert not is_of_endpoints(part.clusters)
    for other in (COUNT, NAMES):
        assert not is_of_clusters(other)
        assert not is_of_endpoints(other)


hosts = st.lists(st.text("ab.*-", min_size=1, max_size=6), min_size=1, max_size=60, unique=True)


@given(hosts, st.lists(st.sampled_from([80, 443, 8080]), min_size=1, max_size=3, unique=True), st.integers(1, 20))
def test_parts_fetch_every_cluster_exactly_once_and_not_too_many_at_a_time(
    hosts: list[str], ports: list[int], at_most: int
) -> None:
    names = [f"outbound|{port}||{host}" for host in hosts for port in ports]
    found = parts(names, at_most)
    assert fetched(found, [*names, "PassthroughCluster"]) == Counter([*names, "PassthroughCluster"])
    for part in found:
        fetches = [name for name in names if pattern(part.clusters).fullmatch(name)]
        assert len(fetches) <= at_most or len({name.rpartition("|")[2] for name in fetches}) == 1


def test_parts_are_few() -> None:
    names = [f"outbound|{port}||s{number}.ns{number % 7}.svc.cluster.local" for number in range(300) for port in (80, 9090)]
    found = parts(names)
    sizes = [sum(bool(pattern(part.clusters).fullmatch(name)) for name in names) for part in found]
    assert sum(sizes) == 600
    assert max(sizes) <= SLICE
    assert len(found) <= 600 // SLICE * 2 + 1


def test_few_clusters_are_one_short_pattern() -> None:
    part, _always = parts(["outbound|80||a.b", "outbound|80||a.c", "outbound|80||d.e"], at_most=3)
    assert part == Part.named(r"^outbound\|[^|]*\|[^|]*\|(.*)$")
    first, second, _always = parts(["outbound|80||a.b", "outbound|80||a.c", "outbound|80||d.e"], at_most=2)
    assert first == Part.named(r"^outbound\|[^|]*\|[^|]*\|(a.*)$")
    assert second == Part.named(r"^outbound\|[^|]*\|[^|]*\|(d\.e)$")


def test_no_cluster_at_all_leaves_what_is_always_there() -> None:
    (only,) = parts([])
    assert pattern(only.clusters).fullmatch("PassthroughCluster")


def test_the_number_of_clusters() -> None:
    assert parse_count(count(612)) == 612
    assert parse_count({"stats": [{"histograms": {}}, *count(3)["stats"]]}) == 3
    with pytest.raises(CouldNotTell, match=r"cluster_manager\.active_clusters"):
        parse_count({"stats": []})
