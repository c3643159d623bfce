"""Proxies, the mesh, tbot and the tools, each read from a cluster of captures."""

from __future__ import annotations

import copy
import json
import stat
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from facts.errors import CouldNotTell
from facts.evidence import KeptInMemory
from facts.finding import Finding, Holds
from facts.kubernetes.objects import Pod
from facts.proxies import envoy
from facts.proxies.identity import Normalization
from facts.proxies.sds_mode import SdsMode
from observe.command import CommandResult
from observe.kubernetes.cluster import Cluster
from observe.kubernetes.streams import ERROR, STDOUT
from observe.mesh import read_mesh
from observe.proxies.envoy import read_fleet, read_normalizations, read_proxy
from observe.teleport.tbot import read_tbot
from observe.tools import Tools
from settings import Names
from tests.data import document, text
from tests.unit.observe.api_server import ApiServer, Canned

APPS = "/apis/apps/v1"
ENCODED = {
    envoy.ACTIVE_SECRETS: "/config_dump?resource=dynamic_active_secrets",
    envoy.WARMING_SECRETS: "/config_dump?resource=dynamic_warming_secrets",
    envoy.BOOTSTRAP: envoy.BOOTSTRAP,
    envoy.SDS_HOSTS: "/clusters?format=json&filter=%5Esds-grpc$",
    envoy.SERVER: "/stats?format=json&filter=%5Eserver%5C.%28state%7Cuptime%29$",
    envoy.AGENT_METRICS: "/stats/prometheus",
    envoy.INBOUND_LISTENERS: "/config_dump?resource=dynamic_listeners&name_regex=%5EvirtualInbound$",
}


@pytest.fixture
def healthy(server: ApiServer) -> ApiServer:
    """An API server of the captured install, whose forwarded ports all lead to the captured proxy."""
    server.answer("GET /api/v1/pods", document("cluster/pods.json"))
    server.answer(f"GET {APPS}/deployments", document("cluster/deployments.json"))
    tbot = document("cluster/daemon_set.json")
    server.answer(f"GET {APPS}/namespaces/teleport-system/daemonsets/tbot", tbot)
    server.answer(f"GET {APPS}/daemonsets", {"items": [tbot]})
    maps = "/api/v1/namespaces/{}/configmaps/{}"
    server.answer("GET " + maps.format("istio-system", "istio"), document("cluster/config_map_istio.json"))
    server.answer(
        "GET " + maps.format("istio-system", "istio-sidecar-injector"), document("cluster/config_map_injector.json")
    )
    server.answer("GET " + maps.format("teleport-system", "tbot-config"), document("cluster/config_map_tbot.json"))
    pods = [p for p in document("cluster/pods.json")["items"] if p["metadata"]["namespace"] == "teleport-system"]
    server.answer("GET /api/v1/namespaces/teleport-system/pods", {"items": pods})
    server.http = {
        ENCODED[envoy.ACTIVE_SECRETS]: Canned(document("healthy/active_secrets.json")),
        ENCODED[envoy.WARMING_SECRETS]: Canned({}),
        ENCODED[envoy.BOOTSTRAP]: Canned(document("healthy/bootstrap.json")),
        ENCODED[envoy.SDS_HOSTS]: Canned(document("healthy/sds_hosts.json")),
        ENCODED[envoy.SERVER]: Canned(document("healthy/server.json")),
        ENCODED[envoy.AGENT_METRICS]: Canned(text("healthy/agent_metrics.txt") + "envoy_cluster_x 1\napp_metric 2\n"),
        ENCODED[envoy.INBOUND_LISTENERS]: Canned(document("healthy/inbound_listeners.json")),
    }
    return server


@pytest.fixture
def pods(cluster: Cluster, healthy: ApiServer) -> tuple[Pod, ...]:
    return tuple(p for p in cluster.pods("") if p.name.startswith("test-app-7564b6f44"))


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
    assert metrics.question.endswith("| grep ^istio_agent_")
    secrets = next(k for k in kept if "active_secrets" in k.question)
    assert secrets.question.startswith(
        f"kubectl port-forward -n test-app pod/{pods[0].name} 15000 & curl -g 'localhost:15000/"
    )


def test_a_fleet_drops_nobody(cluster: Cluster, pods: tuple[Pod, ...], healthy: ApiServer) -> None:
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
    (found,) = read_normalizations(cluster, pods[:1])
    assert isinstance(found, Normalization)
    assert found.settings[0].escaped_slashes == "KEEP_UNCHANGED"
    question = recorder.evidence[found.evidence[0]].question
    assert (
        f"kubectl exec -n test-app {pods[0].name} -c istio-proxy -- pilot-agent request --debug-port=15000 GET" in question
    )


def test_an_envoy_that_refuses_a_path_could_not_be_told(cluster: Cluster, pods: tuple[Pod, ...], healthy: ApiServer) -> None:
    assert healthy.http is not None
    healthy.http[ENCODED[envoy.BOOTSTRAP]] = Canned("unknown field", 400)
    healthy.frames = [(ERROR, b'{"status": "Failure", "details": {"causes": [{"reason": "ExitCode", "message": "1"}]}}')]
    with pytest.raises(CouldNotTell) as caught:
        read_proxy(cluster, pods[0])
    assert "HTTP 400" in caught.value.seen


