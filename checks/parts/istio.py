"""Istio: its control planes, trust domain, injection, what the proxies follow, and the guide's test application."""

from __future__ import annotations

from checks import application, diagnosis, istio
from checks.check import Case, Check, Part, Reading
from facts.errors import NotApplicable
from observe.install import Install
from providers.teleport.checks import tbot


def _injecting(case: Case) -> Install:
    """The install, if a pod that is injected can be sent to the API server for a dry run."""
    install = case.install
    if not install.istio.dry_run_namespace():
        evidence = install.istio.planes().evidence
        raise NotApplicable("INST-07", "no namespace is injected", where=install.cluster.where, evidence=evidence)
    return install


def _pods_of_the_application(case: Case) -> object:
    return application.test_application(case.install, "INST-15").settled_pods()


PART = Part(
    "Istio",
    (
        Check(
            "istiod and the gateways are available",
            lambda case: istio.control_planes_are_available(case.install),
            "INST-05",
            then="every Deployment of Istio must be available at its current generation",
        ),
        Check(
            "every image has its istiod's version",
            lambda case: istio.images_have_istiods_version(case.install),
            "INST-05",
            then="every Istio image must have the version of its own istiod",
        ),
        Check(
            "the trust domain is Teleport's cluster name",
            lambda case: istio.trust_domain_is_teleports(case.install),
            "INST-06",
            then="Istio's trust domain must equal Teleport's cluster name",
        ),
        # The scenario asks for each kind of sidecar: its steps are in steps/install/istio.py.
        Check(
            "the API server accepts an injected pod",
            lambda case: [istio.injected_pod_is_accepted(_injecting(case))],
            "INST-07",
        ),
        Check(
            "an injected pod mounts the node's socket",
            lambda case: istio.injected_socket_is_the_nodes(_injecting(case)),
            "INST-07",
        ),
        Check("no namespace that injects is without sidecars", lambda case: diagnosis.without_sidecar(case.install)),
        Check(
            "every proxy normalizes paths as configured",
            lambda case: istio.paths_are_normalized(case.install),
            "INST-08",
            then="every proxy must normalize paths as its mesh configuration says",
        ),
        Check(
            "no version has a known identity defect",
            lambda case: tbot.no_known_defect(case.install),
            "INST-16",
            then="no component must have a version with a known identity defect",
        ),
        Check(
            "the test application runs",
            lambda case: application.runs(case.install),
            "INST-15",
            parts=(
                (
                    "at least one node must match their node selector",
                    lambda case: [application.some_node_fits(case.install)],
                ),
                (
                    "the desired number of pods must be Ready with a started istio-proxy",
                    lambda case: [application.pods_are_ready(case.install)],
                ),
                (
                    "the workload-socket volume of every pod must be the node's socket directory",
                    lambda case: [application.pods_use_the_nodes_socket(case.install)],
                ),
                ("no istio-proxy must have restarted recently", lambda case: [application.proxies_are_stable(case.install)]),
            ),
        ),
    ),
    (
        Reading(("every control plane of Istio", "every mesh configuration"), lambda case: case.install.istio.planes()),
        Reading(("the cluster name that Teleport reports",), lambda case: case.install.teleport.ping()),
        Reading(("the HTTP connection managers of every injected pod",), lambda case: case.install.proxies.normalizations()),
        Reading(("the pods of the test application",), _pods_of_the_application),
    ),
)
