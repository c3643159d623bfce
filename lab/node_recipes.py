"""How the kind node image is made: Debian with systemd and containerd, Kubernetes, and every image preloaded."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.errors import LabError
from lab.image_recipes import KUBEADM_NAMES, assemble, import_rootfs, network_image, stand_in_images
from lab.parts import Part, Workshop
from lab.recipes import IMAGES
from lab.store import Record, Store
from lab.versions import Istio, Versions

# kind keeps /var of a node in a volume, which Docker fills from the image for each node. The preloaded images are only
# read, so their content stays outside, and a node starts without copying it.
_DOCKERFILE = """\
FROM {system}
COPY files /
RUN systemctl enable containerd kubelet \\
 && systemctl mask getty.target console-getty.service systemd-logind.service systemd-networkd.service \\
    systemd-udevd.service apt-daily.timer apt-daily-upgrade.timer systemd-journald-audit.socket dev-hugepages.mount \\
    sys-kernel-debug.mount sys-kernel-tracing.mount sys-fs-fuse-connections.mount systemd-remount-fs.service \\
 && systemctl set-default multi-user.target \\
 && mkdir -p /kind/image-content /var/lib/containerd \\
 && ln -s /kind/image-content /var/lib/containerd/io.containerd.content.v1.content
ENV container=docker
STOPSIGNAL SIGRTMIN+3
ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]
"""

_ENTRYPOINT = 'ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]'

_AWAIT_CONTAINERD = "for _ in $(seq 100); do ctr version >/dev/null && exit 0; sleep 0.1; done; exit 1"

# The archive goes straight from one daemon to the other. Nothing is unpacked: that would double the size of the image,
# and the node unpacks what it uses.
_IMPORT = """\
set -euo pipefail
container=$1; shift
docker save "$@" | docker exec -i "$container" ctr -n k8s.io images import --no-unpack -
"""

_BASIC_PARTS = ("python-image", "network-image", "kubernetes-images", "stand-in-base")

_POD_PARTS = (*_BASIC_PARTS, "istio-images")


def node_image(versions: Versions, istio: Istio) -> str:
    """Reference of the finished node image for clusters with this Istio."""
    edition = f"-istio-{istio.edition}" if istio.edition else ""
    return f"localhost/conformance/node:{versions.kubernetes}{edition}"


def node_parts(versions: Versions) -> list[Part]:
    """The node image in three steps.

    The first is made while Istio is compiled. A change of the stand-in alone repeats only the last, which is quick.
    """
    return [_plain_part(versions), _mesh_part(versions), _full_part(versions)]


def _plain_node(versions: Versions) -> str:
    return f"localhost/conformance/node-plain:{versions.kubernetes}"


def _mesh_node(versions: Versions) -> str:
    return f"localhost/conformance/node-mesh:{versions.kubernetes}"


def _plain_part(versions: Versions) -> Part:
    reference = _plain_node(versions)
    system = f"localhost/conformance/node-system:{versions.debian}"
    bare = f"localhost/conformance/node-bare:{versions.kubernetes}"
    names = ("node-entrypoint.sh", "containerd.toml", "kubelet.service", "default-cni.yaml", "default-storage.yaml")
    files = tuple(IMAGES / name for name in names)

    def build(shop: Workshop) -> None:
        import_rootfs(shop, shop.needs["node-rootfs"] / "rootfs.tar", system)
        names: dict[str, str] = json.loads((shop.needs["kubernetes-images"] / KUBEADM_NAMES).read_text())
        images = [ref for name in _BASIC_PARTS for ref in shop.needed_images[name]]

        def fill(context: Path) -> None:
            _fill(context / "files", versions, shop.needs["kubernetes"], names)

        assemble(shop, bare, _DOCKERFILE.format(system=system), fill)
        _preload(shop, bare, images, reference, names)

    return Part(
        name="plain-node-image",
        version=versions.kubernetes,
        lane="image",
        build=build,
        inputs=[reference, _DOCKERFILE, _ENTRYPOINT, _IMPORT],
        sources=files,
        needs=("node-rootfs", "kubernetes", *_BASIC_PARTS),
    )


def _mesh_part(versions: Versions) -> Part:
    reference = _mesh_node(versions)

    def build(shop: Workshop) -> None:
        _preload(shop, _plain_node(versions), shop.needed_images["istio-images"], reference, {})

    return Part(
        name="mesh-node-image",
        version=versions.kubernetes,
        lane="image",
        build=build,
        inputs=[reference, _ENTRYPOINT, _IMPORT],
        needs=("plain-node-image", "istio-images"),
    )


def _full_part(versions: Versions) -> Part:
    reference = node_image(versions, versions.istio)

    def build(shop: Workshop) -> None:
        images = [ref for ref, _, _ in stand_in_images(versions).values()]
        _preload(shop, _mesh_node(versions), images, reference, {})

    return Part(
        name="node-image",
        version=versions.kubernetes,
        lane="image",
        build=build,
        inputs=[reference, _ENTRYPOINT, _IMPORT],
        needs=("mesh-node-image", "stand-in-images"),
    )


def other_node_part(versions: Versions, istio: Istio) -> Part:
    """The node image once more, with the images of an Istio that is not the default one beside the others."""
    images, reference, base = istio.part("istio-images"), node_image(versions, istio), node_image(versions, versions.istio)

    def build(shop: Workshop) -> None:
        _preload(shop, base, shop.needed_images[images], reference, {})

    return Part(
        name=istio.part("node-image"),
        version=versions.kubernetes,
        lane="image",
        build=build,
        inputs=[reference, _ENTRYPOINT, _IMPORT],
        needs=("node-image", images),
    )


def preloaded(versions: Versions, istio: Istio, records: Mapping[str, Record], store: Store) -> list[str]:
    """References of the images that a node has, as its containerd knows them; from the records of all parts."""
    kubernetes = store.part_directory("kubernetes-images", records["kubernetes-images"].key)
    names: dict[str, str] = json.loads((kubernetes / KUBEADM_NAMES).read_text())
    references = [ref for name in {*_POD_PARTS, istio.part("istio-images")} for ref in records[name].images]
    references += [ref for ref, _, _ in stand_in_images(versions).values()]
    return sorted(names.get(ref, ref) for ref in references)


def _fill(root: Path, versions: Versions, kubernetes: Path, names: Mapping[str, str]) -> None:
    """Lay out the files that the node image has beyond Debian's."""
    pause = next((asked for ref, asked in names.items() if ref.rsplit("/", 1)[-1].startswith("pause:")), None)
    if pause is None:
        raise LabError(f"expected kubeadm to name a pause image, it names {sorted(names.values())}")
    binaries = root / "usr" / "bin"
    binaries.mkdir(parents=True)
    for name in ("kubeadm", "kubelet", "kubectl"):
        os.link(kubernetes / name, binaries / name)
    marks = {"@PAUSE_IMAGE@": pause, "@NETWORK_IMAGE@": network_image(versions)}
    texts = {
        "etc/containerd/config.toml": "containerd.toml",
        "etc/systemd/system/kubelet.service": "kubelet.service",
        "kind/manifests/default-cni.yaml": "default-cni.yaml",
        "kind/manifests/default-storage.yaml": "default-storage.yaml",
        "usr/local/bin/entrypoint": "node-entrypoint.sh",
    }
    for target, source in texts.items():
        text = (IMAGES / source).read_text(encoding="utf-8")
        for mark, value in marks.items():
            text = text.replace(mark, value)
        (root / target).parent.mkdir(parents=True, exist_ok=True)
        (root / target).write_text(text, encoding="utf-8")
    (root / "usr/local/bin/entrypoint").chmod(0o755)
    (root / "kind" / "version").write_text(versions.kubernetes, encoding="utf-8")


def _preload(shop: Workshop, base: str, images: Sequence[str], reference: str, names: Mapping[str, str]) -> None:
    """Make `reference` from a node image: the same with these images in its containerd, those in `names` renamed."""
    container = f"conformance-preload-{uuid.uuid4().hex[:8]}"
    run = ["docker", "run", "--detach", "--privileged", "--network", "none", "--name", container]
    shop.run([*run, "--entrypoint", "containerd", base])
    try:
        inside = ["docker", "exec", container]
        shop.run([*inside, "sh", "-c", _AWAIT_CONTAINERD])
        shop.run(["bash", "-c", _IMPORT, "import", container, *images])
        for own, asked in names.items():
            shop.run([*inside, "ctr", "-n", "k8s.io", "images", "tag", own, asked])
        if names:
            shop.run([*inside, "ctr", "-n", "k8s.io", "images", "rm", *names])
        shop.run(["docker", "kill", "--signal", "TERM", container])
        shop.run(["docker", "wait", container])
        shop.run(["docker", "commit", "--change", _ENTRYPOINT, container, reference])
    finally:
        shop.run(["docker", "rm", "--force", container])
    shop.image(reference)
