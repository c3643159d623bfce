"""The installations that the manifests describe: the recommended one, and the guide's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facts.errors import BadInput
from provision.installing.repairs import REPAIRS, Repair
from provision.render import MANIFESTS, documents
from settings import Settings

AS_GUIDE = MANIFESTS / "as-guide"
"""Directory of the guide's files that differ from the recommended ones; it has no copies of the others."""

KEPT_AS = "variant.json"
"""File in the directory of a kept cluster that says how the suite installed it."""


@dataclass(frozen=True, slots=True)
class Variant:
    """The manifests of an installation, and the changes in them.

    Attributes:
        as_guide: True for the guide's manifests, False for the recommended ones.
        repairs: Repairs of these manifests, in the order of the registry.
        older_istio: True for the lab's older Istio.
    """

    as_guide: bool = False
    repairs: tuple[Repair, ...] = ()
    older_istio: bool = False

    @property
    def teleport_files(self) -> tuple[str, ...]:
        """Manifests of resources in Teleport, each after those that it refers to."""
        bot = () if self.as_guide else ("teleport-bot.yaml",)
        return (
            "teleport-bot-role.yaml",
            *bot,
            *(f for r in self.repairs for f in r.adds),
            "teleport-workload-identity.yaml",
        )

    @property
    def mesh_files(self) -> tuple[str, ...]:
        """Manifests of policies for the whole mesh."""
        return tuple(file for repair in self.repairs for file in repair.applies)

    @property
    def gateway_needs_tbot(self) -> bool:
        """True where the ingress gateway takes its identity from tbot, and so waits for its socket."""
        return not self.as_guide or any(repair.name == "gateway" for repair in self.repairs)

    @property
    def options(self) -> tuple[str, ...]:
        """Command-line options for this variant; none for the recommended one."""
        repairs = ("--repair", ",".join(repair.name for repair in self.repairs)) if self.repairs else ()
        istio = ("--istio", "older") if self.older_istio else ()
        return (*(("--install", "as-guide") if self.as_guide else ()), *repairs, *istio)

    def file(self, name: str) -> Path:
        """Return the path of a manifest."""
        own = AS_GUIDE / name
        return own if self.as_guide and own.exists() else MANIFESTS / name

    def documents(self, name: str, variables: Mapping[str, str]) -> list[dict[str, Any]]:
        """Return the documents of a manifest, rendered and repaired.

        Args:
            name: Name of the file, e.g. ``istio-config.yaml``.
            variables: Variables of the manifests.

        Raises:
            BadInput: See `provision.render.documents`.
        """
        made = documents(self.file(name), variables)
        for repair in self.repairs:
            made = [repair.change(document, variables) for document in made]
        return made

    def __str__(self) -> str:
        how = "as the guide says" if self.as_guide else "as recommended"
        istio = ", with the older Istio" if self.older_istio else ""
        return f"{how}{', repaired: ' if self.repairs else ''}{', '.join(r.name for r in self.repairs)}{istio}"


RECOMMENDED = Variant()


def variant_of(settings: Settings) -> Variant:
    """Return the variant that the settings ask for; `provision.usable` has refused unknown repairs."""
    repairs = tuple(r for r in REPAIRS.values() if r.name in settings.repairs)
    return Variant(settings.install == "as-guide", repairs, older_istio=settings.istio == "older")


def note_variant(directory: Path, variant: Variant) -> None:
    """Note how a cluster is installed, in its own directory."""
    (directory / KEPT_AS).write_text(json.dumps(_plain(variant)), encoding="utf-8")


def must_be_kept_as(directory: Path, variant: Variant, kind_name: str) -> None:
    """Refuse to install another variant over a kept cluster, because no step removes what the former one left behind.

    Args:
        directory: Directory of the kept cluster.
        variant: Variant to install.
        kind_name: Name of the kept cluster, for the error.

    Raises:
        BadInput: The cluster was installed as another variant, or the note of it cannot be read.
    """
    file = directory / KEPT_AS
    there: Variant | None
    try:
        kept = json.loads(file.read_text(encoding="utf-8")) if file.exists() else _plain(RECOMMENDED)
        repairs = tuple(REPAIRS[name] for name in kept["repairs"])
        there = Variant(kept["as_guide"], repairs, older_istio=kept.get("older_istio", False))
        former = str(there)
    except (OSError, ValueError, TypeError, LookupError):
        there, former = None, f"in a way that {KEPT_AS} does not say"
    if there != variant:
        raise BadInput(
            expected=f"a kept cluster that was installed {variant}",
            seen=f"one that was installed {former}",
            where=f"kind cluster {kind_name}, files in {directory}",
            remedy=f"take another --kind-name, or remove that one: conformance down --kind-name {kind_name}",
        )


def _plain(variant: Variant) -> dict[str, Any]:
    repairs = [repair.name for repair in variant.repairs]
    return {"as_guide": variant.as_guide, "repairs": repairs, "older_istio": variant.older_istio}
