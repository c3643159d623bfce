"""The sweep over the mesh: ID-11, and who is meant to use Teleport's authority."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from facts.finding import Finding, OpenPoint, Problem, Remark
from facts.istio.control_planes import ControlPlanes
from facts.kubernetes.label_selector import LabelSelector
from facts.kubernetes.objects import Labelled, Pod
from facts.proxies.envoy import Validator
from facts.proxies.identity import PodRef, ProxyIdentity, Unread
from facts.proxies.sds_mode import SdsMode, SecretState
from judge.explain.cause import CAUSES
from judge.identity.proxies import Lifetime
from judge.identity.sweep import (
    Expectation,
    Lacking,
    Outside,
    mesh_is_teleports,
    of_ambient_mode,
    outside_of_teleport,
)
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import holds, inapplicable, unknown, violated
from tests.unit.judge.builders import DIRECTORIES, EMPTY_DIR, OF_POOLS, OTHER_NODES_SOCKET
from tests.unit.judge.certificates import authority, svid

EXPECTED = Expectation(make.bundle(), make.istiod(), Lifetime(timedelta(minutes=61), "an hour", ("ev-agent",)))
GATEWAY = make.pod(
    "gateway",
    namespace="istio-system",
    service_account="gateway",
    proxy=make.istio_proxy(is_init=False, args=("proxy", "router")),
)


WAYPOINT = make.pod(
    "waypoint",
    service_account="waypoint",
    socket=EMPTY_DIR,
    proxy=make.istio_proxy(is_init=False, args=("proxy", "waypoint")),
)


def sweep(
    *found: ProxyIdentity | Unread,
    pods: tuple[Pod, ...] = (),
    lacking: tuple[Lacking, ...] = (),
    left_out: tuple[Remark, ...] = (),
    dark: tuple[OpenPoint, ...] = (),
) -> Finding:
    return mesh_is_teleports(make.sidecars(*found, pods=pods), EXPECTED, Outside(lacking, left_out, dark=dark))


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


def unasked(pod: Pod) -> ProxyIdentity:
    """A proxy in whose configuration nothing uses a certificate."""
    return make.proxy(
        pod, sds_mode=SdsMode.UNASKED, secret_state=SecretState.ABSENT, chain=(), validator=Validator.NONE,
        root_authorities={}, decided_by=("nothing asks for it",),
    )  # fmt: skip


@pytest.mark.parametrize("of", [GATEWAY, make.pod("app")])
def test_a_proxy_that_nothing_asks_for_a_certificate_is_named_as_that(of: Pod) -> None:
    finding = sweep(make.proxy(make.pod("b")), unasked(of), pods=(make.pod("b"), of))
    violated(finding, "ID-11", "its Envoy asks no SDS server for a certificate", causes=("no-certificate-asked-for",))
    # Before it is Ready, istiod may not have configured it yet.
    starting = replace(of, ready=False)
    violated(sweep(unasked(starting), pods=(starting,)), "ID-11", causes=())


def test_a_gateway_that_has_the_nodes_socket_does_not_lack_it() -> None:
    fallen = sweep(make.istiod_proxy(GATEWAY), pods=(GATEWAY,))
    violated(fallen, "ID-11", "as a gateway it fails ID-01", causes=())
    raced = sweep(make.proxy(GATEWAY, sds_mode=SdsMode.RACE), pods=(GATEWAY,))
    violated(raced, "ID-11", "as a gateway it fails ID-01", causes=("pod-started-before-tbot",))


def test_where_no_mutual_tls_is_used_a_gateway_does_not_lack_the_overlay() -> None:
    """Nothing asks the socket for a secret then, whatever the gateway mounts."""
    idle = make.proxy(GATEWAY, sds_mode=SdsMode.UNASKED, chain=(), secret_state=SecretState.ABSENT)
    for pod in (GATEWAY, replace(GATEWAY, spec=replace(GATEWAY.spec, volumes=(EMPTY_DIR,)))):
        violated(
            sweep(replace(idle, pod=PodRef.of(pod)), pods=(pod,)),
            "ID-11",
            "as a gateway it fails ID-01",
            causes=("no-certificate-asked-for",),
        )


def test_the_certificate_of_another_provider_on_the_socket_is_not_blamed_on_the_pods_annotation() -> None:
    """The pod is on the node's socket; what it lacks is no template."""
    for pod in (make.pod("bad"), make.pod("bad", annotations={})):
        other = make.proxy(pod, chain=(svid(issuer="rogue"), authority("rogue")))
        violated(sweep(other, pods=(pod,)), "ID-11", "it fails ID-03", causes=())


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


