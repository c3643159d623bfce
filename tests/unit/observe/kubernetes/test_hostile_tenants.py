"""What a tenant can write into its own objects: it changes nothing about another tenant's, and no secret comes out.

A hostile text stands in every field of a pod whose content Kubernetes leaves to its owner. Names follow Kubernetes' rules.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import cycle
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from facts.document import Absent, decoded, parse_items
from facts.evidence import Evidence, ObjectRef, evidence_of
from facts.finding import Finding, Problem, Remark
from facts.istio.gateways import gateways_of
from facts.kubernetes.objects import Labelled, Pod, list_of, parse_pod
from facts.masks import kept_for
from facts.proxies.identity import Fleet
from facts.proxies.tls.proxy import TlsOfFleet
from facts.recorder import KeptInMemory
from facts.secret_forms import Canary
from judge.identity.socket import only_tbot_writes_there
from judge.identity.sweep import outside_of_teleport
from judge.install import application
from judge.mtls.ends import Ends, MeshTls
from observe.kubernetes.cluster import Cluster
from tests.data import document
from tests.unit.facts.canaries import CANARIES, left_in
from tests.unit.judge import builders
from tests.unit.observe.api_server import ApiServer
from tests.unit.observe.hostile import HOSTILE_TEXTS, MARKERS, WORST, outputs
from tests.unit.thoroughness import examples

AT = datetime(2026, 3, 1, tzinfo=UTC)
LIST = document("cluster/pods.json")


def hostile_pod(name: str, texts: Sequence[str]) -> dict[str, Any]:
    """A pod with a text in every field that its owner writes as he likes."""
    text = cycle(texts)
    label = "abcdef.0123456789abcdef"
    return {
        "metadata": {
            "name": name,
            "namespace": "hostile",
            "uid": f"uid-{name}",
            "labels": {"app": label, label: "x"},
            "annotations": {
                "inject.istio.io/templates": next(text),
                "sidecar.istio.io/inject": next(text),
                "istio.io/rev": next(text),
                "sidecar.istio.io/status": next(text),
                "kubectl.kubernetes.io/last-applied-configuration": json.dumps({"env": next(text)}),
                "traffic.sidecar.istio.io/includeInboundPorts": next(text),
                "sidecar.istio.io/interceptionMode": next(text),
                "example.org/a": next(text),
            },
            "managedFields": [{"manager": next(text)}],
        },
        "spec": {
            "containers": [
                {
                    "name": container,
                    "image": next(text) or "i",
                    "command": [next(text), next(text)],
                    "args": [next(text), "--token", next(text), "-c", next(text)],
                    "env": [
                        {"name": "TELEPORT_NODE_NAME", "value": "$(X_TOKEN)"},
                        {"name": "X_TOKEN", "value": next(text)},
                        {"name": "DB_PASSWORD", "value": next(text)},
                        {"name": "TBOT_CONFIG_PATH", "value": next(text)},
                    ],
                    "volumeMounts": [{"name": "v", "mountPath": next(text), "subPath": next(text)}],
                    "workingDir": next(text),
                    "lifecycle": {"preStop": {"exec": {"command": [next(text)]}}},
                }
                for container in ("istio-proxy", "password", "tbot")
            ],
            "initContainers": [{"name": "init", "image": "i", "args": ["istio-iptables", next(text), "-d", next(text)]}],
            "volumes": [{"name": "v", "hostPath": {"path": next(text)}}, {"name": "w", "csi": {"driver": next(text)}}],
            "nodeSelector": {"a": next(text)},
        },
        "status": {
            "phase": "Pending",
            "message": next(text),
            "conditions": [{"type": "Ready", "status": "False", "message": next(text), "reason": next(text)}],
            "containerStatuses": [
                {
                    "name": "password",
                    "ready": False,
                    "restartCount": 1,
                    "state": {"terminated": {"exitCode": 1, "reason": next(text), "message": next(text)}},
                }
            ],
        },
    }


def recorded(raw: str) -> Evidence:
    subject = ObjectRef("List", "pods")
    mask = list_of(kept_for(parse_pod))
    return evidence_of("GET /api/v1/pods", subject, raw, read_at=AT, parser=parse_pod, mask=mask)


def pods_in(evidence: Evidence) -> tuple[Pod, ...]:
    return parse_items(decoded(evidence.body), parse_pod, (), "pods")


def mixed(hostile: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The captured list with hostile pods before, between and after the captured ones."""
    items = copy.deepcopy(LIST["items"])
    for number, pod in enumerate(hostile):
        items.insert(number * 3, pod)
    return {**LIST, "items": items}


ALONE = pods_in(recorded(json.dumps(LIST)))
NAMESPACES = tuple(Labelled(name, {"istio-injection": "enabled"}, {}, ()) for name in ("test-app", "hostile"))


