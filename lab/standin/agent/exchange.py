"""HTTP requests from tbot with the standard library, each in a thread of its own.

A node's workloads wait for tbot to listen, and loading a large asynchronous HTTP library would take half of that time.
"""

from __future__ import annotations

import asyncio
import http.client
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Request:
    """One request.

    Attributes:
        host: name or address to dial.
        port: port to dial.
        path: path with query.
        trust: what certificates are good; none for plain HTTP.
        method: the HTTP method.
        headers: header fields.
        body: the body, if any.
        timeout: seconds for connecting, and again for each pause in the answer.
    """

    host: str
    port: int
    path: str
    trust: ssl.SSLContext | None
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    timeout: float = 10.0


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and body of the response."""

    status: int
    body: bytes


async def exchange(request: Request) -> Answer:
    """Send a request; cancelling leaves its thread to end by itself.

    Raises:
        OSError: no connection, no trust, or no answer in time.
        http.client.HTTPException: the other end does not speak HTTP.
    """
    return await _in_thread(lambda: _exchange(request))


def _exchange(request: Request) -> Answer:
    connection = (
        http.client.HTTPSConnection(request.host, request.port, timeout=request.timeout, context=request.trust)
        if request.trust
        else http.client.HTTPConnection(request.host, request.port, timeout=request.timeout)
    )
    try:
        connection.request(request.method, request.path, request.body, dict(request.headers))
        response = connection.getresponse()
        return Answer(response.status, response.read())
    finally:
        connection.close()


async def _in_thread(call: Callable[[], T]) -> T:
    """Run ``call`` in a thread that does not keep the process from ending, unlike those of the default executor."""
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if outcome.cancelled():
            return
        if error is not None:
            outcome.set_exception(error)
        else:
            outcome.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result, error = None, None
        try:
            result = call()
        except Exception as raised:
            error = raised
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, result, error)

    Thread(target=run, daemon=True).start()
    return await outcome
