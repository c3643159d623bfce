"""The installations that the manifests describe: the recommended one, and the one of somebody who followed the guide."""

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
"""Files of the guide's own that differ from ours. Those that do not are not there a second time."""

KEPT_AS = "variant.json"
"""File in the directory of a kept cluster that says how it was installed."""


@dataclass(frozen=True, slots=True)
class Variant:
    """Which manifests are applied, and what is changed in them.

    Attributes:
        as_guide: The guide to the letter, in place of the recommended manifests.
        repairs: What is put right in it all the same, in the order of the registry.
        older_istio: With the lab's older Istio.
    """

    as_guide: bool = False
    repairs: tuple[Repair, ...] = ()
    older_istio: bool = False

    @property
    def teleport_files(self) -> tuple[str, ...]:
        """Manifests of resources in Teleport, in an order in which each finds what it refers to."""
        bot = () if self.as_guide else ("teleport-bot.yaml",)
        return (
            "teleport-bot-role.yaml",
            *bot,
            *(f for r in self.repairs for f in r.adds),
            "teleport-workload-identity.yaml",
        )

    @property
    def gateway_needs_tbot(self) -> bool:
        """Whether the ingress gateway takes its identity from tbot, and so waits for its socket."""
        return not self.as_guide or any(repair.name == "gateway" for repair in self.repairs)

    @property
    def options(self) -> tuple[str, ...]:
        """What asks for it on the command line; nothing for the recommended one."""
        repairs = ("--repair", ",".join(repair.name for repair in self.repairs)) if self.repairs else ()
        istio = ("--istio", "older") if self.older_istio else ()
        return (*(("--install", "as-guide") if self.as_guide else ()), *repairs, *istio)

    def file(self, name: str) -> Path:
        """Where a manifest is."""
        own = AS_GUIDE / name
        return own if self.as_guide and own.exists() else MANIFESTS / name

    def documents(self, name: str, variables: Mapping[str, str]) -> list[dict[str, Any]]:
        """The documents of a manifest, rendered, with the repairs made.

        Args:
            name: Of the file, e.g. ``istio-config.yaml``.
            variables: Of the manifests.

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
    """The installation that the settings ask for; `provision.usable` has refused what there is not."""
    repairs = tuple(r for r in REPAIRS.values() if r.name in settings.repairs)
    return Variant(settings.install == "as-guide", repairs, older_istio=settings.istio == "older")


def note_variant(directory: Path, variant: Variant) -> None:
    """Writes down how a cluster is installed, in its own directory."""
    (directory / KEPT_AS).write_text(json.dumps(_plain(variant)), encoding="utf-8")


def must_be_kept_as(directory: Path, variant: Variant, kind_name: str) -> None:
    """Refuses to install over a kept cluster what it was not made for: nobody takes back what the other one left behind.

    Args:
        directory: Of the kept cluster.
        variant: What is to be installed.
        kind_name: Of the kept cluster, for the error.

    Raises:
        BadInput: It was installed otherwise, or nobody can tell how.
    """
    file = directory / KEPT_AS
    there: Variant | None
    try:
        kept = json.loads(file.read_text(encoding="utf-8")) if file.exists() else _plain(RECOMMENDED)
        repairs = tuple(REPAIRS[name] for name in kept["repairs"])
        there = Variant(kept["as_guide"], repairs, older_istio=kept.get("older_istio", False))
        former = str(there)
    except (OSError, ValueError, TypeError, LookupError):
        there, former = None, f"in a way that {KEPT_AS} does not tell"
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
