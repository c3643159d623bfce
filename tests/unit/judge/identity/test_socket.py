"""Who may touch the node's socket: ID-08 and ID-12."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from facts.finding import Finding, told
from facts.kubernetes.objects import Pod
from facts.kubernetes.pod_spec import Volume, VolumeMount
from facts.kubernetes.probes import Refused, SocketDirectoryProbe
from facts.proxies.identity import PodRef
from facts.proxies.mounts import Mount, SocketMount
from judge.explain.cause import CAUSES
from judge.identity.socket import directories_are_closed, mounts_are_read_only, only_tbot_writes_there
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import holds, inapplicable, unknown, violated
from tests.unit.judge.builders import DIRECTORIES, OF_POOLS, OTHER_NODES_SOCKET, SOCKET_MOUNT, SOCKETS

PODS = ("ev-pods",)

# ID-08


def closed(*probes: SocketDirectoryProbe | Refused) -> Finding:
    return directories_are_closed(probes, SOCKETS, PODS)


def test_directories_of_root_that_others_may_only_read() -> None:
    finding = closed(make.socket_directory_probe(), make.socket_directory_probe("node-2"))
    holds(finding, "ID-08", "ev-directory-node-1", "ev-directory-node-2", "ev-pods")
    assert finding.seen == "Node node-1, Node node-2: mode 0755, owner 0:0"


@pytest.mark.parametrize(
    "changes",
    [
        {"writable": True, "directory": make.seen_file(mode=0o777)},
        {"writable": True},
        {"directory": make.seen_file(mode=0o777), "mount_read_only": True},
        {"directory": make.seen_file(mode=0o1777)},
        {"directory": make.seen_file(mode=0o775, gid=1337)},
        {"directory": make.seen_file(mode=0o755, uid=1337)},
    ],
    ids=["0777", "by an ACL", "0777 behind a read-only mount", "sticky", "of the group", "of the user"],
)
def test_directories_that_a_proxy_may_write_in(changes: dict[str, Any]) -> None:
    finding = closed(make.socket_directory_probe("node-2", **changes), make.socket_directory_probe())
    violated(finding, "ID-08", evidence=("ev-directory-node-2",), causes=("socket-directory-writable",))
    assert finding.seen.startswith(f"Node node-2: uid 1337 may write to {SOCKETS} (mode ")
    assert "node-1" not in finding.seen
    assert [str(each.subject) for each in finding.held] == ["Node node-1"]
    assert "chown root:root /run/spire/sockets && chmod 0755" in CAUSES["socket-directory-writable"].remedy[0]


@pytest.mark.parametrize(
    "changes", [{"mode": 0o775, "gid": 5}, {"mode": 0o775}, {"uid": 10001}, {"mode": 0o557, "gid": 1337}]
)
def test_directories_that_another_user_may_write_in(changes: dict[str, Any]) -> None:
    """Where proxies run under other users: in root's group, in any group that a pod may ask for, as the owner."""
    finding = closed(make.socket_directory_probe(directory=make.seen_file(**changes)))
    violated(finding, "ID-08", causes=("socket-directory-writable",))
    assert finding.seen.startswith(f"Node node-1: others than root may write to {SOCKETS} (mode ")


def test_a_socket_of_a_proxys_user_was_taken_over() -> None:
    """Also when the directory has been closed again since."""
    taken = make.socket_directory_probe(entries=(make.seen_file("socket", 0o666, uid=1337, gid=1337, is_socket=True),))
    finding = closed(taken)
    violated(finding, "ID-08", causes=("socket-taken-over",))
    assert finding.seen == f"Node node-1: the socket {SOCKETS}/socket belongs to uid 1337: an Istio agent created it"
    still_open = closed(replace(taken, writable=True))
    violated(still_open, "ID-08", causes=("socket-directory-writable", "socket-taken-over"))


def test_a_file_of_a_proxys_user_that_is_no_socket_took_nothing_over() -> None:
    entries = (make.seen_file("notes", 0o644, uid=1337, gid=1337), make.seen_file("socket", 0o777, is_socket=True))
    holds(closed(make.socket_directory_probe(entries=entries)), "ID-08")


