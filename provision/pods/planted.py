"""HYG-04: canaries in the places of a cluster where a tenant could put a secret, and where the suite reads."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from facts.kubernetes.pod_spec import INCLUDED, TEMPLATES
from facts.secret_forms import Canary
from provision.canaries import make_canaries
from provision.objects import Objects, scratch_namespace
from provision.pods.probes import PROBES
from provision.render import documents

NAME = "canaries"


@contextmanager
def planted(objects: Objects, image: str) -> Iterator[tuple[str, tuple[Canary, ...]]]:
    """Make a pod with a canary of every form in its namespace's annotations and in its own, its environment and arguments.

    No node runs it. On exit the namespace goes, with the pod.

    Yields:
        The namespace, and the canaries.

    Raises:
        ProvisioningFailed: The API server refuses it.
    """
    namespace, canaries = scratch_namespace(objects.run_id, NAME), make_canaries()
    try:
        objects.apply_all([_namespace(namespace, canaries), _pod(namespace, image, canaries)])
        yield namespace, canaries
    finally:
        objects.delete("v1", "Namespace", namespace)


def _namespace(name: str, canaries: Sequence[Canary]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "annotations": _annotations(canaries)}}


def _pod(namespace: str, image: str, canaries: Sequence[Canary]) -> dict[str, Any]:
    (sound,) = documents(PROBES / "canaries.yaml", {"NAMESPACE": namespace, "IMAGE": image})
    pod = copy.deepcopy(sound)
    texts = [canary.text for canary in canaries]
    # The suite keeps what these two annotations say of any pod.
    kept = {TEMPLATES: ",".join(texts), INCLUDED: ",".join(texts)}
    pod["metadata"]["annotations"] = {**_annotations(canaries), **kept}
    (container,) = pod["spec"]["containers"]
    container["args"] = texts
    container["env"] = [{"name": f"CANARY_{number}", "value": text} for number, text in enumerate(texts)]
    return pod


def _annotations(canaries: Sequence[Canary]) -> dict[str, str]:
    return {f"canaries.example/{number}": canary.text for number, canary in enumerate(canaries)}
