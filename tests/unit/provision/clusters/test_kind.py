"""kind's configuration, and a cluster made, used again and removed with a kind that only writes down what it is asked."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from facts.errors import ProvisioningFailed
from facts.recorder import KeptInMemory
from observe.command import EndedBySignal
from observe.wait import Pace
from provision.clusters.kind import LOOKS, Kind, cluster_config
from provision.clusters.sources import Sources

KUBECONFIG = """\
apiVersion: v1
kind: Config
clusters: [{name: kind-a, cluster: {server: "https://127.0.0.1:1"}}]
contexts: [{name: kind-a, context: {cluster: kind-a, user: kind-a}}]
users: [{name: kind-a, user: {}}]
current-context: kind-a
"""


def test_one_control_plane_takes_pods_and_the_rest_are_workers() -> None:
    config = cluster_config("a", 3, "node:1", {})
    assert [node["role"] for node in config["nodes"]] == ["control-plane", "worker", "worker"]
    assert {node["image"] for node in config["nodes"]} == {"node:1"}
    (patch,) = config["kubeadmConfigPatches"]
    assert yaml.safe_load(patch) == {"kind": "InitConfiguration", "nodeRegistration": {"taints": []}}


def test_a_single_node_keeps_the_taint_that_kind_removes_itself() -> None:
    assert "kubeadmConfigPatches" not in cluster_config("a", 1, "node:1", {})


def test_what_the_node_image_needs_is_merged_in() -> None:
    patch = {"networking": {"kubeProxyMode": "iptables"}, "kubeadmConfigPatches": ["kind: KubeletConfiguration"]}
    config = cluster_config("a", 2, "node:1", patch)
    assert config["networking"] == {"apiServerAddress": "127.0.0.1", "kubeProxyMode": "iptables"}
    assert len(config["kubeadmConfigPatches"]) == 2
    assert len(cluster_config("a", 2, "node:1", {})["kubeadmConfigPatches"]) == 1, (
        "the patch of one cluster stays out of the next"
    )


def a_kind(tmp_path: Path, script: str, recorder: KeptInMemory | None = None, **more: float) -> Kind:
    program = tmp_path / "kind"
    program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\nconfig={tmp_path}/kubeconfig\n{script}\n')
    program.chmod(0o755)
    sources = Sources("upstream", program, program, program, "node:1", "", "", "t:1", "b:18.6.4", "b:18", "b:18.6.3", "w:1")
    return Kind("a", tmp_path, sources, recorder or KeptInMemory(), nodes=1, timeout=more.get("timeout", 10))


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pytest-kind makes a directory where it is started."""
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")


CREATES = f"case $1 in create) cat > $config <<'END'\n{KUBECONFIG}END\n;; get) [ -s $config ] && echo a; exit 0;; esac"


def test_a_cluster_is_created_with_a_private_kubeconfig_of_its_own(tmp_path: Path) -> None:
    recorder = KeptInMemory()
    kind = a_kind(tmp_path, CREATES, recorder)
    kind.make(reuse=False)
    assert (tmp_path / "kubeconfig").stat().st_mode & 0o777 == 0o600
    assert kind.made_here
    assert any(e.question.startswith("kind create cluster --name a") for e in recorder.evidence.values())
    assert not any("127.0.0.1:1" in e.body for e in recorder.evidence.values()), "a kubeconfig is never printed"
    assert not (tmp_path / "cwd" / ".pytest-kind").exists()


def test_a_name_that_is_taken_is_not_taken_over(tmp_path: Path) -> None:
    kind = a_kind(tmp_path, "echo a")
    with pytest.raises(ProvisioningFailed, match="--reuse"):
        kind.make(reuse=False)
    assert not kind.made_here


