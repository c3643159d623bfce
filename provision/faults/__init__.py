"""Named, reversible ways to break an installation, by means that a real operator has."""

from __future__ import annotations

from provision.faults.fault import Fault, Operator, Scene
from provision.faults.istio import control_plane, gateway, guides_values, istio_settings, workloads
from provision.faults.surroundings import nodes, operator, resilience
from provision.faults.tbot import daemon_set, rotation, takeover
from provision.faults.teleport import ca, clock
from provision.faults.teleport import resources as teleport_resources

SHORT = (
    istio_settings.TRUST_DOMAIN,
    istio_settings.TEMPLATE,
    teleport_resources.WITHOUT_SA,
    teleport_resources.FOREIGN_JWKS,
    workloads.WITHOUT_TEMPLATE,
    daemon_set.AFFECTED_TBOT,
)
"""Those that CI injects."""

FAULTS: dict[str, Fault] = {
    fault.name: fault
    for fault in (
        *SHORT,
        operator.OLD_ISTIOCTL,
        operator.OLD_KUBECTL,
        operator.VIEWER_ONLY,
        operator.SESSION_OF_NOBODY,
        operator.WITHOUT_EVENTS,
        nodes.KUBELET_CLOSED,
        nodes.DIRECTORY_FOR_ALL,
        control_plane.IMAGE_TYPO,
        control_plane.AT_ZERO,
        istio_settings.TEMPLATE_MISSING,
        istio_settings.TEMPLATE_WITHOUT_SOCKET,
        istio_settings.VOLUMES_ONLY,
        istio_settings.NORMALIZATION,
        istio_settings.ISTIOS_OWN_TEMPLATE,
        istio_settings.ISTIOD_TRUSTED,
        istio_settings.EVERYBODY_LET_IN,
        istio_settings.PORT_LEFT_OUT,
        gateway.WITHOUT_OVERLAY,
        teleport_resources.PLACEHOLDER_LEFT,
        teleport_resources.UNMADE_BOT,
        teleport_resources.OTHER_ACCOUNT,
        teleport_resources.WIDENED,
        teleport_resources.ROLE_TAKEN_AWAY,
        teleport_resources.EVERY_LABEL,
        teleport_resources.FOR_PRODUCTION,
        teleport_resources.TRAILING_SLASH,
        teleport_resources.TRAILING_SLASH_IN_USE,
        teleport_resources.WITHOUT_SA_IN_USE,
        teleport_resources.FOR_EVERYBODY,
        teleport_resources.MAXIMUM_LOWERED,
        daemon_set.MISSPELT,
        daemon_set.NOT_TOLERATED,
        daemon_set.AUDIENCE_OF_THE_PROXY,
        daemon_set.FROZEN,
        daemon_set.STALE_BUNDLE,
        daemon_set.LATE,
        daemon_set.SECOND,
        takeover.TAKEOVER,
        clock.CLOCK_AHEAD,
        rotation.NOT_RENEWED,
        rotation.EXPIRED,
        rotation.NOT_IN_FORCE,
        rotation.BEYOND_TTL,
        rotation.FROZEN,
        rotation.GUIDES_CRON_JOB,
        ca.BUNDLE_FROZEN,
        resilience.SLOW_TO_START,
        resilience.LIVES_BY_TELEPORT,
        resilience.MAKES_NO_DIRECTORY,
        resilience.TAKEN_AWAY,
        resilience.NOT_RENEWED,
        workloads.GUIDES_NODE_SELECTOR,
        guides_values.PATHS_AS_SENT,
        guides_values.USUAL_NAME,
    )
}
"""Every fault by its name."""

__all__ = ["FAULTS", "SHORT", "Fault", "Operator", "Scene"]
