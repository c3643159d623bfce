"""The story of one pod: where its way to a certificate of Teleport leaves what is wanted."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from facts.kubernetes.pod_spec import SOCKET_FILE, TEMPLATES
from facts.provider.agents import SocketDirectories
from facts.proxies.pushes import Pushes
from facts.proxies.sds_mode import SdsMode, SecretState
from judge.diagnosis import story
from judge.diagnosis.story import Line
from tests.unit.judge import builders as make
from tests.unit.judge.certificates import TRUST_DOMAIN

OWN = f"spiffe://{TRUST_DOMAIN}/ns/test-app/sa/test-app"


def wanted(line: Line) -> str:
    return line.wanted


def test_a_healthy_pod_is_as_wanted_at_every_step() -> None:
    pod, proxy = make.pod(), make.proxy()
    lines = (
        story.injection(pod, make.mesh()),
        story.template(pod, make.mesh(), "spire"),
        story.mount(pod, make.DIRECTORIES),
        story.tbot_of(pod, make.tbots()),
        story.mode(proxy),
        story.issuer(proxy, make.bundle(), make.istiod()),
        story.name(proxy, TRUST_DOMAIN),
        story.validity(proxy),
        story.streams(proxy),
        story.warming(proxy),
        story.refused(Pushes("v1")),
    )
    assert [line.title for line in lines if wanted(line)] == []
    assert "Teleport issued its certificate" in lines[5].said
    assert lines[6].said == OWN


def test_a_pod_without_a_proxy_or_without_a_known_control_plane() -> None:
    assert wanted(story.injection(make.pod(injected=False), None))
    assert "no control plane that the suite knows" in story.injection(make.pod(), None).said


def test_a_pod_that_does_not_ask_for_the_template() -> None:
    pod = make.pod(socket=make.EMPTY_DIR)
    assert story.template(pod, make.mesh(), "spire").wanted == f"{TEMPLATES} with spire"
    asking = replace(pod, annotations={TEMPLATES: "sidecar, spire"})
    line = story.template(asking, make.mesh(), "spire")
    assert (line.said, line.wanted) == (f"its annotation {TEMPLATES} is sidecar, spire", "")


def test_a_template_that_the_injector_does_not_have() -> None:
    assert "which it has not" in story.template(make.pod(), make.mesh(injector=make.injector(templates={})), "spire").wanted


def test_a_pod_whose_volume_is_not_the_nodes_socket() -> None:
    said = {
        "an emptyDir": story.mount(make.pod(socket=make.EMPTY_DIR), make.DIRECTORIES),
        "no volume": story.mount(make.pod(socket=None), make.DIRECTORIES),
        make.OTHER_SOCKETS: story.mount(make.pod(socket=make.OTHER_NODES_SOCKET), make.DIRECTORIES),
    }
    for words, line in said.items():
        assert words in line.said
        assert line.wanted == f"a hostPath of {make.SOCKETS}, where tbot listens"
    csi = replace(make.NODES_SOCKET, source="csi", path="", driver="csi.spiffe.io")
    assert not wanted(story.mount(make.pod(socket=csi), make.DIRECTORIES))


def test_a_node_without_a_ready_tbot() -> None:
    assert "no tbot pod runs on node-1" in story.tbot_of(make.pod(), make.tbots(replace(make.tbot(), pods={}))).said
    unready = replace(make.tbot(), pods={make.NODE: make.tbot_pod(ready=False)})
    assert story.tbot_of(make.pod(), make.tbots(unready)).wanted == "a Ready tbot pod on node-1"


def test_another_tbot_of_the_node_that_is_not_ready_is_no_matter() -> None:
    own, other = make.pool("own", "/run/own", make.NODE), make.pool("other", "/run/other", make.NODE)
    other = replace(other, pods={node: replace(pod, ready=False) for node, pod in other.pods.items()})
    pod = make.pod(socket=replace(make.NODES_SOCKET, path="/run/own"), proxy=make.istio_proxy(env={SOCKET_FILE: "socket"}))
    line = story.tbot_of(pod, make.tbots(other, own))
    assert (line.said, line.wanted) == (f"Pod teleport-system/own-{make.NODE} is Ready", "")


def test_a_pod_whose_tbot_is_missing_on_its_node_is_told_so_beside_another_one() -> None:
    other, own = make.pool("other", make.SOCKETS, make.NODE, "node-2"), make.pool("own", make.OTHER_SOCKETS, "node-2")
    pod, tbots = make.pod(socket=make.OTHER_NODES_SOCKET), make.tbots(other, own)
    assert story.tbot_of(pod, tbots).said == f"no tbot pod of DaemonSet teleport-system/own runs on {make.NODE}"
    assert not story.mount(pod, tbots.directories).wanted, "it is tbot that is missing"
    nowhere = make.pod(socket=replace(make.NODES_SOCKET, path="/run/elsewhere"))
    assert story.mount(nowhere, tbots.directories).wanted
    assert story.tbot_of(replace(pod, spec=replace(pod.spec, node="node-9")), tbots).said == "no tbot pod runs on node-9"


def test_a_certificate_of_istiod_and_one_of_nobody() -> None:
    line = story.issuer(make.istiod_proxy(), make.bundle(), make.istiod())
    assert line.said.startswith("istiod issued its certificate")
    assert line.wanted == f"Teleport's authority of {TRUST_DOMAIN}"
    nobody = story.issuer(make.istiod_proxy(), make.bundle(), make.istiod(authorities=()))
    assert "issued it: " in nobody.said
    assert wanted(story.issuer(make.proxy(chain=()), make.bundle(), make.istiod()))
    assert wanted(story.mode(make.istiod_proxy()))


def test_another_pods_name_is_not_wanted() -> None:
    assert story.name(make.proxy(), "other.example").wanted == "spiffe://other.example/ns/test-app/sa/test-app"


def test_a_certificate_that_has_ended_or_is_missing() -> None:
    proxy = make.proxy()
    assert proxy.leaf is not None
    late = replace(proxy, read_at=proxy.leaf.not_after + timedelta(seconds=1))
    assert wanted(story.validity(late))
    assert story.validity(late).said.endswith("-1 s left")
    assert wanted(story.validity(make.proxy(chain=())))


def test_dead_streams_warming_secrets_and_refused_updates() -> None:
    dead = make.proxy(streams=make.streams(rq_active=1))
    assert story.streams(dead).said.startswith("1 of 2 are live on ")
    assert story.streams(dead).wanted == "2 live streams"
    assert wanted(story.streams(make.proxy(streams=make.streams(cx_active=0))))
    warming = make.proxy(secret_state=SecretState.WARMING, chain=(), sds_mode=SdsMode.SILENT)
    assert story.warming(warming).said.startswith("default: Envoy waits")
    assert wanted(story.warming(warming))
    assert story.warming(make.proxy()).said == "none; default is active"
    refused = story.refused(Pushes("v1", rejected=3))
    assert (refused.said, bool(refused.wanted)) == ("3 of default", True)
    assert not wanted(story.refused(None))
    assert story.refused(None).settle


def test_a_slash_at_the_end_of_a_directory_makes_no_difference() -> None:
    slash = replace(make.NODES_SOCKET, path=f"{make.SOCKETS}/")
    assert not wanted(story.mount(make.pod(socket=slash), make.DIRECTORIES))
    assert not wanted(story.mount(make.pod(), SocketDirectories(frozenset({f"{make.SOCKETS}/"}))))


def test_a_step_has_its_title_whatever_is_so() -> None:
    pod, proxy, none = make.pod(), make.proxy(), make.proxy(chain=())
    elsewhere = make.istiod_proxy()
    steps = {
        "injection": [story.injection(each, None) for each in (pod, make.pod(injected=False))],
        "template": [story.template(pod, make.mesh(), name) for name in ("spire", "other")],
        "socket mount": [
            story.mount(make.pod(socket=volume), make.DIRECTORIES)
            for volume in (make.NODES_SOCKET, make.EMPTY_DIR, None, replace(make.NODES_SOCKET, source="csi", path=""))
        ],
        "tbot": [story.tbot_of(pod, each) for each in (make.tbots(), make.tbots(replace(make.tbot(), pods={})))],
        "SDS mode": [story.mode(proxy)],
        "issuer": [
            *(story.issuer(each, make.bundle(), make.istiod()) for each in (proxy, none, elsewhere)),
            story.issuer(elsewhere, make.bundle(), make.istiod(authorities=())),
        ],
        "SPIFFE ID": [story.name(proxy, TRUST_DOMAIN)],
        "validity": [story.validity(each) for each in (proxy, none)],
        "streams": [story.streams(proxy)],
        "secrets in WARMING": [story.warming(proxy)],
        "refused updates": [story.refused(each) for each in (None, Pushes("v1"))],
    }
    assert {title: {line.title for line in lines} for title, lines in steps.items()} == {title: {title} for title in steps}


def test_the_mode_that_is_wanted_is_the_nodes_socket_found_before_the_start() -> None:
    line = story.mode(make.istiod_proxy())
    assert line.said == f"{SdsMode.ISTIO_CA.told}: the agent found no socket at its start"
    assert line.wanted == "the SDS server on the node's socket, found before the proxy started"
