"""The endpoint that workloads dial."""

from __future__ import annotations

import socket
from pathlib import Path

from grpclib.server import Server

from lab.standin import shapes
from lab.standin.agent.attestation import Attestor
from lab.standin.agent.bundles import TrustBundleCache
from lab.standin.agent.callers import Callers
from lab.standin.agent.client import ClusterClient
from lab.standin.agent.diagnostics import Health
from lab.standin.agent.sds import SecretDiscoveryService
from lab.standin.agent.services import WorkloadIdentityApi
from lab.standin.agent.svids import SvidIssuer
from lab.standin.agent.workload_api import SpiffeWorkloadApi
from lab.standin.failure import Kind, Refusal
from lab.standin.logs import Log
from lab.standin.release import Release

_log = Log("tbot:svc:workload-identity-api")


class Listener:
    """One ``workload-identity-api`` service, from open to close."""

    def __init__(
        self,
        service: WorkloadIdentityApi,
        client: ClusterClient,
        bundles: TrustBundleCache,
        health: Health,
        release: Release,
    ) -> None:
        callers = Callers(service, Attestor(service), SvidIssuer(client, service))
        sds = SecretDiscoveryService(callers, bundles, resends_old_svid=release.resends_old_svid)
        self._service = service
        self._health = health
        self._server = Server([sds, SpiffeWorkloadApi(callers, bundles)])
        self._path: Path | None = None

    async def open(self) -> None:
        """Listen.

        Raises:
            Refusal: the address cannot be used.
        """
        scheme, _, address = self._service.listen.partition("://")
        try:
            if scheme == "unix":
                self._path = Path(address)
                await self._server.start(sock=_unix_socket(self._path))
            else:
                _log.warning(
                    "Workload API endpoint listening on a TCP port. Ensure that only intended hosts can reach this port!"
                )
                await self._server.start(*shapes.host_and_port(address, "listen"))
        except OSError as error:
            raise Refusal(
                Kind.BAD_PARAMETER, f"creating listener {self._service.listen}: {error.strerror or error}"
            ) from error
        self._health.healthy(self._service.name)
        _log.info("Listener opened for Workload API endpoint", addr=self._service.listen)

    async def close(self) -> None:
        """Stop listening and remove the socket."""
        self._server.close()
        await self._server.wait_closed()
        if self._path is not None:
            self._path.unlink(missing_ok=True)
        _log.info("Shut down Workload API endpoint", addr=self._service.listen)


def _unix_socket(path: Path) -> socket.socket:
    # A socket that a killed tbot left behind; anything else at this path makes bind fail.
    if path.is_socket():
        path.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(path))
        # Open to all on purpose: who gets what is decided by attestation and by who can reach the directory.
        path.chmod(0o777)
    except OSError:
        listener.close()
        raise
    return listener
