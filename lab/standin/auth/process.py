"""The running ``teleport``: both ports and the admin socket, from start to signal."""

from __future__ import annotations

import asyncio
import signal

from aiohttp import web

from lab.standin.auth import admin
from lab.standin.auth import web as ports
from lab.standin.auth.audit import AuditLog
from lab.standin.auth.cluster import Cluster
from lab.standin.auth.config import TeleportConfig
from lab.standin.auth.state import State
from lab.standin.failure import Kind, Refusal
from lab.standin.logs import Log
from lab.standin.release import NOTICE, Release

_log = Log("proc:1")


async def serve(config: TeleportConfig, version: Release) -> None:
    """Run until SIGTERM or SIGINT.

    Raises:
        Refusal: the data directory or an address cannot be used.
    """
    _log.info(f"Starting Teleport v{version} ({NOTICE})", cluster=config.cluster_name, data_dir=config.data_dir)
    cluster, state = _open(config, version)
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    runners: list[web.AppRunner] = []
    try:
        tls = ports.server_context(config.data_dir, state.host_authority, config)
        for name, address in (("auth", config.auth_listen), ("proxy", config.proxy_listen)):
            app = ports.application(cluster, config, version, state.host_authority, name)
            runners.append(await _started(app))
            try:
                await web.TCPSite(runners[-1], address.host, address.port, ssl_context=tls).start()
            except OSError as error:
                raise Refusal(Kind.BAD_PARAMETER, f"listen tcp {address}: {error.strerror}") from error
            _log.info(f"The {name} service is starting", listen_address=str(address))
        runners.append(await _started(admin.application(cluster, version)))
        await web.SockSite(runners[-1], admin.listen(config.data_dir)).start()
        _log.info("Service has started successfully", service=NOTICE)
        await stopped.wait()
        _log.info("Got signal, exiting")
    finally:
        for runner in runners:
            await runner.cleanup()
        admin.socket_path(config.data_dir).unlink(missing_ok=True)


def _open(config: TeleportConfig, version: Release) -> tuple[Cluster, State]:
    try:
        config.data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Refusal(Kind.BAD_PARAMETER, f"creating data_dir {config.data_dir}: {error.strerror}") from error
    state = State.open(config.data_dir / "state.json", config.cluster_name)
    if state.cluster_name != config.cluster_name:
        _log.warning(
            f'Cannot rename cluster to "{config.cluster_name}": continuing with "{state.cluster_name}". '
            "A cluster keeps the name of its first start."
        )
    return Cluster(state, AuditLog(config.data_dir, state.cluster_name), version), state


async def _started(app: web.Application) -> web.AppRunner:
    # A held request for the next bundle must not delay the end of the process.
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    return runner
