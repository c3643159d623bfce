"""Calls from tbot to the cluster."""

from __future__ import annotations

import hashlib
import os
import ssl
from collections.abc import Mapping
from typing import Any

import aiohttp
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from lab.standin import wire
from lab.standin.agent.config import BotConfig
from lab.standin.failure import Kind, Refusal
from lab.standin.logs import Log

_TIMEOUT = aiohttp.ClientTimeout(total=wire.BUNDLE_HOLD + 10, connect=5)

_log = Log("tbot:client")


class ClusterClient:
    """A connection to the configured server; ``identity`` is the bearer token once there is one."""

    def __init__(self, config: BotConfig) -> None:
        self._config = config
        self._session: aiohttp.ClientSession | None = None
        self.identity = ""

    async def open(self) -> None:
        """Decide what to trust, and make sure that the other end is what the configuration says.

        Raises:
            Refusal: the server cannot be reached, is not trusted, or is not of the configured kind.
        """
        trust = await self._trust()
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust), timeout=_TIMEOUT)
        ping = await self.get(wire.PING)
        if (ping.get("stand_in_port") == "proxy") != self._config.through_proxy:
            wanted = "proxy_server" if not self._config.through_proxy else "auth_server"
            raise Refusal(
                Kind.BAD_PARAMETER, f"{self._config.server} is not what the configuration says, use {wanted} for it"
            )

    async def close(self) -> None:
        """Drop the connections."""
        if self._session is not None:
            await self._session.close()

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The JSON at ``path``.

        Raises:
            Refusal: the server's, or of kind ``CONNECTION_PROBLEM``.
        """
        return await self._call("GET", path, params=query)

    async def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The JSON that answers ``body``.

        Raises:
            Refusal: the server's, or of kind ``CONNECTION_PROBLEM``.
        """
        return await self._call("POST", path, json=dict(body))

    async def _call(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        if self._session is None:
            raise RuntimeError("the client is not open")
        headers = {"Authorization": f"Bearer {self.identity}"} if self.identity else {}
        url = f"https://{self._config.server}{path}"
        try:
            async with self._session.request(method, url, headers=headers, **request) as response:
                document = await response.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise _unreachable(self._config.server, error) from error
        if not isinstance(document, dict):
            raise Refusal(Kind.CONNECTION_PROBLEM, f"{self._config.server} does not answer as the stand-in does")
        if response.status == 200:
            return document
        if "messages" not in document:
            raise Refusal(Kind.CONNECTION_PROBLEM, f"{url}: HTTP {response.status}")
        raise Refusal.from_document(document)

    async def _trust(self) -> ssl.SSLContext:
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
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=_trust_all()), timeout=_TIMEOUT
        ) as self._session:
            pem = str((await self.get(wire.HOST_CA))["certificate"])
        key = x509.load_pem_x509_certificate(pem.encode()).public_key()
        spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        pin = f"sha256:{hashlib.sha256(spki).hexdigest()}"
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
    cause = getattr(error, "os_error", None)
    if isinstance(cause, ConnectionRefusedError):
        reason = f"dial tcp {server}: connect: connection refused"
    elif isinstance(error, aiohttp.ClientConnectorCertificateError):
        reason = f"tls: failed to verify certificate: x509: certificate signed by unknown authority ({error})"
    elif isinstance(error, aiohttp.ClientConnectorDNSError):
        reason = f"dial tcp: lookup {server.rpartition(':')[0]}: no such host"
    return Refusal(Kind.CONNECTION_PROBLEM, f"connecting to {server}", reason)
