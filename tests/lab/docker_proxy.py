"""A way to Docker that can be cut while a run is using it, and leaves Docker itself alone."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType

DOCKER = "/var/run/docker.sock"


class DockerProxy:
    """Hands every connection to a Unix socket of its own on to Docker's, until it is cut.

    Attributes:
        address: For ``DOCKER_HOST``.
    """

    def __init__(self, path: Path) -> None:
        self.address = f"unix://{path}"
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(path))
        self._server.listen(128)
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def cut(self) -> None:
        """Ends all connections; from now on nobody listens."""
        with self._lock:
            ends = [self._server, *self._open]
        for end in ends:
            with suppress(OSError):  # the other side may have ended it
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for end in ends:
            end.close()

    def __enter__(self) -> DockerProxy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                caller, _address = self._server.accept()
            except OSError:
                return
            docker = socket.socket(socket.AF_UNIX)
            docker.connect(DOCKER)
            with self._lock:
                self._open += [caller, docker]
            for source, sink in ((caller, docker), (docker, caller)):
                pump = threading.Thread(target=_pump, args=(source, sink))
                self._threads.append(pump)
                pump.start()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