def test_what_ambient_mode_certifies_is_named_and_not_counted() -> None:
    namespaces = (make.namespace("ambient", labels={"istio.io/dataplane-mode": "ambient"}), make.namespace())
    ztunnel = make.pod("ztunnel", namespace="istio-system", proxy=make.istio_proxy(args=("proxy", "ztunnel")))
    ambient = of_ambient_mode((make.pod("a", namespace="ambient", injected=False), ztunnel, make.pod("b")), namespaces)
    finding = sweep(make.proxy(), make.istiod_proxy(WAYPOINT), pods=(WAYPOINT,), left_out=ambient)
    holds(finding, "ID-11")
    assert finding.seen == "1 sidecars and 0 gateways meet ID-01 to ID-06"
    assert [str(each.subject) for each in finding.held] == ["Pod test-app/app"]
    by_design = "in ambient mode istiod certifies it by design"
    assert [(str(each.subject), each.said) for each in finding.left_out] == [
        ("Pod test-app/waypoint", f"a waypoint: {by_design}"),
        ("Pod ambient/a", f"a workload: {by_design}"),
        ("Pod istio-system/ztunnel", f"a ztunnel: {by_design}"),
    ]


def test_a_waypoint_that_was_replaced_after_it_was_read_is_left_out_all_the_same() -> None:
    new = replace(WAYPOINT, name="waypoint-2", uid="uid-waypoint-2")
    found = make.sidecars(make.proxy(), make.istiod_proxy(WAYPOINT), make.istiod_proxy(new), pods=(WAYPOINT, new))
    listed = replace(found, pods=[pod for pod in found.pods if pod.uid != WAYPOINT.uid], asked=found.pods)
    finding = mesh_is_teleports(listed, EXPECTED, Outside())
    holds(finding, "ID-11")
    assert {str(each.subject) for each in finding.left_out} == {"Pod test-app/waypoint", "Pod test-app/waypoint-2"}


def test_a_mesh_of_waypoints_alone_has_no_workload_of_teleports() -> None:
    inapplicable(sweep(make.istiod_proxy(WAYPOINT), pods=(WAYPOINT,)), "ID-11", "ev-pods")


def test_a_mesh_of_waypoints_and_of_pods_that_nobody_can_ask_is_open() -> None:
    dark = OpenPoint(Problem(make.pod("dark").ref, "its node is not Ready"), "see why")
    finding = sweep(make.istiod_proxy(WAYPOINT), pods=(WAYPOINT,), dark=(dark,))
    unknown(finding, "ID-11", "Pod test-app/dark")
    assert finding.settle == "see why"
    beside = sweep(make.istiod_proxy(WAYPOINT), make.proxy(), pods=(WAYPOINT,), dark=(dark,))
    holds(beside, "ID-11", "ev-pods")
    assert "Pod test-app/dark" in {str(each.subject) for each in beside.left_out}


def test_a_waypoint_that_is_meant_to_use_the_socket_is_judged_as_what_it_is() -> None:
    on_socket = replace(WAYPOINT, spec=replace(WAYPOINT.spec, volumes=(make.NODES_SOCKET,)))
    violated(sweep(make.istiod_proxy(on_socket), pods=(on_socket,)), "ID-11", "as a waypoint it fails ID-01", causes=())
    other = make.proxy(WAYPOINT, chain=())
    violated(sweep(other, pods=(WAYPOINT,)), "ID-11", "as a waypoint it fails ID-02", causes=())
    asks = (Lacking(WAYPOINT, "it asks for the template spire", "gateway-without-socket"),)
    finding = sweep(make.istiod_proxy(WAYPOINT), pods=(WAYPOINT,), lacking=asks)
    violated(finding, "ID-11", "as a waypoint it fails", "it asks for the template", causes=("gateway-without-socket",))


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
    why = Lacking(bad, "app there uses the node's socket", "spire", "template-not-requested")
    finding = sweep(make.proxy(), make.istiod_proxy(bad), pods=(bad,), lacking=(why,))
    words = "; it lacks the template spire: app there uses the node's socket"
    violated(finding, "ID-11", words, causes=("template-not-requested",))
    assert finding.seen.count("it lacks the template") == 1


