"""Steps of features/1_install/5_test_app.feature: INST-15."""

from __future__ import annotations

from pytest_bdd import given, then

from checks import application as checks
from facts.kubernetes.objects import Pod
from observe.guide.application import ApplicationFacet
from observe.install import Install
from steps.shared import Conclude


@given("the pods of the test application", target_fixture="app_pods")
def app_pods(test_application: ApplicationFacet) -> tuple[Pod, ...]:
    return test_application.settled_pods()


@then("at least one node must match their node selector")
def a_node_fits(install: Install, conclude: Conclude) -> None:
    conclude(checks.some_node_fits(install))


@then("the desired number of pods must be Ready with a started istio-proxy")
def pods_are_ready(install: Install, conclude: Conclude) -> None:
    conclude(checks.pods_are_ready(install))


@then("the workload-socket volume of every pod must be the node's socket directory")
def pods_use_the_nodes_socket(install: Install, conclude: Conclude) -> None:
    conclude(checks.pods_use_the_nodes_socket(install))


@then("no istio-proxy must have restarted recently")
def no_recent_restart(install: Install, conclude: Conclude) -> None:
    conclude(checks.proxies_are_stable(install))
