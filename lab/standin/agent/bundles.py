"""The trust bundle that workloads get, kept up to date."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass, field

from lab.standin import wire
from lab.standin.agent.client import ClusterClient
from lab.standin.agent.diagnostics import Health
from lab.standin.failure import Refusal
from lab.standin.logs import Log

SERVICE = "spiffe-trust-bundle-cache"
_BACK_OFF_SECONDS = 10.0

_log = Log(f"tbot:{SERVICE}")


@dataclass(frozen=True, slots=True)
class TrustBundle:
    """The authorities of the trust domain at one time.

    Attributes:
        trust_domain: its name, without ``spiffe://``.
        authorities: the trusted certificates in DER. Their order counts: another order is another bundle.
        stale: set once there is a newer bundle.
    """

    trust_domain: str
    authorities: tuple[bytes, ...]
    stale: asyncio.Event = field(default_factory=asyncio.Event, compare=False)


class TrustBundleCache:
    """Follows the cluster's bundle; while the cluster is away, the last good one stays."""

    def __init__(self, client: ClusterClient, health: Health) -> None:
        self._client = client
        self._health = health
        self._current: TrustBundle | None = None
        self._sequence = 0
        self._filled = asyncio.Event()
        health.register(SERVICE)

    async def current(self) -> TrustBundle:
        """The bundle, as soon as there is one."""
        await self._filled.wait()
        if self._current is None:
            raise RuntimeError("the cache says it is filled and is not")
        return self._current

    async def follow(self) -> None:
        """Take over every change, for ever."""
        while True:
            try:
                with self._health.iteration(SERVICE, "follow"):
                    answer = await self._client.get(wire.BUNDLE, {"known": str(self._sequence)})
            except Refusal as refusal:
                self._health.unhealthy(SERVICE, str(refusal))
                _log.error(
                    "Cache failed, will attempt to re-initialize after back off",
                    error=str(refusal),
                    backoff=f"{_BACK_OFF_SECONDS:g}s",
                )
                self._sequence = 0
                await asyncio.sleep(_BACK_OFF_SECONDS)
                continue
            self._sequence = answer["sequence"]
            authorities = tuple(base64.b64decode(entry) for entry in answer["authorities"])
            self._take(TrustBundle(answer["trust_domain"], authorities))
            self._health.healthy(SERVICE)

    def _take(self, bundle: TrustBundle) -> None:
        before, unchanged = self._current, self._current == bundle
        if unchanged:
            return
        self._current = bundle
        if before is None:
            _log.info("Successfully initialized trust bundle cache")
            self._filled.set()
            return
        _log.info("Processed update for trust bundle", type="spiffe", x509_authorities=len(bundle.authorities))
        before.stale.set()