def test_the_mesh_as_installed(cluster: Cluster, healthy: ApiServer, recorder: KeptInMemory) -> None:
    mesh = read_mesh(cluster, Names())
    assert (mesh.revision, mesh.trust_domain, mesh.normalization) == ("default", "teleport.conformance.test", "NONE")
    assert [d.name for d in mesh.istiod] == ["istiod"]
    assert [d.name for d in mesh.gateways] == ["istio-ingressgateway"]
    assert dict(mesh.image_tags) == {"istiod": "1.31.0-lab"}
    assert "spire" in mesh.templates
    assert len(mesh.evidence) == 4  # Deployments, DaemonSets and two ConfigMaps
    assert set(mesh.evidence) <= set(recorder.evidence)


def _revisions(server: ApiServer, *revisions: str) -> None:
    deployments = document("cluster/deployments.json")
    istiod = next(d for d in deployments["items"] if d["metadata"]["name"] == "istiod")
    others = [d for d in deployments["items"] if d is not istiod]
    made = []
    for revision in revisions:
        one = copy.deepcopy(istiod)
        one["metadata"]["labels"]["istio.io/rev"] = revision
        one["metadata"]["name"] = f"istiod-{revision}"
        made.append(one)
    server.answer(f"GET {APPS}/deployments", {"items": others + made})


def test_a_revision_has_config_maps_of_its_own(cluster: Cluster, healthy: ApiServer) -> None:
    _revisions(healthy, "canary")
    with pytest.raises(CouldNotTell) as caught:
        read_mesh(cluster, Names())
    assert "istio-system/istio-canary" in caught.value.where
    _revisions(healthy, "default", "canary")
    assert [d.name for d in read_mesh(cluster, Names()).istiod] == ["istiod-default"]
    _revisions(healthy, "a", "b")
    with pytest.raises(CouldNotTell) as caught:
        read_mesh(cluster, Names())
    assert "revisions a, b" in caught.value.seen


def _istiod_in(server: ApiServer, *namespaces: str) -> None:
    deployments = document("cluster/deployments.json")
    istiod = next(d for d in deployments["items"] if d["metadata"]["name"] == "istiod")
    moved = [copy.deepcopy(istiod) for _ in namespaces]
    for one, namespace in zip(moved, namespaces, strict=True):
        one["metadata"]["namespace"] = namespace
        for name, file in (("istio", "config_map_istio"), ("istio-sidecar-injector", "config_map_injector")):
            server.answer(f"GET /api/v1/namespaces/{namespace}/configmaps/{name}", document(f"cluster/{file}.json"))
    others = [d for d in deployments["items"] if d is not istiod]
    server.answer(f"GET {APPS}/deployments", {"items": others + moved})


def test_istio_in_another_namespace_is_found_by_istiods_label(cluster: Cluster, healthy: ApiServer) -> None:
    _istiod_in(healthy, "mesh")
    mesh = read_mesh(cluster, Names())
    assert (mesh.namespace, [d.namespace for d in mesh.istiod]) == ("mesh", ["mesh"])
    _istiod_in(healthy, "mesh", "istio-system")
    assert read_mesh(cluster, Names()).namespace == "istio-system", "what is named goes first"
    _istiod_in(healthy, "a", "b")
    with pytest.raises(CouldNotTell, match=r"app=istiod in a, b .*names\.istio_namespace"):
        read_mesh(cluster, Names())


def test_tbot_as_installed(cluster: Cluster, healthy: ApiServer) -> None:
    tbot = read_tbot(cluster, Names())
    assert tbot.socket_on_node == "/run/spire/sockets/socket"
    assert tbot.service_account == "teleport-system:tbot"
    assert tbot.join_token_file is not None
    assert tbot.join_token_file.audience == "teleport.conformance.test"
    assert sorted(tbot.pods) == ["dev5-control-plane", "dev5-worker"]
    assert tbot.host_pid
    assert tbot.config_map == "tbot-config"


def test_tbot_under_another_name_is_found_by_its_image(cluster: Cluster, healthy: ApiServer) -> None:
    assert read_tbot(cluster, Names(tbot_namespace="elsewhere", tbot="tbot")).daemon_set.name == "tbot"
    healthy.answer(f"GET {APPS}/daemonsets", {"items": []})
    with pytest.raises(CouldNotTell) as caught:
        read_tbot(cluster, Names(tbot_namespace="elsewhere"))
    assert caught.value.seen == "none"


def _daemon_set(change: Any) -> Any:
    taken = document("cluster/daemon_set.json")
    change(taken["spec"]["template"]["spec"])
    return taken


