"""Health of tbot's parts, its task metrics, and the HTTP endpoint that shows both."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from threading import Thread
from time import monotonic

from lab.standin import shapes
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
            for (service, name), counts in list(self._iterations.items()):
                value = len(counts.durations) if metric == "total" else getattr(counts, metric)
                lines.append(f'tbot_task_iterations_{metric}{{name="{name}",service="{service}"}} {value}')
        lines.append("# TYPE tbot_task_iterations_duration_seconds histogram")
        for (service, name), counts in list(self._iterations.items()):
            labels = f'name="{name}",service="{service}"'
            metric = "tbot_task_iterations_duration_seconds"
            for bound in _BUCKETS:
                below = sum(duration <= bound for duration in counts.durations)
                lines.append(f'{metric}_bucket{{{labels},le="{bound:g}"}} {below}')
            lines.append(f'{metric}_bucket{{{labels},le="+Inf"}} {len(counts.durations)}')
            lines.append(f"{metric}_sum{{{labels}}} {sum(counts.durations):.6f}")
            lines.append(f"{metric}_count{{{labels}}} {len(counts.durations)}")
        return "\n".join(lines) + "\n"


class DiagnosticsEndpoint:
    """``/livez``, ``/readyz``, ``/readyz/SERVICE`` and ``/metrics`` on a thread of its own."""

    def __init__(self, health: Health, address: str) -> None:
        """Listen on ``host:port``.

        Raises:
            Refusal: the address cannot be used.
        """
        bound = shapes.host_and_port(address, "diag_addr")
        try:
            self._server = _Server(bound, health)
        except OSError as error:
            raise Refusal(Kind.BAD_PARAMETER, f"diag_addr: listen tcp {address}: {error.strerror}") from error
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], health: Health) -> None:
        self.health = health
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        # The standard library asks the DNS for the host's own name here, which can take seconds.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        health = self.server.health
        path = self.path.partition("?")[0]
        if path == "/livez":
            self._answer(200, "text/plain; charset=utf-8", "OK")
        elif path == "/readyz":
            ready, document = health.overall()
            self._answer_json(200 if ready else 503, document)
        elif path.startswith("/readyz/"):
            self._answer_service(path.removeprefix("/readyz/"))
        elif path == "/metrics":
            self._answer(200, "text/plain; version=0.0.4; charset=utf-8", health.metrics())
        else:
            self._answer(404, "text/plain; charset=utf-8", "404 page not found\n")

    def _answer_service(self, name: str) -> None:
        service = self.server.health.service(name)
        if service is None:
            self._answer_json(404, {"error": f'service named "{name}" not found'})
        else:
            self._answer_json(200 if service["status"] == "healthy" else 503, service)

    def _answer_json(self, status: int, document: object) -> None:
        self._answer(status, "application/json", json.dumps(document))

    def _answer(self, status: int, content_type: str, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Leave the requests of probes out of the log."""
