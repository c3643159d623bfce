"""Which parts are built, in which order, and what happens when one fails."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from lab import docker
from lab.errors import LabError
from lab.parts import Lane, Part, Workshop, build, keys, outdated
from lab.store import Store


class Journal:
    """Remembers what it is told about a build."""

    def __init__(self) -> None:
        self.built: list[str] = []
        self.begun: list[str] = []
        self.plans: list[list[str]] = []

    def planned(self, parts: Sequence[Part]) -> None:
        self.plans.append([part.name for part in parts])

    def started(self, part: Part) -> None:
        self.begun.append(part.name)

    def waiting(self) -> None:
        """It goes on."""

    def finished(self, part: Part, seconds: float) -> None:
        assert seconds >= 0
        self.built.append(part.name)


def _write(shop: Workshop) -> None:
    (shop.output / "file").write_text("".join(sorted(shop.needs)))


def _plan(source: Path) -> list[Part]:
    return [
        Part("fetched", "1", "fetch", _write),
        Part("compiled", "1", "compute", _write, sources=(source,)),
        Part("image", "1", "compute", _write, inputs=["FROM"], needs=("fetched", "compiled")),
    ]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    file = tmp_path / "go.sum"
    file.write_text("pinned")
    return file


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache")


def test_everything_is_built_once_and_then_nothing(store: Store, source: Path) -> None:
    journal = Journal()
    records = build(_plan(source), store, journal)
    assert [record.name for record in records] == ["fetched", "compiled", "image"]
    assert journal.built[-1] == "image"
    assert journal.plans == [["fetched", "compiled", "image"]]
    assert journal.begun[-1] == "image"
    again = Journal()
    assert build(_plan(source), store, again) == records
    assert again.built == []


def test_a_part_and_what_is_made_from_it_are_rebuilt_when_a_source_changes(store: Store, source: Path) -> None:
    build(_plan(source), store, Journal())
    source.write_text("pinned otherwise")
    assert [part.name for part in outdated(_plan(source), store)] == ["compiled", "image"]


@pytest.mark.parametrize("change", [{"version": "2"}, {"inputs": ["FROM", "more"]}, {"recipe": 2}])
def test_a_key_depends_on_version_inputs_and_recipe(source: Path, change: dict[str, object]) -> None:
    parts = _plan(source)
    before = keys(parts)
    parts[2] = replace(parts[2], **change)  # type: ignore[arg-type]
    after = keys(parts)
    assert after["image"] != before["image"]
    assert after["compiled"] == before["compiled"]


def test_a_build_that_ended_half_way_goes_on_with_what_is_finished(store: Store, source: Path) -> None:
    parts = _plan(source)

    def killed(_: Workshop) -> None:
        raise LabError("killed")

    with pytest.raises(LabError, match="killed"):
        build([*parts[:2], replace(parts[2], build=killed)], store, Journal())
    journal = Journal()
    build(parts, store, journal)
    assert journal.built == ["image"]


def test_a_build_in_which_nothing_is_finished_for_long_says_that_it_goes_on(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lab.parts.QUIET", 0.01)
    journal, goes_on = Journal(), threading.Event()
    monkeypatch.setattr(journal, "waiting", goes_on.set)

    def long(_: Workshop) -> None:
        assert goes_on.wait(20)

    build([Part("long", "1", "compute", long)], store, journal)
    assert journal.built == ["long"]


def test_parts_of_one_lane_never_run_at_the_same_time(store: Store) -> None:
    running: set[str] = set()
    overlaps: list[tuple[str, ...]] = []

    def part(name: str) -> Part:
        def make(_: Workshop) -> None:
            running.add(name)
            overlaps.append(tuple(running))
            running.remove(name)

        return Part(name, "1", "compute", make)

    build([part(str(number)) for number in range(8)], store, Journal())
    assert {len(names) for names in overlaps} == {1}


def test_a_part_of_each_lane_runs_beside_those_of_the_others(store: Store) -> None:
    together = threading.Barrier(len(get_args(Lane)))

    def meet(_: Workshop) -> None:
        together.wait(20)

    journal = Journal()
    build([Part(lane, "1", lane, meet) for lane in get_args(Lane)], store, journal)
    assert {*journal.built} == {*get_args(Lane)}


def test_an_image_that_is_gone_from_docker_is_built_again(
    store: Store, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    present = {"localhost/x:1": "sha256:1"}
    monkeypatch.setattr(docker, "image_ids", lambda refs: {r: present[r] for r in refs if r in present})
    monkeypatch.setattr(docker, "images_digest", lambda _ids: ("0" * 64, 10))

    def make(shop: Workshop) -> None:
        shop.image("localhost/x:1")

    parts = [*_plan(source)[:2], Part("image", "1", "compute", make, needs=("fetched",))]
    records = build(parts, store, Journal())
    assert records[-1].images == present
    assert outdated(parts, store) == []
    present["localhost/x:1"] = "sha256:2"
    assert [part.name for part in outdated(parts, store)] == ["image"]
    present.clear()
    assert [part.name for part in outdated(parts, store)] == ["image"]


def test_a_part_sees_the_images_of_those_it_needs(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker, "image_ids", lambda refs: dict.fromkeys(refs, "sha256:1"))
    monkeypatch.setattr(docker, "images_digest", lambda _ids: ("0" * 64, 10))
    seen: list[tuple[str, ...]] = []
    parts = [
        Part("base", "1", "compute", lambda shop: shop.image("localhost/base:1")),
        Part("node", "1", "compute", lambda shop: seen.append(shop.needed_images["base"]), needs=("base",)),
    ]
    build(parts, store, Journal())
    assert seen == [("localhost/base:1",)]
