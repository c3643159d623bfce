"""Exec and port-forward, each over a websocket of its own with a deadline.

The kubernetes client's ``stream`` is not used: it opens the socket without a deadline, swaps a method of the client
while it runs (two threads then mix their answers), and its exit code is a TypeError when the connection drops. Its
port-forward runs a thread that dies of the same. The protocol is small: a frame's first byte is its channel. Source:
Kubernetes' remote command and port-forward protocols, ``v4.channel.k8s.io``.
"""

from __future__ import annotations

import http.client
import io
import json
import shlex
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import websocket
from kubernetes import client

from facts.errors import CouldNotTell
from facts.evidence import ObjectRef

STDOUT, STDERR, ERROR = 1, 2, 3
PROTOCOL = "v4.channel.k8s.io"


@dataclass(frozen=True, slots=True)
class ExecResult:
    """What a program in a container answered.

    Attributes:
        argv: The command.
        stdout: Unredacted; goes to a parser, never to an output.
        stderr: Likewise.
        exit_code: As the program ended.
        evidence: Ids of the readings.
    """

    argv: tuple[str, ...]
    stdout: str
    stderr: str
    exit_code: int
    evidence: tuple[str, ...] = ()


def _connect(
    api_client: client.ApiClient, path: str, query: Sequence[tuple[str, str]], timeout: float
) -> websocket.WebSocket:
    configuration = api_client.configuration
    headers: dict[str, str] = {}
    api_client.update_params_for_auth(headers, [], ["BearerToken"], path, "GET", None)
    options: dict[str, Any] = {"cert_reqs": ssl.CERT_REQUIRED if configuration.verify_ssl else ssl.CERT_NONE}
    if not configuration.verify_ssl or configuration.assert_hostname is False:
        options["check_hostname"] = False
    files = {
        "ca_certs": configuration.ssl_ca_cert if configuration.verify_ssl else None,
        "certfile": configuration.cert_file,
        "keyfile": configuration.key_file,
        "server_hostname": configuration.tls_server_name,
    }
    options.update({name: value for name, value in files.items() if value})
    proxy: dict[str, Any] = {}
    if configuration.proxy:
        address = urlsplit(configuration.proxy)
        proxy = {"http_proxy_host": address.hostname, "http_proxy_port": address.port, "proxy_type": address.scheme}
    return websocket.create_connection(
        "ws" + configuration.host.removeprefix("http") + f"{path}?{urlencode(query)}",
        timeout=timeout,
        header=[f"{name}: {value}" for name, value in headers.items()],
        subprotocols=[PROTOCOL],
        sslopt=options,
        suppress_origin=True,
        **proxy,
    )


def execute(
    api_client: client.ApiClient, pod: ObjectRef, container: str, argv: Sequence[str], *, timeout: float
) -> ExecResult:
    """Runs a program in a container and waits for its end; no standard input, no terminal.

    Raises:
        CouldNotTell: The container cannot be reached, the connection dropped, or the program did not end in time. A non-zero
            exit is an answer.
    """
    path = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}/exec"
    query = [("container", container), ("stdout", "true"), ("stderr", "true"), *(("command", word) for word in argv)]
    where = f"exec in container {container} of {pod}: {shlex.join(argv)}"
    heard: dict[int, bytearray] = {STDOUT: bytearray(), STDERR: bytearray(), ERROR: bytearray()}
    deadline = time.monotonic() + timeout
    with _open(api_client, path, query, timeout, where) as connection:
        for channel, data in _frames(connection, deadline, where):
            heard.setdefault(channel, bytearray()).extend(data)
    return ExecResult(
        argv=tuple(argv),
        stdout=heard[STDOUT].decode(errors="replace"),
        stderr=heard[STDERR].decode(errors="replace"),
        exit_code=_exit_code(bytes(heard[ERROR]), where),
    )


def _exit_code(status: bytes, where: str) -> int:
    try:
        document = json.loads(status)
    except ValueError as error:
        raise CouldNotTell(
            expected="the exit code at the end of the stream",
            seen="the connection ended before the program did",
            where=where,
            remedy="see whether the pod or its node went away; otherwise run again",
        ) from error
    if document.get("status") == "Success":
        return 0
    for cause in (document.get("details") or {}).get("causes") or ():
        if cause.get("reason") == "ExitCode":
            return int(cause["message"])
    raise CouldNotTell(
        expected="the program to run",
        seen=str(document.get("message", "")),
        where=where,
        remedy="the container must be running and hold the program; distroless images hold hardly any",
    )


@contextmanager
def _open(
    api_client: client.ApiClient, path: str, query: Sequence[tuple[str, str]], timeout: float, where: str
) -> Iterator[websocket.WebSocket]:
    try:
        connection = _connect(api_client, path, query, timeout)
    except websocket.WebSocketBadStatusException as error:
        raise CouldNotTell(
            expected="the API server to open the stream",
            seen=f"HTTP {error.status_code}: {_message(error.resp_body)}",
            where=where,
            remedy="the pod must be running, and the right to create pods/exec or pods/portforward is needed (see INST-02)",
        ) from error
    except (websocket.WebSocketException, OSError) as error:
        raise CouldNotTell(
            expected=f"a stream within {timeout:g} s",
            seen=f"{type(error).__name__}: {error}",
            where=where,
            remedy="check that the API server and the pod's node answer; a proxy in between must pass websockets",
        ) from error
    try:
        yield connection
    finally:
        # Not close(): that would wait for the other side, and leave the socket open where the other side closed first.
        connection.shutdown()  # type: ignore[no-untyped-call]


