"""NEG-06: a tbot with the bot's configuration and another service account, which tries to join."""

from __future__ import annotations

from typing import Any

from facts.errors import CouldNotTell
from facts.evidence import readings
from facts.kubernetes.objects import Pod
from facts.traffic.attempts import JoinAttempt, NotRun
from facts.traffic.refusal import AttemptEnd, AttemptOutcome, of_tbots_log
from providers.teleport.facts.resources import BotInstance
from provision.negative.joiner import config_maps_of, joiner
from provision.negative.probe import ProbeNamespaces

JOINER = "joiner"
METHOD = "kubernetes"
"""The only join method that checks the service account; by any other one this tbot would join as the bot."""


class UnauthorizedJoin:
    """A tbot of another service account, which tries to join as the bot.

    Args:
        probe_namespaces: Namespaces that it lives in.
    """

    def __init__(self, probe_namespaces: ProbeNamespaces) -> None:
        self._namespaces = probe_namespaces

    @property
    def _pod(self) -> str:
        """Name of its pod, with the run's id because Teleport remembers the name of a bot instance after the run."""
        return f"{JOINER}-{self._namespaces.objects.run_id.lower()}"

    def documents(self) -> list[dict[str, Any]]:
        """Return the objects to make; none where tbot joins by another method.

        Raises:
            CouldNotTell: tbot's DaemonSet is gone.
        """
        tbot, objects = self._namespaces.install.tbot.joining_alike(), self._namespaces.objects
        if tbot.config.join_method != METHOD:
            return []
        installed = tbot.daemon_set
        found = objects.get("apps/v1", "DaemonSet", installed.name, namespace=installed.namespace)
        if found is None:
            raise CouldNotTell(
                expected="tbot's DaemonSet, from which the suite makes the tbot that tries to join",
                seen="it was deleted after the suite had read it",
                where=str(installed.ref),
                remedy="run again while tbot is not being changed",
            )
        config_maps = {
            name: objects.get("v1", "ConfigMap", name, namespace=installed.namespace) or {} for name in config_maps_of(found)
        }
        return joiner(
            found,
            {name: config_map.get("data") or {} for name, config_map in config_maps.items()},
            container=tbot.container.name,
            name=self._pod,
            account=JOINER,
            namespace=self._namespaces.probes.namespace(),
        )

    def attempt(self) -> JoinAttempt | NotRun:
        """Return the attempt to join, once this tbot has exited or has joined."""
        tbot = self._namespaces.install.tbot.joining_alike()
        if tbot.config.join_method != METHOD:
            method = (
                f"tbot joins by the method {tbot.config.join_method or 'token'}, with which this tbot would join as the bot"
            )
            return NotRun(f"a tbot of {JOINER}", method, tbot.evidence)
        namespace = self._namespaces.probes.namespace()
        log: tuple[str, ...] = ()
        outcome = AttemptOutcome(AttemptEnd.TIMEOUT)

        def settled(pod: Pod) -> bool:
            nonlocal log, outcome
            container = pod.containers[0]
            if container.state not in ("running", "terminated"):
                return False
            reading = self._namespaces.cluster.logs(namespace, pod.name, container.name)
            log, outcome = (reading.evidence,), of_tbots_log(str(reading.document))
            return container.state == "terminated" or outcome.kind in (AttemptEnd.GRANTED, AttemptEnd.JOIN)

        pod = self._namespaces.until(namespace, self._pod, settled)
        if isinstance(pod, NotRun):
            return pod
        account = f"{namespace}:{pod.service_account}"
        instances, listed = self._instances(account, pod.name)
        return JoinAttempt(account, outcome, instances, (*pod.evidence, *log, *listed))

    def _instances(self, account: str, pod: str) -> tuple[tuple[BotInstance, ...] | None, tuple[str, ...]]:
        """Return its bot instances in Teleport (None without an admin session), and the ids of the readings."""
        teleport = self._namespaces.install.teleport.session()
        if not teleport.has_admin:
            return None, ()
        everyone = teleport.bot_instances()
        return tuple(i for i in everyone if i.is_of(account, pod)), readings(*everyone)
