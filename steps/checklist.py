"""Steps of features/2_checklist/checklist.feature: CHK-1 to CHK-9."""

from __future__ import annotations

from datetime import UTC, datetime

from pytest_bdd import parsers, then, when

from facts.guide import GuideAnswer
from judge import checklist as judge
from observe.install import Install
from steps.shared import Conclude


@when(parsers.re(r'the suite runs the guide\'s command "(?P<command>.+)"'), target_fixture="guide")
def run_the_guides_command(command: str, install: Install) -> GuideAnswer:
    return install.guide.run(command)


@then("istiod must be available, with Teleport's trust domain and an injection template that works")
def istio_is_installed(guide: GuideAnswer, install: Install, conclude: Conclude) -> None:
    template = install.istio.injection_template()
    conclude(
        judge.istio_installed(guide, install.istio.mesh(), install.teleport.ping(), install.istio.dry_run(""), template),
    )


@then("the token must let this cluster's tbot join")
def token_lets_tbot_join(guide: GuideAnswer, install: Install, conclude: Conclude) -> None:
    finding = judge.token_created(
        guide,
        install.teleport.token(),
        install.cluster.jwks(),
        service_account=install.tbot.installed().service_account,
        bot=install.teleport.bot(),
        role=install.teleport.role_name(),
    )
    conclude(finding)


@then("the role must grant the workload identity")
def role_grants_the_identity(guide: GuideAnswer, install: Install, conclude: Conclude) -> None:
    conclude(judge.role_created(guide, install.teleport.role(), install.teleport.workload_identity()))


@then("the workload identity must issue SPIFFE IDs in Istio's format")
def identity_has_istios_format(guide: GuideAnswer, install: Install, conclude: Conclude) -> None:
    conclude(judge.identity_created(guide, install.teleport.workload_identity()))


@then("a Ready tbot pod must run on every node that hosts injected pods")
def tbot_is_ready_everywhere(guide: GuideAnswer, install: Install, conclude: Conclude) -> None:
    finding = judge.tbot_running(
        guide, install.tbot.installed(), install.proxies.pods_by_node(), datetime.now(UTC), install.cluster.pods_evidence()
    )
    conclude(finding)


@then("every sidecar on the nodes' sockets must hold an identity that Teleport issued")
def sidecars_hold_teleports_identity(guide: GuideAnswer, install: Install, conclude: Conclude) -> None:
    finding = judge.tbot_issues(
        guide,
        install.proxies.fleet_on_sockets(),
        install.teleport.bundle(),
        injected=install.proxies.pods(),
        evidence=install.cluster.pods_evidence(),
    )
    conclude(finding)


@then("the test application must run with its own identity from Teleport")
def application_has_its_own_identity(guide: GuideAnswer, install: Install, conclude: Conclude) -> None:
    finding = judge.test_app_running(
        guide,
        install.application.pods(),
        install.application.deployment(),
        install.application.fleet(),
        install.teleport.bundle(),
    )
    conclude(finding)


@then("the socket in the pod must be the node's socket, with live SDS streams on it")
def socket_is_the_nodes(guide: GuideAnswer, install: Install, conclude: Conclude) -> None:
    finding = judge.socket_exists(
        guide, install.application.pods(), install.application.fleet(), install.tbot.socket_directory()
    )
    conclude(finding)


@then("the proxy must take its secrets from the external SDS socket")
def proxy_uses_the_socket(guide: GuideAnswer, install: Install, conclude: Conclude) -> None:
    conclude(judge.proxy_detects_socket(guide, install.application.pods(), install.application.fleet()))
