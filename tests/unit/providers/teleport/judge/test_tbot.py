"""INST-13: tbot on the nodes, and how it is set up."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from facts.evidence import ObjectRef
from facts.finding import Finding
from facts.kubernetes.objects import Condition, Pod
from facts.kubernetes.probes import KubeletAddress
from facts.redaction import hides_a_value
from facts.secret_forms import MARK
from judge.explain.cause import CAUSES
from providers.teleport.facts.resources import BotInstance
from providers.teleport.facts.tbot import OtherTbot, Tbot
from providers.teleport.facts.tbot_config import TbotConfig
from providers.teleport.judge.tbot import ASK_AGAIN, READ_IT, configuration_is_sound, ready_on_every_node
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import holds, unknown, violated
from tests.unit.judge.certificates import NOW, TRUST_DOMAIN

HOSTS = {"node-1": [make.pod()]}
EVIDENCE = ("ev-pods",)


def ready(tbot: Tbot, *judged_by: Any, **beside: Any) -> Finding:
    """The judgment on a single DaemonSet."""
    return ready_on_every_node(make.tbots(tbot), *judged_by, **beside)


# INST-13, where it runs


POOL = replace(make.tbot(make.tbot_pod("tbot-b", node="node-2")), evidence=("ev-pool",))
POOL = replace(POOL, daemon_set=replace(POOL.daemon_set, name="tbot-b", evidence=("ev-pool",)))


def test_a_daemon_set_for_each_pool_of_nodes() -> None:
    hosts = {**HOSTS, "node-2": [make.pod("b", node="node-2")]}
    finding = ready_on_every_node(make.tbots(make.tbot(), POOL), hosts, NOW, EVIDENCE)
    holds(finding, "INST-13", "ev-agent", "ev-pool", "ev-pods")
    assert finding.where == "DaemonSet teleport-system/tbot, DaemonSet teleport-system/tbot-b"
    assert finding.seen == "Ready on node-1, node-2"
    alone = ready_on_every_node(make.tbots(POOL), hosts, NOW, EVIDENCE)
    violated(alone, "INST-13", "Node node-1: it hosts 1 injected pods and no tbot", causes=("tbot-not-on-node",))


def test_each_of_several_daemon_sets_must_be_complete() -> None:
    hosts = {**HOSTS, "node-2": [make.pod("b", node="node-2")]}
    silent = replace(POOL, pods={"node-2": make.tbot_pod("tbot-b", node="node-2", ready=False)})
    finding = ready_on_every_node(make.tbots(make.tbot(), silent), hosts, NOW, EVIDENCE)
    violated(finding, "INST-13", "Pod teleport-system/tbot-b: tbot on node node-2 is not Ready")
    old = replace(POOL, daemon_set=replace(POOL.daemon_set, desired=2))
    finding = ready_on_every_node(make.tbots(make.tbot(), old), hosts, NOW, EVIDENCE)
    violated(finding, "INST-13", "DaemonSet teleport-system/tbot-b: 1 of 2 tbot pods have an older template")
    none = ready_on_every_node(make.tbots(make.tbot(), POOL), {}, NOW, EVIDENCE)
    assert none.seen == "Ready on all 2 nodes; none of them hosts an injected pod"


BESIDE = make.pool("tbot-a", make.SOCKETS, "node-1", "node-2"), make.pool("tbot-b", make.OTHER_SOCKETS, "node-1")
OF_B = make.pod("b2", node="node-2", socket=make.OTHER_NODES_SOCKET)


def test_a_pod_whose_tbot_is_missing_is_named_beside_another_tbot_of_its_node() -> None:
    hosts = {"node-1": [make.pod("b1", socket=make.OTHER_NODES_SOCKET)], "node-2": [make.pod("a2", node="node-2"), OF_B]}
    finding = ready_on_every_node(make.tbots(*BESIDE), hosts, NOW, EVIDENCE)
    violated(finding, "INST-13", causes=("tbot-not-on-node",))
    assert finding.seen == (
        f"Pod test-app/b2: it looks for {OF_B.socket_on_node}: DaemonSet teleport-system/tbot-b listens in that directory,"
        " and node node-2 has no pod of it"
    )
    holds(ready_on_every_node(make.tbots(*BESIDE), {"node-2": hosts["node-2"][:1]}, NOW, EVIDENCE), "INST-13")
    coming = replace(BESIDE[1], daemon_set=replace(BESIDE[1].daemon_set, desired=2), leaving=frozenset({"node-2"}))
    finding = ready_on_every_node(make.tbots(BESIDE[0], coming), hosts, NOW, EVIDENCE)
    violated(finding, "INST-13", "DaemonSet teleport-system/tbot-b has fewer pods than its controller wants", causes=())
    other = OtherTbot(ObjectRef("DaemonSet", "tbot-c", "teleport-system"), "it is in a Secret", unread=True)
    unknown(ready_on_every_node(make.tbots(*BESIDE, left_out=[other]), hosts, NOW, EVIDENCE), "INST-13", "Pod test-app/b2")


def test_a_rename_of_the_socket_that_one_pool_lacks_is_the_fault_of_its_configuration() -> None:
    old = make.pool("tbot-a", make.SOCKETS, "node-1", socket="socket")
    tbots = make.tbots(old, make.pool("tbot-b", make.SOCKETS, "node-2", socket="tbot"))
    named = make.istio_proxy(env={"WORKLOAD_IDENTITY_SOCKET_FILE": "tbot"})
    hosts = {node: [make.pod(node, node=node, proxy=named)] for node in ("node-1", "node-2")}
    holds(ready_on_every_node(tbots, hosts, NOW, EVIDENCE), "INST-13")
    for tbot, causes in zip(tbots.each, (("socket-name-differs",), ()), strict=True):
        pods = tbots.supplied_by(tbot, [pod for each in hosts.values() for pod in each])
        finding = configuration_is_sound(make.joining(tbot, make.token()), make.ping().cluster_name, pods, EVIDENCE)
        assert finding.causes == causes, finding.seen


def test_the_directory_of_a_tbot_need_not_be_that_of_a_pod_whose_own_tbot_is_missing() -> None:
    tbots = make.tbots(*BESIDE)
    for tbot in tbots.each:
        pods = tbots.supplied_by(tbot, [make.pod("a2", node="node-2"), OF_B])
        finding = configuration_is_sound(make.joining(tbot, make.token()), make.ping().cluster_name, pods, EVIDENCE)
        holds(finding, "INST-13")


def test_a_tbot_that_does_not_serve_the_mesh_is_named() -> None:
    other = OtherTbot(ObjectRef("DaemonSet", "tbot", "batch"), "no proxy looks for its socket")
    finding = ready_on_every_node(make.tbots(left_out=[other]), HOSTS, NOW, EVIDENCE)
    holds(finding, "INST-13")
    assert [(remark.subject, remark.said) for remark in finding.left_out] == [(other.ref, other.why)]


def test_a_node_may_have_the_tbot_that_could_not_be_read() -> None:
    other = OtherTbot(ObjectRef("DaemonSet", "tbot-b", "teleport-system"), "it is in a Secret", unread=True)
    hosts = {**HOSTS, "node-2": [make.pod("b", node="node-2")]}
    tbots = make.tbots(left_out=[other])
    holds(ready_on_every_node(tbots, HOSTS, NOW, EVIDENCE), "INST-13")
    finding = ready_on_every_node(tbots, hosts, NOW, EVIDENCE)
    said = "Node node-2: it hosts 1 injected pods and no tbot but perhaps DaemonSet teleport-system/tbot-b"
    unknown(finding, "INST-13", said)
    assert finding.settle == "keep the configuration of that tbot in a ConfigMap, as the guide does (step 7)"
    silent = make.tbots(make.tbot(make.tbot_pod(ready=False)), left_out=[other])
    violated(ready_on_every_node(silent, hosts, NOW, EVIDENCE), "INST-13", "tbot on node node-1 is not Ready")
    assert (tbots.on("node-2"), make.tbots().on("node-2")) == ((), make.tbots().each)


def test_a_ready_tbot_on_each_node_with_injected_pods() -> None:
    finding = ready(make.tbot(), HOSTS, NOW, EVIDENCE)
    holds(finding, "INST-13", "ev-agent", "ev-pods")
    assert finding.seen == "Ready on node-1"


@pytest.mark.parametrize(
    ("tbot", "words", "causes"),
    [
        (
            make.tbot(make.tbot_pod(node="node-2")),
            "Node node-1: it hosts 1 injected pods and no tbot",
            ("tbot-not-on-node",),
        ),
        (
            make.tbot(make.tbot_pod(ready=False)),
            "Pod teleport-system/tbot-1: tbot on node node-1 is not Ready: no reason given",
            ("tbot-not-answering",),
        ),
        (
            make.tbot(make.tbot_pod(terminating=True)),
            "Pod teleport-system/tbot-1: tbot on node node-1 is not Ready: no reason given",
            (),
        ),
        (make.tbot(desired=2, updated=1), "1 of 2 tbot pods have an older template", ()),
        (make.tbot(generation=4), "its controller has not seen generation 4 yet", ()),
    ],
    ids=["tainted node", "not ready", "terminating", "older template", "unseen change"],
)
def test_a_node_without_a_ready_tbot_of_the_current_template(tbot: Tbot, words: str, causes: tuple[str, ...]) -> None:
    finding = ready(tbot, HOSTS, NOW, EVIDENCE)
    violated(finding, "INST-13", evidence=("ev-agent", "ev-pods"), causes=causes)
    assert finding.seen == words
    assert finding.where == "DaemonSet teleport-system/tbot"


def running(*, ready: bool = False, terminating: bool = False, **container: Any) -> Tbot:
    """A tbot whose only pod has that container."""
    pod = make.tbot_pod(ready=ready, terminating=terminating)
    runs = make.tbot_container(**({"ready": ready} | container))
    return make.tbot(replace(pod, spec=replace(pod.spec, containers=(runs,))))


@pytest.mark.parametrize(
    ("tbot", "words", "causes"),
    [
        (running(), "running", ("tbot-not-answering",)),
        (running(state="waiting", reason="CrashLoopBackOff", last_exit_code=1), "CrashLoopBackOff", ()),
        (running(state="waiting", reason="ContainerCreating"), "ContainerCreating", ()),
        (running(state="terminated", reason="Error"), "Error", ()),
        (running(last_exit_code=1), "running", ()),
        (running(last_exit_code=0), "running", ()),
        (running(terminating=True), "running", ()),
    ],
    ids=["does not answer", "crash loop", "not started", "ended", "between two ends", "started again", "terminating"],
)
def test_only_a_tbot_that_runs_and_never_ended_does_not_answer(tbot: Tbot, words: str, causes: tuple[str, ...]) -> None:
    finding = ready(tbot, HOSTS, NOW, EVIDENCE)
    violated(finding, "INST-13", causes=causes)
    assert finding.seen == f"Pod teleport-system/tbot-1: tbot on node node-1 is not Ready: {words}"


def test_a_node_whose_tbot_is_about_to_be_made_names_no_cause() -> None:
    coming = make.tbot(desired=2, updated=1)
    finding = ready(coming, {"node-2": [make.pod()]}, NOW, EVIDENCE)
    violated(
        finding, "INST-13", "it hosts 1 injected pods and no tbot; DaemonSet teleport-system/tbot has fewer pods", causes=()
    )
    for absent in (make.tbot(), replace(coming, pods={}), make.tbot(desired=2, updated=2)):
        without = ready(absent, {"node-2": [make.pod()]}, NOW, EVIDENCE)
        violated(without, "INST-13", "it hosts 1 injected pods and no tbot", causes=("tbot-not-on-node",))


def at(seconds: float) -> str:
    """The time so many seconds before that of the judgment."""
    return f"{NOW - timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%SZ}"


@pytest.mark.parametrize(
    ("started", "lost", "causes"),
    [
        (3, None, ()),
        (59, 60, ()),
        (60, None, ("tbot-not-answering",)),
        (7200, None, ("tbot-not-answering",)),
        (40, 5, ("tbot-not-answering",)),
        (-3600, None, ("tbot-not-answering",)),
    ],
    ids=["new", "never Ready", "had its time", "old", "was Ready and is frozen", "wrong clock"],
)
def test_a_tbot_that_has_just_started_may_still_become_ready(
    started: float, lost: float | None, causes: tuple[str, ...]
) -> None:
    tbot = running(started_at=at(started))
    conditions = () if lost is None else (Condition("Ready", "False", since=at(lost)),)
    pods = {node: replace(pod, conditions=conditions) for node, pod in tbot.pods.items()}
    finding = ready(replace(tbot, pods=pods), HOSTS, NOW, EVIDENCE)
    violated(finding, "INST-13", causes=causes)
    assert finding.seen.endswith("running" if causes else "running, for less than 60 s")


def test_a_tbot_that_ended_before_buys_no_time_by_its_next_start() -> None:
    finding = ready(running(started_at=at(3), last_exit_code=1), HOSTS, NOW, EVIDENCE)
    assert finding.seen.endswith("is not Ready: running")


def test_a_node_whose_tbot_pod_is_being_replaced_names_no_cause() -> None:
    elsewhere = make.tbot(make.tbot_pod(node="node-9"), desired=2, updated=2)
    violated(ready(elsewhere, HOSTS, NOW, EVIDENCE), "INST-13", causes=("tbot-not-on-node",))
    replaced = replace(elsewhere, leaving=frozenset({"node-1"}))
    violated(ready(replaced, HOSTS, NOW, EVIDENCE), "INST-13", "DaemonSet teleport-system/tbot has fewer pods", causes=())
    alone = replace(make.tbot(), pods={}, leaving=frozenset({"node-1"}))
    violated(ready(alone, HOSTS, NOW, EVIDENCE), "INST-13", causes=())
    # Its controller wants none there any more.
    for_good = replace(replaced, daemon_set=replace(replaced.daemon_set, desired=1, updated=1))
    violated(ready(for_good, HOSTS, NOW, EVIDENCE), "INST-13", causes=("tbot-not-on-node",))
    violated(ready(replaced, {"node-3": [make.pod()]}, NOW, EVIDENCE), "INST-13", causes=("tbot-not-on-node",))


@pytest.mark.parametrize("updated", [1, 2])
def test_a_tbot_pod_that_never_goes_away_hides_no_cause(updated: int) -> None:
    """Also where it is of an older template, so that the controller seems to have pods to make."""
    stays = make.tbot_pod("stays", terminating=True, due="2026-03-01T06:00:00Z")
    elsewhere = make.tbot(make.tbot_pod(node="node-9"), desired=2, updated=updated)
    finding = ready(replace(elsewhere, overstaying={"node-1": stays}), HOSTS, NOW, EVIDENCE)
    violated(
        finding,
        "INST-13",
        "it hosts 1 injected pods and no tbot; Pod teleport-system/stays there was deleted and is still there",
        causes=("tbot-not-on-node",),
    )


def test_what_is_wrong_on_a_node_that_is_not_listed_is_an_open_point() -> None:
    gone = make.tbot(make.tbot_pod(), make.tbot_pod("gone", node="node-3", ready=False), desired=2, updated=2)
    hosts = {"node-2": [make.pod("b", node="node-2")], "node-3": [make.pod("c", node="node-3")]}
    finding = ready(gone, {**HOSTS, **hosts}, NOW, EVIDENCE, unlisted={"node-2", "node-3"})
    unknown(
        finding,
        "INST-13",
        "Node node-2: it hosts 1 injected pods and no tbot; the API server does not list that node",
        "Pod teleport-system/gone: tbot on node node-3 is not Ready",
    )
    assert finding.settle.startswith("run again in a minute")
    ended = crashed(ago=10)
    unknown(ready(ended, HOSTS, NOW, EVIDENCE, unlisted={"node-1"}), "INST-13", "is Ready only until its next exit")
    violated(
        ready(gone, hosts, NOW, EVIDENCE, unlisted={"node-3"}),
        "INST-13",
        "Node node-2: it hosts 1 injected pods",
        causes=("tbot-not-on-node",),
    )
    of_old = replace(gone, daemon_set=replace(gone.daemon_set, updated=1))
    violated(ready(of_old, HOSTS, NOW, EVIDENCE, unlisted={"node-1"}), "INST-13", "1 of 2 tbot pods have an older template")


def test_a_node_that_joined_after_the_nodes_were_listed_and_has_its_tbot_is_judged() -> None:
    both = make.tbot(make.tbot_pod(), make.tbot_pod("late", node="node-2"), desired=2, updated=2)
    hosts = {**HOSTS, "node-2": [make.pod("b", node="node-2")]}
    for unlisted in ({"node-2"}, {"node-1", "node-2"}, {"node-9"}):
        held = ready(both, hosts, NOW, EVIDENCE, unlisted=unlisted)
        holds(held, "INST-13")
        assert held.seen == "Ready on node-1, node-2"
    other = OtherTbot(ObjectRef("DaemonSet", "tbot-b", "batch"), "it is in a Secret", unread=True)
    lacking = make.tbots(make.tbot(), left_out=[other])
    late = ready_on_every_node(
        lacking, {**hosts, "node-3": [make.pod("c", node="node-3")]}, NOW, EVIDENCE, unlisted={"node-2"}
    )
    unknown(late, "INST-13", "Node node-2: it hosts 1 injected pods and no tbot; the API", "Node node-3", "but perhaps")
    assert late.settle == f"{READ_IT}; {ASK_AGAIN}"


def test_each_node_without_tbot_is_named_and_nodes_in_the_same_state_together() -> None:
    hosts = {name: [make.pod(f"app-{name}", node=name)] for name in ("node-1", "node-2", "node-3")}
    finding = ready(make.tbot(), hosts, NOW, EVIDENCE)
    violated(finding, "INST-13", causes=("tbot-not-on-node",))
    assert finding.seen == "Node node-2, Node node-3: it hosts 1 injected pods and no tbot"
    assert "Compare the node's taints and labels with tbot's tolerations" in CAUSES["tbot-not-on-node"].remedy[0]


def crashed(*, ago: float, code: int = 1, **changes: Any) -> Tbot:
    """A tbot that is Ready now and ended so many seconds ago."""
    ended = f"{NOW - timedelta(seconds=ago):%Y-%m-%dT%H:%M:%SZ}"
    container = make.tbot_container(restarts=3, last_exit_code=code, last_ended=ended, **changes)
    pod = make.tbot_pod()
    return make.tbot(replace(pod, spec=replace(pod.spec, containers=(container,))))


@pytest.mark.parametrize("hosts", [HOSTS, {}])
def test_without_a_probe_ready_is_no_answer_of_a_tbot_that_ends_again_and_again(hosts: Any) -> None:
    finding = ready(crashed(ago=40), hosts, NOW, EVIDENCE)
    violated(finding, "INST-13", causes=())
    words = "tbot on node node-1 is Ready only until its next exit: it exited with code 1 40 s ago"
    assert finding.seen == f"Pod teleport-system/tbot-1: {words}"


@pytest.mark.parametrize(
    "tbot", [crashed(ago=3600), crashed(ago=40, code=0), crashed(ago=40, readiness_probe=True)],
    ids=["long ago", "ended without an error", "its probe says that it serves"],
)  # fmt: skip
def test_a_tbot_that_runs_again_is_ready(tbot: Tbot) -> None:
    holds(ready(tbot, HOSTS, NOW, EVIDENCE), "INST-13")


def test_a_tbot_that_is_down_where_no_injected_pod_runs_does_no_harm() -> None:
    holds(ready(make.tbot(desired=2, updated=2, ready=1), HOSTS, NOW, EVIDENCE), "INST-13")


def test_where_no_node_hosts_an_injected_pod_tbot_must_be_ready_wherever_it_is_wanted() -> None:
    finding = ready(make.tbot(), {}, NOW, EVIDENCE)
    holds(finding, "INST-13", "ev-agent")
    assert finding.seen == "Ready on all 1 nodes; none of them hosts an injected pod"
    statuses: tuple[dict[str, Any], ...] = ({"ready": 0}, {"desired": 0, "updated": 0, "ready": 0})
    for status in statuses:
        down = ready(make.tbot(**status), {}, NOW, EVIDENCE)
        violated(down, "INST-13", causes=())
        assert down.seen == f"tbot is Ready on 0 of {status.get('desired', 1)} nodes; no node hosts an injected pod"


# INST-13, how it is set up


CONFIG, DAEMON_SET = "ConfigMap teleport-system/tbot-config", "DaemonSet teleport-system/tbot"


def judged(tbot: Tbot, *pods: Pod) -> Finding:
    return configuration_is_sound(make.joining(tbot, make.token()), TRUST_DOMAIN, pods or (make.pod(),), EVIDENCE)


def sound(tbot: Tbot, *, token: Any = None, bot: Any = None) -> Finding:
    """With this token, or the guide's, and this bot."""
    joining = make.joining(tbot, token or make.token(), bot)
    return configuration_is_sound(joining, TRUST_DOMAIN, [make.pod()], EVIDENCE)


