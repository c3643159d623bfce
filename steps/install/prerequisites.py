"""Steps of features/1_install/1_prerequisites.feature: INST-01 to INST-04."""

from __future__ import annotations

from datetime import UTC, datetime

from pytest_bdd import given, then, when

from facts.kubernetes.access import Right
from facts.kubernetes.probes import NodeProbe, Refused
from facts.provider.trust import TrustBundle
from facts.versions import Tool, Version
from judge.install import prerequisites as judge
from observe.install import Install
from providers.teleport.facts.resources import Ping
from provision.pods.probes import Probes
from steps.shared import Conclude


@given("the version of the API server", target_fixture="api_server")
def api_server(install: Install) -> tuple[Version, tuple[str, ...]]:
    return install.cluster.version()


@given("the version of tctl", target_fixture="tctl")
def tctl(install: Install) -> Tool:
    return install.tools.tctl()


@then("kubectl must be 1.27 or later and within one minor version of the API server")
def kubectl_fits(install: Install, api_server: tuple[Version, tuple[str, ...]], conclude: Conclude) -> None:
    version, evidence = api_server
    conclude(judge.kubectl_fits(install.tools.kubectl(), version, evidence))


@then("istioctl must be 1.28 or later")
def istioctl_fits(install: Install, conclude: Conclude) -> None:
    conclude(judge.istioctl_fits(install.tools.istioctl()))


@then("tctl must be within one major version of Teleport")
def tctl_fits(tctl: Tool, install: Install, conclude: Conclude) -> None:
    conclude(judge.tctl_fits(tctl, install.teleport.ping()))


@when("the suite asks the API server about every right that it needs", target_fixture="rights")
def rights(install: Install) -> tuple[Right, ...]:
    return install.rights.reviewed()


@then("the API server must grant all of them")
def all_rights_are_granted(rights: tuple[Right, ...], install: Install, conclude: Conclude) -> None:
    conclude(judge.rights_suffice(rights, install.cluster.where))


@when("the suite reads Teleport's public ping and SPIFFE bundle", target_fixture="public_endpoints")
def public_endpoints(install: Install) -> tuple[Ping, TrustBundle]:
    return install.teleport.ping(), install.teleport.bundle()


@then("the SPIFFE bundle must belong to Teleport's cluster name and hold an authority that is valid now")
def bundle_is_valid(public_endpoints: tuple[Ping, TrustBundle], conclude: Conclude) -> None:
    ping, bundle = public_endpoints
    conclude(judge.teleport_names_itself(ping, bundle, datetime.now(UTC)))


@then("the admin session must work")
def admin_session_works(install: Install, conclude: Conclude) -> None:
    conclude(judge.admin_session_works(install.teleport.status(), install.teleport.ping()))


@given("a probe pod, configured like tbot, on every node that takes workloads", target_fixture="node_probes")
def node_probes(install: Install, probes: Probes) -> tuple[NodeProbe | Refused, ...]:
    return probes.on_nodes(install.cluster.workload_nodes(), install.tbot.kubelet_address())


@then("the API server must have admitted every probe with hostPath and hostPID")
def probes_are_admitted(node_probes: tuple[NodeProbe | Refused, ...], conclude: Conclude) -> None:
    conclude(judge.nodes_admit_probes(node_probes))


@then("every probe must reach its kubelet at the address that tbot uses")
def kubelets_answer(node_probes: tuple[NodeProbe | Refused, ...], conclude: Conclude) -> None:
    conclude(judge.kubelets_answer(node_probes))


@then("every probe must read pod and container IDs from mountinfo")
def mountinfo_names_pods(node_probes: tuple[NodeProbe | Refused, ...], install: Install, conclude: Conclude) -> None:
    conclude(judge.mountinfo_identifies_pods(node_probes, install.cluster.pods()))
