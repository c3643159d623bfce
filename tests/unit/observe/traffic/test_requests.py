"""Traffic, watched: the ledger that a client prints, between two readings of both proxies' counters."""

from __future__ import annotations

import json
from typing import Any

import pytest

from facts.errors import CouldNotTell
from facts.proxies import envoy
from facts.proxies.envoy_traffic import COUNTERS
from facts.recorder import KeptInMemory
from facts.traffic.handshakes import Ended
from facts.traffic.ledger import Outcome
from observe.kubernetes.cluster import Cluster
from observe.kubernetes.streams import ERROR, STDERR, STDOUT
from observe.traffic.requests import exchange, handshakes_with
from tests.data import document, text
from tests.unit.facts.traffic.test_ledger import ENDS, entry, said
from tests.unit.judge import builders as make
from tests.unit.observe.api_server import ApiServer, Canned
from tests.unit.observe.captured import ENCODED

SUCCESS = b'{"status": "Success"}'
FILES = {
    envoy.ACTIVE_SECRETS: "active_secrets",
    envoy.WARMING_SECRETS: "warming_secrets",
    envoy.BOOTSTRAP: "bootstrap",
    envoy.SDS_HOSTS: "sds_hosts",
    envoy.SERVER: "server",
}
ALPHA = make.pod("alpha", namespace="run", service_account="alpha")
BETA = make.pod("beta", namespace="run", service_account="beta")
PLAIN = make.pod("plain", namespace="run", injected=False, socket=None)


RBAC = "type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC"
ENFORCES = {"@type": RBAC, "rules": {"action": "DENY", "policies": {"ns[shop]-policy[none]-rule[0]": {}}}}
LISTENERS = {"configs": [{"active_state": {"listener": {"filter_chains": [{"filters": [{"typed_config": ENFORCES}]}]}}}]}


class Proxies(dict[str, Any]):
    """The captured proxy, with statistics that rise by 2 from reading to reading."""

    readings = 0

    def get(self, path: str, default: Any = None) -> Any:
        if "mask=name" in path:
            return Canned(LISTENERS)
        if "rbac" not in path:
            return super().get(path, default)
        self.readings += 1
        value = 2 * ((self.readings + 1) // 2)
        return Canned({"stats": [{"name": "tcp.rbac.denied", "value": value}]})


def asked(server: ApiServer, **changes: Any) -> None:
    """Lets the client print a ledger of one request."""
    ledger = {"client": ENDS["client"], "requests": [entry(**{"body": said(), **changes})]}
    server.frames = [(STDOUT, json.dumps(ledger).encode()), (ERROR, SUCCESS)]


@pytest.fixture
def answering(server: ApiServer) -> ApiServer:
    asked(server)
    answers = {ENCODED[path]: Canned(document(f"healthy/{file}.json")) for path, file in FILES.items()}
    server.http = Proxies(answers | {ENCODED[envoy.AGENT_METRICS]: Canned(text("healthy/agent_metrics.txt"))})
    return server


def test_the_ledger_and_what_was_counted_meanwhile(answering: ApiServer, cluster: Cluster, recorder: KeptInMemory) -> None:
    found = exchange(cluster, ALPHA, BETA, ["http://beta.run:8080/"], count=5, host="beta.example")
    assert [r.outcome for r in found.ledger.requests] == [Outcome.ANSWERED]
    assert found.client is not None
    assert found.server is not None
    assert found.server.rbac("denied", tcp=True) == 2
    kept = [recorder.evidence[e] for e in found.evidence if e in recorder.evidence]
    (told,) = [e for e in kept if e.parser == "facts.traffic.ledger.parse_ledger"]
    assert told.question == (
        "kubectl exec -n run alpha -c traffic -- python3 /traffic/traffic.py call http://beta.run:8080/ "
        "--count 5 --timeout 3 --host beta.example"
    )
    assert [p.pod.name for p in found.proxies] == ["alpha", "beta", "alpha", "beta"]
    assert found.held_by(ALPHA)[0].leaf is not None
    assert found.policies == ()
    counted = [e for e in kept if e.parser == "facts.proxies.envoy_traffic.parse_counters"]
    assert len(counted) == 4
    assert {e.subject.name for e in counted} == {"alpha", "beta"}
    assert all(COUNTERS in e.question for e in counted)


def test_a_client_without_a_proxy_counts_nothing(answering: ApiServer, cluster: Cluster) -> None:
    found = exchange(cluster, PLAIN, BETA, ["http://10.0.0.1:8080/"])
    assert found.client is None
    assert found.server is not None


def test_where_a_request_was_refused_the_policies_on_the_way_are_read(
    answering: ApiServer, cluster: Cluster, recorder: KeptInMemory
) -> None:
    asked(answering, status=403, body="RBAC: access denied")
    found = exchange(cluster, PLAIN, BETA, ["http://10.0.0.1:8080/"], through=[ALPHA])
    assert [str(p) for p in found.policies] == ["AuthorizationPolicy shop/none (DENY)"] * 2
    assert [p.enforced_by for p in found.policies] == ["run/beta", "run/alpha"]
    assert [p.pod.name for p in found.proxies] == ["beta", "alpha"] * 2
    assert {recorder.evidence[e].parser for e in found.policies_evidence} == {"facts.proxies.policies.parse_policies"}
    assert set(found.policies_evidence) <= set(found.evidence)


@pytest.mark.parametrize(
    "frames",
    [
        [(STDERR, b"python3: not found"), (ERROR, b'{"details": {"causes": [{"reason": "ExitCode", "message": "127"}]}}')],
        [(STDOUT, b"no ledger"), (ERROR, SUCCESS)],
    ],
)
def test_without_a_ledger_the_suite_cannot_tell(
    answering: ApiServer, cluster: Cluster, frames: list[tuple[int, bytes] | None]
) -> None:
    answering.frames = frames
    with pytest.raises(CouldNotTell):
        exchange(cluster, ALPHA, BETA, ["http://beta.run:8080/"])


def test_a_handshake_with_each_server_as_the_request_over_it_ended(
    answering: ApiServer, cluster: Cluster, recorder: KeptInMemory
) -> None:
    urls = ["http://beta.run:8080/", "http://plain.run:8080/"]
    requests = [entry(url=urls[0], body=said()), entry(url=urls[1], status=403, body="RBAC: access denied")]
    ledger = {"client": ENDS["client"], "requests": requests}
    answering.frames = [(STDOUT, json.dumps(ledger).encode()), (ERROR, SUCCESS)]
    to_beta, to_plain = handshakes_with(cluster, ALPHA, {urls[0]: (BETA, 8080), urls[1]: (PLAIN, 9090)})
    assert (to_beta.client, to_beta.server, to_beta.port) == (ALPHA.ref, BETA.ref, 8080)
    assert to_beta.ended in (Ended.MUTUAL, Ended.PLAIN)
    assert (to_plain.server, to_plain.port, to_plain.ended) == (PLAIN.ref, 9090, Ended.LET_IN)
    assert {*to_beta.evidence} <= {*recorder.evidence}
    assert to_beta.evidence
