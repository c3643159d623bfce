"""Steps of features/1_install/4_tbot.feature: INST-13, INST-14, INST-16 and INST-18."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from pytest_bdd import given, then

from facts.kubernetes.access import Right
from facts.kubernetes.objects import Pod
from facts.kubernetes.probes import Refused, SdsProbe
from facts.teleport.resources import BotInstance
from facts.teleport.tbot import Tbots
from judge.install import kubelet_rights
from judge.install import tbot as judge
from observe.install import Install
from provision.pods.probes import Probes
from steps.shared import Conclude


@given("tbot's DaemonSet, its pods and its configuration", target_fixture="tbots")
def every_tbot(install: Install) -> Tbots:
    return install.tbot.all()


@given("the nodes that host injected pods", target_fixture="hosts")
def nodes_with_injected_pods(install: Install) -> Mapping[str, Sequence[Pod]]:
    return install.proxies.pods_by_node()


@then("a Ready tbot pod must run on each of those nodes")
def tbot_is_ready(tbots: Tbots, hosts: Mapping[str, Sequence[Pod]], install: Install, conclude: Conclude) -> None:
    conclude(judge.ready_on_every_node(tbots, hosts, datetime.now(UTC), install.cluster.pods_evidence()))


@then("tbot's configuration must have no setting that breaks joining or attestation")
def configuration_is_correct(tbots: Tbots, install: Install, conclude: Conclude) -> None:
    name, pods, seen = install.teleport.ping().cluster_name, install.proxies.pods(), install.cluster.pods_evidence()
    joinings = install.teleport.joinings()
    conclude(*(judge.configuration_is_sound(each, name, tbots.supplied_by(each.tbot, pods), seen) for each in joinings))


@given(
    "a probe pod on every node that hosts injected pods, which requests its identity from the socket over SDS",
    target_fixture="sds_probes",
)
def sds_probes(install: Install, probes: Probes) -> tuple[SdsProbe | Refused, ...]:
    nodes = sorted(install.proxies.pods_by_node())
    sockets = [(node, path) for node in nodes for path in install.tbot.sockets_on(node)]
    return probes.of_sockets(sockets, install.istio.proxy_image())


@then("every probe must have received the identity of its own service account from Teleport")
def probes_got_their_own_identity(sds_probes: tuple[SdsProbe | Refused, ...], install: Install, conclude: Conclude) -> None:
    conclude(judge.probes_got_their_own_identity(sds_probes, install.teleport.bundle(), install.tbot.all()))


@given("tbot's version, as its bot instances report it", target_fixture="bot_instances")
def bot_instances(install: Install) -> tuple[BotInstance, ...] | None:
    return install.teleport.bot_instances()


@then("no component must have a version with a known identity defect")
def no_known_defect(
    tbots: Tbots, bot_instances: tuple[BotInstance, ...] | None, install: Install, conclude: Conclude
) -> None:
    istio = judge.istio_components(install.istio.planes(), install.proxies.pods())
    conclude(*(judge.no_known_defect([*judge.tbot_components(t, bot_instances), *istio], t.image) for t in tbots.each))


@given("the API server's answers about the rights of tbot's service account at the kubelet", target_fixture="rights")
def rights_of_tbot(tbots: Tbots, install: Install) -> Sequence[tuple[Right, ...]]:
    return [install.tbot.kubelet_rights(tbot) for tbot in tbots.each]


@then("the service account must be able to list a kubelet's pods, and to do nothing else there")
def rights_are_what_attestation_needs(
    tbots: Tbots, rights: Sequence[tuple[Right, ...]], install: Install, conclude: Conclude
) -> None:
    nodes, of_each = install.cluster.nodes(), zip(tbots.each, rights, strict=True)
    conclude(*(kubelet_rights.rights_are_what_attestation_needs(tbot, its, nodes) for tbot, its in of_each))
