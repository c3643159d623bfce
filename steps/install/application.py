"""Steps of features/1_install/5_test_app.feature: INST-15."""

from __future__ import annotations

from datetime import UTC, datetime

from pytest_bdd import given, then

from facts.kubernetes.objects import Pod
from judge.install import application as judge
from observe.guide.application import ApplicationFacet
from observe.install import Install
from steps.shared import Conclude


@given("the pods of the test application", target_fixture="app_pods")
def app_pods(test_application: ApplicationFacet) -> tuple[Pod, ...]:
    return test_application.settled_pods()


@then("at least one node must match their node selector")
def a_node_fits(app_pods: tuple[Pod, ...], install: Install, conclude: Conclude) -> None:
    app = install.application
    conclude(judge.some_node_is_selected(app_pods, app.deployment(), app.nodes(), app.where, app.evidence(app_pods)))


@then("the desired number of pods must be Ready with a started istio-proxy")
def pods_are_ready(app_pods: tuple[Pod, ...], install: Install, conclude: Conclude) -> None:
    app = install.application
    deployment, evidence, silent = app.deployment(), app.evidence(app_pods), app.silent_pods()
    conclude(judge.pods_run_with_a_proxy(app_pods, deployment, datetime.now(UTC), app.where, evidence, silent=silent))


@then("the workload-socket volume of every pod must be the node's socket directory")
def pods_use_the_nodes_socket(app_pods: tuple[Pod, ...], install: Install, conclude: Conclude) -> None:
    app, directories = install.application, install.tbot.socket_directories()
    evidence, silent = app.evidence(app_pods), app.silent_pods()
    conclude(judge.pods_use_the_nodes_socket(app_pods, directories, app.where, evidence, silent=silent))


@then("no istio-proxy must have restarted recently")
def no_recent_restart(app_pods: tuple[Pod, ...], install: Install, conclude: Conclude) -> None:
    app = install.application
    evidence, silent = app.evidence(app_pods), app.silent_pods()
    conclude(judge.proxies_are_stable(app_pods, datetime.now(UTC), app.where, evidence, silent=silent))
