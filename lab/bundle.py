"""The result of a build: `bundle/bundle.json` in the cache, which tells a suite all it needs to know of the lab.

Format (schema 1; paths are absolute):
    kubernetes_version   version of every Kubernetes binary
    binaries             kind, kubectl, istioctl → path, version (as the binary itself says), sha256, size
    images               short name → ref, version (of what is in it), id (Docker's)
    istio                hub, tag, version
    kind_patch           YAML file to merge into a kind cluster's configuration
    istio_overlay        IstioOperator file to pass to istioctl after the installation's own
    preloaded            references of the images that every node already has
    parts                name, version, size, sha256, key, seconds of each part
    stand_in             true: what is called Teleport here is a stand-in
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lab.command import run
from lab.image_recipes import HUB, has_stand_in, image_parts, network_image, python_image, stand_in_images
from lab.node_recipes import POD_PARTS, node_image, node_parts
from lab.parts import Part, keys
from lab.recipes import IMAGES, plain_parts
from lab.store import Record, Store, file_digest, write_json
from lab.versions import Versions

SCHEMA = 1

_BINARIES = {"kind": "kind", "kubectl": "kubernetes", "istioctl": "istio"}

_VERSION_COMMANDS: dict[str, tuple[list[str], Callable[[str], str]]] = {
    "kind": (["version", "-q"], lambda text: "v" + text.strip().removeprefix("v")),
    "kubectl": (["version", "--client", "-o", "json"], lambda text: json.loads(text)["clientVersion"]["gitVersion"]),
    "istioctl": (
        ["version", "--remote=false", "-o", "json"],
        lambda text: json.loads(text)["clientVersion"]["version"],
    ),
}


def all_parts(versions: Versions, store: Store) -> list[Part]:
    """Every part of the lab; each comes after those it needs."""
    debs = store.directory / "debs"
    return [*plain_parts(versions, debs), *image_parts(versions), *node_parts(versions)]


def bundle_file(store: Store) -> Path:
    """Where the result is described."""
    return store.directory / "bundle" / "bundle.json"


def is_current(parts: Sequence[Part], store: Store) -> bool:
    """Whether the bundle was written from exactly these parts."""
    try:
        document = json.loads(bundle_file(store).read_text(encoding="utf-8"))
        written = {part["name"]: part["key"] for part in document["parts"]}
        return bool(document["schema"] == SCHEMA and written == keys(parts) and _sources_digest() == document["data"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return False


def write(versions: Versions, records: Sequence[Record], store: Store) -> Path:
    """Put the binaries and the data files in place and describe them, last, in `bundle.json`.

    Raises:
        LabError: A binary does not run.
    """
    directory = bundle_file(store).parent
    by_name = {record.name: record for record in records}
    kind_patch = _place_text("kind-patch.yaml", directory, {})
    overlay = _place_text("istio-overlay.yaml", directory, {"@HUB@": HUB, "@TAG@": versions.istio})
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "kubernetes_version": versions.kubernetes,
        "binaries": {
            name: _place_binary(name, store.part_directory(part, by_name[part].key) / name, directory / "bin")
            for name, part in _BINARIES.items()
        },
        "images": _images(versions, by_name),
        "istio": {"hub": HUB, "tag": versions.istio, "version": versions.istio},
        "kind_patch": str(kind_patch),
        "istio_overlay": str(overlay),
        "preloaded": sorted(
            reference for name in (*POD_PARTS, "stand-in-images") if name in by_name for reference in by_name[name].images
        ),
        "parts": [
            {"name": r.name, "version": r.version, "size": r.size, "sha256": r.sha256, "key": r.key} | {"seconds": r.seconds}
            for r in records
        ],
        "stand_in": True,
        "data": _sources_digest(),
    }
    write_json(bundle_file(store), document)
    return bundle_file(store)


def _sources_digest() -> dict[str, str]:
    return {name: file_digest(IMAGES / name) for name in ("kind-patch.yaml", "istio-overlay.yaml")}


def _place_text(name: str, directory: Path, marks: dict[str, str]) -> Path:
    text = (IMAGES / name).read_text(encoding="utf-8")
    for mark, value in marks.items():
        text = text.replace(mark, value)
    directory.mkdir(parents=True, exist_ok=True)
    draft = directory / f"{name}.draft"
    draft.write_text(text, encoding="utf-8")
    return draft.replace(directory / name)


def _place_binary(name: str, source: Path, directory: Path) -> dict[str, object]:
    """Put a binary at a path that stays the same from build to build, also while the old one is running."""
    directory.mkdir(parents=True, exist_ok=True)
    draft = directory / f"{name}.draft"
    draft.unlink(missing_ok=True)
    os.link(source, draft)
    path = draft.replace(directory / name)
    arguments, parse = _VERSION_COMMANDS[name]
    return {
        "path": str(path),
        "version": parse(run([path, *arguments])),
        "sha256": file_digest(path),
        "size": path.stat().st_size,
    }


def _images(versions: Versions, by_name: dict[str, Record]) -> dict[str, dict[str, str]]:
    ids = {ref: id_ for record in by_name.values() for ref, id_ in record.images.items()}
    named = {
        "node": (node_image(versions), versions.kubernetes),
        "python": (python_image(versions), versions.python_image),
        "node-network": (network_image(versions), versions.network_image),
        "pilot": (f"{HUB}/pilot:{versions.istio}", versions.istio),
        "proxyv2": (f"{HUB}/proxyv2:{versions.istio}", versions.istio),
    }
    # Their tags are those that kubeadm asks for; what is in them may be newer.
    contained = {"etcd": versions.etcd, "coredns": versions.coredns, "pause": versions.tools}
    for reference in by_name["kubernetes-images"].images:
        name = reference.rsplit("/", 1)[-1].split(":")[0]
        named[name] = (reference, contained.get(name, versions.kubernetes))
    if has_stand_in():
        named.update({name: (ref, release) for name, (ref, _, release) in stand_in_images(versions).items()})
    return {name: {"ref": ref, "version": version, "id": ids[ref]} for name, (ref, version) in named.items()}


def remove(store: Store) -> int:
    """Remove everything that was built, but neither the daemon's data nor its log.

    Returns:
        Bytes freed, as far as files count.
    """
    freed = 0
    for name in ("bundle", "parts", "records", "tmp", "logs", "debs"):
        directory = store.directory / name
        freed += sum(p.lstat().st_size for p in directory.rglob("*") if p.is_file() and p.lstat().st_nlink == 1)
        shutil.rmtree(directory, ignore_errors=True)
    return freed
