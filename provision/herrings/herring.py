"""The type of a red herring, and what several of them need."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from observe.wait import NotYet, Pace, eventually
from provision.faults import Scene
from provision.faults.changes import Document
from provision.names import APP
from provision.render import MANIFESTS, documents


@dataclass(frozen=True, slots=True)
class Herring:
    """A named, reversible disturbance that is loud and leaves every identity as it is.

    Attributes:
        name: Name of the red herring, as in the features and in docs/diagnosis.md.
        description: What the operator sees, as a sentence.
        touches: Objects that it makes or changes.
        undo: How the suite undoes it, as a sentence.
        inject: Context manager: on entry it makes the disturbance and waits until it shows, on exit it restores the scene.
        called: Ids of causes that say what it is; the doctor may name them, as what is so by design.
    """

    name: str
    description: str
    touches: str
    undo: str
    inject: Callable[[Scene], AbstractContextManager[None]]
    called: frozenset[str] = frozenset()


def manifest(scene: Scene, name: str, **variables: str) -> list[Document]:
    """Return the objects of a manifest of the red herrings."""
    images = {"WORKLOAD_IMAGE": scene.installation.sources.workload_image}
    return documents(MANIFESTS / "herrings" / f"{name}.yaml", images | variables)


def await_pod(scene: Scene, name: str, what: str, look: Callable[[dict[str, Any]], bool], *, namespace: str = APP) -> None:
    """Wait until a pod shows something in its status.

    Args:
        name: Name of the pod.
        what: What it must show, as in "is Ready".
        look: Takes the pod's status; returns True once it shows that.
        namespace: Namespace of the pod.

    Raises:
        CouldNotTell: That took too long.
    """

    def check() -> None:
        pod = scene.installation.objects.must_get("v1", "Pod", name, namespace=namespace)
        if not look(pod["status"]):
            raise NotYet(f"its phase is {pod['status'].get('phase')}")

    eventually(f"the pod {namespace}/{name} {what}", check, Pace(scene.patience.pod_ready))


def is_ready(status: dict[str, Any]) -> bool:
    """Return True for the status of a pod that is Ready."""
    return any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", ()))
