"""Short-lived certificates during a feature: other lifetimes in tbot's configuration, and a second socket.

A renewal that would happen every twenty minutes then happens every twenty seconds. The suite changes nothing else in tbot.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from facts.errors import ProvisioningFailed
from facts.recorder import KeptInMemory
from observe.kubernetes.cluster import Cluster
from observe.wait import Pace
from providers.teleport.facts.tbot import Tbot
from providers.teleport.facts.tbot_config import LIFETIMES
from provision.disruption.supply import await_supply, supplied, tbot_must_be_ready
from provision.objects import Objects
from provision.pods.clients_and_servers import SECOND_SOCKET
from provision.runs.originals import Originals

API = "workload-identity-api"


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """Lifetimes of certificates.

    Attributes:
        ttl: Seconds from issue to expiry.
        renewal: Seconds from one certificate to the next.
    """

    ttl: int
    renewal: int


class ShortLived:
    """Gives tbot short lifetimes of certificates, and restores its configuration.

    Args:
        objects: Changes the cluster.
        originals: Keeps the configuration, and restores it.
        cluster: Reads the cluster; what is read here is no evidence.
        tbot: tbot as it is installed.
        pace: Pace of the waits for tbot's rollout and for the proxies to reconnect.
    """

    def __init__(self, objects: Objects, originals: Originals, cluster: Cluster, tbot: Tbot, pace: Pace) -> None:
        self._objects = objects
        self._originals = originals
        self._cluster = cluster.recording_to(KeptInMemory())
        self._tbot = tbot
        self._pace = pace
        self._supplied: frozenset[str] | None = None
        self._kept = ""
        self._lifetimes: tuple[Lifetimes, Lifetimes] | None = None

    @property
    def is_in_force(self) -> bool:
        """True while tbot has short lifetimes."""
        return self._lifetimes is not None

    def begin(self, first: Lifetimes, second: Lifetimes) -> None:
        """Change the configuration, restart tbot and wait until it is ready; nothing happens if it has these lifetimes.

        Args:
            first: Lifetimes for the services that are configured.
            second: Lifetimes for a further socket called `SECOND_SOCKET`.

        Raises:
            ProvisioningFailed: The ConfigMap has no configuration to change, or one with a secret, or the API server
                refuses the change.
            CouldNotTell: tbot was not ready before, and the suite changed nothing; or it did not become ready in time.
        """
        if self._lifetimes == (first, second):
            return
        if self._supplied is None:
            tbot_must_be_ready(self._cluster, self._tbot)
        self.end(wait=False)
        data = self._data()
        changed = {key: shortened(text, first, second) for key, text in data.items() if API in text}
        if not changed:
            raise ProvisioningFailed(
                expected=f"a configuration of tbot with a service {API}",
                seen=f"the keys {', '.join(data) or 'none'}, without such a service",
                where=self._where,
                remedy="check whether tbot reads its configuration from this ConfigMap",
            )
        if self._supplied is None:
            self._supplied = supplied(self._cluster)
        self._kept = self._originals.before_patch(
            "v1", "ConfigMap", self._tbot.config_map, {"data": changed},
            namespace=self._tbot.daemon_set.namespace, restart=self._tbot.daemon_set.name,
        )  # fmt: skip
        namespace, name = self._tbot.daemon_set.namespace, self._tbot.daemon_set.name
        self._objects.patch("v1", "ConfigMap", self._tbot.config_map, {"data": changed}, namespace=namespace)
        self._objects.restart("DaemonSet", name, namespace=namespace)
        self._await_tbot()
        self._lifetimes = (first, second)

    def end(self, *, wait: bool = True) -> None:
        """Restore the configuration exactly and restart tbot; nothing happens if it was not changed.

        Args:
            wait: Return only when tbot is ready again, and supplies every proxy that it supplied before.

        Raises:
            ProvisioningFailed: The API server refuses.
            CouldNotTell: Another user has changed the configuration meanwhile; or tbot was not ready in time, or did not
                supply a proxy in time.
        """
        if not self._kept:
            return
        self._originals.restore(self._kept)
        if wait:
            self._await_tbot()
        self._kept, self._lifetimes = "", None
        if wait:
            await_supply(self._cluster, self._pace, of=self._supplied)

    @property
    def _where(self) -> str:
        return f"ConfigMap {self._tbot.daemon_set.namespace}/{self._tbot.config_map}"

    def _data(self) -> dict[str, str]:
        found = self._objects.get("v1", "ConfigMap", self._tbot.config_map, namespace=self._tbot.daemon_set.namespace)
        return dict((found or {}).get("data") or {})

    def _await_tbot(self) -> None:
        namespace, name = self._tbot.daemon_set.namespace, self._tbot.daemon_set.name
        self._objects.await_ready("DaemonSet", name, self._pace, namespace=namespace)


def shortened(text: str, first: Lifetimes, second: Lifetimes) -> str:
    """Return tbot's configuration with other lifetimes, and with a second socket beside the first service's.

    Args:
        text: Configuration, as YAML.
        first: Lifetimes for the services that are there.
        second: Lifetimes for the second socket.
    """
    document = with_lifetimes(yaml.safe_load(text), first)
    services: list[dict[str, Any]] = document["services"]
    further = copy.deepcopy(next(service for service in services if service.get("type") == API))
    further.update(_fields(second), listen=f"{further['listen'].rpartition('/')[0]}/{SECOND_SOCKET}")
    further.pop("name", None)
    services.append(further)
    written: str = yaml.safe_dump(document, sort_keys=False)
    return written


def is_shortened(was: object, ours: object) -> bool:
    """Tell whether one text is what `shortened` makes of the other, with whatever lifetimes."""
    if not isinstance(was, str) or not isinstance(ours, str):
        return False
    try:
        first, *_others, second = (s for s in yaml.safe_load(ours)["services"] if s.get("type") == API)
        return shortened(was, _lifetimes_of(first), _lifetimes_of(second)) == ours
    except (yaml.YAMLError, RecursionError, AttributeError, LookupError, StopIteration, TypeError, ValueError):
        return False


def with_lifetimes(document: Mapping[str, Any], lifetimes: Lifetimes) -> dict[str, Any]:
    """Return tbot's decoded configuration with other lifetimes in the services that supply workloads."""
    services = [{**s, **_fields(lifetimes)} if s.get("type") == API else s for s in document["services"]]
    return {**document, "services": services}


def with_inherited_lifetimes(document: Mapping[str, Any], lifetimes: Lifetimes) -> dict[str, Any]:
    """Return tbot's decoded configuration with lifetimes at its top, which the services that supply workloads inherit.

    tbot starts with some settings there, and warns, with which it refuses a service that has them as its own.
    """
    services = [
        {key: value for key, value in s.items() if key not in LIFETIMES} if s.get("type") == API else s
        for s in document["services"]
    ]
    return {**document, **_fields(lifetimes), "services": services}


def _lifetimes_of(service: Mapping[str, Any]) -> Lifetimes:
    return Lifetimes(*(int(str(service[key]).removesuffix("s")) for key in LIFETIMES))


def _fields(lifetimes: Lifetimes) -> dict[str, str]:
    return {"credential_ttl": f"{lifetimes.ttl}s", "renewal_interval": f"{lifetimes.renewal}s"}
