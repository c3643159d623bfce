"""Steps of features/1_install/2_istio.feature: INST-05 to INST-08."""

from __future__ import annotations

from pytest_bdd import given, parsers, then, when

from facts.istio.control_planes import ControlPlanes
from facts.istio.injection import DryRun
from facts.proxies.identity import LeftOut, Normalization, Unread
from facts.teleport.resources import Ping
from judge.install import istio as judge
from observe.install import Install
from steps.shared import Conclude

SIDECARS = {"with the cluster's default sidecar": "", "with a classic sidecar": "false", "with a native sidecar": "true"}
NATIVE = {"": None, "false": False, "true": True}
"""The feature's kinds of sidecar as values of the annotation sidecar.istio.io/nativeSidecar, and what each value means."""


@given("every control plane of Istio", target_fixture="planes")
@given("every mesh configuration", target_fixture="planes")
def planes(install: Install) -> ControlPlanes:
    return install.istio.planes()


@given("the cluster name that Teleport reports", target_fixture="ping")
def ping(install: Install) -> Ping:
    return install.teleport.ping()


@then("every Deployment of Istio must be available at its current generation")
def control_planes_are_available(planes: ControlPlanes, install: Install, conclude: Conclude) -> None:
    silent = install.cluster.silent_pods()
    conclude(*judge.of_each_plane("INST-05", planes, lambda mesh: judge.control_plane_is_available(mesh, silent)))


@then("every Istio image must have the version of its own istiod")
def images_have_istiods_version(install: Install, conclude: Conclude) -> None:
    pods, evidence = install.istio.pods_of_planes(), install.cluster.pods_evidence()
    conclude(*judge.images_are_of_their_istiods(pods, evidence, install.istio.planes().lost_gateways))


@then("Istio's trust domain must equal Teleport's cluster name")
def trust_domain_is_teleports(planes: ControlPlanes, ping: Ping, conclude: Conclude) -> None:
    conclude(*judge.of_each_plane("INST-06", planes, lambda mesh: judge.trust_domain_is_teleports(mesh, ping)))


@given(
    parsers.parse("a pod in an injected namespace that requests the guide's templates, {sidecar}"), target_fixture="native"
)
def requested_sidecar(sidecar: str) -> str:
    return SIDECARS[sidecar]


@when("the suite submits the pod as a server-side dry-run", target_fixture="dry_run")
def dry_run(native: str, install: Install) -> DryRun:
    return install.istio.dry_run(native)


@then("the API server must accept the pod with exactly one istio-proxy")
def pod_is_accepted(dry_run: DryRun, native: str, install: Install, conclude: Conclude) -> None:
    control = install.istio.control_of(dry_run)
    conclude(judge.injected_pod_is_accepted(dry_run, NATIVE[native], control=control))


@then("its workload-socket volume must be the node's socket directory")
def socket_is_the_nodes(dry_run: DryRun, install: Install, conclude: Conclude) -> None:
    planes, named = install.istio.planes(), install.names.injection_template
    conclude(
        judge.injected_socket_is_the_nodes(dry_run, install.tbot.socket_directories()),
        *judge.other_injectors_have_the_template(planes, dry_run, named),
    )


@given("the HTTP connection managers of every injected pod", target_fixture="normalizations")
def normalizations(install: Install) -> tuple[Normalization | Unread | LeftOut, ...]:
    return install.proxies.normalizations()


@then("every proxy must normalize paths as its mesh configuration says")
def normalized(normalizations: tuple[Normalization | Unread | LeftOut, ...], install: Install, conclude: Conclude) -> None:
    pods, evidence = install.istio.surveyed_pods_of_planes(), install.cluster.pods_evidence()
    conclude(*judge.normalizations_are_in_force(pods, normalizations, evidence))
