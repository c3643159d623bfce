"""Judgment about whatever restarts workloads on a schedule so that they get fresh certificates: ROT-05."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from facts.finding import Finding
from facts.kubernetes.workloads import CronJob
from judge.findings import Claim, listed, problem

RESTARTS = re.compile(r"\brollout\s+restart\b|\bdelete\s+(?:-\S+\s+)*pods?\b")
"""What restarts workloads in the words of kubectl."""

EVERYWHERE = re.compile(r"(?:^|\s)(?:-A|--all-namespaces)\b")


def nothing_restarts_workloads(jobs: Sequence[CronJob], namespaces: Collection[str], evidence: Sequence[str]) -> Finding:
    """ROT-05: no CronJob restarts workloads of the mesh, as the guide's does.

    Args:
        jobs: All CronJobs.
        namespaces: Those with injected pods.
        evidence: Ids of the readings that show that there is none.
    """
    restarting = [job for job in jobs if RESTARTS.search(job.words) and _reaches(job, namespaces)]
    suspended = [str(job.ref) for job in restarting if job.suspended]
    return Claim(
        "ROT-05",
        "no CronJob that restarts workloads of the mesh",
        f"CronJobs of all namespaces; injected pods in {listed(namespaces)}",
        [*(e for job in jobs for e in job.evidence), *evidence],
    ).judged(
        [
            problem(
                job,
                f"restarts workloads of the mesh on the schedule {job.schedule}{_gaps(job.schedule)}:"
                " each run is an outage of whatever has one replica, and renews nothing that tbot would not renew",
                "restarting-cronjob",
            )
            for job in restarting
            if not job.suspended
        ],
        f"none of {len(jobs)} CronJobs restarts workloads of the mesh"
        + (f", but for {listed(suspended)}, suspended" if suspended else ""),
    )


def _reaches(job: CronJob, namespaces: Collection[str]) -> bool:
    """Whether a job's words are about the mesh: its own namespace, one that they name, or all."""
    named = {n for n in namespaces if re.search(rf"(?<![\w-]){re.escape(n)}(?![\w-])", job.words)}
    return job.namespace in namespaces or bool(named) or bool(EVERYWHERE.search(job.words))


def _gaps(schedule: str) -> str:
    """What a step of minutes that does not divide the hour really means; nothing for any other schedule."""
    step = re.match(r"\*/(\d+) \* \* \* \*$", schedule)
    minutes = int(step[1]) if step else 0
    if not 0 < minutes < 60 or 60 % minutes == 0:
        return ""
    times = list(range(0, 60, minutes))
    fires = ", ".join(f":{m:02d}" for m in times)
    return f" (that is at {fires} of each hour, so the gaps are {minutes} and {60 - times[-1]} minutes)"
