"""Faults of rotation: certificates that tbot does not renew, or renews too late, and the guide's CronJob against that."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta

from facts.svid import Certificate
from observe.proxies.envoy import read_proxy
from observe.wait import NotYet, eventually
from providers.teleport.facts.resources import BACKDATED
from provision.disruption.lifetimes import Lifetimes, with_inherited_lifetimes, with_lifetimes
from provision.disruption.supply import uses_the_socket
from provision.faults.changes import applied, edited
from provision.faults.fault import Scene
from provision.names import APP, TBOT_CONFIG, TBOT_FILE, TBOT_NAMESPACE
from provision.render import MANIFESTS, documents

CRON_JOB = MANIFESTS / "troubleshooting" / "cert-refresh-cronjob.yaml"
TOO_OLD = timedelta(seconds=55)
"""More than a renewal interval of 20 s plus the 30 s by which clocks may differ."""


def lifetimes(scene: Scene, ttl: int, renewal: int, *, inherited: bool = False) -> AbstractContextManager[None]:
    """Configure other lifetimes in tbot; a running tbot keeps its own until it restarts.

    Args:
        ttl: Seconds from issue to expiry.
        renewal: Seconds from one certificate to the next.
        inherited: Write them at the top of the file, from where services inherit them.
    """
    where = with_inherited_lifetimes if inherited else with_lifetimes
    return edited(scene, TBOT_NAMESPACE, TBOT_CONFIG, TBOT_FILE, lambda config: where(config, Lifetimes(ttl, renewal)))


def _await_each(scene: Scene, what: str, problem: Callable[[Certificate], bool], *, node: str = "") -> None:
    """Wait until the certificate of every proxy, or of every proxy on a node, has a problem."""
    with scene.looking() as cluster:
        pods = [p for p in cluster.pods() if uses_the_socket(p) and (not node or p.node == node)]

        def look() -> None:
            for pod in pods:
                leaf = read_proxy(cluster, pod).leaf
                if leaf is None or not problem(leaf):
                    raise NotYet(f"{pod.ref}: {leaf}")

        eventually(f"every certificate {what}", look, scene.rollout)


def _is_too_old(leaf: Certificate) -> bool:
    return datetime.now(UTC) - (leaf.not_before + BACKDATED) > TOO_OLD


def await_too_old(scene: Scene, *, on_first_node: bool = False) -> None:
    """Wait until every certificate, or every one on the first node, is older than its renewal interval.

    Raises:
        CouldNotTell: That took too long.
    """
    if on_first_node:
        what = "on that node is older than its renewal interval"
        _await_each(scene, what, _is_too_old, node=scene.nodes()[0])
    else:
        _await_each(scene, "is older than its renewal interval", _is_too_old)


def await_expired(scene: Scene) -> None:
    """Wait until every certificate has expired.

    Raises:
        CouldNotTell: That took too long.
    """
    _await_each(scene, "has expired", lambda leaf: datetime.now(UTC) > leaf.not_after)


def cron_job(scene: Scene) -> AbstractContextManager[None]:
    """Apply the guide's CronJob, which is not due meanwhile."""
    made = documents(CRON_JOB, {"NAMESPACE": APP})
    for document in made:
        if document["kind"] == "CronJob":
            # Scheduled hours away: the suite judges its command, and it must not run.
            hour = (datetime.now(UTC) + timedelta(hours=12)).hour
            document["spec"]["schedule"] = re.sub(r"^(\S+) \*", rf"\1 {hour}", document["spec"]["schedule"])
    return applied(scene, *made)
