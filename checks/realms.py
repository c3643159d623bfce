"""Which objects of an install belong together, as far as the checks have read it."""

from __future__ import annotations

from judge.explain.realms import Realms
from observe.install import Install
from observe.istio.facet import CONTROL_PLANES, DRY_RUN
from observe.kubernetes.facet import NAMESPACES, PODS
from providers.teleport.observe.facet import PING
from providers.teleport.observe.tbot_facet import TBOT


def realms_of(install: Install) -> Realms:
    """Return which objects belong together. Reads nothing."""
    planes, dry_run, ping = install.seen(CONTROL_PLANES), install.seen(DRY_RUN.narrowed("")), install.seen(PING)
    return Realms(
        pods={str(pod.ref): pod for pod in install.seen(PODS) or ()},
        tbots=install.seen(TBOT),
        planes=planes,
        namespaces={each.name: each for each in install.seen(NAMESPACES) or ()},
        cluster_name=ping.cluster_name if ping is not None else "",
        injections={dry_run.where: install.istio.mesh().title} if planes is not None and dry_run is not None else {},
    )
