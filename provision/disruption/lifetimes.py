"""Short-lived certificates for the time of a feature: other lifetimes in tbot's configuration, and a second socket besides.

What has to be seen to happen every twenty minutes is let happen every twenty seconds. Nothing else in tbot is touched.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from facts.errors import ProvisioningFailed
from facts.recorder import KeptInMemory
from facts.teleport.tbot import Tbot
from observe.kubernetes.cluster import Cluster
from observe.wait import Pace
from provision.disruption.supply import await_supply, supplied, tbot_must_be_ready
from provision.objects import Objects
from provision.pods.clients_and_servers import SECOND_SOCKET

API = "workload-identity-api"


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """Lifetimes of certificates.

    Attributes:
        ttl: Seconds from issue to expiry.
        renewal: Seconds from one to the next.
    """

    ttl: int
    renewal: int

    def __str__(self) -> str:
        return f"{self.ttl} s, renewed every {self.renewal} s"


SHORT = Lifetimes(60, 20)
"""Of every certificate from the mesh's own socket."""
LONGER = Lifetimes(90, 30)
"""Of certificates from the second socket, so that no judgment takes one of the two for given."""


class ShortLived:
    """tbot with short-lived certificates.

    Args:
        objects: The cluster, as something to change.
        cluster: The cluster, as something to look at; what is seen of it here is evidence of nothing.
        tbot: tbot as it is installed.
        pace: Patience for tbot's rollout, and for the proxies to come back to it.
    """

    def __init__(self, objects: Objects, cluster: Cluster, tbot: Tbot, pace: Pace) -> None:
        self._objects = objects
        self._cluster = cluster.recording_to(KeptInMemory())
        self._tbot = tbot
        self._pace = pace
        self._supplied: frozenset[str] | None = None
        self._former: dict[str, str] = {}
        self._ours: dict[str, str] = {}
        self._lifetimes: tuple[Lifetimes, Lifetimes | None] | None = None

    @property
    def is_in_force(self) -> bool:
        """True once tbot has been given short lifetimes."""
        return self._lifetimes is not None

    def begin(self, first: Lifetimes = SHORT, second: Lifetimes | None = LONGER) -> None:
        """Changes the configuration, restarts tbot and waits until it is ready; nothing happens if it is so already.

        Args:
            first: For the services that are configured.
            second: For a further socket called `SECOND_SOCKET`; None for no such socket.

        Raises:
            ProvisioningFailed: There is no configuration that can be changed, or the API server refuses.
            CouldNotTell: tbot is not ready as it is, and then nothing was changed; or it did not become ready in time.
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
                seen=f"the keys {', '.join(data) or 'none'}, none with one",
                where=self._where,
                remedy="see whether tbot has its configuration from this ConfigMap",
            )
        if self._supplied is None:
            self._supplied = supplied(self._cluster)
        self._former = {key: data[key] for key in changed}  # before it is changed: Ctrl-C may come right after
        self._ours = changed
        self._put(changed)
        self._lifetimes = (first, second)

    def end(self, *, wait: bool = True) -> None:
        """Puts the configuration back to the letter and restarts tbot; nothing happens if it was not changed.

        Args:
            wait: Return only when tbot is ready again, and supplies every proxy that it supplied before.

        Raises:
            ProvisioningFailed: It was changed by another hand meanwhile, or the API server refuses.
            CouldNotTell: It was not so in time.
        """
        if not self._former:
            return
        now = {key: text for key, text in self._data().items() if key in self._former}
        if now not in (self._ours, self._former):
            raise ProvisioningFailed(
                expected="tbot's configuration as this run has left it",
                seen="somebody has changed it meanwhile, so it was not put back",
                where=self._where,
                remedy="take out by hand what this run put in (lifetimes, the second socket), and restart tbot",
            )
        self._put(self._former, wait=wait)
        self._former, self._lifetimes = {}, None
        if wait:
            await_supply(self._cluster, self._pace, of=self._supplied)

    @property
    def _where(self) -> str:
        return f"ConfigMap {self._tbot.daemon_set.namespace}/{self._tbot.config_map}"

    def _data(self) -> dict[str, str]:
        found = self._objects.get("v1", "ConfigMap", self._tbot.config_map, namespace=self._tbot.daemon_set.namespace)
        return dict((found or {}).get("data") or {})

    def _put(self, texts: Mapping[str, str], *, wait: bool = True) -> None:
        namespace, name = self._tbot.daemon_set.namespace, self._tbot.daemon_set.name
        self._objects.patch("v1", "ConfigMap", self._tbot.config_map, {"data": dict(texts)}, namespace=namespace)
        self._objects.restart("DaemonSet", name, namespace=namespace)
        if wait:
            self._objects.await_ready("DaemonSet", name, self._pace, namespace=namespace)


def shortened(text: str, first: Lifetimes, second: Lifetimes | None) -> str:
    """Tbot's configuration with other lifetimes, and with a second socket beside the first service's.

    Args:
        text: The configuration, as YAML.
        first: For the services that are there.
        second: For the second socket; None for none.
    """
    document = with_lifetimes(yaml.safe_load(text), first)
    services: list[dict[str, Any]] = document["services"]
    if second is not None:
        served = next(service for service in services if service.get("type") == API)
        further = copy.deepcopy(served)
        further.update(_fields(second), listen=f"{served['listen'].rpartition('/')[0]}/{SECOND_SOCKET}")
        further.pop("name", None)
        services.append(further)
    written: str = yaml.safe_dump(document, sort_keys=False)
    return written


def with_lifetimes(document: Mapping[str, Any], lifetimes: Lifetimes) -> dict[str, Any]:
    """A configuration of tbot, decoded, in which the services that supply workloads have other lifetimes."""
    services = [{**s, **_fields(lifetimes)} if s.get("type") == API else s for s in document["services"]]
    return {**document, "services": services}


def _fields(lifetimes: Lifetimes) -> dict[str, str]:
    return {"credential_ttl": f"{lifetimes.ttl}s", "renewal_interval": f"{lifetimes.renewal}s"}
