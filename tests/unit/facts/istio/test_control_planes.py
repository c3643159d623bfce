"""Several control planes: which one a pod or a namespace belongs to, and what Istio is told to leave alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from facts.declared import read
from facts.errors import CouldNotTell
from facts.istio.control_planes import UnreadPlane, asks_for, parse_webhook, tags_of, why_istio_refuses, why_it_refuses
from facts.istio.mesh import Mesh
from facts.kubernetes.label_selector import LabelSelector
from facts.kubernetes.objects import Labelled, Pod
from facts.kubernetes.workloads import Deployment
from tests.unit.judge import builders as make

DEFAULT, CANARY = make.mesh(), make.canary()
BOTH = make.planes(DEFAULT, CANARY, prod="canary")
REV, STATUS = "istio.io/rev", "sidecar.istio.io/status"
INJECTS = make.namespace()


def revisioned(revision: str) -> Labelled:
    return make.namespace(labels={REV: revision})


def webhook(name: str, **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {f"istio.io/{key}": value for key, value in labels.items()}}}


def test_tags_are_webhooks_with_a_label() -> None:
    documents = [webhook("a", tag="prod", rev="1-31"), webhook("b", rev="1-31"), webhook("c", tag="x"), webhook("d")]
    assert tags_of(map(parse_webhook, documents)) == {"prod": "1-31", "x": ""}
    with pytest.raises(CouldNotTell):
        parse_webhook({"metadata": {}})


def test_a_tag_wins_over_a_revision_of_its_name() -> None:
    assert (BOTH.called("default"), BOTH.called("canary"), BOTH.called("prod")) == (DEFAULT, CANARY, CANARY)
    assert make.planes(DEFAULT, CANARY, default="canary").called("default") is CANARY
    assert make.planes(DEFAULT, CANARY, default="gone").called("default") is None
    assert make.planes(DEFAULT, CANARY, default="canary").of_revision("default") is DEFAULT
    assert BOTH.called("") is None
    assert BOTH.called("other") is None


# Pods.

ONE = make.planes(DEFAULT)


@pytest.mark.parametrize(
    ("pod", "namespace", "plane"),
    [
        (make.pod(annotations=make.injected_by("canary")), INJECTS, CANARY),
        (make.pod(annotations=make.injected_by("default")), revisioned("canary"), DEFAULT),
        (make.pod(annotations={STATUS: '{"revision": "canary"}', REV: "default"}), INJECTS, CANARY),
        (make.pod(annotations={REV: "canary"}), INJECTS, CANARY),
        (make.pod(annotations={REV: "prod"}), INJECTS, CANARY),
        (make.pod(annotations={REV: "x" * 64}), INJECTS, DEFAULT),
        (make.pod(labels={REV: "prod"}), INJECTS, CANARY),
        (make.pod(labels={REV: "canary"}, annotations=make.injected_by("default")), INJECTS, DEFAULT),
        (make.pod(), revisioned("prod"), CANARY),
        (make.pod(), INJECTS, DEFAULT),
        (make.pod(), make.namespace(labels={}), None),
        (make.pod(), None, None),
        (make.pod(annotations=make.injected_by("gone")), INJECTS, None),
        (make.pod(annotations=make.injected_by("prod")), INJECTS, None),
        (make.pod(annotations={STATUS: "{", REV: "canary"}), INJECTS, CANARY),
    ],
    ids=[
        "status", "not its namespace", "status before annotation", "annotation", "tag in the annotation",
        "no name", "label",
        "status before label", "tag of the namespace", "default namespace", "nothing", "no namespace",
        "no such revision", "the injector knows no tags", "damaged status",
    ],
)  # fmt: skip
def test_the_control_plane_of_a_pod(pod: Pod, namespace: Labelled | None, plane: Mesh | None) -> None:
    assert BOTH.of(pod, namespace) is plane


@pytest.mark.parametrize(
    ("pod", "plane"),
    [
        (make.pod(), DEFAULT),
        (make.pod(labels={REV: "default"}), DEFAULT),
        (make.pod(labels={REV: "removed"}), None),
        (make.pod(annotations={REV: "removed"}), None),
        (make.pod(annotations={REV: "x" * 64}), DEFAULT),
        (make.pod(annotations=make.injected_by("default")), DEFAULT),
        (make.pod(labels={REV: "removed"}, annotations=make.injected_by("default")), DEFAULT),
        (make.pod(annotations=make.injected_by("canary")), None),
    ],
)
def test_the_only_control_plane_has_each_pod_that_names_no_other(pod: Pod, plane: Mesh | None) -> None:
    for namespace in (None, INJECTS, revisioned("removed")):
        assert ONE.of(pod, namespace) is plane


def test_a_gateway_of_a_removed_revision_is_not_taken_for_the_only_control_planes() -> None:
    gateway = make.pod("gateway", labels={REV: "1-27"}, annotations={REV: "1-27"})
    found = ONE.sorted_out([gateway], [INJECTS])
    assert found.of_each == ((DEFAULT, ()),)
    assert [(orphan.pod, orphan.revision, orphan.is_there) for orphan in found.orphans] == [(gateway, "1-27", False)]


def test_pods_by_control_planes() -> None:
    a, b = make.pod("a", annotations=make.injected_by("default")), make.pod("b", annotations=make.injected_by("canary"))
    gone, untold = make.pod("gone", annotations=make.injected_by("old")), make.pod("untold", namespace="other")
    tagged = make.pod("tagged", namespace="tagged")
    namespaces = [INJECTS, make.namespace("other", labels={}), make.namespace("tagged", labels={REV: "prod"})]
    found = BOTH.sorted_out([b, a, gone, untold, tagged], namespaces)
    assert found.of_each == ((DEFAULT, (a,)), (CANARY, (b, tagged)))
    assert [(orphan.pod, orphan.revision) for orphan in found.orphans] == [(gone, "old"), (untold, "")]
    assert make.planes(DEFAULT, CANARY).sorted_out([tagged], namespaces).orphans[0].revision == "prod"


UNREAD = UnreadPlane("istio-system", "new", CouldNotTell(expected="a", seen="b", where="c", remedy="d"))


def test_a_pod_of_a_control_plane_that_could_not_be_read_is_not_taken_for_anothers() -> None:
    planes = replace(make.planes(DEFAULT, soon="new"), unread=(UNREAD,))
    pods = [
        make.pod("a", annotations=make.injected_by("new")),
        make.pod("b", labels={REV: "soon"}),
        make.pod("c", annotations=make.injected_by("gone")),
        make.pod("d", annotations=make.injected_by("default")),
        make.pod("e", namespace="bare"),
    ]
    found = planes.sorted_out(pods, [make.namespace("bare", labels={})])
    assert found.of_each == ((DEFAULT, (pods[3],)),)
    orphans = [(orphan.pod.name, orphan.revision, orphan.is_there) for orphan in found.orphans]
    assert orphans == [("a", "new", True), ("b", "soon", True), ("c", "gone", False), ("e", "", False)]
    assert (planes.only, BOTH.only, ONE.only) == (None, None, DEFAULT)
    assert [planes.unread_called(name) for name in ("new", "soon", "default", "")] == [UNREAD, UNREAD, None, None]


# Injection.


@pytest.mark.parametrize(
    ("namespace", "pod", "asked"),
    [
        ({"istio-injection": "enabled"}, {}, "default"),
        ({"istio-injection": "enabled", REV: "canary"}, {}, "default"),
        ({"istio-injection": "disabled", REV: "canary"}, {REV: "canary"}, ""),
        ({"istio-injection": "disabled"}, {"sidecar.istio.io/inject": "true"}, ""),
        ({REV: "prod"}, {REV: "canary"}, "prod"),
        ({}, {REV: "canary"}, "canary"),
        ({}, {"sidecar.istio.io/inject": "true"}, "default"),
        ({}, {"sidecar.istio.io/inject": "true", REV: "canary"}, "canary"),
        ({}, {"sidecar.istio.io/inject": "false"}, ""),
        ({}, {}, ""),
    ],
)
def test_the_revision_that_labels_ask_for(namespace: dict[str, str], pod: dict[str, str], asked: str) -> None:
    assert asks_for(namespace, pod) == asked
    plain = make.pod(injected=False, labels=pod)
    assert BOTH.injecting(make.namespace(labels=namespace), plain) is (BOTH.called(asked) if asked else None)


def test_a_namespace_alone_may_ask() -> None:
    assert (BOTH.injecting(INJECTS), BOTH.injecting(revisioned("prod"))) == (DEFAULT, CANARY)
    assert BOTH.injecting(revisioned("other")) is None
    assert BOTH.injecting(None, make.pod(labels={REV: "canary"})) is CANARY
    assert BOTH.injecting(None) is None


def selector(**labels: str) -> LabelSelector:
    return read(LabelSelector, {"matchLabels": labels}, "a selector")


EMPTY = selector()
REFUSES = "it refuses injection with sidecar.istio.io/inject"
PLAIN = make.pod(injected=False, labels={"job": "migrate"})
ON_NETWORK = replace(PLAIN, spec=replace(PLAIN.spec, host_network=True))


def with_injector(**changes: Any) -> Mesh:
    return make.mesh(injector=make.injector(**changes))


NEVER = with_injector(never_inject=(EMPTY, selector(app="x"), selector(job="migrate")))
ASKING = {"policy": "disabled", "always_inject": (EMPTY, selector(app="x"))}


@pytest.mark.parametrize(
    ("pod", "labels", "mesh", "why"),
    [
        (PLAIN, {"istio-injection": "enabled"}, DEFAULT, ""),
        (PLAIN, {REV: "default"}, DEFAULT, ""),
        (PLAIN, {"istio-injection": "disabled", REV: "default"}, DEFAULT,
         "its namespace has istio-injection=disabled, which keeps every revision off"),
        (PLAIN, {REV: "default"}, NEVER, "neverInjectSelector of Istio in istio-system fits its labels: job=migrate"),
        (PLAIN, {REV: "default"}, with_injector(never_inject=(EMPTY,)), ""),
        (replace(PLAIN, labels={}), {REV: "default"}, NEVER, ""),
        (replace(PLAIN, labels={"job": "migrate", "sidecar.istio.io/inject": "true"}), {REV: "default"}, NEVER, ""),
        (replace(PLAIN, annotations={"sidecar.istio.io/inject": "true"}), {REV: "default"}, NEVER, ""),
        (PLAIN, {REV: "x"}, None, ""),
        (PLAIN, {REV: "default"}, with_injector(**ASKING),
         "Istio in istio-system has the policy disabled, and injects only what asks for it"),
        (replace(PLAIN, labels={"app": "x"}), {REV: "default"}, with_injector(**ASKING), ""),
        (replace(PLAIN, labels={"sidecar.istio.io/inject": "true"}), {REV: "default"}, with_injector(**ASKING), ""),
        (PLAIN, {REV: "default"}, with_injector(always_inject=(selector(app="x"),)), ""),
    ],
)  # fmt: skip
def test_what_istio_is_configured_not_to_inject(pod: Pod, labels: dict[str, str], mesh: Mesh | None, why: str) -> None:
    assert why_istio_refuses(pod, make.namespace(labels=labels), mesh) == why
    assert why_istio_refuses(pod, None, mesh) == ("" if "namespace" in why else why)


@pytest.mark.parametrize(
    ("pod", "why"),
    [
        (PLAIN, ""),
        (ON_NETWORK, "it is on the node's own network, which Istio never redirects"),
        (replace(PLAIN, labels={"sidecar.istio.io/inject": "false"}), f"{REFUSES}: false"),
        (replace(PLAIN, annotations={"sidecar.istio.io/inject": "no"}), f"{REFUSES}: no"),
        (replace(PLAIN, annotations={"sidecar.istio.io/inject": "True"}), ""),
        (replace(PLAIN, labels={"sidecar.istio.io/inject": "on"}, annotations={"sidecar.istio.io/inject": "false"}), ""),
        (replace(PLAIN, labels={"sidecar.istio.io/inject": ""}), ""),
        *((replace(PLAIN, annotations={"sidecar.istio.io/inject": yes}), "") for yes in ("y", "YES", "true", "On")),
    ],
)  # fmt: skip
def test_a_pod_that_refuses_by_itself(pod: Pod, why: str) -> None:
    assert why_it_refuses(pod) == why


# Discovery, and namespaces of the suite.


def watching(mesh: Mesh, *selectors: Any) -> Mesh:
    found = tuple(read(LabelSelector, each, "a selector") for each in selectors)
    return replace(mesh, config=replace(mesh.config, discovery_selectors=found))


ENABLED = {"matchLabels": {"istio-discovery": "enabled"}}
TEAM = {"matchLabels": {"team": "a"}}
INVALID = {"matchExpressions": [{"key": "a", "operator": "Near"}]}
WATCHED = make.namespace("watched", labels={"istio-discovery": "enabled"})
OTHER = make.namespace("other", labels={"team": "a"})
BARE = make.namespace("bare", labels={})


@pytest.mark.parametrize(
    ("planes", "unwatched"),
    [
        ((DEFAULT,), ()),
        ((watching(DEFAULT, ENABLED),), (OTHER, BARE)),
        ((watching(DEFAULT, ENABLED, TEAM),), (BARE,)),
        ((watching(DEFAULT, ENABLED, INVALID),), ()),
        ((watching(DEFAULT, {}),), ()),
        ((watching(DEFAULT, ENABLED), watching(CANARY, TEAM)), (BARE,)),
        ((watching(DEFAULT, ENABLED), CANARY), ()),
    ],
)
def test_namespaces_that_no_istiod_watches(planes: tuple[Mesh, ...], unwatched: tuple[Labelled, ...]) -> None:
    assert make.planes(*planes).unwatched([WATCHED, OTHER, BARE]) == unwatched


def test_while_a_configuration_is_unread_no_namespace_is_unwatched() -> None:
    planes = make.planes(watching(DEFAULT, ENABLED))
    assert planes.unwatched([BARE]) == (BARE,)
    assert replace(planes, unread=(UNREAD,)).unwatched([BARE]) == ()


HAVE = {"istio-injection": "enabled", "pod-security.kubernetes.io/enforce": "privileged"}
LEVEL = {"pod-security.kubernetes.io/enforce": "privileged"}


@pytest.mark.parametrize(
    ("mesh", "tags", "labels"),
    [
        (DEFAULT, {}, HAVE),
        (CANARY, {}, LEVEL | {REV: "canary"}),
        (CANARY, {"default": "canary"}, HAVE),
        (watching(DEFAULT, ENABLED), {}, HAVE | ENABLED["matchLabels"]),
        (watching(CANARY, TEAM), {}, LEVEL | {REV: "canary", "team": "a"}),
        (watching(DEFAULT, {"matchLabels": {"istio-injection": "enabled"}}), {}, HAVE),
        (watching(DEFAULT, {"matchLabels": {REV: "stable"}}), {"stable": "default"}, LEVEL | {REV: "stable"}),
        (watching(CANARY, {"matchLabels": {"kubernetes.io/metadata.name": "x"}}, TEAM), {},
         LEVEL | {REV: "canary", "team": "a"}),
        (watching(DEFAULT, INVALID), {}, HAVE),
    ],
)  # fmt: skip
def test_labels_with_which_a_namespace_is_injected_and_watched(
    mesh: Mesh, tags: dict[str, str], labels: dict[str, str]
) -> None:
    others = [other for other in (DEFAULT, CANARY) if other.revision != mesh.revision]
    assert make.planes(mesh, *others, **tags).labels_in(mesh, HAVE) == labels


def test_selectors_that_no_label_of_the_suite_fits_are_named() -> None:
    mesh = watching(DEFAULT, {"matchLabels": {"kubernetes.io/metadata.name": "shop"}}, {"matchLabels": {REV: "canary"}})
    with pytest.raises(CouldNotTell) as caught:
        make.planes(mesh, CANARY, stable="default").labels_in(mesh, HAVE)
    assert caught.value.seen == (
        "none fit its discoverySelectors (kubernetes.io/metadata.name=shop; istio.io/rev=canary)"
        " with istio-injection=enabled or istio.io/rev=default or istio.io/rev=stable"
    )
    assert caught.value.where == "ConfigMap istio-system/istio"
    assert "meshConfig.discoverySelectors" in caught.value.remedy


def test_a_revision_whose_name_is_a_tag_of_another_has_no_label() -> None:
    taken = make.planes(DEFAULT, CANARY, default="canary", canary="gone")
    with pytest.raises(CouldNotTell, match=r"\(there are none\) with a label of its revision"):
        taken.labels_in(DEFAULT, HAVE)


def test_gateways_in_namespaces_of_the_suite_are_left_out() -> None:
    own, others = make.gateway(namespace="own"), make.gateway()
    planes = make.planes(make.mesh(gateways=(own, others)), make.canary(gateways=(own,)))
    lost = replace(planes, lost_gateways=(own, others))
    outside = lost.with_gateways_outside(["own"])
    assert [plane.gateways for plane in outside] == [(others,), ()]
    assert outside.lost_gateways == (others,)
    assert outside.gateways == (others, others)


def of_revision(name: str, *, annotated: bool = False) -> Deployment:
    """A gateway whose template names a revision."""
    made, named = make.gateway(), {"istio.io/rev": name} if name else {}
    labels, annotations = ({}, named) if annotated else (named, {})
    return replace(made, template=replace(made.template, labels=labels, annotations=annotations))


def test_a_gateway_is_at_the_control_plane_that_it_names_and_at_no_other() -> None:
    untold, tagged, removed = of_revision(""), of_revision("prod"), of_revision("1-29")
    annotated = of_revision("canary", annotated=True)
    planes = make.planes(DEFAULT, CANARY, prod="canary").with_gateways([untold, tagged, removed, annotated])
    assert [plane.gateways for plane in planes] == [(untold,), (tagged, annotated)]
    assert planes.lost_gateways == (removed,)


def test_a_gateway_whose_control_plane_could_not_be_read_is_not_lost() -> None:
    why = CouldNotTell(expected="x", seen="y", where="z", remedy="")
    planes = replace(make.planes(DEFAULT), unread=(UnreadPlane("istio-system", "new", why),))
    assert planes.with_gateways([of_revision("new")]).gateways == ()