def judged(pods: Sequence[Pod]) -> Iterator[object]:
    """What is said of the pods that are not hostile."""
    others = [pod for pod in pods if pod.namespace != "hostile"]
    yield others
    planes = builders.planes(builders.mesh(), builders.canary())
    outside = outside_of_teleport(pods, NAMESPACES, planes, "spire", builders.DIRECTORIES)
    yield [each for each in outside.lacking if each.pod.namespace != "hostile"]
    yield [each for each in outside.left_out if each.subject.namespace != "hostile"]
    sorted_out = planes.sorted_out([pod for pod in pods if pod.is_injected], NAMESPACES)
    for plane, its in sorted_out.of_each:
        yield plane.revision, [pod for pod in its if pod.namespace != "hostile"]
    yield [orphan for orphan in sorted_out.orphans if orphan.pod.namespace != "hostile"]
    yield [gateway for gateway in gateways_of((), pods) if gateway.namespace != "hostile"]
    ends = Ends(MeshTls(pods, Fleet((), ()), TlsOfFleet((), ()), ()))
    redirections = [(pod, ends.redirection(pod)) for pod in pods]
    yield [redirection for pod, redirection in redirections if pod.namespace != "hostile"]
    yield [application.socket_volume_problems(pod, builders.DIRECTORIES) for pod in others if pod.proxy]
    writes = only_tbot_writes_there(pods, builders.tbots(), "/run/spire/sockets", ["ev-pods"])
    said: list[Problem | Remark] = [*writes.problems, *writes.left_out]
    yield [each for each in said if each.subject.namespace != "hostile"]


@settings(max_examples=examples(25), suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(HOSTILE_TEXTS, min_size=1, max_size=3))
@example([[MARKERS[0]], [MARKERS[1]]])
@example([[MARKERS[0]]])
@example([["password" + "\\" * 40_000]])
@example([['{\\"password\\": \\"'], ['\\"}']])
def test_what_one_tenant_writes_changes_nothing_about_other_pods(texts: list[list[str]]) -> None:
    hostile = [hostile_pod(f"hostile-{number}", each) for number, each in enumerate(texts)]
    pods = pods_in(recorded(json.dumps(mixed(hostile))))
    assert len(pods) == len(ALONE) + len(hostile)
    assert list(judged(pods)) == list(judged(ALONE))
    assert [pod.name for pod in pods if pod.namespace == "hostile"] == [f"hostile-{n}" for n in range(len(hostile))]


def conclusions(evidence: Evidence, pods: Sequence[Pod]) -> Finding:
    """A finding that quotes what the pods say of themselves."""
    finding = application.pods_run_with_a_proxy(
        pods, Absent(ObjectRef("Deployment", "a"), (evidence.id,)), datetime.now(UTC), "a", (evidence.id,)
    )
    return replace(finding, requirement="A-1")


@pytest.mark.parametrize("canary", CANARIES, ids=lambda canary: canary.form)
def test_no_form_of_a_secret_comes_out_anywhere(canary: Canary) -> None:
    evidence = recorded(json.dumps(mixed([hostile_pod("hostile-0", [canary.text])])))
    pods = pods_in(evidence)
    error = ValueError(f"saw {canary.text}")
    finding = conclusions(evidence, [pod for pod in pods if pod.namespace == "hostile"])
    written = list(outputs(evidence, finding, error))
    assert len(written) > 6
    assert [left_in(text, canary) for text in written if left_in(text, canary)] == []
    assert evidence.redactions >= 1


def test_worst_texts_of_a_tenant_spoil_no_report() -> None:
    evidence = recorded(json.dumps(mixed([hostile_pod(f"hostile-{n}", [text]) for n, text in enumerate(WORST)])))
    finding = conclusions(evidence, [pod for pod in pods_in(evidence) if pod.namespace == "hostile"])
    assert list(outputs(evidence, finding, ValueError("x")))


def test_a_key_that_begins_in_one_pod_and_ends_in_another_hides_no_pod(
    cluster: Cluster, server: ApiServer, recorder: KeptInMemory
) -> None:
    """As the API server answers it, through the reader."""
    hostile = [hostile_pod("a-begin", [MARKERS[0]]), hostile_pod("b-end", [MARKERS[1]])]
    server.answer("GET /api/v1/pods", mixed(hostile))
    read = cluster.pods()
    (kept,) = recorder.evidence.values()
    assert [pod.name for pod in read if pod.namespace != "hostile"] == [pod.name for pod in ALONE]
    assert [replace(pod, evidence=()) for pod in read] == list(pods_in(kept))
    assert not any(marker in kept.body for marker in MARKERS)


def test_what_is_judged_again_from_the_stored_reading_is_the_same(
    cluster: Cluster, server: ApiServer, recorder: KeptInMemory
) -> None:
    server.answer("GET /api/v1/pods", mixed([hostile_pod("a", list(WORST))]))
    read = cluster.pods()
    (kept,) = recorder.evidence.values()
    again = recorded(kept.body)
    assert (again.body, again.redactions) == (kept.body, 0)
    assert list(judged(pods_in(again))) == list(judged([replace(pod, evidence=()) for pod in read]))
