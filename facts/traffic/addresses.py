"""Addresses with a port, as URLs write them: an IPv6 address stands in brackets.

Source: RFC 3986, section 3.2.2.
"""

from __future__ import annotations

import ipaddress
import re


def with_port(host: str, port: int) -> str:
    """A host and a port as ``HOST:PORT``; an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


_HOST_AND_PORT = re.compile(r"(?:\[([0-9A-Fa-f:.]{2,45})\]|([^][\s:/@?#]{1,255}))(?::([0-9]{0,5}))?")
LAST = 65535
"""Highest port."""


def host_and_port(text: str) -> tuple[str, int | None]:
    """Reads ``HOST`` or ``HOST:PORT``; an IPv6 address has to stand in brackets, which the host does not have any more.

    Raises:
        ValueError: It is neither.
    """
    found = _HOST_AND_PORT.fullmatch(text)
    port = int(found[3]) if found and found[3] else None
    if found is None or not (port is None or 0 < port <= LAST):
        raise ValueError(f"{text!r} is not HOST or HOST:PORT")
    return str(ipaddress.IPv6Address(found[1])) if found[1] else found[2], port
