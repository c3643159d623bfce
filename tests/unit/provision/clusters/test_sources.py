"""Images and binaries come from one of three places, and what is missing is said with the next step."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import settings
from facts.errors import BadInput, ProvisioningFailed
from provision.clusters import sources
from provision.clusters.sources import resolve, wants_bundle


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with kind, kubectl and istioctl."""
    directory = tmp_path / "tools"
    directory.mkdir()
    for name in ("kind", "kubectl", "istioctl"):
        (directory / name).write_text("#!/bin/sh\n")
        (directory / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(directory))
    return directory


@pytest.fixture
def bundle(tmp_path: Path) -> dict[str, Any]:
    """A bundle of the lab, with every file that it names."""
    directory = tmp_path / "cache" / "bundle"
    directory.mkdir(parents=True)
    for name in ("kind", "kubectl", "istioctl", "kind-patch.yaml", "istio-overlay.yaml"):
        (directory / name).touch()
    images = ("node", "teleport", "tbot", "tbot-floating", "tbot-affected", "python")
    return {
        "schema": 1,
        "binaries": {name: {"path": name} for name in ("kind", "kubectl", "istioctl")},
        "images": {name: {"ref": f"localhost/{name}:1"} for name in images},
        "istio": {"hub": "localhost/istio", "tag": "1.31.0-lab"},
        "kind_patch": "kind-patch.yaml",
        "istio_overlay": str(directory / "istio-overlay.yaml"),
        "stand_in": True,
    }


def given(tmp_path: Path, **more: Any) -> settings.Settings:
    return settings.load(cache=tmp_path / "cache", **more)


def write(tmp_path: Path, bundle: dict[str, Any]) -> None:
    (tmp_path / "cache" / "bundle" / "bundle.json").write_text(json.dumps(bundle))


def test_the_bundle_resolves_everything(tmp_path: Path, bundle: dict[str, Any]) -> None:
    write(tmp_path, bundle)
    found = resolve(given(tmp_path, source="bundle"))
    assert found.origin == "bundle"
    assert found.stand_in
    assert found.kind == tmp_path / "cache" / "bundle" / "kind"
    assert (found.node_image, found.workload_image) == ("localhost/node:1", "localhost/python:1")
    assert (found.istio_hub, found.istio_tag) == ("localhost/istio", "1.31.0-lab")
    assert found.tbot_image != found.tbot_affected_image


def test_the_older_proxy_is_there_only_if_the_bundle_has_it(tmp_path: Path, bundle: dict[str, Any], tools: Path) -> None:
    assert resolve(given(tmp_path, source="upstream")).older_proxy_image is None
    write(tmp_path, bundle)
    assert resolve(given(tmp_path, source="bundle")).older_proxy_image is None
    bundle["images"]["proxyv2-older-envoy"] = {"ref": "localhost/istio/proxyv2:1.31.0-lab-envoy-1.36"}
    write(tmp_path, bundle)
    found = resolve(given(tmp_path, source="bundle"))
    assert found.older_proxy_image == "localhost/istio/proxyv2:1.31.0-lab-envoy-1.36"


@pytest.mark.parametrize(("part", "name"), [("gateway_api", "gateway-api.json"), ("faketime", "libfaketime.so.1")])
def test_what_the_lab_alone_has_is_there_only_if_the_bundle_has_it(
    tmp_path: Path, bundle: dict[str, Any], tools: Path, part: str, name: str
) -> None:
    """Definitions of the Gateway API, and the library that gives a process another clock."""
    assert getattr(resolve(given(tmp_path, source="upstream")), part) is None
    bundle[part] = name
    write(tmp_path, bundle)
    with pytest.raises(ProvisioningFailed, match=re.escape(name)):
        resolve(given(tmp_path, source="bundle"))
    file = tmp_path / "cache" / "bundle" / name
    file.touch()
    assert getattr(resolve(given(tmp_path, source="bundle")), part) == file


def test_auto_takes_the_bundle_only_where_no_registry_answers(
    tmp_path: Path, bundle: dict[str, Any], tools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, bundle)
    asked: list[str] = []

    def answers(host: str) -> bool:
        asked.append(host)
        return True

    monkeypatch.setattr(sources, "registry_answers", lambda _host: False)
    assert resolve(given(tmp_path, source="auto")).origin == "bundle"
    monkeypatch.setattr(sources, "registry_answers", answers)
    assert resolve(given(tmp_path, source="auto")).origin == "upstream"
    assert asked == ["docker.io"]


@pytest.mark.parametrize(
    ("source", "answers", "wanted"),
    [("auto", False, True), ("auto", True, False), ("bundle", True, True), ("upstream", False, False)],
)
def test_the_lab_is_wanted_where_it_is_asked_for_or_no_registry_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, *, answers: bool, wanted: bool
) -> None:
    monkeypatch.setattr(sources, "registry_answers", lambda _host: answers)
    assert wants_bundle(given(tmp_path, source=source)) is wanted


