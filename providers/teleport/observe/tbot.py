"""Reader of tbot: its DaemonSet, pods and configuration, found through the DaemonSet instead of by name."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime
from itertools import chain
from typing import Any

from facts.document import Absent, maybe
from facts.errors import CouldNotTell
from facts.evidence import readings
from facts.kubernetes.objects import ConfigMap
from facts.kubernetes.pod_spec import CONFIG_FLAGS, CONFIG_PATH, Container, VolumeMount, is_tbot_image
from facts.kubernetes.workloads import DaemonSet
from facts.masks import KEY, Fields
from facts.proxies.presence import overstays
from observe.kubernetes.cluster import Cluster
from providers.teleport.facts.tbot import OtherTbot, Tbot, Tbots
from providers.teleport.facts.tbot_config import KEPT, join_secrets, parse_tbot_config
from settings import Names


def read_tbots(cluster: Cluster, names: Names, looked_for: Collection[str] = (), *, by_csi: bool = False) -> Tbots:
    """Reads every tbot that serves the mesh, as it is installed.

    Args:
        names: Name the DaemonSet that always counts. Of others with an image called tbot each counts that listens in a
            directory in which a proxy looks for a socket; and the only one, where the named one is not there.
        looked_for: Paths on the node of the sockets that the proxies of the mesh look for.
        by_csi: Some proxies get their socket through a CSI driver, and no path tells whose it is: every tbot counts that
            listens in a directory of the node.

    Raises:
        CouldNotTell: There is no DaemonSet of tbot, or the configuration of the one that always counts cannot be found.
    """
    named = cluster.daemon_set(names.tbot_namespace, names.tbot)
    given = () if isinstance(named, Absent) else (named,)
    others = [d for d in cluster.daemon_sets() if _is_tbot(d) and d.ref not in [g.ref for g in given]]
    if not given and len(others) == 1:
        given, others = (others[0],), []
    chosen, left_out = [_read(cluster, daemon_set, looked_for) for daemon_set in given], []
    for daemon_set in others:
        tbot = _read_other(cluster, daemon_set, looked_for, by_csi=by_csi)
        if isinstance(tbot, OtherTbot):
            left_out.append(tbot)
        else:
            chosen.append(tbot)
    if not chosen:
        raise CouldNotTell(
            expected="a DaemonSet of tbot that serves the mesh",
            seen=", ".join(f"{o.ref.namespace}/{o.ref.name} ({o.why})" for o in left_out) or "none",
            where=f"{names.tbot_namespace}/{names.tbot}, and every DaemonSet with an image called tbot",
            remedy="install tbot (step 7 of the guide), or name it in the settings (`names.tbot_namespace`, `names.tbot`)",
        )
    return Tbots(tuple(sorted(chosen, key=lambda tbot: not tbot.is_looked_for)), tuple(left_out))


NOT_LOOKED_FOR = "no proxy looks for a socket in a directory that it has"


def _read_other(cluster: Cluster, daemon_set: DaemonSet, looked_for: Collection[str], *, by_csi: bool) -> Tbot | OtherTbot:
    """A tbot that nobody named, or the reason why it does not count; its own faults are not the mesh's."""
    if not _may_serve(daemon_set, looked_for, by_csi=by_csi):
        return OtherTbot(daemon_set.ref, NOT_LOOKED_FOR)
    try:
        tbot = _read(cluster, daemon_set, looked_for)
    except CouldNotTell as error:
        mounted = frozenset(v.path.rstrip("/") for v in daemon_set.template.spec.volumes if v.source == "hostPath")
        directories = mounted & {path.rpartition("/")[0] for path in looked_for}
        why = f"its configuration could not be read: {error.seen}"
        return OtherTbot(daemon_set.ref, why, unread=True, directories=directories)
    counts = tbot.is_looked_for or (by_csi and tbot.sockets)
    return tbot if counts else OtherTbot(daemon_set.ref, NOT_LOOKED_FOR)


def _is_tbot(daemon_set: DaemonSet) -> bool:
    return any(is_tbot_image(c.image) for c in daemon_set.template.spec.containers)


