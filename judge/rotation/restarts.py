"""The judgment about CronJobs that restart workloads so that they get fresh certificates: ROT-05."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from facts.evidence import readings
from facts.finding import Finding
from facts.kubernetes.workloads import RESTARTS, CronJob
from judge.findings import Claim, listed, problem

EVERYWHERE = re.compile(r"(?:^|\s)(?:-A|--all-namespaces)\b")


def nothing_restarts_workloads(jobs: Sequence[CronJob], namespaces: Collection[str], evidence: Sequence[str]) -> Finding:
    """ROT-05: no CronJob restarts workloads of the mesh, as the guide's does.

    Args:
        namespaces: Namespaces with injected pods.
        evidence: Ids of the readings of the lists of CronJobs and pods.
    """
    restarting = [job for job in jobs if RESTARTS.search(job.words) and _reaches(job, namespaces)]
    suspended = [str(job.ref) for job in restarting if job.suspended]
    return Claim(
        "ROT-05",
        "no CronJob to restart workloads of the mesh",
        f"CronJobs of all namespaces; injected pods in {listed(namespaces)}",
        (*readings(*jobs), *evidence),
    ).judged(
        [
            problem(
                job,
                f"it restarts workloads of the mesh on the schedule {job.schedule}{_gaps(job.schedule)}:"
                " each time, workloads with one replica are down, and tbot renews certificates without it",
                "restarting-cronjob",
            )
            for job in restarting
            if not job.suspended
        ],
        f"none of {len(jobs)} CronJobs restarts workloads of the mesh"
        + (f", except {listed(suspended)}, which is suspended" if suspended else ""),
    )


def _reaches(job: CronJob, namespaces: Collection[str]) -> bool:
    """Tell whether a job's commands reach the mesh: its own namespace, one that they name, or all."""
    named = {n for n in namespaces if re.search(rf"(?<![\w-]){re.escape(n)}(?![\w-])", job.words)}
    return job.namespace in namespaces or bool(named) or bool(EVERYWHERE.search(job.words))


def _gaps(schedule: str) -> str:
    """The real gaps of a step of minutes that does not divide the hour; empty for any other schedule."""
    step = re.match(r"\*/(\d+) \* \* \* \*$", schedule)
    minutes = int(step[1]) if step else 0
    if not 0 < minutes < 60 or 60 % minutes == 0:
        return ""
    times = list(range(0, 60, minutes))
    fires = ", ".join(f":{m:02d}" for m in times)
    return f" (at {fires} of each hour, so that the gaps are {minutes} and {60 - times[-1]} minutes)"
