"""A server that answers over HTTPS without end, or as slowly as it can, costs one limit or one deadline."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from observe.limits import TooLarge
from observe.web import get

Talk = Callable[[socket.socket], None]
HEAD = b"HTTP/1.1 200 OK\r\n"


@contextmanager
def serving(certificate: Path | None, talk: Talk) -> Iterator[int]:
    """Runs a server for one connection; yields its port.

    Args:
        certificate: For TLS; None for none.
        talk: Says something to the client.
    """
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            connection, _ = listening.accept()
            with connection:
                if certificate is None:
                    talk(connection)
                    return
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(certificate)
                with context.wrap_socket(connection, server_side=True) as secured:
                    secured.recv(4096)
                    talk(secured)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with listening:
        yield listening.getsockname()[1]
    thread.join(5)


def asked(port: int, *, timeout: float = 5, limit: int = 1000, tls: ssl.SSLContext | None = None) -> tuple[int, str]:
    if tls is None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    return get("127.0.0.1", port, "/", tls=tls, timeout=timeout, limit=limit)


def saying(*pieces: bytes, pause: float = 0) -> Talk:
    def talk(connection: socket.socket) -> None:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(pause)

    return talk


def dripping(first: bytes, piece: bytes) -> Talk:
    """Sends a piece each tenth of a second, until the other side hangs up."""

    def talk(connection: socket.socket) -> None:
        connection.sendall(first)
        while True:
            connection.sendall(piece)
            time.sleep(0.1)

    return talk


def test_status_and_body(certificate: Path) -> None:
    with serving(certificate, saying(HEAD + b"Content-Length: 5\r\n\r\nhello")) as port:
        assert asked(port) == (200, "hello")
    with serving(certificate, saying(b"HTTP/1.1 404 X\r\n\r\nwithout a length")) as port:
        assert asked(port, limit=16) == (404, "without a length")


def test_an_answer_without_end(certificate: Path) -> None:
    def flood(connection: socket.socket) -> None:
        connection.sendall(HEAD + b"\r\n")
        while True:
            connection.sendall(b"x" * 10_000)

    with serving(certificate, flood) as port, pytest.raises(TooLarge) as caught:
        asked(port)
    assert f"https://127.0.0.1:{port}/" in caught.value.where
    assert "`teleport`" in caught.value.remedy


@pytest.mark.parametrize(
    "talk",
    [
        dripping(HEAD + b"\r\n", b"x"),
        dripping(HEAD + b"Content-Length: 500\r\n\r\n", b"x"),
        dripping(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        dripping(HEAD, b"X: y\r\n"),
        dripping(b"", b"H"),
    ],
    ids=["until the end", "length", "chunks", "headers", "status line"],
)
def test_an_answer_that_drips(certificate: Path, talk: Talk) -> None:
    began = time.monotonic()
    with serving(certificate, talk) as port, pytest.raises(TimeoutError, match=r"no whole answer within 0\.5 s"):
        asked(port, timeout=0.5)
    assert time.monotonic() - began < 2


def test_a_handshake_that_drips() -> None:
    """A record of TLS that announces 16 KiB, which come byte by byte."""
    began = time.monotonic()
    with serving(None, dripping(b"\x16\x03\x03\x40\x00", b"\x02")) as port, pytest.raises(TimeoutError):
        asked(port, timeout=0.5)
    assert time.monotonic() - began < 2


def test_an_answer_that_is_cut_off(certificate: Path) -> None:
    half = saying(HEAD + b"Content-Length: 50\r\n\r\nhalf")
    with serving(certificate, half) as port, pytest.raises((http.client.IncompleteRead, ssl.SSLError)):
        asked(port)


def test_a_certificate_is_verified_where_it_must_be(certificate: Path) -> None:
    with serving(certificate, saying(HEAD + b"\r\n")) as port, pytest.raises(ssl.SSLCertVerificationError):
        asked(port, tls=ssl.create_default_context())
    with serving(certificate, saying(HEAD + b"Content-Length: 0\r\n\r\n")) as port:
        assert asked(port, tls=ssl.create_default_context(cafile=str(certificate))) == (200, "")
