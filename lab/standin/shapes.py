"""Reading parsed YAML whose values may be of any type: the wanted one, or a sentence that names the key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lab.standin.failure import Kind, Refusal

_LAST_PORT = 65535


def mapping(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The mapping at ``key``; empty if there is none.

    Raises:
        Refusal: it is something else, or has keys that are no text.
    """
    value = document.get(key)
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise _unexpected(key, "a mapping", value)
    return value


def items(document: Mapping[str, Any], key: str) -> list[Any]:
    """The list at ``key``; empty if there is none.

    Raises:
        Refusal: it is something else.
    """
    value = document.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise _unexpected(key, "a list", value)
    return value


def mappings(document: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """The list of mappings at ``key``; empty if there is none.

    Raises:
        Refusal: it is something else.
    """
    return [mapping({f"{key}[{index}]": item}, f"{key}[{index}]") for index, item in enumerate(items(document, key))]


def text(document: Mapping[str, Any], key: str, default: str = "") -> str:
    """The text at ``key``, numbers included; ``default`` if there is none.

    Raises:
        Refusal: it is something else.
    """
    value = document.get(key)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise _unexpected(key, "text", value)
    return str(value)


def texts(document: Mapping[str, Any], key: str) -> list[str]:
    """The list of texts at ``key``; empty if there is none.

    Raises:
        Refusal: it is something else.
    """
    return [text({f"{key}[{index}]": item}, f"{key}[{index}]") for index, item in enumerate(items(document, key))]


def number(document: Mapping[str, Any], key: str, default: int) -> int:
    """The whole number at ``key``; ``default`` if there is none.

    Raises:
        Refusal: it is something else.
    """
    value = document.get(key)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int):
        raise _unexpected(key, "a whole number", value)
    return value


def port(document: Mapping[str, Any], key: str) -> int:
    """The port at ``key``; 0 if there is none.

    Raises:
        Refusal: it is something else.
    """
    value = number(document, key, 0)
    if not 0 <= value <= _LAST_PORT:
        raise _unexpected(key, "a port", value)
    return value


def host_and_port(address: str, key: str) -> tuple[str, int]:
    """The parts of ``host:port``, brackets around an IPv6 address taken off; the host may be empty.

    Raises:
        Refusal: it is of another form.
    """
    host, separator, port = address.rpartition(":")
    if not separator or not port.isdecimal() or int(port) > _LAST_PORT:
        raise Refusal(Kind.BAD_PARAMETER, f'{key}: expected host:port, got "{address}"')
    return host.removeprefix("[").removesuffix("]"), int(port)


def _unexpected(key: str, wanted: str, value: object) -> Refusal:
    return Refusal(Kind.BAD_PARAMETER, f"{key}: expected {wanted}, got {value!r}")
