"""Checks of INST-13, INST-16 and INST-18: tbot on its nodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from facts.errors import ConformanceError, CouldNotTell
from facts.finding import Finding
from facts.kubernetes.objects import Pod
from facts.provider.agents import Agent
from judge.install import components
from observe.install import Install
from observe.readings import at_once
from providers.teleport.facts.resources import BotInstance
from providers.teleport.facts.tbot_log import LastAttempt
from providers.teleport.judge import kubelet_rights
from providers.teleport.judge import tbot as judge


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


def last_attempts(install: Install, pods: Iterable[tuple[Agent, Pod]]) -> Mapping[str, LastAttempt]:
    """By uid of a pod of tbot: its last attempt to speak with Teleport; a pod whose log cannot be read is not there."""
    each_once = list({pod.uid: (of, pod) for of, pod in pods}.values())

    def read(each: tuple[Agent, Pod]) -> LastAttempt | None:
        try:
            return install.tbot.last_attempt(*each)
        except CouldNotTell:  # the caller says that its log was not read
            return None

    answers = zip(each_once, at_once(read, each_once), strict=True)
    return {pod.uid: last for (_tbot, pod), last in answers if last is not None}
