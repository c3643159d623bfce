"""Istio: its control planes, trust domain, injection, and what the proxies follow."""

from __future__ import annotations

from checks import application, diagnosis, istio
from doctor.check import Case, Check, Section
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


SECTION = Section(
    "Istio",
    (
        Check(
            "istiod and the gateways are available",
            lambda case: istio.control_planes_are_available(case.install),
            "INST-05",
        ),
        Check(
            "every image has its istiod's version", lambda case: istio.images_have_istiods_version(case.install), "INST-05"
        ),
        Check(
            "the trust domain is Teleport's cluster name",
            lambda case: istio.trust_domain_is_teleports(case.install),
            "INST-06",
        ),
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
            "every proxy normalizes paths as configured", lambda case: istio.paths_are_normalized(case.install), "INST-08"
        ),
        Check("no version has a known identity defect", lambda case: tbot.no_known_defect(case.install), "INST-16"),
        Check("the test application runs", lambda case: application.runs(case.install), "INST-15"),
    ),
)
