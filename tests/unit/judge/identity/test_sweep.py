"""The sweep over the mesh: ID-11, and who is meant to use Teleport's authority."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from facts.finding import Finding
from facts.kubernetes.objects import Labelled, Pod
from facts.proxies.identity import ProxyIdentity, Unread
from facts.proxies.sds_mode import SdsMode
from judge.causes import CAUSES
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


def sweep(*found: ProxyIdentity | Unread, pods: tuple[Pod, ...] = (), lacking: tuple[Lacking, ...] = ()) -> Finding:
    return mesh_is_teleports(make.sidecars(*found, pods=pods), EXPECTED, lacking, "spire")


def test_sidecars_and_gateways_that_are_teleports() -> None:
    finding = sweep(make.proxy(), make.proxy(GATEWAY), pods=(GATEWAY,))
    holds(finding, "ID-11", "ev-pods", "ev-bundle", "ev-istiod", "ev-agent", "ev-proxy-app", "ev-proxy-gateway")
    assert finding.seen == "1 sidecars and 1 gateways meet ID-01 to ID-06"
    assert finding.where == "2 proxies in 2 namespaces"


def test_an_empty_mesh() -> None:
    inapplicable(sweep(), "ID-11", "ev-pods")


def test_a_gateway_with_istiods_certificate_is_named_as_that() -> None:
    bare = replace(GATEWAY, spec=replace(GATEWAY.spec, volumes=(EMPTY_DIR,)))
    finding = sweep(make.proxy(), make.istiod_proxy(bare), pods=(bare,))
    violated(finding, "ID-11", causes=("gateway-without-socket",))
    assert finding.seen == (
        "Pod istio-system/gateway: as a gateway it fails ID-01, ID-03, ID-06:"
        " its Istio agent supplies its certificate, which istiod issued (mode istio-ca): the agent found no"
        " socket at its start"
    )
    assert finding.showing("gateway-without-socket") == finding.problems
    assert [(str(each.subject), each.said) for each in finding.held] == [("Pod test-app/app", "it meets ID-01 to ID-06")]
    assert "Install the gateway with the overlay" in CAUSES["gateway-without-socket"].remedy[0]


def test_a_gateway_that_has_the_nodes_socket_does_not_lack_it() -> None:
    fallen = sweep(make.istiod_proxy(GATEWAY), pods=(GATEWAY,))
    violated(fallen, "ID-11", "as a gateway it fails ID-01", causes=())
    raced = sweep(make.proxy(GATEWAY, sds_mode=SdsMode.RACE), pods=(GATEWAY,))
    violated(raced, "ID-11", "as a gateway it fails ID-01", causes=("pod-started-before-tbot",))


@pytest.mark.parametrize(
    ("pod", "causes"),
    [
        (make.pod("bad"), ()),
        (make.pod("bad", socket=EMPTY_DIR), ("template-not-requested",)),
        (make.pod("bad", socket=None), ("template-not-requested",)),
        (
            make.pod("bad", socket=EMPTY_DIR, annotations={"inject.istio.io/templates": "sidecar,bespoke"}),
            ("template-without-node-socket",),
        ),
    ],
    ids=["the node's socket", "emptyDir", "no volume", "another template"],
)
def test_the_pods_volume_tells_why_istiod_certified_it(pod: Pod, causes: tuple[str, ...]) -> None:
    violated(
        sweep(make.istiod_proxy(pod), pods=(pod,)),
        "ID-11",
        "its Istio agent supplies its certificate, which istiod issued (mode istio-ca)",
        causes=causes,
    )
    # With a certificate from the socket the volume has nothing to do with what is wrong.
    wrong = make.proxy(pod, chain=())
    violated(sweep(wrong, pods=(pod,)), "ID-11", "fails ID-02", causes=())


def test_one_bad_pod_among_fifty() -> None:
    good = [make.proxy(make.pod(f"p{n}")) for n in range(49)]
    bad = make.istiod_proxy(make.pod("bad"))
    finding = sweep(*good, bad)
    violated(finding, "ID-11", "Pod test-app/bad: it fails ID-01", causes=())
    assert finding.seen.count("fails") == 1
    assert finding.where.startswith("50 proxies")


def test_what_cannot_be_read_is_listed_and_hides_nothing() -> None:
    a, b = make.pod("a"), make.pod("b")
    open_one = sweep(make.proxy(a), make.unread(b))
    unknown(open_one, "ID-11")
    assert open_one.seen == "Pod test-app/b: the suite could not read it: forbidden"
    both = sweep(make.istiod_proxy(a), make.unread(b))
    violated(both, "ID-11", "Pod test-app/a: it fails", "Pod test-app/b: the suite could not read it")


def test_why_it_lacks_the_template_stands_beside_what_it_fails() -> None:
    bad = make.pod("bad", socket=EMPTY_DIR)
    why = Lacking(bad, "app there uses the node's socket", "template-not-requested")
    finding = sweep(make.proxy(), make.istiod_proxy(bad), pods=(bad,), lacking=(why,))
    words = "; it lacks the template spire: app there uses the node's socket"
    violated(finding, "ID-11", words, causes=("template-not-requested",))
    assert finding.seen.count("it lacks the template") == 1


def test_a_workload_without_any_proxy_fails_the_mesh() -> None:
    plain = make.pod("plain", injected=False)
    finding = sweep(make.proxy(), lacking=(Lacking(plain, "it asks for the template spire"),))
    violated(finding, "ID-11", evidence=("ev-pod-plain",), causes=())
    assert finding.seen == "Pod test-app/plain: it lacks the template spire: it asks for the template spire"


# Who is meant to.


ASKS = {"inject.istio.io/templates": "sidecar, spire"}
GATEWAYS = "gateway-without-socket"


def lacking(*pods: Pod, namespaces: tuple[Labelled, ...] = (make.namespace(),), **injector: Any) -> dict[str, str]:
    return {each.pod.name: each.why for each in found(*pods, namespaces=namespaces, **injector)}


def found(*pods: Pod, namespaces: tuple[Labelled, ...] = (make.namespace(),), **injector: Any) -> tuple[Lacking, ...]:
    mesh = make.mesh(injector=make.injector(**injector))
    return lacking_template(pods, namespaces, mesh, "spire", SOCKETS)


BY_DEFAULT = {"default_templates": ("sidecar", "spire")}
ASKS_FOR_LESS = {"inject.istio.io/templates": "sidecar"}
ANOTHER = replace(make.NODES_SOCKET, path="/run/other")


@pytest.mark.parametrize(
    ("pod", "injector", "cause"),
    [
        (make.pod("a", socket=EMPTY_DIR), {}, "template-not-requested"),
        (make.pod("a", socket=EMPTY_DIR, annotations=ASKS), {}, "template-without-node-socket"),
        (make.pod("a", socket=EMPTY_DIR), BY_DEFAULT, "template-without-node-socket"),
        (make.pod("a", socket=EMPTY_DIR, annotations=ASKS_FOR_LESS), BY_DEFAULT, "template-not-requested"),
        (make.pod("a", socket=ANOTHER, annotations=ASKS), {}, "socket-path-differs"),
        (replace(GATEWAY, name="a", namespace="test-app", spec=replace(GATEWAY.spec, volumes=(EMPTY_DIR,))), {}, GATEWAYS),
        (make.pod("a", injected=False, annotations=ASKS), {}, ""),
    ],
    ids=["sibling", "asks", "by default", "asks for less", "another directory", "gateway", "no proxy"],
)
def test_the_pods_specification_tells_why_it_lacks_the_template(pod: Pod, injector: Any, cause: str) -> None:
    (lacks,) = found(make.pod("sibling"), pod, **injector)
    assert (lacks.pod.name, lacks.cause) == ("a", cause)


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
    assert "which Istio reads from pods only" in lacking(make.pod("a", socket=EMPTY_DIR), namespaces=(annotated,))["a"]


def test_a_sibling_on_the_socket_shows_what_is_meant() -> None:
    elsewhere = make.pod("c", namespace="other", socket=EMPTY_DIR)
    found = lacking(make.pod("a"), make.pod("b", socket=EMPTY_DIR), elsewhere)
    assert found == {"b": "the pod a of its namespace uses the node's socket"}


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


def test_a_pod_that_went_away_lacks_nothing_any_more() -> None:
    gone = make.pod("gone", socket=make.EMPTY_DIR)
    lacking = (Lacking(gone, "it asks for the template spire"),)
    proxies = make.sidecars(make.proxy(), make.left_out(of=gone))
    finding = mesh_is_teleports(proxies, EXPECTED, lacking, "spire")
    holds(finding, "ID-11", "ev-gone-gone")
    assert [str(each.subject) for each in finding.left_out] == ["Pod test-app/gone"]
    unknown(mesh_is_teleports(make.sidecars(make.left_out(of=gone)), EXPECTED, lacking, "spire"), "ID-11", "went away")
