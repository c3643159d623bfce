"""The API server, read: what becomes a fact, what becomes evidence, and what a refusal says."""

from __future__ import annotations

import importlib
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jwt
import pytest
import yaml

from facts.document import Absent, decoded, parse_items
from facts.errors import BadInput, CouldNotTell, NotGiven
from facts.istio.mesh import KEPT_OF_MESH
from facts.kubernetes.objects import ConfigMap
from facts.recorder import KeptInMemory
from observe.kubernetes.api import contexts
from observe.kubernetes.cluster import SLACK, Cluster
from settings import Timeouts
from tests.data import document
from tests.unit.observe.api_server import CONTEXT, ApiServer

MESH = "/api/v1/namespaces/istio-system/configmaps/istio"


def test_an_object_is_a_fact_and_its_answer_is_evidence(cluster: Cluster, server: ApiServer, recorder: KeptInMemory) -> None:
    server.answer(f"GET {MESH}", document("cluster/config_map_istio.json"))
    found = cluster.config_map("istio-system", "istio", KEPT_OF_MESH)
    assert isinstance(found, ConfigMap)
    (kept,) = recorder.evidence.values()
    assert found.evidence == (kept.id,)
    assert kept.question == f"GET {MESH}"
    assert kept.parser == "facts.kubernetes.objects.parse_config_map"
    of = document("cluster/config_map_istio.json")["metadata"]
    assert (kept.subject.uid, kept.subject.resource_version) == (of["uid"], of["resourceVersion"])
    assert "trustDomain" in kept.body


def test_what_does_not_exist_is_an_answer_with_evidence(cluster: Cluster, recorder: KeptInMemory) -> None:
    found = cluster.daemon_set("teleport-system", "tbot")
    assert isinstance(found, Absent)
    assert found.evidence == tuple(recorder.evidence)
    assert str(found) == "DaemonSet teleport-system/tbot does not exist"


def test_lists_of_one_namespace_and_of_all(cluster: Cluster, server: ApiServer) -> None:
    server.answer("GET /api/v1/pods", document("cluster/pods.json"))
    server.answer("GET /api/v1/namespaces/test-app/pods?labelSelector=app%3Dtest-app&limit=500", {"items": []})
    assert any(p.is_injected for p in cluster.pods())
    assert cluster.pods("test-app", "app=test-app") == ()


@pytest.mark.parametrize(
    ("status", "remedy"),
    [
        (401, "log in again"),
        (403, "a policy may forbid"),
        (404, "check its name"),
        (429, "overloaded"),
        (500, "API server's words"),
    ],
)
def test_a_refusal_says_what_to_do(cluster: Cluster, server: ApiServer, status: int, remedy: str) -> None:
    server.answer("GET /api/v1/nodes", {"kind": "Status", "message": "because"}, status)
    with pytest.raises(CouldNotTell) as caught:
        cluster.nodes()
    assert caught.value.seen == f"HTTP {status}: because"
    assert remedy in caught.value.remedy
    assert f"context {CONTEXT}" in caught.value.where


def test_an_answer_that_is_no_json_could_not_be_told(cluster: Cluster, server: ApiServer) -> None:
    server.answer("GET /api/v1/nodes", "<html>a proxy's login page</html>")
    with pytest.raises(CouldNotTell):
        cluster.nodes()


def test_a_silent_api_server_costs_one_deadline(cluster: Cluster, server: ApiServer) -> None:
    server.answer("GET /version", hang=True)
    with pytest.raises(CouldNotTell) as caught:
        cluster.version()
    assert "within 1 s" in caught.value.expected
    assert len(server.asked) == 1