def unknown_type(tbot: Tbot) -> Finding:
    """Without an admin session."""
    return configuration_is_sound(make.joining(tbot), TRUST_DOMAIN, [make.pod()], EVIDENCE)


def test_the_guides_configuration_with_the_nodes_name_is_sound() -> None:
    holds(judged(make.tbot()), "INST-13", "ev-agent", "ev-pods")


@pytest.mark.parametrize(
    ("config", "method", "says"),
    [
        ({"join_method": "token"}, "kubernetes", "its join_method is token, and Teleport has its join token for kubernetes"),
        ({"join_method": ""}, "kubernetes", "its join_method is token, and Teleport has its join token for kubernetes"),
        ({"join_method": "kubernetes"}, "iam", "its join_method is kubernetes, and Teleport has its join token for iam"),
    ],
)
def test_a_tbot_that_joins_by_another_method_than_its_token(config: dict[str, str], method: str, says: str) -> None:
    finding = sound(make.tbot(config=make.tbot_config(**config)), token=make.token(join_method=method))
    violated(finding, "INST-13", f"{CONFIG}: {says}: Teleport refuses tbot", causes=("token-method-wrong",))


@pytest.mark.parametrize("version", ["18.6.4", "17.5.3", "18.0.1"])
@pytest.mark.parametrize("address", ["teleport.test:443", "teleport.test:3080"])
def test_a_proxy_under_auth_server(address: str, version: str) -> None:
    finding = under_auth_server(f"r/tbot:{version}", address=address)
    violated(
        finding, "INST-13", f"auth_server is {address}, which has the port of a proxy", causes=("proxy-under-auth-server",)
    )


