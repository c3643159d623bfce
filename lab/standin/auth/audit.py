"""The audit log: one JSON object a line in ``<data_dir>/log/events.log``."""

from __future__ import annotations

import json
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

_log = Log("auth:audit")


class AuditLog:
    """Appends events. A failure to write is a warning: Teleport goes on issuing, and so do we."""

    def __init__(self, data_dir: Path, cluster_name: str) -> None:
        self.path = data_dir / "log" / "events.log"
        self._cluster_name = cluster_name

    def emit(self, event: tuple[str, str], **fields: Any) -> None:
        """Append one event; ``event`` is its name and code."""
        name, code = event
        line = {
            "ei": 0,
            "event": name,
            "uid": str(uuid.uuid4()),
            "code": code,
            "time": durations.rfc3339(durations.now()),
            "cluster_name": self._cluster_name,
            **fields,
        }
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            _log.warning("Failed to emit audit event", event=name, error=str(error))
