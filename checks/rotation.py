"""Checks of ROT-01 and ROT-05 to ROT-07, and of HYG-06: the age of certificates, and what they were issued by."""

from __future__ import annotations

from checks import mtls
from checks.mtls import Sweeps
from facts.finding import Finding
from judge.hygiene import in_force
from judge.identity.proxies import ObservedProxies
from judge.install.components import Component, of_tbots
from judge.rotation import age, restarts
from observe.install import Install


def proxies_on_sockets(install: Install) -> ObservedProxies:
    """Every proxy on tbot's sockets, beside the other proxies."""
    proxies, evidence = install.proxies, install.cluster.pods_evidence()
    fleet = proxies.fleet_on_sockets()  # before the pods: it knows which of them are gone
    supplied = proxies.pods_on_sockets()
    uids = {pod.uid for pod in supplied}
    others = [pod for pod in proxies.pods() if pod.uid not in uids]
    return ObservedProxies(supplied, fleet, evidence, others, proxies.surveyed_pods())


def proxies_to_renew(install: Install, sweeps: Sweeps) -> ObservedProxies:
    """The same, but for gateways that need no certificate."""
    return mtls.but_for_unused_gateways(proxies_on_sockets(install), install, sweeps)


def versions_of_tbot(install: Install) -> list[Component]:
    """Tbot's version, as its image and its bot instances report it."""
    return of_tbots(install.tbot.all(), install.teleport.bot_instances())


def none_is_overdue(install: Install, observed: ObservedProxies) -> Finding:
    """ROT-07.

    Args:
        observed: The proxies that tbot supplies.
    """
    tbots = install.tbot.all()
    late = age.overdue(observed, tbots)
    return age.none_is_overdue(observed, tbots, versions_of_tbot(install), install.proxies.pushes(late))


def no_cron_job_restarts_workloads(install: Install) -> Finding:
    """ROT-05."""
    namespaces = {pod.namespace for pod in install.proxies.pods()}
    return restarts.nothing_restarts_workloads(install.cluster.cron_jobs(), namespaces, install.cluster.pods_evidence())


def identity_is_in_force(install: Install) -> Finding:
    """HYG-06, second part."""
    teleport = install.teleport
    return in_force.identity_is_in_force(proxies_on_sockets(install), teleport.identities(), teleport.bundle())