def test_a_probe_that_did_not_run_or_saw_through_a_read_only_mount_tells_nothing() -> None:
    for finding, words in (
        (
            closed(make.refused(), make.socket_directory_probe("node-2")),
            "Node node-1: the probe pod did not run: violates PodSecurity: hostPath volumes",
        ),
        (
            closed(make.socket_directory_probe(mount_read_only=True)),
            "Node node-1: the probe pod's own mount is read-only",
        ),
        (closed(), "no node runs tbot or an injected pod"),
    ):
        unknown(finding, "ID-08")
        assert finding.seen == words
        assert "INST-04" in finding.settle
    bad = make.socket_directory_probe("node-2", writable=True)
    violated(closed(make.refused(), bad), "ID-08", "Node node-2: uid 1337", "Node node-1: the probe pod did not run")


MOUNTED = "socket-directory-mounted"


def reaches(*pods: Pod) -> Finding:
    return only_tbot_writes_there(pods, make.tbots(), SOCKETS, PODS)


def beside(path: str, mount: VolumeMount | None = None, *, injected: bool = False, spec: Any = None, **changes: Any) -> Pod:
    """A pod whose application mounts a directory of the node, by default writable at /host."""
    app = make.container("app", mounts=(mount or VolumeMount("host", "/host"),), **changes)
    made = make.pod(injected=injected, socket=None)
    containers = (*(c for c in made.containers if c.name != "app"), app)
    volumes = (Volume("host", "hostPath", path=path),)
    return replace(made, spec=replace(made.spec, containers=containers, volumes=volumes, **(spec or {})))


READ_ONLY = VolumeMount("host", "/host", read_only=True)


def test_a_mesh_in_which_only_tbot_writes_to_the_directory() -> None:
    sees, other = make.pod("a"), make.pod("b", injected=False, socket=None)
    finding = reaches(sees, other)
    holds(finding, "ID-08", "ev-pods", "ev-agent")
    assert finding.seen == "1 of 2 pods see the directory, and none of them can write to it as root"
    assert finding.left_out == ()


@pytest.mark.parametrize("path", [SOCKETS, f"{SOCKETS}/", "/run/spire", "/run", "/var/run", "/var/run/spire/", "/"])
@pytest.mark.parametrize("injected", [True, False])
def test_an_application_that_may_be_root_and_mounts_the_directory_or_a_parent(path: str, injected: bool) -> None:
    finding = reaches(beside(path, injected=injected), make.pod("other"))
    violated(finding, "ID-08", evidence=PODS, causes=(MOUNTED,))
    assert finding.seen == (
        f"Pod test-app/app: its container app may run as root, the default of an image, mounts {path} of the node at /host,"
        f" and may write to {SOCKETS} there"
    )
    assert "set `readOnly: true`" in CAUSES[MOUNTED].remedy[1]
    holds(reaches(beside(path, READ_ONLY if path != "/" else RECURSIVELY, injected=injected)), "ID-08")


RECURSIVELY = VolumeMount("host", "/host", read_only=True, recursive_read_only="Enabled")


@pytest.mark.parametrize("how", ["", "IfPossible", "Disabled"])
def test_read_only_does_not_hold_for_the_file_system_below_the_root_of_the_node(how: str) -> None:
    finding = reaches(beside("/", replace(READ_ONLY, recursive_read_only=how)))
    violated(finding, "ID-08", f"may write to {SOCKETS} there: readOnly does not hold for /run", causes=(MOUNTED,))
    elsewhere = only_tbot_writes_there([beside("/", READ_ONLY)], make.tbots(), "/srv/sockets", PODS)
    holds(elsewhere, "ID-08")


@pytest.mark.parametrize("path", ["/run/spire/sockets/socket", "/run/spire-server", "/runtime", "/var/lib", "/home"])
def test_other_directories_of_the_node(path: str) -> None:
    holds(reaches(beside(path)), "ID-08")


@pytest.mark.parametrize(
    ("part", "is_it"), [("spire", True), ("spire/sockets", True), ("other", False), ("$(POD_NAME)", True)]
)
def test_a_part_of_a_volume(part: str, is_it: bool) -> None:
    finding = reaches(beside("/run", VolumeMount("host", "/host", sub_path=part)))
    assert [f"mounts /run/{part} of the node" in each.said for each in finding.problems] == [True] * is_it


