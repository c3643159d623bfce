"""NEG-06: a tbot with the bot's own configuration and another service account, which tries to join."""

from __future__ import annotations

from typing import Any

from facts.errors import CouldNotTell
from facts.kubernetes.objects import Pod
from facts.teleport.resources import BotInstance
from facts.traffic.attempts import JoinAttempt, NotRun
from facts.traffic.refusal import AttemptEnd, AttemptOutcome, of_tbots_log
from provision.negative.joiner import config_maps_of, joiner
from provision.negative.probe import ProbeNamespaces

JOINER = "joiner"
METHOD = "kubernetes"
"""The one join method that looks at the service account: by another one it would join as the bot."""


class Joining:
    """A tbot that tries to join.

    Args:
        probe_namespaces: Where it lives.
    """

    def __init__(self, probe_namespaces: ProbeNamespaces) -> None:
        self._namespaces = probe_namespaces

    @property
    def _pod(self) -> str:
        """Name of its pod: Teleport would remember it by that, longer than the run lasts."""
        return f"{JOINER}-{self._namespaces.objects.run_id.lower()}"

    def documents(self) -> list[dict[str, Any]]:
        """The objects to make; none where tbot joins by another method.

        Raises:
            CouldNotTell: tbot is gone.
        """
        tbot, objects = self._namespaces.install.tbot.installed(), self._namespaces.objects
        if tbot.config.join_method != METHOD:
            return []
        installed = tbot.daemon_set
        found = objects.get("apps/v1", "DaemonSet", installed.name, namespace=installed.namespace)
        if found is None:
            raise CouldNotTell(
                expected="tbot's DaemonSet, which the one that tries to join is made after",
                seen="it is gone since it was read",
                where=str(installed.ref),
                remedy="run again when nobody changes tbot",
            )
        texts = {}
        for name in config_maps_of(found):
            config_map = objects.get("v1", "ConfigMap", name, namespace=installed.namespace) or {}
            texts[name] = config_map.get("data") or {}
        return joiner(
            found,
            texts,
            container=tbot.container.name,
            name=self._pod,
            account=JOINER,
            namespace=self._namespaces.probes.namespace(),
        )

    def attempt(self) -> JoinAttempt | NotRun:
        """The tbot of another service account, when it has ended or has joined."""
        tbot = self._namespaces.install.tbot.installed()
        if tbot.config.join_method != METHOD:
            method = f"tbot joins by the method {tbot.config.join_method or 'token'}, where this would join as the bot"
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
        """The bot instances that Teleport has of it by now, and the reading of all; None without an admin session."""
        teleport = self._namespaces.install.teleport.session()
        if not teleport.has_admin:
            return None, ()
        everyone = teleport.bot_instances()
        listed = tuple(dict.fromkeys(e for instance in everyone for e in instance.evidence))
        return tuple(i for i in everyone if i.is_of(account, pod)), listed
