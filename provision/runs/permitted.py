"""What the suite changes in Kubernetes, and so may restore.

Whoever may write ConfigMaps in kube-system may write an original of anything there is, with any field manager. So not only
must the object and the field be ones that the suite changes, but the difference between the two values must be one that it
makes: an original can then undo such a difference, and bring nothing else in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from facts.errors import ProvisioningFailed
from provision.disruption.absence import REQUIRED, leaves_out_a_node
from provision.disruption.lifetimes import is_shortened
from provision.disruption.outages import NOWHERE
from provision.objects import Objects
from provision.runs.fields import MISSING, Field, value_at
from provision.runs.originals import Change
from settings import Names

Path = tuple[str, ...]

_POD_SPEC: Path = ("spec", "template", "spec")
_OF_TBOT: Mapping[Path, Callable[[Field], bool]] = {
    **{
        (*_POD_SPEC, "nodeSelector", key): lambda field: field.was is MISSING and field.ours == NOWHERE[field.path[-1]]
        for key in NOWHERE
    },
    (*_POD_SPEC, "affinity", "nodeAffinity", REQUIRED, "nodeSelectorTerms"): lambda f: leaves_out_a_node(f.was, f.ours),
    ("spec", "updateStrategy", "type"): lambda field: field.was in (MISSING, "RollingUpdate") and field.ours == "OnDelete",
    ("spec", "updateStrategy", "rollingUpdate"): lambda field: field.ours is MISSING,
}
"""Fields of tbot's DaemonSet, each with what tells a change that the suite makes."""


def must_be_permitted(change: Change, now: Mapping[str, Any] | None, objects: Objects, names: Names) -> None:
    """Refuse to restore what the suite never changes.

    Args:
        change: The change, as its original tells it.
        now: The object as it is now; None where it is gone.
        objects: Reads which ConfigMaps tbot mounts.
        names: Names of tbot and of its namespace and istiod's, which an original cannot choose.

    Raises:
        ProvisioningFailed: It is another object, field or difference than those; or the API server refuses.
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
    what = (change.api_version, change.kind, change.namespace, change.restart)
    if what == ("v1", "ConfigMap", names.tbot_namespace, names.tbot):
        return all(len(f.path) == 2 and f.path[0] == "data" and is_shortened(f.was, f.ours) for f in change.fields)
    if what == ("apps/v1", "DaemonSet", names.tbot_namespace, "") and change.name == names.tbot:
        return all(f.path in _OF_TBOT and _OF_TBOT[f.path](f) for f in change.fields)
    return what == ("apps/v1", "Deployment", names.istio_namespace, "") and all(
        f.path == ("spec", "replicas") and type(f.was) is int and f.was > 0 and f.ours == 0 for f in change.fields
    )


def _is_used(change: Change, now: Mapping[str, Any], objects: Objects) -> bool:
    """Return True for a ConfigMap that tbot mounts, a Deployment of istiod, or tbot's DaemonSet."""
    if change.kind == "Deployment":
        return bool(value_at(now, ("metadata", "labels", "app")) == "istiod")
    if change.kind == "ConfigMap":
        tbot = objects.get("apps/v1", "DaemonSet", change.restart, namespace=change.namespace) or {}
        volumes = value_at(tbot, (*_POD_SPEC, "volumes"))
        return isinstance(volumes, list) and any(value_at(v, ("configMap", "name")) == change.name for v in volumes)
    return True