def _may_serve(daemon_set: DaemonSet, looked_for: Collection[str], *, by_csi: bool) -> bool:
    """Return whether it has a directory of the node in, or below, which a proxy may look for a socket."""
    # The whole file system of the node says nothing about where it listens.
    paths = [path for v in daemon_set.template.spec.volumes if v.source == "hostPath" and (path := v.path.rstrip("/"))]
    return bool(by_csi and paths) or any(socket.startswith(f"{path}/") for socket in looked_for for path in paths)


def _read(cluster: Cluster, daemon_set: DaemonSet, looked_for: Iterable[str]) -> Tbot:
    container, mount, path = _configured(daemon_set)
    volume = daemon_set.template.spec.volume(mount.name)
    if volume is None or not volume.config_map:
        raise _no_config(daemon_set, f"{path} is in the volume {mount.name}, which is no ConfigMap")
    key = mount.sub_path or path.removeprefix(mount.path.rstrip("/") + "/")
    kept = Fields({key: KEPT}, others=KEY)
    secrets: dict[str, tuple[str, ...]] = {}

    def hides(whole: Any) -> Iterator[str]:
        """Join secrets in any text of the ConfigMap, which tbot's own file may have as well."""
        texts = maybe(whole, "data", dict[str, Any](), "ConfigMap")
        secrets.update({name: join_secrets(str(text)) for name, text in texts.items()})
        return chain.from_iterable(secrets.values())

    config_map = cluster.config_map(daemon_set.namespace, volume.config_map, kept, hides)
    if isinstance(config_map, Absent):
        raise _no_config(daemon_set, str(config_map))
    config = parse_tbot_config(
        _file(config_map, key, daemon_set),
        config_map.evidence,
        f"ConfigMap {config_map.namespace}/{config_map.name}",
    )
    own = [pod for pod in cluster.pods(daemon_set.namespace, daemon_set.label_selector) if daemon_set.owns(pod)]
    pods = [pod for pod in own if not (pod.terminating or pod.has_ended)]
    by_node = {pod.node: pod for pod in pods if pod.node}
    going = [pod for pod in own if pod.terminating and not pod.has_ended and pod.node and pod.node not in by_node]
    now = datetime.now(UTC)
    overstaying = {pod.node: pod for pod in going if overstays(pod, now)}
    return Tbot(
        daemon_set=daemon_set,
        pods=by_node,
        container=container,
        config=config,
        config_map=config_map.name,
        evidence=readings(daemon_set, config_map, *pods, *overstaying.values()),
        config_changed_at=config_map.changed_at,
        config_certainly_changed_at=config_map.texts_changed_at,
        join_secret=next(iter(secrets.get(key, ())), ""),
        looked_for=frozenset(looked_for),
        leaving=frozenset(pod.node for pod in going) - overstaying.keys(),
        overstaying=overstaying,
    )


def _configured(daemon_set: DaemonSet) -> tuple[Container, VolumeMount, str]:
    """The container that runs tbot, the mount that its configuration is in, and the configuration's path."""
    for container in daemon_set.template.spec.containers:
        path = next(_config_paths(container), "")
        inside = [m for m in container.mounts if path.startswith(m.path.rstrip("/") + "/") or m.path == path]
        if path and inside:
            return container, max(inside, key=lambda m: len(m.path)), path
    raise _no_config(daemon_set, "no container has `-c FILE`, `--config=FILE` or TBOT_CONFIG_PATH with a mounted file")


def _config_paths(container: Container) -> Iterator[str]:
    words = [*container.command, *container.args]
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word in CONFIG_FLAGS:
            yield following
        elif word.startswith("--config="):
            yield word.removeprefix("--config=")
    if container.variable(CONFIG_PATH):
        yield container.variable(CONFIG_PATH)


def _file(config_map: ConfigMap, key: str, daemon_set: DaemonSet) -> Any:
    if key not in config_map.data:
        raise _no_config(
            daemon_set, f"ConfigMap {config_map.name} has no key {key}, it has {', '.join(config_map.data) or 'none'}"
        )
    return config_map.data[key]


def _no_config(daemon_set: DaemonSet, seen: str) -> CouldNotTell:
    return CouldNotTell(
        expected="tbot's configuration file in a ConfigMap that its DaemonSet mounts",
        seen=seen,
        where=str(daemon_set.ref),
        remedy="mount it as the guide does (step 7); a configuration by command-line flags cannot be read yet",
    )