def test_the_cause_is_that_of_the_failure_before_that_of_the_template() -> None:
    """Without either, the volume tells it."""
    bad = make.pod("bad", socket=EMPTY_DIR)
    lacks = Lacking(bad, "it asks for the template spire", "spire", "template-without-node-socket")
    by_template = sweep(make.istiod_proxy(bad), pods=(bad,), lacking=(lacks,))
    violated(by_template, "ID-11", causes=("template-without-node-socket",))
    raced = sweep(make.proxy(bad, sds_mode=SdsMode.RACE), pods=(bad,), lacking=(lacks,))
    violated(raced, "ID-11", causes=("pod-started-before-tbot",))


def test_a_workload_without_any_proxy_fails_the_mesh() -> None:
    plain = make.pod("plain", injected=False)
    finding = sweep(make.proxy(), lacking=(Lacking(plain, "it asks for the template spire", "spire"),))
    violated(finding, "ID-11", evidence=("ev-pod-plain",), causes=())
    assert finding.seen == "Pod test-app/plain: it lacks the template spire: it asks for the template spire"


# Who is meant to.


ASKS = {"inject.istio.io/templates": "sidecar, spire"}
GATEWAYS = "gateway-without-socket"


def lacking(*pods: Pod, namespaces: tuple[Labelled, ...] = (make.namespace(),), **injector: Any) -> dict[str, str]:
    return {each.pod.name: each.why for each in found(*pods, namespaces=namespaces, **injector)}


def found(*pods: Pod, namespaces: tuple[Labelled, ...] = (make.namespace(),), **injector: Any) -> tuple[Lacking, ...]:
    planes = make.planes(make.mesh(injector=make.injector(**injector)))
    return outside_of_teleport(pods, namespaces, planes, "spire", DIRECTORIES).lacking


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


def test_a_gateway_has_templates_of_its_own_by_default() -> None:
    bare = replace(GATEWAY, spec=replace(GATEWAY.spec, volumes=(EMPTY_DIR,)))
    assert lacking(bare, namespaces=(), default_templates=("sidecar", "spire")) == {}


def test_a_pod_of_an_unknown_namespace_is_not_meant_to() -> None:
    assert lacking(make.pod("a"), make.pod("plain", injected=False), namespaces=()) == {}


def test_the_annotation_on_the_namespace_means_it_and_does_nothing() -> None:
    annotated = make.namespace(annotations=ASKS)
    (on_namespace,) = found(make.pod("a", socket=EMPTY_DIR), namespaces=(annotated,))
    assert "which Istio reads from pods only" in on_namespace.why
    assert on_namespace.cause == "annotation-on-namespace"
    for_gateways = make.namespace(annotations={"inject.istio.io/templates": "gateway"})
    (other,) = found(make.pod("a", socket=EMPTY_DIR), make.pod("b"), namespaces=(for_gateways,))
    assert other.cause == "template-not-requested"
    (on_both,) = found(make.pod("a", socket=EMPTY_DIR, annotations=ASKS), namespaces=(annotated,))
    assert on_both.cause == "template-without-node-socket"


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


def test_ambient_mode_is_another_way_into_the_mesh() -> None:
    plain = make.pod("plain", injected=False, labels={"istio.io/dataplane-mode": "ambient"})
    assert lacking(make.pod("a"), plain, WAYPOINT) == {}
    asks = replace(plain, annotations=ASKS)
    assert lacking(make.pod("a"), asks, replace(WAYPOINT, annotations=ASKS)) == dict.fromkeys(
        ("plain", "waypoint"), "it asks for the template spire"
    )


def test_a_pod_on_the_nodes_network_is_outside_of_the_mesh() -> None:
    plain = make.pod("plain", injected=False)
    assert lacking(make.pod("a"), replace(plain, spec=replace(plain.spec, host_network=True))) == {}


# Several revisions, and what Istio is told to leave alone.


def outside(*pods: Pod, planes: ControlPlanes, namespaces: tuple[Labelled, ...] = (make.namespace(),)) -> Outside:
    return outside_of_teleport(pods, namespaces, planes, "spire", DIRECTORIES)


def left_out(found: Outside) -> list[tuple[str, str]]:
    return [(str(each.subject), each.said) for each in found.left_out]


