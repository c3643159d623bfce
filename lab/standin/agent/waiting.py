"""``tbot wait``: block until a running tbot is healthy."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import aiohttp

from lab.standin.failure import Kind, Refusal

_PAUSE_SECONDS = 0.2


async def wait_until_ready(diag_addr: str | None, service: str | None, timeout: timedelta) -> None:
    """Ask the diagnostics endpoint until it says healthy; a timeout of zero waits for ever.

    Raises:
        Refusal: the time is over, with the last answer.
    """
    if not diag_addr:
        raise Refusal(Kind.BAD_PARAMETER, "--diag-addr is required")
    url = f"http://{diag_addr}/readyz" + (f"/{service}" if service else "")
    last = "no answer yet"
    try:
        async with asyncio.timeout(timeout.total_seconds() or None), aiohttp.ClientSession() as session:
            while True:
                try:
                    async with session.get(url) as response:
                        last = f"HTTP {response.status}: {await response.text()}"
                        if response.status == 200:
                            return
                except aiohttp.ClientError as error:
                    last = str(error)
                await asyncio.sleep(_PAUSE_SECONDS)
    except TimeoutError as error:
        raise Refusal(Kind.CONNECTION_PROBLEM, f"timed out waiting for {url}", last) from error
