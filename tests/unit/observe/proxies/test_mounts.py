"""The mount table of each proxy's container, by exec of one fixed command."""

from __future__ import annotations

import json

import pytest

from facts.errors import NotGiven
from facts.kubernetes.objects import Pod
from facts.proxies.mounts import SocketMount
from facts.recorder import KeptInMemory
from observe.kubernetes.cluster import Cluster
from observe.kubernetes.streams import ERROR, STDERR, STDOUT
from observe.proxies.mounts import MOUNT, as_mounts
from observe.proxies.survey import survey
from tests.unit.judge import builders as make
from tests.unit.observe.api_server import ApiServer, Canned


def mounts(cluster: Cluster, *pods: Pod) -> tuple[SocketMount, ...]:
    found = as_mounts(survey(cluster, pods, [MOUNT]).of(MOUNT))
    return tuple(each for each in found if isinstance(each, SocketMount))


TABLE = b"651 635 0:24 /spire/sockets /run/secrets/workload-spiffe-uds ro,nosuid - tmpfs tmpfs rw\n"
SUCCESS = (ERROR, json.dumps({"status": "Success"}).encode())
POD: Pod = make.pod()


def test_the_mount_in_effect(cluster: Cluster, server: ApiServer, recorder: KeptInMemory) -> None:
    server.frames = [(STDOUT, TABLE), SUCCESS]
    (found,) = mounts(cluster, POD)
    assert found.mount is not None
    assert found.mount.read_only
    assert found.pod.name == POD.name
    kept = recorder.evidence[found.evidence[0]]
    assert kept.question == "kubectl exec -n test-app app -c istio-proxy -- cat /proc/self/mountinfo"
    assert kept.parser == "facts.proxies.mounts.parse_mountinfo"


def test_an_image_without_cat_says_so(cluster: Cluster, server: ApiServer) -> None:
    refusal = {"status": "Failure", "message": 'exec: "cat": executable file not found in $PATH'}
    server.frames = [(ERROR, json.dumps(refusal).encode())]
    (found,) = mounts(cluster, POD)
    assert found.mount is None
    assert "executable file not found" in found.why


def test_a_table_that_could_not_be_printed_or_has_no_such_mount(cluster: Cluster, server: ApiServer) -> None:
    ended = {"status": "Failure", "details": {"causes": [{"reason": "ExitCode", "message": "1"}]}}
    server.frames = [(STDERR, b"cat: Permission denied"), (ERROR, json.dumps(ended).encode())]
    (found,) = mounts(cluster, POD)
    assert (found.mount, found.why) == (None, "exit code 1: cat: Permission denied")
    assert found.evidence
    server.frames = [(STDOUT, b"1 0 0:1 / / rw - overlay overlay rw\n"), SUCCESS]
    (found,) = mounts(cluster, POD)
    assert found.why == "nothing is mounted there"


@pytest.mark.parametrize("table", [b"nonsense\n", "² 35 0:2 / /a rw - f g rw\n".encode(), b"nonsense"])
def test_a_damaged_table_is_not_guessed_at_and_costs_only_its_own_pod(
    cluster: Cluster, server: ApiServer, table: bytes
) -> None:
    server.frames = [(STDOUT, table), SUCCESS]
    damaged, other = mounts(cluster, POD, make.pod("other"))
    assert damaged.mount is None
    assert damaged.why.startswith("the mount table is damaged: ")
    assert damaged.evidence
    assert other.pod.name == "other"


def test_without_the_optional_right_to_exec_the_right_is_named(cluster: Cluster, server: ApiServer) -> None:
    words = 'pods "app" is forbidden: User "u" cannot get resource "pods/exec" in API group "" in the namespace "test-app"'
    server.answers[f"WS /api/v1/namespaces/test-app/pods/{POD.name}/exec"] = Canned({"message": words}, 403)
    with pytest.raises(NotGiven, match="the right to get pods/exec in test-app"):
        mounts(cluster, POD)
