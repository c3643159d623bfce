"""The guide's installation as files, and what each repair changes in it: exactly what it says, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from facts.errors import BadInput
from facts.versions import Version
from providers.teleport.installing import tbot
from provision.installing.repairs import REPAIRS
from provision.installing.variant import AS_GUIDE, KEPT_AS, RECOMMENDED, Variant, must_be_kept_as, note_variant, variant_of
from provision.render import MANIFESTS
from settings import Names, load
from tests.unit.provision.test_manifests import VARIABLES

GUIDE = Variant(as_guide=True)
OLDER = Variant(older_istio=True)
FILES = (
    "istio-config.yaml",
    "tbot-rbac.yaml",
    "tbot-config.yaml",
    "tbot-daemonset.yaml",
    "test-app-deployment.yaml",
    *GUIDE.teleport_files,
)


def repaired(*names: str) -> Variant:
    return Variant(as_guide=True, repairs=tuple(r for r in REPAIRS.values() if r.name in names))


def one(variant: Variant, name: str, kind: str) -> dict[str, Any]:
    (found,) = [document for document in variant.documents(name, VARIABLES) if document["kind"] == kind]
    return found


def differences(one: Any, other: Any, path: str = "") -> Iterator[str]:
    """Paths at which two documents differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted({*one, *other}):
            yield from differences(one.get(key), other.get(key), f"{path}.{key}".lstrip("."))
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for index, (left, right) in enumerate(zip(one, other, strict=True)):
            yield from differences(left, right, f"{path}[{index}]")
    elif one != other:
        yield path


def changed_by(*names: str) -> set[str]:
    """Changes of repairs in the files of the guide: file, kind and path."""
    found = set()
    for name in FILES:
        pairs = zip(GUIDE.documents(name, VARIABLES), repaired(*names).documents(name, VARIABLES), strict=True)
        found |= {f"{name} {before['kind']} {path}" for before, after in pairs for path in differences(before, after)}
    return found


def spire(variant: Variant) -> str:
    templates = one(variant, "istio-config.yaml", "IstioOperator")["spec"]["values"]["sidecarInjectorWebhook"]["templates"]
    return str(templates["spire"])


# The guide to the letter.


@pytest.mark.parametrize("path", sorted(AS_GUIDE.glob("*.yaml")), ids=lambda path: path.name)
def test_a_file_of_the_guide_is_there_only_because_it_differs_from_ours(path: Path) -> None:
    assert GUIDE.file(path.name) == path
    assert RECOMMENDED.file(path.name) == MANIFESTS / path.name
    assert GUIDE.documents(path.name, VARIABLES) != RECOMMENDED.documents(path.name, VARIABLES)


def test_what_the_guide_has_as_we_have_it_is_taken_from_there() -> None:
    for name in ("teleport-bot-role.yaml", "teleport-workload-identity.yaml"):
        assert GUIDE.file(name) == MANIFESTS / name


def test_no_step_creates_the_bot() -> None:
    assert "teleport-bot.yaml" in RECOMMENDED.teleport_files
    assert GUIDE.teleport_files == ("teleport-bot-role.yaml", "teleport-workload-identity.yaml")


def test_names_are_those_of_the_settings() -> None:
    names = Names()
    metadata = one(GUIDE, "tbot-daemonset.yaml", "DaemonSet")["metadata"]
    assert (metadata["namespace"], metadata["name"]) == (names.tbot_namespace, names.tbot)
    metadata = one(GUIDE, "test-app-deployment.yaml", "Deployment")["metadata"]
    assert (metadata["namespace"], metadata["name"]) == (names.app_namespace, names.app)


def test_the_defects_are_there() -> None:
    assert "\n  containers:\n" in spire(GUIDE)
    assert "initContainers" not in spire(GUIDE)
    istio = one(GUIDE, "istio-config.yaml", "IstioOperator")["spec"]
    assert "ingressGateways" not in istio["components"]
    assert istio["meshConfig"]["pathNormalization"] == {"normalization": "NONE"}
    assert istio["meshConfig"]["defaultConfig"] == {"proxyMetadata": {}}
    tbot = one(GUIDE, "tbot-daemonset.yaml", "DaemonSet")["spec"]["template"]["spec"]
    assert tbot["containers"][0]["image"] == "registry.test/tbot:18"
    assert "readinessProbe" not in tbot["containers"][0]
    app = one(GUIDE, "test-app-deployment.yaml", "Deployment")["spec"]["template"]["spec"]
    assert app["nodeSelector"] == {"kubernetes.io/hostname": "k8s-worker-1"}
    config = yaml.safe_load(one(GUIDE, "tbot-config.yaml", "ConfigMap")["data"]["tbot.yaml"])
    assert config["services"][0]["listen"] == "unix:///run/spire/sockets/socket"
    assert "diag_addr" not in config


