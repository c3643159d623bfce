"""Steps of features/1_install/4_tbot.feature: INST-13, INST-14, INST-16 and INST-18."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from pytest_bdd import given, then

from facts.kubernetes.access import Right
from facts.kubernetes.objects import Pod
from facts.kubernetes.probes import Refused, SdsProbe
from facts.teleport.resources import BotInstance
from facts.teleport.tbot import Tbot
from judge.install import kubelet_rights
from judge.install import tbot as judge
from observe.install import Install
from provision.pods.probes import Probes
from steps.shared import Conclude


@given("tbot's DaemonSet, its pods and its configuration", target_fixture="tbot")
def tbot(install: Install) -> Tbot:
    return install.tbot.installed()


@given("the nodes that host injected pods", target_fixture="hosts")
def nodes_with_injected_pods(install: Install) -> Mapping[str, Sequence[Pod]]:
    return install.proxies.pods_by_node()


@then("a Ready tbot pod must run on each of those nodes")
def tbot_is_ready(tbot: Tbot, hosts: Mapping[str, Sequence[Pod]], install: Install, conclude: Conclude) -> None:
    conclude(judge.ready_on_every_node(tbot, hosts, datetime.now(UTC), install.cluster.pods_evidence()))


@then("tbot's configuration must have no setting that breaks joining or attestation")
def configuration_is_correct(tbot: Tbot, install: Install, conclude: Conclude) -> None:
    teleport, pods = install.teleport, install.proxies.pods()
    evidence = (*install.cluster.pods_evidence(), *teleport.join_evidence())
    name, join_type = teleport.ping().cluster_name, teleport.kubernetes_type()
    conclude(judge.configuration_is_sound(tbot, name, pods, evidence, join_type, bot=teleport.known_bot()))


@given(
    "a probe pod on every node that hosts injected pods, which requests its identity from the socket over SDS",
    target_fixture="sds_probes",
)
def sds_probes(install: Install, probes: Probes) -> tuple[SdsProbe | Refused, ...]:
    nodes, image = sorted(install.proxies.pods_by_node()), install.istio.proxy_image()
    directory, name = install.tbot.socket_directory(), install.tbot.socket_name()
    return probes.of_sockets(nodes=nodes, image=image, socket_directory=directory, socket_name=name)


@then("every probe must have received the identity of its own service account from Teleport")
def probes_got_their_own_identity(sds_probes: tuple[SdsProbe | Refused, ...], install: Install, conclude: Conclude) -> None:
    conclude(judge.probes_got_their_own_identity(sds_probes, install.teleport.bundle()))


@given("tbot's version, as its bot instances report it", target_fixture="bot_instances")
def bot_instances(install: Install) -> tuple[BotInstance, ...] | None:
    return install.teleport.bot_instances()


@then("no component must have a version with a known identity defect")
def no_known_defect(tbot: Tbot, bot_instances: tuple[BotInstance, ...] | None, install: Install, conclude: Conclude) -> None:
    istio = judge.istio_components(install.istio.planes(), install.proxies.pods())
    components = [*judge.tbot_components(tbot, bot_instances), *istio]
    conclude(judge.no_known_defect(components, tbot.image))


@given(
    "the API server's answers about the rights of tbot's service account at the kubelet",
    target_fixture="kubelet_rights_of_tbot",
)
def rights_of_tbot(install: Install) -> tuple[Right, ...]:
    return install.tbot.kubelet_rights()


@then("the service account must be able to list a kubelet's pods, and to do nothing else there")
def rights_are_what_attestation_needs(
    tbot: Tbot, kubelet_rights_of_tbot: tuple[Right, ...], install: Install, conclude: Conclude
) -> None:
    conclude(kubelet_rights.rights_are_what_attestation_needs(tbot, kubelet_rights_of_tbot, install.cluster.nodes()))
