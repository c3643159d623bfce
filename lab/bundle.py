"""The result of a build: `bundle/bundle.json` in the cache, which tells a suite all it needs to know of the lab.

With another Istio than the default one it is `bundle/istio-EDITION/bundle.json`, which stands beside it and is as complete.

Format (schema 1; paths are absolute):
    kubernetes_version   version of every Kubernetes binary
    binaries             kind, kubectl, istioctl → path, version (as the binary itself says), sha256, size
    images               short name → ref, version (of what is in it), id (Docker's); of Istio's, those of the one below
    istio                hub, tag, version
    kind_patch           YAML file to merge into a kind cluster's configuration
    istio_overlay        IstioOperator file to pass to istioctl after the installation's own
    gateway_api          List of the Gateway API's definitions, to apply before Istio is installed
    faketime             library with which a program in one of the images can be started under another clock
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
from lab.components import components, istio_component
from lab.image_recipes import (
    image_parts,
    istio_image,
    istio_images_part,
    network_image,
    older_proxy_image,
    python_image,
    stand_in_images,
)
from lab.node_recipes import node_image, node_parts, other_node_part, preloaded
from lab.parts import Part, keys
from lab.recipes import (
    FAKETIME,
    GATEWAY_API,
    ISTIO_HUB,
    ISTIO_OVERLAY,
    KIND_PATCH,
    cluster_data_part,
    envoy_parts,
    faketime_part,
    gateway_api_part,
    go_part,
    modules_part,
    node_rootfs_part,
    python_rootfs_part,
    site_packages_part,
    tools_part,
)
from lab.store import Record, Store, file_digest, write_json
from lab.versions import Istio, Versions

SCHEMA = 1

_VERSION_COMMANDS: dict[str, tuple[list[str], Callable[[str], str]]] = {
    "kind": (["version", "-q"], lambda text: "v" + text.strip().removeprefix("v")),
    "kubectl": (["version", "--client", "-o", "json"], lambda text: json.loads(text)["clientVersion"]["gitVersion"]),
    "istioctl": (
        ["version", "--remote=false", "-o", "json"],
        lambda text: json.loads(text)["clientVersion"]["version"],
    ),
}


def all_parts(versions: Versions, istio: Istio, store: Store) -> list[Part]:
    """Every part of the lab with this Istio, in the order in which they are tried; each comes after those it needs.

    What finds out soonest that this machine cannot build the lab comes first. With another Istio than the default one, its
    parts come on top of the whole lab: nothing of that is built differently for it.
    """
    parts = _default_parts(versions, store)
    return parts if istio == versions.istio else [*parts, *_parts_of_another(istio, versions)]


def _default_parts(versions: Versions, store: Store) -> list[Part]:
    debs = store.directory / "debs"
    python, *images = image_parts(versions)
    compiled = components(versions)
    return [
        tools_part(versions),
        # The first of them is compiled at once.
        *(modules_part(component) for component in compiled[1:]),
        python_rootfs_part(versions, debs),
        node_rootfs_part(versions, debs),
        *envoy_parts(versions),
        site_packages_part(versions),
        gateway_api_part(versions.istio),
        faketime_part(versions),
        cluster_data_part(versions.istio),
        python,
        *(go_part(component) for component in compiled),
        *images,
        *node_parts(versions),
    ]


def _parts_of_another(istio: Istio, versions: Versions) -> list[Part]:
    return [
        gateway_api_part(istio),
        cluster_data_part(istio),
        go_part(istio_component(istio)),
        istio_images_part(versions, istio),
        other_node_part(versions, istio),
    ]


def bundle_file(istio: Istio, store: Store) -> Path:
    """Where the result with this Istio is described."""
    directory = store.directory / "bundle"
    return (directory / f"istio-{istio.edition}" if istio.edition else directory) / "bundle.json"


def is_current(parts: Sequence[Part], istio: Istio, store: Store) -> bool:
    """Whether the bundle was written from exactly these parts."""
    try:
        document = json.loads(bundle_file(istio, store).read_text(encoding="utf-8"))
        written = {part["name"]: part["key"] for part in document["parts"]}
        return bool(document["schema"] == SCHEMA and written == keys(parts))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return False


def write(versions: Versions, istio: Istio, records: Sequence[Record], store: Store) -> Path:
    """Put the binaries and the data files in place and describe them, last, in the `bundle.json` of this Istio.

    Raises:
        LabError: A binary does not run.
    """
    directory = bundle_file(istio, store).parent
    by_name = {record.name: record for record in records}

    def place(part: str, name: str, below: str = "") -> Path:
        """Put a file of a part where it stays from build to build, also while the old one is in use."""
        target = directory / below / name
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(f"{name}.draft")
        draft.unlink(missing_ok=True)
        os.link(store.part_directory(part, by_name[part].key) / name, draft)
        draft.replace(target)
        draft.unlink(missing_ok=True)  # two names of one file: to rename the one into the other does nothing
        return target

    binaries = {"kind": "kind", "kubectl": "kubernetes", "istioctl": istio.part("istio")}
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "kubernetes_version": versions.kubernetes,
        "binaries": {name: _describe(name, place(part, name, "bin")) for name, part in binaries.items()},
        "images": _images(versions, istio, by_name),
        "istio": {"hub": ISTIO_HUB, "tag": istio.version, "version": istio.version},
        "kind_patch": str(place(istio.part("cluster-data"), KIND_PATCH)),
        "istio_overlay": str(place(istio.part("cluster-data"), ISTIO_OVERLAY)),
        "gateway_api": str(place(istio.part("gateway-api"), GATEWAY_API)),
        "faketime": str(place("faketime", FAKETIME)),
        "preloaded": preloaded(versions, istio, by_name, store),
        "parts": [
            {"name": r.name, "version": r.version, "size": r.size, "sha256": r.sha256, "key": r.key, "seconds": r.seconds}
            for r in records
        ],
        "stand_in": True,
    }
    file = bundle_file(istio, store)
    write_json(file, document)
    return file


def _describe(name: str, path: Path) -> dict[str, object]:
    arguments, parse = _VERSION_COMMANDS[name]
    return {
        "path": str(path),
        "version": parse(run([path, *arguments])),
        "sha256": file_digest(path),
        "size": path.stat().st_size,
    }


def _images(versions: Versions, istio: Istio, by_name: dict[str, Record]) -> dict[str, dict[str, str]]:
    ids = {ref: id_ for record in by_name.values() for ref, id_ in record.images.items()}
    named = {
        "node": (node_image(versions, istio), versions.kubernetes),
        "python": (python_image(versions), versions.python_image),
        "node-network": (network_image(versions), versions.network_image),
        "pilot": (istio_image("pilot", istio), istio.version),
        "proxyv2": (istio_image("proxyv2", istio), istio.version),
        "proxyv2-older-envoy": (older_proxy_image(versions, istio), istio.version),
    }
    # The tag is the one that kubeadm asks for; what is in the image may be newer.
    contained = {"etcd": versions.etcd, "coredns": versions.coredns, "pause": versions.tools}
    for reference in by_name["kubernetes-images"].images:
        name = reference.rsplit("/", 1)[-1].split(":")[0]
        named[name] = (reference, contained.get(name, versions.kubernetes))
    named.update({name: (ref, release) for name, (ref, _, release) in stand_in_images(versions).items()})
    return {name: {"ref": ref, "version": version, "id": ids[ref]} for name, (ref, version) in named.items()}


def remove(store: Store) -> int:
    """Remove everything that was built, but neither the daemon's data nor its log.

    Returns:
        Bytes freed, as far as files count.
    """
    sizes: dict[int, int] = {}  # by inode: the bundle's binaries are links to those of the parts
    for name in ("bundle", "parts", "records", "tmp", "logs", "debs"):
        directory = store.directory / name
        sizes.update((p.lstat().st_ino, p.lstat().st_size) for p in directory.rglob("*") if p.is_file())
        shutil.rmtree(directory, ignore_errors=True)
    return sum(sizes.values())
