"""Sentences of ``features/3_identity``: ID-01 to ID-12."""

from __future__ import annotations

import pytest
from pytest_bdd import given, parsers, then

from facts.evidence import Recorder
from facts.finding import Finding
from facts.kubernetes.probes import Refused, SocketDirectoryProbe
from facts.proxies.identity import Fleet
from facts.proxies.mounts import SocketMount
from facts.teleport.audit import AuditTrail
from facts.teleport.bundle import TrustBundle
from judge.identity import issuance, socket, sweep
from judge.identity import proxies as judge
from judge.identity.proxies import Lifetime, ObservedProxies
from judge.identity.sweep import Expectation, Lacking
from observe.install import Install
from observe.proxies.envoy import read_fleet
from provision.pods.clients_and_servers import Sidecar, TestPods
from provision.pods.probes import Probes
from steps.conclusions import must_hold


@given("every sidecar of the mesh, as its own Envoy describes it", target_fixture="sidecars")
def sidecars(install: Install) -> ObservedProxies:
    return ObservedProxies(install.proxies.sidecar_pods(), install.proxies.sidecar_fleet(), install.cluster.pods_evidence())


@given("every proxy of the mesh, gateways included, as its own Envoy describes it", target_fixture="proxies")
def proxies(install: Install) -> ObservedProxies:
    return ObservedProxies(install.proxies.pods(), install.proxies.fleet(), install.cluster.pods_evidence())


@given("Teleport's own SPIFFE bundle", target_fixture="bundle")
def bundle(install: Install) -> TrustBundle:
    return install.teleport.bundle()


@given("the longest life that tbot and the workload identity allow a certificate", target_fixture="lifetime")
def lifetime(install: Install) -> Lifetime:
    return judge.effective_lifetime(install.tbot.installed(), install.teleport.known_workload_identity())


@then("each must take both secrets from the external socket over live streams, and none from istiod")
def external(sidecars: ObservedProxies, recorder: Recorder) -> None:
    must_hold(recorder, judge.secrets_come_from_the_socket(sidecars))


@then("the only name in each certificate must be the SPIFFE ID of the pod's namespace and service account")
def own_name(sidecars: ObservedProxies, bundle: TrustBundle, recorder: Recorder) -> None:
    must_hold(recorder, judge.names_are_the_pods_own(sidecars, bundle))


@then("each certificate must verify against the bundle, and descend from no authority of istiod's")
def from_teleport(sidecars: ObservedProxies, bundle: TrustBundle, install: Install, recorder: Recorder) -> None:
    must_hold(recorder, judge.teleport_issued(sidecars, bundle, install.istio.authorities()))


@then("each certificate must be an X509-SVID leaf that is valid now and lives no longer")
def leaves(sidecars: ObservedProxies, lifetime: Lifetime, recorder: Recorder) -> None:
    must_hold(recorder, judge.leaves_are_svids(sidecars, lifetime))


@then("the names in each certificate must follow the grammar of SPIFFE IDs")
def well_formed(sidecars: ObservedProxies, recorder: Recorder) -> None:
    must_hold(recorder, judge.names_are_well_formed(sidecars))


@then("each must validate its peers with the SPIFFE validator, against exactly the authorities of the bundle")
def authorities(sidecars: ObservedProxies, bundle: TrustBundle, recorder: Recorder) -> None:
    must_hold(recorder, judge.authorities_are_teleports(sidecars, bundle))


@then("the agent of each must have sent no signing request, by its own count")
def no_request(sidecars: ObservedProxies, recorder: Recorder) -> None:
    must_hold(recorder, judge.no_request_went_to_istiod(sidecars))


@given("the audit events of Teleport", target_fixture="trail")
def trail(install: Install) -> AuditTrail:
    return install.teleport.audit_trail(install.proxies.sidecar_serials())


@then("each certificate must have been audited as issued to the pod that uses it")
def audited(sidecars: ObservedProxies, trail: AuditTrail, recorder: Recorder) -> None:
    must_hold(recorder, issuance.certificates_are_audited(sidecars, trail))


# The whole mesh.


