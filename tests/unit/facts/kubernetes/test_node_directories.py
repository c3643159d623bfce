"""Directories of a node that a container sees through its mounts."""

from __future__ import annotations

import pytest

from facts.kubernetes.node_directories import is_below, mounts_that_reach, real_path
from facts.kubernetes.objects import parse_pod


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
