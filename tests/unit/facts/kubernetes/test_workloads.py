"""Deployments and DaemonSets, captured and changed."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from facts.errors import CouldNotTell
from facts.evidence import ObjectRef
from facts.kubernetes.workloads import parse_cron_job, parse_daemon_set, parse_deployment
from tests.data import document


def test_a_captured_daemon_set() -> None:
    daemon_set = parse_daemon_set(document("cluster/daemon_set.json"))
    assert daemon_set.is_complete
    assert daemon_set.desired == 2
    spec = daemon_set.template.spec
    assert [c.readiness_probe for c in spec.containers] == [True]
    assert spec.host_pid
    assert [t.audience for v in spec.volumes for t in v.tokens] == ["teleport.conformance.test"]
    (tbot,) = spec.containers
    assert tbot.variable("TELEPORT_NODE_NAME").startswith("fieldRef:")


def _deployment(**status: Any) -> dict[str, Any]:
    taken: dict[str, Any] = copy.deepcopy(document("cluster/deployments.json")["items"][0])
    taken["status"] |= status
    return taken


def test_available_means_for_the_present_specification() -> None:
    assert parse_deployment(_deployment()).is_available
    behind = parse_deployment(_deployment(observedGeneration=0))
    assert (behind.is_current, behind.is_available) == (False, False)
    scaled = _deployment()
    scaled["spec"]["replicas"] = 0
    assert not parse_deployment(scaled).is_available


@pytest.mark.parametrize(
    ("desired", "updated", "ready", "complete"),
    [(2, 2, 2, True), (2, 1, 2, False), (2, 2, 1, False), (0, 0, 0, False), (1, 1, 1, True), (1, 2, 2, False)],
)
def test_complete_means_on_every_node(desired: int, updated: int, ready: int, complete: bool) -> None:
    taken: dict[str, Any] = copy.deepcopy(document("cluster/daemon_set.json"))
    taken["status"] |= {"desiredNumberScheduled": desired, "updatedNumberScheduled": updated, "numberReady": ready}
    assert parse_daemon_set(taken).is_complete is complete
    taken["metadata"]["generation"] = taken["status"]["observedGeneration"] + 1
    assert not parse_daemon_set(taken).is_complete


def test_an_available_deployment_wants_a_pod_and_says_so() -> None:
    unavailable = _deployment(conditions=[{"type": "Available", "status": "False"}])
    assert not parse_deployment(unavailable).is_available
    one = _deployment()
    del one["spec"]["replicas"]
    assert parse_deployment(one).desired == 1


def test_controllers_are_named_by_their_kind() -> None:
    daemon_set, deployment = parse_daemon_set(document("cluster/daemon_set.json")), parse_deployment(_deployment())
    assert daemon_set.ref == ObjectRef("DaemonSet", "tbot", "teleport-system", daemon_set.uid)
    assert deployment.ref == ObjectRef("Deployment", deployment.name, deployment.namespace, deployment.uid)
    assert daemon_set.uid
    assert daemon_set.selector == {"app": "tbot"}


@pytest.mark.parametrize(
    ("parse", "kind"), [(parse_daemon_set, "DaemonSet"), (parse_deployment, "Deployment"), (parse_cron_job, "CronJob")]
)
def test_damage_names_the_object(parse: Any, kind: str) -> None:
    with pytest.raises(CouldNotTell) as caught:
        parse({"metadata": {"namespace": "n", "name": "x"}})
    assert caught.value.where == f"{kind} n/x"


def _cron_job(**spec: Any) -> dict[str, Any]:
    containers = [{"name": "a", "command": ["sh", "-c"], "args": ["kubectl rollout restart"]}, {"name": "b", "args": ["x"]}]
    template = {"spec": {"template": {"spec": {"containers": containers}}}}
    return {
        "metadata": {"namespace": "n", "name": "c"},
        "spec": {"schedule": "*/45 * * * *", "jobTemplate": template} | spec,
    }


def test_a_cron_job_and_its_words() -> None:
    job = parse_cron_job(_cron_job(), ("ev-1",))
    assert (job.schedule, job.suspended, job.evidence) == ("*/45 * * * *", False, ("ev-1",))
    assert job.words == "sh\n-c\nkubectl rollout restart\nx"
    assert job.ref == ObjectRef("CronJob", "c", "n")
    assert parse_cron_job(_cron_job(suspend=True)).suspended


def _template(annotation: str, *containers: dict[str, Any]) -> dict[str, Any]:
    taken = _deployment()
    annotations = {"inject.istio.io/templates": annotation} if annotation else {}
    taken["spec"]["template"] = {"metadata": {"annotations": annotations}, "spec": {"containers": [*containers]}}
    return taken


@pytest.mark.parametrize(
    ("annotation", "containers", "gateway"),
    [
        ("", (), False),
        ("gateway", (), True),
        ("sidecar, gateway", (), True),
        ("gateways", (), False),
        ("", ({"name": "istio-proxy", "args": ["proxy", "router"]},), True),
        ("gateway", ({"name": "istio-proxy", "args": ["proxy", "sidecar"]},), False),
        ("gateway", ({"name": "istio-proxy", "image": "auto"},), True),
        ("", ({"name": "istio-proxy", "image": "auto"},), False),
    ],
)
def test_a_gateway_by_its_template(annotation: str, containers: tuple[dict[str, Any], ...], gateway: bool) -> None:
    assert parse_deployment(_template(annotation, *containers)).template.is_gateway is gateway
