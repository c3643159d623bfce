"""Sentences of ``features/2_checklist/checklist.feature``: CHK-1 to CHK-9."""

from __future__ import annotations

from datetime import UTC, datetime

from pytest_bdd import parsers, then, when

from facts.evidence import Recorder
from facts.guide import GuideAnswer
from judge import checklist as judge
from observe.install import Install
from steps.conclusions import must_hold


@when(parsers.re(r'the guide\'s command "(?P<command>.+)" is run'), target_fixture="guide")
def guide(command: str, install: Install) -> GuideAnswer:
    return install.guide(command)


@then("istiod must be available with Teleport's trust domain and a template that injects")
def istio(guide: GuideAnswer, install: Install, recorder: Recorder) -> None:
    template = install.injection_template()
    must_hold(recorder, judge.istio_installed(guide, install.mesh(), install.ping(), install.dry_run(""), template))


@then("the token must let this cluster's tbot join")
def token(guide: GuideAnswer, install: Install, recorder: Recorder) -> None:
    finding = judge.token_created(
        guide,
        install.token(),
        install.jwks(),
        service_account=install.tbot().service_account,
        bot=install.bot(),
        role=install.role_name(),
    )
    must_hold(recorder, finding)


@then("the role must grant the workload identity")
def role(guide: GuideAnswer, install: Install, recorder: Recorder) -> None:
    must_hold(recorder, judge.role_created(guide, install.role(), install.workload_identity()))


@then("the workload identity must build IDs in Istio's form")
def identity(guide: GuideAnswer, install: Install, recorder: Recorder) -> None:
    must_hold(recorder, judge.identity_created(guide, install.workload_identity()))


@then("a ready tbot pod must run on every node that hosts injected pods")
def tbot(guide: GuideAnswer, install: Install, recorder: Recorder) -> None:
    finding = judge.tbot_running(
        guide, install.tbot(), install.injected_by_node(), datetime.now(UTC), install.pods_evidence()
    )
    must_hold(recorder, finding)


@then("every sidecar on the nodes' sockets must hold an identity that Teleport issued")
def issued(guide: GuideAnswer, install: Install, recorder: Recorder) -> None:
    finding = judge.tbot_issues(
        guide,
        install.fleet_on_sockets(),
        install.bundle(),
        injected=install.injected_pods(),
        evidence=install.pods_evidence(),
    )
    must_hold(recorder, finding)


@then("the test application must run with an identity of its own from Teleport")
def application(guide: GuideAnswer, install: Install, recorder: Recorder) -> None:
    finding = judge.test_app_running(
        guide, install.app_pods(), install.app_deployment(), install.app_fleet(), install.bundle()
    )
    must_hold(recorder, finding)


@then("the socket in the pod must be the node's socket, with live streams on it")
def socket(guide: GuideAnswer, install: Install, recorder: Recorder) -> None:
    finding = judge.socket_exists(guide, install.app_pods(), install.app_fleet(), install.socket_directory())
    must_hold(recorder, finding)


@then("the proxy must take its secrets from the external socket")
def external(guide: GuideAnswer, install: Install, recorder: Recorder) -> None:
    must_hold(recorder, judge.proxy_detects_socket(guide, install.app_pods(), install.app_fleet()))
