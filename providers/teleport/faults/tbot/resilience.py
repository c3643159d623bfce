"""What faults change that only an outage shows, where they have to read the cluster first."""

from __future__ import annotations

from contextlib import AbstractContextManager

from facts.errors import ProvisioningFailed
from providers.teleport.faults.tbot.daemon_set import DAEMON_SET, pods_of_tbot
from providers.teleport.installing.teleport import PROXY_PORT
from provision.faults.changes import patched_tbot, pod_template
from provision.faults.fault import Scene
from provision.names import TBOT


def lives_by_teleport(scene: Scene) -> AbstractContextManager[None]:
    """Let tbot's liveness probe ask Teleport."""
    aliases = pods_of_tbot(scene).get("hostAliases", [])
    if not aliases:
        raise ProvisioningFailed(
            expected="a Teleport that this run has made, whose address tbot's pods have in their hostAliases",
            seen="no hostAliases",
            where=DAEMON_SET,
            remedy="inject this fault into the lab",
        )
    probe = {
        "httpGet": {"scheme": "HTTPS", "host": aliases[0]["ip"], "port": PROXY_PORT, "path": "/webapi/ping"},
        "periodSeconds": 5,
        "timeoutSeconds": 2,
        "failureThreshold": 2,
    }
    broken, sound = (pod_template(containers=[{"name": TBOT, "livenessProbe": each}]) for each in (probe, None))
    return patched_tbot(scene, broken, sound)
