"""Faults of the tools and credentials of the person who runs the suite; the install is sound."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import yaml

from facts.errors import ProvisioningFailed
from observe.command import must_run
from provision.faults import reach
from provision.faults.fault import Fault, Operator, Scene, register

NAMESPACE, VIEWER = "conformance-faults", "viewer"
UNPRIVILEGED = "65534"
"""A user of Teleport's host whom its Auth Service refuses."""
MINORS_BEHIND = 3


@contextmanager
def _old_istioctl(scene: Scene) -> Iterator[Operator]:
    istioctl = scene.installation.sources.istioctl
    with _tools(scene) as tools:
        stamp = _stamp(scene, [istioctl, "version", "--remote=false", "-o", "json"], "version")
        _restamp(istioctl, tools / "istioctl", stamp, _with_minor(stamp, 27))
        yield replace(scene.operator, tools=tools)


@contextmanager
def _old_kubectl(scene: Scene) -> Iterator[Operator]:
    kubectl = scene.installation.sources.kubectl
    with _tools(scene) as tools:
        stamp = _stamp(scene, [kubectl, "version", "--client", "-o", "json"], "gitVersion")
        _restamp(kubectl, tools / "kubectl", stamp, _with_minor(stamp, int(stamp.split(".")[1]) - MINORS_BEHIND))
        yield replace(scene.operator, tools=tools)


@contextmanager
def _tools(scene: Scene) -> Iterator[Path]:
    """Make a directory for the front of the PATH, with the installation's own kubectl and istioctl in it."""
    with tempfile.TemporaryDirectory(dir=scene.installation.directory, prefix="tools-") as directory:
        for program in (scene.installation.sources.kubectl, scene.installation.sources.istioctl):
            (Path(directory) / program.name).symlink_to(program.resolve())
        yield Path(directory)


def _stamp(scene: Scene, argv: Sequence[str | Path], key: str) -> str:
    """Return the version that a program reports."""
    said = must_run(argv, timeout=scene.patience.command).stdout
    return str(json.loads(said)["clientVersion"][key])


def _with_minor(stamp: str, minor: int) -> str:
    major, _minor, rest = stamp.split(".", 2)
    return f"{major}.{minor}.{rest}"


def _restamp(program: Path, other: Path, stamp: str, wanted: str) -> None:
    """Write the same program with another version stamped on it, as a release of that version has.

    The linker puts the stamp into the program as plain text (``-X …buildVersion=…``), so another one of the same length can
    take its place; a build with the other stamp would differ in nothing else.

    Raises:
        ProvisioningFailed: The stamp is not in the program, or has another length.
    """
    text = program.read_bytes()
    if len(stamp) != len(wanted) or stamp.encode() not in text:
        raise ProvisioningFailed(
            expected=f"the version {stamp} in the program, to be replaced with {wanted}",
            seen=f"it is in it {text.count(stamp.encode())} times",
            where=str(program),
            remedy="take a release whose version has as many characters",
        )
    other.unlink(missing_ok=True)
    with os.fdopen(os.open(other, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o700), "wb") as stream:
        stream.write(text.replace(stamp.encode(), wanted.encode()))


@contextmanager
def _viewer(scene: Scene) -> Iterator[Operator]:
    installation = scene.installation
    objects = installation.objects
    binding = "conformance-faults-viewer"
    account = {"name": VIEWER, "namespace": NAMESPACE}
    try:
        objects.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        objects.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account})
        objects.apply(
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "ClusterRoleBinding",
                "metadata": {"name": binding},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
                "subjects": [{"kind": "ServiceAccount", **account}],
            }
        )
        with tempfile.TemporaryDirectory(dir=installation.directory, prefix="viewer-") as directory:
            yield replace(scene.operator, kubeconfig=_kubeconfig(scene, Path(directory)))
    finally:
        objects.delete("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", binding)
        objects.delete("v1", "Namespace", NAMESPACE)


def _kubeconfig(scene: Scene, directory: Path) -> Path:
    """Write the operator's kubeconfig with the viewer's token in place of the operator's identity."""
    installation, operator = scene.installation, scene.operator
    words = ["--context", operator.context, "--namespace", NAMESPACE, "create", "token", VIEWER]
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
def _expired_session(scene: Scene) -> Iterator[Operator]:
    docker, execute, *rest = scene.operator.tctl
    yield replace(scene.operator, tctl=(docker, execute, "--user", UNPRIVILEGED, *rest))


@contextmanager
def _without_events(scene: Scene) -> Iterator[Operator]:
    with tempfile.TemporaryDirectory(dir=scene.installation.directory, prefix="events-") as directory:
        file = Path(directory) / "events.log"
        file.touch(mode=0o600)
        yield replace(scene.operator, audit_events=file)


register(
    Fault(
        name="istioctl-1.27",
        description="An istioctl of version 1.27 is first on the PATH.",
        cause="tool-version-unsupported",
        touches="the operator's PATH",
        undo="The suite takes it off the PATH.",
        breaks=frozenset({"INST-01", "INST-05"}),
        reach=reach.TOOLS,
        inject=_old_istioctl,
    )
)

register(
    Fault(
        name="kubectl-three-minors-behind",
        description="A kubectl three minor versions older than the API server is first on the PATH.",
        cause="tool-version-unsupported",
        touches="the operator's PATH",
        undo="The suite takes it off the PATH.",
        breaks=frozenset({"INST-01"}),
        reach=reach.TOOLS,
        inject=_old_kubectl,
    )
)

register(
    Fault(
        name="account-with-view",
        description="The kubeconfig has a service account with the ClusterRole view.",
        cause="rights-missing",
        touches="the operator's kubeconfig",
        undo="The suite uses the operator's kubeconfig again and deletes the service account.",
        breaks=frozenset({"INST-02"}),
        blinds=frozenset({"CHK-9"}),
        inject=_viewer,
    )
)

register(
    Fault(
        name="expired-teleport-session",
        description="The Auth Service refuses tctl, as it refuses an expired session: tctl runs as an unprivileged user"
        " of Teleport's host.",
        cause="teleport-session-invalid",
        touches="the operator's admin session",
        undo="The suite runs tctl as before.",
        breaks=frozenset({"INST-03"}),
        blinds=frozenset(
            {"INST-09", "INST-10", "INST-11", "INST-12", "INST-16", "CHK-2", "CHK-3", "CHK-4", "ID-04", "ID-11"}
        ),
        inject=_expired_session,
    )
)

register(
    Fault(
        name="audit-events-not-collected",
        description="The file that collects Teleport's audit events stays empty.",
        cause="audit-events-not-collected",
        touches="the operator's source of audit events",
        undo="The suite reads Teleport's own log again.",
        breaks=frozenset({"ID-10"}),
        inject=_without_events,
    )
)
