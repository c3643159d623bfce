"""Sentences of ``features/4_traffic``: TRF-01 to TRF-07."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
from pytest_bdd import given, parsers, then, when

from facts.errors import CouldNotTell
from facts.evidence import Recorder
from facts.finding import Finding
from facts.guide import GuideAnswer
from facts.istio.gateway_api import istiods
from facts.teleport.bundle import TrustBundle
from facts.traffic.ledger import Exchange
from facts.traffic.paths import Bounds
from judge.traffic import callers as judge
from judge.traffic import gateways as gateways_judge
from judge.traffic import paths as paths_judge
from judge.traffic.exchanges import HTTP, TCP, Pair
from observe.install import Install
from observe.proxies.envoy import read_fleet
from observe.traffic.requests import exchange
from observe.wait import NotYet, Pace, eventually
from provision.faults import FAULTS, Fault
from provision.pods.clients_and_servers import TestPod, TestPods
from provision.pods.ingress_access import IngressAccess, IngressSetup
from provision.target import Target
from settings import Settings
from steps.conclusions import must_hold


@dataclass(frozen=True, slots=True)
class Asked:
    """What one client asked of one server, and who they are."""

    pair: Pair
    exchange: Exchange


class Conversations:
    """What the clients of one scenario ask, by client and server."""

    def __init__(self, test_pods: TestPods, install: Install) -> None:
        self._test_pods = test_pods
        self._install = install
        self._held: dict[tuple[str, str], Asked] = {}

    def hold(
        self, client: str, server: str, urls: Sequence[str], *, count: int = 1, access: IngressAccess | None = None
    ) -> None:
        """Lets a client ask, through a gateway if one is given."""
        calling, called = self._test_pods.known_to(client, server)
        pair = Pair(calling, called, self._install.teleport.ping().cluster_name)
        host, through = (access.host, access.pods) if access else ("", ())
        held = exchange(self._install.cluster.reader, calling, called, urls, count=count, host=host, through=through)
        self._held[client, server] = Asked(pair, held)

    def address(self, server: str) -> str:
        """A server as its Service is called."""
        return f"{server}.{self._test_pods.namespace(server)}"

    def bundle(self) -> TrustBundle:
        """The authorities that whoever talks here must be certified by."""
        return self._install.teleport.bundle()

    def between(self, client: str, server: str) -> Asked:
        """What a client asked of a server."""
        return self._held[client, server]

    def last_with(self, server: str) -> Asked:
        """What was asked of a server last."""
        return next(self._held[pair] for pair in reversed(self._held) if pair[1] == server)

    def all(self) -> tuple[Asked, ...]:
        """Everything that was asked."""
        return tuple(self._held.values())


Conclude = Callable[[Callable[[], Finding]], None]


@pytest.fixture
def requirement(request: pytest.FixtureRequest) -> str:
    """The requirement that the scenario is about: some sentences are used for several."""
    return str(request.node.get_closest_marker("requirement").kwargs["id"])


@pytest.fixture
def inapplicable() -> Finding | None:
    """Why the requirement does not apply; most scenarios have no such condition."""
    return None


@pytest.fixture
def conversations(test_pods: TestPods, install: Install) -> Conversations:
    """What is asked in this scenario."""
    return Conversations(test_pods, install)


@pytest.fixture
def conclude(inapplicable: Finding | None, recorder: Recorder) -> Conclude:
    """Records a finding, which is not even looked for where the requirement does not apply, and fails unless it holds."""
    return lambda judged: must_hold(recorder, inapplicable or judged())


@given("at least two nodes that take workloads", target_fixture="inapplicable")
def two_nodes(install: Install) -> Finding | None:
    return judge.needs_two_nodes(install.cluster.nodes(), install.cluster.workload_nodes())


@given(parsers.parse('the workloads "{client}" and "{server}"'))
def two_workloads(client: str, server: str, test_pods: TestPods) -> None:
    test_pods.known_to(client, server)


@given(parsers.parse('the workloads "{client}" and "{server}" on different nodes'))
def on_different_nodes(client: str, server: str, inapplicable: Finding | None, test_pods: TestPods) -> None:
    if inapplicable is None:
        one, other = test_pods.known_to(client, server)
        if one.node == other.node:
            raise CouldNotTell(
                expected="the workloads on two nodes",
                seen=f"both on {one.node}",
                where=f"{one.ref}, {other.ref}",
                remedy="see whether something moves pods, and run again",
            )


@given("a policy that lets only alpha call beta")
@given("policies that let alpha call gamma below /open/ alone, and there not below /open/vault/")
def policy(test_pods: TestPods) -> None:
    test_pods.begin()  # it is there before any workload is


@when(parsers.re(r"(?P<client>\S+) sends (?P<count>\d+) requests to (?P<server>\S+)"), converters={"count": int})
def sends(client: str, count: int, server: str, inapplicable: Finding | None, conversations: Conversations) -> None:
    if inapplicable is None:
        conversations.hold(client, server, [f"http://{conversations.address(server)}:{HTTP}/"], count=count)


@when(parsers.parse("{client} opens {count:d} TCP connections to {server}"))
def opens(client: str, count: int, server: str, inapplicable: Finding | None, conversations: Conversations) -> None:
    if inapplicable is None:
        conversations.hold(client, server, [f"tcp://{conversations.address(server)}:{TCP}"], count=count)


@when(parsers.parse("{client} sends {count:d} requests in plain text to the address of {server}"))
def sends_plain(client: str, count: int, server: str, test_pods: TestPods, conversations: Conversations) -> None:
    (pod,) = test_pods.ready(server)
    conversations.hold(client, server, [f"http://{pod.ip}:{HTTP}/"], count=count)


@then(parsers.parse("{server} itself must have answered each of them, once"))
def answered(server: str, requirement: str, conversations: Conversations, conclude: Conclude) -> None:
    def judged() -> Finding:
        last = conversations.last_with(server)
        return judge.answered_once(requirement, last.pair, last.exchange)

    conclude(judged)


@then(parsers.re(r"(?P<server>\S+) must have seen exactly the SPIFFE ID of (?P<client>(?!the )\S+) each time"))
def seen(client: str, server: str, requirement: str, conversations: Conversations, conclude: Conclude) -> None:
    def judged() -> Finding:
        last = conversations.between(client, server)
        return judge.caller_was_seen(requirement, last.pair, last.exchange, conversations.bundle())

    conclude(judged)


@then("each request must have been a handshake of its own between their proxies")
def handshakes(requirement: str, conversations: Conversations, recorder: Recorder) -> None:
    for each in conversations.all():
        must_hold(recorder, judge.every_request_was_a_handshake(requirement, each.pair, each.exchange))


@then(parsers.parse('{server} must have refused each of them with 403 and "RBAC: access denied"'))
def denied(server: str, requirement: str, conversations: Conversations, recorder: Recorder) -> None:
    last = conversations.last_with(server)
    must_hold(recorder, judge.denied_by_policy(requirement, last.pair, last.exchange, conversations.bundle()))


@then(parsers.parse("each of them must have been reset by the proxy of {server}"))
def reset(server: str, conversations: Conversations, recorder: Recorder) -> None:
    last = conversations.last_with(server)
    must_hold(recorder, judge.plain_text_was_refused(last.pair, last.exchange))


@then(parsers.parse("{server} must have let in each of them for the principal of {client}"))
def let_in(client: str, server: str, requirement: str, conversations: Conversations, conclude: Conclude) -> None:
    def judged() -> Finding:
        last = conversations.between(client, server)
        return judge.let_in_over_tcp(requirement, last.pair, last.exchange, conversations.bundle())

    conclude(judged)


@then(parsers.parse("{server} must have refused each of them by its policy"))
def refused_over_tcp(server: str, requirement: str, conversations: Conversations, conclude: Conclude) -> None:
    def judged() -> Finding:
        last = conversations.last_with(server)
        return judge.denied_over_tcp(requirement, last.pair, last.exchange, conversations.bundle())

    conclude(judged)


# The ingress gateway.


@given("an ingress gateway", target_fixture="inapplicable")
def ingress_gateway(install: Install) -> Finding | None:
    return gateways_judge.needs_an_ingress_gateway(
        install.istio.mesh(), install.istio.ingress_gateways(), install.cluster.pods_evidence()
    )


@given("the Gateway API in this cluster", target_fixture="inapplicable")
def gateway_api(install: Install) -> Finding | None:
    return gateways_judge.needs_the_gateway_api(install.cluster.gateway_api(), install.istio.gateway_classes())


@pytest.fixture
def ingress_setup(install: Install, test_pods: TestPods, target: Target, settings: Settings) -> IngressSetup:
    """Opens gateways in front of beta."""
    plain, beta = test_pods.ready("plain", "beta")
    pace, name = Pace(settings.patience.svid), install.teleport.ping().cluster_name
    return IngressSetup(target.objects, install.cluster.reader, client=plain, server=beta, trust_domain=name, pace=pace)


@given("beta behind it", target_fixture="access")
def behind_the_meshs(inapplicable: Finding | None, install: Install, ingress_setup: IngressSetup) -> IngressAccess | None:
    ingress = install.istio.ingress()
    if inapplicable is not None or ingress is None:
        return None
    return ingress_setup.open(ingress, install.istio.gateway_pods(ingress.gateway))


@given("beta behind a gateway that istiod deploys on the node's socket", target_fixture="access")
def behind_its_own(inapplicable: Finding | None, install: Install, ingress_setup: IngressSetup) -> IngressAccess | None:
    served = istiods(install.istio.gateway_classes())
    if inapplicable is not None or served is None:
        return None
    return ingress_setup.build(served.name, install.istio.mesh().revision, install.tbot.socket_directory())


@when(parsers.parse("plain sends {count:d} requests through the gateway to beta"), target_fixture="through")
def sends_through(count: int, access: IngressAccess | None, conversations: Conversations) -> Asked | None:
    if access is None:
        return None
    conversations.hold("plain", "beta", [access.url], count=count, access=access)
    return conversations.between("plain", "beta")


@then("every ingress gateway must have an identity from tbot")
def gateways(through: Asked | None, install: Install, conclude: Conclude) -> None:
    ledger = through.exchange.ledger if through else None
    conclude(lambda: gateways_judge.gateways_are_certified(install.istio.gateway_fleet(), install.teleport.bundle(), ledger))


@then("that gateway must have an identity from tbot")
def that_gateway(through: Asked | None, access: IngressAccess | None, install: Install, conclude: Conclude) -> None:
    ledger = through.exchange.ledger if through else None
    pods = access.pods if access else ()
    conclude(
        lambda: gateways_judge.gateways_are_certified(
            read_fleet(install.cluster.reader, pods), install.teleport.bundle(), ledger
        )
    )


@then("beta must have seen exactly the SPIFFE ID of the gateway each time")
def seen_gateway(through: Asked | None, access: IngressAccess | None, install: Install, conclude: Conclude) -> None:
    def judged() -> Finding:
        if through is None or access is None:
            return gateways_judge.no_way_in(install.istio.ingress_gateways())
        return gateways_judge.gateway_reaches(
            access.identity, access.pods, through.pair, through.exchange, install.teleport.bundle()
        )

    conclude(judged)


# Paths.


@when("alpha asks gamma for these paths:", target_fixture="paths")
def asks_paths(datatable: list[list[str]], conversations: Conversations) -> Asked:
    _title, *rows = datatable
    conversations.hold("alpha", "gamma", [f"http://{conversations.address('gamma')}:{HTTP}{path}" for (path,) in rows])
    return conversations.between("alpha", "gamma")


@then(parsers.parse("{inside} must have been let in, and {closed} and {vault} refused"))
def paths_told_apart(inside: str, closed: str, vault: str, paths: Asked, recorder: Recorder) -> None:
    must_hold(recorder, paths_judge.policy_tells_paths_apart(paths.pair, paths.exchange, inside, (closed, vault)))


@then(parsers.parse("no request may have reached gamma under a path that leads outside {allowed} or into {closed}"))
def no_way_around(allowed: str, closed: str, paths: Asked, install: Install, recorder: Recorder) -> None:
    bounds, normalization = Bounds(allowed, closed), install.istio.mesh().normalization
    must_hold(recorder, paths_judge.no_path_leads_outside(paths.pair, paths.exchange, bounds, normalization))


# What the guide's checklist does not see.


@pytest.fixture
def undone() -> Iterator[ExitStack]:
    """Takes what has to be undone at the end of the scenario."""
    with ExitStack() as stack:
        yield stack


@given(parsers.parse('the fault "{name}"'), target_fixture="fault")
def inject(name: str, target: Target, undone: ExitStack) -> Fault:
    fault = FAULTS[name]
    undone.enter_context(fault.inject(target.scene()))
    return fault


@given("two workloads that were started under it", target_fixture="newcomers")
def start_newcomers(fault: Fault, gather: Callable[[Iterable[TestPod]], TestPods], undone: ExitStack) -> TestPods:
    pair = (("alpha", ()), ("beta", ("alpha",)))
    newcomers = gather(TestPod(name, name, namespace=fault.name, callers=callers) for name, callers in pair)
    undone.callback(newcomers.remove)
    newcomers.begin()
    return newcomers


@when("the guide's checklist is run as it is written:", target_fixture="answers")
def run_checklist(datatable: list[list[str]], install: Install) -> tuple[GuideAnswer, ...]:
    _title, *rows = datatable
    return tuple(install.guide.run(command) for (command,) in rows)


@when(parsers.parse("one of them sends {count:d} requests to the other"), target_fixture="failed")
def newcomers_ask(count: int, newcomers: TestPods, install: Install, settings: Settings) -> Asked:
    conversations = Conversations(newcomers, install)
    url = f"http://{conversations.address('beta')}:{HTTP}/"

    def look() -> Asked:
        conversations.hold("alpha", "beta", [url], count=count)
        held = conversations.between("alpha", "beta")
        if held.exchange.ledger.words:
            raise NotYet("requests still pass")
        return held

    return eventually("the fault shows in traffic", look, Pace(settings.patience.svid))


@then("the guide must find nothing wrong, and every request must end for the name in a certificate")
def unseen(fault: Fault, answers: tuple[GuideAnswer, ...], failed: Asked, install: Install, recorder: Recorder) -> None:
    found = judge.unseen_by_the_checklist(
        fault.description, answers, failed.pair, failed.exchange, install.teleport.bundle()
    )
    must_hold(recorder, found)