def test_what_only_the_lab_needs_is_put_into_the_guides_tbot_as_well() -> None:
    aliases, kubernetes = {"teleport.test": "172.18.0.4"}, Version.parse("1.34.4")
    made = tbot.objects(GUIDE, VARIABLES, kubernetes=kubernetes, insecure=True, ca=None, host_aliases=aliases)
    by_kind = {document["kind"]: document for document in made}
    assert yaml.safe_load(by_kind["ConfigMap"]["data"]["tbot.yaml"])["insecure"] is True
    assert by_kind["DaemonSet"]["spec"]["template"]["spec"]["hostAliases"][0]["ip"] == "172.18.0.4"


# Repairs.


def test_the_bot_is_added_where_the_recommended_installation_has_it_and_nothing_is_changed() -> None:
    assert repaired("bot").teleport_files == RECOMMENDED.teleport_files
    assert changed_by("bot") == set()
    assert {r.name for r in REPAIRS.values() if r.adds} == {"bot"}


@pytest.mark.parametrize(
    ("repair", "changes"),
    [
        ("template", {"istio-config.yaml IstioOperator spec.values.sidecarInjectorWebhook.templates.spire"}),
        ("node-selector", {"test-app-deployment.yaml Deployment spec.template.spec.nodeSelector"}),
        ("gateway", {"istio-config.yaml IstioOperator spec.components.ingressGateways"}),
        ("tbot-tag", {"tbot-daemonset.yaml DaemonSet spec.template.spec.containers[0].image"}),
        (
            "socket-name",
            {
                "istio-config.yaml IstioOperator spec.meshConfig.defaultConfig.proxyMetadata.WORKLOAD_IDENTITY_SOCKET_FILE",
                "tbot-config.yaml ConfigMap data.tbot.yaml",
            },
        ),
        ("path-normalization", {"istio-config.yaml IstioOperator spec.meshConfig.pathNormalization.normalization"}),
    ],
)
def test_a_repair_changes_one_thing(repair: str, changes: set[str]) -> None:
    assert changed_by(repair) == changes


def test_the_socket_has_the_same_name_wherever_it_is_named() -> None:
    for as_guide, names in ((False, ("socket-name",)), (True, ("gateway", "socket-name"))):
        variant = Variant(as_guide, tuple(REPAIRS[name] for name in names))
        text = yaml.safe_dump_all([d for name in FILES for d in variant.documents(name, VARIABLES)])
        assert "sockets/socket" not in text
        assert text.count("sockets/workload.sock") == 2, "tbot's configuration, and what the gateway waits for"
        assert "WORKLOAD_IDENTITY_SOCKET_FILE: workload.sock" in text


def test_strict_mutual_tls_is_a_file_of_its_own_and_changes_no_other() -> None:
    strict = repaired("strict-mtls")
    assert changed_by("strict-mtls") == set()
    assert strict.mesh_files == ("strict-mtls.yaml",)
    assert RECOMMENDED.mesh_files == GUIDE.mesh_files == ()
    (policy,) = strict.documents("strict-mtls.yaml", VARIABLES)
    assert policy["spec"] == {"mtls": {"mode": "STRICT"}}
    assert "selector" not in policy["spec"]


def test_every_repair_is_tried_here_and_described_beside_the_manifests() -> None:
    text = (AS_GUIDE / "README.md").read_text(encoding="utf-8")
    for repair in REPAIRS.values():
        assert f"| `{repair.name}` |" in text
        assert repair.sentence.endswith(".")


def test_the_template_differs_in_the_one_line_that_names_the_list_and_that_is_ours() -> None:
    before, after = spire(GUIDE).splitlines(), spire(repaired("template")).splitlines()
    assert len(before) == len(after)
    (changed,) = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert changed[0] == "  containers:"
    assert changed[1] in spire(RECOMMENDED).splitlines()
    assert "{{ if " in changed[1]
    assert "initContainers" in changed[1]


