"""Steps of features/1_install/2_istio.feature: INST-05 to INST-08."""

from __future__ import annotations

from pytest_bdd import given, parsers, then, when

from facts.istio.injection import DryRun
from facts.istio.mesh import Mesh
from facts.proxies.identity import LeftOut, Normalization, Unread
from facts.teleport.resources import Ping
from facts.versions import Tool
from judge.install import istio as judge
from observe.install import Install
from steps.shared import Conclude

SIDECARS = {"with the cluster's default sidecar": "", "with a classic sidecar": "false", "with a native sidecar": "true"}
NATIVE = {"": None, "false": False, "true": True}
"""The feature's kinds of sidecar as values of the annotation sidecar.istio.io/nativeSidecar, and what each value means."""


@given("the Istio control plane", target_fixture="mesh")
@given("the mesh configuration", target_fixture="mesh")
def mesh(install: Install) -> Mesh:
    return install.istio.mesh()


@given("the version of istioctl", target_fixture="istioctl")
def istioctl(install: Install) -> Tool:
    return install.tools.istioctl()


@given("the cluster name that Teleport reports", target_fixture="ping")
def ping(install: Install) -> Ping:
    return install.teleport.ping()


@then("every Deployment of Istio must be available at its current generation")
def control_plane_is_available(mesh: Mesh, conclude: Conclude) -> None:
    conclude(judge.control_plane_is_available(mesh))


@then("every Istio image must have istioctl's version")
def images_have_one_version(mesh: Mesh, istioctl: Tool, install: Install, conclude: Conclude) -> None:
    conclude(judge.images_carry_istioctls_version(mesh, install.proxies.pods(), istioctl))


@then("Istio's trust domain must equal Teleport's cluster name")
def trust_domain_is_teleports(mesh: Mesh, ping: Ping, conclude: Conclude) -> None:
    conclude(judge.trust_domain_is_teleports(mesh, ping))


@given(
    parsers.parse("a pod in an injected namespace that requests the guide's templates, {sidecar}"), target_fixture="native"
)
def requested_sidecar(sidecar: str) -> str:
    return SIDECARS[sidecar]


@when("the suite submits the pod as a server-side dry-run", target_fixture="dry_run")
def dry_run(native: str, install: Install) -> DryRun:
    return install.istio.dry_run(native)


@then("the API server must accept the pod with exactly one istio-proxy")
def pod_is_accepted(dry_run: DryRun, native: str, conclude: Conclude) -> None:
    conclude(judge.injected_pod_is_accepted(dry_run, NATIVE[native]))


@then("its workload-socket volume must be the node's socket directory")
def socket_is_the_nodes(dry_run: DryRun, install: Install, conclude: Conclude) -> None:
    conclude(judge.injected_socket_is_the_nodes(dry_run, install.tbot.socket_directory()))


@given("the HTTP connection managers of every injected pod", target_fixture="normalizations")
def normalizations(install: Install) -> tuple[Normalization | Unread | LeftOut, ...]:
    return install.proxies.normalizations()


@then("every proxy must normalize paths as the mesh configuration says")
def normalized(
    mesh: Mesh, normalizations: tuple[Normalization | Unread | LeftOut, ...], install: Install, conclude: Conclude
) -> None:
    conclude(judge.normalization_is_in_force(mesh, normalizations, install.cluster.pods_evidence()))
