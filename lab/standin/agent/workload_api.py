"""The SPIFFE Workload API as tbot answers it, on the same socket as SDS. X.509 only."""

from __future__ import annotations

import asyncio
from typing import Any

from grpclib.const import Cardinality, Handler, Status
from grpclib.exceptions import GRPCError

from lab.standin.agent import workload_messages as messages
from lab.standin.agent.bundles import TrustBundle, TrustBundleCache
from lab.standin.agent.callers import Caller, Callers

_SERVICE = "/SpiffeWorkloadAPI"
SECURITY_HEADER = "workload.spiffe.io"
FETCH_X509_SVID = f"{_SERVICE}/FetchX509SVID"


class SpiffeWorkloadApi:
    """FetchX509SVID and FetchX509Bundles; the JWT methods say that they are not part of the stand-in."""

    def __init__(self, callers: Callers, bundles: TrustBundleCache) -> None:
        self._callers = callers
        self._bundles = bundles

    def __mapping__(self) -> dict[str, Handler]:
        """The methods by path, for the gRPC server."""
        svids = (messages.X509SVIDRequest, messages.X509SVIDResponse)
        bundles = (messages.X509BundlesRequest, messages.X509BundlesResponse)
        tokens = (messages.JWTRequest, messages.JWTResponse)
        return {
            FETCH_X509_SVID: Handler(self.fetch_x509_svid, Cardinality.UNARY_STREAM, *svids),
            f"{_SERVICE}/FetchX509Bundles": Handler(self.fetch_x509_bundles, Cardinality.UNARY_STREAM, *bundles),
            f"{_SERVICE}/FetchJWTSVID": Handler(self.without_jwt, Cardinality.UNARY_UNARY, *tokens),
            f"{_SERVICE}/FetchJWTBundles": Handler(self.without_jwt, Cardinality.UNARY_STREAM, *tokens),
            f"{_SERVICE}/ValidateJWTSVID": Handler(self.without_jwt, Cardinality.UNARY_UNARY, *tokens),
        }

    async def without_jwt(self, _stream: Any) -> None:
        """Refuse."""
        raise GRPCError(Status.UNIMPLEMENTED, "JWT-SVIDs are not part of the stand-in for Teleport")

    async def fetch_x509_svid(self, stream: Any) -> None:
        """SVIDs now, at every renewal and whenever the bundle changes."""
        _check_header(stream)
        async with self._callers.admitted(stream) as caller:
            caller.log.info("FetchX509SVID stream opened by workload")
            await stream.recv_message()
            try:
                await self._send_svids(stream, caller)
            finally:
                caller.log.info("FetchX509SVID stream has closed")

    async def _send_svids(self, stream: Any, caller: Caller) -> None:
        while True:
            bundle = await self._bundles.current()
            svids = await caller.issue()
            if not svids:
                raise GRPCError(Status.PERMISSION_DENIED, "workload did not pass attestation for any SVIDs")
            authorities = b"".join(bundle.authorities)
            response = messages.X509SVIDResponse()
            for svid in svids:
                response.svids.add(
                    spiffe_id=svid.spiffe_id,
                    x509_svid=svid.certificate,
                    x509_svid_key=svid.key,
                    bundle=authorities,
                    hint=svid.hint,
                )
            await stream.send_message(response)
            if await _became_stale(bundle, caller.renewal_seconds):
                caller.log.debug("Trust bundle updated, renewing SVIDs")
            else:
                caller.log.debug("Renewal interval reached, renewing SVIDs")

    async def fetch_x509_bundles(self, stream: Any) -> None:
        """The bundle now and whenever it changes."""
        _check_header(stream)
        async with self._callers.admitted(stream):
            await stream.recv_message()
            while True:
                bundle = await self._bundles.current()
                response = messages.X509BundlesResponse()
                response.bundles[f"spiffe://{bundle.trust_domain}"] = b"".join(bundle.authorities)
                await stream.send_message(response)
                await bundle.stale.wait()


async def _became_stale(bundle: TrustBundle, seconds: float) -> bool:
    try:
        await asyncio.wait_for(bundle.stale.wait(), seconds)
    except TimeoutError:
        return False
    return True


def _check_header(stream: Any) -> None:
    # The specification asks for it so that a server-side request forgery cannot reach the socket.
    if stream.metadata.get(SECURITY_HEADER) != "true":
        raise GRPCError(Status.INVALID_ARGUMENT, "security header missing from request")