@pytest.mark.parametrize(
    ("container", "spec", "is_root"),
    [
        ({"run_as_user": 0}, {}, True),
        ({"run_as_user": 10001}, {}, False),
        ({"run_as_non_root": True}, {}, False),
        ({"run_as_non_root": False}, {}, True),
        ({}, {"run_as_user": 10001}, False),
        ({}, {"run_as_user": 0}, True),
        ({}, {"run_as_non_root": True}, False),
        ({"run_as_user": 0}, {"run_as_user": 10001, "run_as_non_root": True}, True),
        ({"run_as_non_root": False}, {"run_as_non_root": True}, True),
        ({"run_as_user": 10001}, {"run_as_user": 0}, False),
    ],
)
def test_the_user_of_the_container_or_else_of_the_pod(
    container: dict[str, Any], spec: dict[str, Any], is_root: bool
) -> None:
    finding = reaches(beside(SOCKETS, spec=spec, **container))
    user = container.get("run_as_user", spec.get("run_as_user"))
    said_root = (
        "its container app may run as root, the default" if user is None else "its container app runs as root, mounts"
    )
    assert [said_root in each.said for each in finding.problems] == [True] * is_root


def test_containers_of_every_kind_are_looked_at() -> None:
    pod = beside("/run", READ_ONLY)
    writes = make.container("debugger", mounts=(VolumeMount("host", "/host"),))
    for spec in (
        replace(pod.spec, containers=(replace(writes, is_init=True), *pod.containers)),
        replace(pod.spec, ephemeral=(writes,)),
    ):
        violated(reaches(replace(pod, spec=spec)), "ID-08", "its container debugger may run as root", causes=(MOUNTED,))


def test_tbot_itself_is_named_and_left_out_and_nothing_that_looks_like_it() -> None:
    own = make.tbot_pod(image="x")
    own = replace(own, spec=replace(own.spec, volumes=make.tbot_volumes()))
    finding = reaches(own)
    holds(finding, "ID-08")
    assert told(finding.left_out) == "Pod teleport-system/tbot-1: tbot itself, which makes the socket there"
    for other in (
        replace(own, namespace="test-app"),
        replace(own, owner="ReplicaSet/tbot"),
        replace(own, owner="DaemonSet/a"),
    ):
        violated(reaches(other), "ID-08", "its container tbot may run as root", causes=(MOUNTED,))


@pytest.mark.parametrize(
    ("container", "spec", "is_named"),
    [
        ({"privileged": True}, {}, True),
        ({"privileged": True, "run_as_user": 10001}, {}, False),
        ({"added_capabilities": ("SYS_ADMIN",)}, {"host_pid": True}, True),
        ({"added_capabilities": ("CAP_SYS_PTRACE",)}, {"host_pid": True}, True),
        ({"added_capabilities": ("SYS_PTRACE",)}, {}, False),
        ({"added_capabilities": ("NET_ADMIN",)}, {"host_pid": True}, False),
        ({}, {"host_pid": True}, False),
    ],
)
def test_root_of_the_node_needs_no_mount_and_is_named(
    container: dict[str, Any], spec: dict[str, Any], is_named: bool
) -> None:
    finding = reaches(beside("/home", spec=spec, **container))
    holds(finding, "ID-08")
    said = "Pod test-app/app: its container app is root of its node, whatever it mounts"
    assert told(finding.left_out) == said * is_named


def test_a_privileged_container_that_mounts_the_directory_as_well_is_a_problem() -> None:
    violated(reaches(beside(SOCKETS, privileged=True)), "ID-08", "may run as root", causes=(MOUNTED,))


