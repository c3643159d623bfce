"""INST-13, INST-14 and INST-16: tbot on the nodes."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from facts.kubernetes.objects import Pod
from facts.kubernetes.probes import Refused, SdsProbe
from facts.teleport.tbot import KubeletAddress, Tbot
from judge.install.tbot import (
    configuration_is_sound,
    istio_components,
    no_known_defect,
    probes_got_their_own_identity,
    ready_on_every_node,
    tbot_components,
)
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import holds, unknown, violated
from tests.unit.judge.certificates import NOW, TRUST_DOMAIN, authority, svid

HOSTS = {"node-1": [make.pod()]}
EVIDENCE = ("ev-pods",)


# INST-13, where it runs


def test_a_ready_tbot_on_each_node_with_injected_pods() -> None:
    finding = ready_on_every_node(make.tbot(), HOSTS, NOW, EVIDENCE)
    holds(finding, "INST-13", "ev-agent", "ev-pods")
    assert finding.seen == "Ready on node-1"


@pytest.mark.parametrize(
    ("tbot", "words"),
    [
        (make.tbot(make.tbot_pod(node="node-2")), "no tbot on node node-1, which hosts 1 injected pods"),
        (make.tbot(make.tbot_pod(ready=False)), "tbot on node node-1 is not Ready: not Ready"),
        (make.tbot(make.tbot_pod(terminating=True)), "tbot on node node-1 is not Ready"),
        (make.tbot(desired=2, updated=1), "1 of 2 tbot pods are of an older template"),
        (make.tbot(generation=4), "its controller has not seen generation 4 yet"),
    ],
    ids=["tainted node", "not ready", "terminating", "older template", "unseen change"],
)
def test_a_node_without_a_ready_tbot_of_the_current_template(tbot: Tbot, words: str) -> None:
    finding = ready_on_every_node(tbot, HOSTS, NOW, EVIDENCE)
    violated(finding, "INST-13", words, evidence=("ev-agent", "ev-pods"))
    assert finding.where == "DaemonSet teleport-system/tbot"


def test_a_tbot_that_crashes_is_named_with_its_reason() -> None:
    crashing = make.tbot_container(ready=False, state="waiting", reason="CrashLoopBackOff")
    pod = make.tbot_pod(ready=False)
    pod = replace(pod, spec=replace(pod.spec, containers=(crashing,)))
    violated(ready_on_every_node(make.tbot(pod), HOSTS, NOW, EVIDENCE), "INST-13", "not Ready: CrashLoopBackOff")


def crashed(*, ago: float, code: int = 1, **changes: Any) -> Tbot:
    """A tbot that is Ready now and ended so many seconds ago."""
    ended = f"{NOW - timedelta(seconds=ago):%Y-%m-%dT%H:%M:%SZ}"
    container = make.tbot_container(restarts=3, last_exit_code=code, last_ended=ended, **changes)
    pod = make.tbot_pod()
    return make.tbot(replace(pod, spec=replace(pod.spec, containers=(container,))))


@pytest.mark.parametrize("hosts", [HOSTS, {}])
def test_without_a_probe_ready_is_no_answer_of_a_tbot_that_ends_again_and_again(hosts: Any) -> None:
    finding = ready_on_every_node(crashed(ago=40), hosts, NOW, EVIDENCE)
    violated(finding, "INST-13", "tbot on node node-1 is Ready only between one end and the next", "exit code 1 40 s ago")


@pytest.mark.parametrize(
    "tbot", [crashed(ago=3600), crashed(ago=40, code=0), crashed(ago=40, readiness_probe=True)],
    ids=["long ago", "ended without an error", "its probe says that it serves"],
)  # fmt: skip
def test_a_tbot_that_runs_again_is_ready(tbot: Tbot) -> None:
    holds(ready_on_every_node(tbot, HOSTS, NOW, EVIDENCE), "INST-13")


def test_a_tbot_that_is_down_where_no_injected_pod_runs_does_no_harm() -> None:
    holds(ready_on_every_node(make.tbot(desired=2, updated=2, ready=1), HOSTS, NOW, EVIDENCE), "INST-13")


def test_a_running_tbot_that_is_not_ready_has_no_other_reason_than_its_state() -> None:
    pod = make.tbot_pod(ready=False)
    pod = replace(pod, spec=replace(pod.spec, containers=(make.tbot_container(ready=False),)))
    violated(ready_on_every_node(make.tbot(pod), HOSTS, NOW, EVIDENCE), "INST-13", "not Ready: running")


def test_where_no_node_hosts_an_injected_pod_tbot_must_be_ready_wherever_it_is_wanted() -> None:
    finding = ready_on_every_node(make.tbot(), {}, NOW, EVIDENCE)
    holds(finding, "INST-13", "ev-agent")
    assert finding.seen == "Ready on all 1 nodes; none of them hosts an injected pod"
    statuses: tuple[dict[str, Any], ...] = ({"ready": 0}, {"desired": 0, "updated": 0, "ready": 0})
    for status in statuses:
        violated(ready_on_every_node(make.tbot(**status), {}, NOW, EVIDENCE), "INST-13", "tbot is Ready on 0 of")


# INST-13, how it is set up


def judged(tbot: Tbot, *pods: Pod) -> Any:
    return configuration_is_sound(tbot, TRUST_DOMAIN, pods or (make.pod(),), EVIDENCE)


def test_the_guides_configuration_with_the_nodes_name_is_sound() -> None:
    holds(judged(make.tbot()), "INST-13", "ev-agent", "ev-pods")


@pytest.mark.parametrize(
    ("service", "words"),
    [
        ({"kubernetes": None}, "attestors.kubernetes is not enabled"),
        ({"kubernetes": make.attestor(enabled=False)}, "attestors.kubernetes is not enabled"),
        ({"selector_name": ""}, "the selector names nothing"),
        ({"listen": "tcp://0.0.0.0:8081"}, "listen is tcp://0.0.0.0:8081: only a unix socket tells who calls"),
        ({"listen": ""}, "only a unix socket"),
        ({"listen": "unix:///tmp/socket"}, "/tmp/socket is on no hostPath volume"),
        ({"listen": "unix:///run/spire/sockets/sub/socket"}, "tbot listens in /run/spire/sockets/sub on the node"),
    ],
)
def test_a_setting_of_the_service_that_breaks_it(service: dict[str, Any], words: str) -> None:
    config = make.tbot_config(services=(make.workload_api(**service),))
    violated(judged(make.tbot(config=config)), "INST-13", words, evidence=("ev-agent",))


def test_a_selector_by_labels_names_something() -> None:
    config = make.tbot_config(services=(make.workload_api(selector_name="", selector_labels={"env": ("dev",)}),))
    holds(judged(make.tbot(config=config)), "INST-13")


def test_without_the_service_there_is_no_socket() -> None:
    config = make.tbot_config(services=(), unknown_keys=("servces",))
    violated(judged(make.tbot(config=config)), "INST-13", "there is no socket", "unknown key servces")


def test_misspelt_keys_are_ignored_inside_a_service_and_fatal_outside() -> None:
    config = make.tbot_config(unknown_keys=("services[0].attestor", "proxy_sever"))
    violated(
        judged(make.tbot(config=config)),
        "INST-13",
        "unknown key services[0].attestor: tbot ignores it without a word",
        "unknown key proxy_sever: tbot does not start with it",
    )


def test_without_the_nodes_processes_tbot_cannot_tell_who_calls() -> None:
    violated(judged(make.tbot(host_pid=False)), "INST-13", "hostPID is not set")


def with_node_name(name: str, **more: str) -> dict[str, Any]:
    env = {"KUBERNETES_TOKEN_PATH": "/var/run/secrets/tokens/join-token", "TELEPORT_NODE_NAME": name, **more}
    return {"runs": make.tbot_container(env=env)}


@pytest.mark.parametrize(
    "given",
    [
        with_node_name("fieldRef:status.hostIP"),
        with_node_name("$(NODE_IP)", NODE_IP="fieldRef:status.hostIP"),
        {"host_network": True, **with_node_name("")},
        {"host_network": True, **with_node_name("localhost")},
    ],
    ids=["address", "by another variable", "host network without a name", "host network by localhost"],
)
def test_ways_in_which_tbot_finds_its_own_kubelet(given: dict[str, Any]) -> None:
    holds(judged(make.tbot(**given)), "INST-13")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (with_node_name(""), "TELEPORT_NODE_NAME is not set and hostNetwork is off"),
        (with_node_name("node-1"), "TELEPORT_NODE_NAME is node-1, not the name or address of the node"),
        (with_node_name("localhost"), "TELEPORT_NODE_NAME is localhost"),
        (with_node_name("fieldRef:metadata.name"), "TELEPORT_NODE_NAME is fieldRef:metadata.name"),
        (with_node_name("$(NODE_NAME)"), "TELEPORT_NODE_NAME is not set"),
        ({"host_network": True, **with_node_name("node-1")}, "TELEPORT_NODE_NAME is node-1"),
    ],
)
def test_ways_in_which_tbot_misses_its_own_kubelet(given: dict[str, Any], words: str) -> None:
    violated(judged(make.tbot(**given)), "INST-13", words, evidence=("ev-agent",))


@pytest.mark.parametrize(
    ("given", "address"),
    [
        (with_node_name("fieldRef:status.hostIP"), KubeletAddress("status.hostIP", 10250, host_network=False)),
        (with_node_name("fieldRef:spec.nodeName"), KubeletAddress("spec.nodeName", 10250, host_network=False)),
        ({"host_network": True, **with_node_name("")}, KubeletAddress("status.hostIP", 10250, host_network=True)),
    ],
)
def test_where_a_tbot_dials_its_kubelet(given: dict[str, Any], address: KubeletAddress) -> None:
    assert make.tbot(**given).kubelet_address == address


def test_a_kubelet_on_another_port() -> None:
    config = make.tbot_config(services=(make.workload_api(kubernetes=make.attestor(secure_port=10251)),))
    assert make.tbot(config=config).kubelet_address.port == 10251


def test_the_guides_variable_names_are_not_the_ones_that_tbot_reads() -> None:
    env = {"KUBERNETES_TOKEN_PATH": "/var/run/secrets/tokens/join-token", "NODE_NAME": "fieldRef:spec.nodeName"}
    violated(judged(make.tbot(runs=make.tbot_container(env=env))), "INST-13", "TELEPORT_NODE_NAME is not set")


def test_a_socket_on_another_kind_of_volume_reaches_no_pod() -> None:
    hidden = make.tbot(volumes=make.tbot_volumes(sockets="emptyDir"))
    violated(judged(hidden), "INST-13", "/run/spire/sockets/socket is on no hostPath volume")


def test_pods_that_mount_another_directory_than_tbots() -> None:
    elsewhere = replace(make.NODES_SOCKET, path="/run/other")
    finding = judged(make.tbot(), make.pod(), make.pod("b", socket=elsewhere), make.pod("c", socket=make.EMPTY_DIR))
    violated(finding, "INST-13", "tbot listens in /run/spire/sockets on the node, injected pods mount /run/other")


@pytest.mark.parametrize(
    ("volume", "words"),
    [
        ({"audience": "teleport.example.com:443"}, "the token's audience is teleport.example.com:443"),
        ({"audience": ""}, "the token's audience is the default"),
        ({"seconds": 1801}, "the token lives 1801 s, Teleport refuses more than 1800 s"),
    ],
)
def test_a_join_token_file_that_teleport_refuses(volume: dict[str, Any], words: str) -> None:
    violated(judged(make.tbot(volumes=make.tbot_volumes(**volume))), "INST-13", words, evidence=("ev-agent",))


def test_a_token_of_exactly_half_an_hour_is_taken() -> None:
    holds(judged(make.tbot(volumes=make.tbot_volumes(seconds=1800))), "INST-13")


@pytest.mark.parametrize(
    "path", ["", "/var/run/secrets/kubernetes.io/serviceaccount/token", "/var/run/secrets/tokens/other"]
)
def test_a_token_that_is_not_projected_for_teleport(path: str) -> None:
    env = {"KUBERNETES_TOKEN_PATH": path, "TELEPORT_NODE_NAME": "fieldRef:spec.nodeName"}
    finding = judged(make.tbot(runs=make.tbot_container(env=env)))
    violated(finding, "INST-13", "is not a projected service-account token")


def test_the_configurations_own_token_path_comes_first() -> None:
    runs = make.tbot_container(env={"TELEPORT_NODE_NAME": "fieldRef:spec.nodeName"})
    config = make.tbot_config(token_path="/var/run/secrets/tokens/join-token")
    holds(judged(make.tbot(runs=runs, config=config)), "INST-13")


def test_another_join_method_needs_no_projected_token() -> None:
    config = make.tbot_config(join_method="iam")
    holds(judged(make.tbot(config=config, volumes=make.tbot_volumes(audience="x"))), "INST-13")


def test_a_join_in_cluster_takes_the_pods_usual_token() -> None:
    usual = make.tbot(runs=make.tbot_container(env={"TELEPORT_NODE_NAME": "fieldRef:spec.nodeName"}))
    evidence = ("ev-pods", "ev-token")
    holds(configuration_is_sound(usual, TRUST_DOMAIN, [make.pod()], evidence, "in_cluster"), "INST-13", "ev-token")
    violated(configuration_is_sound(usual, TRUST_DOMAIN, [make.pod()], evidence, "oidc"), "INST-13", "not a projected")


# INST-14


def test_each_probe_got_its_own_identity_from_teleport() -> None:
    finding = probes_got_their_own_identity([make.sds_probe("node-1"), make.sds_probe("node-2")], make.bundle())
    holds(finding, "INST-14", "ev-sds-node-1", "ev-sds-node-2", "ev-bundle")
    own = f"spiffe://{TRUST_DOMAIN}/ns/conformance-1/sa/probe"
    assert finding.seen == f"node-1: {own}, node-2: {own}"


@pytest.mark.parametrize(
    ("probe", "words"),
    [
        (make.sds_probe("node-2", leaf=None, reason="unknown resource names: [default]"), "no identity: unknown resource"),
        (make.sds_probe("node-2", leaf=svid("conformance-1", "probe", issuer="istiod")), "not issued by Teleport: none of"),
        (make.sds_probe("node-2", leaf=svid("test-app", "first")), "/ns/test-app/sa/first, not spiffe://"),
        (
            make.sds_probe("node-2", leaf=svid(uri=f"spiffe://{TRUST_DOMAIN}/ns/conformance-1/probe")),
            "/ns/conformance-1/probe, not spiffe://",
        ),
        (make.sds_probe("node-2", leaf=svid("conformance-1", "probe", minutes=5)), "not issued by Teleport: it expired"),
    ],
    ids=["refused by tbot", "istiod's certificate", "another pod's identity", "without /sa/", "expired"],
)
def test_a_probe_that_got_something_else(probe: SdsProbe, words: str) -> None:
    finding = probes_got_their_own_identity([make.sds_probe("node-1"), probe], make.bundle())
    violated(
        finding, "INST-14", f"node-2: {words}" if words.startswith("no") else words, evidence=("ev-sds-node-2", "ev-bundle")
    )
    assert "node-1:" not in finding.seen


def test_a_probe_that_never_ran_proves_nothing() -> None:
    probes: list[SdsProbe | Refused] = [make.sds_probe("node-1"), make.refused("node-2")]
    finding = probes_got_their_own_identity(probes, make.bundle())
    violated(finding, "INST-14", "node-2: the probe did not run: violates PodSecurity", evidence=("ev-refused-node-2",))


def test_a_probe_that_was_kept_from_running_tells_nothing_of_its_socket() -> None:
    probes: list[SdsProbe | Refused] = [make.sds_probe("node-1"), make.kept_out("node-2")]
    finding = probes_got_their_own_identity(probes, make.bundle())
    unknown(finding, "INST-14", "node-2: the probe did not run: ImagePullBackOff", evidence=("ev-kept-out-node-2",))
    wrong = make.sds_probe("node-1", leaf=None, reason="denied")
    violated(
        probes_got_their_own_identity([wrong, make.kept_out("node-2")], make.bundle()), "INST-14", "node-1: no identity"
    )


def test_without_a_probe_no_socket_was_asked() -> None:
    violated(probes_got_their_own_identity([], make.bundle()), "INST-14", "no socket was asked")


def test_an_identity_of_an_authority_that_teleport_has_given_up() -> None:
    rotated = make.bundle(authorities=(authority("new"),))
    violated(probes_got_their_own_identity([make.sds_probe()], rotated), "INST-14", "none of the 1 authorities signed it")


# INST-16


def on_two_nodes(*images: str, **given: Any) -> Tbot:
    pods = [make.tbot_pod(f"tbot-{n}", node=f"node-{n}", image=image) for n, image in enumerate(images, 1)]
    return make.tbot(*pods, runs=make.tbot_container(image=images[0]), **given)


FLOATING = "registry.example/tbot-distroless:18"


def test_exact_tags_of_versions_without_a_defect() -> None:
    components = [*tbot_components(make.tbot(), None), *istio_components(make.mesh(), [make.pod()])]
    finding = no_known_defect(components)
    holds(finding, "INST-16", "ev-agent", "ev-mesh", "ev-pod-app")
    assert "tbot 18.6.4 (image registry.example/tbot-distroless:18.6.4)" in finding.seen
    assert "istio 1.31.0" in finding.seen


def test_beside_a_digest_a_tag_tells_no_version() -> None:
    pinned = on_two_nodes(f"registry.example/tbot-distroless:18.6.4@sha256:{'0' * 64}")
    unknown(no_known_defect(tbot_components(pinned, None)), "INST-16", "@sha256")
    holds(no_known_defect(tbot_components(pinned, [make.bot_instance("tbot-1", "18.6.4")])), "INST-16")
    violated(no_known_defect(tbot_components(pinned, [make.bot_instance("tbot-1", "18.6.3")])), "INST-16", "tbot 18.6.3")


def test_on_the_nodes_network_no_newer_neighbour_hides_an_affected_tbot() -> None:
    tbot = on_two_nodes(FLOATING, host_network=True)
    beats = [make.bot_instance("node-1", "18.5.0"), make.bot_instance("node-1", "18.7.0", last_heartbeat=NOW + timedelta(1))]
    violated(no_known_defect(tbot_components(tbot, beats)), "INST-16", "tbot 18.5.0")


def test_an_affected_tbot_by_its_tag() -> None:
    affected = on_two_nodes("registry.example/tbot-distroless:18.6.3", "registry.example/tbot-distroless:18.6.3")
    finding = no_known_defect(tbot_components(affected, None))
    violated(finding, "INST-16", "tbot 18.6.3", "without-renewing", "gravitational/teleport#62813", evidence=("ev-agent",))
    assert finding.remedy == "upgrade tbot to 18.6.4 or 17.7.14"
    assert "Pod teleport-system/tbot-2" in finding.seen
    assert "DaemonSet teleport-system/tbot" in finding.seen


def test_what_a_tag_and_a_heartbeat_tell_of_one_pod_is_told_once() -> None:
    affected = on_two_nodes("tbot-distroless:18.6.3")
    finding = no_known_defect(tbot_components(affected, [make.bot_instance("tbot-1", "18.6.3")]))
    violated(finding, "INST-16", "tbot 18.6.3 (DaemonSet teleport-system/tbot, Pod teleport-system/tbot-1) has the defect")
    assert finding.seen.count("has the defect") == 1
    assert finding.where == "DaemonSet teleport-system/tbot, Pod teleport-system/tbot-1"


def test_an_affected_version_that_no_pod_runs_yet() -> None:
    coming = make.tbot(make.tbot_pod(image="tbot:18.6.4"), runs=make.tbot_container(image="tbot:18.6.3"))
    finding = no_known_defect(tbot_components(coming, None))
    violated(finding, "INST-16", "tbot 18.6.3 (DaemonSet teleport-system/tbot)")


def test_a_pod_of_a_floating_template_with_a_tag_of_its_own() -> None:
    old = make.tbot(make.tbot_pod(image="tbot:18.6.3"), runs=make.tbot_container(image="tbot:18"))
    finding = no_known_defect(tbot_components(old, None))
    violated(finding, "INST-16", "tbot 18.6.3 (Pod teleport-system/tbot-1)")


def test_a_pod_without_the_container_is_taken_to_run_the_templates() -> None:
    bare = make.tbot_pod()
    bare = replace(bare, spec=replace(bare.spec, containers=()))
    holds(no_known_defect(tbot_components(make.tbot(bare), None)), "INST-16")


def test_one_pod_that_still_runs_the_affected_version() -> None:
    mixed = on_two_nodes("tbot-distroless:18.6.4", "tbot-distroless:18.6.3")
    finding = no_known_defect(tbot_components(mixed, None))
    violated(finding, "INST-16", "tbot 18.6.3 (Pod teleport-system/tbot-2)")


@pytest.mark.parametrize(
    "image", ["tbot-distroless:18", "tbot-distroless:18.6", "tbot-distroless", "tbot@sha256:abc", "tbot:latest"]
)
def test_a_floating_tag_tells_no_version(image: str) -> None:
    finding = no_known_defect(tbot_components(on_two_nodes(image), None))
    unknown(finding, "INST-16", f"tbot: image {image}", evidence=("ev-agent",))
    assert finding.where == "Pod teleport-system/tbot-1"


def test_a_floating_tag_before_any_pod_runs() -> None:
    without_pods = replace(on_two_nodes(FLOATING), pods={})
    unknown(no_known_defect(tbot_components(without_pods, None)), "INST-16", FLOATING)


def test_heartbeats_tell_the_version_under_a_floating_tag() -> None:
    beats = [make.bot_instance("tbot-1"), make.bot_instance("tbot-2"), make.bot_instance("gone", "18.6.3")]
    finding = no_known_defect(tbot_components(on_two_nodes(FLOATING, FLOATING), beats))
    holds(finding, "INST-16", "ev-agent", "ev-heartbeat-tbot-1", "ev-heartbeat-tbot-2")
    assert finding.seen == "tbot 18.6.4 (heartbeat)"


def test_the_heartbeat_of_one_node_says_nothing_of_another() -> None:
    finding = no_known_defect(tbot_components(on_two_nodes(FLOATING, FLOATING), [make.bot_instance("tbot-1")]))
    unknown(finding, "INST-16", FLOATING)
    assert finding.where == "Pod teleport-system/tbot-2"


def test_two_versions_under_one_floating_tag() -> None:
    beats = [make.bot_instance("tbot-1"), make.bot_instance("tbot-2", "18.5.0")]
    finding = no_known_defect(tbot_components(on_two_nodes(FLOATING, FLOATING), beats))
    violated(finding, "INST-16", "tbot 18.5.0 (Pod teleport-system/tbot-2)", evidence=("ev-heartbeat-tbot-2",))


def test_a_heartbeat_that_contradicts_the_tag_is_believed() -> None:
    finding = no_known_defect(tbot_components(make.tbot(), [make.bot_instance("tbot-1", "18.6.3")]))
    violated(finding, "INST-16", "tbot 18.6.3 (Pod teleport-system/tbot-1)")


def test_a_tag_that_contradicts_the_heartbeat_is_believed_too() -> None:
    tagged = make.tbot(make.tbot_pod(image="tbot:18.6.3"), runs=make.tbot_container(image="tbot:18.6.4"))
    violated(no_known_defect(tbot_components(tagged, [make.bot_instance("tbot-1")])), "INST-16", "tbot 18.6.3")


@pytest.mark.parametrize("earlier", [NOW - timedelta(hours=1), None])
def test_of_several_instances_of_a_pod_the_latest_heartbeat_counts(earlier: datetime | None) -> None:
    """Each restart of a tbot that keeps its state in memory is an instance of its own."""
    beats = [make.bot_instance("tbot-1"), make.bot_instance("tbot-1", "18.6.3", last_heartbeat=earlier)]
    holds(no_known_defect(tbot_components(on_two_nodes(FLOATING), beats)), "INST-16")
    holds(no_known_defect(tbot_components(on_two_nodes(FLOATING), beats[::-1])), "INST-16")


def test_on_the_nodes_network_only_a_heartbeat_since_the_pod_began_is_its_own() -> None:
    """The host's name is then the node's; Teleport still remembers the instance of the pod before."""
    tbot = on_two_nodes(FLOATING, host_network=True)
    old = make.bot_instance("node-1", "18.6.3", last_heartbeat=NOW - timedelta(hours=3))
    unknown(no_known_defect(tbot_components(tbot, [old])), "INST-16", FLOATING)
    holds(no_known_defect(tbot_components(tbot, [old, make.bot_instance("node-1")])), "INST-16", "ev-heartbeat-node-1")
    for silent in (make.bot_instance("node-1", last_heartbeat=None), replace(make.bot_instance("node-1"), version=None)):
        unknown(no_known_defect(tbot_components(tbot, [silent])), "INST-16", FLOATING)
    unknown(no_known_defect(tbot_components(tbot, [make.bot_instance("node-2")])), "INST-16", FLOATING)


def test_off_the_nodes_network_a_tbot_of_the_node_itself_is_another() -> None:
    unknown(no_known_defect(tbot_components(on_two_nodes(FLOATING), [make.bot_instance("node-1")])), "INST-16", FLOATING)


def test_an_instance_without_a_heartbeat_tells_nothing() -> None:
    silent = make.bot_instance("tbot-1", version="18.6.4", last_heartbeat=None)
    unknown(no_known_defect(tbot_components(on_two_nodes(FLOATING), [replace(silent, version=None)])), "INST-16", FLOATING)


def test_a_sidecar_older_than_istiod_is_looked_at_too() -> None:
    old = make.pod("old", proxy=make.istio_proxy(image="proxyv2:1.24.3"))
    finding = no_known_defect(istio_components(make.mesh(), [make.pod(), old, make.pod("plain", injected=False)]))
    violated(finding, "INST-16", "istio 1.24.3 (Pod test-app/old)", "socket-name", evidence=("ev-pod-old",))


def test_a_foreign_container_beside_istiod_has_no_version_to_tell() -> None:
    beside = make.deployment("istiod", make.container("discovery", "pilot:1.31.0"), make.container("vault", "vault:latest"))
    holds(no_known_defect(istio_components(make.mesh(istiod=(beside,)), [])), "INST-16", "ev-mesh")


def test_a_defect_is_a_failure_also_where_another_version_cannot_be_told() -> None:
    components = [*tbot_components(on_two_nodes(FLOATING, "tbot:18.6.3"), None)]
    violated(no_known_defect(components), "INST-16", "tbot 18.6.3")
