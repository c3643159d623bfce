"""`bundle.json` describes what was built, in the form that a suite reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from lab import bundle
from lab.image_recipes import KUBEADM_NAMES, older_proxy_image, stand_in_images
from lab.parts import keys
from lab.recipes import ISTIO_HUB
from lab.store import Record, Store
from lab.versions import Versions, load

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
    preloaded={"type": "array", "items": _TEXT, "uniqueItems": True},
    parts={"type": "array", "items": _PART},
    stand_in={"const": True},
)


def _images_of(name: str, versions: Versions) -> list[str]:
    return {
        "python-image": [f"localhost/conformance/python:{versions.python_image}"],
        "network-image": [f"localhost/conformance/node-network:{versions.network_image}"],
        "kubernetes-images": [f"localhost/conformance/{image}:v1" for image in _KUBERNETES],
        "istio-images": [
            *(f"{ISTIO_HUB}/{image}:{versions.istio}" for image in ("pilot", "proxyv2")),
            older_proxy_image(versions),
        ],
        "stand-in-base": ["localhost/stand-in/base:1"],
        "stand-in-images": [ref for ref, _, _ in stand_in_images(versions).values()],
        "node-image": [f"localhost/conformance/node:{versions.kubernetes}"],
    }.get(name, [])


_SCRIPTS = {
    "kind": "echo 0.33.0",
    "kubectl": """echo '{"clientVersion": {"gitVersion": "v1.34.4"}}'""",
    "istioctl": """echo '{"clientVersion": {"version": "1.31.0-lab"}}'""",
}


def _finish_all(store: Store, versions: Versions) -> list[Record]:
    """Put a finished build of every part into the store, as far as the bundle looks into it."""
    parts = bundle.all_parts(versions, store)
    found = keys(parts)
    records = []
    for part in parts:
        images = dict.fromkeys(_images_of(part.name, versions), "sha256:1")
        record = Record(part.name, part.version, found[part.name], 1, "0" * 64, 0.5, images)
        with store.drafting(part.name) as draft:
            for name in ("kind", "kubectl", "istioctl"):
                (draft / name).write_text(f"#!/bin/sh\n{_SCRIPTS[name]}\n")
                (draft / name).chmod(0o755)
            names = {f"localhost/conformance/{image}:v1": _ASKED.format(image) for image in _KUBERNETES}
            (draft / KUBEADM_NAMES).write_text(json.dumps(names))
            for name in ("kind-patch.yaml", "istio-overlay.yaml", "gateway-api.json"):
                (draft / name).write_text("{}")
            store.commit(draft, record)
        records.append(record)
    return records


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def _written(store: Store) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(bundle.write(load(), _finish_all(store, load()), store).read_text())
    return document


def test_the_bundle_has_the_documented_form(store: Store) -> None:
    jsonschema.validate(_written(store), _SCHEMA)


def test_binaries_say_their_own_version_and_lie_at_paths_that_stay(store: Store) -> None:
    document = _written(store)
    assert {name: item["version"] for name, item in document["binaries"].items()} == {
        "kind": "v0.33.0",
        "kubectl": "v1.34.4",
        "istioctl": "1.31.0-lab",
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


def test_the_bundle_is_current_until_a_part_changes(store: Store) -> None:
    parts = bundle.all_parts(load(), store)
    assert not bundle.is_current(parts, store)
    _written(store)
    assert bundle.is_current(parts, store)
    bundle.bundle_file(store).write_text(bundle.bundle_file(store).read_text().replace(keys(parts)["kind"], "0" * 64))
    assert not bundle.is_current(parts, store)


def test_every_part_comes_after_those_it_needs(store: Store) -> None:
    seen: set[str] = set()
    for part in bundle.all_parts(load(), store):
        assert seen.issuperset(part.needs), part.name
        assert part.name not in seen
        seen.add(part.name)


def test_remove_leaves_the_daemon_alone_and_says_what_it_freed(store: Store) -> None:
    _written(store)
    (store.directory / "docker").mkdir()
    (store.directory / "docker" / "data").write_text("kept")
    assert bundle.remove(store) > 0
    assert sorted(path.name for path in store.directory.iterdir()) == ["docker"]
