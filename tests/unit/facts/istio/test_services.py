"""Services, and which of them leads plain HTTP to an ingress gateway."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from facts.errors import CouldNotTell
from facts.istio.gateways import Gateway
from facts.istio.services import Service, ingress_of, parse_service
from facts.kubernetes.pod_spec import selects
from tests.unit.judge import builders as make

LABELS = {"app": "istio-ingressgateway", "istio": "ingressgateway", "pod-template-hash": "x"}


def gateway() -> Gateway:
    return make.ingress_gateway(labels=LABELS)


def service(**changes: Any) -> Service:
    made = Service(
        "istio-system", "ingress", {"istio": "ingressgateway"}, {"status-port": 15021, "http2": 80, "https": 443}, ()
    )
    return replace(made, **changes)


def test_a_service_as_the_api_server_has_it() -> None:
    ports = [{"name": "http2", "port": 80, "targetPort": 8080, "nodePort": 30080}, {"port": 15021}]
    document = {
        "metadata": {"name": "ingress", "namespace": "istio-system"},
        "spec": {"selector": {"istio": "ingressgateway"}, "ports": ports},
    }
    assert parse_service(document, ("ev-1",)) == Service(
        "istio-system", "ingress", {"istio": "ingressgateway"}, {"http2": 80, "": 15021}, ("ev-1",)
    )
    with pytest.raises(CouldNotTell):
        parse_service({"metadata": {"name": "x"}, "spec": {"ports": [{"port": "80"}]}})


@pytest.mark.parametrize(
    ("ports", "port"),
    [
        ({"http2": 80, "https": 443}, 80),
        ({"web": 80}, 80),
        ({"https": 443, "http-web": 8080}, 8080),
        ({"https": 443, "http2": 8080}, 8080),
        ({"https": 443, "http2-web": 8081}, 8081),
        ({"https": 443}, None),
        ({}, None),
    ],
)
def test_the_port_for_plain_http(ports: dict[str, int], port: int | None) -> None:
    found = ingress_of(gateway(), (service(ports=ports),))
    assert (found.port if found else None) == port


@pytest.mark.parametrize(
    "other", [service(namespace="elsewhere"), service(selector={}), service(selector={"istio": "egressgateway"})]
)
def test_a_service_of_others_leads_nowhere(other: Service) -> None:
    assert ingress_of(gateway(), (other,)) is None
    found = ingress_of(gateway(), (other, service()))
    assert found is not None
    assert found.service == service()


@pytest.mark.parametrize(
    ("labels", "selected"),
    [({"a": "1"}, True), ({"a": "1", "b": "2"}, True), ({"a": "2"}, False), ({}, False)],
)
def test_a_selector_takes_pods_with_all_its_labels(labels: dict[str, str], selected: bool) -> None:
    assert service(selector={"a": "1"}).selects(labels) is selected
    assert not service(selector={}).selects(labels)


def test_damage_names_the_service() -> None:
    with pytest.raises(CouldNotTell) as caught:
        parse_service({"metadata": {"namespace": "n", "name": "s"}, "spec": {"ports": 1}})
    assert caught.value.where == "Service n/s"


def test_two_labels_that_were_redacted_are_not_the_same() -> None:
    """Else a Service would lead to the pods of whoever has another label of that kind."""
    hidden = {"app": "[redacted]", "tier": "edge"}
    assert not selects(hidden, hidden)
    assert selects({"tier": "edge"}, hidden)
    assert not selects({}, hidden)
