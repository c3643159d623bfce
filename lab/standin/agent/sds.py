"""Envoy's secret discovery service as tbot answers it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret
from envoy.extensions.transport_sockets.tls.v3.tls_spiffe_validator_config_pb2 import SPIFFECertValidatorConfig
from envoy.service.discovery.v3.discovery_pb2 import (
    DeltaDiscoveryRequest,
    DeltaDiscoveryResponse,
    DiscoveryRequest,
    DiscoveryResponse,
)
from grpclib.const import Cardinality, Handler, Status
from grpclib.exceptions import GRPCError

from lab.standin import durations
from lab.standin.agent.bundles import TrustBundle, TrustBundleCache
from lab.standin.agent.callers import Caller, Callers
from lab.standin.agent.svids import Svid
from lab.standin.failure import Kind, Refusal, within

_SERVICE = "/envoy.service.secret.v3.SecretDiscoveryService"
_SECRET_TYPE = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
_VALIDATOR = "envoy.tls.cert_validator.spiffe"
_DEFAULT, _ROOTCA, _ALL = "default", "ROOTCA", "ALL"


class SecretDiscoveryService:
    """The two methods that tbot has; DeltaSecrets is refused as tbot refuses it."""

    def __init__(self, callers: Callers, bundles: TrustBundleCache, *, resends_old_svid: bool) -> None:
        self._callers = callers
        self._bundles = bundles
        self._resends_old_svid = resends_old_svid

    def __mapping__(self) -> dict[str, Handler]:
        """The methods by path, for the gRPC server."""
        discovery = (DiscoveryRequest, DiscoveryResponse)
        delta = (DeltaDiscoveryRequest, DeltaDiscoveryResponse)
        return {
            f"{_SERVICE}/StreamSecrets": Handler(self.stream_secrets, Cardinality.STREAM_STREAM, *discovery),
            f"{_SERVICE}/FetchSecrets": Handler(self.fetch_secrets, Cardinality.UNARY_UNARY, *discovery),
            f"{_SERVICE}/DeltaSecrets": Handler(self.delta_secrets, Cardinality.STREAM_STREAM, *delta),
        }

    async def delta_secrets(self, _stream: Any) -> None:
        """Refuse."""
        raise GRPCError(Status.UNIMPLEMENTED, "method not implemented")

    async def fetch_secrets(self, stream: Any) -> None:
        """One answer."""
        async with self._callers.admitted(stream) as caller:
            request = await stream.recv_message()
            bundle = await self._bundles.current()
            answer = respond(request.resource_names, await _issued_to(caller), bundle)
            await stream.send_message(answer)

    async def stream_secrets(self, stream: Any) -> None:
        """Answers until the caller goes away: on new names, on renewal, and when the bundle changes."""
        async with self._callers.admitted(stream) as caller:
            caller.log.debug("SecretDiscoveryService.StreamSecrets stream started")
            try:
                await _Subscription(stream, caller, self._bundles, resends_old_svid=self._resends_old_svid).run()
            finally:
                caller.log.debug("SecretDiscoveryService.FetchSecrets stream finished")


class _Subscription:
    """One stream: what was asked last, what was sent last, and the SVIDs in between."""

    def __init__(self, stream: Any, caller: Caller, bundles: TrustBundleCache, *, resends_old_svid: bool) -> None:
        self._stream = stream
        self._caller = caller
        self._log = caller.log
        self._bundles = bundles
        self._resends_old_svid = resends_old_svid
        self._svids: list[Svid] | None = None
        self._request: Any = None
        self._response: Any = None
        self._sent_at = 0.0

    async def run(self) -> None:
        bundle = await self._bundles.current()
        receiving = asyncio.ensure_future(self._stream.recv_message())
        try:
            while True:
                stale = asyncio.ensure_future(bundle.stale.wait())
                # The renewal timer runs from the last response; before the first there is nothing to renew.
                timeout = self._renewal_left()
                done, _ = await asyncio.wait({receiving, stale}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
                stale.cancel()
                if receiving in done:
                    request = receiving.result()
                    if request is None:
                        return
                    receiving = asyncio.ensure_future(self._stream.recv_message())
                    if not self._asks_anew(request):
                        continue
                    self._request = request
                elif stale in done:
                    bundle = await self._bundles.current()
                    self._log.debug("Trust bundle set has been updated, renewing SVIDs for StreamSecrets stream")
                    self._svids = None
                else:
                    self._log.debug("Renewing SVIDs for StreamSecrets stream")
                    if not self._resends_old_svid:
                        self._svids = None
                if self._request is not None:
                    await self._respond(bundle)
        finally:
            # Cancelled or ended with the connection: either way its outcome is of no interest any more.
            receiving.cancel()
            await asyncio.gather(receiving, return_exceptions=True)

    def _renewal_left(self) -> float | None:
        if self._response is None:
            return None
        return max(0.0, self._sent_at + self._caller.renewal_seconds - asyncio.get_running_loop().time())

    def _asks_anew(self, request: Any) -> bool:
        self._log.debug(
            "Received StreamSecrets DiscoveryRequest",
            req={
                "resource_names": list(request.resource_names),
                "version_info": request.version_info,
                "response_nonce": request.response_nonce,
                "node_id": request.node.id,
            },
        )
        if self._response is not None and request.response_nonce != self._response.nonce:
            self._log.warning(
                "Received unexpected nonce, ignoring request",
                expected=self._response.nonce,
                got=request.response_nonce,
            )
            return False
        if request.HasField("error_detail"):
            self._log.warning("Envoy was unable to apply previous discovery response", error=request.error_detail.message)
        return self._request is None or set(request.resource_names) != set(self._request.resource_names)

    async def _respond(self, bundle: TrustBundle) -> None:
        if self._svids is None:
            self._svids = await _issued_to(self._caller)
        self._response = respond(self._request.resource_names, self._svids, bundle)
        self._sent_at = asyncio.get_running_loop().time()
        await self._stream.send_message(self._response)
        self._log.debug(
            "Sent StreamSecrets DiscoveryResponse",
            resources_len=len(self._response.resources),
            nonce=self._response.nonce,
            version_info=self._response.version_info,
        )


async def _issued_to(caller: Caller) -> list[Svid]:
    with within("fetching X509 SVIDs"):
        return await caller.issue()


def respond(names: Sequence[str], svids: Sequence[Svid], bundle: TrustBundle) -> Any:
    """The response to a request for ``names``; no names mean everything.

    Raises:
        Refusal: a name is none of ours.
    """
    left = list(dict.fromkeys(names))
    everything = not left
    resources = []
    for index, svid in enumerate(svids):
        if everything or svid.spiffe_id in left:
            resources.append(_certificate_secret(svid.spiffe_id, svid))
            _drop(left, svid.spiffe_id)
        if index == 0 and _DEFAULT in left:
            resources.append(_certificate_secret(_DEFAULT, svid))
            _drop(left, _DEFAULT)
    # Exactly one of these names is answered: a second one on the same stream stays over and fails the request.
    own = f"spiffe://{bundle.trust_domain}"
    for name in (own, _ROOTCA, _ALL):
        if name in left or (everything and name == own):
            resources.append(_validation_secret(name, bundle))
            _drop(left, name)
            break
    if left:
        raise Refusal(Kind.BAD_PARAMETER, f"unknown resource names: [{' '.join(left)}]")
    response = DiscoveryResponse(
        version_info=durations.rfc3339_nano_now(), type_url=_SECRET_TYPE, nonce=secrets.token_hex(4)
    )
    for resource in resources:
        response.resources.add().Pack(resource)
    return response


def _drop(names: list[str], name: str) -> None:
    if name in names:
        names.remove(name)


def _certificate_secret(name: str, svid: Svid) -> Any:
    """The leaf alone, and its key in PKCS#8."""
    secret = Secret(name=name)
    secret.tls_certificate.certificate_chain.inline_bytes = _pem(svid.certificate)
    secret.tls_certificate.private_key.inline_bytes = load_der_private_key(svid.key, None).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    return secret


def _validation_secret(name: str, bundle: TrustBundle) -> Any:
    """Envoy's SPIFFE validator with the local bundle; never a plain trusted CA, never a CRL."""
    config = SPIFFECertValidatorConfig()
    domain = config.trust_domains.add(name=bundle.trust_domain)
    domain.trust_bundle.inline_bytes = b"".join(map(_pem, bundle.authorities))
    secret = Secret(name=name)
    secret.validation_context.custom_validator_config.name = _VALIDATOR
    secret.validation_context.custom_validator_config.typed_config.Pack(config)
    return secret


def _pem(der: bytes) -> bytes:
    return x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM)