def _message(body: Any) -> str:
    text = body.decode(errors="replace") if isinstance(body, bytes) else str(body or "")
    try:
        return str(json.loads(text).get("message", text))
    except (ValueError, AttributeError):
        return text.strip()[:300] or "no reason given"


def _frames(connection: websocket.WebSocket, deadline: float, where: str) -> Iterator[tuple[int, bytes]]:
    """Channel and data of each frame until the other side closes."""
    while True:
        left = deadline - time.monotonic()
        try:
            connection.settimeout(max(left, 0.001))
            opcode, data = connection.recv_data(control_frame=False)
        except websocket.WebSocketConnectionClosedException:
            return
        except (websocket.WebSocketTimeoutException, TimeoutError) as error:
            raise CouldNotTell(
                expected="the program to end in time",
                seen="it still runs",
                where=where,
                remedy="see whether the node is overloaded, or raise --timeout-scale",
            ) from error
        except (websocket.WebSocketException, OSError):
            return
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            return
        if data:
            yield data[0], data[1:]


class _Forwarded:
    """One forwarded port as the socket that `http.client` wants; the connection under it is closed by who opened it."""

    def __init__(self, connection: websocket.WebSocket) -> None:
        self._connection = connection
        self._buffer = b""
        # Either channel opens with a frame that only repeats the port number.
        self._greetings = {0, 1}

    def sendall(self, data: bytes) -> None:
        """As socket.sendall."""
        self._connection.send(b"\x00" + bytes(data), opcode=websocket.ABNF.OPCODE_BINARY)

    def makefile(self, *_args: Any, **_options: Any) -> io.BufferedReader:
        """As socket.makefile, for reading."""
        return io.BufferedReader(_Received(self), 65536)

    def close(self) -> None:
        """As socket.close."""

    def recv(self, size: int) -> bytes:
        """As socket.recv: nothing at the end.

        Raises:
            ConnectionRefusedError: The node says why there is no connection to the port.
        """
        while not self._buffer:
            try:
                opcode, data = self._connection.recv_data(control_frame=False)
            except websocket.WebSocketConnectionClosedException:
                return b""
            if opcode == websocket.ABNF.OPCODE_CLOSE or not data:
                return b""
            channel, payload = data[0], data[1:]
            if channel in self._greetings:
                self._greetings.discard(channel)
            elif channel == 1:
                raise ConnectionRefusedError(payload.decode(errors="replace").strip())
            else:
                self._buffer += payload
        received, self._buffer = self._buffer[:size], self._buffer[size:]
        return received


class _Received(io.RawIOBase):
    """What comes through a forwarded port, as a stream."""

    def __init__(self, port: _Forwarded) -> None:
        super().__init__()
        self._port = port

    def readable(self) -> bool:
        """As of any stream."""
        return True

    def readinto(self, buffer: Any) -> int:
        """As of any raw stream: 0 at the end."""
        received = self._port.recv(len(buffer))
        buffer[: len(received)] = received
        return len(received)


class ForwardedPort:
    """A port of a pod, spoken HTTP to. Made by `forward`."""

    def __init__(self, connection: websocket.WebSocket, port: int, where: str) -> None:
        self._port = _Forwarded(connection)
        self._http = http.client.HTTPConnection("localhost", port)
        # A port that closed must not lead to a connection to this machine's own port of that number.
        self._http.auto_open = 0
        self._http.sock = self._port
        self._where = where

    def get(self, path: str) -> tuple[int, str]:
        """One GET over the same connection: status and body.

        Raises:
            CouldNotTell: Nothing listens there, or the connection dropped.
        """
        try:
            self._http.request("GET", path)
            response = self._http.getresponse()
            body = response.read()
        except (websocket.WebSocketException, http.client.HTTPException, OSError) as error:
            raise CouldNotTell(
                expected="an answer",
                seen=self._last_words(error),
                where=f"{self._where}: GET {path}",
                remedy="see whether the container runs and its process listens there",
            ) from error
        return response.status, body.decode(errors="replace")

    def _last_words(self, error: Exception) -> str:
        """What the node said before it hung up; where the send failed first, nobody has read it yet."""
        if isinstance(error, (websocket.WebSocketConnectionClosedException, BrokenPipeError, ConnectionResetError)):
            try:
                self._port.recv(1)
            except ConnectionRefusedError as refused:
                return str(refused)
            except (websocket.WebSocketException, OSError):
                pass  # it said nothing more than the error at hand
        return str(error) if isinstance(error, ConnectionRefusedError) else f"{type(error).__name__}: {error}"


@contextmanager
def forward(api_client: client.ApiClient, pod: ObjectRef, port: int, *, timeout: float) -> Iterator[ForwardedPort]:
    """Opens one port of a pod.

    Args:
        api_client: Of the cluster; may be shared between threads.
        pod: The pod.
        port: Its port.
        timeout: Seconds for the connection and for each answer.

    Raises:
        CouldNotTell: The API server does not open the stream.
    """
    path = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}/portforward"
    where = f"port {port} of {pod}"
    with _open(api_client, path, [("ports", str(port))], timeout, where) as connection:
        yield ForwardedPort(connection, port, where)
