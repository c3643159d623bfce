"""NEG-01, NEG-04 and NEG-07: what becomes of workloads without the socket."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from facts.finding import Finding, Holds
from facts.guide import GuideAnswer
from facts.kubernetes.objects import Pod
from facts.kubernetes.pod_spec import Volume
from facts.proxies.envoy import Validator
from facts.proxies.identity import Fleet
from facts.proxies.sds_mode import SdsMode
from facts.traffic.refusal import AttemptEnd
from facts.traffic.refusal import AttemptOutcome as Ending
from judge.explain.cause import CAUSES
from judge.identity.fallback import (
    fallback_is_recognised,
    install_fails_closed,
    lets_in_its_like,
    other_name_fails_closed,
    usual_name_falls_back,
)
from judge.identity.proxies import ObservedProxies
from providers.teleport.facts.tbot import Tbots
from tests.unit.judge import attempts
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import holds, unknown, violated
from tests.unit.judge.certificates import TRUST_DOMAIN, authority, svid

# NEG-01


def recognised(fallback: ObservedProxies, *guide: GuideAnswer) -> Finding:
    """The judgment on that workload, with a guide that is content unless another is given."""
    return fallback_is_recognised(fallback, guide or (make.guide(), make.guide()), make.bundle(), attempts.istiod())


def test_a_pod_of_istiods_is_recognised_although_the_guide_is_content() -> None:
    finding = recognised(attempts.fallback())
    holds(finding, "NEG-01", "ev-guide", "ev-proxy-fallback")
    assert [r for r in ("ID-01", "ID-03", "ID-06", "ID-07") if f"{r}: " not in finding.seen] == []
    assert finding.guide_says


@pytest.mark.parametrize(
    ("changes", "requirement"),
    [
        ({"sds_mode": SdsMode.EXTERNAL, "csr_count": 0, "agent_certificate_held": False}, "ID-01 holds for it"),
        ({"chain": (svid("conformance-1", "fallback"),)}, "ID-03 holds for it"),
        ({"validator": Validator.SPIFFE, "root_authorities": {TRUST_DOMAIN: (authority(),)}}, "ID-06 holds for it"),
        ({"csr_count": 0, "agent_certificate_held": False}, "ID-07 holds for it"),
    ],
    ids=["ID-01", "ID-03", "ID-06", "ID-07"],
)
def test_a_judgment_that_is_deceived(changes: dict[str, Any], requirement: str) -> None:
    finding = recognised(attempts.fallback(**changes))
    violated(finding, "NEG-01", causes=())
    assert finding.seen.startswith(f"{requirement}: ")
    assert finding.where == "Pod conformance-1/fallback"


def test_a_pod_that_is_broken_otherwise_shows_nothing() -> None:
    finding = recognised(attempts.fallback(), make.guide(healthy=False))
    unknown(finding, "NEG-01")
    assert finding.seen == "the guide finds something: kubectl get pods: the guide is not"
    unread = ObservedProxies((attempts.pod("fallback"),), make.fleet(make.unread(attempts.pod("fallback"))), ("ev-pods",))
    words = "could not be determined: Pod conformance-1/fallback: the suite could not read it: forbidden"
    unknown(recognised(unread), "NEG-01", *(f"{r} {words}" for r in ("ID-01", "ID-03", "ID-06", "ID-07")))


def test_a_judgment_that_is_deceived_is_told_even_where_the_guide_finds_something() -> None:
    its = attempts.pod("fallback")
    deceived = ObservedProxies((its,), make.fleet(make.proxy(its)), ("ev-pods",))
    finding = recognised(deceived, make.guide(healthy=False))
    violated(finding, "NEG-01", "ID-01 holds for it", "the guide finds something", causes=())


def test_workloads_of_istiods_shake_hands() -> None:
    holds(lets_in_its_like(attempts.handshake(outcome=attempts.GRANTED)), "NEG-01", "ev-handshake")
    finding = lets_in_its_like(attempts.handshake())
    unknown(finding, "NEG-01")
    assert finding.seen.startswith("it refuses another pod that istiod certified: ")


# NEG-04

CSI = Volume("workload-socket", "csi", driver="csi.spiffe.io")


def test_another_name_without_a_socket_ends_the_agent() -> None:
    holds(other_name_fails_closed(attempts.closed()), "NEG-04", "ev-closed")


@pytest.mark.parametrize(
    ("changes", "words", "causes"),
    [
        ({"pod": attempts.pod("fail-closed", socket=make.EMPTY_DIR)}, "it is Ready", ()),
        (
            {"proxy": make.istiod_proxy()},
            "its Envoy runs; its Istio agent supplies its certificate, which istiod issued (mode istio-ca)",
            (),
        ),
        (
            {"pod": attempts.pod("fail-closed", ready=False)},
            "its volume workload-socket is hostPath, not an emptyDir of its own",
            (),
        ),
        (
            {"pod": attempts.pod("fail-closed", ready=False, socket=CSI)},
            "its volume workload-socket is csi, not an emptyDir of its own",
            (),
        ),
        (
            {"pod": attempts.pod("fail-closed", ready=False, socket=None)},
            "its volume workload-socket is missing, not an emptyDir of its own",
            (),
        ),
    ],
    ids=["ready", "Envoy", "the node's socket", "a driver's socket", "no volume"],
)
def test_another_name_that_does_not_fail_closed(changes: dict[str, Any], words: str, causes: tuple[str, ...]) -> None:
    finding = other_name_fails_closed(attempts.closed(**changes))
    violated(finding, "NEG-04", causes=causes)
    assert (finding.where, finding.seen) == ("Pod conformance-1/fail-closed", words)


def test_an_agent_that_ended_for_another_reason_shows_nothing() -> None:
    ended = attempts.closed(outcome=Ending(AttemptEnd.OTHER, "", "cannot reach istiod"))
    finding = other_name_fails_closed(ended)
    unknown(finding, "NEG-04", "cannot reach istiod")
    assert finding.seen.startswith("the start of its Istio agent: ")
    pending = other_name_fails_closed(attempts.not_run("fail-closed", "Pending"))
    unknown(pending, "NEG-04")
    assert (pending.where, pending.seen) == ("fail-closed", "it did not run: Pending")


def test_the_usual_name_falls_back_to_istiod() -> None:
    finding = usual_name_falls_back(attempts.fallen_back())
    holds(finding, "NEG-04", "ev-stranger")
    assert "istio-ca" in finding.seen


@pytest.mark.parametrize(
    ("changes", "words", "causes"),
    [
        (
            {"proxy": make.proxy(attempts.pod("stranger"))},
            "the SDS server on the node's socket supplies its certificate (mode external)",
            (),
        ),
        ({"proxy": None}, "its Envoy does not run", ()),
        ({"pod": attempts.pod("stranger", ready=False, socket=make.EMPTY_DIR)}, "it is not Ready", ()),
        (
            {"pod": attempts.pod("stranger")},
            "its volume workload-socket is hostPath, not an emptyDir of its own",
            (),
        ),
    ],
    ids=["external", "no Envoy", "not Ready", "the node's socket"],
)
def test_the_usual_name_that_does_not_fall_back(changes: dict[str, Any], words: str, causes: tuple[str, ...]) -> None:
    finding = usual_name_falls_back(attempts.fallen_back(**changes))
    violated(finding, "NEG-04", causes=causes)
    assert (finding.where, finding.seen) == ("Pod conformance-1/stranger", words)


def test_a_fall_back_that_did_not_run_shows_nothing() -> None:
    finding = usual_name_falls_back(attempts.not_run("stranger", "Pending"))
    unknown(finding, "NEG-04")
    assert (finding.where, finding.seen) == ("stranger", "it did not run: Pending")


# NEG-07


OTHER = "workload.sock"
DEFAULT = "socket-name-default"


def agent_on(name: str) -> Any:
    """Tbot with a socket of that name."""
    return make.tbot(config=make.tbot_config(services=(make.workload_api(listen=f"unix://{make.SOCKETS}/{name}"),)))


def proxies_on(*names: str) -> Fleet:
    """Proxies that look for sockets of those names."""
    return make.fleet(
        *(make.proxy(make.pod(f"app-{n}"), socket_path=f".{make.SOCKET_MOUNT}/{name}") for n, name in enumerate(names))
    )


def closed(tbots: Tbots, fleet: Fleet, *pods: Pod) -> Finding:
    """The judgment, on pods whose volumes tell no directory unless they are given."""
    return install_fails_closed(tbots, fleet, pods)


def test_a_socket_of_another_name_fails_closed() -> None:
    finding = closed(make.tbots(agent_on(OTHER)), proxies_on(OTHER, OTHER))
    holds(finding, "NEG-07", "ev-agent", "ev-proxy-app-0", "ev-proxy-app-1")
    assert finding.guide_says


@pytest.mark.parametrize(
    "proxies",
    [proxies_on("socket"), proxies_on(), proxies_on("socket", OTHER)],
    ids=["the guide's", "no proxy", "two names"],
)
def test_the_name_that_fails_open(proxies: Fleet) -> None:
    finding = closed(make.tbots(agent_on("socket")), proxies)
    violated(finding, "NEG-07", causes=(DEFAULT,))
    (shown,) = finding.showing(DEFAULT)
    assert str(shown.subject) == "DaemonSet teleport-system/tbot"
    assert (
        shown.said == "its socket is called `socket`: a proxy that starts without it falls back to istiod and becomes Ready"
    )
    assert finding.seen.startswith(f"{shown.subject}: {shown.said}")
    assert "Give the socket another file name in tbot's ConfigMap" in CAUSES[DEFAULT].remedy[0]


def test_a_proxy_that_looks_for_another_name_does_not_show_the_default_one() -> None:
    finding = closed(make.tbots(agent_on(OTHER)), proxies_on(OTHER, "socket"))
    violated(finding, "NEG-07", causes=())
    assert finding.seen == f"Pod test-app/app-1: it looks for `socket`, tbot's socket is called `{OTHER}`"
    assert finding.showing(DEFAULT) == ()


def test_a_tbot_that_listens_on_no_socket_of_the_node() -> None:
    elsewhere = replace(agent_on(OTHER), container=make.tbot_container(mounts=()))
    finding = closed(make.tbots(elsewhere), proxies_on(OTHER))
    violated(finding, "NEG-07", causes=())
    assert finding.seen == "DaemonSet teleport-system/tbot: tbot listens on no socket of the node"


def test_proxies_that_cannot_be_read_leave_it_open() -> None:
    partly = make.fleet(make.proxy(socket_path=f".{make.SOCKET_MOUNT}/{OTHER}"), make.unread())
    for proxies in (partly, make.fleet(make.unread())):
        finding = closed(make.tbots(agent_on(OTHER)), proxies)
        unknown(finding, "NEG-07")
        assert finding.seen == "Pod test-app/app: the suite could not read it: forbidden"
        assert finding.settle == "grant the right"
    nothing = install_fails_closed(make.tbots(agent_on(OTHER)), make.fleet(), [make.pod(socket=None)])
    unknown(nothing, "NEG-07")
    assert nothing.seen == "no proxy mounts tbot's socket directory"


def test_it_does_not_apply_without_an_injected_pod_unless_tbots_own_name_is_wrong() -> None:
    finding = install_fails_closed(make.tbots(agent_on(OTHER)), make.fleet(), [])
    assert (finding.holds, finding.condition) == (Holds.NOT_APPLICABLE, "no injected pod runs in the mesh")
    violated(install_fails_closed(make.tbots(agent_on("socket")), make.fleet(), []), "NEG-07", causes=(DEFAULT,))


def test_a_proxy_that_went_away_shows_no_name() -> None:
    read = make.proxy(socket_path=f".{make.SOCKET_MOUNT}/{OTHER}")
    finding = closed(make.tbots(agent_on(OTHER)), make.fleet(read, make.left_out()))
    holds(finding, "NEG-07", "ev-gone-gone")
    assert [str(each.subject) for each in finding.left_out] == ["Pod test-app/gone"]
    unknown(closed(make.tbots(agent_on(OTHER)), make.fleet(make.left_out())), "NEG-07")


def test_each_proxy_is_held_against_the_tbot_of_its_node() -> None:
    pool = replace(agent_on("pool.sock"), pods={"node-2": make.tbot_pod(node="node-2")})
    tbots = make.tbots(agent_on(OTHER), pool)
    right = make.proxy(make.pod("b", node="node-2"), socket_path=f".{make.SOCKET_MOUNT}/pool.sock")
    holds(closed(tbots, make.fleet(*proxies_on(OTHER).proxies, right)), "NEG-07")
    wrong = make.proxy(make.pod("b", node="node-2"), socket_path=f".{make.SOCKET_MOUNT}/{OTHER}")
    finding = closed(tbots, make.fleet(wrong))
    violated(finding, "NEG-07", f"it looks for `{OTHER}`, tbot's socket is called `pool.sock`", causes=())
    # On a node without tbot any of their names will do, and no other.
    apart = make.pod("c", node="node-3")
    named = [make.proxy(apart, socket_path=f".{make.SOCKET_MOUNT}/{name}") for name in ("pool.sock", "third.sock")]
    holds(closed(tbots, make.fleet(named[0])), "NEG-07")
    violated(closed(tbots, make.fleet(named[1])), "NEG-07", "socket is called `pool.sock, ")


def test_several_sockets_that_proxies_look_for() -> None:
    paths = {name: f"{make.SOCKETS}/{name}" for name in (OTHER, "second.sock")}
    services = tuple(make.workload_api(listen=f"unix://{path}") for path in paths.values())
    both = replace(make.tbot(config=make.tbot_config(services=services)), looked_for=frozenset(paths.values()))
    holds(closed(make.tbots(both), proxies_on(*paths)), "NEG-07")


def test_a_proxy_in_the_directory_of_another_pool_dials_no_socket_of_its_node() -> None:
    pool = replace(agent_on(OTHER), pods={"node-2": make.tbot_pod(node="node-2")})
    token, sockets = make.tbot_volumes()
    config = make.tbot_config(services=(make.workload_api(listen=f"unix://{make.SOCKETS}/{OTHER}"),))
    first = make.tbot(config=config, volumes=(token, replace(sockets, path=make.OTHER_SOCKETS)))
    pods = [make.pod("a", socket=make.OTHER_NODES_SOCKET), make.pod("b", node="node-2", socket=make.OTHER_NODES_SOCKET)]
    fleet = make.fleet(*(make.proxy(pod, socket_path=f".{make.SOCKET_MOUNT}/{OTHER}") for pod in pods))
    finding = closed(make.tbots(first, pool), fleet, *pods)
    violated(finding, "NEG-07", causes=())
    said = f"it looks for `{make.OTHER_SOCKETS}/{OTHER}` on its node, tbot's socket there is `{make.SOCKETS}/{OTHER}`"
    assert finding.seen == f"Pod test-app/b: {said}"


def test_a_csi_volume_tells_no_directory_so_that_the_names_are_compared() -> None:
    pods = [make.pod("a", socket=Volume("workload-socket", "csi", driver="csi.example.com"))]
    for name, answers in ((OTHER, True), ("third.sock", False)):
        fleet = make.fleet(make.proxy(pods[0], socket_path=f".{make.SOCKET_MOUNT}/{name}"))
        finding = closed(make.tbots(agent_on(OTHER)), fleet, *pods)
        assert (finding.holds is Holds.YES) is answers
