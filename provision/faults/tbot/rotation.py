"""Faults of rotation: certificates that are not renewed, or too late, and what the guide does about that."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from facts.svid import Certificate
from observe.proxies.envoy import read_proxy
from observe.wait import NotYet, eventually
from provision.disruption.lifetimes import Lifetimes, with_lifetimes
from provision.disruption.supply import uses_the_socket
from provision.faults import reach
from provision.faults.config_maps import edited
from provision.faults.fault import Fault, Scene
from provision.faults.tbot import daemon_set
from provision.render import MANIFESTS, documents

CRON_JOB = MANIFESTS / "troubleshooting" / "cert-refresh-cronjob.yaml"
LONG_LIVED = Lifetimes(600, 20)
"""Due every twenty seconds, and good for ten minutes: time to see that it is not renewed while it is still valid."""
SHORT_LIVED = Lifetimes(60, 20)
NEVER = Lifetimes(600, 590)
TOO_LATE = Lifetimes(3600, 7200)
TOO_OLD = timedelta(seconds=55)
"""Older than twenty seconds, and than the thirty that clocks may be off besides."""
BACKDATED = timedelta(minutes=1)


@contextmanager
def _with(scene: Scene, lifetimes: Lifetimes) -> Iterator[None]:
    """Tbot's configuration with other lifetimes; what runs has its own until it is restarted."""

    def change(config: dict[str, Any]) -> dict[str, Any]:
        return with_lifetimes(config, lifetimes)

    with edited(scene, daemon_set.NAMESPACE, "tbot-config", "tbot.yaml", change):
        yield


@contextmanager
def _affected(scene: Scene, lifetimes: Lifetimes) -> Iterator[None]:
    try:
        # The release comes with the restart that puts the lifetimes into force.
        with _with(scene, lifetimes), daemon_set.AFFECTED_TBOT.inject(scene):
            yield
    finally:
        scene.restart_agent()


def _await_each(scene: Scene, what: str, problem: Callable[[Certificate], bool], *, node: str = "") -> None:
    """Waits until the certificate of every proxy, or of every one on a node, is as it is looked for."""
    with scene.looking() as cluster:
        pods = [p for p in cluster.pods() if uses_the_socket(p) and (not node or p.node == node)]

        def look() -> None:
            for pod in pods:
                leaf = read_proxy(cluster, pod).leaf
                if leaf is None or not problem(leaf):
                    raise NotYet(f"{pod.ref}: {leaf}")

        eventually(f"every certificate {what}", look, scene.pace(scene.patience.rollout))


def _is_too_old(leaf: Certificate) -> bool:
    return datetime.now(UTC) - (leaf.not_before + BACKDATED) > TOO_OLD


def _has_expired(leaf: Certificate) -> bool:
    return datetime.now(UTC) > leaf.not_after


@contextmanager
def _not_renewed(scene: Scene) -> Iterator[None]:
    with _affected(scene, LONG_LIVED):
        _await_each(scene, "is older than its renewal interval", _is_too_old)
        yield


@contextmanager
def _expired(scene: Scene) -> Iterator[None]:
    with _affected(scene, SHORT_LIVED):
        _await_each(scene, "has expired", _has_expired)
        yield


@contextmanager
def _not_in_force(scene: Scene) -> Iterator[None]:
    try:
        with _with(scene, NEVER):
            scene.restart_agent()
            with _with(scene, LONG_LIVED):
                _await_each(scene, "is older than its renewal interval", _is_too_old)
                yield
    finally:
        scene.restart_agent()


@contextmanager
def _beyond_ttl(scene: Scene) -> Iterator[None]:
    try:
        with _with(scene, TOO_LATE):
            scene.restart_agent()
            yield
    finally:
        scene.restart_agent()


@contextmanager
def _frozen(scene: Scene) -> Iterator[None]:
    try:
        with _with(scene, LONG_LIVED):
            scene.restart_agent()
            with daemon_set.FROZEN.inject(scene):
                _await_each(scene, "on that node is older than its renewal interval", _is_too_old, node=scene.nodes()[0])
                yield
    finally:
        scene.restart_agent()