@pytest.mark.parametrize(
    ("address", "version"),
    [("auth.test:3025", "18.6.4"), ("", "18.6.4"), ("p.test:443", "17.5.2"), ("p.test:443", "18.0.0")],
)
def test_an_auth_server_that_tbot_takes(address: str, version: str) -> None:
    holds(under_auth_server(f"r/tbot:{version}", address=address), "INST-13")


def under_auth_server(image: str, *beats: BotInstance, address: str = "p.test:443", pods: int = 1) -> Finding:
    """The judgment on a tbot of this image with an ``auth_server``, beside its heartbeats."""
    config, container = make.tbot_config(auth_server=address, proxy_server=""), make.tbot_container(image=image)
    own = [make.tbot_pod(f"tbot-{n}", node=f"node-{n}") for n in range(1, pods + 1)]
    own = [replace(pod, spec=replace(pod.spec, containers=(container,))) for pod in own]
    joining = make.joining(make.tbot(*own, runs=container, config=config), make.token())
    return configuration_is_sound(joining, TRUST_DOMAIN, [make.pod()], EVIDENCE, instances=beats or None)


INEXACT = ["r/tbot:17", "r/tbot:18", "r/tbot@sha256:" + "a" * 64, "r/tbot:17.5.2@sha256:" + "a" * 64, "r/tbot"]


