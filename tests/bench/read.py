"""A process that reads and judges every sidecar of a namespace as the suite does: ``python -m tests.bench.read``.

Prints one JSON document: seconds for listing the pods and reading their identities, and for all that a survey reads of them,
of the processor's time too; how many were read and not, and the most memory that it ever held, in MiB. With ``--mtls`` also
what the profile `mtls` takes: the same survey with the TLS of each proxy, and the prediction of their handshakes.
"""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from facts.kubernetes.objects import Pod
from facts.proxies.identity import Fleet
from facts.proxies.tls.proxy import TlsOfFleet
from facts.recorder import KeptInMemory
from judge.mtls.ends import Ends, MeshTls
from judge.mtls.pairs import table_of
from judge.mtls.told import told
from observe.kubernetes.cluster import Cluster
from observe.proxies.mounts import MOUNT
from observe.proxies.survey import IDENTITY, NORMALIZATION, PUSH_STATISTICS, Part, read_fleet, survey
from observe.proxies.tls import tls_part
from settings import Timeouts

PARTS: tuple[Part[Any], ...] = (IDENTITY, NORMALIZATION, PUSH_STATISTICS, MOUNT)


def main(
    kubeconfig: Path,
    context: str,
    namespace: str,
    patience: Annotated[float, typer.Option(help="Scales timeouts.")] = 3,
    mtls: Annotated[bool, typer.Option("--mtls", help="Read and judge for the profile mtls as well.")] = False,
) -> None:
    """Reads the sidecars of a namespace."""
    cluster = Cluster(kubeconfig, context, KeptInMemory(), Timeouts().scaled(patience))
    began, worked = time.monotonic(), time.process_time()
    fleet = read_fleet(cluster, [pod for pod in cluster.pods(namespace) if pod.is_injected])
    identities, worked_for_them = time.monotonic(), time.process_time()
    pods = [pod for pod in cluster.pods(namespace) if pod.is_injected]
    survey(cluster, pods, PARTS)
    surveyed, worked_for_survey = time.monotonic(), time.process_time()
    ways = _predicted(cluster, pods) if mtls else 0
    print(
        json.dumps(
            {
                "seconds": identities - began,
                "processor": worked_for_them - worked,
                "survey": surveyed - identities,
                "survey_processor": worked_for_survey - worked_for_them,
                "mtls": time.monotonic() - surveyed,
                "mtls_processor": time.process_time() - worked_for_survey,
                "ways": ways,
                "read": len(fleet.proxies),
                "unread": [f"{u.pod}: {u.why.seen}" for u in fleet.unread],
                "modes": sorted({p.sds_mode.value for p in fleet.proxies}),
                "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            }
        )
    )


def _predicted(cluster: Cluster, pods: Sequence[Pod]) -> int:
    """Surveys pods with the TLS of each proxy, and returns the number of ways whose handshake was predicted."""
    part = tls_part()
    found = survey(cluster, pods, [*PARTS, part])
    ends = Ends(MeshTls(pods, Fleet.of(found.of(IDENTITY)), TlsOfFleet.of(found.of(part)), ()))
    table = table_of(ends)
    told(ends, table)
    return table.ways


if __name__ == "__main__":
    typer.run(main)