@contextmanager
def _cron_job(scene: Scene) -> Iterator[None]:
    objects = scene.installation.objects
    made = documents(CRON_JOB, {"NAMESPACE": "test-app"})
    for document in made:
        if document["kind"] == "CronJob":
            # At an hour that is far: it is what it says that is judged, not what it does.
            hour = (datetime.now(UTC) + timedelta(hours=12)).hour
            document["spec"]["schedule"] = re.sub(r"^(\S+) \*", rf"\1 {hour}", document["spec"]["schedule"])
    try:
        objects.apply_all(made)
        yield
    finally:
        for document in reversed(made):
            objects.delete(document["apiVersion"], document["kind"], document["metadata"]["name"], namespace="test-app")


CONFIG = "ConfigMap teleport-system/tbot-config"
DAEMON_SET = "DaemonSet teleport-system/tbot"
UNDO = "The entry is put back to the letter and tbot restarted; every Envoy has its streams and a fresh certificate again."

NOT_RENEWED = Fault(
    name="svids-pushed-but-not-renewed",
    description="tbot is a release that pushes certificates without renewing them, and has done so past a renewal interval.",
    touches=f"{DAEMON_SET}; {CONFIG}",
    undo=f"The image is put back. {UNDO}",
    breaks=frozenset({"INST-16", "ROT-01", "ROT-02", "ROT-03", "ROT-07"}),
    reach=reach.AGENT | reach.WORKLOADS | reach.CERTIFICATES,
    inject=_not_renewed,
)

EXPIRED = Fault(
    name="svids-pushed-until-they-expired",
    description="tbot is a release that pushes certificates without renewing them, and they have expired.",
    touches=f"{DAEMON_SET}; {CONFIG}",
    undo=f"The image is put back. {UNDO}",
    breaks=frozenset({"INST-16", "ID-03", "ID-04", "ID-11", "CHK-6", "CHK-7", "ROT-01", "ROT-06", "ROT-07"}),
    reach=reach.AGENT | reach.WORKLOADS | reach.CERTIFICATES,
    inject=_expired,
)

NOT_IN_FORCE = Fault(
    name="renewal-interval-not-in-force",
    description="tbot was started with hardly any renewal; its configuration was mended, and tbot not restarted.",
    touches=f"{CONFIG}; {DAEMON_SET}",
    undo=UNDO,
    breaks=frozenset({"ROT-01", "ROT-07"}),
    reach=reach.AGENT | reach.WORKLOADS | reach.CERTIFICATES,
    inject=_not_in_force,
)

BEYOND_TTL = Fault(
    name="renewal-interval-beyond-ttl",
    description="tbot renews certificates of an hour every two hours.",
    touches=f"{CONFIG}; {DAEMON_SET}",
    undo=UNDO,
    breaks=frozenset({"ROT-01"}),
    reach=reach.AGENT | reach.WORKLOADS | reach.CERTIFICATES,
    inject=_beyond_ttl,
)

FROZEN = Fault(
    name="tbot-frozen-past-a-renewal",
    description="tbot on one node stands still for longer than a renewal interval; the streams of its proxies stay open.",
    touches=f"the process of tbot on one node; {CONFIG}",
    undo=f"SIGCONT. {UNDO}",
    breaks=frozenset({"INST-13", "INST-14", "CHK-5", "ROT-01", "ROT-07"}),
    reach=reach.AGENT | reach.WORKLOADS | reach.CERTIFICATES,
    inject=_frozen,
)

GUIDES_CRON_JOB = Fault(
    name="the-guides-cronjob",
    description="The guide's CronJob restarts the Deployments of the test application's namespace.",
    touches="CronJob, ServiceAccount, Role and RoleBinding test-app/cert-refresh",
    undo="They are deleted.",
    breaks=frozenset({"ROT-05"}),
    reach=reach.CERTIFICATES,
    inject=_cron_job,
)