@pytest.mark.parametrize("image", INEXACT)
def test_an_image_without_an_exact_tag_leaves_a_proxy_under_auth_server_open(image: str) -> None:
    words = f"refuses a proxy there from 17.5.3 and 18.0.1 on, and the version of {image} is unknown"
    unknown(under_auth_server(image), "INST-13", words)
    unknown(under_auth_server(image, make.bot_instance("elsewhere")), "INST-13", words)


@pytest.mark.parametrize("image", INEXACT)
def test_the_heartbeat_tells_what_tbot_does_with_a_proxy_under_auth_server(image: str) -> None:
    holds(under_auth_server(image, make.bot_instance(version="17.5.2")), "INST-13", "ev-heartbeat-tbot-1")
    newer = under_auth_server(image, make.bot_instance(version="17.5.3"))
    violated(newer, "INST-13", "it belongs in proxy_server", causes=("proxy-under-auth-server",))


def test_one_pod_that_refuses_a_proxy_under_auth_server_decides() -> None:
    takes, refuses = make.bot_instance(version="17.5.2"), make.bot_instance("tbot-2", "17.5.3")
    unknown(under_auth_server("r/tbot:17", takes, pods=2), "INST-13", "is unknown")
    violated(under_auth_server("r/tbot:17", takes, refuses, pods=2), "INST-13", causes=("proxy-under-auth-server",))