def test_auto_asks_no_registry_where_there_is_no_bundle(
    tmp_path: Path, tools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answers(host: str) -> bool:
        raise AssertionError(host)

    monkeypatch.setattr(sources, "registry_answers", answers)
    assert resolve(given(tmp_path, source="auto")).origin == "upstream"


def test_upstream_leaves_istios_images_to_istioctl(tmp_path: Path, tools: Path) -> None:
    found = resolve(given(tmp_path, source="upstream"))
    assert (found.istio_hub, found.istio_tag) == ("", "")
    assert found.istioctl == tools / "istioctl"
    assert not found.stand_in


def test_the_guides_tag_names_a_major_version_and_ours_a_release(tmp_path: Path, tools: Path) -> None:
    found = resolve(given(tmp_path, source="upstream"))
    name, _, release = found.tbot_image.rpartition(":")
    assert release.count(".") == 2
    assert found.tbot_floating_image == f"{name}:{release.partition('.')[0]}"


def test_a_mirror_takes_the_place_of_the_registrys_host(tmp_path: Path, tools: Path) -> None:
    found = resolve(given(tmp_path, source="mirror", registry="mirror.example:5000/all/"))
    assert found.node_image.startswith("mirror.example:5000/all/kindest/node:")
    assert found.tbot_image.startswith("mirror.example:5000/all/gravitational/tbot-distroless:")
    assert found.istio_hub == "mirror.example:5000/all/istio"


def test_a_node_image_of_the_public_registry_is_pinned_and_a_mirrors_copy_is_not(tmp_path: Path, tools: Path) -> None:
    pinned = resolve(given(tmp_path, source="upstream")).node_image
    assert re.fullmatch(r"docker\.io/kindest/node:v[\d.]+@sha256:[0-9a-f]{64}", pinned)
    copied = resolve(given(tmp_path, source="mirror", registry="mirror.example")).node_image
    assert copied == pinned.replace("docker.io", "mirror.example").partition("@")[0]


@pytest.mark.parametrize("source", ["upstream", "bundle"])
def test_an_image_of_ones_own_for_the_pods_of_the_suite_wins(
    tmp_path: Path, tools: Path, bundle: dict[str, Any], source: str
) -> None:
    write(tmp_path, bundle)
    image = f"registry.example/python@sha256:{'0' * 64}"
    assert resolve(given(tmp_path, source=source, workload_image=image)).workload_image == image
    assert resolve(given(tmp_path, source=source)).workload_image != image


def test_a_mirror_needs_its_address(tmp_path: Path, tools: Path) -> None:
    with pytest.raises(BadInput, match="--registry HOST/PREFIX"):
        resolve(given(tmp_path, source="mirror"))


def test_a_missing_binary_is_named(tmp_path: Path, tools: Path) -> None:
    (tools / "istioctl").unlink()
    with pytest.raises(ProvisioningFailed, match=r"istioctl.*make lab"):
        resolve(given(tmp_path, source="upstream"))


def test_a_missing_bundle_says_how_to_build_it(tmp_path: Path) -> None:
    with pytest.raises(ProvisioningFailed, match="build it: make lab"):
        resolve(given(tmp_path, source="bundle"))
    with pytest.raises(ProvisioningFailed, match="build it: CONFORMANCE_ISTIO=older make lab"):
        resolve(given(tmp_path, istio="older"))


@pytest.mark.parametrize("source", ["auto", "bundle"])
def test_the_older_istio_comes_from_a_bundle_of_its_own_whatever_registry_answers(
    tmp_path: Path, bundle: dict[str, Any], source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "registry_answers", lambda _host: True)
    write(tmp_path, bundle)
    directory = tmp_path / "cache" / "bundle" / "istio-older"
    directory.mkdir()
    for name in ("kind", "kubectl", "istioctl", "kind-patch.yaml"):
        (directory / name).touch()
    bundle["istio"]["tag"] = "1.30.0-lab"
    (directory / "bundle.json").write_text(json.dumps(bundle))
    older = given(tmp_path, istio="older", source=source)
    found = resolve(older)
    assert (found.origin, found.istio_tag, found.istioctl) == ("bundle", "1.30.0-lab", directory / "istioctl")
    assert wants_bundle(older)
    assert resolve(given(tmp_path, source="bundle")).istio_tag == "1.31.0-lab"


@pytest.mark.parametrize("source", ["upstream", "mirror"])
def test_the_older_istio_is_the_labs_alone(tmp_path: Path, tools: Path, source: str) -> None:
    with pytest.raises(BadInput, match=f"only the lab has; saw source = {source}.*leave out --istio"):
        resolve(given(tmp_path, istio="older", source=source, registry="mirror.example/all"))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda b: b.update(schema=2), "schema 2"),
        (lambda b: b["images"].pop("tbot"), "tbot"),
        (lambda b: b.pop("istio"), "istio"),
        (lambda b: b.update(kind_patch="gone.yaml"), r"gone\.yaml"),
    ],
)
def test_a_damaged_bundle_says_what_it_lacks(tmp_path: Path, bundle: dict[str, Any], damage: Any, said: str) -> None:
    damage(bundle)
    write(tmp_path, bundle)
    with pytest.raises(ProvisioningFailed, match=rf"{said}.*make lab"):
        resolve(given(tmp_path, source="bundle"))


def test_an_unreadable_bundle_is_no_traceback(tmp_path: Path, bundle: dict[str, Any]) -> None:
    (tmp_path / "cache" / "bundle" / "bundle.json").write_text("{")
    with pytest.raises(ProvisioningFailed, match=r"bundle\.json"):
        resolve(given(tmp_path, source="bundle"))
