"""Errors of the API server and of the kubeconfig as errors with a remedy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from facts.errors import BadInput, ProvisioningFailed
from provision.objects import Conflict, Forbidden, NotThere, Objects
from tests.unit.observe.api_server import CONTEXT, ApiServer, running

LEASE = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/one"


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with running() as started:
        started.know(("coordination.k8s.io/v1", "leases", "Lease"))
        yield started


@pytest.mark.parametrize(
    ("status", "error"), [(403, Forbidden), (404, NotThere), (409, Conflict), (422, ProvisioningFailed)]
)
def test_an_answer_is_an_error_of_its_own_kind(
    server: ApiServer, tmp_path: Path, status: int, error: type[ProvisioningFailed]
) -> None:
    server.answer(f"PATCH {LEASE}", {"kind": "Status", "message": "in the server's words"}, status)
    objects = Objects(server.kubeconfig(tmp_path), CONTEXT, "run-1", timeout=2, discovery=tmp_path / "discovery.json")
    with pytest.raises(ProvisioningFailed, match=f"HTTP {status}: in the server's words") as refused:
        objects.patch("coordination.k8s.io/v1", "Lease", "one", {"spec": {}}, namespace="kube-system")
    assert type(refused.value) is error


def test_the_api_groups_of_what_a_run_applies_are_kept(server: ApiServer, tmp_path: Path) -> None:
    server.answer(f"PATCH {LEASE}", {"kind": "Lease"})
    objects = Objects(server.kubeconfig(tmp_path), CONTEXT, "run-1", timeout=2, discovery=tmp_path / "discovery.json")
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "one", "namespace": "kube-system"},
    }
    objects.fenced(lambda: None).apply(lease)
    assert objects.groups == {"coordination.k8s.io"}


def test_a_page_instead_of_an_answer_is_told(server: ApiServer, tmp_path: Path) -> None:
    """A load balancer before the API server answers with HTTP 200."""
    server.answer(f"GET {LEASE}", "<html>maintenance</html>")
    objects = Objects(server.kubeconfig(tmp_path), CONTEXT, "run-1", timeout=2, discovery=tmp_path / "discovery.json")
    with pytest.raises(ProvisioningFailed, match="expected JSON from the API server"):
        objects.get("coordination.k8s.io/v1", "Lease", "one", namespace="kube-system")


def test_credentials_that_cannot_be_had_are_told(tmp_path: Path) -> None:
    config = {
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:9"}}],
        "users": [{"name": "u", "user": {"client-certificate": "/nowhere/certificate", "client-key": "/nowhere/key"}}],
        "contexts": [{"name": CONTEXT, "context": {"cluster": "c", "user": "u"}}],
    }
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(config))
    objects = Objects(file, CONTEXT, "run-1", timeout=2, discovery=tmp_path / "discovery.json")
    with pytest.raises(BadInput, match=r"expected a kubeconfig that can be read; saw .*/nowhere/certificate"):
        objects.get("v1", "ConfigMap", "one", namespace="kube-system")