def test_methods_that_agree_or_cannot_be_compared() -> None:
    by_name = make.tbot(config=make.tbot_config(join_method=""))
    holds(sound(by_name, token=make.token(join_method="token")), "INST-13")
    holds(unknown_type(by_name), "INST-13")
    holds(sound(by_name, token=make.absent("token/istio-tbot-k8s-join")), "INST-13")
    by_uri = make.tbot(config=make.tbot_config(join_method="", token=""))
    holds(sound(by_uri), "INST-13")
    violated(sound(replace(by_uri, join_secret="it")), "INST-13", "its join_method is token", causes=("token-method-wrong",))


NOTHING = "tbot-selects-nothing"
BOTH = ("credential_ttl", "renewal_interval")


@pytest.mark.parametrize(
    ("service", "words", "causes"),
    [
        (
            {"kubernetes": None},
            f"{CONFIG}: attestors.kubernetes is not enabled, so that every workload.kubernetes.* in",
            (NOTHING,),
        ),
        ({"kubernetes": make.attestor(enabled=False)}, f"{CONFIG}: attestors.kubernetes is not enabled", (NOTHING,)),
        ({"selector_name": ""}, f"{CONFIG}: its selector is empty, so that tbot issues nothing", (NOTHING,)),
        (
            {"listen": "tcp://0.0.0.0:8081"},
            f"{CONFIG}: listen is tcp://0.0.0.0:8081: tbot can find the calling process only through a unix socket",
            (NOTHING,),
        ),
        (
            {"listen": ""},
            f"{CONFIG}: listen is empty: tbot can find the calling process only through a unix socket",
            (NOTHING,),
        ),
        (
            {"listen": "unix:///tmp/socket"},
            f"{DAEMON_SET}: /tmp/socket is on no hostPath volume, so that no pod can reach it",
            (),
        ),
        (
            {"listen": "unix:///run/spire/sockets/sub/socket"},
            f"{DAEMON_SET}: tbot listens in /run/spire/sockets/sub on the node, injected pods mount /run/spire/sockets",
            ("socket-path-differs",),
        ),
    ],
)
def test_a_setting_of_the_service_that_breaks_it(service: dict[str, Any], words: str, causes: tuple[str, ...]) -> None:
    config = make.tbot_config(services=(make.workload_api(**service),))
    finding = judged(make.tbot(config=config))
    violated(finding, "INST-13", evidence=("ev-agent",), causes=causes)
    assert finding.seen.startswith(words)
    assert len(finding.problems) == 1


