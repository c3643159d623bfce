"""What faults change of tbot's configuration file, where they have to read it first."""

from __future__ import annotations

from contextlib import AbstractContextManager

from provision.faults.changes import Document, edited
from provision.faults.fault import Scene
from provision.names import TBOT_CONFIG, TBOT_FILE, TBOT_NAMESPACE


def proxy_under_auth_server(scene: Scene) -> AbstractContextManager[None]:
    """Put the address of Teleport's proxy under ``auth_server``."""

    def change(file: Document) -> Document:
        host = str(file["proxy_server"]).rpartition(":")[0]
        return {key: value for key, value in file.items() if key != "proxy_server"} | {"auth_server": f"{host}:443"}

    return edited(scene, TBOT_NAMESPACE, TBOT_CONFIG, TBOT_FILE, change)
