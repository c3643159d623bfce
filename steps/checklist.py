"""Steps of features/2_checklist/checklist.feature: CHK-1 to CHK-9."""

from __future__ import annotations

from datetime import UTC, datetime

from pytest_bdd import parsers, then, when

from checks.mtls import Sweeps
from checks.rotation import proxies_to_renew
from facts.guide import GuideAnswer
from judge import checklist as judge
from judge import conditions
from observe.guide.application import ApplicationFacet
from observe.install import Install
from steps.shared import Conclude


@when(parsers.re(r'the suite runs the guide\'s command "(?P<command>.+)"'), target_fixture="guide")
def run_the_guides_command(command: str, install: Install) -> GuideAnswer:
    return install.guide.run(command)


@then("istiod must be available, with Teleport's trust domain and an injection template that works")
def istio_is_installed(guide: GuideAnswer, install: Install, conclude: Conclude) -> None:
    istio, ping, named = install.istio, install.teleport.ping(), install.names.injection_template
    asked = istio.mesh_of_the_application()
    # Where no revision injects the namespace of the dry runs, an answer would be about no control plane.
    dry_run = istio.dry_run("") if asked is not None else None
    control = istio.control_of(dry_run) if dry_run is not None else None
    conclude(*judge.istio_installed(guide, istio.planes(), asked, ping, dry_run=dry_run, named=named, control=control))


@then("the token must let this cluster's tbot join")
def token_lets_tbot_join(guide: GuideAnswer, install: Install, conclude: Conclude) -> None:
    conditions.needs_the_kubernetes_join("CHK-2", install.tbot.all())
    teleport, jwks = install.teleport, install.cluster.jwks()
    joinings = teleport.joinings_by_kubernetes()
    conclude(*(judge.token_created(guide, each, jwks, teleport.role_of(each.known_bot)) for each in joinings))


@then("the role must grant the workload identity")
def role_grants_the_identity(guide: GuideAnswer, install: Install, conclude: Conclude) -> None:
    conclude(*(judge.role_created(guide, grants) for grants in install.teleport.grants()))


@then("the workload identity must issue SPIFFE IDs in Istio's format")
def identity_has_istios_format(guide: GuideAnswer, install: Install, conclude: Conclude) -> None:
    conclude(judge.identity_created(guide, install.teleport.identities()))


@then("a Ready tbot pod must run on every node that hosts injected pods")
def tbot_is_ready_everywhere(guide: GuideAnswer, install: Install, conclude: Conclude) -> None:
    tbots, hosts, cluster = install.tbot.all(), install.proxies.pods_by_node(), install.cluster
    seen, unlisted = cluster.pods_evidence(), cluster.unlisted(hosts)
    conclude(judge.tbot_running(guide, tbots, hosts, datetime.now(UTC), seen, unlisted=unlisted))


@then("every sidecar on the nodes' sockets must hold an identity that Teleport issued")
def sidecars_hold_teleports_identity(guide: GuideAnswer, install: Install, sweeps: Sweeps, conclude: Conclude) -> None:
    conclude(judge.tbot_issues(guide, proxies_to_renew(install, sweeps), install.teleport.bundle()))


@then("the test application must run with its own identity from Teleport")
def application_has_its_own_identity(
    guide: GuideAnswer, test_application: ApplicationFacet, install: Install, conclude: Conclude
) -> None:
    app, bundle = test_application, install.teleport.bundle()
    fleet, pods = app.fleet(), app.pods_once_settled()
    conclude(judge.test_app_running(guide, pods, app.deployment(), fleet, bundle, silent=app.silent_pods()))


@then("the socket in the pod must be the node's socket, with live SDS streams on it")
def socket_is_the_nodes(
    guide: GuideAnswer, test_application: ApplicationFacet, install: Install, conclude: Conclude
) -> None:
    app, directories = test_application, install.tbot.socket_directories()
    fleet, pods = app.fleet(), app.pods()
    conclude(judge.socket_exists(guide, pods, fleet, directories, silent=app.silent_pods()))


@then("the proxy must take its secrets from the external SDS socket")
def proxy_uses_the_socket(guide: GuideAnswer, test_application: ApplicationFacet, conclude: Conclude) -> None:
    fleet, pods, silent = test_application.fleet(), test_application.pods(), test_application.silent_pods()
    conclude(judge.proxy_detects_socket(guide, pods, fleet, silent=silent))
