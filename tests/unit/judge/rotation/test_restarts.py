"""CronJobs that restart workloads of the mesh: ROT-05."""

from __future__ import annotations

from typing import Any

import pytest

from facts.finding import Finding
from facts.kubernetes.workloads import CronJob, parse_cron_job
from judge.rotation.restarts import nothing_restarts_workloads
from provision.render import MANIFESTS, documents
from tests.unit.judge.assertions import holds, violated

RESTART = "kubectl rollout restart deployment -n shop"


def job(words: str = RESTART, *, namespace: str = "ops", name: str = "refresh", **changes: Any) -> CronJob:
    given = {"schedule": "0 3 * * *", "suspended": False, "evidence": (f"ev-{name}",), **changes}
    return CronJob(namespace=namespace, name=name, words=words, **given)


CAUSE = ("restarting-cronjob",)


def judged(*jobs: CronJob) -> Finding:
    return nothing_restarts_workloads(jobs, {"shop", "pay"}, ["ev-pods"])


@pytest.mark.parametrize(
    "words",
    [
        RESTART,
        "kubectl rollout  restart deployment/web\n-n\nshop",
        "kubectl delete pods --all -n shop",
        "kubectl delete --wait=false pod web-1 --namespace=shop",
        "kubectl rollout restart deployment -A",
        "kubectl rollout restart deployment --all-namespaces",
    ],
)
def test_a_job_that_restarts_workloads_of_the_mesh_is_found(words: str) -> None:
    violated(judged(job(words)), "ROT-05", "refresh", "0 3 * * *", evidence=("ev-refresh", "ev-pods"), causes=CAUSE)


def test_a_job_in_a_namespace_of_the_mesh_need_not_name_it() -> None:
    violated(judged(job("kubectl rollout restart deployment web", namespace="shop")), "ROT-05", "refresh")


@pytest.mark.parametrize(
    "words",
    [
        "kubectl rollout restart deployment -n shopping",
        "kubectl rollout restart deployment -n my-shop",
        "kubectl rollout status deployment -n shop",
        "kubectl delete jobs --all -n shop",
        "kubectl get pods -A",
        "echo",
    ],
)
def test_other_namespaces_and_other_commands_are_no_restart_of_the_mesh(words: str) -> None:
    holds(judged(job(words)), "ROT-05", "ev-refresh", "ev-pods")


def test_each_of_several_jobs_is_named_and_one_that_is_suspended_only_mentioned() -> None:
    violated(judged(job(), job(name="second"), job("echo", name="other")), "ROT-05", "refresh", "second")
    holds(judged(job(suspended=True)), "ROT-05")
    assert "refresh" in judged(job(suspended=True)).seen
    assert "suspended" not in judged(job("echo"), job("echo", name="other", suspended=True)).seen


def test_no_job_at_all_holds_by_the_reading_of_the_pods() -> None:
    holds(judged(), "ROT-05", "ev-pods")


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        ("*/45 * * * *", ":00, :45 of each hour, so that the gaps are 45 and 15 minutes"),
        ("*/25 * * * *", ":00, :25, :50 of each hour, so that the gaps are 25 and 10 minutes"),
        ("*/59 * * * *", ":00, :59 of each hour, so that the gaps are 59 and 1 minutes"),
    ],
)
def test_a_step_that_does_not_divide_the_hour_is_told_as_what_it_does(schedule: str, said: str) -> None:
    violated(judged(job(schedule=schedule)), "ROT-05", schedule, said)


@pytest.mark.parametrize("schedule", ["*/30 * * * *", "*/60 * * * *", "*/0 * * * *", "5 * * * *", "*/45 3 * * *"])
def test_other_schedules_need_no_such_words(schedule: str) -> None:
    seen = judged(job(schedule=schedule)).seen
    assert "gaps" not in seen
    assert "None" not in seen


def test_the_guides_own_job_is_found() -> None:
    guides = documents(MANIFESTS / "troubleshooting" / "cert-refresh-cronjob.yaml", {"NAMESPACE": "shop"})
    parsed = parse_cron_job(next(d for d in guides if d["kind"] == "CronJob"), ("ev-guide",))
    violated(judged(parsed), "ROT-05", "cert-refresh", "*/45", evidence=("ev-guide",), causes=CAUSE)