def test_a_selector_by_labels_names_something() -> None:
    config = make.tbot_config(services=(make.workload_api(selector_name="", selector_labels={"env": ("dev",)}),))
    holds(judged(make.tbot(config=config)), "INST-13")


def test_without_the_service_there_is_no_socket() -> None:
    config = make.tbot_config(services=(), unknown_keys=("servces",))
    finding = judged(make.tbot(config=config))
    violated(finding, "INST-13", causes=())
    assert finding.seen == (
        f"{CONFIG}: it has the unknown key servces: tbot silently ignores it;"
        " it has no service of type workload-identity-api, so that there is no socket"
    )


def test_misspelt_keys_are_ignored_wherever_they_stand() -> None:
    config = make.tbot_config(unknown_keys=("services[0].attestor", "proxy_sever"))
    finding = judged(make.tbot(config=config))
    violated(finding, "INST-13", causes=("attestor-misspelt",))
    assert [(found.said, found.cause) for found in finding.problems] == [
        ("it has the unknown key services[0].attestor: tbot silently ignores it", "attestor-misspelt"),
        ("it has the unknown key proxy_sever: tbot silently ignores it", ""),
    ]


REFUSED = "tbot-config-refused"


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (make.tbot_config(version=""), "it has no version, which tbot takes for v1: tbot 17 and 18 drop the services"),
        (make.tbot_config(version="v1"), "version is v1: tbot 17 and 18 drop the services"),
        (make.tbot_config(own_lifetimes=("credential_ttl",)), "the file has credential_ttl alone: tbot takes both"),
        (
            make.tbot_config(services=(make.workload_api(own_lifetimes=("renewal_interval",)),)),
            "the service at unix:///run/spire/sockets/socket has renewal_interval alone: tbot takes both",
        ),
        (
            make.tbot_config(services=(make.workload_api(own_lifetimes=BOTH, credential_ttl=60, renewal_interval=90),)),
            "asks for 60 s and renews after 90 s: tbot refuses a life that is shorter than the interval",
        ),
    ],
    ids=["no version", "version 1", "one lifetime", "one lifetime of a service", "life below interval"],
)
def test_a_file_that_tbot_refuses_or_takes_without_its_services(config: TbotConfig, said: str) -> None:
    violated(judged(make.tbot(config=config)), "INST-13", said, causes=(REFUSED,))


@pytest.mark.parametrize(
    "config",
    [
        make.tbot_config(own_lifetimes=BOTH),
        make.tbot_config(services=(make.workload_api(own_lifetimes=BOTH, credential_ttl=90, renewal_interval=90),)),
        # Its own lifetimes are the file's, of which tbot only warns.
        make.tbot_config(services=(make.workload_api(credential_ttl=60, renewal_interval=90),)),
    ],
)
def test_lifetimes_that_tbot_takes(config: TbotConfig) -> None:
    holds(judged(make.tbot(config=config)), "INST-13")


@pytest.mark.parametrize(
    ("scoped", "scope", "said"),
    [
        (True, "", "scoped is true, and the bot istio-tbot belongs to no scope: tbot exits"),
        (False, "/staging", "scoped is false, and the bot istio-tbot belongs to the scope /staging: tbot exits"),
    ],
)
def test_tbot_and_its_bot_must_agree_about_a_scope(*, scoped: bool, scope: str, said: str) -> None:
    tbot, bot = make.tbot(config=make.tbot_config(scoped=scoped)), make.bot(scope=scope)
    finding = sound(tbot, bot=bot)
    violated(finding, "INST-13", said, evidence=("ev-bot",), causes=("tbot-scope-differs",))


def test_tbot_and_its_bot_agree() -> None:
    for scoped, scope in ((True, "/staging"), (False, "")):
        tbot, bot = make.tbot(config=make.tbot_config(scoped=scoped)), make.bot(scope=scope)
        holds(sound(tbot, bot=bot), "INST-13", "ev-bot")


def test_without_an_admin_session_the_scope_of_the_bot_is_unknown() -> None:
    scoped = make.tbot(config=make.tbot_config(scoped=True))
    unknown(judged(scoped), "INST-13", "whether its bot belongs to a scope is unknown")
    holds(judged(make.tbot()), "INST-13")
    missing = sound(scoped, bot=make.absent("bot/istio-tbot"))
    holds(missing, "INST-13", "ev-absent-bot")


