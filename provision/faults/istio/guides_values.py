"""Faults that every install has which follows the guide; the suite's own manifests follow it in these, too.

Each is a finding on the healthy lab. To see that the requirement hangs on it, it is taken away for a while.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from facts.proxies.identity import Normalization
from observe.proxies.envoy import read_normalizations
from observe.wait import NotYet, eventually
from provision.faults import reach
from provision.faults.config_maps import edited, edited_text
from provision.faults.fault import Fault, Scene

ISTIO, GATEWAY = "istio-system", "istio-ingressgateway"
OTHER_NAME = "tbot.sock"
NAMED_BY = "WORKLOAD_IDENTITY_SOCKET_FILE"


@contextmanager
def _paths_normalized(scene: Scene) -> Iterator[None]:
    def change(mesh: dict[str, Any]) -> dict[str, Any]:
        return {**mesh, "pathNormalization": {"normalization": "DECODE_AND_MERGE_SLASHES"}}

    with edited(scene, ISTIO, "istio", "mesh", change):
        await_normalization(scene, in_force=True)
        yield
    await_normalization(scene, in_force=False)


def await_normalization(scene: Scene, *, in_force: bool) -> None:
    """Waits until the proxies of the test application normalize paths, or do not.

    Raises:
        CouldNotTell: It was not so in time.
    """
    with scene.looking() as cluster:

        def look() -> None:
            proxies = read_normalizations(cluster, cluster.pods("test-app", "app=test-app"))
            settings = [s.normalize_path for p in proxies if isinstance(p, Normalization) for s in p.settings]
            if not settings or any(each is not in_force for each in settings):
                raise NotYet(f"normalize_path is {settings}")

        what = f"normalize_path is {in_force} in every inbound listener of the test application"
        eventually(what, look, scene.pace(scene.patience.rollout))


@contextmanager
def _another_name(scene: Scene) -> Iterator[None]:
    """tbot, the sidecars and the gateway with another socket name than the one of the fallback."""
    directory = scene.installation.variables["SOCKET_DIRECTORY"]
    usual, other = f"{directory}/socket", f"{directory}/{OTHER_NAME}"

    def named(mesh: dict[str, Any]) -> dict[str, Any]:
        defaults = mesh.get("defaultConfig", {})
        metadata = {**defaults.get("proxyMetadata", {}), NAMED_BY: OTHER_NAME}
        return {**mesh, "defaultConfig": {**defaults, "proxyMetadata": metadata}}

    def follow(path: str, name: str | None) -> None:
        """Restarts everybody, the gateway with the path of the socket that it waits for."""
        scene.begin_restart_of_agent()
        scene.installation.objects.await_ready(
            "DaemonSet", "tbot", scene.pace(scene.patience.rollout), namespace="teleport-system"
        )
        variable = {"name": NAMED_BY, "value": name} if name else {"name": NAMED_BY, "$patch": "delete"}
        spec = {
            "volumes": [{"name": "workload-socket-present", "hostPath": {"path": path, "type": "Socket"}}],
            "containers": [{"name": "istio-proxy", "env": [variable]}],
        }
        objects = scene.installation.objects
        objects.patch("apps/v1", "Deployment", GATEWAY, {"spec": {"template": {"spec": spec}}}, namespace=ISTIO)
        scene.restart_app()
        objects.await_ready("Deployment", GATEWAY, scene.pace(scene.patience.rollout), namespace=ISTIO)
        scene.await_agent()

    def renamed(text: str) -> str:
        return text.replace(usual, other)

    try:
        with (
            edited_text(scene, "teleport-system", "tbot-config", "tbot.yaml", renamed),
            edited(scene, ISTIO, "istio", "mesh", named),
        ):
            scene.await_injected("is told the other name", _look_for_name)
            follow(other, OTHER_NAME)
            yield
    finally:
        follow(usual, None)


def _look_for_name(spec: dict[str, Any]) -> None:
    proxies = [c for c in (*spec.get("initContainers", ()), *spec["containers"]) if c["name"] == "istio-proxy"]
    if not any(e.get("value") == OTHER_NAME for c in proxies for e in c.get("env", ()) if e["name"] == NAMED_BY):
        raise NotYet(f"its proxy has no {NAMED_BY}")


PATHS_AS_SENT = Fault(
    name="path-normalization-none",
    description="Paths are compared with policies as they were sent: the normalization is NONE.",
    touches="ConfigMap istio-system/istio",
    undo="It is what the guide says; the run sets DECODE_AND_MERGE_SLASHES for a while.",
    breaks=frozenset({"TRF-07"}),
    reach=reach.ISTIO,
    inject=_paths_normalized,
    standing=True,
)

USUAL_NAME = Fault(
    name="socket-called-socket",
    description="tbot's socket is called socket, the one name without which a sidecar falls back to istiod.",
    touches="ConfigMaps teleport-system/tbot-config and istio-system/istio; everything that uses the socket",
    undo="It is what the guide says; the run gives it another name for a while.",
    breaks=frozenset({"NEG-07"}),
    reach=reach.AGENT | reach.WORKLOADS,
    inject=_another_name,
    standing=True,
)