MOUNTS = "volumes:\n- name: workload-socket\n  hostPath: {path: /run/spire/sockets}"
OWN_NAME = make.injector(
    templates={"sidecar": "…", "tbot": MOUNTS}, default_templates=("sidecar", "tbot"), evidence=("ev-canary-injector",)
)
BOTH = make.planes(make.mesh(), make.canary(injector=OWN_NAME), stable="canary")


def test_a_template_is_that_of_the_pods_own_revision() -> None:
    """The canary's template has another name, and its pods get it by default; those of the default revision do not."""
    old = make.pod("old", socket=EMPTY_DIR, annotations=make.injected_by("default"))
    new = make.pod("new", socket=EMPTY_DIR, annotations=make.injected_by("canary"))
    (lacks,) = outside(old, new, planes=BOTH).lacking
    assert (lacks.pod.name, lacks.template, lacks.cause) == ("new", "tbot", "template-without-node-socket")
    assert lacks.why == "the template tbot is a default template of the mesh"
    finding = mesh_is_teleports(make.sidecars(make.proxy()), EXPECTED, Outside((lacks,)))
    violated(finding, "ID-11", "Pod test-app/new: it lacks the template tbot: the template tbot is a default template")


def test_a_pod_without_a_proxy_follows_the_revision_that_its_namespace_asks_for() -> None:
    plain = make.pod("plain", injected=False, annotations={"inject.istio.io/templates": "sidecar,tbot"})
    for labels, template in (({"istio.io/rev": "stable"}, "tbot"), ({"istio-injection": "enabled"}, "")):
        found = outside(plain, planes=BOTH, namespaces=(make.namespace(labels=labels),)).lacking
        assert [each.template for each in found] == [template] * bool(template)


def test_a_pod_of_an_unknown_revision_is_still_meant_to_by_what_it_asks() -> None:
    lost = make.pod("lost", socket=EMPTY_DIR, annotations=ASKS | make.injected_by("gone"))
    (lacks,) = outside(lost, planes=BOTH).lacking
    assert (lacks.template, lacks.cause) == ("spire", "template-without-node-socket")


NEVER = make.planes(
    make.mesh(injector=make.injector(never_inject=(LabelSelector({"job": "migrate"}),))),
)


@pytest.mark.parametrize(
    ("changes", "labels", "why"),
    [
        (
            {"labels": {"job": "migrate"}},
            {"istio-injection": "enabled"},
            "neverInjectSelector of Istio in istio-system fits its labels: job=migrate",
        ),
        (
            {},
            {"istio-injection": "disabled", "istio.io/rev": "default"},
            "its namespace has istio-injection=disabled, which keeps every revision off",
        ),
        (
            {"annotations": ASKS, "labels": {"job": "migrate"}},
            {"istio.io/rev": "default"},
            "neverInjectSelector of Istio in istio-system fits its labels: job=migrate",
        ),
        (
            {"labels": {"sidecar.istio.io/inject": "false"}},
            {"istio.io/rev": "default"},
            "it refuses injection with sidecar.istio.io/inject: false",
        ),
    ],
    ids=["neverInjectSelector", "disabled beside a revision", "though it asks", "by itself"],
)
def test_a_pod_that_istio_is_told_not_to_inject_is_left_out(
    changes: dict[str, Any], labels: dict[str, str], why: str
) -> None:
    plain = make.pod("plain", injected=False, **changes)
    found = outside(make.pod("sibling"), plain, planes=NEVER, namespaces=(make.namespace(labels=labels),))
    assert (found.lacking, left_out(found)) == ((), [("Pod test-app/plain", f"Istio is told not to inject it: {why}")])
    finding = mesh_is_teleports(make.sidecars(make.proxy()), EXPECTED, found)
    holds(finding, "ID-11", "ev-mesh", "ev-namespaces")
    assert finding.left_out == found.left_out


def test_a_pod_that_asks_for_the_template_and_refuses_injection_contradicts_itself() -> None:
    plain = make.pod("plain", injected=False, annotations=ASKS, labels={"sidecar.istio.io/inject": "false"})
    found = outside(plain, planes=NEVER)
    assert [each.why for each in found.lacking] == ["it asks for the template spire"]
    assert found.left_out == ()


