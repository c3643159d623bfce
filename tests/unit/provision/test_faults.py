"""Faults break requirements that exist, and put back to the letter what they changed, whatever happens meanwhile."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml

from facts.evidence import KeptInMemory
from facts.jwks import parse_jwks
from provision.faults import FAULTS, Scene
from provision.faults.teleport_resources import jwks_of_another_cluster
from settings import Timeouts
from tests.unit.provision.test_resources import JWKS, Teleport

ROOT = Path(__file__).resolve().parents[3]


def test_names_are_their_keys_and_every_fault_breaks_something_in_the_catalogue() -> None:
    catalogue = yaml.safe_load((ROOT / "features" / "catalogue.yaml").read_text())
    known = {requirement["id"] for requirement in catalogue["requirements"]}
    for name, fault in FAULTS.items():
        assert fault.name == name
        assert fault.breaks
        assert fault.breaks <= known
        assert fault.description.endswith(".")


class Objects:
    """One ConfigMap, and the answers to a dry run that it leads to."""

    def __init__(self, key: str, text: str) -> None:
        self.data = {key: text}

    def get(self, _version: str, _kind: str, _name: str, *, namespace: str) -> dict[str, Any]:
        return {"metadata": {"namespace": namespace}, "data": dict(self.data)}

    def patch(self, _version: str, _kind: str, _name: str, change: dict[str, Any], *, namespace: str) -> None:
        assert namespace == "istio-system"
        self.data.update(change["data"])

    def refusal(self, _pod: dict[str, Any]) -> str:
        return "Duplicate value" if "PILOT_CERT_PROVIDER" in self.data["config"] else ""

    def raw(self, _path: str) -> str:
        return JWKS


def scene(objects: Objects, authority: Teleport | None = None, directory: Path | None = None) -> Scene:
    installation = SimpleNamespace(
        objects=objects, authority=authority, directory=directory, run_id="run-1",
        sources=SimpleNamespace(workload_image="w:1"),
    )  # fmt: skip
    return Scene(cast("Any", installation), Timeouts(), KeptInMemory())


MESH = "trustDomain: teleport.test # as it is\npathNormalization: {normalization: NONE}\n"


def test_the_trust_domain_is_put_back_to_the_letter() -> None:
    objects = Objects("mesh", MESH)
    with FAULTS["trust-domain-cluster-local"].inject(scene(objects)):
        mesh = yaml.safe_load(objects.data["mesh"])
        assert mesh == {"trustDomain": "cluster.local", "pathNormalization": {"normalization": "NONE"}}
    assert objects.data["mesh"] == MESH


def test_it_is_put_back_when_what_runs_meanwhile_fails() -> None:
    objects = Objects("mesh", MESH)
    with pytest.raises(RuntimeError), FAULTS["trust-domain-cluster-local"].inject(scene(objects)):
        raise RuntimeError
    assert objects.data["mesh"] == MESH


def test_the_guides_template_replaces_only_itself() -> None:
    config = yaml.safe_dump({"policy": "enabled", "templates": {"sidecar": "spec: {}", "spire": "spec: {volumes: []}"}})
    objects = Objects("config", config)
    with FAULTS["guides-template-on-native-sidecars"].inject(scene(objects)):
        broken = yaml.safe_load(objects.data["config"])
        assert broken["policy"] == "enabled"
        assert broken["templates"]["sidecar"] == "spec: {}"
        assert list(yaml.safe_load(broken["templates"]["spire"])["spec"]) == ["containers", "volumes"]
    assert objects.data["config"] == config


def test_the_identity_lacks_sa_and_gets_it_back() -> None:
    teleport = Teleport()
    with FAULTS["identity-without-sa"].inject(scene(Objects("mesh", MESH), teleport)):
        pass
    broken, sound = (yaml.safe_load(stdin)["spec"]["spiffe"]["id"] for _, stdin in teleport.asked)
    assert broken == "/ns/{{ workload.kubernetes.namespace }}/{{ workload.kubernetes.service_account }}"
    assert sound == "/ns/{{ workload.kubernetes.namespace }}/sa/{{ workload.kubernetes.service_account }}"


def test_the_tokens_keys_are_others_and_then_the_clusters_own_again(tmp_path: Path) -> None:
    teleport = Teleport()
    with FAULTS["jwks-of-another-cluster"].inject(scene(Objects("mesh", MESH), teleport, tmp_path)):
        pass
    foreign, own = (
        json.loads(yaml.safe_load(stdin)["spec"]["kubernetes"]["static_jwks"]["jwks"]) for _, stdin in teleport.asked
    )
    assert own == json.loads(JWKS)
    assert foreign["keys"][0]["kid"] != own["keys"][0]["kid"]
    assert list(tmp_path.iterdir()) == []


def test_the_foreign_keys_are_such_as_an_api_server_publishes() -> None:
    parsed = parse_jwks(jwks_of_another_cluster())
    assert len(parsed.key_ids) == 1
