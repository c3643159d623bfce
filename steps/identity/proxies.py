"""Steps of features/3_identity: ID-01 to ID-12."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_bdd import given, parsers, then

from checks import identity as checks
from checks.mtls import Sweeps
from facts.kubernetes.objects import Pod
from facts.kubernetes.probes import Refused, SocketDirectoryProbe
from facts.provider.trust import TrustBundle
from facts.proxies.identity import LeftOut
from facts.proxies.mounts import SocketMount
from judge.identity import issuance, socket, sweep
from judge.identity import proxies as judge
from judge.identity.proxies import Lifetime, ObservedProxies
from judge.identity.sweep import Expectation, Outside
from observe.install import Install
from observe.proxies.survey import read_fleet
from providers.teleport.facts.audit import AuditTrail
from providers.teleport.judge import audited
from provision.pods.clients_and_servers import Sidecar, TestPods
from provision.pods.probes import Probes
from steps.shared import Conclude


@given("every sidecar of the mesh, as its own Envoy reports it", target_fixture="sidecars")
def every_sidecar(install: Install) -> ObservedProxies:
    return checks.sidecars(install)


@given("every proxy of the mesh, gateways included, as its own Envoy reports it", target_fixture="proxies")
def every_proxy(install: Install, sweeps: Sweeps) -> ObservedProxies:
    return checks.proxies(install, sweeps)


@given("the SPIFFE bundle that Teleport publishes", target_fixture="bundle")
def bundle(install: Install) -> TrustBundle:
    return install.teleport.bundle()


@given("the longest lifetime that tbot and the workload identity allow", target_fixture="lifetime")
def lifetime(install: Install) -> Lifetime:
    return checks.lifetime(install)


@then("each sidecar must take certificate and trust bundle from the external SDS socket over live streams, none from istiod")
def secrets_come_from_the_socket(sidecars: ObservedProxies, install: Install, conclude: Conclude) -> None:
    conclude(checks.supply_of(install, sidecars))


@then("the only name in each certificate must be the SPIFFE ID of the pod's namespace and service account")
def names_are_the_pods_own(sidecars: ObservedProxies, bundle: TrustBundle, conclude: Conclude) -> None:
    conclude(judge.names_are_the_pods_own(sidecars, bundle))


@then("each certificate must verify against the bundle, and must not descend from any of istiod's authorities")
def teleport_issued(sidecars: ObservedProxies, bundle: TrustBundle, install: Install, conclude: Conclude) -> None:
    conclude(judge.teleport_issued(sidecars, bundle, install.istio.authorities()))


@then("each certificate must be an X509-SVID leaf that is valid now and within that lifetime")
def leaves_are_svids(sidecars: ObservedProxies, lifetime: Lifetime, conclude: Conclude) -> None:
    conclude(judge.leaves_are_svids(sidecars, lifetime))


@then("the SPIFFE ID in each certificate must follow the grammar of the specification")
def names_are_well_formed(sidecars: ObservedProxies, conclude: Conclude) -> None:
    conclude(judge.names_are_well_formed(sidecars))


@then("each sidecar must validate its peers with the SPIFFE validator, against exactly the authorities of the bundle")
def authorities_are_teleports(sidecars: ObservedProxies, bundle: TrustBundle, conclude: Conclude) -> None:
    conclude(judge.authorities_are_teleports(sidecars, bundle))


@then("the metrics of each sidecar's Istio agent must show that it sent no signing request")
def no_request_went_to_istiod(sidecars: ObservedProxies, conclude: Conclude) -> None:
    conclude(judge.no_request_went_to_istiod(sidecars))


@given("Teleport's audit events", target_fixture="audit_trail")
def audit_trail(install: Install) -> AuditTrail:
    return install.teleport.audit_trail(install.proxies.sidecar_serials())


@then("Teleport must have audited each certificate as issued to the pod that uses it")
def certificates_are_audited(sidecars: ObservedProxies, audit_trail: AuditTrail, conclude: Conclude) -> None:
    conclude(audited.certificates_are_audited(sidecars, audit_trail))


# The whole mesh.


@given("the expected issuer, trust bundle and maximum lifetime for every proxy", target_fixture="expectation")
def expectation(install: Install) -> Expectation:
    return checks.expectation(install)


@given("the workloads that should use the socket but lack the injection template", target_fixture="outside")
def workloads_lacking_the_template(install: Install) -> Outside:
    return checks.outside_of_teleport(install)


@then("every proxy must meet ID-01 to ID-06, and no workload must lack the template")
def mesh_is_teleports(proxies: ObservedProxies, expectation: Expectation, outside: Outside, conclude: Conclude) -> None:
    conclude(sweep.mesh_is_teleports(proxies, expectation, outside))


# Test pods.


@given(parsers.parse('the test pods "{first}" and "{second}", as their own Envoys report them'), target_fixture="pair")
def observed_pair(first: str, second: str, test_pods: TestPods, install: Install) -> ObservedProxies:
    pods = test_pods.ready(first, second)
    return ObservedProxies(pods, read_fleet(install.cluster.reader, pods), ())


@then("each test pod must hold its own name, key and serial number")
@then("both test pods must hold the name of their service account, each with its own key and serial number")
def identities_differ(pair: ObservedProxies, install: Install, conclude: Conclude) -> None:
    conclude(issuance.identities_are_told_apart(pair, install.teleport.ping().cluster_name))


@then("both test pods must meet ID-01 to ID-07, each with the kind of sidecar that it requested")
def kinds_are_alike(pair: ObservedProxies, expectation: Expectation, test_pods: TestPods, conclude: Conclude) -> None:
    classic = {pod.uid for pod in pair.pods if test_pods.wanted(pod.name).sidecar is Sidecar.CLASSIC}
    conclude(issuance.kinds_are_certified_alike(pair, classic, expectation))


# The node's socket.

DirectoryProbes = Mapping[str, Sequence[SocketDirectoryProbe | Refused]]
"""The probe pods' answers by directory, one for each node that has the directory."""


@given(
    "a probe pod as the user of Istio's proxies on every node with tbot's socket, which only reads what it may do there",
    target_fixture="directories",
)
def socket_directories(install: Install, probes: Probes) -> DirectoryProbes:
    return {
        directory: probes.of_socket_directories(nodes, directory)
        for directory, nodes in checks.nodes_by_directory(install).items()
    }


@then("no probe pod must be able to write to the socket directory")
def are_closed(directories: DirectoryProbes, install: Install, conclude: Conclude) -> None:
    seen = install.cluster.pods_evidence()
    conclude(*(socket.directories_are_closed(probes, directory, seen) for directory, probes in directories.items()))


@given("every container of every pod, with its mounts and its user", target_fixture="living_pods")
def living_pods(install: Install) -> tuple[Pod, ...]:
    return install.cluster.living_pods()


@then("only tbot's containers must be able to write to the socket directory as root")
def only_tbot_writes_there(install: Install, conclude: Conclude) -> None:
    conclude(*checks.only_tbot_writes_to_the_sockets(install))


@given("the mount tables of the proxies that mount the node's socket directory", target_fixture="socket_mounts")
def socket_mounts(install: Install) -> tuple[SocketMount | LeftOut, ...]:
    return install.proxies.socket_mounts()


@then("the effective mount in each proxy must be read-only")
def mounts_are_read_only(socket_mounts: tuple[SocketMount | LeftOut, ...], install: Install, conclude: Conclude) -> None:
    pods, directories = install.proxies.pods(), install.tbot.socket_directories()
    conclude(socket.mounts_are_read_only(socket_mounts, pods, directories, install.cluster.pods_evidence()))
