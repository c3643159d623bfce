"""Proxies, each read from a cluster of captures."""

from __future__ import annotations

import pytest

from facts.errors import CouldNotTell, NotGiven
from facts.kubernetes.objects import Pod
from facts.proxies import envoy
from facts.proxies.endpoint_requests import ENDPOINTS
from facts.proxies.identity import Normalization
from facts.proxies.requests import REQUESTS, Called, SentRequests
from facts.proxies.sds_mode import SdsMode
from facts.proxies.tls import questions
from facts.recorder import KeptInMemory
from observe.kubernetes.cluster import Cluster
from observe.kubernetes.streams import ERROR, STDOUT
from observe.proxies.envoy import _quoted, read_admin, read_proxy
from observe.proxies.survey import IDENTITY, NORMALIZATION, SENT_REQUESTS, Part, read_fleet, survey
from observe.proxies.tls import tls_part
from tests.data import text
from tests.unit.facts import tls_dumps as built
from tests.unit.observe.api_server import ApiServer, Canned
from tests.unit.observe.captured import ENCODED


def test_one_proxy_is_read_over_one_connection(
    cluster: Cluster, pods: tuple[Pod, ...], healthy: ApiServer, recorder: KeptInMemory
) -> None:
    proxy = read_proxy(cluster, pods[0])
    assert proxy.sds_mode is SdsMode.EXTERNAL
    assert [a[1] for a in healthy.asked if a[0] == "WS"] == [
        f"/api/v1/namespaces/test-app/pods/{pods[0].name}/portforward?ports=15000&ports=15020"
    ]
    kept = [recorder.evidence[i] for i in proxy.evidence]
    assert {k.parser for k in kept} >= {
        "facts.proxies.envoy.parse_secrets",
        "facts.proxies.envoy.parse_bootstrap",
        "facts.proxies.envoy.parse_streams",
    }
    metrics = next(k for k in kept if k.parser == "facts.proxies.envoy.parse_agent_metrics")
    assert "envoy_cluster_x" not in metrics.body + metrics.question
    assert "app_metric" not in metrics.body
    assert "| grep -e ^istio_agent_ -e " in metrics.question
    secrets = next(k for k in kept if "active_secrets" in k.question)
    assert secrets.question.startswith(
        f"kubectl port-forward -n test-app pod/{pods[0].name} 15000 & curl -g 'localhost:15000/"
    )


def test_a_fleet_keeps_every_pod(cluster: Cluster, pods: tuple[Pod, ...], healthy: ApiServer) -> None:
    unreachable = pods[1]
    for stream in ("portforward", "exec"):
        path = f"WS /api/v1/namespaces/test-app/pods/{unreachable.name}/{stream}"
        healthy.answers[path] = Canned({"message": f"pod does not exist ({stream})"}, 404)
    seen: list[tuple[int, int]] = []
    fleet = read_fleet(cluster, pods, lambda done, of: seen.append((done, of)))
    assert [p.pod.name for p in fleet.proxies] == [pods[0].name]
    (unread,) = fleet.unread
    assert unread.pod.name == unreachable.name
    assert "(portforward)" in unread.why.seen
    assert "(exec)" in unread.why.seen
    assert seen == [(1, 2), (2, 2)]


def test_an_agent_that_does_not_answer_is_asked_by_exec_and_then_could_not_be_read(
    cluster: Cluster, pods: tuple[Pod, ...], healthy: ApiServer
) -> None:
    healthy.refused = frozenset({15020})
    healthy.frames = [(ERROR, b'{"status": "Failure", "details": {"causes": [{"reason": "ExitCode", "message": "1"}]}}')]
    (unread,) = read_fleet(cluster, pods[:1]).unread
    assert "by port-forward: failed to connect to localhost: connection refused; by exec: exit code 1" in unread.why.seen
    assert unread.why.expected == "the proxy's ports 15000, 15020"


def test_where_a_port_forward_is_refused_pilot_agent_asks(
    cluster: Cluster, pods: tuple[Pod, ...], healthy: ApiServer, recorder: KeptInMemory
) -> None:
    forward = f"WS /api/v1/namespaces/test-app/pods/{pods[0].name}/portforward"
    healthy.answers[forward] = Canned({"message": "forbidden"}, 403)
    healthy.frames = [(STDOUT, text("healthy/inbound_listeners.json").encode()), (ERROR, b'{"status": "Success"}')]
    (found,) = survey(cluster, pods[:1], [NORMALIZATION]).of(NORMALIZATION)
    assert isinstance(found, Normalization)
    assert found.settings[0].escaped_slashes == "KEEP_UNCHANGED"
    question = recorder.evidence[found.evidence[0]].question
    assert (
        f"kubectl exec -n test-app {pods[0].name} -c istio-proxy -- pilot-agent request --debug-port=15000 GET" in question
    )


METRICS = 'istio_requests_total{reporter="source",destination_workload="b",destination_workload_namespace="shop"} 5\n'
IDLE = 'istio_build{component="proxy"} 1\n'
SERVED = f'{IDLE}istio_requests_total{{reporter="destination",source_workload="web",source_workload_namespace="shop"}} 5\n'
WITHOUT_LABELS = 'istio_requests_total{reporter="source",response_code="200"} 5\n'
CLUSTERS = {
    "cluster_statuses": [
        {
            "host_statuses": [
                {
                    "address": {"socket_address": {"address": "10.0.0.2"}},
                    "stats": [{"name": "rq_total", "value": "7"}],
                }
            ]
        }
    ]
}


