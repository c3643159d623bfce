"""Client and server of the test pods, with the standard library only.

``serve`` answers over HTTP and over TCP, and reports what it knows of its caller: over HTTP the header in which its proxy
describes the peer's certificate, over TCP only an address. It repeats the path as it arrived, without normalizing it.

``call`` opens a fresh connection for each request, never retries, and prints a ledger as one JSON document: each request,
its time, its connection, its answer, and what the server reported. It draws no conclusion.
"""

import argparse
import collections
import datetime
import errno
import http.client
import http.server
import json
import os
import socket
import socketserver
import sys
import threading
import time
import uuid

ID_HEADER = "x-ledger-id"
PEER_HEADER = "x-forwarded-client-cert"
LONGEST_BODY = 4096

SELF = {name: os.environ.get(name.upper(), "") for name in ("pod", "namespace", "service_account", "node")}


class Counter:
    """How often each request has arrived here: more than once means that a proxy has asked again."""

    def __init__(self):
        self.lock = threading.Lock()
        self.times = collections.Counter()

    def arrived(self, request_id):
        """Counts a request and tells how often it has been here."""
        with self.lock:
            self.times[request_id] += 1
            return self.times[request_id]


ARRIVALS = Counter()


class Http(http.server.BaseHTTPRequestHandler):
    """Answers every GET with what is known of it."""

    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_GET(self):
        """Says what arrived, from whom, and how often."""
        request_id = self.headers.get(ID_HEADER, "")
        body = json.dumps(
            {
                "server": SELF,
                "id": request_id,
                "arrivals": ARRIVALS.arrived(request_id),
                # Not self.path, which http.server tidies.
                "target": self.requestline.split(" ")[1],
                "peer": self.headers.get_all(PEER_HEADER, []),
            }
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_words):
        """The ledger is at the other end."""


class Tcp(socketserver.StreamRequestHandler):
    """Answers each line, the id of a request, with a line."""

    timeout = 30

    def handle(self):
        """Reports what arrived and how often, line by line; over TCP the caller is unknown."""
        while True:
            request_id = self.rfile.readline(256).decode("ascii", "replace").strip()
            if not request_id:
                return
            said = {"server": SELF, "id": request_id, "arrivals": ARRIVALS.arrived(request_id), "target": "", "peer": []}
            self.wfile.write(json.dumps(said).encode() + b"\n")


class Threads(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """A thread for each connection, and room for many that come at once, over IPv4 and over IPv6 where the node has both."""

    address_family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def server_bind(self):
        """Takes IPv4 as well, whatever the node's default is."""
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()

    def handle_error(self, request, client_address):
        """A caller that hangs up is no event."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def serve(http_port, tcp_port):
    """Serves both ports until the end of the process."""
    tcp = Threads(("", tcp_port), Tcp)
    threading.Thread(target=tcp.serve_forever, daemon=True).start()
    Threads(("", http_port), Http).serve_forever()


def call(urls, count, timeout, host):
    """Each URL in its turn, `count` times, and what came of it."""
    return {"client": SELF, "requests": [request(url, timeout, host) for _ in range(count) for url in urls]}


def blank(url):
    """An entry of a request that is about to be made."""
    return {
        "id": uuid.uuid4().hex,
        "url": url,
        "at": datetime.datetime.now(datetime.timezone.utc).isoformat(),  # noqa: UP017 - any python3 will do
        "seconds": 0.0,
        "connection": "",
        "status": 0,
        "body": "",
        "error": "",
        "detail": "",
    }


def request(url, timeout, host):
    """One request over a connection of its own."""
    entry = blank(url)
    scheme, address, port, path = parts_of(url)
    began = time.monotonic()
    try:
        # Connected here, so that an error before the connection differs from one after it.
        with socket.create_connection((address, port), timeout) as connection:
            entry["connection"] = own_address(connection)
            if scheme == "tcp":
                entry["body"] = over_tcp(connection, entry["id"])
            else:
                entry["status"], entry["body"] = over_http(connection, host or with_port(address, port), path, entry["id"])
    except (OSError, http.client.HTTPException) as error:
        entry["error"], entry["detail"] = kind_of(error), f"{type(error).__name__}: {error}"
    entry["seconds"] = round(time.monotonic() - began, 4)
    return entry


def parts_of(url):
    """Scheme, address, port and path."""
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    address, _, port = authority.rpartition(":")
    return scheme, address.strip("[]"), int(port), slash + path


def with_port(address, port):
    """An address and a port as a URL has them: an IPv6 address in brackets."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def own_address(connection):
    """This end of a connection."""
    return with_port(*connection.getsockname()[:2])


def over_http(connection, host, path, request_id):
    """Status and body of a GET, whose path is sent as it stands."""
    lines = ["GET {} HTTP/1.1".format(path or "/"), f"Host: {host}"]
    lines += [f"{ID_HEADER}: {request_id}", "Connection: close", "", ""]
    connection.sendall("\r\n".join(lines).encode("latin-1"))
    response = http.client.HTTPResponse(connection, method="GET")
    response.begin()
    return response.status, response.read(LONGEST_BODY).decode("utf-8", "replace")


def over_tcp(connection, request_id):
    """The line that comes back."""
    connection.sendall(request_id.encode() + b"\n")
    with connection.makefile("rb") as answers:
        line = answers.readline(LONGEST_BODY)
    if not line:
        raise http.client.RemoteDisconnected("closed without an answer")
    return line.decode("utf-8", "replace").strip()


def kind_of(error):
    """One word for an error: the system's own where it has one."""
    if isinstance(error, socket.timeout):
        return "timeout"
    if isinstance(error, socket.gaierror):
        return "unresolved"
    if isinstance(error, http.client.RemoteDisconnected):
        return "closed"
    if isinstance(error, http.client.HTTPException):
        return "garbled"
    return errno.errorcode.get(error.errno, "other")


def main():
    """The two commands."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    server = commands.add_parser("serve")
    server.add_argument("--http", type=int, default=8080)
    server.add_argument("--tcp", type=int, default=9090)
    client = commands.add_parser("call")
    client.add_argument("urls", nargs="+", metavar="http://HOST:PORT/PATH|tcp://HOST:PORT")
    client.add_argument("--count", type=int, default=1)
    client.add_argument("--timeout", type=float, default=5.0, help="seconds for a connection, and for each silence after it")
    client.add_argument("--host", default="", help="name to ask for, where it is not the address")
    chosen = parser.parse_args()
    if chosen.command == "serve":
        serve(chosen.http, chosen.tcp)
    else:
        print(json.dumps(call(chosen.urls, chosen.count, chosen.timeout, chosen.host)))


if __name__ == "__main__":
    main()
