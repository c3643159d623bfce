"""Health of tbot's parts, its task metrics, and the HTTP endpoint that shows both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic

from aiohttp import web

from lab.standin.failure import Kind, Refusal

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


@dataclass(slots=True)
class _Iterations:
    successful: int = 0
    failed: int = 0
    durations: list[float] = field(default_factory=list)


class Health:
    """What each part of tbot last said of itself; a part counts from its registration on."""

    def __init__(self) -> None:
        self._services: dict[str, tuple[str, str]] = {}
        self._iterations: dict[tuple[str, str], _Iterations] = {}

    def register(self, service: str) -> None:
        """Add a part that is not yet healthy."""
        self._services[service] = ("initializing", "")

    def healthy(self, service: str) -> None:
        """Note that a part works."""
        self._services[service] = ("healthy", "")

    def unhealthy(self, service: str, reason: str) -> None:
        """Note that a part does not work, and why."""
        self._services[service] = ("unhealthy", reason)

    @contextmanager
    def iteration(self, service: str, name: str) -> Iterator[None]:
        """Count one run of a repeated task; an exception counts as failed and goes on to the caller."""
        counts = self._iterations.setdefault((service, name), _Iterations())
        begun = monotonic()
        try:
            yield
        except Exception:
            counts.failed += 1
            raise
        else:
            counts.successful += 1
        finally:
            counts.durations.append(monotonic() - begun)

    def service(self, name: str) -> dict[str, str] | None:
        """One part's status, or none if there is no such part."""
        if name not in self._services:
            return None
        status, reason = self._services[name]
        return {"status": status, "reason": reason} if reason else {"status": status}

    def overall(self) -> tuple[bool, dict[str, object]]:
        """Whether all parts are healthy, and the document that says so."""
        ready = all(status == "healthy" for status, _ in self._services.values())
        services = {name: self.service(name) for name in self._services}
        return ready, {"status": "healthy" if ready else "unhealthy", "services": services}

    def metrics(self) -> str:
        """The counters in Prometheus' text form."""
        lines = []
        for metric, kind in (("total", "counter"), ("failed", "counter"), ("successful", "counter")):
            lines.append(f"# TYPE tbot_task_iterations_{metric} {kind}")
            for (service, name), counts in self._iterations.items():
                value = len(counts.durations) if metric == "total" else getattr(counts, metric)
                lines.append(f'tbot_task_iterations_{metric}{{name="{name}",service="{service}"}} {value}')
        lines.append("# TYPE tbot_task_iterations_duration_seconds histogram")
        for (service, name), counts in self._iterations.items():
            labels = f'name="{name}",service="{service}"'
            metric = "tbot_task_iterations_duration_seconds"
            for bound in _BUCKETS:
                below = sum(duration <= bound for duration in counts.durations)
                lines.append(f'{metric}_bucket{{{labels},le="{bound:g}"}} {below}')
            lines.append(f'{metric}_bucket{{{labels},le="+Inf"}} {len(counts.durations)}')
            lines.append(f"{metric}_sum{{{labels}}} {sum(counts.durations):.6f}")
            lines.append(f"{metric}_count{{{labels}}} {len(counts.durations)}")
        return "\n".join(lines) + "\n"


async def serve(health: Health, address: str) -> web.AppRunner:
    """Start the endpoint on ``host:port``; the caller cleans the runner up.

    Raises:
        Refusal: the address cannot be used.
    """
    host, _, port = address.rpartition(":")
    if not port.isdigit():
        raise Refusal(Kind.BAD_PARAMETER, f'diag_addr: expected host:port, got "{address}"')
    endpoint = _Endpoint(health)
    app = web.Application()
    app.router.add_get("/livez", endpoint.livez)
    app.router.add_get("/readyz", endpoint.readyz)
    app.router.add_get("/readyz/{service:.+}", endpoint.readyz_service)
    app.router.add_get("/metrics", endpoint.metrics)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        await web.TCPSite(runner, host.strip("[]") or None, int(port)).start()
    except OSError as error:
        await runner.cleanup()
        raise Refusal(Kind.BAD_PARAMETER, f"diag_addr: listen tcp {address}: {error.strerror}") from error
    return runner


class _Endpoint:
    def __init__(self, health: Health) -> None:
        self._health = health

    async def livez(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def readyz(self, _request: web.Request) -> web.Response:
        ready, document = self._health.overall()
        return web.json_response(document, status=200 if ready else 503)

    async def readyz_service(self, request: web.Request) -> web.Response:
        name = request.match_info["service"]
        service = self._health.service(name)
        if service is None:
            return web.json_response({"error": f'service named "{name}" not found'}, status=404)
        return web.json_response(service, status=200 if service["status"] == "healthy" else 503)

    async def metrics(self, _request: web.Request) -> web.Response:
        return web.Response(text=self._health.metrics(), content_type="text/plain")