def test_gateway_and_tag_become_the_recommended_ones() -> None:
    name = "istio-config.yaml"
    ours, theirs = (one(v, name, "IstioOperator")["spec"]["components"] for v in (RECOMMENDED, repaired("gateway")))
    assert theirs["ingressGateways"] == ours["ingressGateways"]
    assert "pilot" in theirs
    name = "tbot-daemonset.yaml"
    ours, theirs = (one(v, name, "DaemonSet")["spec"]["template"]["spec"] for v in (RECOMMENDED, repaired("tbot-tag")))
    assert theirs["containers"][0]["image"] == ours["containers"][0]["image"]


def test_repairs_of_one_file_come_together() -> None:
    assert changed_by("template", "gateway", "path-normalization") == (
        changed_by("template") | changed_by("gateway") | changed_by("path-normalization")
    )


@pytest.mark.parametrize(
    ("variant", "needs"), [(RECOMMENDED, True), (GUIDE, False), (repaired("bot"), False), (repaired("gateway"), True)]
)
def test_only_a_gateway_with_the_overlay_waits_for_tbot(variant: Variant, needs: bool) -> None:
    assert variant.gateway_needs_tbot is needs


# Which one it is.


def test_the_settings_choose_and_the_registry_orders() -> None:
    assert variant_of(load()) == RECOMMENDED
    chosen = variant_of(load(install="as-guide", repairs="node-selector,bot"))
    assert [repair.name for repair in chosen.repairs] == ["bot", "node-selector"]
    assert chosen.options == ("--install", "as-guide", "--repair", "bot,node-selector")
    assert str(chosen) == "as the guide says, repaired: bot, node-selector"
    older = variant_of(load(repairs="socket-name", istio="older"))
    assert older.options == ("--repair", "socket-name", "--istio", "older")
    assert str(older) == "as recommended, repaired: socket-name, with the older Istio"
    assert (RECOMMENDED.options, str(RECOMMENDED), str(GUIDE)) == ((), "as recommended", "as the guide says")


@pytest.mark.parametrize("variant", [RECOMMENDED, GUIDE, repaired("bot", "template"), OLDER])
def test_a_kept_cluster_is_used_again_as_what_it_is(tmp_path: Path, variant: Variant) -> None:
    note_variant(tmp_path, variant)
    must_be_kept_as(tmp_path, variant, "a")


def test_a_cluster_that_says_nothing_was_installed_as_recommended(tmp_path: Path) -> None:
    must_be_kept_as(tmp_path, RECOMMENDED, "a")
    with pytest.raises(BadInput, match="installed as the guide says; saw one that was installed as recommended"):
        must_be_kept_as(tmp_path, GUIDE, "a")


def test_a_kept_cluster_is_not_installed_over(tmp_path: Path) -> None:
    note_variant(tmp_path, repaired("bot"))
    with pytest.raises(BadInput, match=r"saw one .* repaired: bot \(kind cluster a.*conformance down --kind-name a"):
        must_be_kept_as(tmp_path, repaired("bot", "template"), "a")


def test_a_kept_cluster_has_the_istio_that_it_was_made_with(tmp_path: Path) -> None:
    note_variant(tmp_path, OLDER)
    with pytest.raises(BadInput, match=r"installed as recommended; saw one .* with the older Istio"):
        must_be_kept_as(tmp_path, RECOMMENDED, "a")


def test_a_cluster_that_does_not_name_its_istio_has_the_default_one(tmp_path: Path) -> None:
    (tmp_path / KEPT_AS).write_text(json.dumps({"as_guide": False, "repairs": []}), encoding="utf-8")
    must_be_kept_as(tmp_path, RECOMMENDED, "a")
    with pytest.raises(BadInput, match="with the older Istio; saw one that was installed as recommended"):
        must_be_kept_as(tmp_path, OLDER, "a")


@pytest.mark.parametrize("text", ["", "{", "[]", json.dumps({"as_guide": True, "repairs": ["gone"]})])
def test_a_cluster_with_an_unreadable_note_is_not_used(tmp_path: Path, text: str) -> None:
    (tmp_path / KEPT_AS).write_text(text, encoding="utf-8")
    with pytest.raises(BadInput, match="does not say"):
        must_be_kept_as(tmp_path, GUIDE, "a")