def test_a_misspelt_attestor_is_the_cause_of_what_is_not_enabled() -> None:
    config = make.tbot_config(
        services=(make.workload_api(kubernetes=None),), unknown_keys=("services[0].attestor.kubernetes",)
    )
    violated(judged(make.tbot(config=config)), "INST-13", "is not enabled", causes=("attestor-misspelt",))
    other = replace(config, unknown_keys=("services[0].selectr",))
    violated(judged(make.tbot(config=other)), "INST-13", "services[0].selectr", "is not enabled", causes=(NOTHING,))


def test_without_the_nodes_processes_tbot_cannot_tell_who_calls() -> None:
    finding = judged(make.tbot(host_pid=False))
    violated(finding, "INST-13", causes=("tbot-host-pid-missing",))
    assert finding.seen == f"{DAEMON_SET}: hostPID is not set, so that tbot cannot find the calling process"


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
    finding = judged(make.tbot(**given))
    violated(finding, "INST-13", f"{DAEMON_SET}: {words}", evidence=("ev-agent",), causes=("tbot-node-name-missing",))


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
    finding = judged(make.tbot(runs=make.tbot_container(env=env)))
    violated(finding, "INST-13", "TELEPORT_NODE_NAME is not set", causes=("tbot-node-name-missing",))


def test_a_socket_on_another_kind_of_volume_reaches_no_pod() -> None:
    hidden = make.tbot(volumes=make.tbot_volumes(sockets="emptyDir"))
    violated(judged(hidden), "INST-13", "/run/spire/sockets/socket is on no hostPath volume", causes=())


def looking_for(name: str, pod: str = "app") -> Pod:
    return make.pod(pod, proxy=make.istio_proxy(env={"WORKLOAD_IDENTITY_SOCKET_FILE": name}))


def test_pods_that_look_for_a_socket_of_another_name_than_tbots() -> None:
    finding = judged(make.tbot(), looking_for("agent.sock"), looking_for("agent.sock", "b"), make.pod("c"))
    violated(finding, "INST-13", causes=("socket-name-differs",))
    words = "tbot listens on /run/spire/sockets/socket of the node, injected pods look for /run/spire/sockets/agent.sock"
    assert finding.seen == f"{CONFIG}: {words}"
    assert finding.problems[0].evidence == ("ev-agent", "ev-pod-app", "ev-pod-b")


def test_pods_that_look_for_tbots_socket_by_its_name() -> None:
    renamed = make.workload_api(listen="unix:///run/spire/sockets/agent.sock")
    tbot = make.tbot(config=make.tbot_config(services=(renamed,)))
    holds(judged(tbot, looking_for("agent.sock")), "INST-13")
    violated(judged(tbot, make.pod()), "INST-13", causes=("socket-name-differs",))
    holds(judged(make.tbot(), looking_for("socket"), make.pod("b", injected=False)), "INST-13")


def test_two_tbots_of_a_node_with_names_of_their_own_in_one_directory() -> None:
    a, b = make.pool("a", make.SOCKETS, "node-1"), make.pool("b", make.SOCKETS, "node-1", socket="other")
    tbots, pods = make.tbots(a, b), [looking_for("socket"), looking_for("other", "b")]
    for tbot in tbots.each:
        holds(judged(tbot, *tbots.supplied_by(tbot, pods)), "INST-13")
    for tbot in tbots.each:
        wrong = judged(tbot, *tbots.supplied_by(tbot, [*pods, looking_for("third", "c")]))
        violated(wrong, "INST-13", f"look for {make.SOCKETS}/third", causes=("socket-name-differs",))


@pytest.mark.parametrize("directory", [make.SOCKETS, make.OTHER_SOCKETS])
def test_a_pod_may_look_for_the_socket_of_a_tbot_that_could_not_be_read(directory: str) -> None:
    ref = ObjectRef("DaemonSet", "tbot-b", "teleport-system")
    unread = [OtherTbot(ref, "it is in a Secret", unread=True, directories=frozenset({directory}))]
    pod = make.pod(
        proxy=make.istio_proxy(env={"WORKLOAD_IDENTITY_SOCKET_FILE": "other"}),
        socket=replace(make.NODES_SOCKET, path=directory),
    )
    joining = make.joining(make.tbot(), make.token())
    finding = configuration_is_sound(joining, TRUST_DOMAIN, [pod, make.pod("b")], EVIDENCE, unread=unread)
    unknown(finding, "INST-13", f"listens on {directory}/other; perhaps {ref} does")
    holds(configuration_is_sound(joining, TRUST_DOMAIN, [make.pod("b")], EVIDENCE, unread=unread), "INST-13")
    violated(configuration_is_sound(joining, TRUST_DOMAIN, [pod], EVIDENCE), "INST-13")


def test_pods_that_mount_another_directory_than_tbots() -> None:
    elsewhere = replace(make.NODES_SOCKET, path="/run/other")
    finding = judged(make.tbot(), make.pod(), make.pod("b", socket=elsewhere), make.pod("c", socket=make.EMPTY_DIR))
    violated(finding, "INST-13", causes=("socket-path-differs",))
    words = "tbot listens in /run/spire/sockets on the node, injected pods mount /run/other"
    assert finding.seen == f"{DAEMON_SET}: {words}"


def test_a_directory_that_looks_like_a_secret_leaves_no_other_one_open() -> None:
    hidden, elsewhere = (replace(make.NODES_SOCKET, path=path) for path in (f"/run/password={MARK}", "/run/other"))
    finding = judged(make.tbot(), make.pod(socket=hidden), make.pod("b", socket=elsewhere))
    violated(finding, "INST-13", "injected pods mount /run/other", causes=("socket-path-differs",))
    assert [hides_a_value(each.said) for each in finding.unclear] == [True]


