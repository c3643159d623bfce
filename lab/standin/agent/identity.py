"""The bot's own identity: joining, renewal, heartbeats."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import socket
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from time import monotonic

from lab.standin import wire
from lab.standin.agent.client import ClusterClient
from lab.standin.agent.config import BotConfig
from lab.standin.agent.diagnostics import Health
from lab.standin.failure import Kind, Refusal
from lab.standin.logs import Log
from lab.standin.release import Release

_HEARTBEAT_INTERVAL = timedelta(minutes=30)
_FIRST_RETRY = timedelta(seconds=1)
_LAST_RETRY = timedelta(minutes=1)

_log = Log("tbot:identity")
_heart_log = Log("tbot:heartbeat")


class BotIdentity:
    """Joins once, then keeps the identity fresh; losing the server later does not end tbot."""

    def __init__(self, config: BotConfig, client: ClusterClient, health: Health) -> None:
        self._config = config
        self._client = client
        self._health = health
        self._instance = _stored_instance(config.storage)
        self.trust_domain = ""
        health.register("identity")

    async def join(self) -> None:
        """Present the service-account token and take the identity that comes back.

        Raises:
            Refusal: the token cannot be read, the server cannot be reached, or it says no.
        """
        _log.info("Fetching bot identity", join_method=self._config.join_method, token=self._config.token)
        with self._health.iteration("identity", "bot-identity-renewal"):
            await self._join()
        self._health.healthy("identity")

    async def keep_renewed(self) -> None:
        """Join again every renewal interval, for ever."""
        await _repeat(self._renew, self._config.renewal_interval, lambda: self._health.healthy("identity"), self._failed)

    async def _renew(self) -> None:
        with self._health.iteration("identity", "bot-identity-renewal"):
            await self._join()
        _log.info("Fetched new bot identity", instance=self._instance)

    def _failed(self, refusal: Refusal) -> None:
        self._health.unhealthy("identity", str(refusal))
        _log.error("Bot identity renewal failed, will retry", error=str(refusal))

    async def _join(self) -> None:
        path = self._config.id_token_path
        try:
            id_token = path.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise Refusal(
                Kind.BAD_PARAMETER, "reading kubernetes service account token", f"open {path}: {error.strerror}"
            ) from error
        answer = await self._client.post(
            wire.JOIN,
            {
                "token": self._config.token,
                "join_method": self._config.join_method,
                "id_token": id_token,
                "instance": self._instance,
                "ttl": self._config.credential_ttl.total_seconds(),
            },
        )
        self._client.identity = answer["identity"]
        self._instance = answer["instance"]
        self.trust_domain = answer["cluster_name"]
        _store_instance(self._config.storage, self._instance)


class Heartbeat:
    """Tells the cluster that this tbot lives, and which version it is."""

    def __init__(self, client: ClusterClient, health: Health, release: Release) -> None:
        self._client = client
        self._health = health
        self._release = release
        self._begun = monotonic()
        self._is_startup = True
        health.register("heartbeat")

    async def keep_beating(self) -> None:
        """Send one now and then one every half hour, for ever."""
        while not await self._beaten():
            await asyncio.sleep(_FIRST_RETRY.total_seconds())
        await _repeat(self._beat, _HEARTBEAT_INTERVAL, lambda: self._health.healthy("heartbeat"), self._failed)

    async def _beaten(self) -> bool:
        try:
            await self._beat()
        except Refusal as refusal:
            self._failed(refusal)
            return False
        self._health.healthy("heartbeat")
        return True

    async def _beat(self) -> None:
        beat = {
            "is_startup": self._is_startup,
            "version": str(self._release),
            "hostname": socket.gethostname(),
            "uptime": f"{monotonic() - self._begun:.3f}s",
            "join_method": "kubernetes",
            "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine()),
            "os": sys.platform,
        }
        with self._health.iteration("heartbeat", "submit-heartbeat"):
            await self._client.post(wire.HEARTBEAT, beat)
        self._is_startup = False
        _heart_log.info("Sent heartbeat", data=beat)

    def _failed(self, refusal: Refusal) -> None:
        self._health.unhealthy("heartbeat", str(refusal))
        _heart_log.warning("Failed to submit heartbeat", error=str(refusal))


async def _repeat(
    act: Callable[[], Awaitable[None]],
    interval: timedelta,
    succeeded: Callable[[], None],
    failed: Callable[[Refusal], None],
) -> None:
    """Do ``act`` every ``interval``; after a refusal sooner, with growing pauses of at most a minute."""
    pause, retry = interval, _FIRST_RETRY
    while True:
        await asyncio.sleep(pause.total_seconds())
        try:
            await act()
        except Refusal as refusal:
            failed(refusal)
            pause, retry = retry, min(retry * 2, _LAST_RETRY)
        else:
            succeeded()
            pause, retry = interval, _FIRST_RETRY


def _stored_instance(storage: Path | None) -> str:
    if storage is None:
        return ""
    try:
        return str(json.loads((storage / "identity.json").read_text(encoding="utf-8"))["instance"])
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Refusal(Kind.BAD_PARAMETER, f"reading the stored identity in {storage}", str(error)) from error


def _store_instance(storage: Path | None, instance: str) -> None:
    if storage is None:
        return
    try:
        storage.mkdir(parents=True, exist_ok=True)
        temporary = storage / f".identity-{os.getpid()}"
        temporary.write_text(json.dumps({"instance": instance}), encoding="utf-8")
        temporary.replace(storage / "identity.json")
    except OSError as error:
        raise Refusal(Kind.BAD_PARAMETER, f"writing the identity to {storage}: {error.strerror}") from error
