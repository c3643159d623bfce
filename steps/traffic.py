"""Steps of features/5_traffic: TRF-01 to TRF-07."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from pytest_bdd import given, parsers, then, when

from facts.guide import GuideAnswer
from facts.istio.gateway_api import GatewayClass
from facts.traffic.paths import Bounds
from judge import conditions
from judge.traffic import callers as judge
from judge.traffic import gateways as gateways_judge
from judge.traffic import paths as paths_judge
from judge.traffic.exchanges import Pair
from observe.install import Install
from observe.proxies.survey import read_fleet
from observe.wait import Pace
from provision.faults import FAULTS, Fault
from provision.pods.clients_and_servers import TestPods, caller_and_called_in
from provision.pods.conversations import Conversation, Conversations
from provision.pods.ingress_access import IngressAccess, IngressSetup
from provision.target import Target
from settings import Settings
from steps.shared import Conclude, Gather


def pair_of(conversation: Conversation) -> Pair:
    """Return the client and the server of a conversation."""
    return Pair(conversation.client, conversation.server, conversation.trust_domain)


@given("at least two nodes that take workloads")
def two_nodes(requirement: str, install: Install) -> None:
    conditions.needs_two_nodes(requirement, install.cluster.nodes(), install.cluster.workload_nodes())


@given(parsers.parse('the test pods "{client}" and "{server}"'))
def two_test_pods(client: str, server: str, test_pods: TestPods) -> None:
    test_pods.known_to(client, server)


@given(parsers.parse('the test pods "{client}" and "{server}" on different nodes'))
def on_different_nodes(client: str, server: str, test_pods: TestPods) -> None:
    test_pods.known_on_another_node(client, server)


@given("a policy that lets only alpha call beta")
@given("policies that let alpha call gamma only below /open/, but not below /open/vault/")
def policy(test_pods: TestPods) -> None:
    test_pods.begin()  # the policies are applied before any test pod


@when(parsers.re(r"(?P<client>\S+) sends (?P<count>\d+) requests to (?P<server>\S+)"), converters={"count": int})
def sends_over_http(client: str, count: int, server: str, conversations: Conversations) -> None:
    conversations.over_http(client, server, count=count)


@when(parsers.parse("{client} opens {count:d} TCP connections to {server}"))
def connects_over_tcp(client: str, count: int, server: str, conversations: Conversations) -> None:
    conversations.over_tcp(client, server, count=count)


@when(parsers.parse("{client} sends {count:d} plain-text requests to the address of {server}"))
def sends_plain_text(client: str, count: int, server: str, conversations: Conversations) -> None:
    conversations.by_address(client, server, count=count)


@then(parsers.parse("{server} itself must have answered each request once"))
def answered_once(server: str, requirement: str, conversations: Conversations, conclude: Conclude) -> None:
    last = conversations.last_with(server)
    conclude(judge.answered_once(requirement, pair_of(last), last.exchange))


@then(parsers.re(r"(?P<server>\S+) must have seen exactly the SPIFFE ID of (?P<client>(?!the )\S+) each time"))
def caller_was_seen(
    client: str, server: str, requirement: str, conversations: Conversations, install: Install, conclude: Conclude
) -> None:
    last = conversations.between(client, server)
    conclude(judge.caller_was_seen(requirement, pair_of(last), last.exchange, install.teleport.bundle()))


@then("each request must have used its own mTLS handshake between their proxies")
def each_used_a_handshake(requirement: str, conversations: Conversations, conclude: Conclude) -> None:
    said = (judge.every_request_was_a_handshake(requirement, pair_of(each), each.exchange) for each in conversations.all())
    conclude(*said)


@then(parsers.parse('{server} must have refused each request with 403 and "RBAC: access denied"'))
def denied_by_policy(
    server: str, requirement: str, conversations: Conversations, install: Install, conclude: Conclude
) -> None:
    last = conversations.last_with(server)
    conclude(judge.denied_by_policy(requirement, pair_of(last), last.exchange, install.teleport.bundle()))


@then(parsers.parse("the proxy of {server} must have reset each connection"))
def plain_text_was_reset(server: str, conversations: Conversations, conclude: Conclude) -> None:
    last = conversations.last_with(server)
    conclude(judge.plain_text_was_refused(pair_of(last), last.exchange))


@then(parsers.parse("{server} must have let in each connection for the principal of {client}"))
def let_in_over_tcp(
    client: str, server: str, requirement: str, conversations: Conversations, install: Install, conclude: Conclude
) -> None:
    last = conversations.between(client, server)
    conclude(judge.let_in_over_tcp(requirement, pair_of(last), last.exchange, install.teleport.bundle()))


@then(parsers.parse("{server} must have refused each connection by its policy"))
def denied_over_tcp(
    server: str, requirement: str, conversations: Conversations, install: Install, conclude: Conclude
) -> None:
    last = conversations.last_with(server)
    conclude(judge.denied_over_tcp(requirement, pair_of(last), last.exchange, install.teleport.bundle()))


# The ingress gateway.


@pytest.fixture
def ingress_setup(install: Install, test_pods: TestPods, target: Target, settings: Settings) -> IngressSetup:
    """Access from ``plain`` to ``beta`` through gateways."""
    plain, beta = test_pods.ready("plain", "beta")
    pace, name = Pace(settings.patience.svid), install.teleport.ping().cluster_name
    reader = install.cluster.reader
    return IngressSetup(target.objects, reader, client=plain, server=beta, trust_domain=name, pace=pace)


@given("an ingress gateway in the mesh")
def ingress_gateway(requirement: str, install: Install) -> None:
    planes, gateways = install.istio.planes(), install.istio.ingress_gateways()
    conditions.needs_an_ingress_gateway(requirement, planes, gateways, install.cluster.pods_evidence())


@given("the Gateway API in the cluster", target_fixture="gateway_class")
def gateway_api(install: Install) -> GatewayClass:
    return conditions.needs_the_gateway_api(install.cluster.gateway_api(), install.istio.gateway_classes())


@given("beta behind that gateway", target_fixture="access")
def behind_the_meshs_gateway(install: Install, ingress_setup: IngressSetup, conclude: Conclude) -> IngressAccess:
    ingress = install.istio.ingress()
    if ingress is None:  # the certificates of the gateways can be judged without it
        fleet, gateways = install.istio.gateway_fleet(), install.istio.ingress_gateways()
        certified = gateways_judge.gateways_are_certified(fleet, install.teleport.bundle(), None)
        conclude(certified, gateways_judge.no_way_in(gateways))
    assert ingress is not None, "the conclusion above ends the scenario"
    return ingress_setup.open(ingress, install.istio.gateway_pods(ingress.gateway))


@given("beta behind a gateway that istiod deploys with the node's socket", target_fixture="access")
def behind_a_new_gateway(gateway_class: GatewayClass, install: Install, ingress_setup: IngressSetup) -> IngressAccess:
    return ingress_setup.build(gateway_class.name, install.istio.mesh().revision, install.tbot.socket_directories())


@when(parsers.parse("plain sends {count:d} requests through the gateway to beta"), target_fixture="through_gateway")
def sends_through(count: int, access: IngressAccess, conversations: Conversations) -> Conversation:
    return conversations.through(access, "plain", "beta", count=count)


@then("every ingress gateway must have an identity from tbot")
def gateways_are_certified(through_gateway: Conversation, install: Install, conclude: Conclude) -> None:
    fleet, bundle = install.istio.gateway_fleet(), install.teleport.bundle()
    conclude(gateways_judge.gateways_are_certified(fleet, bundle, through_gateway.exchange.ledger))


@then("that gateway must have an identity from tbot")
def that_gateway_is_certified(
    through_gateway: Conversation, access: IngressAccess, install: Install, conclude: Conclude
) -> None:
    fleet, bundle = read_fleet(install.cluster.reader, access.pods), install.teleport.bundle()
    conclude(gateways_judge.gateways_are_certified(fleet, bundle, through_gateway.exchange.ledger))


@then("beta must have seen exactly the SPIFFE ID of the gateway each time")
def gateway_was_seen(through_gateway: Conversation, access: IngressAccess, install: Install, conclude: Conclude) -> None:
    pair, bundle = pair_of(through_gateway), install.teleport.bundle()
    conclude(gateways_judge.gateway_reaches(access.identity, access.pods, pair, through_gateway.exchange, bundle))


# Paths.


@when("alpha requests these paths from gamma:", target_fixture="paths")
def requests_paths(datatable: list[list[str]], conversations: Conversations) -> Conversation:
    _title, *rows = datatable
    return conversations.over_http("alpha", "gamma", paths=[path for (path,) in rows])


@then(parsers.parse("gamma must have let in {inside}, and refused {closed} and {vault}"))
def policies_are_in_force(inside: str, closed: str, vault: str, paths: Conversation, conclude: Conclude) -> None:
    conclude(paths_judge.policy_tells_paths_apart(pair_of(paths), paths.exchange, inside, (closed, vault)))


@then(parsers.parse("no request must have reached gamma under a path that leads outside {allowed} or into {closed}"))
def no_path_bypasses_policies(allowed: str, closed: str, paths: Conversation, install: Install, conclude: Conclude) -> None:
    bounds, normalization = Bounds(allowed, closed), install.istio.mesh().normalization
    conclude(paths_judge.no_path_leads_outside(pair_of(paths), paths.exchange, bounds, normalization))


# Faults that the guide's checklist misses.


@given(parsers.parse('the fault "{name}"'), target_fixture="fault")
def inject(name: str, target: Target, cleanup: ExitStack) -> Fault:
    fault = FAULTS[name]
    cleanup.enter_context(fault.inject(target.scene()))
    return fault


@given("two test pods that start under the fault", target_fixture="pods_under_fault")
def pods_under_fault(fault: Fault, gather: Gather, cleanup: ExitStack) -> TestPods:
    made = gather(caller_and_called_in(fault.name))
    cleanup.callback(made.remove)
    made.begin()
    return made


@when("the suite runs the guide's checklist as it is written:", target_fixture="guide_answers")
def run_the_checklist(datatable: list[list[str]], install: Install) -> tuple[GuideAnswer, ...]:
    _title, *rows = datatable
    return tuple(install.guide.run(command) for (command,) in rows)


@when(parsers.parse("one of the test pods sends {count:d} requests to the other"), target_fixture="failed_requests")
def sends_under_fault(count: int, pods_under_fault: TestPods, install: Install, settings: Settings) -> Conversation:
    held = Conversations(pods_under_fault, install.cluster.reader, install.teleport.ping().cluster_name)
    return held.until_none_arrives("alpha", "beta", count=count, pace=Pace(settings.patience.svid))


@then("the guide must find nothing wrong, and every request must fail because of the name in a certificate")
def checklist_misses_the_fault(
    fault: Fault, guide_answers: tuple[GuideAnswer, ...], failed_requests: Conversation, install: Install, conclude: Conclude
) -> None:
    pair, bundle = pair_of(failed_requests), install.teleport.bundle()
    conclude(judge.unseen_by_the_checklist(fault.description, guide_answers, pair, failed_requests.exchange, bundle))
