"""Checks of INST-13, INST-16 and INST-18: tbot on its nodes."""

from __future__ import annotations

from datetime import UTC, datetime

from facts.errors import ConformanceError
from facts.finding import Finding
from facts.teleport.resources import BotInstance
from judge.install import components, kubelet_rights
from judge.install import tbot as judge
from observe.install import Install


def is_ready_on_every_node(install: Install) -> Finding:
    """INST-13, first part."""
    tbots, hosts, cluster = install.tbot.all(), install.proxies.pods_by_node(), install.cluster
    seen, unlisted = cluster.pods_evidence(), cluster.unlisted(hosts)
    return judge.ready_on_every_node(tbots, hosts, datetime.now(UTC), seen, unlisted=unlisted)


def configurations_are_sound(install: Install) -> tuple[Finding, ...]:
    """INST-13, second part, of every tbot."""
    tbots, name = install.tbot.all(), install.teleport.ping().cluster_name
    pods, seen = install.proxies.pods(), install.cluster.pods_evidence()
    instances = _instances_if_known(install) if any(tbot.config.auth_server for tbot in tbots.each) else None
    return tuple(
        judge.configuration_is_sound(
            each, name, tbots.supplied_by(each.tbot, pods), seen, instances=instances, unread=tbots.unread
        )
        for each in install.teleport.joinings()
    )


def _instances_if_known(install: Install) -> tuple[BotInstance, ...] | None:
    """The instances of the bots; None where the suite may not list them, as INST-16 then says."""
    try:
        return install.teleport.bot_instances()
    except ConformanceError:
        return None


def no_known_defect(install: Install) -> tuple[Finding, ...]:
    """INST-16, of every tbot, each beside Istio's components."""
    instances = install.teleport.bot_instances()
    istio = components.istio_components(install.istio.planes(), install.proxies.pods())
    return tuple(
        components.no_known_defect([*components.tbot_components(each, instances), *istio], each.image)
        for each in install.tbot.all().each
    )


def rights_are_what_attestation_needs(install: Install) -> tuple[Finding, ...]:
    """INST-18, of the service account of every tbot."""
    nodes = install.cluster.nodes()
    return tuple(
        kubelet_rights.rights_are_what_attestation_needs(tbot, install.tbot.kubelet_rights(tbot), nodes)
        for tbot in install.tbot.all().each
    )
