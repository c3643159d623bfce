"""Faults of every install that follows the guide; the suite's own manifests follow the guide here, too.

Each is a finding on the healthy lab. The suite removes it for a while to show that the requirement depends on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from facts.kubernetes.pod_spec import PROXY
from observe.proxies.survey import NORMALIZATION, survey
from observe.wait import NotYet, eventually
from provision.faults.changes import edited, edited_text, pod_template
from provision.faults.fault import Scene, proxies_of
from provision.names import APP, GATEWAY, ISTIO_NAMESPACE, TBOT, TBOT_CONFIG, TBOT_FILE, TBOT_NAMESPACE

OTHER_NAME = "tbot.sock"
NAMED_BY = "WORKLOAD_IDENTITY_SOCKET_FILE"


def await_normalization(scene: Scene, *, in_force: bool) -> None:
    """Wait until the proxies of the test application normalize paths, or do not.

    Raises:
        CouldNotTell: That took too long.
    """
    with scene.looking() as cluster:

        def look() -> None:
            found = survey(cluster, cluster.pods(APP, f"app={APP}"), [NORMALIZATION]).by_uid(NORMALIZATION)
            settings = [s.normalize_path for proxy in found.values() for s in proxy.settings]
            if not settings or any(each is not in_force for each in settings):
                raise NotYet(f"normalize_path is {settings}")

        what = f"normalize_path is {in_force} in every inbound listener of the test application"
        eventually(what, look, scene.rollout)


@contextmanager
def another_name(scene: Scene) -> Iterator[None]:
    """Give tbot's socket another name than Istio's default, and configure sidecars and gateway with that name."""
    directory = scene.installation.variables["SOCKET_DIRECTORY"]
    usual, other = f"{directory}/socket", f"{directory}/{OTHER_NAME}"

    def named(mesh: dict[str, Any]) -> dict[str, Any]:
        defaults = mesh.get("defaultConfig", {})
        metadata = {**defaults.get("proxyMetadata", {}), NAMED_BY: OTHER_NAME}
        return {**mesh, "defaultConfig": {**defaults, "proxyMetadata": metadata}}

    def follow(path: str, name: str | None) -> None:
        """Restart tbot, the test application and the gateway, which waits for the socket at that path."""
        objects = scene.installation.objects
        objects.restart("DaemonSet", TBOT, namespace=TBOT_NAMESPACE)
        scene.await_rollout("DaemonSet", TBOT, TBOT_NAMESPACE)
        variable = {"name": NAMED_BY, "value": name} if name else {"name": NAMED_BY, "$patch": "delete"}
        spec = pod_template(
            volumes=[{"name": "workload-socket-present", "hostPath": {"path": path, "type": "Socket"}}],
            containers=[{"name": PROXY, "env": [variable]}],
        )
        objects.patch("apps/v1", "Deployment", GATEWAY, {"spec": spec}, namespace=ISTIO_NAMESPACE)
        scene.restart_app()
        scene.await_rollout("Deployment", GATEWAY, ISTIO_NAMESPACE)
        scene.await_tbot()

    try:
        with (
            edited_text(scene, TBOT_NAMESPACE, TBOT_CONFIG, TBOT_FILE, lambda text: text.replace(usual, other)),
            edited(scene, ISTIO_NAMESPACE, "istio", "mesh", named),
        ):
            scene.await_injected("has the other name in its environment", _look_for_name)
            follow(other, OTHER_NAME)
            yield
    finally:
        follow(usual, None)


def _look_for_name(spec: dict[str, Any]) -> None:
    if not any(e.get("value") == OTHER_NAME for c in proxies_of(spec) for e in c.get("env", ()) if e["name"] == NAMED_BY):
        raise NotYet(f"its proxy has no {NAMED_BY}")
