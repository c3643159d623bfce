"""The running ``tbot``: joined, renewing, and serving workloads, from start to signal."""

from __future__ import annotations

import asyncio
import re
import signal
from contextlib import AsyncExitStack

from lab.standin.agent import diagnostics
from lab.standin.agent.bundles import TrustBundleCache
from lab.standin.agent.client import ClusterClient
from lab.standin.agent.config import BotConfig
from lab.standin.agent.identity import BotIdentity, Heartbeat
from lab.standin.failure import Kind, Refusal
from lab.standin.release import Release

_TRUST_DOMAIN = re.compile(r"[a-z0-9._-]+")


async def serve(config: BotConfig, version: Release) -> None:
    """Join, then run until SIGTERM or SIGINT; later troubles with the cluster are logged and tried again.

    Raises:
        Refusal: the first join failed, or an address cannot be used.
    """
    health = diagnostics.Health()
    client = ClusterClient(config)
    identity = BotIdentity(config, client, health)
    bundles = TrustBundleCache(client, health)
    heartbeat = Heartbeat(client, health, version)
    for service in config.services:
        health.register(service.name)
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with AsyncExitStack() as closing:
        if config.diag_addr:
            closing.callback(diagnostics.DiagnosticsEndpoint(health, config.diag_addr).close)
        await client.open()
        await identity.join()
        if not _TRUST_DOMAIN.fullmatch(identity.trust_domain):
            raise Refusal(
                Kind.BAD_PARAMETER, "parsing trust domain name", f'"{identity.trust_domain}" is not a trust domain'
            )
        # Large, and of no use to a tbot that may not join.
        from lab.standin.agent.listener import Listener  # noqa: PLC0415

        work = (identity.keep_renewed(), bundles.follow(), heartbeat.keep_beating())
        tasks = [asyncio.create_task(task) for task in work]
        for task in tasks:
            closing.callback(task.cancel)
        for service in config.services:
            listener = Listener(service, client, bundles, health, version)
            await listener.open()
            closing.push_async_callback(listener.close)
        await _until_stopped(stopped, tasks)


async def _until_stopped(stopped: asyncio.Event, tasks: list[asyncio.Task[None]]) -> None:
    """Until a signal; a task that ends by itself is a defect and ends tbot with its traceback."""
    waiting = asyncio.create_task(stopped.wait())
    done, _ = await asyncio.wait({waiting, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    for task in done & set(tasks):
        task.result()
