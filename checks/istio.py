"""Checks of INST-05 to INST-08: Istio's control planes, trust domain, injection and path normalization."""

from __future__ import annotations

from facts.finding import Finding
from judge.install import istio as judge
from observe.install import Install

NATIVE = {"": None, "false": False, "true": True}
"""Values of the annotation ``sidecar.istio.io/nativeSidecar``, and the kind of sidecar that each asks for."""


def control_planes_are_available(install: Install) -> tuple[Finding, ...]:
    """INST-05, first part, of every control plane."""
    planes, silent = install.istio.planes(), install.cluster.silent_pods()
    return judge.of_each_plane("INST-05", planes, lambda mesh: judge.control_plane_is_available(mesh, silent))


def images_have_istiods_version(install: Install) -> tuple[Finding, ...]:
    """INST-05, second part."""
    pods, evidence = install.istio.pods_of_planes(), install.cluster.pods_evidence()
    return judge.images_are_of_their_istiods(pods, evidence, install.istio.planes().lost_gateways)


def trust_domain_is_teleports(install: Install) -> tuple[Finding, ...]:
    """INST-06, of every control plane."""
    planes, ping = install.istio.planes(), install.teleport.ping()
    beside = planes.in_trust_domain(ping.cluster_name)
    return judge.of_each_plane("INST-06", planes, lambda mesh: judge.trust_domain_is_teleports(mesh, ping, beside))


def injected_pod_is_accepted(install: Install, sidecar: str = "") -> Finding:
    """INST-07, first part.

    Args:
        sidecar: Value of the annotation, see `NATIVE`.
    """
    dry_run = install.istio.dry_run(sidecar)
    return judge.injected_pod_is_accepted(dry_run, NATIVE[sidecar], control=install.istio.control_of(dry_run))


def injected_socket_is_the_nodes(install: Install, sidecar: str = "") -> tuple[Finding, ...]:
    """INST-07, second part: the volume of the injected pod, and the template of every other injector."""
    dry_run = install.istio.dry_run(sidecar)
    planes, named = install.istio.planes(), install.names.injection_template
    return (
        judge.injected_socket_is_the_nodes(dry_run, install.tbot.socket_directories()),
        *judge.other_injectors_have_the_template(planes, dry_run, named),
    )


def paths_are_normalized(install: Install) -> tuple[Finding, ...]:
    """INST-08, of every proxy beside the mesh configuration of the control plane that injected it."""
    found = install.proxies.normalizations()  # first: only then it is known which pods went away
    pods, evidence = install.istio.surveyed_pods_of_planes(), install.cluster.pods_evidence()
    return judge.normalizations_are_in_force(pods, found, evidence)
