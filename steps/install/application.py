"""Steps of features/1_install/5_test_app.feature: INST-15."""

from __future__ import annotations

from datetime import UTC, datetime

from pytest_bdd import given, then

from facts.kubernetes.objects import Pod
from judge.install import application as judge
from observe.install import Install
from steps.shared import Conclude


@given("the pods of the test application", target_fixture="app_pods")
def app_pods(install: Install) -> tuple[Pod, ...]:
    return install.application.pods()


@then("at least one node must match their node selector")
def placeable(app_pods: tuple[Pod, ...], install: Install, conclude: Conclude) -> None:
    finding = judge.some_node_is_selected(
        app_pods,
        install.application.deployment(),
        install.application.nodes(),
        install.application.where,
        install.application.evidence(),
    )
    conclude(finding)


@then("the desired number of pods must be Ready with a started istio-proxy")
def ready(app_pods: tuple[Pod, ...], install: Install, conclude: Conclude) -> None:
    conclude(
        judge.pods_run_with_a_proxy(
            app_pods, install.application.deployment(), install.application.where, install.application.evidence()
        ),
    )


@then("the workload-socket volume of every pod must be the node's socket directory")
def socket(app_pods: tuple[Pod, ...], install: Install, conclude: Conclude) -> None:
    finding = judge.pods_use_the_nodes_socket(
        app_pods, install.tbot.socket_directory(), install.application.where, install.application.evidence()
    )
    conclude(finding)


@then("no istio-proxy must have restarted recently")
def no_restart(app_pods: tuple[Pod, ...], install: Install, conclude: Conclude) -> None:
    conclude(
        judge.proxies_are_stable(app_pods, datetime.now(UTC), install.application.where, install.application.evidence()),
    )
