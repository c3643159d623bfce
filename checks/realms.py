"""Which objects of an install belong together, as far as the checks have read it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from facts.errors import ConformanceError
from judge.explain.realms import Realms
from observe.install import Install
from observe.istio.facet import CONTROL_PLANES, DRY_RUN
from observe.kubernetes.facet import NAMESPACES, PODS
from providers.teleport.observe.facet import PING
from providers.teleport.observe.tbot_facet import TBOT


def realms_of(install: Install) -> Realms:
    """Return which objects belong together. Never raises: what was not read, or cannot be told, belongs to no realm."""
    planes, ping = install.seen(CONTROL_PLANES), install.seen(PING)
    return Realms(
        pods={str(pod.ref): pod for pod in install.seen(PODS) or ()},
        tbots=install.seen(TBOT),
        planes=planes,
        namespaces={each.name: each for each in install.seen(NAMESPACES) or ()},
        cluster_name=ping.cluster_name if ping is not None else "",
        injections=_injections(install) if planes is not None else {},
    )


def _injections(install: Install) -> Mapping[str, str]:
    """Control planes that were to inject the pods of dry runs. Empty where several could be meant and nothing says which."""
    dry_run = install.seen(DRY_RUN.narrowed(""))
    if dry_run is None:
        return {}
    with contextlib.suppress(ConformanceError):
        return {dry_run.where: install.istio.mesh().title}
    return {}
