"""Namespaces of the suite as members of the mesh."""

from __future__ import annotations

from typing import Any

import pytest

from facts.errors import CouldNotTell
from facts.kubernetes.label_selector import LabelSelector
from provision.pods.clients_and_servers import TRAFFIC
from provision.pods.membership import join
from provision.pods.probes import PROBES
from provision.render import documents
from tests.unit.judge import builders as make

DEFAULT = make.mesh()
CANARY = make.canary(config=make.mesh_config(discovery_selectors=(LabelSelector({"istio-discovery": "enabled"}),)))
PLANES = make.planes(DEFAULT, CANARY)


def namespace_of(manifest: Any) -> dict[str, Any]:
    found: dict[str, Any] = documents(manifest, {"NAMESPACE": "conformance-run"})[0]
    return found


MANIFESTS = [TRAFFIC / "namespace.yaml", PROBES / "injected_namespace.yaml"]


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda path: path.name)
def test_a_namespace_of_the_default_revision_stays_as_it_is(manifest: Any) -> None:
    namespace = namespace_of(manifest)
    join(namespace, PLANES, DEFAULT)
    assert namespace == namespace_of(manifest)


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda path: path.name)
def test_a_namespace_of_another_revision_has_its_labels_and_what_its_selectors_ask_for(manifest: Any) -> None:
    namespace = namespace_of(manifest)
    join(namespace, PLANES, CANARY)
    assert namespace["metadata"]["labels"] == {
        "istio.io/rev": "canary",
        "istio-discovery": "enabled",
        "pod-security.kubernetes.io/enforce": "privileged",
    }


def test_a_selector_that_no_namespace_of_the_suite_can_fit_is_an_error() -> None:
    named = LabelSelector({"kubernetes.io/metadata.name": "shop"})
    closed = make.mesh(config=make.mesh_config(discovery_selectors=(named,)))
    with pytest.raises(CouldNotTell, match=r"kubernetes\.io/metadata\.name=shop.*ConfigMap istio-system/istio"):
        join(namespace_of(MANIFESTS[0]), make.planes(closed), closed)
