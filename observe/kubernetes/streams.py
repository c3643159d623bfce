"""Exec and port-forward, each over a websocket of its own with a deadline.

The kubernetes client's ``stream`` is not used: it opens the socket without a deadline, swaps a method of the client
while it runs (two threads then mix their answers), and its exit code is a TypeError when the connection drops. Its
port-forward runs a thread that dies of the same. The protocol is small: the first byte of a frame is its channel. Source:
Kubernetes' remote command and port-forward protocols, ``v4.channel.k8s.io``.
"""

from __future__ import annotations

import http.client
import io
import math
import shlex
import ssl
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

import websocket
from kubernetes import client

from facts.document import counter, decoded, mappings
from facts.errors import CouldNotTell
from facts.evidence import ObjectRef
from facts.redaction import beginning
from observe.command import CommandResult
from observe.kubernetes.denial import denial
from observe.limits import joined, pieces, too_large
from observe.requests import Kind, Requests

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

STDOUT, STDERR, ERROR = 1, 2, 3
PROTOCOL = "v4.channel.k8s.io"

NOT_STARTED = "the program to run"
"""What is expected where the container is there and its runtime does not start the program."""


class Streams:
    """Streams to one API server; TLS is set up once for all of them. Safe to use from several threads."""

    def __init__(self, api_client: client.ApiClient, limit: int, requests: Requests) -> None:
        """Open no stream yet.

        Args:
            api_client: Of the cluster: its address, certificates and credentials.
            limit: Bytes that one answer of a pod may have.
            requests: Counts the streams, and what goes through forwarded ports.
        """
        self._client = api_client
        self._requests = requests
        self._limit = limit
        self._lock = threading.Lock()
        self._tls: tuple[tuple[object, ...], ssl.SSLContext] | None = None

    def execute(self, pod: ObjectRef, container: str, argv: Sequence[str], *, timeout: float) -> CommandResult:
        """Runs a program in a container and waits for its end; no standard input, no terminal.

        Raises:
            CouldNotTell: The container cannot be reached, the connection dropped, or the program did not end in time. A
                non-zero exit is an answer.
            TooLarge: The program writes more than the suite takes.
        """
        path = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}/exec"
        query = [("container", container), ("stdout", "true"), ("stderr", "true"), *(("command", word) for word in argv)]
        where = f"exec in container {container} of {pod}: {shlex.join(argv)}"
        heard: dict[int, bytearray] = {STDOUT: bytearray(), STDERR: bytearray(), ERROR: bytearray()}
        deadline = time.monotonic() + timeout
        with self._open(path, query, timeout, where) as connection:
            left = self._limit
            for channel, data in _frames(connection, deadline, where):
                left -= len(data)
                if left < 0:
                    raise too_large(self._limit, "pod", where)
                heard.setdefault(channel, bytearray()).extend(data)
        exit_code = _exit_code(bytes(heard[ERROR]), where)
        stdout, stderr = (heard[channel].decode(errors="replace") for channel in (STDOUT, STDERR))
        return CommandResult(tuple(argv), exit_code, stdout, stderr, datetime.now(UTC))

    @contextmanager
    def forward(self, pod: ObjectRef, ports: Sequence[int], *, timeout: float) -> Iterator[tuple[ForwardedPort, ...]]:
        """Opens ports of a pod, all over one connection.

        Args:
            timeout: Seconds for the connection, and for each answer from the request to its last byte.

        Raises:
            CouldNotTell: The API server does not open the stream.
        """
        path = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}/portforward"
        where = f"port {', '.join(map(str, ports))} of {pod}"
        with self._open(path, [("ports", str(port)) for port in ports], timeout, where) as connection:
            wire = _Wire(connection, len(ports), timeout, self._limit, where)
            yield tuple(
                ForwardedPort(wire, place, f"port {port} of {pod}", timeout, self._limit, requests=self._requests)
                for place, port in enumerate(ports)
            )

    @contextmanager
    def _open(
        self, path: str, query: Sequence[tuple[str, str]], timeout: float, where: str
    ) -> Iterator[websocket.WebSocket]:
        self._requests.count(Kind.API_SERVER)
        try:
            connection = self._connect(path, query, timeout)
        except websocket.WebSocketBadStatusException as error:
            words = _message(error.resp_body)
            raise denial(words, where) or CouldNotTell(
                expected="the API server to open the stream",
                seen=f"HTTP {error.status_code}: {words}",
                where=where,
                remedy="the pod must be running; see whether a policy of the cluster forbids exec or port-forward",
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
            # Not close(): that would wait for the other side, and leave the socket open where that one closed first.
            connection.shutdown()  # type: ignore[no-untyped-call]

    def _connect(self, path: str, query: Sequence[tuple[str, str]], timeout: float) -> websocket.WebSocket:
        configuration = self._client.configuration
        headers: dict[str, str] = {}
        self._client.update_params_for_auth(headers, [], ["BearerToken"], path, "GET", None)
        options: dict[str, object] = {"context": self._context()}
        if configuration.tls_server_name:
            options["server_hostname"] = configuration.tls_server_name
        proxy = urlsplit(configuration.proxy or "")
        return websocket.create_connection(
            "ws" + configuration.host.removeprefix("http") + f"{path}?{urlencode(query)}",
            timeout=timeout,
            header=[f"{name}: {value}" for name, value in headers.items()],
            subprotocols=[PROTOCOL],
            sslopt=options,
            suppress_origin=True,
            # Without a host the library looks at neither of the other two.
            http_proxy_host=proxy.hostname,
            http_proxy_port=proxy.port,
            proxy_type=proxy.scheme,
        )

    def _context(self) -> ssl.SSLContext:
        """The TLS context. Reading certificates and keys takes longer than a request, so it is done once for each file."""
        configuration = self._client.configuration
        files = (configuration.ssl_ca_cert, configuration.cert_file, configuration.key_file)
        key = (*files, configuration.verify_ssl, configuration.assert_hostname)
        with self._lock:
            if self._tls is None or self._tls[0] != key:
                authority, certificate, private_key = files
                context = ssl.create_default_context(cafile=authority) if configuration.verify_ssl else _trusting()
                if configuration.assert_hostname is False:
                    context.check_hostname = False
                if certificate:
                    context.load_cert_chain(certificate, private_key)
                self._tls = (key, context)
            return self._tls[1]


def _trusting() -> ssl.SSLContext:
    """The context for a kubeconfig that says not to verify the API server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _exit_code(status: bytes, where: str) -> int:
    document = decoded(status.decode(errors="replace"))
    if not isinstance(document, Mapping):
        raise CouldNotTell(
            expected="the exit code at the end of the stream",
            seen="the connection ended before the program did",
            where=where,
            remedy="see whether the pod or its node went away; otherwise run again",
        )
    if document.get("status") == "Success":
        return 0
    for cause in mappings(document, "details.causes", where):
        if cause.get("reason") == "ExitCode":
            return counter(cause.get("message"), where)
    raise CouldNotTell(
        expected=NOT_STARTED,
        seen=str(document.get("message", "")),
        where=where,
        remedy="the container must be running and hold the program; distroless images hold hardly any",
    )


def _message(body: object) -> str:
    text = body.decode(errors="replace") if isinstance(body, bytes) else str(body or "")
    document = decoded(text)
    if isinstance(document, Mapping) and (words := str(document.get("message", ""))):
        return words
    return beginning(text, 300) or "no reason given"


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


class _Wire:
    """The frames of forwarded ports: each port has a channel for data and one for an error, of all ports in their order."""

    def __init__(self, connection: websocket.WebSocket, ports: int, timeout: float, limit: int, where: str) -> None:
        self._connection = connection
        self._timeout = timeout
        self._limit = limit
        self._where = where
        self.deadline = math.inf
        """Monotonic seconds at which no more is received."""
        self._received = [bytearray() for _ in range(ports)]
        self._errors = [""] * ports
        # Each channel opens with a frame that only repeats the port number.
        self._greetings = set(range(2 * ports))

    def send(self, place: int, data: bytes) -> None:
        self._connection.settimeout(self._timeout)  # `receive` has left it at what was left of its own
        self._connection.send(bytes([2 * place]) + data, opcode=websocket.ABNF.OPCODE_BINARY)

    def receive(self, place: int, size: int) -> bytes:
        """Up to `size` bytes for the port at that place; none at the end.

        Raises:
            ConnectionRefusedError: The node refused the connection to the port, with its reason.
            TimeoutError: The deadline has passed.
            TooLarge: Another port sends more than the suite takes, unasked.
        """
        while not self._received[place]:
            if self._errors[place]:
                raise ConnectionRefusedError(self._errors[place])
            left = self.deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("the deadline has passed")
            try:
                self._connection.settimeout(left if left < math.inf else None)
                opcode, data = self._connection.recv_data(control_frame=False)
            except websocket.WebSocketConnectionClosedException:
                return b""
            if opcode == websocket.ABNF.OPCODE_CLOSE or not data:
                return b""
            self._take(data[0], data[1:])
        received = bytes(self._received[place][:size])
        del self._received[place][:size]
        return received

    def _take(self, channel: int, payload: bytes) -> None:
        if channel in self._greetings:
            self._greetings.discard(channel)
        elif channel % 2:
            self._errors[channel // 2] = payload.decode(errors="replace").strip()
        else:
            self._received[channel // 2] += payload
            if len(self._received[channel // 2]) > self._limit:
                raise too_large(self._limit, "pod", self._where)


class _Received(io.RawIOBase):
    """The bytes that come through a forwarded port, as a stream."""

    def __init__(self, wire: _Wire, place: int) -> None:
        super().__init__()
        self._wire = wire
        self._place = place

    def readable(self) -> bool:
        """As of any stream."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """As of any raw stream: 0 at the end."""
        view = memoryview(buffer)
        received = self._wire.receive(self._place, len(view))
        view[: len(received)] = received
        return len(received)


class _Answers(io.BufferedReader):
    """A stream of several answers; it stays open when a reader closes it after one answer."""

    def close(self) -> None:
        """Does nothing; `Streams.forward` closes the connection."""

    def makefile(self, *_args: object, **_options: object) -> _Answers:
        """The socket that `http.client` wants to read from."""
        return self


class ForwardedPort:
    """A port of a pod, spoken HTTP to. Made by `Streams.forward`."""

    def __init__(self, wire: _Wire, place: int, where: str, timeout: float, limit: int, *, requests: Requests) -> None:
        self._requests = requests
        self._timeout = timeout
        self._limit = limit
        self._wire = wire
        self._place = place
        self._answers = _Answers(_Received(wire, place), 65536)
        self._where = where

    def ask(self, path: str) -> None:
        """Sends a GET; `answer` takes its answer. One at a time: Envoy hangs up on a client that sends several at once.

        Raises:
            CouldNotTell: The connection dropped.
        """
        self._requests.count(Kind.PROXIES)
        request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: identity\r\n\r\n"
        try:
            self._wire.send(self._place, request.encode("ascii"))
        except (websocket.WebSocketException, OSError) as error:
            raise self._failed(error, path) from error

    def answer(self, path: str) -> tuple[int, str]:
        """The answer to what was asked: status and body.

        Args:
            path: The path of the request, for messages.

        Raises:
            CouldNotTell: Nothing listens there, the connection dropped, or the answer did not end in time.
            TooLarge: The answer is larger than the suite takes.
        """
        self._wire.deadline = time.monotonic() + self._timeout
        try:
            response = http.client.HTTPResponse(self._answers, method="GET")  # type: ignore[arg-type] # what it asks of a socket
            response.begin()
            body = joined(pieces(response), self._limit, lambda: too_large(self._limit, "pod", f"{self._where}: GET {path}"))
        except (websocket.WebSocketException, http.client.HTTPException, OSError) as error:
            raise self._failed(error, path) from error
        return response.status, body.decode(errors="replace")

    def _failed(self, error: Exception, path: str) -> CouldNotTell:
        return CouldNotTell(
            expected=f"an answer within {self._timeout:g} s",
            seen=self._last_words(error),
            where=f"{self._where}: GET {path}",
            remedy="see whether the container runs and its process listens there",
        )

    def _last_words(self, error: Exception) -> str:
        """The node's reason for hanging up; where the send failed first, it is still unread."""
        if isinstance(error, (websocket.WebSocketConnectionClosedException, BrokenPipeError, ConnectionResetError)):
            try:
                self._wire.receive(self._place, 1)
            except ConnectionRefusedError as refused:
                return str(refused)
            except (websocket.WebSocketException, OSError):
                pass  # the node gave no reason
        return str(error) if isinstance(error, ConnectionRefusedError) else f"{type(error).__name__}: {error}"
