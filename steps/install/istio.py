"""Steps of features/1_install/2_istio.feature: INST-05 to INST-08."""

from __future__ import annotations

from pytest_bdd import given, parsers, then, when

from checks import istio as checks
from facts.istio.injection import DryRun
from observe.install import Install
from steps.shared import Conclude

SIDECARS = {"with the cluster's default sidecar": "", "with a classic sidecar": "false", "with a native sidecar": "true"}
"""The feature's kinds of sidecar as values of the annotation sidecar.istio.io/nativeSidecar."""


@given(
    parsers.parse("a pod in an injected namespace that requests the guide's templates, {sidecar}"), target_fixture="native"
)
def requested_sidecar(sidecar: str) -> str:
    return SIDECARS[sidecar]


@when("the suite submits the pod as a server-side dry-run", target_fixture="dry_run")
def dry_run(native: str, install: Install) -> DryRun:
    return install.istio.dry_run(native)


@then("the API server must accept the pod with exactly one istio-proxy")
def pod_is_accepted(native: str, install: Install, conclude: Conclude) -> None:
    conclude(checks.injected_pod_is_accepted(install, native))


@then("its workload-socket volume must be the node's socket directory")
def socket_is_the_nodes(native: str, install: Install, conclude: Conclude) -> None:
    conclude(*checks.injected_socket_is_the_nodes(install, native))
