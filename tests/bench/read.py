"""A process that reads and judges every sidecar of a namespace as the suite does: ``python -m tests.bench.read``.

Prints one JSON document: seconds for listing and reading, of the processor's time too, how many were read and not, and the
most memory that it ever held, in MiB.
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
from observe.proxies.survey import read_fleet
from settings import Timeouts


def main(
    kubeconfig: Path, context: str, namespace: str, patience: Annotated[float, typer.Option(help="Scales timeouts.")] = 3
) -> None:
    """Reads the sidecars of a namespace."""
    cluster = Cluster(kubeconfig, context, KeptInMemory(), Timeouts().scaled(patience))
    began, worked = time.monotonic(), time.process_time()
    fleet = read_fleet(cluster, [pod for pod in cluster.pods(namespace) if pod.is_injected])
    print(
        json.dumps(
            {
                "seconds": time.monotonic() - began,
                "processor": time.process_time() - worked,
                "read": len(fleet.proxies),
                "unread": [f"{u.pod}: {u.why.seen}" for u in fleet.unread],
                "modes": sorted({p.sds_mode.value for p in fleet.proxies}),
                "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            }
        )
    )


if __name__ == "__main__":
    typer.run(main)