def test_a_kept_cluster_is_used_again_although_its_kubeconfig_is_gone(tmp_path: Path) -> None:
    kind = a_kind(tmp_path, f"case $1 in get) echo a;; export) cat > $config <<'END'\n{KUBECONFIG}END\n;; esac")
    kind.make(reuse=True)
    assert not kind.made_here
    assert "create" not in (tmp_path / "asked").read_text()


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("Bind for 127.0.0.1:6443 failed: port is already allocated", "free the port"),
        ("ERROR: Cannot connect to the Docker daemon at unix:///var/run/docker.sock", "start Docker"),
        ("write /var/lib: no space left on device", "free disk space"),
        ("ERROR: failed to pull image docker.io/kindest/node", "compare with the list of `conformance images`"),
        ("could not find a log line that matches Reached target", "raise fs.inotify.max_user_instances"),
        ("something else", "read the error of kind"),
    ],
)
def test_a_failure_holds_kinds_own_words_and_what_to_try(tmp_path: Path, said: str, remedy: str) -> None:
    kind = a_kind(tmp_path, f'[ $1 = get ] && exit 0; echo "{said}" >&2; exit 1')
    with pytest.raises(ProvisioningFailed) as failure:
        kind.make(reuse=False)
    assert said in failure.value.seen
    assert failure.value.remedy.startswith(remedy)
    assert kind.made_here, "what is left of it is ours to remove"


def test_a_failure_is_one_line_that_begins_with_the_error(tmp_path: Path) -> None:
    kind = a_kind(
        tmp_path, f"[ $1 = get ] && exit 0; printf 'Creating\\n x\\nERROR: it\\n%s\\nfailed\\n' {'log-' * 1000} >&2; exit 1"
    )
    with pytest.raises(ProvisioningFailed) as failure:
        kind.make(reuse=False)
    seen = failure.value.seen
    assert seen.startswith("exit code 1: ERROR: it log-")
    assert seen.endswith("log- failed")
    assert "\n" not in seen
    assert len(seen) < 1000


def test_a_name_that_was_taken_meanwhile_is_not_ours_to_remove(tmp_path: Path) -> None:
    said = 'node(s) already exist for a cluster with the name \\"a\\"'
    kind = a_kind(tmp_path, f'[ $1 = get ] && exit 0; echo "{said}" >&2; exit 1')
    with pytest.raises(ProvisioningFailed):
        kind.make(reuse=False)
    assert not kind.made_here


def test_removing_forgets_the_kubeconfig(tmp_path: Path) -> None:
    kind = a_kind(tmp_path, "exit 0")
    (tmp_path / "kubeconfig").write_text(KUBECONFIG)
    kind.remove()
    assert not (tmp_path / "kubeconfig").exists()
    assert "delete cluster --name a" in (tmp_path / "asked").read_text()


def test_a_node_that_docker_makes_after_kind_was_ended_is_removed_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provision.clusters.kind.LATECOMERS", Pace(timeout=10, interval=0.01))
    # The node is listed from the third time on that the nodes are asked for, until it is deleted.
    script = f"""
    cd {tmp_path}
    case "$1 $2" in
      "create cluster") kill -INT $$; sleep 5;;
      "get nodes") echo x >> looks; [ $(wc -l < looks) -lt 3 ] || [ -e gone ] || echo a-control-plane;;
      "delete cluster") [ $(wc -l < looks) -lt 3 ] || touch gone;;
    esac
    exit 0"""
    kind = a_kind(tmp_path, script)
    with pytest.raises(EndedBySignal):
        kind.make(reuse=False)
    kind.remove()
    assert (tmp_path / "gone").exists()
    assert (tmp_path / "looks").read_text().count("x") == 3 + LOOKS, "no more are looked for when all have come and gone"


def test_nodes_that_never_come_are_not_waited_for_in_vain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("provision.clusters.kind.LATECOMERS", Pace(timeout=0.1, interval=0.01))
    kind = a_kind(tmp_path, '[ "$1" = create ] && kill -INT $$ && sleep 5; exit 0')
    with pytest.raises(EndedBySignal):
        kind.make(reuse=False)
    kind.remove()
    assert not (tmp_path / "kubeconfig").exists()
