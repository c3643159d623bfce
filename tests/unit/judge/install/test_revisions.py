"""INST-05 to INST-08 and INST-16 in a cluster with several revisions of Istio: each control plane, each pod by its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from facts.errors import CouldNotTell
from facts.finding import Finding
from facts.istio.control_planes import ControlPlanes, UnreadPlane
from facts.istio.mesh import Mesh
from facts.kubernetes.objects import Condition, Pod
from facts.kubernetes.workloads import Deployment
from facts.proxies.envoy import HttpNormalization
from facts.proxies.identity import LeftOut, Normalization, Unread
from judge.checklist import istio_installed
from judge.install.components import istio_components
from judge.install.istio import (
    NORMALIZED,
    control_plane_is_available,
    images_are_of_their_istiods,
    normalizations_are_in_force,
    of_each_plane,
    other_injectors_have_the_template,
    release,
    trust_domain_is_teleports,
)
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import holds, inapplicable, unknown, violated
from tests.unit.judge.certificates import TRUST_DOMAIN

LIST = ("ev-pods",)
MOUNTS = {"sidecar": "…", "spire": "volumes:\n- name: workload-socket\n  hostPath:\n    path: /run/spire/sockets"}
DEFAULT = make.mesh()
CANARY = make.canary()
PLANES = make.planes(DEFAULT, CANARY)
OLD = make.pod("old", annotations=make.injected_by("default"))
NEW = make.pod(
    "new",
    annotations=make.injected_by("canary"),
    proxy=make.istio_proxy(image="registry.example/istio/proxyv2:1.32.0"),
)


def images(*pods: Pod, planes: ControlPlanes = PLANES) -> tuple[Finding, ...]:
    return images_are_of_their_istiods(planes.sorted_out(pods, [make.namespace(labels={})]), LIST)


def test_a_canary_that_is_down_fails_for_itself() -> None:
    down = replace(CANARY.istiod[0], conditions=(Condition("Available", "False"),), available=0)
    default, canary = (control_plane_is_available(mesh) for mesh in make.planes(DEFAULT, make.canary(istiod=(down,))))
    holds(default, "INST-05", "ev-mesh")
    violated(canary, "INST-05", evidence=("ev-canary",), causes=())
    assert canary.seen == "0 of 1 replicas are available (no reason given)"
    assert canary.where == "Deployment istio-system/istiod-canary"


def test_a_canary_without_istiod_is_named_by_its_revision() -> None:
    finding = control_plane_is_available(make.canary(istiod=()))
    violated(finding, "INST-05", causes=())
    assert finding.seen == "Istio in istio-system, revision canary: there is no istiod"


def test_a_canary_with_another_trust_domain_fails_for_itself() -> None:
    other = make.canary(config=make.mesh_config(trust_domain="cluster.local", evidence=("ev-canary-config",)))
    default, canary = (trust_domain_is_teleports(mesh, make.ping()) for mesh in make.planes(DEFAULT, other))
    holds(default, "INST-06", "ev-mesh-config", "ev-ping")
    violated(canary, "INST-06", evidence=("ev-canary-config",), causes=("trust-domain-differs",))
    assert canary.where == "ConfigMap istio-system/istio-canary"
    said = f"Istio's trust domain is cluster.local, Teleport's cluster name is {TRUST_DOMAIN}"
    assert [(str(each.subject), each.said) for each in canary.problems] == [("ConfigMap istio-system/istio-canary", said)]


def test_a_canary_with_another_trust_domain_may_belong_to_another_mesh_and_its_problem_says_so() -> None:
    """A remedy must not lead anybody to change a mesh that has nothing to do with Teleport."""
    other = make.canary(config=make.mesh_config(trust_domain="legacy.local"))
    planes, ping = make.planes(DEFAULT, other), make.ping()
    beside = planes.in_trust_domain(ping.cluster_name)
    assert beside == (DEFAULT,)
    finding = trust_domain_is_teleports(other, ping, beside)
    violated(finding, "INST-06", causes=("trust-domain-differs",))
    assert finding.seen.endswith(
        f"; {DEFAULT.title} has it: if this control plane belongs to another mesh, leave it as it is"
    )
    holds(trust_domain_is_teleports(DEFAULT, ping, beside), "INST-06")


def test_two_versions_of_two_revisions_are_not_mixed() -> None:
    default, canary = images(OLD, NEW)
    holds(default, "INST-05", "ev-mesh", "ev-pod-old")
    assert default.seen == "all 3 images have the version 1.31.0"
    assert default.where == "Istio in istio-system"
    holds(canary, "INST-05", "ev-canary", "ev-pod-new")
    assert canary.seen == "all 2 images have the version 1.32.0"
    assert canary.where == "Istio in istio-system, revision canary"


def test_a_pod_with_another_version_than_its_own_istiod() -> None:
    stale = replace(OLD, name="stale", annotations=make.injected_by("canary"))
    default, canary = images(stale)
    holds(default, "INST-05")
    violated(canary, "INST-05", causes=("istio-versions-mixed",))
    assert canary.seen == "Pod test-app/stale: it runs registry.example/istio/proxyv2:1.31.0"


def test_a_pod_whose_control_plane_is_gone() -> None:
    left = make.pod("left", annotations=make.injected_by("1-29"))
    *_planes, orphans = images(OLD, left)
    violated(orphans, "INST-05", evidence=("ev-pods", "ev-mesh", "ev-canary", "ev-pod-left"), causes=())
    assert orphans.seen == (
        "Pod test-app/left: it belongs to the revision 1-29, and there is istiod only of canary, default:"
        " nothing configures its proxy until it is started again"
    )
    assert orphans.expected == "every proxy to belong to a control plane of the cluster"
    assert orphans.where == "2 proxies; istiod of canary, default"


def lost_gateway(**changes: Any) -> Deployment:
    """A gateway of a revision that was removed."""
    made = make.gateway(**changes)
    return replace(made, template=replace(made.template, labels={"istio.io/rev": "1-29"}))


def test_a_gateway_whose_control_plane_is_gone() -> None:
    pods = PLANES.sorted_out([OLD], [make.namespace(labels={})])
    *_planes, lost = images_are_of_their_istiods(pods, LIST, [lost_gateway()])
    violated(lost, "INST-05", evidence=("ev-pods", "ev-istio-ingressgateway"), causes=())
    assert lost.seen == (
        "Deployment istio-system/istio-ingressgateway: it is a gateway of the revision 1-29, and there is istiod only of"
        " canary, default: nothing injects and configures its pods"
    )


def test_a_gateway_of_a_removed_revision_that_is_scaled_to_0_is_left_out() -> None:
    pods = PLANES.sorted_out([OLD], [make.namespace(labels={})])
    *_planes, lost = images_are_of_their_istiods(pods, LIST, [lost_gateway(desired=0, updated=0, available=0)])
    holds(lost, "INST-05")
    (left_out,) = lost.left_out
    assert left_out.said == "it is scaled to 0; there is no control plane of its revision 1-29"


def test_a_pod_of_which_nothing_tells_the_control_plane() -> None:
    *_planes, orphans = images(make.pod("untold"))
    unknown(orphans, "INST-05", evidence=("ev-pods", "ev-pod-untold"))
    assert orphans.seen == (
        "Pod test-app/untold: neither it nor its namespace tells which of the revisions canary, default it belongs to"
    )


WHY = CouldNotTell(
    expected="Istio's ConfigMap istio-system/istio-new", seen="it does not exist", where="x", remedy="install"
)
UNREAD = replace(make.planes(DEFAULT), unread=(UnreadPlane("istio-system", "new", WHY),))


def test_a_control_plane_that_could_not_be_read_hides_no_other() -> None:
    default, new = of_each_plane("INST-05", UNREAD, control_plane_is_available)
    holds(default, "INST-05", "ev-mesh")
    unknown(new, "INST-05", "it does not exist", evidence=("ev-mesh",))
    assert (new.expected, new.settle) == ("Istio's ConfigMap istio-system/istio-new", "install")
    *_planes, orphans = images(make.pod("of-new", annotations=make.injected_by("new")), planes=UNREAD)
    unknown(orphans, "INST-05", evidence=("ev-pod-of-new",))
    assert orphans.seen == "Pod test-app/of-new: the suite could not read the configuration of its revision"


def test_with_one_control_plane_there_is_one_finding() -> None:
    (finding,) = images(OLD, planes=make.planes(DEFAULT))
    holds(finding, "INST-05", "ev-mesh", "ev-pod-old")
    assert finding.expected == "every Istio image to carry istiod's version 1.31.0"


def test_the_injector_tells_the_version_of_an_istiod_by_digest() -> None:
    pinned = make.mesh(istiod=(make.deployment("istiod", make.container("discovery", "pilot@sha256:abc")),))
    (finding,) = images(OLD, planes=make.planes(pinned))
    unknown(finding, "INST-05", evidence=("ev-mesh",))
    assert (finding.seen, finding.expected) == (
        "Deployment istio-system/istiod: it runs pilot@sha256:abc",
        "every Istio image to carry istiod's version 1.31.0",
    )
    (older,) = images(replace(OLD, spec=NEW.spec), planes=make.planes(pinned))
    violated(older, "INST-05", "Pod test-app/old: it runs", causes=("istio-versions-mixed",))


@pytest.mark.parametrize(
    ("tag", "version"),
    [
        ("1.31.0", "1.31.0"),
        ("1.31.0-distroless", "1.31.0"),
        ("1.31.0-debug", "1.31.0"),
        ("1.31.0-fips-distroless", "1.31.0"),
        ("1.31.0-solo-fips", "1.31.0-solo"),
        ("1.31.0-fips-solo", "1.31.0-fips-solo"),
        ("1.31.0-rc.0", "1.31.0-rc.0"),
        ("1.31.0-fipsy", "1.31.0-fipsy"),
        ("", ""),
    ],
)
def test_the_version_in_a_tag(tag: str, version: str) -> None:
    assert release(tag) == version


# INST-07 and CHK-1: a dry run reaches one injector.


def templates(*planes: Mesh, injected: str = "default") -> tuple[Finding, ...]:
    dry_run = make.dry_run(pod=make.pod(annotations=make.injected_by(injected)))
    return other_injectors_have_the_template(make.planes(*planes), dry_run, "spire")


def canary_with(**texts: str) -> Mesh:
    return make.canary(injector=make.injector(templates=texts, evidence=("ev-canary-injector",)))


def test_an_injector_that_no_dry_run_reaches_must_have_the_template() -> None:
    (finding,) = templates(DEFAULT, canary_with(**MOUNTS))
    holds(finding, "INST-07", "ev-canary-injector")
    assert (finding.where, finding.seen) == ("Istio in istio-system, revision canary", "it has the template spire")
    (missing,) = templates(DEFAULT, canary_with(sidecar="…"))
    violated(missing, "INST-07", causes=("template-missing",))
    assert missing.seen == "there is no injection template spire, only sidecar"
    (other_name,) = templates(DEFAULT, canary_with(sidecar="…", tbot=MOUNTS["spire"]))
    holds(other_name, "INST-07", "ev-canary-injector")


def test_a_template_that_does_not_show_the_nodes_socket_is_not_certified_unseen() -> None:
    (finding,) = templates(DEFAULT, canary_with(sidecar="…", spire="{{ include }}"))
    unknown(finding, "INST-07", evidence=("ev-canary-injector",))
    assert finding.seen == "the text of its template spire does not show the node's socket"
    assert "names.app_namespace" in finding.settle


def test_the_injector_of_the_dry_run_is_not_judged_twice() -> None:
    assert templates(DEFAULT) == ()
    assert [f.where for f in templates(DEFAULT, CANARY, injected="canary")] == ["Istio in istio-system"]
    refused = make.dry_run(accepted=False, pod=None, message="no")
    assert len(other_injectors_have_the_template(PLANES, refused, "spire")) == 2
    assert other_injectors_have_the_template(make.planes(DEFAULT), refused, "spire") == ()
    by_default = make.dry_run(pod=make.pod(annotations=make.injected_by("default")))
    (new,) = other_injectors_have_the_template(UNREAD, by_default, "spire")
    unknown(new, "INST-07", "it does not exist")


def test_the_guides_first_item_for_every_control_plane() -> None:
    guide, planes = make.guide(), make.planes(DEFAULT, canary_with(sidecar="…"))
    default, canary = istio_installed(guide, planes, DEFAULT, make.ping(), dry_run=make.dry_run(), named="spire")
    holds(default, "CHK-1", "ev-mesh", "ev-dry-run")
    assert default.seen == f"istiod available, trust domain {TRUST_DOMAIN}, template spire injects"
    violated(canary, "CHK-1", causes=("template-missing",))
    assert canary.seen == "there is no injection template spire, only sidecar"
    assert "ev-dry-run" not in canary.evidence
    of_default, new = istio_installed(guide, UNREAD, DEFAULT, make.ping(), dry_run=make.dry_run(), named="spire")
    holds(of_default, "CHK-1")
    unknown(new, "CHK-1", "it does not exist")
    _default, sound = istio_installed(guide, PLANES, DEFAULT, make.ping(), dry_run=make.dry_run(), named="spire")
    assert sound.seen == f"istiod available, trust domain {TRUST_DOMAIN}, template spire is there"
    unasked = istio_installed(guide, PLANES, None, make.ping(), dry_run=None, named="spire")
    assert [finding.seen for finding in unasked] == [sound.seen, sound.seen]


# INST-08

BASE = HttpNormalization(*NORMALIZED["BASE"])
OF_CANARY = make.canary(config=make.mesh_config(normalization="BASE", evidence=("ev-canary-config",)))


def normalized(
    *asked: Normalization | Unread | LeftOut,
    pods: tuple[Pod, ...] = (OLD, NEW),
    planes: tuple[Mesh, ...] = (DEFAULT, OF_CANARY),
) -> tuple[Finding, ...]:
    sorted_out = make.planes(*planes).sorted_out(pods, [make.namespace(labels={})])
    return normalizations_are_in_force(sorted_out, asked, LIST)


def test_each_proxy_is_held_against_the_configuration_of_its_own_revision() -> None:
    default, canary = normalized(make.normalization("old"), make.normalization("new", BASE))
    holds(default, "INST-08", "ev-mesh-config", "ev-normalization-old")
    assert default.where == "inbound HTTP connection managers of 1 proxies"
    holds(canary, "INST-08", "ev-canary-config", "ev-normalization-new")
    assert canary.where == "inbound HTTP connection managers of 1 proxies, revision canary"
    assert canary.seen == "all proxies do as BASE demands"


def test_a_proxy_that_follows_the_other_revisions_configuration() -> None:
    default, canary = normalized(make.normalization("old", BASE), make.normalization("new"))
    for finding, pod in ((default, "old"), (canary, "new")):
        violated(finding, "INST-08", f"Pod test-app/{pod}: it has", causes=("proxy-older-than-mesh-config",))


def test_a_revision_without_proxies_says_nothing() -> None:
    (finding,) = normalized(make.normalization("old"), pods=(OLD,))
    holds(finding, "INST-08", "ev-mesh-config")


def test_a_revision_with_an_idle_gateway_alone_does_not_count() -> None:
    gateway: dict[str, Any] = {"proxy": make.istio_proxy(args=("proxy", "router"), is_init=False)}
    idle = make.pod("gate", annotations=make.injected_by("canary"), **gateway)
    silent = replace(make.normalization("gate", is_gateway=True), settings=())
    (finding,) = normalized(make.normalization("old"), silent, pods=(OLD, idle))
    holds(finding, "INST-08", "ev-mesh-config")
    (alone,) = normalized(silent, pods=(idle,))
    inapplicable(alone, "INST-08", "ev-normalization-gate")


def test_without_any_proxy_normalization_does_not_apply() -> None:
    (finding,) = normalized(pods=())
    inapplicable(finding, "INST-08", "ev-pods", "ev-mesh-config")


def test_a_proxy_without_a_control_plane_has_no_configuration() -> None:
    left = make.pod("left", annotations=make.injected_by("1-29"))
    default, orphans = normalized(make.normalization("old"), make.normalization("left"), pods=(OLD, left))
    holds(default, "INST-08", "ev-mesh-config")
    unknown(orphans, "INST-08", evidence=("ev-pods",))
    assert orphans.seen == "Pod test-app/left: the suite knows no mesh configuration for it"
    (alone,) = normalized(make.normalization("left"), pods=(left,), planes=(DEFAULT,))
    unknown(alone, "INST-08")


def test_pods_that_went_away_are_named_once_though_no_control_plane_has_them_any_more() -> None:
    default, canary = normalized(make.normalization("old"), make.normalization("new", BASE), make.left_out())
    holds(default, "INST-08", "ev-normalization-old", "ev-gone-gone")
    assert [str(each.subject) for each in default.left_out] == ["Pod test-app/gone"]
    assert canary.left_out == ()
    (of_canary,) = normalized(make.normalization("new", BASE), make.left_out(), pods=(NEW,))
    holds(of_canary, "INST-08", "ev-canary-config", "ev-gone-gone")


def test_a_pod_that_was_not_asked_is_an_open_point_of_its_own_control_plane() -> None:
    later = make.pod("later", annotations=make.injected_by("canary"))
    default, canary = normalized(make.normalization("old"), make.normalization("new", BASE), pods=(OLD, NEW, later))
    holds(default, "INST-08", "ev-normalization-old")
    unknown(canary, "INST-08", "Pod test-app/later: the suite did not ask it", evidence=("ev-pod-later",))
    assert canary.settle == "run again; the suite must ask every pod that it judges"
    (alone,) = normalized(pods=(later,))
    unknown(alone, "INST-08", "Pod test-app/later: the suite did not ask it")
    (differs,) = normalized(make.normalization("new"), pods=(NEW, later))
    violated(differs, "INST-08", "Pod test-app/new: it has", causes=("proxy-older-than-mesh-config",))


def test_where_all_pods_of_all_control_planes_went_away_nothing_is_proved() -> None:
    (finding,) = normalized(make.left_out("a"), make.left_out("b"), pods=())
    unknown(finding, "INST-08", "every proxy went away while the suite read it", evidence=("ev-gone-a", "ev-gone-b"))
    assert len(finding.left_out) == 2
    idle = make.pod("gate", proxy=make.istio_proxy(args=("proxy", "router"), is_init=False))
    silent = replace(make.normalization("gate", is_gateway=True), settings=())
    (beside_a_gateway,) = normalized(silent, make.left_out(), pods=(idle,), planes=(DEFAULT,))
    unknown(beside_a_gateway, "INST-08", "every proxy went away while the suite read it")


def test_the_versions_of_all_control_planes_are_looked_at() -> None:
    components = istio_components(PLANES, [OLD, NEW])
    assert sorted((str(c.version), sorted(ref.name for ref in c.where)) for c in components) == [
        ("1.31.0", ["istiod"]),
        ("1.31.0", ["old"]),
        ("1.32.0", ["istiod-canary"]),
        ("1.32.0", ["new"]),
    ]
    assert {"ev-mesh", "ev-canary"} <= set(components[0].evidence)
