"""Named, reversible ways to break an installation, by means that a real operator has."""

from __future__ import annotations

from provision.faults import istio_settings, teleport_resources, workloads
from provision.faults.fault import Fault, Scene

FAULTS: dict[str, Fault] = {
    fault.name: fault
    for fault in (
        istio_settings.TRUST_DOMAIN,
        istio_settings.TEMPLATE,
        teleport_resources.WITHOUT_SA,
        teleport_resources.FOREIGN_JWKS,
        workloads.WITHOUT_TEMPLATE,
        workloads.AFFECTED_TBOT,
    )
}
"""Every fault by its name."""

__all__ = ["FAULTS", "Fault", "Scene"]
