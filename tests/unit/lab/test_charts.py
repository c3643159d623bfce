"""Helm and Istio's charts: built on request alone, and found again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab import bundle, charts, docker
from lab.charts import chart_parts, prepared
from lab.errors import LabError
from lab.host import Host
from lab.parts import Part, Workshop
from lab.recipes import CHARTS, charts_part
from lab.store import Store
from lab.versions import load

VERSIONS = load()


class Silent:
    """Told of a build, and says nothing."""

    def planned(self, parts: Sequence[Part]) -> None: ...
    def started(self, part: Part) -> None: ...
    def waiting(self) -> None: ...
    def finished(self, part: Part, seconds: float) -> None: ...


class Shop:
    """A workshop in which Go knows one module."""

    def __init__(self, output: Path, module: Path, version: str) -> None:
        self.output = output
        self._answer = json.dumps({"Dir": str(module), "Version": version})

    def run(self, _command: Any, **_options: object) -> str:
        return self._answer


def build(output: Path, module: Path, version: str = VERSIONS.istio.module) -> None:
    shop: Any = Shop(output, module, version)
    charts_part(VERSIONS.istio).build(shop)


@pytest.fixture
def module(tmp_path: Path) -> Path:
    """Istio's module as Go keeps it, where nothing may be written."""
    for directory in CHARTS.values():
        templates = tmp_path / "module/manifests/charts" / directory / "templates"
        templates.mkdir(parents=True)
        (templates.parent / "Chart.yaml").write_text(directory)
        (templates / "all.yaml").touch(mode=0o444)
        templates.chmod(0o555)
    return tmp_path / "module"


def test_the_default_build_leaves_them_out(tmp_path: Path) -> None:
    names = {part.name for part in bundle.all_parts(VERSIONS, VERSIONS.istio_older, Store(tmp_path))}
    assert names.isdisjoint(part.name for part in chart_parts(VERSIONS))


def test_the_charts_have_the_names_that_istio_publishes_them_by(tmp_path: Path, module: Path) -> None:
    output = tmp_path / "output"
    build(output, module)
    assert {path.name: (path / "Chart.yaml").read_text() for path in output.iterdir()} == CHARTS
    assert all((output / name / "templates" / "all.yaml").is_file() for name in CHARTS)


def test_a_part_of_the_charts_can_be_removed_again(tmp_path: Path, module: Path) -> None:
    output = tmp_path / "output"
    build(output, module)
    assert all(path.stat().st_mode & 0o200 for path in output.rglob("*"))


def test_charts_of_another_istio_are_refused(tmp_path: Path, module: Path) -> None:
    with pytest.raises(LabError, match=r"expected istio\.io/istio .* it has v9\. Type: python -m lab pin"):
        build(tmp_path / "output", module, "v9")


def test_a_chart_that_is_not_there_is_named(tmp_path: Path, module: Path) -> None:
    (module / "manifests/charts" / CHARTS["istiod"] / "Chart.yaml").unlink()
    with pytest.raises(LabError, match="expected the chart istiod"):
        build(tmp_path / "output", module)


def test_they_are_built_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[str] = []

    def touched(part: Part) -> Part:
        def made(shop: Workshop) -> None:
            built.append(part.name)
            (shop.output / "helm").touch()

        return replace(part, build=made)

    helm, of_istio = chart_parts(VERSIONS)
    monkeypatch.setattr(charts, "chart_parts", lambda _versions: (touched(helm), touched(of_istio)))
    monkeypatch.setattr(docker, "image_ids", lambda _references: {})
    monkeypatch.setattr(Host, "require_for_build", lambda _self, _versions, _names: None)
    first, second = (prepared(VERSIONS, Store(tmp_path / "cache"), Silent(), print) for _ in range(2))
    assert first == second
    assert first.helm.is_file()
    assert first.directory.is_dir()
    assert sorted(built) == ["helm", "istio-charts"]


def test_go_is_checked_before_they_are_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(docker, "image_ids", lambda _references: {})
    with pytest.raises(LabError, match="Install Go"):
        prepared(VERSIONS, Store(tmp_path / "cache"), Silent(), print)
