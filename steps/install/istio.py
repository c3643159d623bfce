"""Steps of features/1_install/2_istio.feature: INST-05 to INST-08."""

from __future__ import annotations

from pytest_bdd import given, parsers, then, when

from checks import istio as checks
from facts.istio.control_planes import ControlPlanes
from facts.istio.injection import DryRun
from facts.proxies.identity import LeftOut, Normalization, Unread
from observe.install import Install
from providers.teleport.facts.resources import Ping
from steps.shared import Conclude

SIDECARS = {"with the cluster's default sidecar": "", "with a classic sidecar": "false", "with a native sidecar": "true"}
"""The feature's kinds of sidecar as values of the annotation sidecar.istio.io/nativeSidecar."""


@given("every control plane of Istio", target_fixture="planes")
@given("every mesh configuration", target_fixture="planes")
def planes(install: Install) -> ControlPlanes:
    return install.istio.planes()


@given("the cluster name that Teleport reports", target_fixture="ping")
def ping(install: Install) -> Ping:
    return install.teleport.ping()


@then("every Deployment of Istio must be available at its current generation")
def control_planes_are_available(install: Install, conclude: Conclude) -> None:
    conclude(*checks.control_planes_are_available(install))


@then("every Istio image must have the version of its own istiod")
def images_have_istiods_version(install: Install, conclude: Conclude) -> None:
    conclude(*checks.images_have_istiods_version(install))


@then("Istio's trust domain must equal Teleport's cluster name")
def trust_domain_is_teleports(install: Install, conclude: Conclude) -> None:
    conclude(*checks.trust_domain_is_teleports(install))


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


@given("the HTTP connection managers of every injected pod", target_fixture="normalizations")
def normalizations(install: Install) -> tuple[Normalization | Unread | LeftOut, ...]:
    return install.proxies.normalizations()


@then("every proxy must normalize paths as its mesh configuration says")
def normalized(install: Install, conclude: Conclude) -> None:
    conclude(*checks.paths_are_normalized(install))
