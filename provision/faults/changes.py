"""Changes that faults make to Kubernetes objects, as by ``kubectl edit``, ``patch`` and ``apply``, and undo afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import yaml

from facts.errors import ProvisioningFailed
from provision.faults.fault import Scene
from provision.names import TBOT, TBOT_NAMESPACE
from provision.render import MANIFESTS, documents

Document = dict[str, Any]


@contextmanager
def edited_text(scene: Scene, namespace: str, name: str, key: str, change: Callable[[str], str]) -> Iterator[None]:
    """Change the text under a key of a ConfigMap, and restore it exactly afterwards.

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
            remedy="check whether the manifests have changed since the fault was written",
        )

    def put(text: str) -> None:
        objects.patch("v1", "ConfigMap", name, {"data": {key: text}}, namespace=namespace)

    put(changed)
    try:
        yield
    finally:
        put(former)


def edited(
    scene: Scene, namespace: str, name: str, key: str, change: Callable[[Document], Document]
) -> AbstractContextManager[None]:
    """Change the YAML document under a key of a ConfigMap, and restore its text exactly afterwards."""
    return edited_text(scene, namespace, name, key, lambda text: yaml.safe_dump(change(yaml.safe_load(text))))


@contextmanager
def patched(
    scene: Scene, kind: str, name: str, namespace: str, *, spec: Document, undo: Document, then: Callable[[], object]
) -> Iterator[None]:
    """Patch the specification of a Deployment or DaemonSet, without waiting; on exit patch it back and wait.

    Args:
        kind: Kind of the object.
        name: Name of the object.
        namespace: Namespace of the object.
        spec: Patch of its specification.
        undo: Patch that takes `spec` back.
        then: Waits until the object is as before.
    """
    objects = scene.installation.objects
    objects.patch("apps/v1", kind, name, {"spec": spec}, namespace=namespace)
    try:
        yield
    finally:
        objects.patch("apps/v1", kind, name, {"spec": undo}, namespace=namespace)
        then()


@contextmanager
def patched_tbot(scene: Scene, spec: Document, undo: Document) -> Iterator[None]:
    """Patch tbot's DaemonSet and wait until every Envoy has its streams again, both ways."""
    with patched(scene, "DaemonSet", TBOT, TBOT_NAMESPACE, spec=spec, undo=undo, then=scene.await_tbot):
        scene.await_tbot()
        yield


@contextmanager
def applied(scene: Scene, *made: Document) -> Iterator[None]:
    """Apply objects, and delete them afterwards, the last one first."""
    objects = scene.installation.objects
    try:
        objects.apply_all(made)
        yield
    finally:
        for document in reversed(made):
            metadata = document["metadata"]
            objects.delete(
                document["apiVersion"], document["kind"], metadata["name"], namespace=metadata.get("namespace", "")
            )


@contextmanager
def in_place_of(scene: Scene, document: Document) -> Iterator[None]:
    """Apply an object in place of the one that has its name; on exit restore that one, or delete it if there was none."""
    objects, metadata = scene.installation.objects, document["metadata"]
    kind, name, namespace = document["kind"], metadata["name"], metadata.get("namespace", "")
    former = objects.get(document["apiVersion"], kind, name, namespace=namespace)
    if former is None:
        with applied(scene, document):
            yield
        return
    try:
        objects.apply(document)
        yield
    finally:
        labels = former["metadata"].get("labels", {})
        objects.apply({**document, "metadata": {**metadata, "labels": labels}, "spec": former["spec"]})


def manifest(name: str, **variables: str) -> list[Document]:
    """Return the objects of a manifest of the faults."""
    return documents(MANIFESTS / "faults" / f"{name}.yaml", variables)


def pod_template(**spec: Any) -> Document:
    """Return a patch of a Deployment's or DaemonSet's specification that changes the specification of its pods."""
    return {"template": {"spec": spec}}