@given("what Teleport, istiod and the configured lifetimes have each proxy held against", target_fixture="expectation")
def expectation(install: Install) -> Expectation:
    longest = judge.effective_lifetime(install.tbot.installed(), install.teleport.known_workload_identity())
    return Expectation(install.teleport.bundle(), install.istio.authorities(), longest)


@given("the workloads that are meant to use the socket and lack the injection template", target_fixture="lacking")
def lacking(install: Install) -> tuple[Lacking, ...]:
    return sweep.lacking_template(
        install.cluster.living_pods(),
        install.cluster.namespaces(),
        install.istio.mesh(),
        install.istio.injection_template(),
        install.tbot.socket_directory(),
    )


@then("every proxy must meet ID-01 to ID-06, and no workload may lack the template")
def swept(
    proxies: ObservedProxies, expectation: Expectation, lacking: tuple[Lacking, ...], install: Install, recorder: Recorder
) -> None:
    must_hold(recorder, sweep.mesh_is_teleports(proxies, expectation, lacking, install.istio.injection_template()))


# Workloads of the run.


@pytest.fixture
def one_node() -> Finding | None:
    """Why what needs two nodes does not apply; most scenarios have no such condition."""
    return None


@given("two nodes that take workloads", target_fixture="one_node")
def two_nodes(install: Install) -> Finding | None:
    return issuance.needs_two_nodes(
        install.cluster.workload_nodes(), [e for node in install.cluster.nodes() for e in node.evidence]
    )


@given(
    parsers.parse('the workloads "{first}" and "{second}" of the run, as their own Envoys describe them'),
    target_fixture="own",
)
def own(first: str, second: str, one_node: Finding | None, test_pods: TestPods, install: Install) -> ObservedProxies:
    if one_node is not None:
        return ObservedProxies((), Fleet((), ()), one_node.evidence)
    pods = test_pods.ready(first, second)
    return ObservedProxies(pods, read_fleet(install.cluster.reader, pods), ())


@then("each must carry a name, a key and a serial of its own")
@then("both must carry the name of their service account, each with a key and a serial of its own")
def told_apart(own: ObservedProxies, one_node: Finding | None, install: Install, recorder: Recorder) -> None:
    must_hold(recorder, one_node or issuance.identities_are_told_apart(own, install.teleport.ping().cluster_name))


@then("each must meet ID-01 to ID-07, and be of the kind that it asked for")
def alike(own: ObservedProxies, expectation: Expectation, test_pods: TestPods, recorder: Recorder) -> None:
    classic = {pod.uid for pod in own.pods if test_pods.workload(pod.name).sidecar is Sidecar.CLASSIC}
    must_hold(recorder, issuance.kinds_are_certified_alike(own, classic, expectation))


# The node's socket.


@given(
    "a probe pod on every node with the socket, as the user of Istio's proxies, that only asks what it might do",
    target_fixture="directories",
)
def directories(install: Install, probes: Probes) -> tuple[SocketDirectoryProbe | Refused, ...]:
    nodes = {*install.proxies.pods_by_node(), *install.tbot.installed().pods}
    return probes.of_socket_directories(sorted(nodes), install.tbot.socket_directory())


@then("no probe may write in the socket's directory")
def closed(directories: tuple[SocketDirectoryProbe | Refused, ...], install: Install, recorder: Recorder) -> None:
    finding = socket.directories_are_closed(
        directories, install.proxies.pods(), install.tbot.socket_directory(), install.cluster.pods_evidence()
    )
    must_hold(recorder, finding)


@given("the mount tables of the proxies that mount the node's socket directory", target_fixture="socket_mounts")
def socket_mounts(install: Install) -> tuple[SocketMount, ...]:
    return install.proxies.socket_mounts()


@then("the mount in effect must be read-only in each")
def read_only(socket_mounts: tuple[SocketMount, ...], install: Install, recorder: Recorder) -> None:
    finding = socket.mounts_are_read_only(
        socket_mounts, install.proxies.pods(), install.tbot.socket_directory(), install.cluster.pods_evidence()
    )
    must_hold(recorder, finding)
