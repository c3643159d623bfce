"""Traffic, watched: the ledger that a client prints, between two readings of both proxies' counters."""

from __future__ import annotations

import json
from typing import Any

import pytest

from facts.envoy_traffic import COUNTERS
from facts.errors import CouldNotTell
from facts.evidence import KeptInMemory
from facts.ledger import Outcome
from observe.cluster import Cluster
from observe.streams import ERROR, STDERR, STDOUT
from observe.traffic import exchange
from tests.unit.facts.test_ledger import ENDS, entry, said
from tests.unit.judge import builders as make
from tests.unit.observe.api_server import ApiServer, Canned

SUCCESS = b'{"status": "Success"}'
ALPHA = make.pod("alpha", namespace="run", service_account="alpha")
BETA = make.pod("beta", namespace="run", service_account="beta")
PLAIN = make.pod("plain", namespace="run", injected=False, socket=None)


class Counting(dict[str, Any]):
    """Envoy's statistics, which rise by 2 from reading to reading."""

    readings = 0

    def get(self, _path: str, _default: Any = None) -> Any:
        self.readings += 1
        value = 2 * ((self.readings + 1) // 2)
        return Canned({"stats": [{"name": "tcp.rbac.denied", "value": value}]})


@pytest.fixture
def answering(server: ApiServer) -> ApiServer:
    ledger = {"client": ENDS["client"], "requests": [entry(body=said())]}
    server.frames = [(STDOUT, json.dumps(ledger).encode()), (ERROR, SUCCESS)]
    server.http = Counting()
    return server


def test_the_ledger_and_what_was_counted_meanwhile(answering: ApiServer, cluster: Cluster, recorder: KeptInMemory) -> None:
    found = exchange(cluster, ALPHA, BETA, ["http://beta.run:8080/"], count=5, host="beta.example")
    assert [r.outcome for r in found.ledger.requests] == [Outcome.ANSWERED]
    assert found.client is not None
    assert found.server is not None
    assert found.server.rbac("denied", tcp=True) == 2
    kept = [recorder.evidence[e] for e in found.evidence]
    (told,) = [e for e in kept if e.parser == "facts.ledger.parse_ledger"]
    assert told.question == (
        "kubectl exec -n run alpha -c traffic -- python3 /traffic/traffic.py call http://beta.run:8080/ "
        "--count 5 --timeout 3 --host beta.example"
    )
    counted = [e for e in kept if e.parser == "facts.envoy_traffic.parse_counters"]
    assert len(counted) == 4
    assert {e.subject.name for e in counted} == {"alpha", "beta"}
    assert all(COUNTERS in e.question for e in counted)


def test_a_client_without_a_proxy_counts_nothing(answering: ApiServer, cluster: Cluster) -> None:
    found = exchange(cluster, PLAIN, BETA, ["http://10.0.0.1:8080/"])
    assert found.client is None
    assert found.server is not None


@pytest.mark.parametrize(
    "frames",
    [
        [(STDERR, b"python3: not found"), (ERROR, b'{"details": {"causes": [{"reason": "ExitCode", "message": "127"}]}}')],
        [(STDOUT, b"no ledger"), (ERROR, SUCCESS)],
    ],
)
def test_without_a_ledger_nobody_can_tell(
    answering: ApiServer, cluster: Cluster, frames: list[tuple[int, bytes] | None]
) -> None:
    answering.frames = frames
    with pytest.raises(CouldNotTell):
        exchange(cluster, ALPHA, BETA, ["http://beta.run:8080/"])
