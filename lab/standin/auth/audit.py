"""The audit log: one JSON object a line, a file for each day.

The files are ``<data_dir>/log/<host uuid>/YYYY-MM-DD.00:00:00.log``; ``<data_dir>/log/events.log`` is an absolute symbolic
link to the newest, which leads nowhere in a copy of the directory.
"""

from __future__ import annotations

import json
import os
import uuid
from pathlib import Path
from typing import Any

from lab.standin import durations
from lab.standin.logs import Log

BOT_CREATED = ("bot.create", "TB001I")
BOT_UPDATED = ("bot.update", "TB002I")
BOT_DELETED = ("bot.delete", "TB003I")
BOT_JOINED = ("bot.join", "TJ001I")
BOT_JOIN_REFUSED = ("bot.join", "TJ001E")
SVID_ISSUED = ("spiffe.svid.issued", "TSPIFFE000I")

_READABLE = 0o640

_log = Log("auth:audit")


class AuditLog:
    """Appends events. A failure to write is a warning: Teleport goes on issuing, and so do we."""

    def __init__(self, data_dir: Path, cluster_name: str) -> None:
        self._directory = data_dir.absolute() / "log"
        self._host_uuid = data_dir / "host_uuid"
        self._cluster_name = cluster_name

    def emit(self, event: tuple[str, str], **fields: Any) -> None:
        """Append one event; ``event`` is its name and code."""
        name, code = event
        moment = durations.now()
        line = {
            "ei": 0,
            "event": name,
            "uid": str(uuid.uuid4()),
            "code": code,
            "time": durations.rfc3339(moment),
            "cluster_name": self._cluster_name,
            **fields,
        }
        try:
            path = self._directory / self._host() / f"{moment:%Y-%m-%d}.00:00:00.log"
            path.parent.mkdir(parents=True, exist_ok=True)
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, _READABLE), "a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            self._link_to(path)
        except OSError as error:
            _log.warning("Failed to emit audit event", event=name, error=str(error))

    def _host(self) -> str:
        """The id of this host, which Teleport keeps in a file of the data directory."""
        if not self._host_uuid.exists():
            self._host_uuid.write_text(f"{uuid.uuid4()}\n", encoding="utf-8")
        return self._host_uuid.read_text(encoding="utf-8").strip()

    def _link_to(self, newest: Path) -> None:
        link = self._directory / "events.log"
        if link.is_symlink() and link.readlink() == newest:
            return
        link.unlink(missing_ok=True)
        link.symlink_to(newest)