def test_a_proxy_that_is_root_owns_the_directory() -> None:
    """Interception by TPROXY: the proxy is root, and a mount that is not read-only lets it replace the socket."""
    writable = (VolumeMount("workload-socket", SOCKET_MOUNT),)
    finding = reaches(make.pod(proxy=make.istio_proxy(run_as_user=0, mounts=writable)))
    violated(
        finding, "ID-08", "its container istio-proxy runs as root, mounts /run/spire/sockets", causes=("mount-writable",)
    )
    assert "with `readOnly: true`" in CAUSES["mount-writable"].remedy[0]
    holds(reaches(make.pod(proxy=make.istio_proxy(run_as_user=0))), "ID-08")
    holds(reaches(make.pod(proxy=make.istio_proxy(run_as_user=1337, mounts=writable))), "ID-08")
    holds(reaches(make.pod(socket=make.EMPTY_DIR, proxy=make.istio_proxy(run_as_user=0, mounts=writable))), "ID-08")


@pytest.mark.parametrize(("of_volume", "of_mount"), [(True, False), (False, True), (False, False)])
def test_a_socket_from_a_csi_driver(of_volume: bool, of_mount: bool) -> None:
    socket = Volume("workload-socket", "csi", driver="csi.example", read_only=of_volume)
    mounts = (VolumeMount("workload-socket", SOCKET_MOUNT, read_only=of_mount),)
    finding = reaches(make.pod(socket=socket, proxy=make.istio_proxy(run_as_user=0, mounts=mounts)))
    if of_volume or of_mount:
        holds(finding, "ID-08")
    else:
        violated(finding, "ID-08", "mounts the socket of the CSI driver csi.example", causes=("mount-writable",))


# ID-12

WRITABLE = "mount-writable"


def table(*, read_only: bool, of: Pod | None = None) -> SocketMount:
    of = of or make.pod()
    mount = Mount(2, 1, "/run/secrets/workload-spiffe-uds", read_only)
    return SocketMount(PodRef.of(of), mount, "", (f"ev-mounts-{of.name}",))


def untold(of: Pod | None = None) -> SocketMount:
    of = of or make.pod()
    return SocketMount(PodRef.of(of), None, "there is no cat", (f"ev-mounts-{of.name}",))


def mounted(*mounts: VolumeMount, **changes: Any) -> Pod:
    return make.pod(proxy=make.istio_proxy(mounts=mounts), **changes)


def judged(*found: SocketMount, pods: tuple[Pod, ...] = (make.pod(),)) -> Finding:
    return mounts_are_read_only(found, pods, DIRECTORIES, PODS)


def test_a_mount_table_that_says_read_only() -> None:
    a, b = make.pod("a"), make.pod("b")
    finding = judged(table(read_only=True, of=a), table(read_only=True, of=b), pods=(a, b))
    holds(finding, "ID-12", "ev-mounts-a", "ev-mounts-b", "ev-pod-a", "ev-pods")
    assert finding.seen == "read-only in 2 proxies, by their mount tables"


def test_a_writable_mount_of_another_pools_directory() -> None:
    a, b = make.pod("a"), make.pod("b", node="node-2", socket=OTHER_NODES_SOCKET)
    mounts = [table(read_only=True, of=a), table(read_only=False, of=b)]
    finding = mounts_are_read_only(mounts, (a, b), OF_POOLS, PODS)
    violated(finding, "ID-12", "Pod test-app/b: its proxy mounts the directory writable", causes=(WRITABLE,))


def test_a_mount_table_outweighs_what_was_specified() -> None:
    finding = judged(table(read_only=False))
    violated(finding, "ID-12", evidence=("ev-mounts-app", "ev-pod-app"), causes=(WRITABLE,))
    assert (
        finding.seen
        == "Pod test-app/app: its proxy mounts the directory writable (/run/secrets/workload-spiffe-uds in its mount table)"
    )
    rw = mounted(VolumeMount("workload-socket", SOCKET_MOUNT))
    holds(judged(table(read_only=True, of=rw), pods=(rw,)), "ID-12")


def test_an_image_without_cat_is_judged_by_its_specification_where_that_is_clear() -> None:
    finding = judged(untold())
    holds(finding, "ID-12", "ev-pod-app")
    assert finding.seen == "read-only in 1 proxies, 1 of them by their specification alone"
    rw = mounted(VolumeMount("workload-socket", SOCKET_MOUNT))
    plain = judged(untold(rw), pods=(rw,))
    violated(plain, "ID-12", causes=(WRITABLE,))
    assert plain.seen == "Pod test-app/app: its proxy mounts the directory writable (no mount of it is readOnly)"
    csi = mounted(
        VolumeMount("workload-socket", SOCKET_MOUNT),
        socket=Volume("workload-socket", "csi", driver="csi.spiffe.io", read_only=True),
    )
    holds(judged(untold(csi), pods=(csi,)), "ID-12")