@pytest.mark.parametrize(
    ("volume", "words", "causes"),
    [
        (
            {"audience": "teleport.example.com:443"},
            "the audience of its token is teleport.example.com:443; Teleport demands its cluster name teleport.example.com",
            ("token-audience-wrong",),
        ),
        (
            {"audience": ""},
            "the audience of its token is the default; Teleport demands its cluster name teleport.example.com",
            ("token-audience-wrong",),
        ),
        (
            {"seconds": 1801},
            "its token lives 1801 s; Teleport refuses more than 1800 s",
            ("token-lifetime-too-long",),
        ),
        (
            {"audience": "", "seconds": 3600},
            "the audience of its token is the default; Teleport demands its cluster name teleport.example.com;"
            " its token lives 3600 s; Teleport refuses more than 1800 s",
            ("token-audience-wrong", "token-lifetime-too-long"),
        ),
    ],
)
def test_a_join_token_file_that_teleport_refuses(volume: dict[str, Any], words: str, causes: tuple[str, ...]) -> None:
    finding = judged(make.tbot(volumes=make.tbot_volumes(**volume)))
    violated(finding, "INST-13", evidence=("ev-agent",), causes=causes)
    assert finding.seen == f"{DAEMON_SET}: {words}"


def test_a_token_of_exactly_half_an_hour_is_taken() -> None:
    holds(judged(make.tbot(volumes=make.tbot_volumes(seconds=1800))), "INST-13")


@pytest.mark.parametrize(
    "path", ["", "/var/run/secrets/kubernetes.io/serviceaccount/token", "/var/run/secrets/tokens/other"]
)
def test_a_token_that_is_not_projected_for_teleport(path: str) -> None:
    env = {"KUBERNETES_TOKEN_PATH": path, "TELEPORT_NODE_NAME": "fieldRef:spec.nodeName"}
    finding = judged(make.tbot(runs=make.tbot_container(env=env)))
    words = "does not join with a service-account token that is projected for Teleport"
    violated(finding, "INST-13", words, causes=("token-not-projected",))
    assert "KUBERNETES_TOKEN_PATH to its path" in CAUSES["token-not-projected"].remedy[0]


def test_the_configurations_own_token_path_comes_first() -> None:
    runs = make.tbot_container(env={"TELEPORT_NODE_NAME": "fieldRef:spec.nodeName"})
    config = make.tbot_config(token_path="/var/run/secrets/tokens/join-token")
    holds(judged(make.tbot(runs=runs, config=config)), "INST-13")


def test_another_join_method_needs_no_projected_token() -> None:
    config = make.tbot_config(join_method="iam")
    tbot = make.tbot(config=config, volumes=make.tbot_volumes(audience="x"))
    holds(sound(tbot, token=make.token(join_method="iam")), "INST-13")


@pytest.mark.parametrize("changes", [{"audience": "another"}, {"seconds": 3600}])
def test_where_the_type_of_the_join_token_is_unknown_so_is_what_tbot_must_join_with(changes: dict[str, Any]) -> None:
    other = make.tbot(volumes=make.tbot_volumes(**changes))
    finding = unknown_type(other)
    unknown(finding, "INST-13", "unless the join token is of type in_cluster")
    assert "admin session" in finding.settle
    violated(judged(other), "INST-13")
    holds(unknown_type(make.tbot()), "INST-13")
    by_iam = make.tbot(config=make.tbot_config(join_method="iam"), volumes=make.tbot_volumes(**changes))
    holds(unknown_type(by_iam), "INST-13")


def test_a_join_in_cluster_takes_the_pods_usual_token() -> None:
    usual = make.tbot(runs=make.tbot_container(env={"TELEPORT_NODE_NAME": "fieldRef:spec.nodeName"}))
    holds(sound(usual, token=make.token(kubernetes_type="in_cluster")), "INST-13", "ev-token", "ev-pods")
    oidc = sound(usual, token=make.token(kubernetes_type="oidc"))
    violated(oidc, "INST-13", "is projected for Teleport", evidence=("ev-token",))
    # INST-10 reports that the token is missing; the guide's would be of type static_jwks.
    violated(sound(usual, token=make.absent("token/x")), "INST-13", "is projected for Teleport")


OPEN = ("socket-without-attestor",)


def beside(listen: str, **changes: Any) -> Tbot:
    """Tbot with a second service, which stands first in its file."""
    second = make.workload_api(listen=listen, selector_name="fixed", **changes)
    found = make.tbot(config=make.tbot_config(services=(second, make.workload_api())))
    return replace(found, looked_for=frozenset({"/run/spire/sockets/socket"}))


def test_the_service_of_the_mesh_need_not_stand_first() -> None:
    elsewhere = beside("tcp://127.0.0.1:1234", kubernetes=None)
    holds(judged(elsewhere), "INST-13")
    holds(judged(beside("unix:///run/spire/sockets/second")), "INST-13")


@pytest.mark.parametrize("attestor", [None, make.attestor(enabled=False)])
@pytest.mark.parametrize("path", ["/run/spire/sockets/second", "/run/spire/sockets/below/second"])
def test_a_second_socket_in_reach_of_the_pods_must_attest_its_callers(path: str, attestor: Any) -> None:
    finding = judged(beside(f"unix://{path}", kubernetes=attestor))
    violated(finding, "INST-13", f"its service at {path}, which pods of the mesh can open", causes=OPEN)
