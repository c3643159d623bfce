"""What the lab asks of the Docker command line."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lab.command import answers, run
from lab.errors import LabError

LABEL = "conformance.lab"
"""Label on every image that the lab builds."""


def reachable() -> bool:
    """Whether a Docker daemon answers."""
    return answers(["docker", "info"])


def inspect(references: Sequence[str]) -> list[dict[str, Any]]:
    """Docker's description of those of the images that exist; none when no daemon answers."""
    if not references:
        return []
    # One missing image fails the whole command although the others are printed, so ask for what exists first.
    try:
        listed = run(["docker", "image", "ls", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}}"])
    except LabError:
        return []
    present = set(listed.split())
    asked = [reference for reference in references if reference in present]
    if not asked:
        return []
    found: list[dict[str, Any]] = json.loads(run(["docker", "image", "inspect", *asked]))
    return found


def image_ids(references: Sequence[str]) -> dict[str, str]:
    """Reference → image id, for those of the images that Docker has; empty when no daemon answers."""
    wanted = set(references)
    ids: dict[str, str] = {}
    for image in inspect(references):
        ids.update({tag: image["Id"] for tag in image["RepoTags"] if tag in wanted})
    return ids


def image_id(reference: str) -> str:
    """Id of an image.

    Raises:
        LabError: Docker does not have it.
    """
    found = image_ids([reference])
    if reference not in found:
        raise LabError(f"expected image {reference} in Docker after it was built, but it is not there")
    return found[reference]


def images_digest(ids: Iterable[str]) -> tuple[str, int]:
    """SHA-256 over the sorted image ids, and the sum of the images' sizes in bytes."""
    ordered = sorted(set(ids))
    described: list[dict[str, Any]] = json.loads(run(["docker", "image", "inspect", *ordered]))
    return hashlib.sha256("\n".join(ordered).encode()).hexdigest(), sum(image["Size"] for image in described)


def build_image(
    context: Path, reference: str, dockerfile: str, log: Path, arguments: Mapping[str, str] | None = None
) -> None:
    """Build an image from the files in `context`; nothing is ever pulled, every base is an image of the lab.

    Raises:
        LabError: The build failed.
    """
    (context / "Dockerfile").write_text(dockerfile, encoding="utf-8")
    options = [f"--build-arg={name}={value}" for name, value in (arguments or {}).items()]
    run(["docker", "build", "--label", LABEL, *options, "--tag", reference, context], log=log)


def remove_untagged() -> None:
    """Remove images of the lab that a newer build has taken the name from."""
    run(["docker", "image", "prune", "--force", "--filter", f"label={LABEL}"])
