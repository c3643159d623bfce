"""A process that reads and judges every sidecar of a namespace as the suite does: ``python -m tests.bench.read``.

Prints one JSON document: seconds for listing the pods and reading their identities, and for all that a survey reads of them,
of the processor's time too; how many were read and not, and the most memory that it ever held, in MiB.
"""

from __future__ import annotations

import json
import resource
import time
from pathlib import Path
from typing import Annotated

import typer

from facts.recorder import KeptInMemory
from observe.kubernetes.cluster import Cluster
from observe.proxies.mounts import MOUNT
from observe.proxies.survey import IDENTITY, NORMALIZATION, PUSH_STATISTICS, read_fleet, survey
from settings import Timeouts


def main(
    kubeconfig: Path, context: str, namespace: str, patience: Annotated[float, typer.Option(help="Scales timeouts.")] = 3
) -> None:
    """Reads the sidecars of a namespace."""
    cluster = Cluster(kubeconfig, context, KeptInMemory(), Timeouts().scaled(patience))
    began, worked = time.monotonic(), time.process_time()
    fleet = read_fleet(cluster, [pod for pod in cluster.pods(namespace) if pod.is_injected])
    identities, worked_for_them = time.monotonic(), time.process_time()
    pods = [pod for pod in cluster.pods(namespace) if pod.is_injected]
    survey(cluster, pods, [IDENTITY, NORMALIZATION, PUSH_STATISTICS, MOUNT])
    print(
        json.dumps(
            {
                "seconds": identities - began,
                "processor": worked_for_them - worked,
                "survey": time.monotonic() - identities,
                "survey_processor": time.process_time() - worked_for_them,
                "read": len(fleet.proxies),
                "unread": [f"{u.pod}: {u.why.seen}" for u in fleet.unread],
                "modes": sorted({p.sds_mode.value for p in fleet.proxies}),
                "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            }
        )
    )


if __name__ == "__main__":
    typer.run(main)
