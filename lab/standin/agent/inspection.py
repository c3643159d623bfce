"""``tbot spiffe-inspect``: what the Workload API gives to the calling process."""

from __future__ import annotations

from urllib.parse import urlsplit

from cryptography import x509
from grpclib.client import Channel
from grpclib.const import Cardinality
from grpclib.exceptions import GRPCError

from lab.standin.agent import workload_messages as messages
from lab.standin.agent.workload_api import FETCH_X509_SVID, SECURITY_HEADER
from lab.standin.failure import Kind, Refusal


async def inspect(address: str) -> None:
    """Print the SVIDs that this process gets.

    Args:
        address: ``unix:///path`` of the socket.

    Raises:
        Refusal: the socket cannot be used, or the answer is a refusal.
    """
    path = urlsplit(address).path
    if not address.startswith("unix://") or not path:
        raise Refusal(Kind.BAD_PARAMETER, f'--path: expected unix:///path, got "{address}"')
    channel = Channel(path=path)
    try:
        async with channel.request(
            FETCH_X509_SVID,
            Cardinality.UNARY_STREAM,
            messages.X509SVIDRequest,
            messages.X509SVIDResponse,
            metadata={SECURITY_HEADER: "true"},
        ) as stream:
            await stream.send_message(messages.X509SVIDRequest(), end=True)
            response = await stream.recv_message()
            await stream.cancel()
    except (GRPCError, OSError) as error:
        reason = error.message if isinstance(error, GRPCError) else error.strerror
        raise Refusal(Kind.CONNECTION_PROBLEM, f"fetching SVIDs from {address}", str(reason)) from error
    finally:
        channel.close()
    for svid in response.svids if response else ():
        certificate = x509.load_der_x509_certificate(svid.x509_svid)
        print(f"- {svid.spiffe_id}")
        print(f"  hint: {svid.hint or 'none'}")
        print(f"  serial: {certificate.serial_number:x}")
        print(f"  expiry: {certificate.not_valid_after_utc.isoformat()}")
