"""One GET over HTTPS with a deadline for all of it and a limit on the answer."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from facts.traffic.addresses import with_port
from observe.limits import joined, pieces, too_large


def get(
    host: str,
    port: int,
    path: str,
    *,
    tls: ssl.SSLContext,
    timeout: float,
    limit: int,
    headers: Mapping[str, str] | None = None,
) -> tuple[int, str]:
    """Status and body of the answer. No HTTP proxy of the environment is used, also not for a container of this machine.

    Args:
        host: Name or address, which the certificate must have where `tls` verifies it.
        path: Path with query.
        tls: Decides which certificate is taken.
        timeout: Seconds from the connection to the end of the answer, however slowly the other side sends.
        limit: Bytes that the body may have.
        headers: Of the request.

    Raises:
        TooLarge: The body has more bytes.
        OSError: No connection, no verified certificate, or no whole answer in time.
        http.client.HTTPException: The answer is not HTTP, or was cut off.
    """
    until = time.monotonic() + timeout
    with socket.create_connection((host, port), timeout) as plain:
        secured = tls.wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False)
        with secured, _ended_at(until, secured, timeout):
            secured.do_handshake()
            connection = http.client.HTTPSConnection(host, port)
            connection.sock = secured
            connection.request("GET", path, headers=dict(headers or {}))
            with connection.getresponse() as response:
                body = joined(
                    pieces(response), limit, lambda: too_large(limit, "teleport", f"https://{with_port(host, port)}{path}")
                )
    return response.status, body.decode(errors="replace")


def trust(*, ca: Path | None = None, insecure: bool = False) -> ssl.SSLContext:
    """What a client takes for the certificate of a server.

    Args:
        ca: Certificates in PEM, of authorities or of the server itself; the system's authorities where none are given.
        insecure: Any certificate is taken.

    Raises:
        OSError: `ca` cannot be read, or holds no certificate.
    """
    context = ssl.create_default_context(cafile=str(ca) if ca else None)
    # A server's own certificate is trusted as well, also one that no authority could have.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


@contextlib.contextmanager
def _ended_at(until: float, connection: socket.socket, timeout: float) -> Iterator[None]:
    """Cuts a connection at a moment: the timeout of a socket starts anew with each byte.

    Raises:
        TimeoutError: It was cut.
    """
    passed = threading.Event()

    def cut() -> None:
        passed.set()
        with contextlib.suppress(OSError):  # it has just ended
            socket.socket.shutdown(connection, socket.SHUT_RDWR)

    watch = threading.Timer(max(until - time.monotonic(), 0), cut)
    watch.daemon = True
    watch.start()
    try:
        yield
    except (OSError, http.client.HTTPException) as error:
        if not passed.is_set():
            raise
        raise TimeoutError(f"no whole answer within {timeout:g} s") from error
    finally:
        watch.cancel()
    if passed.is_set():  # an answer without a length ends where the connection does
        raise TimeoutError(f"no whole answer within {timeout:g} s")
