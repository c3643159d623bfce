"""What the suite changes in Kubernetes, and so may restore.

Whoever may write ConfigMaps in kube-system may write an original of anything there is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from facts.errors import ProvisioningFailed
from provision.disruption.absence import REQUIRED
from provision.disruption.outages import NOWHERE
from provision.objects import Objects
from provision.runs.fields import value_at
from provision.runs.originals import Change
from settings import Names

Path = tuple[str, ...]

_POD_SPEC: Path = ("spec", "template", "spec")
_OF_TBOT: Sequence[Path] = (
    *((*_POD_SPEC, "nodeSelector", key) for key in NOWHERE),
    (*_POD_SPEC, "affinity", "nodeAffinity", REQUIRED),
    ("spec", "updateStrategy"),
)
"""Fields of tbot's DaemonSet, each with all that is below it."""


def must_be_permitted(change: Change, now: Mapping[str, Any] | None, objects: Objects, names: Names) -> None:
    """Refuse to restore what the suite never changes.

    Args:
        change: The change, as its original tells it.
        now: The object as it is now; None where it is gone.
        objects: Reads which ConfigMaps tbot mounts.
        names: Names of tbot and of its namespace and istiod's, which an original cannot choose.

    Raises:
        ProvisioningFailed: It is another object or field than those; or the API server refuses.
    """
    if not (_is_permitted(change, names) and (now is None or _is_used(change, now, objects))):
        fields = ", ".join(map(str, change.fields))
        raise ProvisioningFailed(
            expected=(
                f"a change that the suite makes: of tbot's ConfigMap, of DaemonSet {names.tbot_namespace}/{names.tbot},"
                f" or of the replicas of istiod in {names.istio_namespace}"
            ),
            seen=f"{change.api_version} {change}: {fields}",
            where="an original in kube-system",
            remedy=(
                "if tbot or istiod is elsewhere, give tbot, tbot_namespace and istio_namespace under [names] in the"
                " configuration file; otherwise find out who wrote it"
            ),
        )


def _is_permitted(change: Change, names: Names) -> bool:
    paths = [field.path for field in change.fields]
    what = (change.api_version, change.kind, change.namespace, change.restart)
    if what == ("v1", "ConfigMap", names.tbot_namespace, names.tbot):
        return all(len(path) == 2 and path[0] == "data" for path in paths)
    if what == ("apps/v1", "DaemonSet", names.tbot_namespace, ""):
        return change.name == names.tbot and all(any(path[: len(p)] == p for p in _OF_TBOT) for path in paths)
    return what == ("apps/v1", "Deployment", names.istio_namespace, "") and all(p == ("spec", "replicas") for p in paths)


def _is_used(change: Change, now: Mapping[str, Any], objects: Objects) -> bool:
    """Return True for a ConfigMap that tbot mounts, a Deployment of istiod, or tbot's DaemonSet."""
    if change.kind == "Deployment":
        return bool(value_at(now, ("metadata", "labels", "app")) == "istiod")
    if change.kind == "ConfigMap":
        tbot = objects.get("apps/v1", "DaemonSet", change.restart, namespace=change.namespace) or {}
        volumes = value_at(tbot, (*_POD_SPEC, "volumes"))
        return isinstance(volumes, list) and any(value_at(v, ("configMap", "name")) == change.name for v in volumes)
    return True
