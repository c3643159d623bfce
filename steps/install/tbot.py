"""Steps of features/1_install/4_tbot.feature: INST-13, INST-14, INST-16 and INST-18."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_bdd import given, then

from checks.identity import beside, sockets_of_nodes
from facts.kubernetes.access import Right
from facts.kubernetes.objects import Pod
from facts.kubernetes.probes import Refused, SdsProbe
from judge.install import attested
from observe.install import Install
from providers.teleport.checks import tbot as checks
from providers.teleport.facts.resources import BotInstance
from providers.teleport.facts.tbot import Tbots
from provision.pods.probes import Probes
from steps.shared import Conclude


@given("tbot's DaemonSet, its pods and its configuration", target_fixture="tbots")
def every_tbot(install: Install) -> Tbots:
    return install.tbot.all()


@given("the nodes that host injected pods", target_fixture="hosts")
def nodes_with_injected_pods(install: Install) -> Mapping[str, Sequence[Pod]]:
    return install.proxies.pods_by_node()


@then("a Ready tbot pod must run on each of those nodes")
def tbot_is_ready(install: Install, conclude: Conclude) -> None:
    conclude(checks.is_ready_on_every_node(install))


@then("tbot's configuration must have no setting that breaks joining or attestation")
def configuration_is_correct(install: Install, conclude: Conclude) -> None:
    conclude(*checks.configurations_are_sound(install))


@given(
    "a probe pod on every node that hosts injected pods, which requests its identity from the socket over SDS",
    target_fixture="sds_probes",
)
def sds_probes(install: Install, probes: Probes) -> tuple[SdsProbe | Refused, ...]:
    return probes.of_sockets(sockets_of_nodes(install), install.istio.proxy_image())


@then("every probe must have received the identity of its own service account from Teleport")
def probes_got_their_own_identity(
    sds_probes: tuple[SdsProbe | Refused, ...], install: Install, probes: Probes, conclude: Conclude
) -> None:
    known = beside(install, probes, sds_probes)
    conclude(attested.probes_got_their_own_identity(sds_probes, install.teleport.bundle(), install.tbot.all(), known))


@given("tbot's version, as its bot instances report it", target_fixture="bot_instances")
def bot_instances(install: Install) -> tuple[BotInstance, ...] | None:
    return install.teleport.bot_instances()


@then("no component must have a version with a known identity defect")
def no_known_defect(install: Install, conclude: Conclude) -> None:
    conclude(*checks.no_known_defect(install))


@given("the API server's answers about the rights of tbot's service account at the kubelet", target_fixture="rights")
def rights_of_tbot(tbots: Tbots, install: Install) -> Sequence[tuple[Right, ...]]:
    return [install.tbot.kubelet_rights(tbot) for tbot in tbots.each]


@then("the service account must be able to list a kubelet's pods, and to do nothing else there")
def rights_are_what_attestation_needs(install: Install, conclude: Conclude) -> None:
    conclude(*checks.rights_are_what_attestation_needs(install))
