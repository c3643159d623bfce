"""Ports that go past the proxy: by the arguments of the container that redirects, by annotations, by the node's network."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from facts.errors import CouldNotTell
from facts.kubernetes.objects import Pod, parse_pod
from facts.kubernetes.redirection import application_ports, redirection_of
from tests.data import document
from tests.unit.judge import builders as make


def pod(*arguments: str, name: str = "istio-init", annotations: dict[str, str] | None = None, **spec: Any) -> Pod:
    made = make.pod(annotations=annotations or {})
    init = make.container(name, is_init=True, args=("istio-iptables", *arguments))
    containers = (*((init,) if arguments else ()), *made.spec.containers)
    return replace(made, spec=replace(made.spec, containers=containers, **spec))


def past(of: Pod, *ports: int) -> list[int]:
    redirection = redirection_of(of)
    return [port for port in ports if redirection.bypasses(port)]


CAPTURED = ("-p", "15001", "-z", "15006", "-m", "REDIRECT", "-i", "*", "-x", "", "-b", "*", "-d", "15090,15021,15020")


@pytest.mark.parametrize("name", ["istio-init", "istio-validation"])
def test_every_port_is_redirected_and_those_of_istio_itself_do_not_count(name: str) -> None:
    of = pod(*CAPTURED, name=name)
    assert past(of, 80, 8080, 15020) == []
    assert redirection_of(of).said == f"arguments of {name}: included *, excluded none"


def test_the_captured_pod_redirects_every_port() -> None:
    document_of = next(p for p in document("cluster/pods.json")["items"] if p["metadata"]["name"].startswith("test-app-75"))
    captured = parse_pod(document_of)
    assert past(captured, 8080) == []
    assert application_ports(captured) == {8080}


def test_ports_that_are_excluded() -> None:
    of = pod("-m", "REDIRECT", "-b", "*", "-d", "15090,15021,15020,8080, 9090")
    assert past(of, 80, 8080, 9090) == [8080, 9090]
    assert redirection_of(of).said.endswith("included *, excluded 8080, 9090")


def test_ports_that_alone_are_included() -> None:
    of = pod("-m", "TPROXY", "-b", "8080,9090", "-d", "9090")
    assert past(of, 80, 8080, 9090) == [80, 9090]
    assert redirection_of(of).said.endswith("included 8080,9090, excluded 9090")


@pytest.mark.parametrize("included", [("-b", ""), ()])
def test_no_port_is_included(included: tuple[str, ...]) -> None:
    of = pod("-m", "REDIRECT", *included, "-d", "")
    assert past(of, 80) == [80]
    assert redirection_of(of).said.endswith("included none, excluded none")


def test_the_mode_in_which_nothing_is_redirected() -> None:
    assert past(pod("-m", "NONE", "-b", "*"), 80) == [80]
    of = pod(annotations={"sidecar.istio.io/interceptionMode": "NONE"})
    assert past(of, 80) == [80]
    assert redirection_of(of).said == "annotations of the pod: interception mode NONE"


def test_the_nodes_network() -> None:
    of = pod(*CAPTURED, host_network=True)
    assert past(of, 80) == [80]
    assert "node's network" in redirection_of(of).said


def test_annotations_count_where_no_container_redirects() -> None:
    left_out = {"traffic.sidecar.istio.io/excludeInboundPorts": "8080"}
    assert past(pod(annotations=left_out), 80, 8080) == [8080]
    assert past(pod(*CAPTURED, annotations=left_out), 80, 8080) == []
    assert past(pod(annotations={"traffic.sidecar.istio.io/includeInboundPorts": "8080"}), 80, 8080) == [80]
    assert past(pod(), 80) == []


@pytest.mark.parametrize("ports", ["eighty", "80,x", "-1", "²", "9" * 5000])
def test_a_damaged_list_is_said_to_be_damaged(ports: str) -> None:
    with pytest.raises(CouldNotTell) as caught:
        redirection_of(pod("-b", "*", "-d", ports))
    assert caught.value.expected == "port numbers with commas between"
    assert "Pod test-app/app" in caught.value.where


def test_ports_that_an_application_declares() -> None:
    made = make.pod(proxy=make.istio_proxy(tcp_ports=(15090, 7070)))
    app = make.container("app", tcp_ports=(8080, 15021))
    of = replace(made, spec=replace(made.spec, containers=(*made.spec.containers, app)))
    assert application_ports(of) == {8080}
    without = make.pod(injected=False)
    assert application_ports(replace(without, spec=replace(without.spec, containers=(app,)))) == {8080}
