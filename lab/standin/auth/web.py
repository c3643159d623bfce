"""The two network ports: the proxy's web port and the Auth port, both HTTPS."""

from __future__ import annotations

import ipaddress
import json
import os
import ssl
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from lab.standin import wire
from lab.standin.auth import certificates
from lab.standin.auth.certificates import Signer
from lab.standin.auth.cluster import Cluster
from lab.standin.auth.config import TeleportConfig
from lab.standin.auth.limiter import Limiter
from lab.standin.auth.sessions import BotSession
from lab.standin.failure import Kind, Refusal
from lab.standin.release import NOTICE, Release

_LIMITER = web.AppKey("limiter", Limiter)
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def application(
    cluster: Cluster, config: TeleportConfig, release: Release, host_authority: Signer, port: str
) -> web.Application:
    """The HTTP application of one port; ``port`` is ``proxy`` (with the public endpoints) or ``auth``."""
    handlers = _Handlers(cluster, config, release, host_authority, port)
    app = web.Application(middlewares=[refusals_as_json, _say_stand_in, _limit])
    app[_LIMITER] = Limiter()
    app.router.add_get(wire.PING, handlers.ping)
    app.router.add_get(wire.HOST_CA, handlers.host_ca)
    app.router.add_post(wire.JOIN, handlers.join)
    app.router.add_post(wire.ISSUE, handlers.issue)
    app.router.add_post(wire.HEARTBEAT, handlers.heartbeat)
    app.router.add_get(wire.BUNDLE, handlers.bundle)
    if port == "proxy":
        app.router.add_get("/webapi/find", handlers.ping)
        app.router.add_get("/v1/webapi/ping", handlers.ping)
        app.router.add_get("/v1/webapi/find", handlers.ping)
        app.router.add_get("/webapi/spiffe/bundle.json", handlers.spiffe_bundle)
    return app


def server_context(data_dir: Path, host_authority: Signer, config: TeleportConfig) -> ssl.SSLContext:
    """TLS for both ports, with the certificate kept in the data directory as Teleport keeps its own.

    The certificate is used again as long as it covers the configured names and is signed by this authority.
    """
    hosts = _hosts(config)
    path, key_path = data_dir / "webproxy_cert.pem", data_dir / "webproxy_key.pem"
    if not _covers(path, key_path, host_authority, hosts):
        web_certificate = certificates.sign_web_certificate(host_authority, hosts)
        _write(path, web_certificate.certificate_pem + host_authority.certificate_pem)
        _write(key_path, web_certificate.key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path, key_path)
    return context


def _hosts(config: TeleportConfig) -> list[str]:
    wanted = [address.host for address in config.proxy_public]
    wanted += [config.nodename, "localhost", "127.0.0.1", config.proxy_listen.host, config.auth_listen.host]
    return sorted({host for host in wanted if host and not _is_any(host)})


def _is_any(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _covers(path: Path, key_path: Path, host_authority: Signer, hosts: list[str]) -> bool:
    try:
        kept = Signer(path.read_text(encoding="utf-8"), key_path.read_text(encoding="utf-8"))
        return certificates.covers(kept.certificate, host_authority.certificate, hosts)
    except (OSError, ValueError):
        return False


def _write(path: Path, text: str) -> None:
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".web-")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    Path(temporary).replace(path)


@web.middleware
async def refusals_as_json(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Answer refusals with their status and JSON, and bad input with a sentence instead of a traceback."""
    try:
        return await handler(request)
    except Refusal as refusal:
        return web.json_response(refusal.to_document(), status=refusal.kind.http_status)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        unreadable = Refusal(Kind.BAD_PARAMETER, "the request body is not JSON", str(error))
        return web.json_response(unreadable.to_document(), status=unreadable.kind.http_status)


@web.middleware
async def _say_stand_in(request: web.Request, handler: _Handler) -> web.StreamResponse:
    response = await handler(request)
    if not response.prepared:
        response.headers[wire.STAND_IN_HEADER] = NOTICE
    return response


@web.middleware
async def _limit(request: web.Request, handler: _Handler) -> web.StreamResponse:
    request.app[_LIMITER].take(request.path, request.remote or "")
    return await handler(request)


class _Handlers:
    def __init__(
        self, cluster: Cluster, config: TeleportConfig, release: Release, host_authority: Signer, port: str
    ) -> None:
        self._cluster = cluster
        self._config = config
        self._release = release
        self._host_authority = host_authority
        self._port = port

    async def ping(self, _request: web.Request) -> web.Response:
        public = self._config.proxy_public[0]
        return web.json_response(
            {
                "auth": {"type": "local", "second_factor": "on", "allow_passwordless": True},
                "proxy": {
                    "tls_routing_enabled": True,
                    "ssh": {
                        "listen_addr": str(self._config.proxy_listen),
                        "web_listen_addr": str(self._config.proxy_listen),
                        "public_addr": str(public),
                    },
                },
                "server_version": str(self._release),
                "min_client_version": f"{self._release.major - 1}.0.0-aa",
                "cluster_name": self._cluster.name,
                "edition": "community",
                wire.STAND_IN_FIELD: NOTICE,
                "stand_in_port": self._port,
            }
        )

    async def spiffe_bundle(self, _request: web.Request) -> web.Response:
        return web.json_response(self._cluster.spiffe_bundle())

    async def host_ca(self, _request: web.Request) -> web.Response:
        return web.json_response({"certificate": self._host_authority.certificate_pem})

    async def join(self, request: web.Request) -> web.Response:
        return web.json_response(await self._cluster.join(await _body(request), request.remote or ""))

    async def issue(self, request: web.Request) -> web.Response:
        svids = self._cluster.issue(self._session(request), await _body(request))
        return web.json_response({"svids": svids})

    async def heartbeat(self, request: web.Request) -> web.Response:
        session = self._session(request)
        self._cluster.inventory.record_heartbeat(session.bot, session.instance, await _body(request))
        return web.json_response({})

    async def bundle(self, request: web.Request) -> web.Response:
        self._session(request)
        known = request.query.get("known", "0")
        return web.json_response(await self._cluster.trust_bundle(int(known) if known.isdigit() else 0, wire.BUNDLE_HOLD))

    def _session(self, request: web.Request) -> BotSession:
        return self._cluster.session(request.headers.get("Authorization", "").removeprefix("Bearer "))


async def _body(request: web.Request) -> dict[str, Any]:
    body = await request.json()
    if not isinstance(body, dict):
        raise Refusal(Kind.BAD_PARAMETER, "the request body is not a JSON object")
    return body
