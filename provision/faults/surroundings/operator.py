"""Faults of the tools and credentials of the person who runs the suite; the install is sound."""

from __future__ import annotations

import copy
import json
import os
import secrets
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

import yaml

from facts.errors import ProvisioningFailed
from observe.command import must_run
from provision.faults.changes import applied
from provision.faults.fault import Operator, Scene
from provision.objects import SCRATCH

NAMESPACE, VIEWER = "conformance-faults", "viewer"
UNPRIVILEGED = "65534"
"""User of Teleport's host whom its Auth Service refuses."""
MINORS_BEHIND = 3


def old_istioctl(scene: Scene) -> AbstractContextManager[Operator]:
    """Put an istioctl of version 1.27 first on the PATH."""
    istioctl = scene.installation.sources.istioctl
    stamp = _stamp(scene, [istioctl, "version", "--remote=false", "-o", "json"], "version")
    return _restamped(scene, istioctl, stamp, 27)


def old_kubectl(scene: Scene) -> AbstractContextManager[Operator]:
    """Put a kubectl first on the PATH that is too old for the API server."""
    kubectl = scene.installation.sources.kubectl
    stamp = _stamp(scene, [kubectl, "version", "--client", "-o", "json"], "gitVersion")
    return _restamped(scene, kubectl, stamp, int(stamp.split(".")[1]) - MINORS_BEHIND)


@contextmanager
def _restamped(scene: Scene, program: Path, stamp: str, minor: int) -> Iterator[Operator]:
    """Put the installation's own kubectl and istioctl first on the PATH, one of them with another minor version."""
    sources = scene.installation.sources
    with tempfile.TemporaryDirectory(dir=scene.installation.directory, prefix="tools-") as directory:
        tools = Path(directory)
        for each in (sources.kubectl, sources.istioctl):
            (tools / each.name).symlink_to(each.resolve())
        _restamp(program, tools / program.name, stamp, _with_minor(stamp, minor))
        yield replace(scene.operator, tools=tools)


def _stamp(scene: Scene, argv: Sequence[str | Path], key: str) -> str:
    """Return the version that a program reports."""
    said = must_run(argv, timeout=scene.patience.command).stdout
    return str(json.loads(said)["clientVersion"][key])


def _with_minor(stamp: str, minor: int) -> str:
    major, _minor, rest = stamp.split(".", 2)
    return f"{major}.{minor}.{rest}"


def _restamp(program: Path, other: Path, stamp: str, wanted: str) -> None:
    """Write a copy of a program that reports another version.

    The linker puts the version into the program as plain text (``-X …buildVersion=…``), so a version of the same length can
    take its place; a build with that version would differ in nothing else.

    Raises:
        ProvisioningFailed: The stamp is not in the program, or has another length.
    """
    text = program.read_bytes()
    if len(stamp) != len(wanted) or stamp.encode() not in text:
        raise ProvisioningFailed(
            expected=f"the version {stamp} in the program, to be replaced with {wanted}",
            seen=f"the program contains it {text.count(stamp.encode())} times",
            where=str(program),
            remedy="use a release whose version has as many characters",
        )
    other.unlink(missing_ok=True)
    with os.fdopen(os.open(other, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o700), "wb") as stream:
        stream.write(text.replace(stamp.encode(), wanted.encode()))


@contextmanager
def viewer(scene: Scene) -> Iterator[Operator]:
    """Use a service account with the ClusterRole view as the operator's identity."""
    with tempfile.TemporaryDirectory(dir=scene.installation.directory, prefix="viewer-") as directory:
        yield replace(scene.operator, kubeconfig=kubeconfig_of(scene, Path(directory), NAMESPACE, VIEWER))


def kubeconfig_of(scene: Scene, directory: Path, namespace: str, account: str, duration: str = "1h") -> Path:
    """Write the operator's kubeconfig with the token of a service account in place of the operator's identity.

    Args:
        directory: Private directory for the file.
        namespace: Namespace of the service account.
        account: Its name.
        duration: How long the token is valid, as kubectl writes it.
    """
    installation, operator = scene.installation, scene.operator
    words = ["--context", operator.context, "--namespace", namespace, "create", "token", account, "--duration", duration]
    token = must_run(
        [installation.sources.kubectl, "--kubeconfig", operator.kubeconfig, *words], timeout=scene.patience.command
    ).stdout.strip()
    config = yaml.safe_load(operator.kubeconfig.read_text(encoding="utf-8"))
    for user in config["users"]:
        user["user"] = {"token": token}
    file = directory / "kubeconfig"
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
        yaml.safe_dump(config, stream)
    return file


@contextmanager
def expired_session(scene: Scene) -> Iterator[Operator]:
    """Run tctl as a user whom the Auth Service refuses."""
    docker, execute, *rest = scene.operator.tctl
    yield replace(scene.operator, tctl=(docker, execute, "--user", UNPRIVILEGED, *rest))


@contextmanager
def without_events(scene: Scene) -> Iterator[Operator]:
    """Read audit events from a file that stays empty."""
    with tempfile.TemporaryDirectory(dir=scene.installation.directory, prefix="events-") as directory:
        file = Path(directory) / "events.log"
        file.touch(mode=0o600)
        yield replace(scene.operator, audit_events=file)


@contextmanager
def left_by_an_earlier_run(scene: Scene) -> Iterator[Operator]:
    """Make an object as a run of the suite would, and let the next run have the same id; on exit delete the object."""
    run = f"faults-{secrets.token_hex(3)}"
    left = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": f"{SCRATCH}{run}"},
        "rules": [],
    }
    objects = copy.copy(scene.installation.objects)
    objects.run_id = run
    with applied(replace(scene, installation=replace(scene.installation, objects=objects)), left):
        yield replace(scene.operator, run_id=run)