def test_two_mounts_of_which_one_is_read_only_are_not_clear() -> None:
    """The guide's template: which one lies on top is the runtime's choice."""
    guide = mounted(
        VolumeMount("workload-socket", SOCKET_MOUNT),
        VolumeMount("workload-socket", "/run/secrets/workload-spiffe-uds", read_only=True),
    )
    finding = judged(untold(guide), pods=(guide,))
    unknown(finding, "ID-12")
    assert finding.seen == (
        "Pod test-app/app: it is mounted at /run/secrets/workload-spiffe-uds, /var/run/secrets/workload-spiffe-uds,"
        " and not every mount is readOnly; its mount table: there is no cat"
    )
    assert finding.showing(WRITABLE) == finding.unclear
    seen = judged(table(read_only=False, of=guide), pods=(guide,))
    violated(seen, "ID-12", "its proxy mounts the directory writable", causes=(WRITABLE,))
    assert seen.showing(WRITABLE) == seen.problems
    sound = judged(table(read_only=True, of=guide), pods=(guide,))
    holds(sound, "ID-12")
    assert sound.showing(WRITABLE) == ()


def test_one_writable_mount_is_not_hidden_by_another_that_is_unclear() -> None:
    guide = mounted(
        VolumeMount("workload-socket", SOCKET_MOUNT),
        VolumeMount("workload-socket", "/run/secrets/workload-spiffe-uds", read_only=True),
    )
    bad = replace(make.pod("b"), uid="uid-b")
    finding = judged(untold(guide), table(read_only=False, of=bad), pods=(guide, bad))
    violated(
        finding,
        "ID-12",
        "Pod test-app/b: its proxy mounts the directory writable",
        "not every mount is readOnly",
        causes=(WRITABLE,),
    )


def test_a_pod_whose_mounts_were_not_read_at_all() -> None:
    guide = mounted(
        VolumeMount("workload-socket", SOCKET_MOUNT), VolumeMount("workload-socket", "/run/secrets/workload-spiffe-uds")
    )
    violated(judged(pods=(guide,)), "ID-12", "no mount of it is readOnly", causes=(WRITABLE,))


def test_meshes_without_the_socket() -> None:
    inapplicable(mounts_are_read_only((), (), DIRECTORIES, PODS), "ID-12", "ev-pods")
    away = make.pod(socket=make.EMPTY_DIR)
    finding = mounts_are_read_only((), (away,), DIRECTORIES, PODS)
    violated(finding, "ID-12", "none of 1 injected pods mounts", causes=())


def test_an_emptydir_in_the_sockets_place_is_not_the_nodes_socket() -> None:
    """It is writable in every sidecar without the template, and ID-01 fails that for what it is."""
    away = make.pod("away", socket=make.EMPTY_DIR)
    finding = judged(table(read_only=True), table(read_only=False, of=away), pods=(make.pod(), away))
    holds(finding, "ID-12", "ev-pod-app")
    assert finding.seen == "read-only in 1 proxies, by their mount tables"


def test_a_pod_that_went_away_has_no_mount_to_judge_and_alone_proves_nothing() -> None:
    a, gone = make.pod("a"), make.pod("gone")
    found = (table(read_only=True, of=a), make.left_out(of=gone))
    for those in ([a], [a, gone]):
        finding = mounts_are_read_only(found, those, DIRECTORIES, PODS)
        holds(finding, "ID-12", "ev-gone-gone")
        assert [str(each.subject) for each in finding.left_out] == ["Pod test-app/gone"]
        assert finding.seen == "read-only in 1 proxies, by their mount tables"
    for listed in ((), (gone,)):
        none = mounts_are_read_only(found[1:], listed, DIRECTORIES, PODS)
        unknown(none, "ID-12", "every proxy went away while the suite read it")
        assert none.settle == "run again when the workloads are not being rolled out"
