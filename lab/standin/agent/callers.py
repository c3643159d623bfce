"""Callers of the node's socket: attested once when their stream opens."""

from __future__ import annotations

import socket
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from grpclib.const import Status
from grpclib.exceptions import GRPCError

from lab.standin.agent.attestation import Attestor
from lab.standin.agent.services import WorkloadIdentityApi
from lab.standin.agent.svids import Svid, SvidIssuer
from lab.standin.failure import Refusal
from lab.standin.logs import Log

_CREDENTIALS = struct.Struct("3i")

_log = Log("tbot:svc:workload-identity-api")


@dataclass(frozen=True, slots=True)
class Caller:
    """One attested caller.

    Attributes:
        workload: its attributes as they were when the stream opened; they do not change within it.
        renewal_seconds: how often its SVIDs are renewed.
        log: a log that names the caller.
        issuer: where its SVIDs come from.
    """

    workload: Mapping[str, Any]
    renewal_seconds: float
    log: Log
    issuer: SvidIssuer

    async def issue(self) -> list[Svid]:
        """New SVIDs for this caller."""
        return await self.issuer.issue(self.workload)


class Callers:
    """Attests whoever opens a stream, and turns refusals into gRPC errors."""

    def __init__(self, service: WorkloadIdentityApi, attestor: Attestor, issuer: SvidIssuer) -> None:
        self._service = service
        self._attestor = attestor
        self._issuer = issuer

    @asynccontextmanager
    async def admitted(self, stream: Any) -> AsyncIterator[Caller]:
        """The caller of this stream; a refusal inside ends the stream and is not logged, as in tbot."""
        try:
            workload = await self._attestor.attest(_peer_pid(stream))
            yield Caller(
                workload,
                self._service.renewal_interval.total_seconds(),
                _log.bind(workload=workload),
                self._issuer,
            )
        except Refusal as refusal:
            # tbot puts no status on its errors, whatever their kind.
            raise GRPCError(Status.UNKNOWN, str(refusal)) from refusal


def _peer_pid(stream: Any) -> int | None:
    """The process at the other end of a unix socket as the kernel knows it; none over TCP."""
    # grpclib offers the peer's address and certificate only, so the transport is reached for.
    connection = stream.peer._transport.get_extra_info("socket")
    if connection is None or connection.family != socket.AF_UNIX:
        return None
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid: int = _CREDENTIALS.unpack(raw)[0]
    return pid
