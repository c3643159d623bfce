"""Steps of features/3_identity: ID-01 to ID-12."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_bdd import given, parsers, then

from checks import identity as checks
from facts.kubernetes.probes import Refused, SocketDirectoryProbe
from judge.identity import issuance
from judge.identity.proxies import ObservedProxies
from judge.identity.sweep import Expectation
from observe.install import Install
from observe.proxies.survey import read_fleet
from provision.pods.clients_and_servers import Sidecar, TestPods
from steps.shared import Conclude

# The whole mesh.


@given("the expected issuer, trust bundle and maximum lifetime for every proxy", target_fixture="expectation")
def expectation(install: Install) -> Expectation:
    return checks.expectation(install)


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