def test_the_configuration_is_found_through_the_daemon_set(cluster: Cluster, healthy: ApiServer) -> None:
    path = f"GET {APPS}/namespaces/teleport-system/daemonsets/tbot"

    def other_way(spec: Any) -> None:
        container = spec["containers"][0]
        config = next(word for word in container["args"] if word.endswith(".yaml"))
        container["args"] = ["start", f"--config={config}"]

    healthy.answer(path, _daemon_set(other_way))
    assert read_tbot(cluster, Names()).config.token == "istio-tbot-k8s-join"

    def by_flags(spec: Any) -> None:
        spec["containers"][0]["args"] = ["start", "workload-identity-api"]

    healthy.answer(path, _daemon_set(by_flags))
    with pytest.raises(CouldNotTell) as caught:
        read_tbot(cluster, Names())
    assert "no container has" in caught.value.seen


@pytest.mark.parametrize("damage", ["", "\ncredential_ttl: soon"])
def test_a_join_token_that_is_a_secret_is_in_nothing_that_is_kept(
    cluster: Cluster, healthy: ApiServer, recorder: KeptInMemory, damage: str
) -> None:
    secret = "0123456789abcdef-joins"
    taken = document("cluster/config_map_tbot.json")
    (key,) = taken["data"]
    onboarding = f"onboarding:\n  token: {secret}\n  join_method: token\nversion: v2\n"
    taken["data"][key] = onboarding + damage
    taken["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps(taken["data"])}
    healthy.answer("GET /api/v1/namespaces/teleport-system/configmaps/tbot-config", taken)
    if damage:
        with pytest.raises(CouldNotTell):
            read_tbot(cluster, Names())
    else:
        assert read_tbot(cluster, Names()).config.token == secret, "tctl is asked for it by its name"
    kept = next(e for e in recorder.evidence.values() if "tbot-config" in e.question)
    assert kept.redactions == 2
    recorder.conclude(Finding("INST-10", Holds.NO, "it", f"Teleport token/{secret}", "x"))
    assert secret not in repr((recorder.evidence, recorder.findings))


def test_a_config_map_that_is_not_there(cluster: Cluster, healthy: ApiServer) -> None:
    healthy.answers.pop("GET /api/v1/namespaces/teleport-system/configmaps/tbot-config")
    with pytest.raises(CouldNotTell) as caught:
        read_tbot(cluster, Names())
    assert "ConfigMap teleport-system/tbot-config does not exist" in caught.value.seen


def _program(directory: Path, name: str, says: str, exit_code: int = 0) -> str:
    path = directory / name
    path.write_text(f"#!/bin/sh\ncat <<'EOF'\n{says}\nEOF\necho \"$@\" > {directory}/{name}.asked\nexit {exit_code}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def _tools(directory: Path, recorder: KeptInMemory, **replaced: Any) -> Tools:
    def tctl(words: Sequence[str], _stdin: str) -> CommandResult:
        return CommandResult(
            ("docker", "exec", "t", "tctl", *words), 0, text("teleport/tctl_version.txt"), "", datetime.now(UTC)
        )

    given: dict[str, Any] = {
        "kubectl": _program(directory, "kubectl", text("cluster/kubectl_version.json")),
        "istioctl": _program(directory, "istioctl", text("cluster/istioctl_version.json")),
        "tctl": tctl,
        "kubeconfig": Path("/some/kubeconfig"),
        "context": "staging",
        "recorder": recorder,
        "timeout": 10.0,
    }
    return Tools(**(given | replaced))


def test_the_tools_say_their_versions_and_evidence_shows_them_as_typed(tmp_path: Path, recorder: KeptInMemory) -> None:
    asked = _tools(tmp_path, recorder)
    tools = {tool.name: tool for tool in (asked.kubectl_version(), asked.istioctl_version(), asked.tctl_version())}
    assert {name: str(tool.version) for name, tool in tools.items()} == {
        "kubectl": "1.34.4", "istioctl": "1.31.0-lab", "tctl": "18.6.4",
    }  # fmt: skip
    assert [recorder.evidence[t.evidence[0]].question for t in tools.values()] == [
        "kubectl version --client -o json", "istioctl version --remote=false -o json", "tctl version",
    ]  # fmt: skip


def test_a_tool_that_is_missing_or_mute(tmp_path: Path, recorder: KeptInMemory) -> None:
    with pytest.raises(CouldNotTell) as caught:
        _tools(tmp_path, recorder, istioctl=str(tmp_path / "none")).istioctl_version()
    assert "no such file" in caught.value.seen.lower()
    with pytest.raises(CouldNotTell):
        _tools(tmp_path, recorder, kubectl=_program(tmp_path, "mute", "", 1)).kubectl_version()
    with pytest.raises(CouldNotTell) as caught:
        _tools(tmp_path, recorder, tctl=None).tctl_version()
    assert "--tctl" in caught.value.remedy


def test_kubectl_always_names_its_context(tmp_path: Path, recorder: KeptInMemory) -> None:
    _tools(tmp_path, recorder).run_kubectl(["get", "pods"])
    assert (tmp_path / "kubectl.asked").read_text() == "--kubeconfig /some/kubeconfig --context staging get pods\n"
