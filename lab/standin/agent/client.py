"""Calls from tbot to the cluster."""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from lab.standin import shapes, wire
from lab.standin.agent.config import BotConfig
from lab.standin.agent.exchange import Request, exchange
from lab.standin.failure import Kind, Refusal
from lab.standin.logs import Log

_TIMEOUT = wire.BUNDLE_HOLD + 10

_log = Log("tbot:client")


class ClusterClient:
    """Speaks to the configured server; ``identity`` is the bearer token once there is one."""

    def __init__(self, config: BotConfig) -> None:
        self._config = config
        self._trust = _trust_all()
        self.identity = ""

    async def open(self) -> None:
        """Decide what to trust, and make sure that the other end is what the configuration says.

        Raises:
            Refusal: the server cannot be reached, is not trusted, or is not of the configured kind.
        """
        self._trust = await self._decided_trust()
        ping = await self.get(wire.PING)
        if (ping.get("stand_in_port") == "proxy") != self._config.through_proxy:
            wanted = "proxy_server" if not self._config.through_proxy else "auth_server"
            raise Refusal(
                Kind.BAD_PARAMETER, f"{self._config.server} is not what the configuration says, use {wanted} for it"
            )

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The JSON at ``path``.

        Raises:
            Refusal: the server's, or of kind ``CONNECTION_PROBLEM``.
        """
        return await self._call("GET", f"{path}?{urlencode(query)}" if query else path, None)

    async def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The JSON that answers ``body``.

        Raises:
            Refusal: the server's, or of kind ``CONNECTION_PROBLEM``.
        """
        return await self._call("POST", path, json.dumps(dict(body)).encode())

    async def _call(self, method: str, path: str, body: bytes | None) -> dict[str, Any]:
        headers = {"Content-Type": "application/json"}
        if self.identity:
            headers["Authorization"] = f"Bearer {self.identity}"
        host, port = shapes.host_and_port(self._config.server, "server")
        request = Request(host, port, path, self._trust, method, headers, body, _TIMEOUT)
        try:
            answer = await exchange(request)
            document = json.loads(answer.body)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise _unreachable(self._config.server, error) from error
        if not isinstance(document, dict):
            raise Refusal(Kind.CONNECTION_PROBLEM, f"{self._config.server} does not answer as the stand-in does")
        if answer.status == http.HTTPStatus.OK:
            return document
        if "messages" not in document:
            raise Refusal(Kind.CONNECTION_PROBLEM, f"{self._config.server}{path}: HTTP {answer.status}")
        raise Refusal.from_document(document)

    async def _decided_trust(self) -> ssl.SSLContext:
        if self._config.insecure:
            return _trust_all()
        if self._config.through_proxy:
            # Go reads SSL_CERT_FILE by itself; so does OpenSSL, through the default paths.
            return ssl.create_default_context(cafile=os.environ.get("SSL_CERT_FILE"))
        if not self._config.ca_pins:
            _log.warning(
                "Joining cluster without validating the identity of the Auth Server. This may open you up to a "
                "Man-In-The-Middle (MITM) attack if an attacker can gain privileged network access. "
                "To remedy this, use the CA pin value provided when join token was generated."
            )
            return _trust_all()
        return await self._trust_pinned()

    async def _trust_pinned(self) -> ssl.SSLContext:
        pem = str((await self.get(wire.HOST_CA))["certificate"])
        # Only a pin needs a certificate parsed, and loading what parses it is half of a refused join.
        from lab.standin.agent.pinning import pin_of  # noqa: PLC0415

        pin = pin_of(pem)
        if pin not in self._config.ca_pins:
            raise Refusal(Kind.BAD_PARAMETER, f"pin {pin} of the cluster's CA is none of the configured ca_pins")
        return ssl.create_default_context(cadata=pem)


def _trust_all() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _unreachable(server: str, error: Exception) -> Refusal:
    reason = str(error) or type(error).__name__
    if isinstance(error, ConnectionRefusedError):
        reason = f"dial tcp {server}: connect: connection refused"
    elif isinstance(error, TimeoutError):
        reason = f"dial tcp {server}: i/o timeout"
    elif isinstance(error, ssl.SSLCertVerificationError):
        reason = f"tls: failed to verify certificate: x509: certificate signed by unknown authority ({reason})"
    elif isinstance(error, socket.gaierror):
        reason = f"dial tcp: lookup {server.rpartition(':')[0]}: no such host"
    return Refusal(Kind.CONNECTION_PROBLEM, f"connecting to {server}", reason)
