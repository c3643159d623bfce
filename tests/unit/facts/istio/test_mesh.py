"""Mesh configuration and the injector, from captures and from what differs from them."""

from __future__ import annotations

import pytest

from facts.errors import CouldNotTell
from facts.istio.mesh import Injector, Mesh, image_tag, parse_injector, parse_mesh_config
from facts.kubernetes.objects import ConfigMap, parse_config_map
from tests.data import document
from tests.unit.judge import builders as make


def _map(**data: str) -> ConfigMap:
    return ConfigMap("istio-system", "istio", data, ("ev-1",))


def test_a_captured_mesh() -> None:
    config = parse_mesh_config(parse_config_map(document("cluster/config_map_istio.json"), ("ev-1",)))
    assert (config.trust_domain, config.normalization) == ("teleport.conformance.test", "NONE")
    assert config.evidence == ("ev-1",)
    injector = parse_injector(parse_config_map(document("cluster/config_map_injector.json")))
    assert {"sidecar", "spire"} <= set(injector.templates)
    assert "workload-socket" in injector.templates["spire"]
    assert (injector.hub, injector.tag) == ("localhost/istio", "1.31.0-lab")


def test_where_the_mesh_says_nothing_istios_defaults_hold() -> None:
    config = parse_mesh_config(_map(mesh=""))
    assert (config.trust_domain, config.normalization) == ("cluster.local", "DEFAULT")
    assert config.trust_domains == ("cluster.local",)


def test_a_trust_domain_may_have_aliases() -> None:
    config = parse_mesh_config(_map(mesh="{trustDomain: new.example, trustDomainAliases: [old.example, older.example]}"))
    assert config.trust_domains == ("new.example", "old.example", "older.example")


@pytest.mark.parametrize("data", [{}, {"mesh": "{"}, {"mesh": "text"}, {"mesh": "trustDomain: [a]"}])
def test_a_damaged_mesh_is_not_guessed_at(data: dict[str, str]) -> None:
    with pytest.raises(CouldNotTell) as caught:
        parse_mesh_config(_map(**data))
    assert "istio-system/istio" in caught.value.where


@pytest.mark.parametrize(
    "data", [{"config": "templates: {}"}, {"config": "a: 1", "values": "{}"}, {"config": "templates: {}", "values": "{"}]
)
def test_a_damaged_injector_is_not_guessed_at(data: dict[str, str]) -> None:
    with pytest.raises(CouldNotTell):
        parse_injector(_map(**data))


@pytest.mark.parametrize(
    ("image", "tag"),
    [
        ("host:5000/a/pilot:1.2", "1.2"),
        ("pilot", ""),
        ("host:5000/pilot", ""),
        ("a/b:1@sha256:00", "1"),
        ("a/b@sha256:00", ""),
        ("auto", ""),
    ],
)
def test_tags_of_images(image: str, tag: str) -> None:
    assert image_tag(image) == tag


def _mesh(**templates: str) -> Mesh:
    config = parse_mesh_config(parse_config_map(document("cluster/config_map_istio.json")))
    return Mesh("istio-system", "default", config, Injector(templates, ("sidecar",), "hub", "tag"), (), (), ())


EMPTY = "volumes:\n- name: workload-socket\n  emptyDir: {}\n"


HOST = "volumes:\n- name: workload-socket\n  hostPath:\n    path: /run/x\n"


SORTED = "volumes:\n- hostPath:\n    path: /run/x\n    type: Directory\n  name: workload-socket\n"


CSI = 'volumes:\n  - name: "workload-socket"\n    csi: {driver: csi.spiffe.io}\n'


# With an expression that takes exponential time, this never ends.
MANY_KEYS = "volumes:\n- hostPath:\n" + "    a: b c: d\n\n" * 500


OTHER = "volumes:\n- hostPath:\n    path: /run/x\n- name: workload-socket\n  emptyDir: {}\n"


@pytest.mark.parametrize(
    ("templates", "found"),
    [
        ({"spire": EMPTY, "tbot": HOST}, "spire"),
        ({"sidecar": EMPTY, "tbot": HOST}, "tbot"),
        ({"sidecar": EMPTY, "tbot": SORTED}, "tbot"),
        ({"sidecar": OTHER, "tbot": CSI}, "tbot"),
        ({"a": HOST, "b": CSI}, "spire"),
        ({"sidecar": EMPTY, "other": OTHER}, "spire"),
        ({"sidecar": EMPTY, "tbot": MANY_KEYS + SORTED}, "tbot"),
        ({"sidecar": EMPTY, "tbot": MANY_KEYS}, "spire"),
    ],
)
def test_the_template_is_the_named_one_or_the_only_other_one_that_mounts_the_nodes_socket(
    templates: dict[str, str], found: str
) -> None:
    assert _mesh(**templates).socket_template("spire") == found


@pytest.mark.parametrize(
    ("image", "tag"),
    [
        ("pilot:1.31.0", "1.31.0"),
        ("host:5000/istio/pilot:1.31.0@sha256:abc", "1.31.0"),
        ("host:5000/istio/pilot", ""),
        ("istio/pilot@sha256:abc", ""),
    ],
)
def test_the_tag_of_an_image(image: str, tag: str) -> None:
    assert image_tag(image) == tag


def test_the_tags_of_istiod_are_those_of_its_own_container() -> None:
    istiod = make.deployment("istiod", make.container("helper", "h:1"), make.container("discovery", "pilot:2"))
    assert make.mesh(istiod=(istiod,)).image_tags == {"istiod": "2"}


def test_the_default_revision_is_not_named() -> None:
    default, canary = make.mesh(), make.mesh(namespace="mesh", revision="canary")
    assert (default.title, canary.title) == ("Istio in istio-system", "Istio in mesh, revision canary")
    assert (str(default.config_map), str(canary.config_map)) == (
        "ConfigMap istio-system/istio",
        "ConfigMap mesh/istio-canary",
    )


def test_selectors_of_mesh_and_injector() -> None:
    mesh = parse_mesh_config(_map(mesh="discoverySelectors: [{matchLabels: {a: b}}, {matchExpressions: []}]"))
    assert [str(selector) for selector in mesh.discovery_selectors] == ["a=b", ""]
    config = "{templates: {}, policy: disabled, neverInjectSelector: [{matchLabels: {a: b}}], alwaysInjectSelector: null}"
    injector = parse_injector(_map(config=config, values="{}"))
    assert (injector.policy, injector.always_inject) == ("disabled", ())
    assert [str(each) for each in injector.never_inject] == ["a=b"]
    plain = parse_injector(_map(config="templates: {}", values="{}"))
    assert (plain.policy, plain.never_inject) == ("enabled", ())
