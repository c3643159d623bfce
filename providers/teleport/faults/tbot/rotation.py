"""Faults of rotation: certificates that tbot does not renew, or renews too late, and the guide's CronJob against that."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from facts.svid import Certificate
from observe.proxies.envoy import read_proxy
from observe.wait import NotYet, eventually
from providers.teleport.facts.resources import BACKDATED
from providers.teleport.faults.tbot import daemon_set
from providers.teleport.faults.tbot.daemon_set import DAEMON_SET
from provision.disruption.lifetimes import Lifetimes, with_inherited_lifetimes, with_lifetimes
from provision.disruption.supply import uses_the_socket
from provision.faults import reach
from provision.faults.changes import applied, edited
from provision.faults.fault import Fault, Scene
from provision.names import APP, TBOT_CONFIG, TBOT_FILE, TBOT_NAMESPACE
from provision.render import MANIFESTS, documents

CRON_JOB = MANIFESTS / "troubleshooting" / "cert-refresh-cronjob.yaml"
LONG_LIVED = Lifetimes(600, 20)
"""Renewed every 20 s and valid for ten minutes: time to see a missing renewal while the certificate is still valid."""
SHORT_LIVED = Lifetimes(60, 20)
NEVER = Lifetimes(600, 590)
"""Not renewed while the fault lasts."""
TOO_LATE = Lifetimes(3600, 7200)
"""Renewed an hour after it has expired. tbot refuses a service that asks for this, and only warns at the top of its file."""
TOO_OLD = timedelta(seconds=55)
"""More than a renewal interval of 20 s plus the 30 s by which clocks may differ."""

Where = Callable[[Mapping[str, Any], Lifetimes], dict[str, Any]]
"""Writes lifetimes into a decoded configuration of tbot."""


def _with(scene: Scene, lifetimes: Lifetimes, where: Where = with_lifetimes) -> AbstractContextManager[None]:
    """Configure other lifetimes in tbot; a running tbot keeps its own until it restarts."""
    return edited(scene, TBOT_NAMESPACE, TBOT_CONFIG, TBOT_FILE, lambda config: where(config, lifetimes))


@contextmanager
def _in_force(scene: Scene, lifetimes: Lifetimes, where: Where = with_lifetimes) -> Iterator[None]:
    """Configure other lifetimes in tbot and restart it; on exit restore them and restart tbot again."""
    try:
        with _with(scene, lifetimes, where):
            scene.restart_tbot()
            yield
    finally:
        scene.restart_tbot()


@contextmanager
def _affected(scene: Scene, lifetimes: Lifetimes) -> Iterator[None]:
    try:
        # The change of the release restarts tbot, which puts the lifetimes into force.
        with _with(scene, lifetimes), daemon_set.AFFECTED_TBOT.inject(scene):
            yield
    finally:
        scene.restart_tbot()


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


@contextmanager
def _not_renewed(scene: Scene) -> Iterator[None]:
    with _affected(scene, LONG_LIVED):
        _await_each(scene, "is older than its renewal interval", _is_too_old)
        yield


@contextmanager
def _expired(scene: Scene) -> Iterator[None]:
    with _affected(scene, SHORT_LIVED):
        _await_each(scene, "has expired", lambda leaf: datetime.now(UTC) > leaf.not_after)
        yield


@contextmanager
def _not_in_force(scene: Scene) -> Iterator[None]:
    with _in_force(scene, NEVER), _with(scene, LONG_LIVED):
        _await_each(scene, "is older than its renewal interval", _is_too_old)
        yield


@contextmanager
def _frozen(scene: Scene) -> Iterator[None]:
    with _in_force(scene, LONG_LIVED), daemon_set.FROZEN.inject(scene):
        _await_each(scene, "on that node is older than its renewal interval", _is_too_old, node=scene.nodes()[0])
        yield


def _cron_job(scene: Scene) -> AbstractContextManager[None]:
    made = documents(CRON_JOB, {"NAMESPACE": APP})
    for document in made:
        if document["kind"] == "CronJob":
            # Scheduled hours away: the suite judges its command, and it must not run.
            hour = (datetime.now(UTC) + timedelta(hours=12)).hour
            document["spec"]["schedule"] = re.sub(r"^(\S+) \*", rf"\1 {hour}", document["spec"]["schedule"])
    return applied(scene, *made)


CONFIG = f"ConfigMap {TBOT_NAMESPACE}/{TBOT_CONFIG}"
UNDO = "The suite restores the entry exactly, restarts tbot, and waits until every Envoy has its streams again."

REACH = reach.TBOT | reach.INJECTED_PODS | reach.CERTIFICATES

_renewal_fault = partial(Fault, touches=f"{CONFIG}; {DAEMON_SET}", undo=UNDO, reach=REACH)

FAULTS = (
    _renewal_fault(
        name="svids-pushed-but-not-renewed",
        description="tbot runs a release that pushes certificates without renewing them, and has run past a renewal"
        " interval.",
        cause="tbot-pushes-without-renewing",
        undo=f"The suite restores the image. {UNDO}",
        breaks=frozenset({"INST-16", "ROT-01", "ROT-02", "ROT-03", "ROT-07"}),
        inject=_not_renewed,
    ),
    _renewal_fault(
        name="svids-pushed-until-they-expired",
        description="tbot runs a release that pushes certificates without renewing them, and the certificates have expired.",
        cause="tbot-pushes-without-renewing",
        further_causes=frozenset({"certificate-expired"}),
        undo=f"The suite restores the image. {UNDO}",
        breaks=frozenset({"INST-16", "ID-03", "ID-04", "ID-11", "CHK-6", "CHK-7", "ROT-01", "ROT-06", "ROT-07"})
        | reach.REFUSED,
        inject=_expired,
    ),
    _renewal_fault(
        name="renewal-interval-not-in-force",
        description="tbot started with a far too long renewal interval; the operator corrected the configuration and did"
        " not restart tbot.",
        cause="tbot-config-not-in-force",
        breaks=frozenset({"ROT-01", "ROT-07", "HYG-06"}),
        inject=_not_in_force,
    ),
    _renewal_fault(
        name="renewal-interval-beyond-ttl",
        description="tbot's file asks, for all services, for certificates of an hour that are renewed every two hours.",
        cause="renewal-interval-beyond-lifetime",
        breaks=frozenset({"ROT-01"}),
        inject=lambda scene: _in_force(scene, TOO_LATE, with_inherited_lifetimes),
    ),
    _renewal_fault(
        name="tbot-frozen-past-a-renewal",
        description="tbot on one node is stopped for longer than a renewal interval; the streams of its proxies stay open.",
        cause="tbot-not-answering",
        touches=f"the process of tbot on one node; {CONFIG}",
        undo=f"The suite sends SIGCONT. {UNDO}",
        breaks=frozenset({"INST-13", "INST-14", "CHK-5", "ROT-01", "ROT-07"}),
        inject=_frozen,
    ),
    Fault(
        name="the-guides-cronjob",
        description="The guide's CronJob restarts the Deployments of the test application's namespace.",
        cause="restarting-cronjob",
        touches="CronJob, ServiceAccount, Role and RoleBinding test-app/cert-refresh",
        undo="The suite deletes them.",
        breaks=frozenset({"ROT-05"}),
        reach=reach.CERTIFICATES,
        inject=_cron_job,
    ),
)
