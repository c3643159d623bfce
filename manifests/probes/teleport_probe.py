"""Program of a probe pod, with the standard library only: dials Teleport as tbot does, without a credential.

Prints one JSON document: how far it came (``name``, ``connect``, ``tls`` or ``answered``), the addresses of the name, and
the error.
"""

import json
import socket
import ssl
import sys

TIMEOUT = 5
host, port = sys.argv[1], int(sys.argv[2])


def dialled():
    """How far a connection comes, with the error that ends it."""
    found = []
    try:
        found = sorted({each[4][0] for each in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)})
    except OSError as error:
        return {"stage": "name", "addresses": found, "error": f"{type(error).__name__}: {error}"}
    try:
        connection = socket.create_connection((host, port), timeout=TIMEOUT)
    except OSError as error:
        return {"stage": "connect", "addresses": found, "error": f"{type(error).__name__}: {error}"}
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # whether something answers matters here; tbot verifies with authorities of its own
    try:
        with connection, context.wrap_socket(connection, server_hostname=host):
            return {"stage": "answered", "addresses": found, "error": ""}
    except OSError as error:
        return {"stage": "tls", "addresses": found, "error": f"{type(error).__name__}: {error}"}


print(json.dumps(dialled()))
