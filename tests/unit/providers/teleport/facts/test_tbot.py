"""tbot as its DaemonSet and configuration describe it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from facts.errors import CouldNotTell
from facts.kubernetes.objects import Pod
from facts.kubernetes.pod_spec import Container, ProjectedToken, Volume, VolumeMount
from facts.kubernetes.probes import KUBELET_PORT, KubeletAddress
from providers.teleport.facts.tbot import OtherTbot, Tbot, Tbots
from providers.teleport.facts.tbot_config import KubernetesAttestor
from tests.unit.judge import builders as make


def tbot(runs: Container | None = None, *, volumes: tuple[Volume, ...] = (), token_path: str = "", listen: str = "") -> Tbot:
    config = replace(make.tbot_config(), token_path=token_path)
    if listen:
        config = replace(config, services=(replace(config.services[0], listen=listen),))
    return make.tbot(runs=runs, volumes=volumes, config=config)


def test_a_tbot_that_takes_any_certificate_names_what_switched_that_off() -> None:
    assert make.tbot().unverified == ""
    by_file = make.tbot(config=make.tbot_config(insecure=True))
    assert by_file.unverified == "tbot's line to Teleport (insecure in its configuration)"
    by_flag = make.tbot(runs=make.tbot_container(args=("start", "-c", "/config/tbot.yaml", "--insecure")))
    assert by_flag.unverified == "tbot's line to Teleport (--insecure)"


@pytest.mark.parametrize(
    ("started", "changed", "older"),
    [
        ("2026-03-01T12:00:00Z", "2026-03-01T12:00:01Z", True),
        ("2026-03-01T12:00:00Z", "2026-03-01T12:00:00Z", False),
        ("2026-03-01T12:00:01Z", "2026-03-01T12:00:00Z", False),
        ("", "2026-03-01T12:00:01Z", False),
        ("2026-03-01T12:00:00Z", "", False),
    ],
)
def test_a_tbot_that_started_before_its_configuration_changed(started: str, changed: str, older: bool) -> None:
    found = make.tbot()
    ((node, pod),) = found.pods.items()
    containers = tuple(replace(c, started_at=started) for c in pod.containers)
    pod = replace(pod, spec=replace(pod.spec, containers=containers))
    found = replace(found, pods={node: pod}, config_changed_at=changed)
    assert found.runs_older_config(node) is older
    assert not found.runs_older_config("another")


@pytest.mark.parametrize(
    ("env", "name", "field"),
    [
        ({"TELEPORT_NODE_NAME": "fieldRef:spec.nodeName"}, "fieldRef:spec.nodeName", "spec.nodeName"),
        ({"TELEPORT_NODE_NAME": "$(IP)", "IP": "fieldRef:status.hostIP"}, "fieldRef:status.hostIP", "status.hostIP"),
        ({"TELEPORT_NODE_NAME": "$(NONE)"}, "", "status.hostIP"),
        ({"TELEPORT_NODE_NAME": "x$(IP)", "IP": "y"}, "x$(IP)", "status.hostIP"),
        ({}, "", "status.hostIP"),
    ],
)
def test_the_address_of_the_kubelet(env: dict[str, str], name: str, field: str) -> None:
    found = tbot(make.tbot_container(env=env))
    assert found.node_name == name
    assert found.kubelet_address == KubeletAddress(field, KUBELET_PORT, found.host_network)
    none = replace(found, config=replace(found.config, services=()))
    assert none.kubelet_address.port == KUBELET_PORT == 10250


def test_the_port_of_the_kubelet_is_the_attestors() -> None:
    found = make.tbot(host_network=True)
    service = replace(found.config.services[0], kubernetes=make.attestor(secure_port=1234))
    found = replace(found, config=replace(found.config, services=(service,)))
    assert found.kubelet_address == KubeletAddress(found.kubelet_address.field, 1234, host_network=True)
    assert (found.host_pid, found.host_network) == (True, True)


@pytest.mark.parametrize(("account", "named"), [("tbot", "teleport-system:tbot"), ("", "teleport-system:default")])
def test_the_service_account_as_a_join_token_names_it(account: str, named: str) -> None:
    found = make.tbot()
    template = found.daemon_set.template
    spec = replace(template.spec, service_account=account)
    found = replace(found, daemon_set=replace(found.daemon_set, template=replace(template, spec=spec)))
    assert found.service_account == named
    assert found.image == found.container.image


TOKEN, OTHER = ProjectedToken("td", 600, "join"), ProjectedToken("td", 600, "other")
VOLUMES = (
    Volume("tokens", "projected", tokens=(OTHER, TOKEN)),
    Volume("sockets", "hostPath", path="/run/spire/sockets/"),
    Volume("deeper", "hostPath", path="/run/deeper"),
    Volume("empty", "emptyDir"),
)
MOUNTS = (
    VolumeMount("tokens", "/var/run/tokens/"),
    VolumeMount("gone", "/gone"),
    VolumeMount("sockets", "/sockets"),
    VolumeMount("deeper", "/sockets/deep/"),
    VolumeMount("empty", "/empty"),
)
RUNS = make.tbot_container(mounts=MOUNTS, env={})


@pytest.mark.parametrize(
    ("path", "token"),
    [
        ("/var/run/tokens/join", TOKEN),
        ("/var/run/tokens/other", OTHER),
        ("/var/run/tokens/none", None),
        ("/var/run/tokensjoin", None),
        ("/gone/join", None),
        ("/elsewhere/join", None),
        ("", None),
    ],
)
def test_the_token_that_it_joins_with(path: str, token: ProjectedToken | None) -> None:
    assert tbot(RUNS, volumes=VOLUMES, token_path=path).join_token_file == token
    by_variable = replace(RUNS, env={"KUBERNETES_TOKEN_PATH": path})
    assert tbot(by_variable, volumes=VOLUMES).join_token_file == token


@pytest.mark.parametrize(
    ("listen", "on_node"),
    [
        ("unix:///sockets/socket", "/run/spire/sockets/socket"),
        ("unix:///sockets/deep/socket", "/run/deeper/socket"),
        ("unix:///empty/socket", ""),
        ("unix:///elsewhere/socket", ""),
        ("unix:///socketsx", ""),
        ("tcp://0.0.0.0:1", ""),
    ],
)
def test_the_socket_on_the_node(listen: str, on_node: str) -> None:
    found = tbot(RUNS, volumes=VOLUMES, listen=listen)
    assert found.socket_on_node == on_node
    assert found.service == found.config.services[0]
    nothing = replace(found, config=replace(found.config, services=()))
    assert (nothing.service, nothing.socket_on_node, nothing.sockets) == (None, "", ())


def serving(*paths: str, looked_for: tuple[str, ...] = ()) -> Tbot:
    services = tuple(make.workload_api(listen=f"unix://{path}", selector_name=path) for path in paths)
    made = make.tbot(runs=RUNS, volumes=VOLUMES, config=make.tbot_config(services=services))
    return replace(made, looked_for=frozenset(looked_for))


@pytest.mark.parametrize(
    ("looked_for", "chosen"),
    [
        ((), "/run/spire/sockets/hosts"),
        (("/run/spire/sockets/socket",), "/run/spire/sockets/socket"),
        (("/run/deeper/socket",), "/run/deeper/socket"),
        # No service has that name: one in the same directory is nearer than the first.
        (("/run/deeper/another",), "/run/deeper/socket"),
        (("/run/elsewhere/socket",), "/run/spire/sockets/hosts"),
    ],
)
def test_the_service_that_the_mesh_uses_is_the_one_whose_socket_proxies_look_for(
    looked_for: tuple[str, ...], chosen: str
) -> None:
    found = serving("/empty/first", "/sockets/hosts", "/sockets/socket", "/sockets/deep/socket", looked_for=looked_for)
    assert found.socket_on_node == chosen
    assert found.socket is not None
    assert found.service is found.socket.service


def test_a_pod_can_open_every_socket_in_the_directory_that_it_mounts_and_below() -> None:
    paths = ("/sockets/socket", "/sockets/second", "/sockets/below/third", "/sockets/deep/socket", "/empty/fourth")
    reached = [s.path for s in serving(*paths).sockets_in_reach]
    assert reached == ["/run/spire/sockets/socket", "/run/spire/sockets/second", "/run/spire/sockets/below/third"]
    both = serving(*paths, looked_for=("/run/deeper/socket", "/run/spire/sockets/socket"))
    assert [s.path for s in both.sockets_in_reach] == [*reached, "/run/deeper/socket"]
    assert serving("/empty/first").sockets_in_reach == ()


@pytest.mark.parametrize(
    ("attestor", "attests"), [(None, False), (make.attestor(enabled=False), False), (make.attestor(), True)]
)
def test_a_socket_that_attests_asks_the_kubelet(attestor: KubernetesAttestor | None, attests: bool) -> None:
    service = make.workload_api(kubernetes=attestor)
    (socket,) = make.tbot(config=make.tbot_config(services=(service,))).sockets
    assert socket.attests is attests


def test_tbots_by_the_nodes_of_their_pods() -> None:
    first = make.tbot()
    second = replace(make.tbot(make.tbot_pod("b", node="node-2")), evidence=("ev-second",))
    both = Tbots((first, second))
    assert (both.on("node-1"), both.on("node-2"), both.on("node-3")) == ((first,), (second,), ())
    assert Tbots((first,)).on("node-3") == (first,), "the only one must serve every node"
    assert both.nodes == {"node-1", "node-2"}
    assert both.evidence == ("ev-agent", "ev-second")
    pods = [make.pod("a"), make.pod("b", node="node-2"), make.pod("c", node="node-3")]
    assert [pod.name for pod in both.supplied_by(second, pods)] == ["b"]
    assert len(Tbots((first,)).supplied_by(first, pods)) == 3
    assert Tbots((first,)).only is both.first
    with pytest.raises(CouldNotTell, match="2 of them"):
        _ = both.only


def test_what_was_not_read_of_a_join_is_not_at_hand() -> None:
    joining = make.joining()
    for read in (lambda: joining.known_token, lambda: joining.known_bot):
        with pytest.raises(LookupError):
            read()
    whole = make.joining(None, make.token(), make.bot())
    assert (whole.known_token, whole.known_bot) == (make.token(), make.bot())
    assert whole.evidence == ("ev-agent", "ev-token", "ev-bot")


def test_the_directories_in_which_proxies_look_for_a_socket_of_tbot() -> None:
    paths = ("/sockets/socket", "/sockets/deep/socket", "/empty/first")
    assert serving(*paths).directories_of_mesh == {"/run/spire/sockets"}
    both = serving(*paths, looked_for=("/run/deeper/another", "/run/spire/sockets/socket", "/run/tenant/socket"))
    assert both.directories_of_mesh == {"/run/deeper", "/run/spire/sockets"}
    assert serving(*paths, looked_for=("/run/tenant/socket",)).directories_of_mesh == {"/run/spire/sockets"}
    assert serving("/empty/first").directories_of_mesh == frozenset()


def test_pools_of_nodes_may_have_directories_of_their_own() -> None:
    a, b = make.pool("a", make.SOCKETS, "node-1", "node-3"), make.pool("b", make.OTHER_SOCKETS, "node-2", "node-3")
    found = make.tbots(a, b).directories
    assert str(found) == "/run/spire-b/sockets or /run/spire/sockets"
    assert found.on("node-1") == {make.SOCKETS}
    assert found.on("node-2") == {make.OTHER_SOCKETS}
    assert found.on("node-3") == found.on("node-without-tbot") == found.on("") == found.everywhere
    nodes = ("node-3", "node-1", "node-2", "node-without-tbot")
    assert found.nodes_with(make.OTHER_SOCKETS, nodes) == ("node-2", "node-3")
    assert make.tbots(a).directories.nodes_with(make.SOCKETS, nodes) == tuple(sorted(nodes))
    nowhere = make.tbots(make.tbot(volumes=make.tbot_volumes(sockets="emptyDir"))).directories
    assert (nowhere.everywhere, nowhere.by_node) == (frozenset(), {})


def test_a_pod_is_supplied_by_the_tbot_whose_directory_it_mounts() -> None:
    a, b = make.pool("a", make.SOCKETS, "node-1"), make.pool("b", make.OTHER_SOCKETS, "node-1")
    both = make.tbots(a, b)
    of_a, of_b, lost = (
        make.pod(name, socket=replace(make.NODES_SOCKET, path=path))
        for name, path in (("of-a", make.SOCKETS), ("of-b", make.OTHER_SOCKETS), ("lost", "/elsewhere"))
    )
    assert both.supplied_by(a, [of_a, of_b, lost]) == (of_a, lost)
    assert both.supplied_by(b, [of_a, of_b, lost]) == (of_b, lost)
    twice = make.tbots(a, make.pool("c", make.SOCKETS, "node-1"))
    assert all(twice.supplied_by(tbot, [of_a]) == (of_a,) for tbot in twice.each)


def test_a_pod_whose_tbot_is_missing_on_its_node_is_not_the_one_of_another_tbot_there() -> None:
    a, b = make.pool("a", make.SOCKETS, "node-1", "node-2"), make.pool("b", make.OTHER_SOCKETS, "node-1")
    both, path = make.tbots(a, b), f"{make.OTHER_SOCKETS}/socket"
    assert both.serving("node-1", path) == both.serving("node-2", path) == (b,)
    assert both.serving("node-2", f"{make.OTHER_SOCKETS}/another-name") == (b,), "its directory tells"
    assert both.serving("node-2", f"{make.SOCKETS}/socket") == both.serving("node-2", "/elsewhere/socket") == (a,)
    assert both.serving("node-3", path) == (), "no tbot runs there at all"
    same = make.pool("c", make.SOCKETS, "node-1", socket="other")  # beside a, in the same directory
    assert make.tbots(a, same).serving("node-2", f"{make.SOCKETS}/other") == (same,), "its name tells before its directory"
    assert both.serving("node-2", "") == (a,), "a CSI driver's volume has no path"
    of_b = make.pod(node="node-2", socket=make.OTHER_NODES_SOCKET)
    assert (both.supplied_by(a, [of_b]), both.supplied_by(b, [of_b])) == ((), (of_b,))
    assert [both.is_ready_for(replace(of_b, spec=replace(of_b.spec, node=f"node-{at}"))) for at in (1, 2, 3)] == [
        True,
        False,
        False,
    ]
    unready = replace(b, pods={node: replace(pod, ready=False) for node, pod in b.pods.items()})
    assert not make.tbots(a, unready).is_ready_for(replace(of_b, spec=replace(of_b.spec, node="node-1")))


def test_of_two_pools_with_one_directory_each_node_has_its_own_tbot_under_whatever_name() -> None:
    """A rename of the socket is half done: one pool's tbot listens under the new name, the other's still under the old."""
    a = make.pool("a", make.SOCKETS, "node-1", socket="socket")
    b = make.pool("b", make.SOCKETS, "node-2", socket="tbot")
    pools, renamed = make.tbots(a, b), f"{make.SOCKETS}/tbot"
    assert (pools.serving("node-1", renamed), pools.serving("node-2", renamed)) == ((a,), (b,))
    assert pools.serving("node-2", f"{make.SOCKETS}/socket") == (b,)
    # Beside one another on some node they are no pools: the node lacks the one with that name.
    both = make.pool("b", make.SOCKETS, "node-2", "node-3", socket="tbot")
    everywhere = make.pool("a", make.SOCKETS, "node-1", "node-3", socket="socket")
    assert make.tbots(everywhere, both).serving("node-1", renamed) == (both,)
    for gone in (replace(b, leaving=frozenset({"node-1"})), replace(b, overstaying={"node-1": make.tbot_pod("stays")})):
        assert make.tbots(a, gone).serving("node-1", renamed) == (gone,)
    # Where no tbot of the node listens in the directory, the name elsewhere tells.
    other = make.pool("c", make.OTHER_SOCKETS, "node-4")
    assert make.tbots(a, b, other).serving("node-4", renamed) == (b,)


def test_a_tbot_that_could_not_be_read_may_supply_pods_whose_directory_no_other_one_of_the_node_has() -> None:
    other = OtherTbot(make.tbot().daemon_set.ref, "it is in a Secret", unread=True)
    a = make.pool("a", make.SOCKETS, "node-1")
    with_other, without = make.tbots(a, left_out=[other]), make.tbots(a)
    for node, path, may_be in (
        ("node-1", f"{make.SOCKETS}/socket", False),
        ("node-1", f"{make.OTHER_SOCKETS}/socket", True),
        ("node-2", f"{make.SOCKETS}/socket", True),
    ):
        assert (with_other.may_be_unread(node, path), without.may_be_unread(node, path)) == (may_be, False)


def test_a_pod_may_mount_the_directory_of_a_tbot_that_could_not_be_read() -> None:
    ref = make.tbot().daemon_set.ref
    other = OtherTbot(ref, "it is in a Secret", unread=True, directories=frozenset({make.OTHER_SOCKETS}))
    found = make.tbots(make.pool("a", make.SOCKETS, "node-1"), left_out=[other]).directories
    assert found.on("node-1") == {make.SOCKETS}
    assert found.on("node-2") == {make.SOCKETS, make.OTHER_SOCKETS}
    assert found.unread == {make.OTHER_SOCKETS}


def test_of_two_tbots_in_one_directory_each_supplies_the_pods_that_look_for_its_socket() -> None:
    a, b = make.pool("a", make.SOCKETS, "node-1"), make.pool("b", make.SOCKETS, "node-1", socket="other")

    def looking_for(name: str) -> Pod:
        return make.pod(name, proxy=make.istio_proxy(env={"WORKLOAD_IDENTITY_SOCKET_FILE": name}))

    of_a, of_b, lost = looking_for("socket"), looking_for("other"), looking_for("third")
    both = Tbots((a, b))
    assert both.supplied_by(a, [of_a, of_b, lost]) == (of_a, lost)
    assert both.supplied_by(b, [of_a, of_b, lost]) == (of_b, lost)
