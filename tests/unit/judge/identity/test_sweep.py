"""The sweep over the mesh: ID-11, and who is meant to use Teleport's authority."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from facts.guide import Defect
from facts.kubernetes.objects import Labelled, Pod
from facts.proxies.identity import ProxyIdentity, Unread
from judge.identity.proxies import Lifetime
from judge.identity.sweep import Expectation, Lacking, lacking_template, mesh_is_teleports
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import holds, inapplicable, unknown, violated
from tests.unit.judge.builders import EMPTY_DIR, SOCKETS

EXPECTED = Expectation(make.bundle(), make.istiod(), Lifetime(timedelta(minutes=61), "an hour", ("ev-agent",)))
GATEWAY = make.pod(
    "gateway",
    namespace="istio-system",
    service_account="gateway",
    proxy=make.istio_proxy(is_init=False, args=("proxy", "router")),
)


def sweep(*found: ProxyIdentity | Unread, pods: tuple[Pod, ...] = (), lacking: tuple[Lacking, ...] = ()) -> Any:
    return mesh_is_teleports(make.sidecars(*found, pods=pods), EXPECTED, lacking, "spire")


def test_sidecars_and_gateways_that_are_teleports() -> None:
    finding = sweep(make.proxy(), make.proxy(GATEWAY), pods=(GATEWAY,))
    holds(finding, "ID-11", "ev-pods", "ev-bundle", "ev-istiod", "ev-agent", "ev-proxy-app", "ev-proxy-gateway")
    assert finding.seen == "1 sidecars and 1 gateways meet ID-01 to ID-06"
    assert finding.where == "2 proxies in 2 namespaces"


def test_a_mesh_of_nobody() -> None:
    inapplicable(sweep(), "ID-11", "ev-pods")


def test_a_gateway_with_istiods_certificate_is_named_as_that() -> None:
    finding = sweep(make.proxy(), make.istiod_proxy(GATEWAY), pods=(GATEWAY,))
    violated(finding, "ID-11", "gateway Pod istio-system/gateway: fails ID-01, ID-03, ID-06: ", "is in mode istio-ca")
    assert "test-app/app" not in finding.seen
    assert finding.guide_defect is Defect.GATEWAY


def test_one_bad_pod_among_fifty() -> None:
    good = [make.proxy(make.pod(f"p{n}")) for n in range(49)]
    bad = make.istiod_proxy(make.pod("bad"))
    finding = sweep(*good, bad)
    violated(finding, "ID-11", "Pod test-app/bad: fails ID-01")
    assert finding.guide_defect is None
    assert finding.seen.count("fails") == 1
    assert finding.where.startswith("50 proxies")


def test_what_cannot_be_read_is_listed_and_hides_nothing() -> None:
    a, b = make.pod("a"), make.pod("b")
    unknown(sweep(make.proxy(a), make.unread(b)), "ID-11", "Pod test-app/b: could not be read")
    both = sweep(make.istiod_proxy(a), make.unread(b))
    violated(both, "ID-11", "Pod test-app/a: fails", "Pod test-app/b: could not be read")


def test_why_it_lacks_the_template_stands_beside_what_it_fails() -> None:
    bad = make.pod("bad", socket=EMPTY_DIR)
    why = Lacking(bad, "app beside it uses the node's socket")
    finding = sweep(make.proxy(), make.istiod_proxy(bad), pods=(bad,), lacking=(why,))
    violated(finding, "ID-11", "; it lacks the template spire: app beside it uses the node's socket")
    assert finding.seen.count("lacks the template") == 1


def test_a_workload_without_any_proxy_fails_the_mesh() -> None:
    plain = make.pod("plain", injected=False)
    finding = sweep(make.proxy(), lacking=(Lacking(plain, "it asks for the template spire"),))
    violated(finding, "ID-11", "Pod test-app/plain: lacks the template spire", evidence=("ev-pod-plain",))


# Who is meant to.


ASKS = {"inject.istio.io/templates": "sidecar, spire"}


def lacking(*pods: Pod, namespaces: tuple[Labelled, ...] = (make.namespace(),), **injector: Any) -> dict[str, str]:
    mesh = make.mesh(injector=make.injector(**injector))
    return {each.pod.name: each.why for each in lacking_template(pods, namespaces, mesh, "spire", SOCKETS)}


def test_who_uses_the_nodes_socket_lacks_nothing() -> None:
    assert lacking(make.pod("a", annotations=ASKS), make.pod("b")) == {}


def test_who_is_alone_on_istiod_is_not_meant_to() -> None:
    """A namespace that has not moved yet: the sweep fails it for its certificate, not for a template it never asked for."""
    assert lacking(make.pod("a", socket=EMPTY_DIR), make.pod("b", socket=EMPTY_DIR)) == {}


@pytest.mark.parametrize("proxy", [True, False])
def test_who_asks_for_the_template_is(proxy: bool) -> None:
    pod = make.pod("a", socket=EMPTY_DIR, annotations=ASKS, injected=proxy)
    assert lacking(pod, namespaces=()) == {"a": "it asks for the template spire"}


def test_a_template_of_another_name_is_not_that_one() -> None:
    other = {"inject.istio.io/templates": "sidecar,spire2"}
    assert lacking(make.pod("a", socket=EMPTY_DIR, annotations=other)) == {}


def test_who_gets_the_template_by_default_is() -> None:
    pod = make.pod("a", socket=EMPTY_DIR)
    defaults = ("sidecar", "spire")
    assert "default" in lacking(pod, default_templates=defaults)["a"]
    assert lacking(make.pod("a", injected=False), default_templates=defaults) == {}
    named = replace(pod, annotations={"inject.istio.io/templates": "sidecar"})
    assert lacking(named, default_templates=defaults) == {}


def test_the_annotation_on_the_namespace_means_it_and_does_nothing() -> None:
    annotated = make.namespace(annotations=ASKS)
    assert "which Istio reads from pods alone" in lacking(make.pod("a", socket=EMPTY_DIR), namespaces=(annotated,))["a"]


def test_a_sibling_on_the_socket_shows_what_is_meant() -> None:
    elsewhere = make.pod("c", namespace="other", socket=EMPTY_DIR)
    found = lacking(make.pod("a"), make.pod("b", socket=EMPTY_DIR), elsewhere)
    assert found == {"b": "a beside it uses the node's socket"}


@pytest.mark.parametrize(
    ("changes", "meant"),
    [
        ({}, True),
        ({"labels": {"sidecar.istio.io/inject": "false"}}, False),
        ({"annotations": {"sidecar.istio.io/inject": "false"}}, False),
    ],
)
def test_a_pod_without_a_proxy_beside_others_that_have_one(changes: dict[str, Any], meant: bool) -> None:
    plain = make.pod("plain", injected=False, **changes)
    assert ("plain" in lacking(make.pod("a"), plain)) is meant
    assert "plain" not in lacking(make.pod("a"), plain, namespaces=(make.namespace(labels={}),))


def test_a_pod_on_the_nodes_network_is_outside_of_the_mesh() -> None:
    plain = make.pod("plain", injected=False)
    assert lacking(make.pod("a"), replace(plain, spec=replace(plain.spec, host_network=True))) == {}
