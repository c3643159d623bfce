"""The file that ``teleport start -c`` reads."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lab.standin import shapes
from lab.standin.failure import Kind, Refusal

DEFAULT_PATHS = (Path("/etc/teleport.yaml"), Path("/etc/teleport/teleport.yaml"))
DEFAULT_DATA_DIR = Path("/var/lib/teleport")

_SECTIONS = {"version", "teleport", "auth_service", "proxy_service"}
# Sections of other services that a real file may carry; they run nothing here.
_OTHER_SERVICES = {"ssh_service", "app_service", "db_service", "kubernetes_service", "windows_desktop_service"}


@dataclass(frozen=True, slots=True)
class Address:
    """Where something listens or is reached."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class TeleportConfig:
    """What the stand-in takes from the file; keys of other Teleport features are accepted and unused.

    Attributes:
        nodename: name of this host, part of the web certificate.
        data_dir: where state, the web certificate and the audit log live.
        log_severity: ``DEBUG``, ``INFO``, ``WARN`` or ``ERROR``.
        log_format: ``text`` or ``json``.
        cluster_name: the SPIFFE trust domain; what was used at the first start stays in force.
        auth_listen: the Auth Service's address.
        proxy_listen: the web port's address.
        proxy_public: the advertised addresses of the proxy, at least one.
    """

    nodename: str
    data_dir: Path
    log_severity: str
    log_format: str
    cluster_name: str
    auth_listen: Address
    proxy_listen: Address
    proxy_public: tuple[Address, ...]


def find(explicit: str | None) -> Path | None:
    """The configuration file: the one named, else the first default that exists, else none."""
    if explicit is not None:
        return Path(explicit)
    return next((path for path in DEFAULT_PATHS if path.is_file()), None)


def read_document(path: Path) -> dict[str, Any]:
    """The YAML mapping in ``path``.

    Raises:
        Refusal: the file cannot be read or is not a mapping.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Refusal(Kind.BAD_PARAMETER, f"failed reading {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Refusal(Kind.BAD_PARAMETER, f"failed parsing the config file {path}: {error}") from error
    if not isinstance(document, dict):
        raise Refusal(Kind.BAD_PARAMETER, f"failed parsing the config file {path}: expected a mapping")
    return document


def data_dir_of(path: Path | None) -> Path:
    """The data directory that a file names; Teleport's default without a file or without the key."""
    if path is None:
        return DEFAULT_DATA_DIR
    return Path(shapes.text(shapes.mapping(read_document(path), "teleport"), "data_dir", str(DEFAULT_DATA_DIR)))


def load(path: Path) -> TeleportConfig:
    """Read and check the file.

    Raises:
        Refusal: the file cannot be used; the text names the key.
    """
    document = read_document(path)
    for key in document:
        if key not in _SECTIONS | _OTHER_SERVICES:
            raise Refusal(Kind.BAD_PARAMETER, f'failed parsing the config file: unknown key "{key}"')
    if document.get("version") not in ("v1", "v2", "v3"):
        raise Refusal(Kind.BAD_PARAMETER, f'unsupported config version "{document.get("version")}", use v3')
    teleport = shapes.mapping(document, "teleport")
    auth = shapes.mapping(document, "auth_service")
    proxy = shapes.mapping(document, "proxy_service")
    for name, section in (("auth_service", auth), ("proxy_service", proxy)):
        if not _enabled(section):
            raise Refusal(Kind.BAD_PARAMETER, f"{name}.enabled is off; the stand-in runs Auth and Proxy in one process only")
    log = shapes.mapping(teleport, "log")
    nodename = shapes.text(teleport, "nodename", socket.gethostname())
    listen = _address(proxy.get("web_listen_addr") or "0.0.0.0:3080", 3080, "proxy_service.web_listen_addr")
    return TeleportConfig(
        nodename=nodename,
        data_dir=Path(shapes.text(teleport, "data_dir", str(DEFAULT_DATA_DIR))),
        log_severity=shapes.text(log, "severity", "INFO").upper(),
        log_format=shapes.text(shapes.mapping(log, "format"), "output", "text"),
        cluster_name=shapes.text(auth, "cluster_name", nodename),
        auth_listen=_address(auth.get("listen_addr") or "0.0.0.0:3025", 3025, "auth_service.listen_addr"),
        proxy_listen=listen,
        proxy_public=_public(proxy.get("public_addr"), nodename, listen.port),
    )


def _enabled(section: Mapping[str, Any]) -> bool:
    value = section.get("enabled", True)
    return value if isinstance(value, bool) else str(value).lower() in ("yes", "true", "on", "1")


def _public(value: object, nodename: str, port: int) -> tuple[Address, ...]:
    entries = value if isinstance(value, list) else [value] if value else []
    return tuple(_address(entry, port, "proxy_service.public_addr") for entry in entries) or (Address(nodename, port),)


def _address(value: object, default_port: int, key: str) -> Address:
    text = str(value)
    host, separator, port = text.rpartition(":")
    if not separator:
        host, port = text, str(default_port)
    if not port.isdigit() or not 0 <= int(port) < 65536:
        raise Refusal(Kind.BAD_PARAMETER, f'{key}: expected host:port, got "{text}"')
    return Address(host.strip("[]"), int(port))
