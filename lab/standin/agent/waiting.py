"""``tbot wait``: block until a running tbot is healthy."""

from __future__ import annotations

import asyncio
import http.client
from datetime import timedelta

from lab.standin import shapes
from lab.standin.agent.exchange import Request, exchange
from lab.standin.failure import Kind, Refusal

_PAUSE_SECONDS = 0.2


async def wait_until_ready(diag_addr: str | None, service: str | None, timeout: timedelta) -> None:
    """Ask the diagnostics endpoint until it says healthy; a timeout of zero waits for ever.

    Raises:
        Refusal: the time is over, with the last answer.
    """
    host, port = shapes.host_and_port(diag_addr or "", "--diag-addr")
    request = Request(host or "localhost", port, f"/readyz/{service}" if service else "/readyz", trust=None)
    last = "no answer yet"
    try:
        async with asyncio.timeout(timeout.total_seconds() or None):
            while True:
                try:
                    answer = await exchange(request)
                    last = f"HTTP {answer.status}: {answer.body.decode(errors='replace')}"
                    if answer.status == http.HTTPStatus.OK:
                        return
                except (OSError, http.client.HTTPException) as error:
                    last = str(error)
                await asyncio.sleep(_PAUSE_SECONDS)
    except TimeoutError as error:
        raise Refusal(Kind.CONNECTION_PROBLEM, f"timed out waiting for {diag_addr}{request.path}", last) from error
