"""Directories of a node that a container sees through its mounts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from facts.kubernetes.node_directories import is_below, mounts_that_reach, real_path
from facts.kubernetes.objects import parse_pod
from facts.kubernetes.pod_spec import SOCKET_MOUNT, SOCKET_VOLUME, Volume, VolumeMount
from tests.unit.judge import builders as make


@pytest.mark.parametrize(
    ("path", "real"),
    [
        ("/run/a", "/run/a"),
        ("//run//a/", "/run/a"),
        ("/var/run", "/run"),
        ("/var/run/a", "/run/a"),
        ("/var/runner", "/var/runner"),
        ("/", "/"),
        ("run/./a", "/run/a"),
    ],
)
def test_paths_that_are_one_directory(path: str, real: str) -> None:
    assert real_path(path) == real


@pytest.mark.parametrize(
    ("path", "directory", "below"),
    [("/a", "/a", True), ("/a/b", "/a", True), ("/ab", "/a", False), ("/a", "/", True), ("/", "/a", False)],
)
def test_a_directory_below_another(path: str, directory: str, below: bool) -> None:
    assert is_below(path, directory) is below


def test_mounts_of_every_container_in_the_order_of_the_specification() -> None:
    """As the API server has them: the second entry of a pod's specification decides, and other volumes show nothing."""
    spec = {
        "securityContext": {"runAsUser": 5, "runAsNonRoot": True},
        "initContainers": [{"name": "init", "image": "i", "volumeMounts": [{"name": "run", "mountPath": "/a"}]}],
        "containers": [
            {
                "name": "app",
                "image": "i",
                "securityContext": {
                    "privileged": True,
                    "runAsUser": 0,
                    "runAsNonRoot": False,
                    "capabilities": {"add": ["SYS_ADMIN"]},
                },
                "volumeMounts": [
                    {"name": "root", "mountPath": "/b", "readOnly": True, "recursiveReadOnly": "Enabled"},
                    {"name": "data", "mountPath": "/c"},
                    {"name": "missing", "mountPath": "/d"},
                ],
            }
        ],
        "ephemeralContainers": [{"name": "debug", "image": "i", "volumeMounts": [{"name": "root", "mountPath": "/e"}]}],
        "volumes": [
            {"name": "run", "hostPath": {"path": "/var/run"}},
            {"name": "root", "hostPath": {"path": "/"}},
            {"name": "data", "persistentVolumeClaim": {"claimName": "data"}},
        ],
    }
    pod = parse_pod({"metadata": {"name": "p", "namespace": "n"}, "spec": spec})
    found = mounts_that_reach(pod.spec, "/run/spire/sockets")
    assert [(m.container.name, m.mount.path, m.shows, m.writable) for m in found] == [
        ("init", "/a", "/var/run of the node", True),
        ("app", "/b", "/ of the node", False),
        ("debug", "/e", "/ of the node", True),
    ]
    init, app, debug = (m.container for m in found)
    assert (pod.spec.user_of(init), pod.spec.user_of(app), pod.spec.user_of(debug)) == (5, 0, 5)
    assert [pod.spec.may_be_root(c) for c in (init, app, debug)] == [False, True, False]
    assert [pod.spec.is_root_of_its_node(c) for c in (init, app, debug)] == [False, True, False]


def seen(volume: Volume, mount: VolumeMount, directory: str = "/run/spire/sockets") -> list[tuple[str, bool, bool]]:
    app = make.container("app", mounts=(mount,))
    found = mounts_that_reach(make.pod_spec(app, volumes=(volume,)), directory)
    return [(each.shows, each.writable, each.below_read_only) for each in found]


def of_node(path: str, **changes: Any) -> list[tuple[str, bool, bool]]:
    directory = changes.pop("directory", "/run/spire/sockets")
    return seen(Volume("v", "hostPath", path=path), VolumeMount("v", "/host", **changes), directory)


@pytest.mark.parametrize("path", ["/run/spire/sockets", "/var/run/spire", "/run/", "/"])
def test_a_writable_mount_of_the_directory_or_of_a_parent(path: str) -> None:
    assert of_node(path) == [(f"{path} of the node", True, False)]


@pytest.mark.parametrize("path", ["/run/spire/sockets/socket", "/run/spire/sock", "/run/other", "/var", "/srv"])
def test_a_mount_of_another_directory(path: str) -> None:
    assert of_node(path) == []


@pytest.mark.parametrize(
    ("path", "directory", "recursive", "below"),
    [
        ("/", "/run/spire/sockets", "", True),
        ("/", "/var/run/spire/sockets", "Disabled", True),
        ("/", "/run", "IfPossible", True),
        ("/", "/run/spire/sockets", "Enabled", False),
        ("/run", "/run/spire/sockets", "", False),
        ("/run/spire", "/run/spire/sockets", "", False),
        ("/", "/srv/sockets", "", False),
        ("/", "/runtime", "", False),
    ],
)
def test_a_read_only_mount_and_the_file_system_below_it(path: str, directory: str, recursive: str, below: bool) -> None:
    found = of_node(path, directory=directory, read_only=True, recursive_read_only=recursive)
    assert found == [(f"{path} of the node", below, below)]
    assert of_node(path, directory=directory, recursive_read_only=recursive) == [(f"{path} of the node", True, False)]


@pytest.mark.parametrize(
    ("part", "reaches"),
    [
        ("spire", True),
        ("spire/sockets", True),
        ("/spire", True),
        ("spire/sockets/socket", False),
        ("other", False),
        ("$(NAME)", True),
        ("spire/$(NAME)", True),
        ("spire/a-$(NAME)", True),
        ("other/$(NAME)", False),
        ("a$(NAME)/spire", True),
    ],
)
def test_a_part_of_a_volume(part: str, reaches: bool) -> None:
    """A variable may stand for anything below what comes before it."""
    assert of_node("/run", sub_path=part) == [(f"/run/{part.lstrip('/')} of the node", True, False)] * reaches


def test_volumes_that_are_not_of_the_node_show_nothing_of_it() -> None:
    for volume in (Volume("v", "emptyDir"), Volume("v", "csi", driver="csi.example"), Volume("v", "nfs", path="/run")):
        assert seen(volume, VolumeMount("v", "/host")) == []


@pytest.mark.parametrize(("of_volume", "of_mount"), [(True, True), (True, False), (False, True), (False, False)])
def test_a_socket_of_a_csi_driver_in_every_container_that_mounts_it(of_volume: bool, of_mount: bool) -> None:
    mount = VolumeMount(SOCKET_VOLUME, SOCKET_MOUNT, read_only=of_mount)
    proxy = make.istio_proxy(mounts=(mount,))
    app = make.container("app", mounts=(replace(mount, path="/other"),))
    socket = Volume(SOCKET_VOLUME, "csi", driver="csi.example", read_only=of_volume)
    found = mounts_that_reach(make.pod_spec(proxy, app, volumes=(socket,)), "/run/spire/sockets")
    writable = not (of_volume or of_mount)
    assert [(m.container.name, m.shows, m.writable, m.below_read_only) for m in found] == [
        (name, "the socket of the CSI driver csi.example", writable, False) for name in ("istio-proxy", "app")
    ]
