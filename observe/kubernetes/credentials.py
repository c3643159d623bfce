"""Credentials of a kubeconfig, without a trace on the disk.

The kubernetes client writes certificates and keys of a kubeconfig to temporary files, which a run that is killed leaves
behind. Here they lie in memory that ends with the process, however it ends. What a credential plug-in returns goes to a
private directory that is removed at the end.
"""

from __future__ import annotations

import atexit
import base64
import os
import shutil
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from kubernetes import client
from kubernetes.config.config_exception import ConfigException
from kubernetes.config.kube_config import KUBE_CONFIG_DEFAULT_LOCATION, KubeConfigLoader, KubeConfigMerger

_FILES = ("certificate-authority", "client-certificate", "client-key")


def load(kubeconfig: Path | None, context: str, configuration: client.Configuration) -> None:
    """Reads a context of a kubeconfig into a configuration. It never writes the kubeconfig, also not a refreshed token.

    Args:
        kubeconfig: The file; None means ``$KUBECONFIG``, else ``~/.kube/config``.
        context: Name of the context.
        configuration: Takes address, certificates and credentials.

    Raises:
        Exception: What the kubernetes client raises for a damaged kubeconfig.
    """
    config = KubeConfigMerger(str(kubeconfig or KUBE_CONFIG_DEFAULT_LOCATION)).config
    if config is None:
        raise ConfigException("no kubeconfig was found")
    for entry in _entries(config, context):
        for name in _FILES:
            if data := entry.pop(f"{name}-data", None):
                entry[name] = _in_memory(base64.standard_b64decode(data))
    loader = KubeConfigLoader(
        config_dict=config,
        active_context=context,
        config_base_path=None,  # each file's own directory
        temp_file_path=_private_directory() if any("exec" in entry for entry in _entries(config, context)) else None,
    )
    loader.load_and_set(configuration)


def _entries(config: Any, context: str) -> Iterator[dict[str, Any]]:
    """The cluster and the user of a context, as the client keeps them."""
    chosen = config["contexts"].get_with_name(context)["context"]
    for kind in ("cluster", "user"):
        name, known = chosen.safe_get(kind), config.safe_get(f"{kind}s")
        entry = config[f"{kind}s"].get_with_name(name, safe=True) if name and known else None
        if entry is not None and entry.safe_get(kind):
            yield entry[kind].value


def _in_memory(content: bytes) -> str:
    """A path that leads to these bytes as long as this process lives; no other user can read it."""
    descriptor = os.memfd_create("kubeconfig")
    with os.fdopen(os.dup(descriptor), "wb") as file:
        file.write(content)
    return f"/proc/{os.getpid()}/fd/{descriptor}"


@cache
def _private_directory() -> str:
    place = tempfile.mkdtemp(prefix="istio-teleport-keys-")
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    return place
