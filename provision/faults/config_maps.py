"""Changes of one entry of a ConfigMap, as by ``kubectl edit``; put back to the letter afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import yaml

from facts.errors import ProvisioningFailed
from provision.faults.fault import Scene


@contextmanager
def edited_text(scene: Scene, namespace: str, name: str, key: str, change: Callable[[str], str]) -> Iterator[None]:
    """Change the text under a key.

    Raises:
        ProvisioningFailed: The key has no text, or the change leaves it as it was.
    """
    objects = scene.installation.objects
    found = objects.get("v1", "ConfigMap", name, namespace=namespace) or {}
    former = str(found.get("data", {}).get(key, ""))
    changed = change(former)
    if not former or changed == former:
        raise ProvisioningFailed(
            expected=f"a text under the key {key} that the fault can change",
            seen=f"{len(former)} characters, none of them changed",
            where=f"ConfigMap {namespace}/{name}",
            remedy="see whether the manifests have changed since the fault was written",
        )

    def put(text: str) -> None:
        objects.patch("v1", "ConfigMap", name, {"data": {key: text}}, namespace=namespace)

    put(changed)
    try:
        yield
    finally:
        put(former)


@contextmanager
def edited(
    scene: Scene, namespace: str, name: str, key: str, change: Callable[[dict[str, Any]], dict[str, Any]]
) -> Iterator[None]:
    """Change the YAML document under a key."""
    with edited_text(scene, namespace, name, key, lambda text: yaml.safe_dump(change(yaml.safe_load(text)))):
        yield