def test_an_unreachable_api_server(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        unreachable = ApiServer(port=taken.getsockname()[1])
        cluster = Cluster(unreachable.kubeconfig(tmp_path), CONTEXT, KeptInMemory(), Timeouts(api=1))
        with pytest.raises(CouldNotTell) as caught:
            cluster.version()
        cluster.close()
    assert "refused" in caught.value.seen
    assert "kubectl --context test version" in caught.value.remedy


def test_a_cluster_that_answers_with_anything_can_be_looked_at(cluster: Cluster, server: ApiServer) -> None:
    server.answer("GET /version", {"message": "forbidden"}, 403)
    cluster.api.must_answer()
    assert [asked[:2] for asked in server.asked] == [("GET", "/version")]


def test_a_cluster_that_does_not_know_the_credentials_cannot(cluster: Cluster, server: ApiServer) -> None:
    server.answer("GET /version", {"message": "Unauthorized"}, 401)
    with pytest.raises(CouldNotTell, match="log in again"):
        cluster.api.must_answer()


def test_a_kubeconfig_needs_no_current_context(server: ApiServer, recorder: KeptInMemory, tmp_path: Path) -> None:
    kubeconfig = server.kubeconfig(tmp_path)
    document = yaml.safe_load(kubeconfig.read_text())
    del document["current-context"]
    kubeconfig.write_text(yaml.safe_dump(document))
    server.answer("GET /version", {})
    opened = Cluster(kubeconfig, CONTEXT, recorder, Timeouts(api=1))
    opened.api.must_answer()
    opened.close()


@pytest.mark.parametrize(
    ("cluster", "line"),
    [
        ({"server": "https://api.test"}, ""),
        (
            {"server": "https://api.test", "insecure-skip-tls-verify": True},
            "the API server (insecure-skip-tls-verify in the kubeconfig)",
        ),
        ({"server": "http://api.test"}, "the API server (http in the kubeconfig)"),
        ({"server": "http://127.0.0.1:8001"}, ""),
        ({"server": "http://localhost:8001"}, ""),
    ],
)
def test_a_line_on_which_nobody_verifies_the_api_server_is_named(
    server: ApiServer, tmp_path: Path, cluster: dict[str, object], line: str
) -> None:
    kubeconfig = server.kubeconfig(tmp_path)
    config = yaml.safe_load(kubeconfig.read_text())
    config["clusters"] = [{"name": "c", "cluster": cluster}]
    kubeconfig.write_text(yaml.safe_dump(config))
    opened = Cluster(kubeconfig, CONTEXT, KeptInMemory(), Timeouts())
    assert opened.api.unverified == line
    opened.close()


def test_an_unknown_context_lists_the_known_ones(server: ApiServer, tmp_path: Path) -> None:
    kubeconfig = server.kubeconfig(tmp_path)
    assert contexts(kubeconfig) == (CONTEXT,)
    for wrong in ("staging", ""):
        with pytest.raises(BadInput) as caught:
            Cluster(kubeconfig, wrong, KeptInMemory(), Timeouts())
        assert CONTEXT in caught.value.expected


def test_a_kubeconfig_whose_context_names_a_cluster_that_is_not_there(server: ApiServer, tmp_path: Path) -> None:
    kubeconfig = server.kubeconfig(tmp_path)
    config = yaml.safe_load(kubeconfig.read_text())
    config["clusters"] = []
    kubeconfig.write_text(yaml.safe_dump(config))
    with pytest.raises(BadInput) as caught:
        Cluster(kubeconfig, CONTEXT, KeptInMemory(), Timeouts())
    assert "clusters" in caught.value.seen


@pytest.mark.parametrize("content", [None, "", "{", "- a list\n", "text"])
def test_a_kubeconfig_that_is_none(tmp_path: Path, content: str | None) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    if content is not None:
        kubeconfig.write_text(content)
    with pytest.raises(BadInput) as caught:
        contexts(kubeconfig)
    assert str(kubeconfig) in caught.value.where


def test_a_denied_request_names_the_right_that_is_missing(cluster: Cluster, server: ApiServer) -> None:
    words = 'nodes is forbidden: User "u" cannot list resource "nodes" in API group "" at the cluster scope'
    server.answer("GET /api/v1/nodes", {"kind": "Status", "message": words}, 403)
    with pytest.raises(NotGiven) as caught:
        cluster.nodes()
    assert (caught.value.expected, caught.value.seen) == ("the right to list nodes", words)
    assert caught.value.where == "GET /api/v1/nodes?limit=500 (context test)"


def test_a_right_is_asked_for_in_one_namespace(cluster: Cluster, server: ApiServer) -> None:
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    asked = {"verb": "get", "resource": "configmaps", "namespace": "istio-system"}
    server.answer(f"POST {path}", {"spec": {"resourceAttributes": asked}, "status": {"allowed": False}}, 201)
    assert str(cluster.can_i("get", "", "configmaps", "istio-system")) == "get configmaps in istio-system"
    assert server.asked[-1][2]["spec"] == {"resourceAttributes": asked}


def test_a_right_is_asked_for_with_its_subresource(cluster: Cluster, server: ApiServer) -> None:
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    spec = {"resourceAttributes": {"verb": "create", "resource": "pods", "subresource": "exec"}}
    server.answer(f"POST {path}", {"spec": spec, "status": {"allowed": False}}, 201)
    right = cluster.can_i("create", "", "pods/exec")
    assert (right.allowed, str(right)) == (False, "create pods/exec")
    _method, _path, body = server.asked[-1]
    assert body["spec"]["resourceAttributes"] == {"verb": "create", "resource": "pods", "subresource": "exec"}


def test_a_path_that_is_no_resource_is_a_right_as_well(cluster: Cluster, server: ApiServer) -> None:
    spec = {"nonResourceAttributes": {"verb": "get", "path": "/openid/v1/jwks"}}
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    server.answer(f"POST {path}", {"spec": spec, "status": {"allowed": True}}, 201)
    right = cluster.can_i("get", "", "/openid/v1/jwks")
    assert (right.allowed, str(right)) == (True, "get /openid/v1/jwks")
    assert server.asked[-1][2]["spec"] == spec


SUBJECT_REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"


def test_a_right_of_another_identity_is_asked_for_with_its_groups(
    cluster: Cluster, server: ApiServer, recorder: KeptInMemory
) -> None:
    attributes = {"verb": "get", "resource": "nodes", "subresource": "proxy"}
    spec = {"resourceAttributes": attributes, "user": "system:serviceaccount:a:b", "groups": ["g"]}
    status = {"allowed": True, "reason": "RBAC: allowed by a binding"}
    server.answer(f"POST {SUBJECT_REVIEWS}", {"spec": spec, "status": status}, 201)
    right = cluster.may("system:serviceaccount:a:b", ("g",), "get", "nodes/proxy")
    assert (str(right), right.allowed, right.reason) == ("get nodes/proxy", True, "RBAC: allowed by a binding")
    assert server.asked[-1][2]["spec"] == spec
    (kept,) = recorder.evidence.values()
    assert kept.subject.name == "get nodes/proxy as system:serviceaccount:a:b"
    assert kept.parser == "facts.kubernetes.access.parse_subject_review"


def test_without_the_right_to_ask_about_others_nothing_is_told(cluster: Cluster, server: ApiServer) -> None:
    words = (
        'subjectaccessreviews.authorization.k8s.io is forbidden: User "u" cannot create resource "subjectaccessreviews"'
        ' in API group "authorization.k8s.io" at the cluster scope'
    )
    server.answer(f"POST {SUBJECT_REVIEWS}", {"kind": "Status", "message": words}, 403)
    with pytest.raises(NotGiven):
        cluster.may("system:serviceaccount:a:b", (), "get", "nodes/proxy")


DRY_RUN = "POST /api/v1/namespaces/test-app/pods?dryRun=All"
POD = {"metadata": {"generateName": "try-"}, "spec": {"containers": []}}


def test_a_dry_run_that_is_accepted_is_a_pod(cluster: Cluster, server: ApiServer) -> None:
    server.answer(DRY_RUN, document("cluster/dry_run_accepted.json"), 201)
    dry_run = cluster.dry_run_pod("test-app", POD)
    assert dry_run.accepted
    assert dry_run.pod is not None
    assert dry_run.pod.native_sidecar
    assert "test-app/try-" in dry_run.where


def test_a_dry_run_that_is_refused_says_why(cluster: Cluster, server: ApiServer) -> None:
    server.answer(DRY_RUN, document("cluster/dry_run_refused.json"), 400)
    dry_run = cluster.dry_run_pod("test-app", POD)
    assert (dry_run.accepted, dry_run.pod) == (False, None)
    assert 'requested template "nope" not found' in dry_run.message
    assert dry_run.evidence


def test_a_dry_run_without_the_right_is_no_answer(cluster: Cluster, server: ApiServer) -> None:
    message = 'pods is forbidden: User "u" cannot create resource "pods" in API group "" in the namespace "test-app"'
    server.answer(DRY_RUN, {"kind": "Status", "message": message, "code": 403}, 403)
    with pytest.raises(NotGiven, match="the right to create pods in test-app"):
        cluster.dry_run_pod("test-app", POD)
    server.answer(
        DRY_RUN, {"kind": "Status", "message": 'pods "try-x" is forbidden: violates PodSecurity', "code": 403}, 403
    )
    assert not cluster.dry_run_pod("test-app", POD).accepted


def test_a_token_is_in_no_evidence(cluster: Cluster, server: ApiServer, recorder: KeptInMemory) -> None:
    token = jwt.encode({"sub": "system:serviceaccount:a:b"}, "k" * 32, algorithm="HS256")
    path = "/api/v1/namespaces/a/serviceaccounts/b/token"
    server.answer(f"POST {path}", {"status": {"token": token, "expirationTimestamp": "2026-06-01T12:00:00Z"}}, 201)
    issued, evidence = cluster.token_request("a", "b", audience="example.org", seconds=600)
    assert issued == token
    kept = recorder.evidence[evidence]
    assert token not in kept.body + kept.question
    assert token.rpartition(".")[0] not in kept.body
    assert "expirationTimestamp" in kept.body
    assert server.asked[-1][2]["spec"] == {"audiences": ["example.org"], "expirationSeconds": 600}


def test_an_opaque_token_is_in_no_evidence_either(cluster: Cluster, server: ApiServer, recorder: KeptInMemory) -> None:
    server.answer("POST /api/v1/namespaces/a/serviceaccounts/b/token", {"status": {"token": "opaque-and-secret"}}, 201)
    assert cluster.token_request("a", "b", audience="")[0] == "opaque-and-secret"
    assert not any("opaque-and-secret" in kept.body for kept in recorder.evidence.values())


def test_a_log_stays_text_even_where_it_is_json(cluster: Cluster, server: ApiServer) -> None:
    server.answer("GET /api/v1/namespaces/a/pods/p/log", '{"kubelet": {}}')
    reading = cluster.logs("a", "p", "main", previous=True, tail=5)
    assert reading.document == '{"kubelet": {}}'
    assert server.asked[-1][1].endswith(f"?container=main&tailLines=5&limitBytes={8 * 2**20 + SLACK}&previous=true")
    cluster.logs("a", "p", "main", timestamps=True)
    assert server.asked[-1][1].endswith("&timestamps=true")


def test_the_live_keys(cluster: Cluster, server: ApiServer) -> None:
    server.answer("GET /openid/v1/jwks", document("cluster/jwks.json"))
    assert len(cluster.jwks().key_ids) == 1


def test_all_evidence_can_be_parsed_again(cluster: Cluster, server: ApiServer, recorder: KeptInMemory) -> None:
    server.answer("GET /api/v1/pods", document("cluster/pods.json"))
    server.answer("GET /api/v1/nodes", document("cluster/nodes.json"))
    server.answer("GET /version", document("cluster/version.json"))
    server.answer(DRY_RUN, document("cluster/dry_run_refused.json"), 400)
    read = [cluster.pods(), cluster.nodes(), cluster.version()[0], cluster.dry_run_pod("test-app", POD).message]
    again = []
    for kept in recorder.evidence.values():
        module, _dot, name = kept.parser.rpartition(".")
        parse, body = getattr(importlib.import_module(module), name), decoded(kept.body)
        if kept.subject.kind == "List":
            again.append(parse_items(body, parse, (kept.id,), "a list"))
        else:
            parsed = parse(body)
            again.append(getattr(parsed, "message", parsed))
    assert again == read


def test_many_threads_get_their_own_answers(cluster: Cluster, server: ApiServer) -> None:
    for number in range(40):
        server.answer(f"GET /api/v1/namespaces/n/configmaps/n{number}", {"metadata": {"name": f"n{number}"}})
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: cluster.config_map("n", f"n{number}"), range(40)))
    assert [f.name for f in found if not isinstance(f, Absent)] == [f"n{number}" for number in range(40)]
