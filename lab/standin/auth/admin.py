"""The way in for ``tctl``: a unix socket in the data directory that only the owner may use."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

from aiohttp import web

from lab.standin.auth.cluster import Cluster
from lab.standin.auth.web import refusals_as_json
from lab.standin.failure import Kind, Refusal
from lab.standin.release import Release

_MAX_SOCKET_PATH = 107


def socket_path(data_dir: Path) -> Path:
    """Where the socket is."""
    return data_dir / "admin.sock"


def listen(data_dir: Path) -> socket.socket:
    """The listening socket; one left over by a killed process is replaced.

    Raises:
        Refusal: the path is too long for a unix socket, or not writable.
    """
    path = socket_path(data_dir)
    if len(str(path)) > _MAX_SOCKET_PATH:
        raise Refusal(Kind.BAD_PARAMETER, f"data_dir: the path {data_dir} is too long to hold a unix socket")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.unlink(missing_ok=True)
        listener.bind(str(path))
        path.chmod(0o600)
    except OSError as error:
        listener.close()
        raise Refusal(Kind.BAD_PARAMETER, f"listening on {path}: {error.strerror}") from error
    return listener


def application(cluster: Cluster, release: Release) -> web.Application:
    """One call per ``tctl`` command; the request says what, the answer is what to print."""
    handlers = _Handlers(cluster, release)
    app = web.Application(middlewares=[refusals_as_json])
    for name in ("status", "create", "get", "remove", "add_bot", "update_bot", "rotate"):
        app.router.add_post(f"/{name}", getattr(handlers, name))
    return app


class _Handlers:
    def __init__(self, cluster: Cluster, release: Release) -> None:
        self._cluster = cluster
        self._release = release

    async def status(self, _request: web.Request) -> web.Response:
        return web.json_response({**self._cluster.status(), "version": str(self._release)})

    async def create(self, request: web.Request) -> web.Response:
        body = await _body(request)
        message = self._cluster.inventory.create(body["document"], force=body["force"])
        return web.json_response({"message": message})

    async def get(self, request: web.Request) -> web.Response:
        body = await _body(request)
        return web.json_response({"documents": self._cluster.inventory.get(body["kind"], body["name"])})

    async def remove(self, request: web.Request) -> web.Response:
        body = await _body(request)
        return web.json_response({"message": self._cluster.inventory.remove(body["kind"], body["name"])})

    async def add_bot(self, request: web.Request) -> web.Response:
        body = await _body(request)
        return web.json_response({"bot": self._cluster.inventory.add_bot(body["name"], body["roles"], body["token"])})

    async def update_bot(self, request: web.Request) -> web.Response:
        body = await _body(request)
        bot = self._cluster.inventory.update_bot(body["name"], set_roles=body["set_roles"], add_roles=body["add_roles"])
        return web.json_response({"bot": bot})

    async def rotate(self, request: web.Request) -> web.Response:
        body = await _body(request)
        self._cluster.rotate(body["phase"])
        return web.json_response({})


async def _body(request: web.Request) -> dict[str, Any]:
    body = await request.json()
    return dict(body)
