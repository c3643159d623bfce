"""A small API server on loopback: canned answers, exec and port-forward over websockets, and a record of what was asked."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from aiohttp import WSMsgType, web

CONTEXT = "test"


@dataclass
class Canned:
    """An answer.

    Attributes:
        body: Its body.
        status: Its status code.
        hang: It keeps the caller waiting.
        endless: It sends the body again and again, until the caller hangs up.
        pause: Seconds between two pieces of an endless answer.
    """

    body: Any = None
    status: int = 200
    hang: bool = False
    endless: bool = False
    pause: float = 0


@dataclass
class ApiServer:
    """What it answers, and what it was asked.

    Attributes:
        answers: By method and path, the query included where one is given.
        endless: What a program writes without end, in place of the frames.
        frames: Of a websocket: channel and payload of each frame, sent after the greeting; None ends without a close frame.
        http: Answers by path of a forwarded port; None refuses the connection and hangs up.
        refused: Forwarded ports without a listener, beside others that answer.
        flood: A forwarded port that sends without end what nobody asked for.
        asked: Method, path with query, and body of each request.
        sent: Bytes that were sent of endless answers.
        port: Its port.
        handler: Answers in the place of all that, and hands on to `answered` what it does not know.
    """

    answers: dict[str, Canned] = field(default_factory=dict)
    frames: list[tuple[int, bytes] | None] = field(default_factory=list)
    endless: Canned | None = None
    http: dict[str, Canned] | None = None
    refused: frozenset[int] = frozenset()
    asked: list[tuple[str, str, Any]] = field(default_factory=list)
    flood: int = 0
    sent: int = 0
    port: int = 0
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None

    def answer(self, request: str, body: Any = None, status: int = 200, *, hang: bool = False) -> None:
        """Cans an answer to ``GET /path``."""
        self.answers[request] = Canned(body, status, hang)

    def know(self, *kinds: tuple[str, str, str]) -> None:
        """Cans the answers about kinds that a client asks for first.

        Args:
            kinds: Version, plural name and kind of each, all of them in namespaces but Namespace itself.
        """
        by_version: dict[str, list[dict[str, Any]]] = {}
        for version, name, kind in kinds:
            known = {"name": name, "kind": kind, "namespaced": kind != "Namespace", "verbs": ["get", "list", "patch"]}
            by_version.setdefault(version, []).append(known)
        self.answer("GET /version", {"major": "1", "minor": "34", "gitVersion": "v1.34.0"})
        self.answer("GET /api", {"kind": "APIVersions", "versions": ["v1"]})
        groups = []
        for version, resources in by_version.items():
            group, slash, number = version.rpartition("/")
            path = f"/apis/{version}" if slash else f"/api/{version}"
            self.answer(f"GET {path}", {"kind": "APIResourceList", "groupVersion": version, "resources": resources})
            if slash:
                its = {"groupVersion": version, "version": number}
                groups.append({"name": group, "versions": [its], "preferredVersion": its})
        self.answer("GET /apis", {"kind": "APIGroupList", "groups": groups})

    def kubeconfig(self, directory: Path) -> Path:
        """A kubeconfig that leads here, with a token."""
        path = directory / "kubeconfig"
        path.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{self.port}"}}],
                    "users": [{"name": "u", "user": {"token": "the-users-token-is-long-enough"}}],
                    "contexts": [{"name": CONTEXT, "context": {"cluster": "c", "user": "u"}}],
                    "current-context": CONTEXT,
                }
            )
        )
        return path

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != "Bearer the-users-token-is-long-enough":
            return web.json_response({"message": "no token"}, status=401)
        return await (self.handler or self.answered)(request)

    async def answered(self, request: web.Request) -> web.StreamResponse:
        """The canned answer to a request."""
        target = request.path_qs
        if request.headers.get("Upgrade", "").lower() == "websocket":
            self.asked.append(("WS", target, None))
            refused = self.answers.get(f"WS {request.path}")
            if refused:
                return web.json_response(refused.body, status=refused.status)
            if request.path.endswith("/exec"):
                return await self._exec(request)
            return await (self._flooded(request) if self.flood else self.forwarded(request, self.http))
        text = await request.text()
        self.asked.append((request.method, target, json.loads(text) if text else None))
        canned = self.answers.get(f"{request.method} {target}") or self.answers.get(f"{request.method} {request.path}")
        if canned is None:
            return web.json_response({"kind": "Status", "message": f"{request.path} not found", "code": 404}, status=404)
        if canned.hang:
            await asyncio.sleep(30)
        if canned.endless:
            stream = web.StreamResponse()
            await stream.prepare(request)
            await self._without_end(canned, stream.write)
        if isinstance(canned.body, str):
            return web.Response(text=canned.body, status=canned.status)
        return web.json_response(canned.body, status=canned.status)

    async def _without_end(self, canned: Canned, send: Callable[[bytes], Awaitable[Any]]) -> None:
        """Sends the body of an answer until the caller hangs up."""
        piece = canned.body.encode()
        with contextlib.suppress(ConnectionError):
            while True:
                await send(piece)
                self.sent += len(piece)
                await asyncio.sleep(canned.pause)

    async def _chunks_without_end(self, canned: Canned, send: Callable[[bytes], Awaitable[None]]) -> None:
        await send(b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n")
        await self._without_end(canned, lambda piece: send(b"%x\r\n%s\r\n" % (len(piece), piece)))

    async def _exec(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=("v4.channel.k8s.io",))
        await socket.prepare(request)
        if self.endless is not None:
            await self._without_end(self.endless, lambda piece: socket.send_bytes(bytes([1]) + piece))
            return socket
        for frame in self.frames:
            if frame is None:
                assert request.transport is not None
                request.transport.abort()
                return socket
            channel, payload = frame
            await socket.send_bytes(bytes([channel]) + payload)
        await socket.close()
        return socket

    async def _flooded(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=("v4.channel.k8s.io",))
        await socket.prepare(request)
        channel = bytes([2 * request.query.getall("ports").index(str(self.flood))])
        await self._without_end(Canned("x" * 10_000, endless=True), partial(_on_channel, socket, channel))
        return socket

    async def forwarded(self, request: web.Request, answers: Mapping[str, Canned] | None) -> web.WebSocketResponse:
        """Forwarded ports, all of which give the same answers, by path; without any they hang up."""
        socket = web.WebSocketResponse(protocols=("v4.channel.k8s.io",))
        await socket.prepare(request)
        ports = [int(port) for port in request.query.getall("ports")]
        for place, port in enumerate(ports):
            for channel in (2 * place, 2 * place + 1):
                await socket.send_bytes(bytes([channel]) + port.to_bytes(2, "little"))
        for place, port in enumerate(ports):
            if answers is None or port in self.refused:
                await socket.send_bytes(bytes([2 * place + 1]) + b"failed to connect to localhost: connection refused")
        if answers is None:
            await socket.close()
            return socket
        async for message in socket:
            if message.type is not WSMsgType.BINARY:
                break
            channel = message.data[:1]
            if ports[message.data[0] // 2] in self.refused:
                continue
            requests = [line for line in message.data[1:].decode().split("\r\n") if line.startswith("GET ")]
            if len(requests) > 1:  # as Envoy does
                break
            target = requests[0].split(" ")[1]
            self.asked.append(("FORWARDED", target, None))
            canned = answers.get(target, Canned("no such path", 404))
            if canned.hang:
                await asyncio.sleep(30)
            if canned.endless:
                await self._chunks_without_end(canned, partial(_on_channel, socket, channel))
            body = (canned.body if isinstance(canned.body, str) else json.dumps(canned.body)).encode()
            head = f"HTTP/1.1 {canned.status} X\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            # In pieces that cut through headers and body, as a network does.
            whole = head + body
            for at in range(0, len(whole), 1000):
                await socket.send_bytes(channel + whole[at : at + 1000])
        return socket


async def _on_channel(socket: web.WebSocketResponse, channel: bytes, piece: bytes) -> None:
    await socket.send_bytes(channel + piece)


@contextmanager
def running() -> Iterator[ApiServer]:
    """Runs an API server until the end of the block."""
    server = ApiServer()
    loop = asyncio.new_event_loop()
    ready = threading.Event()

    async def start() -> web.AppRunner:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", server.handle)
        runner = web.AppRunner(application, shutdown_timeout=0)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        server.port = runner.addresses[0][1]
        return runner

    def run() -> None:
        asyncio.set_event_loop(loop)
        runner = loop.run_until_complete(start())
        ready.set()
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = threading.Thread(target=run, name="api-server", daemon=True)
    thread.start()
    assert ready.wait(5)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
