"""Checks of INST-15: the guide's test application."""

from __future__ import annotations

from datetime import UTC, datetime

from facts.finding import Finding
from judge import conditions
from judge.install import application as judge
from observe.guide.application import ApplicationFacet
from observe.install import Install


def test_application(install: Install, requirement: str) -> ApplicationFacet:
    """The test application of the install.

    Raises:
        NotApplicable: The suite did not make the install, and it has none.
    """
    app, ours = install.application, install.rights.provisions
    pods = app.pods()
    conditions.needs_the_application(
        requirement,
        pods,
        app.deployment(),
        silent=app.silent_pods(),
        ours=ours,
        where=app.where,
        evidence=app.evidence(pods),
    )
    return app


def runs(install: Install) -> tuple[Finding, ...]:
    """INST-15.

    Raises:
        NotApplicable: There is no test application.
    """
    test_application(install, "INST-15")
    return some_node_fits(install), pods_are_ready(install), pods_use_the_nodes_socket(install), proxies_are_stable(install)


def some_node_fits(install: Install) -> Finding:
    """INST-15, its node selector."""
    app, pods = install.application, install.application.settled_pods()
    return judge.some_node_is_selected(pods, app.deployment(), app.nodes(), app.where, app.evidence(pods))


def pods_are_ready(install: Install) -> Finding:
    """INST-15, its pods."""
    app, pods = install.application, install.application.settled_pods()
    deployment, evidence, silent = app.deployment(), app.evidence(pods), app.silent_pods()
    return judge.pods_run_with_a_proxy(pods, deployment, datetime.now(UTC), app.where, evidence, silent=silent)


def pods_use_the_nodes_socket(install: Install) -> Finding:
    """INST-15, their volume."""
    app, pods = install.application, install.application.settled_pods()
    directories, evidence, silent = install.tbot.socket_directories(), app.evidence(pods), app.silent_pods()
    return judge.pods_use_the_nodes_socket(pods, directories, app.where, evidence, silent=silent)


def proxies_are_stable(install: Install) -> Finding:
    """INST-15, their restarts."""
    app, pods = install.application, install.application.settled_pods()
    evidence, silent = app.evidence(pods), app.silent_pods()
    return judge.proxies_are_stable(pods, datetime.now(UTC), app.where, evidence, silent=silent)
