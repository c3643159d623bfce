"""Program of the untrusted client, with the standard library only: one TLS connection with a given certificate.

Usage: tls_client.py HOST PORT CERTIFICATE KEY. It does not verify the server's certificate: what counts is whether the
server accepts the client's. Prints one JSON document: the certificate that it showed, the protocol, and the answer to one
request or the exception instead.
"""

import contextlib
import json
import pathlib
import socket
import ssl
import sys

PATIENCE = 5.0
SILENCE = 1.0
# What a sidecar of Istio offers: under PERMISSIVE a server takes anything else for the application's own TLS.
PROTOCOLS = ["istio-peer-exchange", "istio", "istio-http/1.1", "http/1.1"]


def listen_for_refusal(connection):
    """Lets the server speak first, for a while.

    Since TLS 1.3 its refusal of the certificate comes after the client's end of the handshake, and is lost where it meets a
    request on its way: a connection that is closed with something unread is reset. Who takes the certificate is silent.
    """
    connection.settimeout(SILENCE)
    with contextlib.suppress(TimeoutError):
        connection.recv(1)
    connection.settimeout(PATIENCE)


def attempt(host, port, certificate, key):
    """Connects, shows the certificate, asks once."""
    seen = {
        "certificate": pathlib.Path(certificate).read_text(encoding="ascii"),
        "protocol": "",
        "answer": "",
        "error": "",
        "text": "",
    }
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(PROTOCOLS)
    try:
        with socket.create_connection((host, port), PATIENCE) as plain, context.wrap_socket(plain) as connection:
            seen["protocol"] = connection.version() or ""
            listen_for_refusal(connection)
            name = f"[{host}]" if ":" in host else host
            connection.sendall(f"GET / HTTP/1.1\r\nHost: {name}:{port}\r\nConnection: close\r\n\r\n".encode())
            seen["answer"] = connection.recv(4096).decode("utf-8", "replace")
    except OSError as error:
        seen["error"], seen["text"] = type(error).__name__, str(error)
    return seen


print(json.dumps(attempt(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4])))
