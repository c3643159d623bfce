"""Log lines in Teleport's two formats, on standard error."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

_WIDTH = 11
_FIELDS = "standin_fields"
_COMPONENT = "standin_component"


class Log:
    """Writes lines of one component, each with the fields bound to it."""

    def __init__(self, component: str, bound: Mapping[str, Any] | None = None) -> None:
        self._component = component
        self._bound = dict(bound or {})
        self._logger = logging.getLogger(f"standin.{component}")

    def bind(self, **fields: Any) -> Log:
        """A log that adds ``fields`` to every line."""
        return Log(self._component, {**self._bound, **fields})

    def debug(self, message: str, **fields: Any) -> None:
        """A line that shows only with debug on."""
        self._write(logging.DEBUG, message, fields)

    def info(self, message: str, **fields: Any) -> None:
        """A line about the normal course of things."""
        self._write(logging.INFO, message, fields)

    def warning(self, message: str, **fields: Any) -> None:
        """A line about something that went on in spite of a problem."""
        self._write(logging.WARNING, message, fields)

    def error(self, message: str, **fields: Any) -> None:
        """A line about something that did not go on."""
        self._write(logging.ERROR, message, fields)

    def _write(self, level: int, message: str, fields: Mapping[str, Any]) -> None:
        extra = {_COMPONENT: self._component, _FIELDS: {**self._bound, **fields}}
        self._logger.log(level, "%s", message, extra=extra, stacklevel=3)


class _TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        component = f"[{_component(record).upper()[: _WIDTH - 2]}]".ljust(_WIDTH)
        head = f"{_timestamp(record)} {_level(record)} {component} {record.getMessage()}"
        parts = [head, *(f"{key}:{_plain(value)}" for key, value in _flat(_fields(record)))]
        return " ".join(parts)


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "timestamp": _timestamp(record),
            "level": _level(record).lower(),
            "caller": f"{record.module}:{record.lineno}",
            "message": record.getMessage(),
            "component": _component(record),
            **_fields(record),
        }
        return json.dumps(line, default=str)


def configure(*, debug: bool, form: str = "text", stream: TextIO | None = None) -> None:
    """Send all lines of this process to ``stream`` (standard error) in ``form``, which is ``text`` or ``json``."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_JsonFormatter() if form == "json" else _TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG if debug else logging.INFO)
    # The libraries' own debug lines (selectors, HTTP/2 frames) would drown what Teleport prints.
    for noisy in ("asyncio", "hpack", "grpclib", "aiohttp.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _timestamp(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def _level(record: logging.LogRecord) -> str:
    return "WARN" if record.levelno == logging.WARNING else record.levelname


def _component(record: logging.LogRecord) -> str:
    return str(getattr(record, _COMPONENT, record.name))


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    fields = dict(getattr(record, _FIELDS, {}))
    if record.exc_info and record.exc_info[1] is not None:
        fields["error"] = repr(record.exc_info[1])
    return fields


def _flat(fields: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    flat: list[tuple[str, Any]] = []
    for key, value in fields.items():
        if isinstance(value, Mapping):
            flat.extend(_flat(value, f"{prefix}{key}."))
        else:
            flat.append((f"{prefix}{key}", value))
    return flat


def _plain(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return "[" + " ".join(str(item) for item in value) + "]"
    text = "true" if value is True else "false" if value is False else str(value)
    return json.dumps(text) if not text or any(sign in text for sign in ' "\n\t') else text