def test_a_pod_with_a_proxy_is_never_left_out() -> None:
    pod = make.pod("a", socket=EMPTY_DIR, labels={"job": "migrate"}, annotations=ASKS)
    found = outside(pod, planes=NEVER, namespaces=(make.namespace(labels={"istio-injection": "disabled"}),))
    assert [each.pod.name for each in found.lacking] == ["a"]
    assert found.left_out == ()


def test_a_pod_that_nothing_asks_for_is_not_mentioned() -> None:
    plain = make.pod("plain", injected=False, labels={"job": "migrate"})
    found = outside(make.pod("sibling"), plain, planes=NEVER, namespaces=(make.namespace(labels={}),))
    assert (found.lacking, found.left_out) == ((), ())


def test_namespaces_that_no_istiod_watches_are_named() -> None:
    config = make.mesh_config(discovery_selectors=(LabelSelector({"watched": "yes"}),))
    planes = make.planes(make.mesh(config=config))
    namespaces = (
        make.namespace(labels={"watched": "yes"}),
        make.namespace("shop", labels={"istio-injection": "enabled"}, evidence=("ev-shop",)),
        make.namespace("kube-system", labels={}),
    )
    found = outside(make.pod("a"), make.pod("b", namespace="shop"), planes=planes, namespaces=namespaces)
    words = "no istiod watches it: its labels fit no discovery selector of the mesh configuration"
    assert left_out(found) == [("Namespace kube-system", words)]
    finding = mesh_is_teleports(make.sidecars(make.proxy()), EXPECTED, found)
    holds(finding, "ID-11", "ev-shop")
    assert [(str(n.subject), n.said, n.evidence) for n in finding.notes] == [
        ("Namespace shop", f"{words}, and 1 proxies run there", ("ev-shop",))
    ]


def test_with_one_revision_and_no_selectors_nothing_is_said_beside() -> None:
    found = outside(make.pod("a"), make.pod("b", injected=False), planes=make.planes())
    assert (found.left_out, found.unwatched) == ((), ())


def test_a_pod_that_was_not_asked_is_an_open_point_and_hides_no_violation() -> None:
    later, good, bad = make.pod("later"), make.proxy(make.pod("good")), make.istiod_proxy(make.pod("bad"))

    def found(*proxies: ProxyIdentity) -> Finding:
        observed = make.sidecars(*proxies)
        return mesh_is_teleports(replace(observed, pods=[*observed.pods, later]), EXPECTED, Outside())

    finding = found(good)
    unknown(finding, "ID-11", "Pod test-app/later: the suite did not ask it", evidence=("ev-pod-later",))
    assert finding.settle == "run again; the suite must ask every pod that it judges"
    violated(found(good, bad), "ID-11", "Pod test-app/bad: it fails ID-01", "Pod test-app/later: the suite did not ask it")


def test_a_pod_that_went_away_lacks_nothing_any_more() -> None:
    gone = make.pod("gone", socket=make.EMPTY_DIR)
    lacking = (Lacking(gone, "it asks for the template spire", "spire"),)
    proxies = make.sidecars(make.proxy(), make.left_out(of=gone))
    finding = mesh_is_teleports(proxies, EXPECTED, Outside(lacking))
    holds(finding, "ID-11", "ev-gone-gone")
    assert [str(each.subject) for each in finding.left_out] == ["Pod test-app/gone"]
    alone = make.sidecars(make.left_out(of=gone))
    unknown(mesh_is_teleports(alone, EXPECTED, Outside(lacking)), "ID-11", "went away")


def test_a_pod_of_another_pool_lacks_nothing() -> None:
    pods = make.pod("a", annotations=ASKS), make.pod("b", node="node-2", socket=OTHER_NODES_SOCKET, annotations=ASKS)
    named = [make.namespace()], make.planes(), "spire"
    assert outside_of_teleport(pods, *named, OF_POOLS).lacking == ()
    swapped = make.pod("a", socket=OTHER_NODES_SOCKET, annotations=ASKS)
    assert [each.cause for each in outside_of_teleport([swapped], *named, OF_POOLS).lacking] == [""]
    nowhere = make.pod("a", socket=replace(OTHER_NODES_SOCKET, path="/run/elsewhere"), annotations=ASKS)
    assert [each.cause for each in outside_of_teleport([nowhere], *named, OF_POOLS).lacking] == ["socket-path-differs"]
