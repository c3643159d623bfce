"""The rights that the suite needs, and the API server's answer about each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from facts.kubernetes.access import Right
from facts.kubernetes.leases import NAMESPACE
from observe.kubernetes.facet import ClusterFacet
from observe.readings import Key, at_once, of_each

READ_ONLY_RIGHTS: tuple[tuple[str, str, str], ...] = (
    ("get", "", "/openid/v1/jwks"),
    ("list", "", "pods"),
    ("list", "", "nodes"),
    ("list", "", "namespaces"),
    ("get", "", "configmaps"),
    ("get", "", "pods/log"),
    ("list", "apps", "deployments"),
    ("get", "apps", "deployments"),
    ("get", "apps", "daemonsets"),
    ("list", "apps", "daemonsets"),
    ("list", "batch", "cronjobs"),
    ("create", "", "pods"),
    ("create", "", "pods/portforward"),
    ("create", "", "pods/exec"),
)
"""Rights that every run needs. Create on pods is for server-side dry runs, which create nothing."""

_MADE: tuple[tuple[str, str], ...] = (
    *(("", kind) for kind in ("namespaces", "serviceaccounts", "configmaps", "secrets", "pods", "services")),
    *(("networking.istio.io", kind) for kind in ("destinationrules", "envoyfilters", "virtualservices")),
    *(("security.istio.io", kind) for kind in ("authorizationpolicies", "peerauthentications")),
)

NAMESPACED_RIGHTS: tuple[tuple[str, str, str], ...] = (
    *((verb, group, kind) for group, kind in _MADE for verb in ("create", "patch")),
    ("get", "", "pods"),
    ("delete", "", "pods"),
    ("delete", "", "namespaces"),
    ("get", "", "namespaces"),
    ("create", "", "serviceaccounts/token"),
)
"""Further rights for probe pods and test pods. A server-side apply is a patch, which creates a missing object."""

_LEASES = ("coordination.k8s.io", "leases")

LOOK_RIGHTS: tuple[tuple[str, str, str], ...] = (("get", *_LEASES),)
"""Rights of every run in kube-system: to see whether a disruptive run is under way."""

HOLD_RIGHTS: tuple[tuple[str, str, str], ...] = (
    ("create", *_LEASES),
    ("patch", *_LEASES),
    ("list", "", "configmaps"),
)
"""Further rights in kube-system of a run that may change something: to keep others off, and to see what they left."""

ORIGINAL_RIGHTS: tuple[tuple[str, str, str], ...] = tuple((verb, "", "configmaps") for verb in ("create", "patch", "delete"))
"""Further rights in kube-system of a disruptive run: to keep originals there until they are restored."""

DISRUPTIVE_RIGHTS: tuple[tuple[str, str, str], ...] = (
    ("list", "", "services"),
    ("create", "networking.istio.io", "gateways"),
    ("patch", "networking.istio.io", "gateways"),
)
"""Further rights to send something through the mesh's own ingress gateway."""

_TBOT, _ISTIOD = ("patch", "apps", "daemonsets"), ("patch", "apps", "deployments")

OUTAGE_RIGHTS: Mapping[str, tuple[tuple[str, str, str], ...]] = {
    "rotation": (_TBOT,),
    "ca-rotation": (_TBOT,),
    "resilience": (_TBOT, _ISTIOD),
}
"""Further rights of each profile, to restart tbot, or to take it or istiod away for a while."""

GATEWAY_API_RIGHTS: tuple[tuple[str, str, str], ...] = (
    ("list", "gateway.networking.k8s.io", "gatewayclasses"),
    *((verb, "gateway.networking.k8s.io", kind) for kind in ("gateways", "httproutes") for verb in ("create", "patch")),
)
"""Further rights to have istiod deploy a gateway for the suite, in a cluster that knows the Gateway API."""

ADMIN_RIGHTS: tuple[tuple[str, str, str], ...] = (("*", "*", "*"),)
"""Rights for provisioning: the guide's cluster admin."""


RIGHTS: Key[tuple[Right, ...]] = Key("rights", of_each, ("cluster",))


@dataclass(frozen=True, slots=True)
class RightsFacet:
    """Readings of this run's rights.

    Attributes:
        cluster: The cluster.
        allowed: Safety classes of this run; they decide which rights it needs.
        profiles: Names of the profiles to certify; they decide which further rights it needs.
        provisions: This run installs, and so needs admin rights.
    """

    cluster: ClusterFacet
    allowed: frozenset[str]
    profiles: frozenset[str]
    provisions: bool

    def reviewed(self) -> tuple[Right, ...]:
        """The API server's answer about each right that this run needs."""
        wanted = self._wanted()
        return self.cluster.once(RIGHTS, lambda: at_once(lambda right: self.cluster.reader.can_i(*right), wanted))

    def _wanted(self) -> list[tuple[str, str, str, str]]:
        """Verb, API group and resource of each right, and the namespace of those that are for one."""
        there = [*LOOK_RIGHTS]
        if "namespaced" in self.allowed:
            there += HOLD_RIGHTS
        if "disruptive" in self.allowed:
            there += ORIGINAL_RIGHTS
        everywhere = self._everywhere()
        return [*((*right, "") for right in everywhere), *((*right, NAMESPACE) for right in there)]

    def _everywhere(self) -> list[tuple[str, str, str]]:
        wanted = [*READ_ONLY_RIGHTS]
        if "namespaced" in self.allowed:
            wanted += NAMESPACED_RIGHTS
            # An administrator has every right, and asks before there is a Gateway API.
            if not self.provisions and self.cluster.gateway_api().document is not None:
                wanted += GATEWAY_API_RIGHTS
        if "disruptive" in self.allowed:
            wanted += DISRUPTIVE_RIGHTS
            wanted += dict.fromkeys(right for p in sorted(self.profiles) for right in OUTAGE_RIGHTS.get(p, ()))
        if self.provisions:
            wanted += ADMIN_RIGHTS
        return wanted