@pytest.mark.parametrize(
    ("metrics", "clusters", "found", "asked"),
    [
        (METRICS, questions.SLICE, {Called("shop/b"): 5}, 1),
        ("", questions.SLICE, {Called(address="10.0.0.2"): 7}, 3),
        (SERVED, questions.SLICE, {}, 1),
        (SERVED + WITHOUT_LABELS, questions.SLICE, {Called(address="10.0.0.2"): 7}, 3),
        (IDLE, questions.SLICE, {}, 1),
        (WITHOUT_LABELS, questions.SLICE, {Called(address="10.0.0.2"): 7}, 3),
        (WITHOUT_LABELS, questions.SLICE + 1, {Called(): 5}, 2),
        ("", questions.SLICE + 1, None, 2),
    ],
)
def test_requests_are_those_of_istios_metrics_and_without_them_of_few_enough_endpoints(
    cluster: Cluster,
    pods: tuple[Pod, ...],
    healthy: ApiServer,
    *,
    metrics: str,
    clusters: int,
    found: dict[Called, int] | None,
    asked: int,
) -> None:
    answers = {REQUESTS: metrics, questions.COUNT: built.count(clusters), ENDPOINTS: CLUSTERS}
    healthy.http = {_quoted(path): Canned(answer) for path, answer in answers.items()}
    (sent,) = survey(cluster, pods[:1], [SENT_REQUESTS]).of(SENT_REQUESTS)
    assert isinstance(sent, SentRequests)
    assert (sent.is_counting, sent.sent) == (found is not None, found or {})
    assert sent.callers == ({"shop/web"} if "web" in metrics else frozenset())
    assert len([each for each in healthy.asked if each[0] == "FORWARDED"]) == asked
    assert len([each for each in healthy.asked if each[0] == "WS"]) == 1


DENIED = 'pods "a" is forbidden: User "u" cannot get resource "pods/{0}" in API group "" in the namespace "test-app"'


def deny(server: ApiServer, pod: Pod, *streams: str) -> None:
    for stream in streams:
        path = f"WS /api/v1/namespaces/{pod.namespace}/pods/{pod.name}/{stream}"
        server.answers[path] = Canned({"message": DENIED.format(stream)}, 403)


@pytest.mark.parametrize("part", [IDENTITY, NORMALIZATION, tls_part()], ids=lambda part: str(part.name))
def test_without_the_right_to_any_proxy_the_right_is_named(
    cluster: Cluster, pods: tuple[Pod, ...], healthy: ApiServer, part: Part[object]
) -> None:
    for pod in pods:
        deny(healthy, pod, "portforward", "exec")
    with pytest.raises(NotGiven, match="the right to get pods/portforward in test-app"):
        survey(cluster, pods, [part]).of(part)


def test_with_the_right_to_some_proxies_the_others_are_unread(
    cluster: Cluster, pods: tuple[Pod, ...], healthy: ApiServer
) -> None:
    """A proxy that was read, and is wrong, must count."""
    deny(healthy, pods[1], "portforward", "exec")
    fleet = read_fleet(cluster, pods)
    assert [p.pod.name for p in fleet.proxies] == [pods[0].name]
    assert [u.why.expected for u in fleet.unread] == ["the right to get pods/portforward in test-app"]


def test_without_the_optional_right_to_exec_the_port_forward_says_what_is_wrong(
    cluster: Cluster, pods: tuple[Pod, ...], healthy: ApiServer
) -> None:
    deny(healthy, pods[0], "exec")
    healthy.refused = frozenset({15020})
    (unread,) = read_fleet(cluster, pods[:1]).unread
    assert not isinstance(unread.why, NotGiven)
    assert unread.why.seen == "by port-forward: failed to connect to localhost: connection refused"


def test_an_envoy_that_refuses_a_path_could_not_be_told(cluster: Cluster, pods: tuple[Pod, ...], healthy: ApiServer) -> None:
    assert healthy.http is not None
    healthy.http[ENCODED[envoy.BOOTSTRAP]] = Canned("unknown field", 400)
    healthy.frames = [(ERROR, b'{"status": "Failure", "details": {"causes": [{"reason": "ExitCode", "message": "1"}]}}')]
    with pytest.raises(CouldNotTell) as caught:
        read_proxy(cluster, pods[0])
    assert "HTTP 400" in caught.value.seen


def test_an_answer_without_a_parser_is_never_kept(
    cluster: Cluster, pods: tuple[Pod, ...], healthy: ApiServer, recorder: KeptInMemory
) -> None:
    before = dict(recorder.evidence)
    asked = healthy.asked.copy()
    with pytest.raises(TypeError, match=r"/config_dump: add it to observe\.proxies\.envoy\.PARSERS"):
        read_admin(cluster, pods[0], ["/config_dump"])
    assert recorder.evidence == before
    assert healthy.asked == asked
